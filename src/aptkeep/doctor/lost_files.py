"""Files outside the home that were changed since the start: which are lost, and what to do."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aptkeep.doctor import doomed
from aptkeep.doctor.doomed import Fate
from aptkeep.doctor.findings import Finding, Kind
from aptkeep.machine import changed, dpkg_runs
from aptkeep.machine.shipped import shipped

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from aptkeep.doctor.doomed import Doomed, Group
    from aptkeep.machine.apt.config import Paths
    from aptkeep.machine.mounts import Mounts

_SETTING = "in /etc/apt/apt.conf.d/90keep"
_SECOND = 1_000_000_000
_PIECE = 1 << 20
_SHARED = frozenset(("/", "/boot", "/etc", "/home", "/opt", "/srv", "/usr", "/var", "/var/lib"))
"""Too much in them is the image's: files there are kept one by one."""


@dataclass(frozen=True, slots=True)
class Looked:
    """The files that are lost, and the places that nobody could look into."""

    doomed: Doomed
    unseen: tuple[str, ...]


def look(
    paths: Paths, since: int, *, home: str, mounts: Mounts, kept: Collection[str] = ()
) -> Looked:
    """Look for files that were changed at `since` (nanoseconds since 1970) or later.

    `kept` are files, and directories with all below them, that come back by themselves.
    """
    found = changed.find(since, root=paths.root, elsewhere=[home], mounted=mounts.points)
    runs = dpkg_runs.read(paths, since / _SECOND)
    files = [
        file
        for file in doomed.worth_a_look(found.files, runs.at)
        if not doomed.is_below(file.path, kept)
    ]
    known = shipped(paths.dpkg_directory, paths.dpkg_status, [file.path for file in files])
    lost = doomed.lost(
        files,
        known,
        dpkg_at_work=runs.at,
        since=since / _SECOND,
        read=lambda path: _pieces(os.path.join(paths.root, path[1:])),
    )
    return Looked(lost, found.unseen)


def _pieces(path: str) -> Iterator[bytes]:
    with open(path, "rb") as stream:
        while piece := stream.read(_PIECE):
            yield piece


def findings(lost: Doomed, home: str) -> Iterator[Finding]:
    """What there is to say of them: in groups, but for configuration files."""
    for group in doomed.groups(lost.files[Fate.LOOSE]):
        yield Finding(
            Kind.FILES,
            group.place,
            "changed since the start, and no package brings it back",
            _remedy(group, home),
            group.count,
            group.size,
            group.examples,
        )
    for group in doomed.groups(lost.files[Fate.OVERWRITTEN]):
        yield Finding(
            Kind.PACKAGE_FILE,
            group.place,
            "written over, but a package's: what the package brings comes back",
            "have the image bring it, or a package of your own",
            group.count,
            group.size,
            group.examples,
        )
    for file in lost.files[Fate.CONFFILE]:
        yield Finding(
            Kind.CONFFILE,
            file.path,
            "a package's configuration file that was changed: what the package brings comes back",
            _keep([file.path]) or f"keep a copy in {home}, or have the image bring it",
            size=file.size,
        )


def _remedy(group: Group, home: str) -> str:
    if group.place == doomed.ACCOUNTS:
        return "have the image make the account or group"
    alone = group.count == len(group.examples)
    names = [group.place] if group.place not in _SHARED else list(group.examples) if alone else []
    keep = _keep(names)
    if group.place == "/usr/local":
        return f"install into {home}/.local (./configure --prefix={home}/.local), or {keep}"
    return f"move it to {home}, or {keep or 'have the image bring it'}"


def _keep(names: list[str]) -> str | None:
    """What has aptkeep keep these paths; None where apt.conf(5) can't spell one, or it may not."""
    if not names or doomed.is_below("/etc/apt", names):
        return None
    if any(doomed.is_below(name, {"/etc/apt"}) for name in names) or not all(
        name.isprintable() and not set(name) & set('"\\') for name in names
    ):
        return None
    listed = " ".join(f'"{name}";' for name in names)
    return f"set 'Aptkeep::Keep {{ {listed} }};' {_SETTING} and run 'sudo aptkeep record'"

"""Which files are just what a package brought: they come back with it."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aptkeep.machine import dpkg
from aptkeep.machine.apt import paragraphs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MERGED = ("/bin/", "/sbin/", "/lib")
"""Directories that a package may still list at the top, though they lie below /usr (usrmerge)."""

_MD5_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Shipped:
    """What dpkg knows of some paths."""

    owners: Mapping[str, str] = field(default_factory=dict)
    """The package that ships a path, or made it through ucf(1)."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """The MD5 of a file as its package ships it, in hexadecimal, where dpkg knows it."""
    unpacked: Mapping[str, int] = field(default_factory=dict)
    """When the package of a path was last unpacked, nanoseconds since 1970."""
    conffiles: frozenset[str] = frozenset()
    """Those of the paths that are configuration files, which a person may change."""
    diverted: Mapping[str, str] = field(default_factory=dict)
    """The package on whose behalf a path was diverted, or made room for: dpkg-divert(1)."""

    def is_own(self, path: str, content: Iterable[bytes] | None, mtime_ns: int = 0) -> bool:
        """Whether a path is its package's, unaltered. `content`: a file's, in pieces; else None.

        A link that a package has, and a file of which dpkg knows no MD5, is, unless it was modified
        after its package came: dpkg gives both the time stamp that they have in the package.
        """
        if path not in self.owners:
            return False
        if content is None or path not in self.digests:
            return mtime_ns <= self.unpacked.get(path, mtime_ns)
        digest = hashlib.md5(usedforsecurity=False)  # dpkg has no other one
        for piece in content:
            digest.update(piece)
        return digest.hexdigest() == self.digests[path]


def shipped(dpkg_directory: str, status_file: str, paths: Iterable[str]) -> Shipped:
    """What dpkg knows of `paths`. Reads the lists of all packages, once."""
    aliases = {path: path for path in paths}
    aliases.update(
        (path[4:], path)
        for path in tuple(aliases)
        if path.startswith("/usr/") and path[4:].startswith(_MERGED)
    )
    if not aliases:
        return Shipped()
    diverted: dict[str, str] = {}
    for path, place, package in _diversions(dpkg_directory):
        if package == ":":
            # What lies there is the administrator's own, and what its package ships is elsewhere.
            aliases.pop(path, None)
            if place in aliases:
                aliases[path] = aliases[place]
        else:
            diverted.update((aliases[name], package) for name in (path, place) if name in aliases)
    found = dpkg.owners(dpkg_directory, aliases)
    times = _unpacked(dpkg_directory, set(found.values()))
    owners = {**{aliases[path]: package for path, package in found.items()}, **diverted}
    digests = {}
    sums = _md5sums_files(os.path.join(dpkg_directory, "info"))
    for package in set(found.values()):
        for path, md5 in _md5sums(sums.get(package, ())):
            if path in found:
                digests[aliases[path]] = md5
    own = [*_conffiles(status_file), *_made_through_ucf(os.path.dirname(dpkg_directory))]
    conffiles = {aliases[path]: md5 for path, md5 in own if aliases.get(path) in owners}
    digests.update(conffiles)
    for path in diverted:  # two packages list it
        digests.pop(path, None)
    unpacked = {path: times[package] for path, package in owners.items() if package in times}
    return Shipped(owners, digests, unpacked, frozenset(conffiles), diverted)


def _diversions(dpkg_directory: str) -> list[tuple[str, str, str]]:
    """Which path is put where instead, and for which package; `:` is the administrator."""
    try:
        with open(f"{dpkg_directory}/diversions", "rb") as stream:
            lines = os.fsdecode(stream.read()).split("\n")
    except FileNotFoundError:
        return []
    return list(zip(lines[::3], lines[1::3], lines[2::3], strict=False))


def _unpacked(dpkg_directory: str, packages: set[str]) -> dict[str, int]:
    """When dpkg last wrote the list of each package: it does so when its files are there."""
    times: dict[str, int] = {}
    with suppress(FileNotFoundError), os.scandir(os.path.join(dpkg_directory, "info")) as entries:
        for entry in entries:
            package = entry.name.removesuffix(".list").partition(":")[0]
            if entry.name.endswith(".list") and package in packages:
                times[package] = max(entry.stat().st_mtime_ns, times.get(package, 0))
    return times


def _md5sums_files(info: str) -> dict[str, list[str]]:
    """The lists of MD5s by package: several of one that is `Multi-Arch: same`."""
    found: dict[str, list[str]] = {}
    for name in os.listdir(info) if os.path.isdir(info) else ():
        package, ending = os.path.splitext(name)
        if ending == ".md5sums":
            found.setdefault(package.partition(":")[0], []).append(os.path.join(info, name))
    return found


def _md5sums(names: Iterable[str]) -> list[tuple[str, str]]:
    """Paths and MD5s of a package's files, less its conffiles (dh_md5sums(1))."""
    return [(f"/{path}", md5) for name in names for path, md5 in _sums(name)]


def _made_through_ucf(state: str) -> list[tuple[str, str]]:
    """Paths and MD5s of configuration files as their packages' scripts made them (ucf(1))."""
    return _sums(os.path.join(state, "ucf/hashfile"))


def _sums(path: str) -> list[tuple[str, str]]:
    """What stands in a file as md5sum(1) writes it."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as sums:
            lines = [line.rstrip("\n").partition("  ") for line in sums]
    except FileNotFoundError:
        return []
    return [(name, md5) for md5, _spaces, name in lines]


def _conffiles(status_file: str) -> list[tuple[str, str]]:
    """Paths and MD5s of all conffiles as their packages shipped them (deb-conffiles(5))."""
    found = []
    for (entries,) in paragraphs.fields(status_file, ("Conffiles",)):
        for entry in entries.splitlines():
            path, _space, rest = entry.strip().partition(" ")
            md5 = rest.partition(" ")[0]
            # Without an MD5 it's not there yet, or not any more: `newconffile`.
            if len(md5) == _MD5_LENGTH and "obsolete" not in rest:
                found.append((path, md5))
    return found

"""Which changed files would be lost at stop, and how they are told of. Pure, but for looking."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from aptkeep.doctor.findings import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from aptkeep.machine.changed import ChangedFile
    from aptkeep.machine.shipped import Shipped

_OF_PEOPLE = ("/home", "/media", "/mnt", "/opt", "/root", "/srv", "/usr/local")
"""Where no maintainer script makes anything: Debian policy 9.1.2, FHS 5."""
ACCOUNTS = "/etc/passwd"
_ACCOUNTS = frozenset(
    f"/etc/{name}" for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")
)
"""Told of together, as passwd(5): who is added to one is added to all."""
_CONFIGURATION = "/etc"
"""Where conffiles are: Debian policy 10.7.2."""
_BY_PRODUCT = ("etc", "opt", "var/lib", "var/opt", "home", "media", "mnt", "srv")
"""Directories in which each entry is something of its own."""


class Fate(Enum):
    """Why a changed file is lost."""

    LOOSE = "files"
    """No package brought it."""
    CONFFILE = "conffile"
    """A package's configuration file that somebody changed."""
    OVERWRITTEN = "package-file"
    """A package's other file that somebody wrote over."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """The files that are lost, by why, and those that nobody could look into."""

    files: Mapping[Fate, Sequence[ChangedFile]]
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Files that are told of together."""

    place: str
    """The directory that holds them all."""
    count: int
    size: int
    """Bytes."""
    examples: tuple[str, ...]
    """A few paths; the largest files."""


def worth_a_look(
    changed: Iterable[ChangedFile], dpkg_at_work: Callable[[float], bool]
) -> list[ChangedFile]:
    """The changed files less what's beyond doubt: thousands that dpkg unpacked."""
    looked_at = (*_OF_PEOPLE, _CONFIGURATION)
    return [f for f in changed if is_below(f.path, looked_at) or not dpkg_at_work(f.changed)]


def lost(
    changed: Iterable[ChangedFile],
    shipped: Shipped,
    *,
    dpkg_at_work: Callable[[float], bool],
    since: float,
    read: Callable[[str], Iterable[bytes]],
) -> Doomed:
    """Sort the changed files that are lost.

    `dpkg_at_work` tells whether dpkg ran at a moment: what was changed then outside the places
    of people is the work of maintainer scripts. `read` gives the content of a regular file, in
    pieces; OSError where it can't be read.
    """
    found: dict[Fate, list[ChangedFile]] = {fate: [] for fate in Fate}
    unseen = []
    for file in changed:
        by_dpkg = dpkg_at_work(file.changed)
        if file.path not in shipped.owners:
            if not by_dpkg or is_below(file.path, _OF_PEOPLE):
                found[Fate.LOOSE].append(file)
            continue
        # What a package brought, dpkg unpacked: that's no change. But a conffile stays as somebody
        # made it, whenever that was.
        conffile = file.path in shipped.conffiles
        if by_dpkg and not conffile:
            continue
        if file.link or file.path not in shipped.digests:
            # Packages bring files that were written long ago: deb(5) keeps their times.
            altered = file.modified >= since and not by_dpkg and file.path not in shipped.diverted
        else:
            try:
                altered = not shipped.is_own(file.path, read(file.path))
            except OSError:
                unseen.append(file.path)
                continue
        if altered:
            found[Fate.CONFFILE if conffile else Fate.OVERWRITTEN].append(file)
    return Doomed(found, tuple(unseen))


def is_below(path: str, places: Collection[str]) -> bool:
    """Whether a path is one of `places`, or below one that is a directory."""
    end = len(path)
    while end > 0:
        if path[:end] in places:
            return True
        end = path.rfind("/", 0, end)
    return "/" in places


def groups(files: Iterable[ChangedFile]) -> list[Group]:
    """The files by what they belong to, the largest group first."""
    sorted_: dict[str, list[ChangedFile]] = {}
    for file in files:
        sorted_.setdefault(place_of(file.path), []).append(file)
    made = [
        Group(
            place,
            len(members),
            sum(file.size for file in members),
            tuple(file.path for file in sorted(members, key=_largest_first)[:EXAMPLES]),
        )
        for place, members in sorted_.items()
    ]
    return sorted(made, key=lambda group: (-group.size, -group.count, group.place))


def _largest_first(file: ChangedFile) -> tuple[int, str]:
    return -file.size, file.path


def place_of(path: str) -> str:
    """The directory as a part of which a file is told of: `/usr/local`, `/etc/nginx`."""
    if path in _ACCOUNTS:
        return ACCOUNTS
    parts = path.split("/")[1:]
    for product in _BY_PRODUCT:
        above = product.split("/")
        if parts[: len(above)] == above:
            # A file right in there is told of as one of the directory's.
            return "/" + "/".join(parts[: min(len(above) + 1, len(parts) - 1)])
    if parts[:2] == ["usr", "local"] and len(parts) > 2:  # noqa: PLR2004
        return "/usr/local"
    if parts[0] == "var" and len(parts) > 2:  # noqa: PLR2004
        return f"/var/{parts[1]}"
    return f"/{parts[0]}" if len(parts) > 1 else "/"

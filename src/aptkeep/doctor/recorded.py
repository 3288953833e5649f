"""What of packages, sources and keys is not in the store, or can't be of use from there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from aptkeep.doctor.findings import EXAMPLES, SETTING, Finding, Kind
from aptkeep.errors import StoreFullError, StoreUnavailableError
from aptkeep.machine import access
from aptkeep.model import FileKind
from aptkeep.words import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from aptkeep.compare import Difference
    from aptkeep.machine.observe import Snapshot
    from aptkeep.review import Status

_LEAST_ROOM = 128 << 10
"""Bytes; a generation of some hundred packages takes that."""


def changes(found: Sequence[Difference]) -> Iterator[Finding]:
    """What was changed and is not recorded yet."""
    if not found:
        return
    kinds = dict.fromkeys(change.kind for change in found)
    numbers = (counted(sum(c.kind == kind for c in found), kind) for kind in kinds)
    yield Finding(
        Kind.UNRECORDED,
        ", ".join(numbers),
        "changed, and not recorded: the next start knows nothing of it",
        "run 'sudo aptkeep record'",
        len(found),
        examples=tuple(dict.fromkeys(change.name for change in found))[:EXAMPLES],
    )


def unkept_paths(found: Status) -> Iterator[Finding]:
    """What lies below `Aptkeep::Keep` and can't be kept."""
    for text in found.unkept_paths:
        yield Finding(
            Kind.FILES,
            "Aptkeep::Keep",
            text,
            f"move it to {found.home}, or see aptkeep(8), Aptkeep::Keep",
        )


def lost_paths(found: Status) -> Iterator[Finding]:
    """What is wanted below `Aptkeep::Keep`, and the store hasn't got any more."""
    for text in found.lost_paths:
        yield Finding(
            Kind.STORE,
            "Aptkeep::Keep",
            text,
            "run 'sudo aptkeep record' on a machine that still has the files; 'aptkeep verify' "
            "checks every byte",
        )


def without_deb(names: Sequence[str], *, pool_keep: str) -> Iterator[Finding]:
    """The packages that are wanted, and that nothing could be installed from."""
    if not names:
        return
    off = pool_keep == "none"
    pool = 'nor does the pool, as Aptkeep::Pool::Keep is "none"' if off else "nor does the pool"
    keep = f'set Aptkeep::Pool::Keep to "local" {SETTING}, then ' if off else ""
    yield Finding(
        Kind.UNRECORDED,
        counted(len(names), "package"),
        f"no repository has a .deb of it, {pool}: it can't come back",
        f"{keep}install the .deb file again, or dpkg-repack, and run 'sudo aptkeep record'",
        len(names),
        examples=tuple(names[:EXAMPLES]),
    )


def advice(found: Status) -> Iterator[str]:
    """What is no loss, but worth a look."""
    if found.pending:
        yield f"{len(found.pending)} pending on this machine: 'aptkeep status' says why"
    if found.unpooled:
        number = counted(found.unpooled, ".deb file")
        yield f"{number} on the way into the pool: 'sudo aptkeep record' waits for them"
    for source in found.sources:
        yield from (f"{source.path}: {trouble}" for trouble in source.troubles)


def keys(snapshot: Snapshot, unreadable: Collection[str]) -> Iterator[Finding]:
    """The keys, and other files of apt's, that can't be kept; but for those that we can't read."""
    for entry in snapshot.unkept:
        if entry.subject not in unreadable:
            yield Finding(
                Kind.KEY,
                entry.subject,
                f"it can't be kept: {entry.reason}",
                "put there what can be kept, such as the vendor's public key, and run 'sudo "
                "aptkeep record'",
            )


def home_closed(
    snapshot: Snapshot, home: str, *, user: str, rewrite: bool
) -> tuple[list[Finding], list[str]]:
    """Whether apt's `user` can read what sources name in the home; findings, and advice.

    With `rewrite` (`Aptkeep::Keys::Relocate`) all new sources name keys in there.
    """
    observed = snapshot.observation.files
    named = sorted(path for path, kept in observed.items() if kept.kind is FileKind.HOME_KEY)
    closed = {path: place for path in named if (place := access.closed(path, user)) is not None}
    closed_home = access.closed(home, user)
    if not closed and not (rewrite and closed_home):
        told = f"{closed_home} is closed to apt's user {user}: sources can't name keys in the home"
        return [], [told] if closed_home else []
    place = closed_home or next(iter(closed.values()))
    why = (
        f"sources name {', '.join(closed)}"
        if closed
        else 'Aptkeep::Keys::Relocate "rewrite" has sources name keys in there'
    )
    right = "x" if os.path.isdir(place) else "r"
    finding = Finding(
        Kind.UNREADABLE_HOME,
        place,
        f"it is closed to apt's user {user}, but {why}: apt can't verify them",
        f"run 'chmod o+{right} {place}'",
        max(len(closed), 1),
        examples=tuple(closed)[:EXAMPLES],
    )
    return [finding], []


def room(home: str) -> None:
    """Raise StoreUnavailableError or StoreFullError where nothing can be written any more."""
    details = "what is changed from now on is not kept"
    try:
        found = os.statvfs(home)
    except OSError as error:
        raise StoreUnavailableError(
            f"the store can't be used: {home}: {error.strerror}",
            details=details,
            resolution="make the home readable and writable for root",
        ) from error
    if found.f_flag & os.ST_RDONLY:
        raise StoreUnavailableError(
            f"the store can't be written to: {home} is read-only",
            details=details,
            resolution="mount it read-write, then run 'sudo aptkeep record'",
        )
    if found.f_bfree * found.f_frsize < _LEAST_ROOM or (found.f_files and not found.f_ffree):
        raise StoreFullError(
            f"the store can't be written to: there is no room left in {home}",
            details=details,
            resolution="make room there, then run 'sudo aptkeep record'",
        )

"""The generations in the store: numbered, immutable, the newest whole one counts.

On the hook path.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aptkeep.errors import CorruptError, UsageError
from aptkeep.model import Anchor, Generation, Manifest, Occasion, Platform
from aptkeep.store.format import codec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aptkeep.store.tree import Directory

_NAME = re.compile(r"([0-9]{6}|[1-9][0-9]{6,8})\.json")
_LAST = 999_999_999
_LIMIT = 64 * 1024 * 1024
"""The largest generation that is read, in bytes; one of 500 packages takes 50 kB."""
SUBDIRECTORY = "generations"


@dataclass(frozen=True, slots=True)
class Newest:
    """The generation that counts, and the damaged ones that were passed over to find it."""

    generation: Generation | None = None
    passed_over: tuple[CorruptError, ...] = field(default=())

    @property
    def manifest(self) -> Manifest:
        """Its manifest; empty where nothing was ever recorded."""
        return self.generation.manifest if self.generation is not None else Manifest()


def numbers(store: Directory) -> list[int]:
    """The numbers of all generations, oldest first, damaged ones included."""
    try:
        with store.subdirectory(SUBDIRECTORY) as directory:
            matches = (_NAME.fullmatch(name) for name in directory.names())
            return sorted(int(match[1]) for match in matches if match)
    except FileNotFoundError:
        return []


def newest(store: Directory) -> Newest:
    """The newest whole generation.

    Raises UntrustedError for one that isn't root's or is of a newer schema, and CorruptError
    where there are generations and none of them is whole.
    """
    passed_over: list[CorruptError] = []
    for number in reversed(numbers(store)):
        try:
            return Newest(load(store, number), tuple(passed_over))
        except CorruptError as error:
            passed_over.append(error)
    if passed_over:
        raise CorruptError(
            f"no generation in {store.path} is whole",
            details=f"{len(passed_over)} are there, and all are damaged; nothing was done",
            resolution="put a good copy of the home back, or move the store away to begin anew",
        )
    return Newest()


def load(store: Directory, number: int) -> Generation:
    """One generation. Raises UsageError if it isn't there, CorruptError if it isn't whole."""
    name = file_name(number)
    content = read(store, number)
    generation = codec.decode(content, f"{store.path}/{SUBDIRECTORY}/{name}", store.seal)
    if generation.number != number:
        raise CorruptError(
            f"{store.path}/{SUBDIRECTORY}/{name} is damaged: "
            f"it says that it is generation {generation.number}",
            details="it is passed over",
        )
    return generation


def read(store: Directory, number: int) -> bytes:
    """The file of a generation as it stands."""
    try:
        with store.subdirectory(SUBDIRECTORY) as directory:
            return directory.read(file_name(number), _LIMIT)
    except FileNotFoundError:
        raise UsageError(
            f"there is no generation {number}",
            resolution="'aptkeep history' lists those that there are",
        ) from None


def digest(store: Directory, number: int) -> str | None:
    """The SHA-256 of a generation's file; None where there's no such generation."""
    try:
        return hashlib.sha256(read(store, number)).hexdigest()
    except UsageError:
        return None


def anchor(store: Directory) -> Anchor | None:
    """The newest whole generation by content; None where there's none."""
    found = newest(store).generation
    sha256 = digest(store, found.number) if found is not None else None
    return Anchor(found.number, sha256) if found is not None and sha256 is not None else None


def holds(store: Directory, recorded_into: Anchor | None) -> bool:
    """Whether it's the store that had, or (None) the one that had not yet, that generation."""
    found = numbers(store)
    if recorded_into is None or not found:
        return bool(recorded_into is None and not found)
    collected = recorded_into.number < found[0]
    return collected or digest(store, recorded_into.number) == recorded_into.sha256


def write(
    store: Directory, occasion: Occasion, platform: Platform, manifest: Manifest
) -> Generation:
    """Write the next generation. The caller holds the store's lock.

    Raises CorruptError, and writes nothing, for a manifest that could not be read again.
    """
    number = max(numbers(store), default=0) + 1
    if number > _LAST:
        raise CorruptError(
            f"{store.path}/{SUBDIRECTORY} holds the number {number - 1}, and none comes after it",
            details="what was changed since the last record is not kept yet",
            resolution=f"look at what {file_name(number - 1)} is, and move it away",
        )
    generation = Generation(number, occasion, platform, manifest)
    content = codec.encode(generation, store.seal)
    new = f"the new {SUBDIRECTORY}/{file_name(number)}"
    codec.decode(content, new, store.seal)  # or it's never written
    with store.subdirectory(SUBDIRECTORY, create=True) as directory:
        directory.remove_unfinished()
        directory.write(file_name(number), content)
    return generation


def size(store: Directory, number: int) -> int:
    """Bytes that a generation takes."""
    with store.subdirectory(SUBDIRECTORY) as directory:
        found = directory.stat(file_name(number))
    return found.st_size if found is not None else 0


def remove(store: Directory, going: Iterable[int]) -> None:
    """Delete generations, for good: what only they name may go then. The caller holds the lock."""
    with store.subdirectory(SUBDIRECTORY) as directory:
        for number in going:
            directory.remove(file_name(number))
        directory.sync(whole=False)


def file_name(number: int) -> str:
    """`000012.json`."""
    return f"{number:06d}.json"

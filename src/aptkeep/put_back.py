"""Putting apt's files back: keys before the sources that name them, and nothing that breaks apt.

What can't be put back costs only itself: its reason is noted, by path, and the others go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from aptkeep import files
from aptkeep.errors import AptkeepError, CorruptError, attempt
from aptkeep.machine import configuration_files, keys, openpgp, sources
from aptkeep.machine.apt import programs
from aptkeep.machine.apt.archive import unreadable_sources
from aptkeep.model import KEYRINGS, FileKind, KeptFile
from aptkeep.plan import DeleteFile, PutFile
from aptkeep.relocate import unreadable_for_apt
from aptkeep.repositories import named
from aptkeep.store import kept
from aptkeep.words import counted

if TYPE_CHECKING:
    from aptkeep.machine.state import State
    from aptkeep.machine.transaction import Reporter
    from aptkeep.model import Manifest
    from aptkeep.plan import Plan
    from aptkeep.store.tree import Directory


@dataclass(frozen=True, slots=True)
class FilesBack:
    """The files of one restore."""

    store: Directory
    manifest: Manifest
    """What is restored: its files are in the store."""
    state: State
    """Where the image's own files are, for a rollback to one of them."""
    reporter: Reporter
    reasons: dict[str, str]
    """Why a file is not put back, by path."""

    def put_back(self, todo: Plan) -> None:
        """Write and delete what the plan says, sources last."""
        put, delete = todo.of(PutFile), todo.of(DeleteFile)
        if put or delete:
            count = counted(len(put) + len(delete), "file")
            self.reporter.step(f"Putting back {count} of apt's configuration")
        self._check_copies()
        for step in sorted(put, key=_is_source):
            attempt(step.path, partial(self._put, step), self.reasons)
        self._withdraw_unreadable([step for step in put if _is_source(step)])
        for gone in delete:
            attempt(gone.path, partial(configuration_files.delete, gone.path), self.reasons)
        files.sync_names([step.path for step in put] + [step.path for step in delete])

    def _check_copies(self) -> None:
        """Keys in the store that sources name themselves: as recorded, and open to apt."""
        for path, wish in self.manifest.files.items():
            if not isinstance(wish, KeptFile) or wish.kind is not FileKind.HOME_KEY:
                continue
            if path.startswith(f"{self.store.path}/"):
                attempt(path, partial(self._check_copy, path, wish), self.reasons)

    def _check_copy(self, path: str, wish: KeptFile) -> None:
        try:
            kept.get(self.store, path, wish)
        except AptkeepError as error:
            raise _unusable_copy(path, wish, error) from error
        closed = unreadable_for_apt(self.store.path)
        if closed is not None:
            raise CorruptError(
                f"apt can't look into {closed}",
                details=f"it could not verify the sources that name the key {path}",
                resolution=f'run chmod o+x {closed}, or set Aptkeep::Keys::Relocate to "copy" '
                "and write the source again",
            )

    def put_back_late(self, todo: Plan) -> None:
        """Try again, after the packages came, what runs programs that may be theirs."""
        for step in todo.of(PutFile):
            if step.kept.kind is FileKind.CONFIGURATION and step.path in self.reasons:
                del self.reasons[step.path]
                attempt(step.path, partial(self._put, step), self.reasons)

    def _withdraw_unreadable(self, put: list[PutFile]) -> None:
        """Take back the sources that apt can't read: one malformed entry would spoil them all."""
        if not put or unreadable_sources() is None:
            return
        for step in put:
            configuration_files.delete(step.path)
        for step in put:
            attempt(step.path, partial(self._put, step), self.reasons)
            trouble = unreadable_sources()
            if trouble is not None:
                configuration_files.delete(step.path)
                self.reasons[step.path] = f"apt can't read it: {trouble}"

    def _put(self, step: PutFile) -> None:
        try:
            content = self._content(step)
        except CorruptError:
            if step.kept.kind in KEYRINGS and _usable_key(step.path):
                return  # the user has put the vendor's key there again, as we asked
            raise
        if _is_source(step):
            self._check_keyrings(sources.keyrings(step.path, content))
        elif step.kept.kind is FileKind.CONFIGURATION:
            trouble = programs.unusable(content)
            if trouble is not None:
                raise CorruptError(trouble, resolution="'aptkeep forget' drops it for good")
        configuration_files.put(step.path, content, step.kept.mode)

    def _content(self, step: PutFile) -> bytes:
        if step.kept not in self.manifest.files.values():
            return self.state.image_file(step.kept.sha256)  # a rollback to the image's own
        try:
            return kept.get(self.store, step.path, step.kept)
        except AptkeepError as error:
            if step.kept.kind not in KEYRINGS:
                raise
            raise _unusable_copy(step.path, step.kept, error) from error

    def _check_keyrings(self, keyrings: list[str]) -> None:
        """A source isn't put back without its key, or under a key that isn't what was kept."""
        for keyring in keyrings:
            if keyring in self.reasons:
                raise CorruptError(
                    f"its key {keyring} is set aside: {self.reasons[keyring]}",
                    resolution="when the key is there again, 'aptkeep start' puts it back",
                )


def _is_source(step: PutFile) -> bool:
    return step.kept.kind is FileKind.SOURCE


def _usable_key(path: str) -> bool:
    try:
        content, _mode = files.read_path(path, keys.LIMIT)
    except OSError:
        return False
    return keys.unusable(content) is None


def _unusable_copy(path: str, file: KeptFile, error: AptkeepError) -> CorruptError:
    altered = isinstance(error, kept.AlteredError)
    content = error.content if isinstance(error, kept.AlteredError) else b""
    expected = ", ".join(named(key) for key in file.keys) or f"SHA-256 {file.sha256}"
    found = ", ".join(named(key) for key in openpgp.show(content)) or "no key"
    return CorruptError(
        f"the kept copy of the key {path} "
        + ("was altered" if altered else f"can't be used: {error.brief}"),
        details=f"expected was {expected}; found was {found}; neither the key nor the sources "
        "that name it were put back",
        resolution=f"get the key from its vendor and put it into {path}; the next apt run keeps it",
    )

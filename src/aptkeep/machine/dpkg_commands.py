"""Changing a root with dpkg(1), under the lock that apt and its like honour too."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aptkeep import files
from aptkeep.errors import CommandError, LockedError
from aptkeep.machine.apt.commands import FORCE_OLD_CONFFILES
from aptkeep.machine.dpkg import available_file, spelled
from aptkeep.machine.run import Completed, run
from aptkeep.model import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from aptkeep.model import Package

# dpkg(1): the frontend lock is held by who started dpkg. Our own hooks stay out for it, too.
_LOCK_IS_HELD = {"DPKG_FRONTEND_LOCKED": "true"}
_AVAILABLE_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class Dpkg:
    """dpkg on this root."""

    directory: str
    """`/var/lib/dpkg`."""
    state: str
    """Where `available` is kept while ours is in its place, so that a crash loses nothing."""
    pkgcache: str
    """apt's cache of dpkg's status, which it takes for good by size and second."""
    lock_timeout: float
    """Seconds to wait for another apt or dpkg."""

    def add_architecture(self, name: str) -> None:
        """`dpkg --add-architecture`; CommandError where dpkg refuses."""
        with self._frontend_lock():
            _checked(["dpkg", "--add-architecture", name], f"the architecture {name} was not added")

    def remove_architecture(self, name: str) -> None:
        """`dpkg --remove-architecture`; CommandError while a package of it is installed."""
        with self._frontend_lock():
            _checked(
                ["dpkg", "--remove-architecture", name], f"the architecture {name} was not removed"
            )

    def set_selections(self, selections: Mapping[str, Selection], paragraphs: str = "") -> None:
        """`dpkg --set-selections`, by names as `spelled` makes them.

        dpkg passes over, with exit 0, what it knows from neither its status nor its `available`
        database. So `paragraphs`, the control paragraphs of such packages, are merged into
        `available` for just this call, and `available` is left as it was.
        """
        lines = "".join(f"{name} {selection.value}\n" for name, selection in selections.items())
        with self._frontend_lock(), self._untouched_available():
            if paragraphs:
                _checked(["dpkg", "--merge-avail", "-"], "dpkg took no notice", stdin=paragraphs)
            _checked(["dpkg", "--set-selections"], "the selections were not set", stdin=lines)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.pkgcache)

    def hold(self, holds: Mapping[str, bool], known: Mapping[str, Package], native: str) -> None:
        """Put packages, by the names of the model, on hold (True) or take them off (False).

        One that isn't on the root is made known to dpkg by name alone, as it would be after
        apt-mark(8).
        """
        selections, paragraphs = {}, ""
        for name, held in holds.items():
            package = known.get(name)
            architecture = package.architecture if package else name.partition(":")[2] or native
            there = package is not None and package.present
            off = Selection.INSTALL if there else Selection.DEINSTALL  # as apt-mark(8) does
            selections[spelled(name, architecture)] = Selection.HOLD if held else off
            if package is None:
                paragraphs += (
                    f"Package: {name.partition(':')[0]}\nVersion: 0\n"
                    f"Architecture: {architecture}\n"
                    "Maintainer: aptkeep\nDescription: on hold, not installed\n\n"
                )
        self.set_selections(selections, paragraphs)

    def configure_unfinished(self) -> Completed:
        """`dpkg --configure -a`: what an interrupted run left undone. It may fail in part."""
        with self._frontend_lock():
            command = ["dpkg", *FORCE_OLD_CONFFILES, "--abort-after=10000", "--configure", "-a"]
            return run(command, environment=_LOCK_IS_HELD)

    def remove_broken(self, names: Iterable[str]) -> Completed:
        """Take packages off that can't be configured, whatever state they're in."""
        with self._frontend_lock():
            command = ["dpkg", "--force-remove-reinstreq", "--abort-after=10000", "--remove"]
            return run([*command, *names], environment=_LOCK_IS_HELD)

    @contextlib.contextmanager
    def _untouched_available(self) -> Iterator[None]:
        self.recover_available()
        with files.directory(self.state) as state:
            try:
                found, _mode = files.read_path(available_file(self.directory), _AVAILABLE_LIMIT)
            except FileNotFoundError:
                found = b""
            files.write_atomically(state, _SAVED, found)
        try:
            yield
        finally:
            self.recover_available()

    def recover_available(self) -> None:
        """Put `available` back as a call of `set_selections` found it, if one did not end."""
        saved = os.path.join(self.state, _SAVED)
        try:
            content, _mode = files.read_path(saved, _AVAILABLE_LIMIT)
        except FileNotFoundError:
            return
        available = available_file(self.directory)
        if content:
            with files.directory(self.directory) as directory:
                files.write_atomically(directory, os.path.basename(available), content)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(available)
        os.unlink(saved)

    @contextlib.contextmanager
    def _frontend_lock(self) -> Iterator[None]:
        deadline = time.monotonic() + self.lock_timeout
        with self._locked("lock-frontend", deadline):
            # dpkg's own lock it takes itself; one that outlived its frontend may still hold it.
            with self._locked("lock", deadline):
                pass
            yield

    @contextlib.contextmanager
    def _locked(self, name: str, deadline: float) -> Iterator[None]:
        path = os.path.join(self.directory, name)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            while True:
                try:
                    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except (BlockingIOError, PermissionError):
                    if time.monotonic() >= deadline:
                        raise locked(self.lock_timeout) from None
                    time.sleep(0.1)
            yield
        finally:
            os.close(descriptor)

    def wait_until_free(self) -> None:
        """Wait for another apt or dpkg to end; LockedError where it doesn't in time."""
        with self._frontend_lock():
            pass


_SAVED = "available"


def locked(timeout: float) -> LockedError:
    """The error for a lock of apt or dpkg that was not free in time."""
    return LockedError(
        "apt or dpkg is at work",
        details=f"its lock was not free within {timeout:g} seconds; what was still to be done "
        "is not done",
        resolution="wait for it to end, then run 'aptkeep restore'",
    )


def _checked(argv: list[str], consequence: str, stdin: str = "") -> None:
    completed = run(argv, stdin=stdin, environment=_LOCK_IS_HELD)
    if not completed.ok:
        raise CommandError(
            f"{' '.join(argv[:2])} failed: {completed.last_words()}",
            details=consequence,
            resolution="see what dpkg says, mend it, and run 'aptkeep restore'",
        )

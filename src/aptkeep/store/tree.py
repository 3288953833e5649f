"""The store as a tree of directories that root alone can have written. On the hook path.

The store lies in a directory that a user owns, so no path in it is believed: every directory is
opened relative to its parent without following links, and what counts is checked on the
descriptor that is then used. Above the store the directories may be the home owner's; from the
store down, everything must be root's, regular, singly linked and writable by root alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aptkeep import files
from aptkeep.errors import StoreFullError, StoreUnavailableError, UntrustedError, UsageError
from aptkeep.store.home import owner_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from aptkeep.store.seal import Seal

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Trust:
    """What makes the store believable."""

    owner: int = 0
    """The uid to whom everything must belong (tests run unprivileged); not asked where sealed."""
    seal: Seal | None = None
    """With `Aptkeep::Trust "signed"`: whose signatures count. Anybody may own and write files."""
    writer: tuple[int, int] | None = None
    """uid and gid as whom the store is read and written, where root may not; None: as we are."""

    @contextlib.contextmanager
    def acting(self) -> Iterator[None]:
        """As whom the file system is asked."""
        if self.writer is None:
            yield
        else:
            with files.acting_as(*self.writer):
                yield

    def check(self, found: os.stat_result, path: str) -> None:
        """Raise UntrustedError for what others could have written, unless signatures count."""
        if self.seal is not None:
            return
        if found.st_uid != self.owner:
            raise _untrusted(path, f"it belongs to uid {found.st_uid}")
        if found.st_mode & _WRITABLE_BY_OTHERS and not stat.S_ISLNK(found.st_mode):
            mode = stat.S_IMODE(found.st_mode)
            raise _untrusted(path, f"others may write to it (mode {mode:04o})")


class Directory:
    """An open directory of the store. Use it as a context manager."""

    def __init__(self, descriptor: int, path: str, trust: Trust) -> None:
        self._descriptor = descriptor
        self.path = path
        """For messages only; nothing is opened by it."""
        self._trust = trust

    @property
    def seal(self) -> Seal | None:
        """What signs and checks what stands in the store; None where root's ownership counts."""
        return self._trust.seal

    def act_as_owner(self) -> None:
        """From now on read and write as whoever owns the directory."""
        found = os.fstat(self._descriptor)
        self._trust = replace(self._trust, writer=(found.st_uid, found.st_gid))

    def __enter__(self) -> Directory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)

    def lock(self, timeout: float) -> None:
        """Take the store's lock, which other machines with this home share, until it's closed."""
        files.lock(self._descriptor, timeout, self.path)

    def names(self) -> list[str]:
        """The names in the directory, sorted, less those of unfinished files."""
        found = os.listdir(self._descriptor)
        return sorted(name for name in found if not name.startswith(files.TEMPORARY))

    def subdirectory(self, name: str, *, create: bool = False) -> Directory:
        """A directory in this one; FileNotFoundError where it isn't there and not to be made."""
        path = os.path.join(self.path, name)
        if create:
            with contextlib.suppress(FileExistsError), _writing(path), self._trust.acting():
                files.make_directory(name, parent=self._descriptor)
        with self._trust.acting():
            descriptor = _open_directory(self._descriptor, name, path)
        try:
            self._trust.check(os.fstat(descriptor), path)
        except UntrustedError:
            os.close(descriptor)
            raise
        return Directory(descriptor, path, self._trust)

    def read(self, name: str, limit: int) -> bytes:
        """What a file holds; FileNotFoundError, or UntrustedError for one that isn't root's."""
        with self.opened(name) as descriptor:
            try:
                return files.read_regular(descriptor, limit)
            except files.NotRegularError as error:
                raise _untrusted(os.path.join(self.path, name), str(error)) from error

    @contextlib.contextmanager
    def opened(self, name: str, *, may_be_linked: bool = False) -> Iterator[int]:
        """A descriptor, for reading, of a regular file that is root's, else as `read`.

        `may_be_linked`: it may have more hard links than one, where its content is checked.
        """
        path = os.path.join(self.path, name)
        try:
            with self._trust.acting():
                descriptor = files.open_file_at(self._descriptor, name)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise _untrusted(path, "it is a link or a socket, not a file") from error
            raise
        try:
            found = os.fstat(descriptor)
            self._trust.check(found, path)
            if not stat.S_ISREG(found.st_mode):
                raise _untrusted(path, "it is no regular file")
            if found.st_nlink != 1 and not may_be_linked and self.seal is None:
                raise _untrusted(path, f"it has {found.st_nlink} hard links instead of one")
            yield descriptor
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def received(
        self,
        source: int,
        *,
        linked: bool = False,
        mode: int = 0o644,
        limit: int = 1 << 62,
        synced: bool = True,
    ) -> Iterator[tuple[str, str, int]]:
        """What a descriptor holds as a temporary file: its name, for `rename`, SHA-256 and size.

        It's on disk, but for `synced`, which leaves that to `sync`; and it's gone when the context
        is left, unless it has another name by then.
        """
        with _writing(self.path), self._trust.acting():
            taken = files.received(
                self._descriptor, source, linked=linked, mode=mode, limit=limit, synced=synced
            )
            found = taken.__enter__()
        try:
            yield found
        finally:
            with self._trust.acting():
                taken.__exit__(None, None, None)

    def remove(self, name: str) -> None:
        """Delete a file, which may be gone already."""
        path = os.path.join(self.path, name)
        with _writing(path), contextlib.suppress(FileNotFoundError), self._trust.acting():
            os.unlink(name, dir_fd=self._descriptor)

    def stat(self, name: str) -> os.stat_result | None:
        """What is known of a name, links not followed; None where there's nothing."""
        try:
            with self._trust.acting():
                return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def has(self, name: str) -> bool:
        """Whether there is anything of that name."""
        return self.stat(name) is not None

    def write(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """Write a file that is then whole and on disk, or not there."""
        with _writing(os.path.join(self.path, name)), self._trust.acting():
            files.write_atomically(self._descriptor, name, content, mode)

    def rename(self, name: str, new: str) -> None:
        """Rename a file within the directory."""
        with _writing(os.path.join(self.path, name)), self._trust.acting():
            os.rename(name, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def append(self, name: str, text: str, limit: int) -> None:
        """Append to a file of root's, which is made where there is none.

        One that has grown over `limit` bytes then becomes NAME.old, in place of the last such.
        """
        path = os.path.join(self.path, name)
        flags = (
            os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
        with _writing(path), self._trust.acting():
            descriptor = os.open(name, flags, 0o644, dir_fd=self._descriptor)
            try:
                found = os.fstat(descriptor)
                self._trust.check(found, path)
                if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                    raise _untrusted(path, "it is no regular file with one link")
                os.write(descriptor, text.encode())
                if found.st_size > limit:
                    here = self._descriptor
                    os.rename(name, f"{name}.old", src_dir_fd=here, dst_dir_fd=here)
            finally:
                os.close(descriptor)

    def sync(self, *, whole: bool) -> None:
        """Have the names in the directory on disk; with `whole` everything on its file system."""
        with _writing(self.path):
            if whole:
                files.sync_file_system(self._descriptor)
            else:
                os.fsync(self._descriptor)

    def remove_unfinished(self, *below: str) -> None:
        """Delete what a process that died left half written, here or in these directories here."""
        gone = FileNotFoundError, UntrustedError  # the latter is said when it's used
        for name in below:
            with contextlib.suppress(*gone), self.subdirectory(name) as directory:
                directory.remove_unfinished()
        if not below:
            with self._trust.acting():
                files.remove_unfinished(self._descriptor)


@contextlib.contextmanager
def _writing(path: str) -> Iterator[None]:
    """Turn what the file system says while `path` is written into our own errors."""
    try:
        yield
    except (FileExistsError, files.NotRegularError):
        raise
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise _untrusted(path, "it is a link or a socket, not a file") from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFullError(
                f"there is no room left for {path}",
                details="what was changed since the last record is not kept yet",
                resolution="make room in the home; the next change, or 'aptkeep record', "
                "then keeps it",
            ) from error
        raise _unavailable(path, error.strerror or str(error)) from error


@contextlib.contextmanager
def open_store(
    home: str,
    relative: str,
    *,
    create: bool = False,
    owner: int = 0,
    seal: Seal | None = None,
) -> Iterator[Directory]:
    """The store directory at `relative` below `home`.

    With `create`, missing directories are made: those on the way as the home's owner, the store
    as root. `owner` is the uid that the store must belong to (tests run unprivileged); with `seal`
    the home's owner reads and writes everything, and only signatures are believed.

    Raises FileNotFoundError where there is no store, UntrustedError where something on the way
    isn't what it should be, StoreUnavailableError where the home can't be read or written.
    """
    *parents, name = relative.split("/")
    path = home
    with contextlib.ExitStack() as opened:
        try:
            with Trust(writer=None if seal is None else owner_of(home)).acting():
                current = opened.enter_context(files.directory(home))
            home_stat = os.fstat(current)
            writer = home_stat.st_uid, home_stat.st_gid
            trust = Trust(owner, seal, None if seal is None else writer)
            for parent in parents:
                path = os.path.join(path, parent)
                if create:
                    _make_as(writer, current, parent)
                with trust.acting():
                    current = _open_directory(current, parent, path)
                opened.callback(os.close, current)
                found = os.fstat(current)
                if seal is None and found.st_uid not in (owner, writer[0]):
                    raise _untrusted(path, f"it belongs to uid {found.st_uid}")
            above = Directory(current, path, trust)
            store = opened.enter_context(above.subdirectory(name, create=create))
            if seal is not None:
                store.act_as_owner()
        except FileNotFoundError:
            if create:
                raise _unavailable(home, "it is gone") from None
            raise
        except PermissionError as error:
            if os.geteuid() == 0:
                raise _unavailable(path, error.strerror or str(error)) from error
            raise UsageError(
                f"{path} is not open to you",
                details="the home belongs to somebody else; nothing was read",
                resolution="run it with sudo, or as the owner of the home",
            ) from error
        except OSError as error:
            raise _unavailable(path, error.strerror or str(error)) from error
        yield store


def _make_as(owner: tuple[int, int], parent: int, name: str) -> None:
    """Make a directory as its future owner: no moment in which another one could be chowned."""
    try:
        with files.acting_as(*owner):
            files.make_directory(name, parent=parent)
    except FileExistsError:
        pass
    except PermissionError as error:
        try:
            os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            raise error from None


def _open_directory(parent: int, name: str, path: str) -> int:
    try:
        return files.open_directory_at(parent, name)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise _untrusted(path, "it is a link or a file, not a directory") from error
        raise


def _untrusted(path: str, reason: str) -> UntrustedError:
    return UntrustedError(
        f"{path} is not trusted: {reason}",
        details="whoever could write there decides what root installs; nothing was read from it "
        "and nothing was changed",
        resolution="look at what it is; if it is not yours, move it away, and aptkeep makes a "
        "new store at the next change",
    )


def _unavailable(path: str, reason: str) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"the store can't be used: {path}: {reason}",
        details="what was changed since the last record is not kept yet",
        resolution="make the home readable and writable for root; the next change, or "
        "'aptkeep record', then keeps it",
    )

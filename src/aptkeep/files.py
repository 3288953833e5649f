"""Opening files without surprises and writing them so that a crash leaves old or new, never half.

On the hook path. Nothing here follows a link below the directory descriptor that it's given.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import stat
import time
from typing import TYPE_CHECKING

from aptkeep.errors import LockedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a fifo that somebody planted must not wait for a writer.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

TEMPORARY = ".new-"
"""How the name of a file begins that isn't finished yet."""


_UNFINISHED = re.compile(rf"{re.escape(TEMPORARY)}[0-9a-f]{{16}}")


def detach(*kept: int) -> None:
    """Close all descriptors but these, so that nobody waits for this process to end."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    # Not up to the limit of descriptors, which may be a thousand million in a container.
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in kept:  # noqa: PLR2004 - standard error
            with contextlib.suppress(OSError):  # the one that listed them is closed already
                os.close(int(name))


class NotRegularError(OSError):
    """What was opened is no regular file, or larger than anybody expects."""


@contextlib.contextmanager
def directory(path: str) -> Iterator[int]:
    """A descriptor of a directory that root vouches for by its path."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def acting_as(uid: int, gid: int) -> Iterator[None]:
    """Ask the file system as somebody else, if we are root: of a volume that root may not use."""
    if os.geteuid() != 0 or uid == 0:
        yield
        return
    my_group = os.getegid()
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(my_group)


def open_directory_at(parent: int, name: str) -> int:
    """A descriptor of the directory `name` in `parent`, which must not be a link."""
    _single(name)
    return os.open(name, _DIRECTORY, dir_fd=parent)


def open_file_at(parent: int, name: str) -> int:
    """A descriptor, for reading, of the file `name` in `parent`, which must not be a link."""
    _single(name)
    return os.open(name, _READ, dir_fd=parent)


def _single(name: str) -> None:
    """Hold a name to be one, so that O_NOFOLLOW speaks for the whole of it."""
    if "/" in name or name in {"", ".", ".."}:
        raise NotRegularError("its path leads elsewhere")


def read_regular(descriptor: int, limit: int) -> bytes:
    """All that a regular file holds; NotRegularError if it's none or has over `limit` bytes."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise NotRegularError("it is no regular file")
    # One byte more than the limit: a file may grow, and some claim to be empty and never end.
    content = bytearray()
    while len(content) <= limit:
        piece = os.read(descriptor, min(limit + 1 - len(content), 1 << 20))
        if not piece:
            return bytes(content)
        content += piece
    raise NotRegularError(f"it is larger than {limit} bytes")


def read_path(path: str, limit: int) -> tuple[bytes, int]:
    """Content and permission bits of a file that root vouches for by its path; links are followed.

    A fifo or a device is refused, not waited for.
    """
    descriptor = os.open(path, _READ & ~os.O_NOFOLLOW)
    try:
        return read_regular(descriptor, limit), stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)


def read_beneath(base: str, relative: str, limit: int) -> tuple[bytes, int]:
    """Content and permission bits of a file below `base`, with no link followed on the way."""
    *parents, name = relative.split("/")
    with contextlib.ExitStack() as opened:
        parent = opened.enter_context(directory(base))
        for part in parents:
            parent = open_directory_at(parent, part)
            opened.callback(os.close, parent)
        descriptor = open_file_at(parent, name)
        opened.callback(os.close, descriptor)
        return read_regular(descriptor, limit), stat.S_IMODE(os.fstat(descriptor).st_mode)


def write_atomically(parent: int, name: str, content: bytes, mode: int = 0o644) -> None:
    """Write `name` in `parent`: temporary file, fsync, rename, fsync of the directory."""
    temporary, descriptor = _new_temporary(parent, mode)
    try:
        try:
            write_all(descriptor, content)
            os.fsync(descriptor)
            os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        finally:
            os.close(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=parent)
        raise
    os.fsync(parent)


@contextlib.contextmanager
def received(
    parent: int,
    source: int,
    *,
    linked: bool,
    mode: int = 0o644,
    limit: int = 1 << 62,
    synced: bool = True,
) -> Iterator[tuple[str, str, int]]:
    """What a descriptor holds, as a temporary file in `parent`: name, SHA-256 and size in bytes.

    If `synced` it's on disk then; it's the caller's to rename until the context is left, which
    deletes it. With `linked` it's a hard link where that can be; else a copy of that `mode`.
    OSError ENOSPC also where hardly any room would be left for others, NotRegularError over
    `limit` bytes.
    """
    name, temporary = _link(source, parent) if linked else ("", -1)
    if temporary < 0:
        size, room = os.fstat(source).st_size, os.fstatvfs(parent)
        if size + min(_SPARE, room.f_blocks * room.f_frsize // 50) > room.f_bavail * room.f_frsize:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        name, temporary = _new_temporary(parent, mode)
    try:
        digest = _copy_and_hash(source, temporary, limit)
        if synced:
            os.fsync(temporary)
        yield name, digest, os.fstat(temporary).st_size
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=parent)
        os.close(temporary)


def _new_temporary(parent: int, mode: int) -> tuple[str, int]:
    """Name and descriptor of a new file. While it's locked, it's nothing that a crash left.

    Nobody else can open it before that, and so nobody else can lock it.
    """
    while True:
        name = f"{TEMPORARY}{os.urandom(8).hex()}"
        descriptor = os.open(name, _CREATE, 0o600, dir_fd=parent)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                os.fchmod(descriptor, mode)
                return name, descriptor
        except BaseException:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=parent)
            raise
        os.close(descriptor)  # somebody tidied up before it was locked


def make_directory(name: str, mode: int = 0o755, *, parent: int) -> None:
    """Make a directory whose name is on disk then; FileExistsError where there is one."""
    os.mkdir(name, mode, dir_fd=parent)
    os.fsync(parent)


_SPARE = 16 << 20
"""Bytes that stay free: a pool must not take the last ones from what is recorded."""


def _link(source: int, parent: int) -> tuple[str, int]:
    """Name and descriptor of a hard link to an open file; -1 where there can't be one."""
    name, descriptor = f"{TEMPORARY}{os.urandom(8).hex()}", -1
    try:
        # With a directory descriptor Python asks linkat(2) to follow /proc's link to the file.
        with directory("/") as root:
            place = f"/proc/self/fd/{source}"
            os.link(place, name, src_dir_fd=root, dst_dir_fd=parent, follow_symlinks=True)
        descriptor = open_file_at(parent, name)
        # The lock is the file's, not the link's: another link of it may be on its way, too.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.stat(name, dir_fd=parent)
    except OSError:
        if descriptor >= 0:
            os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=parent)
        return "", -1
    return name, descriptor


def _copy_and_hash(source: int, destination: int, limit: int) -> str:
    """Copy unless they're one file; the SHA-256 of what is at the destination."""
    digest, size = hashlib.sha256(), 0
    copying = not os.path.sameopenfile(source, destination)
    os.lseek(source, 0, os.SEEK_SET)
    while piece := os.read(source, 1 << 20):
        size += len(piece)
        if size > limit:  # it grows while it's read
            raise NotRegularError(f"it is larger than {limit} bytes")
        digest.update(piece)
        if copying:
            write_all(destination, piece)
    return digest.hexdigest()


def sync_file_system(descriptor: int) -> None:
    """Have everything on the file system of a descriptor on disk: syncfs(2).

    Many files at once take a tenth of the time that fsync(2) of each would. Python has no such
    call; where libc has none, all file systems are synchronized.
    """
    import ctypes  # noqa: PLC0415 - only where there is much to be written

    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "syncfs"):
        os.sync()
    elif libc.syncfs(descriptor) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


FEW = 32
"""How many files are synchronized one by one: more are faster with all else on the file system."""


def sync_names(paths: Collection[str]) -> None:
    """Have on disk that there is something at these paths, or nothing; but `FEW` files' content."""
    directories: set[str] = set()
    for path in paths:
        above = os.path.dirname(path)
        while above not in directories:
            directories.add(above)
            above = os.path.dirname(above)
    devices = set()
    for place in directories:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), directory(place) as found:
            device = os.fstat(found).st_dev
            if len(paths) <= FEW:
                os.fsync(found)
            elif device not in devices:
                devices.add(device)
                sync_file_system(found)


def remove_unfinished(parent: int, *, among_others: bool = False) -> None:
    """Delete what a process that died left half written in `parent`.

    `among_others`: just what nobody else would call so, in a directory that isn't ours alone.
    """
    for name in os.listdir(parent):
        if _UNFINISHED.fullmatch(name) or (name.startswith(TEMPORARY) and not among_others):
            with contextlib.suppress(OSError):
                descriptor = open_file_at(parent, name)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(name, dir_fd=parent)
                finally:
                    os.close(descriptor)


def lock(
    descriptor: int, timeout: float, what: str, give_up: Callable[[], bool] = lambda: False
) -> None:
    """Take an exclusive flock(2), given back when the descriptor is closed.

    LockedError, naming `what`, after `timeout` seconds, or as soon as `give_up` says so.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline or give_up():
                raise LockedError(
                    f"another aptkeep is at work on {what}",
                    details=f"its lock was not free within {timeout:g} seconds; nothing was done",
                    resolution="wait for it to end and try again",
                ) from None
            time.sleep(0.05)
        else:
            return


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of it, in as many pieces as it takes."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]

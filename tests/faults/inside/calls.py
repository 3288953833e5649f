"""Every call by which Python changes a file system, wrapped: counted, journalled, and made to fail.

Installed once, before aptkeep is imported; asleep until `awake`. What is watched are the calls that
concern paths below `scopes`; what a call does to others is none of our business.
"""

from __future__ import annotations

import builtins
import errno
import io
import mmap
import os
import pickle
import signal
import stat
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

ERRORS = {name: getattr(errno, name) for name in ("ENOSPC", "EIO", "EROFS", "EDQUOT")}
_ALLOCATES = {"open", "write", "mkdir", "symlink", "link", "rename", "setxattr", "fsync", "syncfs"}
"""What can fail on a full disk; deleting and changing modes can't."""
_CREATES = os.O_CREAT | os.O_TRUNC
_LARGEST = 8 << 20


@dataclass(frozen=True)
class Fault:
    """What is to go wrong at the call of that number, counted from 0."""

    at: int
    kind: str
    """`before` or `after`: SIGKILL; or the name of an error."""
    lasting: bool = False
    """Whether all later calls on that file system that can fail so do so, too."""


@dataclass(frozen=True)
class Inode:
    """What is known of a file, a directory or a link: all but its names."""

    key: tuple[int, int]
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    content: bytes = b""
    """Of a link: where it leads."""
    capabilities: bytes = b""


@dataclass(frozen=True)
class Made:
    """A name that is new in a directory; `fresh` if the inode is new, too."""

    directory: tuple[int, int]
    name: str
    inode: Inode
    fresh: bool


@dataclass(frozen=True)
class Unmade:
    """A name that has gone."""

    directory: tuple[int, int]
    name: str


@dataclass(frozen=True)
class Moved:
    """A name that became another one."""

    directory: tuple[int, int]
    name: str
    into: tuple[int, int]
    new: str


@dataclass(frozen=True)
class Changed:
    """An inode that is another one now."""

    inode: Inode


@dataclass(frozen=True)
class Synced:
    """What is on disk now: an inode, or (None) everything."""

    key: tuple[int, int] | None


Effect = Made | Unmade | Moved | Changed | Synced


@dataclass(frozen=True)
class Call:
    """One call, and what it did; nothing where it failed by itself."""

    name: str
    path: str
    effects: tuple[Effect, ...] = ()


class _Real:
    """The functions as they were."""

    def __init__(self) -> None:
        for name in dir(os):
            setattr(self, name, getattr(os, name))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - it's only for the type checker
        raise AttributeError(name)


_os: Any = _Real()
_open = builtins.open


def inode(path: str | int) -> Inode:
    """An inode by path (links not followed) or descriptor."""
    found = _os.stat(path) if isinstance(path, int) else _os.lstat(path)
    content, capabilities = b"", b""
    if stat.S_ISLNK(found.st_mode):
        content = os.fsencode(str(_os.readlink(path)))
    elif stat.S_ISREG(found.st_mode):
        place = f"/proc/self/fd/{path}" if isinstance(path, int) else path
        with _open(place, "rb") as stream:
            content = stream.read(_LARGEST)
        try:
            capabilities = os.getxattr(place, "security.capability")
        except OSError:
            capabilities = b""
    key = (found.st_dev, found.st_ino)
    owner = (found.st_uid, found.st_gid)
    return Inode(key, found.st_mode, *owner, found.st_mtime_ns, content, capabilities)


class Watch:
    """The wrapped functions, and what is to happen in them."""

    def __init__(self, scopes: Iterable[str], journal: str) -> None:
        self._scopes = tuple(scopes)
        self._journal = journal
        self._count = mmap.mmap(-1, 16)  # shared with the children: hooks work in one
        self._fault: Fault | None = None
        self._awake = False

    def awake(self, scopes: Iterable[str], fault: Fault | None) -> None:
        """Begin to count and to note; and to let something go wrong."""
        self._scopes, self._fault = tuple(scopes), fault
        self._count[:16] = struct.pack("qq", 0, 0)
        with _open(self._journal, "wb"):
            _os.chmod(self._journal, 0o666)  # some calls are made as the home's owner
        self._awake = True

    def calls(self) -> list[Call]:
        """All that was noted."""
        found = []
        with _open(self._journal, "rb") as stream:
            while True:
                try:
                    found.append(pickle.load(stream))  # noqa: S301 - our own
                except EOFError:
                    return found

    # -- which calls concern us

    def within(self, path: str) -> bool:
        """Whether a path is below one of the scopes."""
        return any(path == scope or path.startswith(f"{scope}/") for scope in self._scopes)

    @staticmethod
    def _place(path: Any, dir_fd: int | None) -> str:  # noqa: ANN401 - whatever os takes
        if isinstance(path, int):
            return str(_os.readlink(f"/proc/self/fd/{path}"))
        name = os.fsdecode(path)
        if name.startswith("/proc/self/fd/"):
            return str(_os.readlink(name))
        if dir_fd is not None and not name.startswith("/"):
            name = os.path.join(_os.readlink(f"/proc/self/fd/{dir_fd}"), name)
        parent, last = os.path.split(os.path.abspath(name))
        return os.path.join(os.path.realpath(parent), last)

    # -- what happens to them

    def _pass(
        self,
        name: str,
        path: str,
        action: Callable[[], Any],
        effects: Callable[[], Iterable[Effect]],
    ) -> Any:  # noqa: ANN401 - what the function returns
        if not self._awake or not self.within(path):
            return action()
        number = struct.unpack("q", self._count[:8])[0]
        self._count[:8] = struct.pack("q", number + 1)
        fault = self._fault
        if fault is not None and fault.kind in ERRORS:
            device = _os.stat(os.path.dirname(path)).st_dev
            if number == fault.at:
                self._count[8:16] = struct.pack("q", device)
            again = fault.lasting and struct.unpack("q", self._count[8:16])[0] == device
            full = fault.kind in ("ENOSPC", "EDQUOT")
            if number == fault.at or (again and (name in _ALLOCATES or not full)):
                self._note(Call(name, path))
                raise OSError(ERRORS[fault.kind], os.strerror(ERRORS[fault.kind]), path)
        if fault == Fault(number, "before"):
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            result = action()
        except OSError:
            self._note(Call(name, path))
            raise
        self._note(Call(name, path, tuple(effects())))
        if fault == Fault(number, "after"):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    def _note(self, call: Call) -> None:
        descriptor = _os.open(self._journal, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        _os.write(descriptor, pickle.dumps(call))
        _os.close(descriptor)

    # -- the functions

    def install(self) -> None:
        """Put the wrapped functions in the place of the real ones."""
        for name in ("write", "pwrite", "writev", "ftruncate", "truncate", "posix_fallocate"):
            setattr(os, name, self._changing("write", getattr(_os, name)))
        for name in ("fchmod", "chmod"):
            setattr(os, name, self._changing("chmod", getattr(_os, name)))
        for name in ("fchown", "chown", "lchown"):
            setattr(os, name, self._changing("chown", getattr(_os, name)))
        for name in ("utime", "setxattr", "removexattr"):
            setattr(os, name, self._changing(name, getattr(_os, name)))
        for name in ("sendfile", "copy_file_range"):
            setattr(os, name, self._copying(getattr(_os, name), 0 if name == "sendfile" else 1))
        for name in ("fsync", "fdatasync"):
            setattr(os, name, self._syncing(getattr(_os, name)))
        for name, called in (("unlink", "unlink"), ("remove", "unlink"), ("rmdir", "rmdir")):
            setattr(os, name, self._unmaking(called, getattr(_os, name)))
        for name in ("rename", "replace"):
            setattr(os, name, self._moving(getattr(_os, name)))
        for name in ("mkdir", "mkfifo", "mknod"):
            setattr(os, name, self._making(name, getattr(_os, name)))
        os.symlink, os.link = self._symlink, self._link  # type: ignore[assignment]
        os.open = self._os_open  # type: ignore[assignment]
        builtins.open = io.open = self._open

    def syncing_all(self, real: Callable[[int], None]) -> Callable[[int], None]:
        """`files.sync_file_system`, wrapped."""

        def called(descriptor: int) -> None:
            path = self._place(descriptor, None)
            self._pass("syncfs", path, lambda: real(descriptor), lambda: [Synced(None)])

        return called

    def _changing(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def called(target: Any, *given: Any, **more: Any) -> Any:  # noqa: ANN401
            path = self._place(target, more.get("dir_fd"))
            if not self._awake or not self.within(path):
                return real(target, *given, **more)
            at = target if isinstance(target, int) else path
            return self._pass(
                name, path, lambda: real(target, *given, **more), lambda: [Changed(inode(at))]
            )

        return called

    def _copying(self, real: Callable[..., Any], position: int) -> Callable[..., Any]:
        def called(*given: Any, **more: Any) -> Any:  # noqa: ANN401
            into = given[position]
            return self._pass(
                "write",
                self._place(into, None),
                lambda: real(*given, **more),
                lambda: [Changed(inode(into))],
            )

        return called

    def _syncing(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def called(descriptor: int) -> None:
            self._pass(
                "fsync",
                self._place(descriptor, None),
                lambda: real(descriptor),
                lambda: [Synced(inode(descriptor).key)],
            )

        return called

    def _unmaking(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def called(target: Any, *, dir_fd: int | None = None) -> None:  # noqa: ANN401
            path = self._place(target, dir_fd)
            self._pass(
                name,
                path,
                lambda: real(target, dir_fd=dir_fd),
                lambda: [Unmade(_key(os.path.dirname(path)), os.path.basename(path))],
            )

        return called

    def _moving(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def called(
            old: Any,  # noqa: ANN401
            new: Any,  # noqa: ANN401
            *,
            src_dir_fd: int | None = None,
            dst_dir_fd: int | None = None,
        ) -> None:
            source, target = self._place(old, src_dir_fd), self._place(new, dst_dir_fd)

            def effects() -> Iterable[Effect]:
                above, into = os.path.dirname(source), os.path.dirname(target)
                names = (os.path.basename(source), os.path.basename(target))
                return [Moved(_key(above), names[0], _key(into), names[1])]

            self._pass(
                "rename",
                target,
                lambda: real(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd),
                effects,
            )

        return called

    def _making(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def called(target: Any, *given: Any, **more: Any) -> None:  # noqa: ANN401
            path = self._place(target, more.get("dir_fd"))
            self._pass(name, path, lambda: real(target, *given, **more), lambda: [_made(path)])

        return called

    def _symlink(self, leads_to: Any, target: Any, **more: Any) -> None:  # noqa: ANN401
        path = self._place(target, more.get("dir_fd"))
        self._pass(
            "symlink", path, lambda: _os.symlink(leads_to, target, **more), lambda: [_made(path)]
        )

    def _link(self, source: Any, target: Any, **more: Any) -> None:  # noqa: ANN401
        path = self._place(target, more.get("dst_dir_fd"))
        made = lambda: [_made(path, fresh=False)]  # noqa: E731 - as everywhere here
        self._pass("link", path, lambda: _os.link(source, target, **more), made)

    def _os_open(
        self,
        target: Any,  # noqa: ANN401
        flags: int,
        mode: int = 0o777,
        *,
        dir_fd: int | None = None,
    ) -> int:
        if not self._awake or not flags & _CREATES:
            return int(_os.open(target, flags, mode, dir_fd=dir_fd))
        path = self._place(target, dir_fd)
        was_there = os.path.lexists(path)

        def effects() -> Iterable[Effect]:
            if not was_there:
                return [_made(path)]
            return [Changed(inode(path))] if flags & os.O_TRUNC else []

        def action() -> int:
            return int(_os.open(target, flags, mode, dir_fd=dir_fd))

        return int(self._pass("open", path, action, effects))

    def _open(self, file: Any, mode: str = "r", *given: Any, **more: Any) -> Any:  # noqa: ANN401
        """A file object whose writes come through `os.write`, where that could concern us."""
        writes = not {"w", "x", "a", "+"}.isdisjoint(mode)
        if not self._awake or isinstance(file, int) or not writes:
            return _open(file, mode, *given, **more)
        if not self.within(self._place(file, None)):
            return _open(file, mode, *given, **more)
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        flags |= {"w": os.O_TRUNC, "x": os.O_EXCL, "a": os.O_APPEND}[mode.strip("bt+")]
        raw = _Raw(os.open(file, flags, 0o666))
        stream = io.BufferedWriter(raw)
        if "b" in mode:
            return stream
        return io.TextIOWrapper(stream, more.get("encoding"), more.get("errors"))


class _Raw(io.RawIOBase):
    """A descriptor to write to."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, content: Any, /) -> int:  # noqa: ANN401 - any buffer
        return os.write(self._descriptor, content)

    def close(self) -> None:
        if not self.closed:
            try:
                super().close()
            finally:
                os.close(self._descriptor)


def _key(path: str) -> tuple[int, int]:
    found = _os.stat(path)
    return (found.st_dev, found.st_ino)


def _made(path: str, *, fresh: bool = True) -> Made:
    return Made(_key(os.path.dirname(path)), os.path.basename(path), inode(path), fresh)

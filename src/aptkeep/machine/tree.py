"""Looking at the paths of `Aptkeep::Keep` on this root. On the hook path, where paths are kept.

Whoever owns a directory may change what is in it while we look. So every directory is opened
relative to its parent, no link is followed, and what counts is what the open descriptor says.
"""

from __future__ import annotations

import errno
import fnmatch
import grp
import hashlib
import os
import pwd
import re
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from aptkeep import files
from aptkeep.machine import mounts
from aptkeep.model import Node, NodeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LIMIT = 200_000
"""How many paths are looked at, and how many names one directory may have."""
DEPTH = 200
"""How many directories deep."""
CAPABILITIES = "security.capability"
TEMPORARY = ".aptkeep-"
"""How the name of a path begins that a restore hasn't finished."""
_BYPRODUCTS = (".dpkg-new", ".dpkg-tmp", ".dpkg-dist", ".ucf-new", ".ucf-dist")
"""How what dpkg and ucf leave beside a configuration file ends: a package has it, or will."""
_TOO_MANY = "there are over {} files"
_CHANGING = "it changes while it is looked at"


class Seen(NamedTuple):
    """What lstat(2) says of a path. The kernel changes `ctime_ns` with whatever is changed."""

    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @property
    def kind(self) -> NodeKind | None:
        """None for a device, a fifo or a socket."""
        return _KINDS.get(stat.S_IFMT(self.mode))


_KINDS = {
    stat.S_IFREG: NodeKind.FILE,
    stat.S_IFLNK: NodeKind.LINK,
    stat.S_IFDIR: NodeKind.DIRECTORY,
}


@dataclass
class Scan:
    """All there is below some directories, themselves included."""

    paths: dict[str, Seen] = field(default_factory=dict)
    unseen: dict[str, str] = field(default_factory=dict)
    """Directories that could not be looked into, and why. What is in them is unknown."""
    elsewhere: set[str] = field(default_factory=set)
    """What is mounted there, and doesn't go with the root."""
    sha256: str = ""
    """Of all paths and when they were changed: the same as long as nothing is changed."""


class ChangingError(OSError):
    """A file was changed while it was read, or isn't what it was a moment ago."""


class Scanner:
    """One walk over some directories."""

    def __init__(self, excluded: Callable[[str], bool]) -> None:
        self._excluded = excluded
        self._found = Scan()
        self._digest = hashlib.sha256()
        self._device, self._mounts = _device_of_root(), mount_points()

    def scan(self, roots: Iterable[str]) -> Scan:
        """Look at everything below each of `roots`, which need not be there.

        They are as `resolved` gives them.
        """
        for root in roots:
            try:
                with parent(root) as (above, name):
                    self._enter(above, name, root, depth=0)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                self._leave_out(root, error.strerror or str(error))
        self._found.sha256 = self._digest.hexdigest()
        return self._found

    def _enter(self, parent: int, name: str, path: str, *, depth: int) -> None:
        """Take `name` in `parent`, and what is below it."""
        passing = name.startswith(TEMPORARY) or name.endswith(_BYPRODUCTS)
        if passing or self._excluded(path):
            return
        try:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return
        except OSError as error:  # such as a FUSE file system of a user's, closed even to root
            self._leave_out(path, error.strerror or str(error))
            return
        directory = stat.S_ISDIR(status.st_mode)
        # Of a device only directories tell: overlayfs shows files with that of their layer.
        if path in self._mounts or (directory and status.st_dev != self._device):
            self._found.elsewhere.add(path)
            return
        if self._full:
            self._leave_out(path, _TOO_MANY.format(LIMIT))
            return
        self._found.paths[path] = _seen(status)
        # A directory changes with each name in it, which is seen by itself.
        changed = (
            (status.st_mode, status.st_uid, status.st_gid) if directory else status.st_ctime_ns
        )
        self._digest.update(f"{path}\0{changed}\0".encode("utf-8", "surrogateescape"))
        if directory:
            self._descend(parent, name, path, depth)

    def _descend(self, parent: int, name: str, path: str, depth: int) -> None:
        if depth >= DEPTH:
            self._leave_out(path, f"it is over {DEPTH} directories deep")
            return
        try:
            descriptor = files.open_directory_at(parent, name)
        except OSError as error:
            swapped = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
            self._leave_out(path, _CHANGING if swapped else error.strerror or str(error))
            return
        try:
            try:
                with os.scandir(descriptor) as entries:
                    names = sorted(entry.name for entry in islice(entries, LIMIT + 1))
            except OSError as error:
                self._leave_out(path, error.strerror or str(error))
                return
            if len(names) > LIMIT:
                self._leave_out(path, f"it holds over {LIMIT} names")
                return
            for entry in names:
                if self._full:  # of a million files, no further one is looked at
                    self._leave_out(path, _TOO_MANY.format(LIMIT))
                    return
                self._enter(descriptor, entry, f"{path}/{entry}", depth=depth + 1)
        finally:
            os.close(descriptor)

    @property
    def _full(self) -> bool:
        return len(self._found.paths) >= LIMIT

    def _leave_out(self, path: str, reason: str) -> None:
        self._found.unseen.setdefault(path, reason)
        self._digest.update(f"{path}\0unseen\0".encode("utf-8", "surrogateescape"))


def exclusion(patterns: Iterable[str], never: Iterable[str]) -> Callable[[str], bool]:
    """Whether a path, or one above it, matches a shell pattern or is one of the paths `never`."""
    both = [form for pattern in patterns for form in (pattern, f"{pattern.rstrip('/')}/*")]
    expression = re.compile("|".join(map(fnmatch.translate, both)) or r"\Z.")
    paths = tuple(f"{path}/" for path in never)
    return lambda path: f"{path}/".startswith(paths) or expression.match(path) is not None


def resolved(roots: Iterable[str]) -> list[str]:
    """The directories to look into: links on the way to them followed, none inside another."""
    real = {
        os.path.join(os.path.realpath(os.path.dirname(root)), os.path.basename(root))
        for root in roots
    }
    return sorted(r for r in real if not any(r.startswith(f"{other}/") for other in real))


def look(path: str) -> Seen | None:
    """What is at a path, reached without following links; None where nothing is.

    Raises PermissionError where only others may know.
    """
    try:
        with parent(path) as (above, name):
            return _seen(os.stat(name, dir_fd=above, follow_symlinks=False))
    except PermissionError:
        raise
    except OSError:
        return None


def is_elsewhere(directory: str) -> bool:
    """Whether what is, or would be, in a directory doesn't go with the root: it's mounted there."""
    points, place = mount_points(), directory
    while place != "/":
        if place in points:
            return True
        place = os.path.dirname(place)
    while directory != "/":
        with suppress(OSError), parent(directory) as (above, name):
            found = os.stat(name, dir_fd=above, follow_symlinks=False)
            if is_directory(found):
                return found.st_dev != _device_of_root()
        directory = os.path.dirname(directory)
    return False


def is_closed(directory: str) -> bool:
    """Whether what is in a directory is closed to others than its owner's group, by one above."""
    while directory != "/":
        if not os.stat(directory, follow_symlinks=False).st_mode & stat.S_IXOTH:
            return True
        directory = os.path.dirname(directory)
    return False


def mount_points() -> frozenset[str]:
    """Where something is mounted, be it a single file; but for `/`."""
    return frozenset(mounts.read().points)


def _device_of_root() -> int:
    return os.stat("/").st_dev


@contextmanager
def opened(path: str, seen: Seen) -> Iterator[int]:
    """A descriptor, for reading, of the regular file that was `seen`; ChangingError if it isn't."""
    try:
        with parent(path) as (above, name):
            descriptor = files.open_file_at(above, name)
    except OSError as error:
        raise ChangingError(error.errno, "it changes while it is read", path) from error
    try:
        check_unchanged(descriptor, path, seen)
        yield descriptor
    finally:
        os.close(descriptor)


def check_unchanged(descriptor: int, path: str, seen: Seen) -> None:
    """Raise ChangingError unless an open file is what was `seen`, up to now."""
    if _seen(os.fstat(descriptor)) != seen:
        raise ChangingError(errno.EAGAIN, "it changes while it is read", path)


def capabilities(descriptor: int) -> str:
    """The security.capability attribute of an open file in hexadecimal; empty where it has none."""
    try:
        return os.getxattr(descriptor, CAPABILITIES).hex()
    except OSError:
        return ""


def node(path: str, seen: Seen, sha256: str | None = None, capable: str = "") -> Node | None:
    """What was seen as what is kept; None for what can't be. A file's content comes with it."""
    kind = seen.kind
    if kind is None:
        return None
    owner, group = owner_name(seen.uid), group_name(seen.gid)
    if kind is NodeKind.LINK:
        try:
            with parent(path) as (above, name):
                target = os.readlink(name, dir_fd=above)
        except OSError as error:
            raise ChangingError(error.errno, "it changes while it is read", path) from error
        return Node(kind, owner=owner, group=group, target=target)
    mode = stat.S_IMODE(seen.mode)
    if kind is NodeKind.DIRECTORY:
        return Node(kind, mode, owner, group)
    return Node(
        kind, mode, owner, group, sha256, None, capable, size=seen.size, mtime_ns=seen.mtime_ns
    )


def is_directory(status: os.stat_result) -> bool:
    """Whether it's a directory, and no link to one."""
    return stat.S_ISDIR(status.st_mode)


@lru_cache(maxsize=256)
def owner_name(uid: int) -> str:
    """The account of a uid; its number where there's none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@lru_cache(maxsize=256)
def group_name(gid: int) -> str:
    """The group of a gid; its number where there's none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


@contextmanager
def parent(path: str) -> Iterator[tuple[int, str]]:
    """A descriptor of the directory that a path is in, no link followed; and its last name."""
    *parents, name = path.split("/")[1:]
    descriptor = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parents:
            inner = files.open_directory_at(descriptor, part)
            os.close(descriptor)
            descriptor = inner
        yield descriptor, name
    finally:
        os.close(descriptor)


def _seen(status: os.stat_result) -> Seen:
    return Seen(
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )

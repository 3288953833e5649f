"""Making paths of `Aptkeep::Keep` what they were. Off the hook path.

Everything is made under a name of its own, relative to an open directory, and renamed when it is
whole: a crash leaves the old or the new, and no link that somebody planted leads us elsewhere.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import hashlib
import os
import pwd
import re
import stat
from typing import TYPE_CHECKING

from aptkeep import files
from aptkeep.errors import CorruptError
from aptkeep.machine import tree
from aptkeep.model import NodeKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aptkeep.model import Node

_UNFINISHED = re.compile(rf"{re.escape(tree.TEMPORARY)}[0-9a-f]{{16}}")
_NOBODY = (1 << 32) - 1
"""What chown(2) takes for "leave it"."""
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def put(path: str, node: Node, source: int = -1, *, synced: bool = True) -> int:
    """Make a path what `node` says, a file of what the descriptor `source` holds.

    Returns the time of its last change, nanoseconds since 1970. What is in the way goes, but for a
    directory that isn't empty. If `synced`, a file or directory itself is on disk then.

    Raises OSError, and CorruptError where the content is another one.
    """
    if node.kind is not NodeKind.DIRECTORY:
        uid, gid = _uid(node.owner), _gid(node.group)
    with _parent(path) as (parent, name):
        if node.kind is NodeKind.DIRECTORY:
            _put_directory(parent, name, node, synced=synced)
        else:
            temporary = f"{tree.TEMPORARY}{os.urandom(8).hex()}"
            try:
                if node.kind is NodeKind.LINK:
                    os.symlink(str(node.target), temporary, dir_fd=parent)
                    _give_link(parent, temporary, path, uid, gid)
                else:
                    _write(parent, temporary, path, node, source, uid, gid, synced=synced)
                _rename(parent, temporary, name)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=parent)
                raise
        return os.stat(name, dir_fd=parent, follow_symlinks=False).st_ctime_ns


def delete(path: str) -> None:
    """Delete what is at a path, which may be gone; a directory only if nothing is in it."""
    with contextlib.suppress(FileNotFoundError), tree.parent(path) as (parent, name):
        try:
            os.unlink(name, dir_fd=parent)
        except (IsADirectoryError, PermissionError):
            os.rmdir(name, dir_fd=parent)


def remove_unfinished(directory: str) -> None:
    """Delete what a restore that died left in a directory, under a name of ours."""
    with contextlib.suppress(OSError), tree.parent(f"{directory}/.") as (descriptor, _name):
        for name in os.listdir(descriptor):
            if _UNFINISHED.fullmatch(name):
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=descriptor)


def _put_directory(parent: int, name: str, node: Node, *, synced: bool) -> None:
    """Make a directory; where its owner isn't known here, what it's to hold is closed to others."""
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not tree.is_directory(found):
            os.unlink(name, dir_fd=parent)
            os.mkdir(name, 0o700, dir_fd=parent)
    descriptor = files.open_directory_at(parent, name)
    try:
        os.fchown(descriptor, _uid(node.owner), _gid(node.group))
        os.fchmod(descriptor, node.mode)
        if synced:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _give_link(parent: int, name: str, path: str, uid: int, gid: int) -> None:
    """Give a new link to its owner: it and nothing that was put in its place since."""
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        if not stat.S_ISLNK(os.fstat(descriptor).st_mode):
            raise OSError(errno.EAGAIN, "its directory changes while it is put back", path)
        os.chown(f"/proc/self/fd/{descriptor}", uid, gid)  # fchown(2) refuses such a descriptor
    finally:
        os.close(descriptor)


def _write(  # noqa: PLR0917 - each is a different thing
    parent: int,
    temporary: str,
    path: str,
    node: Node,
    source: int,
    uid: int,
    gid: int,
    *,
    synced: bool,
) -> None:
    descriptor = os.open(temporary, _CREATE, 0o600, dir_fd=parent)
    try:
        digest = hashlib.sha256()
        while piece := os.read(source, 1 << 20):
            digest.update(piece)
            files.write_all(descriptor, piece)
        if digest.hexdigest() != node.sha256:
            raise CorruptError(
                f"the kept copy of {path} is not what was recorded",
                details=f"its SHA-256 is {digest.hexdigest()}, recorded was {node.sha256}; {path} "
                "was not put back",
                resolution=f"write {path} again and run 'aptkeep record'",
            )
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, node.mode)  # after the owner, whose change takes setuid away
        if node.capabilities:
            os.setxattr(descriptor, tree.CAPABILITIES, bytes.fromhex(node.capabilities))
        os.utime(descriptor, ns=(node.mtime_ns, node.mtime_ns))
        if synced:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rename(parent: int, temporary: str, name: str) -> None:
    try:
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    except IsADirectoryError:
        os.rmdir(name, dir_fd=parent)
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)


@contextlib.contextmanager
def _parent(path: str) -> Iterator[tuple[int, str]]:
    """The directory that a path is in, made where there's none, and its last name."""
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(tree.parent(path))
        except FileNotFoundError:
            _make_directory(os.path.dirname(path))
            found = stack.enter_context(tree.parent(path))
        yield found


def _make_directory(path: str) -> None:
    """Make a directory, and those above it, for root."""
    with _parent(path) as (above, name), contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=above)
        descriptor = files.open_directory_at(above, name)
        try:
            os.fchmod(descriptor, 0o755)  # whatever the umask
        finally:
            os.close(descriptor)


def _uid(name: str) -> int:
    number = _number(name)
    if number is not None:
        return number
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise OSError(errno.ENOENT, f"this machine has no user {name}, who owns it") from None


def _gid(name: str) -> int:
    number = _number(name)
    if number is not None:
        return number
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise OSError(errno.ENOENT, f"this machine has no group {name}, which owns it") from None


def _number(name: str) -> int | None:
    """The uid or gid that stands for an account without a name."""
    number = int(name) if name.isascii() and name.isdecimal() else -1
    return number if 0 <= number < _NOBODY else None

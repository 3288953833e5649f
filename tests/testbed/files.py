"""Reading and writing a booted root's files from this machine without leaving the root.

Through /proc/PID/root an absolute symlink resolves against *this machine's* root: reading
`/proc/PID/root/etc/x` where x is a link to /etc/shadow reads our own shadow. Every path here is
opened with RESOLVE_IN_ROOT instead, as a process inside the root would open it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from testbed import commands, kernel


@contextlib.contextmanager
def opened_root(path: Path) -> Iterator[int]:
    """A directory descriptor of a root, such as /proc/PID/root, closed at the end."""
    descriptor = os.open(path, kernel.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read(root: int, path: str) -> bytes:
    """The content of a file. Raises OSError as `open` inside the root would."""
    with open(kernel.open_in_root(root, path, os.O_RDONLY), "rb") as file:
        return file.read()


def exists(root: int, path: str) -> bool:
    """Whether `path` leads to anything inside the root; a dangling symlink does not."""
    try:
        os.close(kernel.open_in_root(root, path, kernel.O_PATH))
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def status(root: int, path: str) -> os.stat_result:
    """What stat(2) would say inside the root."""
    descriptor = kernel.open_in_root(root, path, kernel.O_PATH)
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def write(root: int, path: str, content: bytes, mode: int, owner: tuple[int, int]) -> None:
    """Write a file that gets `mode` and `owner` (uid, gid), and the directories that lead to it.

    An existing file is overwritten in place, directories that were missing get 0755 and `owner`.
    """
    make_directory(root, os.fspath(PurePosixPath("/", path).parent), owner)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with open(kernel.open_in_root(root, path, flags, mode), "wb") as file:
        file.write(content)
        os.fchown(file.fileno(), *owner)
        os.fchmod(file.fileno(), mode)


def make_directory(root: int, path: str, owner: tuple[int, int]) -> None:
    """Make a directory and those above it that are missing, with mode 0755."""
    at = PurePosixPath("/")
    for part in PurePosixPath("/", path).parts[1:]:
        parent, at = at, at / part
        if exists(root, os.fspath(at)):
            continue
        descriptor = kernel.open_in_root(root, os.fspath(parent), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.mkdir(part, dir_fd=descriptor)
            os.chown(part, *owner, dir_fd=descriptor, follow_symlinks=False)
            os.chmod(part, 0o755, dir_fd=descriptor)  # noqa: S103  (as any root has them)
        finally:
            os.close(descriptor)


def copy_in(root: int, host_path: Path, path: str, owner: tuple[int, int]) -> None:
    """Copy a file or a directory tree of this machine to `path`, modes kept, owner set.

    Symlinks in a tree are refused with ValueError: nothing here needs them, and following them
    would copy what nobody named.
    """
    state = host_path.lstat()
    if stat.S_ISREG(state.st_mode):
        write(root, path, host_path.read_bytes(), stat.S_IMODE(state.st_mode), owner)
    elif stat.S_ISDIR(state.st_mode):
        make_directory(root, path, owner)
        for child in sorted(host_path.iterdir()):
            copy_in(root, child, f"{path.rstrip('/')}/{child.name}", owner)
    else:
        raise ValueError(f"{host_path} is neither a file nor a directory")


def mounts_below(path: Path) -> list[str]:
    """This machine's mount points at or below `path`."""
    wanted = os.path.realpath(path)
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            # Field 5 is the mount point, with blanks and the like as octal escapes.
            escaped = line.split(" ")[4]
            point = escaped.encode(errors="surrogateescape").decode("unicode_escape")
            if point == wanted or point.startswith(wanted.rstrip("/") + "/"):
                found.append(point)
    return found


def remove_tree(path: Path) -> None:
    """Remove a tree that may have been part of a root, and never anything through a mount.

    Looks at the mount table first and raises RuntimeError if anything is mounted there; rm stays
    on one file system besides. A tree that isn't there is fine.
    """
    if not path.is_symlink() and not path.exists():
        return
    mounted = mounts_below(path)
    if mounted:
        raise RuntimeError(f"not removed, because it holds mounts: {path} ({', '.join(mounted)})")
    commands.run("rm", "-rf", "--one-file-system", "--", path)

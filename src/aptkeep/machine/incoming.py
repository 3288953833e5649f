"""The .deb files that were handed to dpkg, and wait on the root to be pooled.

Each is one entry: a hard link to an archive that apt fetched, which outlives apt's cache, or a
symbolic link to a file that somebody named, which stays where it is. Both are whole the moment
they're there, so there's nothing to repair after a crash. A local file that has to wait longer is
copied.

On the path of `DPkg::Pre-Install-Pkgs`, which is apt's hottest: the standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

DIRECTORY = "incoming"
"""Below aptkeep's state directory."""
BESIDE = "aptkeep"
"""A directory in apt's cache of archives, for links where the cache is a file system of its own.

apt-get(8) clean and its like look at the files beside it only.
"""
_ENTRY, _COPY = re.compile(r"[0-9]+(\.copy)?"), ".copy"
_MAGIC = b"!<arch>\n"
_MOST = 10_000
"""Files and directories of one `dpkg --recursive` that are looked at."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file that was handed to dpkg. It need not be a package, nor need it be there any more."""

    entry: str
    """Its path in the incoming directory."""
    path: str
    """Where it lay when it was handed to dpkg; for what apt fetched, its entry."""
    fetched: bool
    """Whether apt fetched it, so that a repository had it; else somebody named a file."""


def of_protocol(protocol: Iterable[str]) -> list[str]:
    """The .deb files that apt is about to install, from its hook protocol, version 3 (apt.conf(5)).

    After the configuration and an empty line, each package is a line: name, old version,
    architecture and Multi-Arch, `<` or the like, the same of the new one, and the file.
    """
    lines = iter(protocol)
    for line in lines:
        if not line:
            break
    rest = [line.split(" ", 8)[8:] for line in lines]
    return [path for words in rest for path in words if path.startswith("/")]


def of_dpkg(pid: int) -> list[str]:
    """The files on the command line of a dpkg, `--recursive` directories looked through."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            words = [os.fsdecode(word) for word in stream.read().split(b"\0")[1:] if word]
        here = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return []
    recursive = any(word == "--recursive" or (word[:1] == "-" and "R" in word) for word in words)
    found: list[str] = []
    for word in words:
        path = os.path.join(here, word)
        if word.startswith("-"):
            continue
        if os.path.isdir(path):
            found += _below(path) if recursive else []
        elif os.path.exists(path):
            found.append(path)
    return found[:_MOST]


def _below(directory: str) -> list[str]:
    """The .deb files below a directory, links to directories followed once, as dpkg does."""
    found: list[str] = []
    seen: set[tuple[int, int]] = set()
    for place, directories, names in os.walk(directory, followlinks=True):
        try:
            here = os.stat(place)
        except OSError:
            continue
        if (here.st_dev, here.st_ino) in seen or len(seen) > _MOST:
            directories.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        found += [os.path.join(place, name) for name in sorted(names) if name.endswith(".deb")]
    return found


def catch(state: str, paths: Iterable[str], *, archives: str = "") -> None:
    """Make an entry of each file; those in the directory `archives` are apt's own."""
    incoming = os.path.join(state, DIRECTORY)
    os.makedirs(incoming, mode=0o700, exist_ok=True)
    number = time.time_ns()
    for path in paths:
        while True:
            number += 1
            try:
                _catch(path, os.path.join(incoming, str(number)), archives)
            except FileExistsError:
                continue
            except OSError:
                pass
            break


def _catch(path: str, entry: str, archives: str) -> None:
    if is_fetched(path, archives) and not os.path.islink(path):
        try:
            os.link(path, entry)
        except FileExistsError:
            raise
        except OSError:  # it lies on another file system
            beside = os.path.join(archives, BESIDE)
            with contextlib.suppress(OSError):
                os.makedirs(beside, mode=0o700, exist_ok=True)
                os.link(path, os.path.join(beside, os.path.basename(entry)))
                path = os.path.join(beside, os.path.basename(entry))
        else:
            return
    os.symlink(path, entry)


def is_fetched(path: str, archives: str) -> bool:
    """Whether a file lies in apt's cache of archives, so that apt fetched it."""
    cache = archives.rstrip("/")
    return os.path.dirname(os.path.normpath(path)) in (cache, os.path.join(cache, BESIDE))


def take_in(file: Waiting, descriptor: int) -> None:
    """Copy what a local entry leads to onto the root, where only root can change it.

    For a file that has to wait longer than the command that installed it. OSError where there's
    no room for it.
    """
    if file.entry.endswith(_COPY):
        return
    room = os.statvfs(os.path.dirname(file.entry))
    if os.fstat(descriptor).st_size > room.f_bavail * room.f_frsize // 2:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    import shutil  # noqa: PLC0415 - brings all compressions, and is hardly ever needed

    temporary = f"{file.entry}.new"
    try:
        with open(descriptor, "rb", closefd=False) as source, open(temporary, "wb") as copy:
            source.seek(0)
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        os.rename(temporary, file.entry + _COPY)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    above = os.open(os.path.dirname(file.entry), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(above)  # before the only other way to it goes
    finally:
        os.close(above)
    os.unlink(file.entry)


def waiting(state: str, archives: str) -> list[Waiting]:
    """What waits, oldest first. Entries vanish while another process pools them."""
    incoming = os.path.join(state, DIRECTORY)
    try:
        names = sorted(name for name in os.listdir(incoming) if _ENTRY.fullmatch(name))
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        entry = os.path.join(incoming, name)
        try:
            path = os.readlink(entry)
        except FileNotFoundError:
            continue
        except OSError:  # EINVAL: it's no symbolic link
            found.append(Waiting(entry, entry, fetched=not name.endswith(_COPY)))
        else:
            found.append(Waiting(entry, path, is_fetched(path, archives)))
    return found


def count(state: str) -> int:
    """How many files wait; 0 also for who may not see it."""
    try:
        names = os.listdir(os.path.join(state, DIRECTORY))
    except (FileNotFoundError, PermissionError):
        return 0
    return sum(_ENTRY.fullmatch(name) is not None for name in names)


def open_deb(file: Waiting, *, of_root: bool = False) -> int | None:
    """A descriptor of a regular file that begins as a .deb does (deb(5)); None for anything else.

    A fifo or a device is not waited for. `of_root`: only what nobody but root could have written.
    """
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    found = os.fstat(descriptor)
    trusted = found.st_uid == 0 and not found.st_mode & 0o022
    if stat.S_ISREG(found.st_mode) and (trusted or not of_root):
        with contextlib.suppress(OSError):
            if os.pread(descriptor, len(_MAGIC), 0) == _MAGIC:
                return descriptor
    os.close(descriptor)
    return None


def done(file: Waiting) -> None:
    """Drop an entry: it's pooled, or is none of ours."""
    beside = f"/{BESIDE}/{os.path.basename(file.entry)}"
    other = file.path if file.path.endswith(beside) else f"{file.entry}.new"
    for path in (file.entry, other):
        with contextlib.suppress(OSError):  # gone, or a root that nobody can write to
            os.unlink(path)

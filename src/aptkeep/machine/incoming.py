"""The .deb files that were handed to dpkg, and wait on the root to be pooled.

Each is one entry: a hard link to an archive that apt fetched, which outlives apt's cache, or a
symbolic link to a file that somebody named, which stays where it is. Both are whole the moment
they're there, so there's nothing to repair after a crash.

On the path of `DPkg::Pre-Install-Pkgs`, which is apt's hottest: the standard library only.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

DIRECTORY = "incoming"
"""Below aptkeep's state directory."""
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
        here = os.stat(place)
        if (here.st_dev, here.st_ino) in seen or len(seen) > _MOST:
            directories.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        found += [os.path.join(place, name) for name in sorted(names) if name.endswith(".deb")]
    return found


def catch(state: str, paths: Iterable[str], *, archives: str = "") -> None:
    """Make an entry of each file; those below the directory `archives` are apt's own.

    What can't be linked, because it lies on another file system, is an entry by its path.
    """
    incoming = os.path.join(state, DIRECTORY)
    os.makedirs(incoming, mode=0o700, exist_ok=True)
    number = max((int(name) for name in os.listdir(incoming) if name.isdigit()), default=0)
    for path in paths:
        number += 1
        entry = os.path.join(incoming, f"{number:09d}")
        with contextlib.suppress(OSError):
            if archives and path.startswith(archives) and not os.path.islink(path):
                with contextlib.suppress(OSError):
                    os.link(path, entry)
                    continue
            os.symlink(path, entry)


def waiting(state: str, archives: str) -> list[Waiting]:
    """What waits, oldest first. Entries vanish while another process pools them."""
    incoming = os.path.join(state, DIRECTORY)
    try:
        names = sorted(name for name in os.listdir(incoming) if name.isdigit())
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        entry = os.path.join(incoming, name)
        try:
            path = os.readlink(entry)
        except FileNotFoundError:
            continue
        except OSError:  # EINVAL: a hard link
            found.append(Waiting(entry, entry, fetched=True))
        else:
            found.append(Waiting(entry, path, fetched=path.startswith(archives)))
    return found


def any_waiting(state: str) -> bool:
    """Whether anything waits."""
    try:
        return any(name.isdigit() for name in os.listdir(os.path.join(state, DIRECTORY)))
    except FileNotFoundError:
        return False


def open_deb(file: Waiting) -> int | None:
    """A descriptor of a regular file that begins as a .deb does (deb(5)); None for anything else.

    A fifo or a device is not waited for.
    """
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        with contextlib.suppress(OSError):
            if os.pread(descriptor, len(_MAGIC), 0) == _MAGIC:
                return descriptor
    os.close(descriptor)
    return None


def done(file: Waiting) -> None:
    """Drop an entry: it's pooled, or is none of ours."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(file.entry)

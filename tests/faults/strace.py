"""What strace(1) saw of the calls by which a process changes a file system."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence

_CHANGES = {
    "write": ("write", "pwrite64", "writev", "sendfile", "ftruncate", "truncate", "fallocate"),
    "chmod": ("fchmod", "chmod", "fchmodat", "fchmodat2"),
    "chown": ("fchown", "chown", "lchown", "fchownat"),
    "utime": ("utimensat",),
    "setxattr": ("fsetxattr", "setxattr", "lsetxattr"),
    "removexattr": ("fremovexattr", "removexattr", "lremovexattr"),
    "fsync": ("fsync", "fdatasync"),
    "syncfs": ("syncfs",),
    "unlink": ("unlink", "unlinkat"),
    "rmdir": ("rmdir",),
    "mkdir": ("mkdir", "mkdirat"),
    "mknod": ("mknod", "mknodat"),
    "rename": ("rename", "renameat", "renameat2"),
    "symlink": ("symlink", "symlinkat"),
    "link": ("link", "linkat"),
    "open": ("openat", "open", "creat"),
}
_BY_DESCRIPTOR = (
    *("write", "pwrite64", "writev", "sendfile", "ftruncate", "fallocate", "fchmod", "fchown"),
    *("fsetxattr", "fremovexattr", "fsync", "fdatasync", "syncfs"),
)
_FORKS = ("clone", "clone3", "fork", "vfork")
_OTHERS = ("copy_file_range", "execve", "sync", *_FORKS)
_NAMES = {call: name for name, calls in _CHANGES.items() for call in calls}
TRACED = ",".join((*_NAMES, *_OTHERS))
"""For `strace --trace`."""

_LINE = re.compile(r"(\d+) +(.*)")
_CALL = re.compile(r"(\w+)\((.*)\) += (.*)")
_PLACE = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>)?(?:, )?(?:"((?:[^"\\]|\\.)*)")?')


def arguments(log: str) -> list[str]:
    """The beginning of a command line, up to the program."""
    what = ("--follow-forks", "--decode-fds=path", "--string-limit=400", "--quiet=all")
    return ["strace", *what, f"--trace={TRACED}", f"--output={log}"]


def changes(log: Sequence[str], scopes: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each change below `scopes`, by name and path, but for what other programs do.

    Raises ValueError for a line that isn't one of strace's.
    """
    calls = list(_calls(log))
    ours = _ours(calls)
    opened: dict[str, str] = {}
    for pid, call, given, result in calls:
        if pid not in ours or call == "execve" or call in _FORKS:
            continue
        name, path = _change(call, given, opened)
        found = re.match(r"(\d+)<(.*)>", result)
        if found:
            opened[found[1]] = found[2]
        if any(path == scope or path.startswith(f"{scope}/") for scope in scopes):
            yield name, path


def _ours(calls: Iterable[tuple[int, str, str, str]]) -> set[int]:
    """The first process, and those that came of it and never became another program."""
    parents: dict[int, int] = {}
    programs: list[int] = []
    for pid, call, _given, result in calls:
        if call == "execve" and result.startswith("0"):
            programs.append(pid)
        elif call in _FORKS and result.isdecimal():
            parents[int(result)] = pid
    first, others = programs[0], set(programs[1:])

    def is_ours(pid: int) -> bool:
        return pid == first or (pid not in others and pid in parents and is_ours(parents[pid]))

    return {pid for pid in {first, *parents} if is_ours(pid)}


def _calls(log: Iterable[str]) -> Iterator[tuple[int, str, str, str]]:
    """Process, call, arguments and result; what was interrupted by others is put together."""
    begun: dict[str, str] = {}
    for line in log:
        found = _LINE.match(line.rstrip("\n"))
        if found is None:
            raise ValueError(line)
        pid, text = found[1], found[2]
        if text.endswith("<unfinished ...>"):
            begun[pid] = text.removesuffix("<unfinished ...>").rstrip()
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>,? ?(.*)", text)
        if resumed:
            text = begun.pop(pid) + resumed[1]
        parsed = _CALL.fullmatch(text)
        if parsed is not None:
            yield int(pid), parsed[1], parsed[2], parsed[3]


def _change(call: str, given: str, opened: dict[str, str]) -> tuple[str, str]:
    name = _NAMES.get(call, "write")
    if call == "openat" and not re.search(r"O_CREAT|O_TRUNC", given):
        return name, ""
    if call == "unlinkat" and "AT_REMOVEDIR" in given:
        name = "rmdir"
    if call in _BY_DESCRIPTOR:
        found = re.match(r"\d+<(.*?)>", given)
        return name, found[1] if found else ""
    places = [_joined(*match) for match in _PLACE.findall(given) if match != ("", "")]
    # What is made, or moved, is named last; a link's own text may stand before it.
    last = call in ("copy_file_range", "rename", "renameat", "renameat2", "link", "linkat")
    place = places[-1] if last or "symlink" in call else places[0] if places else ""
    descriptor = re.fullmatch(r"/proc/self/fd/(\d+)", place)
    if descriptor:
        place = opened.get(descriptor[1], "")
    return name, place


def _joined(directory: str, name: str) -> str:
    return os.path.normpath(os.path.join(directory, name)) if name else directory

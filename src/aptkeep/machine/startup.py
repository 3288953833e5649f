"""How this machine starts: its process 1, and whether anything of that calls aptkeep."""

from __future__ import annotations

import contextlib
import os
import re
import time
from typing import TYPE_CHECKING

from aptkeep.machine.state import Start

if TYPE_CHECKING:
    from collections.abc import Iterator

# On one line, and in whatever quotes; not aptkeep-something, nor a path with it as a directory.
_CALL = re.compile(rb"(?<![\w.-])aptkeep(?![\w./-]).*\b(?:start|init)\b")
_SCRIPT_LIMIT = 1 << 20
"""Bytes; what is larger is no script that starts a machine."""
_ENABLED = ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system")
_LISTS = ("etc/crontab", "etc/rc.local", "etc/inittab")
_DIRECTORIES = ("etc/cron.d", "etc/rc2.d", "etc/rc3.d", "etc/rc5.d", "etc/rcS.d")


def now() -> Start | None:
    """This moment, as an `aptkeep start`; None where process 1 can't be seen.

    By the clock that runs from the kernel's start, which nobody sets: a machine's real-time clock
    may jump after its start, and /proc/uptime isn't the container's own.
    """
    try:
        with open("/proc/1/stat", "rb") as stream:
            fields = stream.read().rpartition(b")")[2].split()
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            boot = stream.read().strip()
        ticks = int(fields[19])  # the 22nd of proc_pid_stat(5), starttime
    except (OSError, ValueError, IndexError):
        return None
    began = ticks / os.sysconf("SC_CLK_TCK")
    return Start(f"{boot}:{ticks}", max(time.clock_gettime(time.CLOCK_BOOTTIME) - began, 0.0))


def init_name() -> str:
    """The program that is process 1: `systemd`, `tini`…; "" where that can't be seen."""
    with contextlib.suppress(OSError), open("/proc/1/comm", "rb") as stream:
        return stream.read().decode("utf-8", "replace").strip()
    return ""


def calls_aptkeep(root: str = "/", command: bytes | None = None) -> bool:
    """Whether what starts this machine is seen to call aptkeep.

    `command` is process 1's command line with a NUL after each word. Looked into are the scripts
    that it names, enabled units of systemd and the scripts that they name, and cron's @reboot.
    """
    if command is None:
        command = _read("/proc/1/cmdline")
    words = [word for word in command.split(b"\0") if word]
    if _CALL.search(b" ".join(words)) or _any_script(root, words):
        return True
    for path in _start_files(root):
        text = _read(path)
        if _CALL.search(text):
            return True
        commands = [
            line.partition(b"=")[2].lstrip(b"@-:+!")
            for line in text.splitlines()
            if b"Exec" in line
        ]
        if _any_script(root, [word for line in commands for word in line.split()]):
            return True
    return False


def _any_script(root: str, words: list[bytes]) -> bool:
    """Whether one of the words is a script that names aptkeep."""
    for word in words:
        if word.startswith(b"/"):
            text = _read(os.path.join(root, os.fsdecode(word).lstrip("/")))
            if not text.startswith(b"\x7fELF") and _CALL.search(text):
                return True
    return False


def _start_files(root: str) -> Iterator[str]:
    """Enabled units, init scripts, and cron's tables."""
    for place in _ENABLED:
        base = os.path.join(root, place)
        for target in _names(base):
            if target.endswith((".wants", ".requires")):
                for unit in _names(os.path.join(base, target)):
                    yield os.path.join(base, target, unit)
    yield from (os.path.join(root, path) for path in _LISTS)
    for directory in (*_DIRECTORIES, "var/spool/cron/crontabs"):
        for name in _names(os.path.join(root, directory)):
            if not name.startswith("K"):  # what stops: init.d's links
                yield os.path.join(root, directory, name)


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _read(path: str) -> bytes:
    """The beginning of a regular file; nothing where it can't be read."""
    with contextlib.suppress(OSError):
        if os.path.isfile(path):
            with open(path, "rb") as stream:
                return stream.read(_SCRIPT_LIMIT)
    return b""

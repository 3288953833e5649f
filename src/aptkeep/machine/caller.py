"""Who called: the process of dpkg or apt above a hook. On the hook path."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass

from aptkeep.machine.apt.uris import command_line
from aptkeep.model import Request

_SHELLS = ("sh", "dash", "bash", "hook")
_HIGHEST = 6
"""How many processes up to look; apt, its shell and we are three."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The process that led here, and what it was asked by whom."""

    pid: int
    request: Request


def find() -> Caller | None:
    """The first process up from here that is no shell; None where that can't be seen."""
    pid = os.getppid()
    for _ in range(_HIGHEST):
        try:
            with open(f"/proc/{pid}/stat", "rb") as stream:
                before, _paren, after = stream.read().rpartition(b")")
            name = before.partition(b"(")[2].decode("utf-8", "replace")
            if name not in _SHELLS:
                with open(f"/proc/{pid}/cmdline", "rb") as stream:
                    words = stream.read().rstrip(b"\0").split(b"\0")
                command = " ".join(word.decode("utf-8", "replace") for word in words)
                return Caller(pid, Request(command_line(command), _user()))
            pid = int(after.split()[1])
        except (OSError, ValueError, IndexError):
            return None
    return None


def _user() -> str | None:
    for variable in ("SUDO_UID", "PKEXEC_UID"):
        try:
            return pwd.getpwuid(int(os.environ.get(variable, ""))).pw_name
        except (ValueError, KeyError, OverflowError):
            continue
    return os.environ.get("DOAS_USER")

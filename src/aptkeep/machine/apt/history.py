"""What apt's own history log says of who asked for what. On the hook path."""

from __future__ import annotations

import os
from dataclasses import dataclass

from aptkeep.machine.apt.uris import command_line
from aptkeep.model import Request

_LIMIT = 1 << 20
"""How much of the log is read at most, in bytes; a transaction of 500 packages takes 30 kB."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far the log was read: its inode, and the offset in bytes."""

    inode: int = 0
    offset: int = 0


def position(history_log: str) -> Position:
    """The present end of the log."""
    try:
        found = os.stat(history_log)
    except OSError:
        return Position()
    return Position(found.st_ino, found.st_size)


def requests_since(history_log: str, seen: Position) -> tuple[Request, ...]:
    """The transactions that apt logged after `seen`; a rotated log is read from its beginning."""
    now = position(history_log)
    start = seen.offset if now.inode == seen.inode and now.offset >= seen.offset else 0
    start = max(start, now.offset - _LIMIT)
    try:
        with open(history_log, "rb") as stream:
            stream.seek(start)
            text = stream.read(_LIMIT).decode("utf-8", "replace")
    except OSError:
        return ()
    requests = []
    for stanza in text.split("\n\n"):
        values = dict(line.partition(": ")[::2] for line in stanza.splitlines())
        if "Commandline" in values:  # aptitude and PackageKit leave it out
            user = values.get("Requested-By", "").partition(" (")[0] or None
            requests.append(Request(command_line(values["Commandline"]), user))
    return tuple(requests)

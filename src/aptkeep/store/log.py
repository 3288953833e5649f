"""The log in the store: what was recorded and restored, for people. On the hook path."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from aptkeep.errors import AptkeepError
from aptkeep.words import printable

if TYPE_CHECKING:
    from aptkeep.store.tree import Directory

NAME = "log"
_LONGEST = 1000
"""Characters of one entry."""
_LARGEST = 1 << 20
"""Bytes of the log, before a new one is begun."""


def append(store: Directory, text: str) -> None:
    """Append one line with the time; control characters can't forge another.

    A log that can't be written, on a full disk or a read-only home, stops nothing.
    """
    with contextlib.suppress(AptkeepError):
        store.append(NAME, f"{timestamp()} {printable(text)[:_LONGEST]}\n", _LARGEST)


def timestamp(seconds: float | None = None) -> str:
    """UTC, ISO 8601 to the second: `2026-11-24T06:03:30Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

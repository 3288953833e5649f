"""Limits of tests: a full disk where there is no root, and an end where something never ends."""

from __future__ import annotations

import contextlib
import resource
import signal
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """Let every write beyond `size` bytes fail with EFBIG, as ENOSPC would make it fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Fail where something waits for ever."""

    def late(number: int, frame: object) -> None:
        pytest.fail(f"not done within {seconds:g} seconds")  # no Exception: nobody swallows it

    old = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)

"""Nothing in a unit test starts a process: the interpreter itself is asked to say so (PEP 578)."""

from __future__ import annotations

import sys

_STARTS_A_PROCESS = frozenset(
    {
        "subprocess.Popen",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.spawn",
        "os.system",
        "pty.spawn",
    }
)


class ProcessStarted(BaseException):
    """A unit test started a process. No `except Exception` of the code under test hides it."""


class ProcessGuard:
    """Refuses, while it is on, whatever starts a process, and remembers each attempt."""

    def __init__(self) -> None:
        self.on = False
        self.attempts: list[str] = []

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        """Judge one event of the interpreter's audit."""
        if self.on and event in _STARTS_A_PROCESS:
            self.attempts.append(f"{event} {arguments!r}")
            raise ProcessStarted(self.attempts[-1])


GUARD = ProcessGuard()
sys.addaudithook(GUARD)  # it can't be taken away again, only turned off

"""The one room that starts processes: clean environment, no standard input, output kept."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aptkeep.surroundings import PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_TAIL = 4000
"""How many lines of a command's output are kept."""
_LONGEST = 1 << 20
"""How many bytes may follow each other without an end of line; then one is put there."""
_TICK = 0.1
"""How many seconds pass between two looks at a command that has a time limit."""

# No question may be asked and nothing restarted behind the user's back: debconf(7),
# apt-listchanges(1), needrestart(1), ucf(1).
_ENVIRONMENT = {
    "PATH": PATH,
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",
    "UCF_FORCE_CONFFOLD": "1",
}
_PASSED_ON = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that has ended."""

    argv: tuple[str, ...]
    returncode: int
    output: str
    """Standard output and standard error as they came, at most the last lines of them."""
    timed_out: bool = False
    """Whether it was killed because its time was over."""

    @property
    def ok(self) -> bool:
        """Whether it exited 0."""
        return self.returncode == 0

    def last_words(self) -> str:
        """The lines that say what went wrong, for a message."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith(("E:", "dpkg: error", "W:"))]
        return " ".join((errors or lines)[-3:])


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom a command runs, by numbers. Only root can be somebody else."""

    uid: int
    gid: int
    groups: tuple[int, ...]


def run(
    argv: Sequence[str],
    *,
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
    on_status: Callable[[str], None] | None = None,
    directory: str = "/",
    status_option: str = "APT::Status-Fd",
    identity: Identity | None = None,
    timeout: float | None = None,
) -> Completed:
    """Run a command to its end and return what came of it; a failure is the caller's to judge.

    With `on_status`, apt is given a descriptor for its machine-readable progress (apt's
    README.progress-reporting), and `on_status` every line of it.

    With `identity`, it is that user before the program is even loaded, so that nothing in
    `environment` (LD_PRELOAD) acts on root. With `timeout`, in seconds, it has a session of its
    own, no terminal, and is killed when the time is over. What it leaves in the background is not
    waited for, but killed with it, unless that has made itself independent.
    """
    status_read = status_write = -1
    command = list(argv)
    if on_status is not None:
        status_read, status_write = os.pipe()
        command[1:1] = ["-o", f"{status_option}={status_write}"]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(environment),
            pass_fds=() if on_status is None else (status_write,),
            cwd=directory,
            umask=0o022,
            start_new_session=timeout is not None,
            user=None if identity is None else identity.uid,
            group=None if identity is None else identity.gid,
            extra_groups=None if identity is None else identity.groups,
        )
    finally:
        if status_write >= 0:
            os.close(status_write)
    if process.stdin is not None:
        with process.stdin as pipe:
            pipe.write(stdin.encode())
    assert process.stdout is not None  # noqa: S101 - PIPE was asked for
    output: deque[str] = deque(maxlen=_TAIL)
    sinks: dict[int, Callable[[str], None]] = {process.stdout.fileno(): output.append}
    if on_status is not None:
        sinks[status_read] = on_status
    deadline = None if timeout is None else time.monotonic() + timeout
    _pump(sinks, process, deadline)
    timed_out = not _ended(process, deadline)
    process.stdout.close()
    if status_read >= 0:
        os.close(status_read)
    return Completed(tuple(argv), process.returncode, "\n".join(output), timed_out)


@dataclass(frozen=True, slots=True)
class Captured:
    """What a command that has ended wrote, byte for byte."""

    returncode: int
    output: bytes
    complaints: bytes
    """What it wrote to standard error."""


def capture(argv: Sequence[str]) -> Captured:
    """Run a command that only looks; names of files on its output need not be text."""
    completed = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=_environment(None),
        cwd="/",
        check=False,
    )
    return Captured(completed.returncode, completed.stdout, completed.stderr)


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**_ENVIRONMENT, **passed, **(extra or {})}


def _ended(process: subprocess.Popen[bytes], deadline: float | None) -> bool:
    """Wait for the end of the process, at most until the deadline: then it's killed, and False.

    What it left in its process group goes with it, as at the end of a terminal.
    """
    if deadline is None:
        process.wait()
        return True
    with suppress(subprocess.TimeoutExpired):
        process.wait(max(0.0, deadline - time.monotonic()))
    in_time = process.returncode is not None
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return in_time


def _pump(
    sinks: Mapping[int, Callable[[str], None]],
    process: subprocess.Popen[bytes],
    deadline: float | None,
) -> None:
    """Give each line that a descriptor brings to its sink, until all of them have ended.

    With a deadline, at most until then, or until the process has ended and is silent.
    """
    with selectors.DefaultSelector() as selector:
        rest = {}
        for descriptor in sinks:
            selector.register(descriptor, selectors.EVENT_READ)
            rest[descriptor] = b""
        while selector.get_map():
            ready = selector.select(None if deadline is None else _TICK)
            for key, _events in ready:
                piece = os.read(key.fd, 65536)
                *lines, rest[key.fd] = (rest[key.fd] + piece).split(b"\n")
                if not piece:
                    selector.unregister(key.fd)
                if len(rest[key.fd]) > _LONGEST:
                    lines.append(rest[key.fd])
                    rest[key.fd] = b""
                _give(lines, sinks[key.fd])
            silent = not ready and process.poll() is not None
            if deadline is not None and (silent or time.monotonic() > deadline):
                break
        for descriptor, line in rest.items():
            _give([line] if line else [], sinks[descriptor])


def _give(lines: Iterable[bytes], sink: Callable[[str], None]) -> None:
    for line in lines:
        sink(line.decode("utf-8", "replace"))

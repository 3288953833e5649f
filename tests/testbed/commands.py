"""The one place of the testbed that starts processes on this machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shlex
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

PIPE = subprocess.PIPE
DEVNULL = subprocess.DEVNULL

# Debian's own tools first: a `python3` or `perl` of a version manager further up on PATH breaks
# dpkg-buildpackage and mmdebstrap.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_PASSED_ON = ("http_proxy", "https_proxy", "no_proxy", "TMPDIR")
_TAIL_LINES = 30
_FORK_SECONDS = 5.0
_END_SECONDS = 5.0


@dataclass(frozen=True)
class Result:
    """What a finished command left behind. A command that a signal ended has `-signal` as code."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        """The lines of standard output."""
        return self.stdout.splitlines()

    @property
    def output(self) -> str:
        """Standard output and standard error, in this order."""
        return self.stdout + self.stderr


class CommandFailed(Exception):  # noqa: N818  (reads as the fact that it states)
    """A command ended otherwise than it had to. The message carries the tails of its output."""

    def __init__(self, result: Result, what: str = "") -> None:
        super().__init__(result, what)
        self.result = result
        self.what = what or f"exit code {result.returncode}"

    def __str__(self) -> str:
        parts = [f"{shlex.join(self.result.argv)}: {self.what}"]
        for name, text in (("stdout", self.result.stdout), ("stderr", self.result.stderr)):
            lines = text.splitlines()
            left_out = len(lines) - _TAIL_LINES
            if left_out > 0:
                lines = [f"({left_out} lines left out)", *lines[-_TAIL_LINES:]]
            parts += [f"  {name}: {line}" for line in lines]
        return "\n".join(parts)


class CommandTimedOut(CommandFailed):
    """A command was still running when its time was over, and was killed."""


class Process(subprocess.Popen[bytes]):
    """A command in a session of its own, so that a Ctrl-C at pytest doesn't reach it."""

    def kill_group(self) -> None:
        """Kill it and what it started, unless that has left its process group. Doesn't wait."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)


class FrontedProcess(Process):
    """A process behind another one that forked it and waits for it: nsenter, unshare.

    The one in front ends as the one behind it does. Signals go to the one behind.
    """

    @property
    def inner_pid(self) -> int | None:
        """The pid of the process behind, as this machine counts, None once it has ended."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        deadline = time.monotonic() + _FORK_SECONDS
        while self.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                pids = children.read_text().split()
                if pids:
                    return int(pids[0])
            time.sleep(0.001)  # not forked yet
        return None

    def send_signal(self, sig: int) -> None:
        """Signal the process behind, as `kill` and `terminate` do. Nothing once it has ended."""
        pid = self.inner_pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sig)

    def kill_group(self) -> None:
        """Kill both and what they started, unless that has left their process group."""
        if self.poll() is not None:
            return
        # The one behind first, so that the one in front reaps it. Orphaned, it would stay a zombie
        # until this machine's own init gets round to it.
        self.kill()
        # Unreaped itself, the one in front keeps its number, which is the group's, from being
        # given to a stranger.
        look = os.WEXITED | os.WNOWAIT | os.WNOHANG
        deadline = time.monotonic() + _END_SECONDS
        with contextlib.suppress(ChildProcessError, ProcessLookupError):
            while os.waitid(os.P_PID, self.pid, look) is None and time.monotonic() < deadline:
                time.sleep(0.001)
            os.killpg(self.pid, signal.SIGKILL)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A minimal environment for a Debian tool on this machine."""
    base = {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "TERM": "dumb"}
    base.update({name: os.environ[name] for name in _PASSED_ON if name in os.environ})
    return {**base, **(extra or {})}


def run(
    *argv: str | os.PathLike[str],
    check: bool = True,
    env: Mapping[str, str] | None = None,
    input: str | bytes | None = None,  # noqa: A002  (subprocess's own word)
    timeout: float = 600.0,
    cwd: str | os.PathLike[str] | None = None,
    fronted: bool = False,
) -> Result:
    """Run a command to its end. `env` is the whole environment, `timeout` is in seconds.

    `fronted` as for `FrontedProcess`. Raises `CommandFailed` when `check` and the code isn't 0,
    `CommandTimedOut` when time is over; then the command is killed with its process group.
    """
    streams = (DEVNULL if input is None else PIPE, PIPE, PIPE)
    process = _start(_kind(fronted), argv, env, cwd, streams)
    given = input.encode() if isinstance(input, str) else input
    try:
        stdout, stderr = process.communicate(given, timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill_group()
        stdout, stderr = process.communicate()
        result = _result(argv, process.returncode, stdout, stderr)
        raise CommandTimedOut(result, f"killed after {timeout:g} s") from None
    except BaseException:
        process.kill_group()
        process.communicate()
        raise
    result = _result(argv, process.returncode, stdout, stderr)
    if check and result.returncode != 0:
        raise CommandFailed(result)
    return result


def start(
    *argv: str | os.PathLike[str],
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    stdin: int = PIPE,
    stdout: int = PIPE,
    stderr: int = PIPE,
) -> Process:
    """Start a command. `env` is the whole environment."""
    return _start(Process, argv, env, cwd, (stdin, stdout, stderr))


def start_fronted(
    *argv: str | os.PathLike[str],
    env: Mapping[str, str] | None = None,
    stdin: int = PIPE,
    stdout: int = PIPE,
    stderr: int = PIPE,
) -> FrontedProcess:
    """`start` for a command line that begins with nsenter or unshare --fork."""
    return _start(FrontedProcess, argv, env, None, (stdin, stdout, stderr))


def run_tty(
    *argv: str | os.PathLike[str],
    check: bool = True,
    env: Mapping[str, str] | None = None,
    input: str = "",  # noqa: A002  (subprocess's own word)
    timeout: float = 600.0,
    fronted: bool = False,
    rows: int = 24,
    columns: int = 80,
) -> Result:
    """Run a command with a pseudo terminal as its stdin, stdout and stderr.

    What it printed, control sequences included, is the `stdout` of the result. The command gets
    the terminal as its controlling one only if it takes it (`setsid --ctty`). `input` is typed
    ahead. `timeout` is in seconds.
    """
    controller, terminal = os.openpty()
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        process = _start(_kind(fronted), argv, env, None, (terminal, terminal, terminal))
    except BaseException:
        os.close(controller)
        raise
    finally:
        os.close(terminal)
    try:
        os.write(controller, input.encode())
        printed = _read_terminal(controller, process, time.monotonic() + timeout)
    except TimeoutError as timed_out:
        process.kill_group()
        process.wait()
        result = _result(argv, process.returncode, timed_out.args[0], b"")
        raise CommandTimedOut(result, f"killed after {timeout:g} s") from None
    finally:
        os.close(controller)
    result = _result(argv, process.wait(), printed, b"")
    if check and result.returncode != 0:
        raise CommandFailed(result)
    return result


def _kind(fronted: bool) -> type[Process]:  # noqa: FBT001
    return FrontedProcess if fronted else Process


_P = TypeVar("_P", bound=Process)


def _start(
    kind: type[_P],
    argv: Sequence[str | os.PathLike[str]],
    env: Mapping[str, str] | None,
    cwd: str | os.PathLike[str] | None,
    streams: tuple[int, int, int],
) -> _P:
    stdin, stdout, stderr = streams
    return kind(
        [os.fspath(word) for word in argv],
        env=dict(environment() if env is None else env),
        cwd=cwd,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


def _read_terminal(controller: int, process: Process, deadline: float) -> bytes:
    printed = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(bytes(printed))
        # A process that stays behind keeps the terminal open after the command itself has ended,
        # so the end of the command counts, too, once there is nothing more to read.
        ended = process.poll() is not None
        readable, _, _ = select.select([controller], [], [], 0 if ended else min(left, 0.1))
        if not readable:
            if ended:
                return bytes(printed)
            continue
        try:
            chunk = os.read(controller, 65536)
        except OSError:  # EIO: nobody holds the other end any more
            chunk = b""
        if not chunk:
            return bytes(printed)
        printed += chunk


def _result(
    argv: Sequence[str | os.PathLike[str]], returncode: int, stdout: bytes, stderr: bytes
) -> Result:
    return Result(
        tuple(os.fspath(word) for word in argv),
        returncode,
        stdout.decode(errors="backslashreplace"),
        stderr.decode(errors="backslashreplace"),
    )

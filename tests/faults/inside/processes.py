"""The real operations, each in a child of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aptkeep.catch import main as catch
from aptkeep.cli import main as command
from aptkeep.hook import main as hook


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int
    output: str


def operation(argv: Sequence[str], stdin: str) -> None:
    """The real thing, in this process."""
    if argv[0] == "hook":
        if argv[1] == "DPkg::Pre-Install-Pkgs":
            sys.stdin = open(os.memfd_create("protocol"), "w+", encoding="utf-8")  # noqa: SIM115
            sys.stdin.write(stdin)
            sys.stdin.seek(0)
            catch()
        else:
            hook(argv[1])
        return
    command(list(argv[1:]))


def interrupt(log: str) -> None:
    """Have every other call of this process and its children fail with EINTR, if it can."""
    calls = "write,fsync,flock,ftruncate"
    inject = (f"--trace={calls}", f"--inject={calls}:error=EINTR:when=1+2")
    options = ("-f", "--quiet=all", f"--output={log}", *inject)
    subprocess.Popen(["strace", *options, "-p", str(os.getpid())])
    while True:
        with open("/proc/self/status", encoding="ascii") as status:
            if "TracerPid:\t0" not in status.read():
                return
        time.sleep(0.01)


def in_child(work: Callable[[], None]) -> Ended:
    """Do it in a child, and wait for all that it leaves behind."""
    output = os.memfd_create("output")
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            work()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 98
        except BaseException:  # noqa: BLE001 - it's said
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    code = reap(child)
    os.lseek(output, 0, os.SEEK_SET)
    with open(output, encoding="utf-8", errors="replace") as stream:
        return Ended(code, stream.read())


def reap(child: int | None) -> int:
    """Wait for all children, those of children that ended before them too; how `child` ended."""
    code = 0
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            return code
        if pid == child:
            code = os.waitstatus_to_exitcode(status)

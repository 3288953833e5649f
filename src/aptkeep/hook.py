"""What apt and dpkg call: records, says nothing when all is well, never fails, never hangs.

Imports the standard library and apt_pkg only. The work is done in a child, so that a home that
doesn't answer, or a file that eats all memory, costs apt `Aptkeep::Hook::Timeout` at most.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from aptkeep.errors import AptkeepError, LockedError
from aptkeep.machine import caller
from aptkeep.machine.apt import config
from aptkeep.machine.state import State
from aptkeep.record import record
from aptkeep.store import log
from aptkeep.store.home import find as find_home
from aptkeep.store.tree import open_store
from aptkeep.words import printable

if TYPE_CHECKING:
    from aptkeep.model import Request

NOT_RECORDED = "this change was not recorded"
_MEMORY = 200 * 1024 * 1024
"""Bytes of address space that recording may take."""


def main(door: str) -> None:
    """Record what happened before or at `door`; anything to say goes to standard error."""
    os.umask(0o022)
    try:
        configuration = config.load()
    except AptkeepError as error:
        _say(error.one_line())
        return
    if not State(configuration.paths.state).started:
        return
    for line in _in_child(configuration, door, caller.find_request()):
        _say(line)


def _in_child(
    configuration: config.Configuration, door: str, requests: tuple[Request, ...]
) -> list[str]:
    """Do the work in a child and return what it has to say, within the time that a hook has."""
    timeout = configuration.settings.hook_timeout
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work(configuration, door, requests, writing)
    os.close(writing)
    said = bytearray()
    deadline = time.monotonic() + timeout
    while True:
        ready, _, _ = select.select([reading], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            os.kill(child, signal.SIGKILL)
            late = f"the home did not answer within {timeout:g} seconds. apt goes on"
            return [f"{NOT_RECORDED}: {late}; 'aptkeep record' keeps it when the home is back."]
        piece = os.read(reading, 65536)
        if not piece:
            break
        said += piece
    _pid, status = os.waitpid(child, 0)
    if status != 0 and not said:
        return [f"{NOT_RECORDED}: the recorder died (status {status}). apt goes on."]
    return said.decode("utf-8", "replace").splitlines()


def _work(
    configuration: config.Configuration, door: str, requests: tuple[Request, ...], writing: int
) -> None:
    """The child. It holds none of apt's pipes, so that nobody waits for it if it hangs."""
    failed = 1
    try:
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        os.chdir("/")
        lines = _record(configuration, door, requests)
        os.write(writing, "".join(f"{printable(line)}\n" for line in lines).encode())
        failed = 0
    except Exception as error:  # noqa: BLE001 - whatever it is, apt must go on
        os.write(writing, f"{NOT_RECORDED}: {printable(repr(error))}\n".encode())
    finally:
        os._exit(failed)


def _record(
    configuration: config.Configuration, door: str, requests: tuple[Request, ...]
) -> list[str]:
    state = State(configuration.paths.state)
    # Within the hook's own time, with some left to say why.
    patience = configuration.settings.hook_timeout * 0.8
    settings = replace(configuration.settings, lock_timeout=patience)
    configuration = replace(configuration, settings=settings)
    lines = []
    try:
        # A restore that is at work records, when it's done, what others changed meanwhile.
        with state.locked(patience, give_up=lambda: state.restoring() is not None):
            proving = door == "APT::Update::Post-Invoke-Success"
            recorded = record(configuration, door, requests=requests, thorough=proving)
    except LockedError as error:
        if state.restoring() is None:
            lines.append(f"{NOT_RECORDED}: {error.one_line()}")
    except AptkeepError as error:
        lines.append(f"{NOT_RECORDED}: {error.one_line()}")
    except OSError as error:
        lines.append(
            f"{NOT_RECORDED}: {error.strerror}: {error.filename or 'the store'}. "
            "'aptkeep record' keeps it when that is mended."
        )
    else:
        lines.extend(recorded.said)
        lines.extend(f"{entry.subject} is not kept: {entry.reason}" for entry in recorded.unkept)
        lines.extend(error.one_line() for error in recorded.passed_over)
    if lines:
        _log(configuration, lines)
    return lines


def _log(configuration: config.Configuration, lines: list[str]) -> None:
    try:
        home = find_home(configuration.settings.home)
        with open_store(home, configuration.settings.store) as store:
            for line in lines:
                log.append(store, line)
    except (AptkeepError, OSError):
        pass  # what keeps us from recording may keep us from logging; it's said on stderr


def _say(line: str) -> None:
    sys.stderr.write(f"aptkeep: {line}\n")

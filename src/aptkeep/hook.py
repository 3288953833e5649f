"""What apt and dpkg call: records, says nothing when all is well, never fails, never hangs.

Imports the standard library and apt_pkg only. The work is done in a child, so that a home that
doesn't answer, or a file that eats all memory, costs apt `Aptkeep::Hook::Timeout` at most.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import sys
import time
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from aptkeep import files
from aptkeep.at_home import open_store
from aptkeep.errors import AptkeepError, LockedError
from aptkeep.machine import caller, incoming
from aptkeep.machine.apt import config
from aptkeep.machine.state import State, Troubles
from aptkeep.record import record
from aptkeep.store import log
from aptkeep.surroundings import settle
from aptkeep.words import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aptkeep.model import OwnDeb, Request
    from aptkeep.pooling import OpenDeb

NOT_RECORDED = "this change was not recorded"
_PATHS_NOT_RECORDED = "what is below Aptkeep::Keep was not recorded"
COPYING = "still copying files into the home; don't stop this machine yet"
DPKG = "dpkg-post-invoke"
_RECORDED = b"\1"
"""What the child says when recording is over; the rest isn't cut short."""
_POOL_PATIENCE = 2.0
"""Seconds that a hook waits for others at work on the pool."""
_MOST_PATHS = 20_000
"""How many kept paths a hook takes at once: they take it some 50 MB, and a minute."""
_MEMORY = 200 * 1024 * 1024
"""Bytes of address space that recording may take."""


def main(door: str) -> None:
    """Record what happened before or at `door`; anything to say goes to standard error."""
    settle()
    try:
        configuration = config.load()
    except AptkeepError as error:
        _say(f"{NOT_RECORDED}: {error.one_line()}")
        return
    if not State(configuration.paths.state).started:
        return
    for line in _in_child(configuration, door, caller.find()):
        _say(line)


def _in_child(
    configuration: config.Configuration, door: str, called: caller.Caller | None
) -> list[str]:
    """Do the work in a child and return what it has to say, within the time that a hook has."""
    timeout = configuration.settings.hook_timeout
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work(configuration, door, called, writing)
    os.close(writing)
    said = bytearray()
    deadline = time.monotonic() + timeout
    while True:
        ready, _, _ = select.select([reading], [], [], max(0, deadline - time.monotonic()))
        if not ready and _RECORDED in said:
            return [*_lines(said), COPYING]
        if not ready:
            os.kill(child, signal.SIGKILL)
            late = f"the home did not answer within {timeout:g} seconds. apt goes on"
            return [f"{NOT_RECORDED}: {late}; 'aptkeep record' keeps it when the home is back."]
        piece = os.read(reading, 65536)
        if not piece:
            break
        said += piece
    if not said:
        _pid, status = os.waitpid(child, 0)
        return [f"{NOT_RECORDED}: the recorder died (status {status}). apt goes on."]
    return _lines(said)


def _lines(said: bytearray) -> list[str]:
    return said.replace(_RECORDED, b"").decode("utf-8", "replace").splitlines()


def _work(
    configuration: config.Configuration, door: str, called: caller.Caller | None, writing: int
) -> None:
    """The child. It holds none of apt's pipes, so that nobody waits for it if it hangs.

    What is to be said goes to `writing`; when that is closed, the hook is over, and the child
    goes on with what nobody needs to wait for.
    """

    def say(lines: Iterable[str]) -> None:
        with contextlib.suppress(OSError):  # whoever called may have had enough
            os.write(writing, "".join(f"{printable(line)}\n" for line in lines).encode())

    more = False
    try:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, hard))
        files.detach(writing)
        os.chdir("/")
        more = _keep(configuration, door, called, say, lambda: os.write(writing, _RECORDED))
    except Exception as error:  # noqa: BLE001 - whatever it is, apt must go on
        say([f"{NOT_RECORDED}: {error!r}"])
    try:
        os.close(writing)
        if more:
            from aptkeep.upkeep import go_on  # noqa: PLC0415 - off the hook path

            go_on(configuration)
    finally:
        os._exit(0)


def _keep(
    configuration: config.Configuration,
    door: str,
    called: caller.Caller | None,
    say: Callable[[Iterable[str]], None],
    recorded: Callable[[], object],
) -> bool:
    """Record, and pool local files; whether there may be more to do for the pool."""
    paths, state = configuration.paths, State(configuration.paths.state)
    pool = configuration.settings.pool_keep != "none"
    if pool and door == DPKG and called is not None:
        with contextlib.suppress(OSError):  # what keeps this from being written keeps all else
            incoming.catch(paths.state, incoming.of_dpkg(called.pid))
    waiting = incoming.waiting(paths.state, paths.archives) if pool else []
    requests = () if called is None else (called.request,)
    if all(file.fetched for file in waiting) and state.troubles() == Troubles():
        lines = _record(configuration, door, requests)
        say(lines)
        recorded()
        kept = _is_kept(lines, state)
        more = kept and _keep_paths(configuration, door, say)
        return more or (bool(waiting) and kept)
    from aptkeep import pooling  # noqa: PLC0415 - only where there is something to pool

    # While apt runs its hook it holds dpkg's lock: nobody is about to unpack what waits.
    with pooling.local_debs(configuration, lambda: door == "DPkg::Post-Invoke") as debs:
        lines = _record(configuration, door, requests, pooling.own_debs(debs))
        say(lines)
        recorded()
        troubles: list[str] = []
        kept = _is_kept(lines, state)
        if kept:
            troubles += _pool(configuration, debs)
        troubles += pooling.take_in(debs, lambda deb: not kept and _is_pooled(configuration, deb))
    say(pooling.news(state, troubles))
    if kept:
        _keep_paths(configuration, door, say)
    return kept


def _is_kept(lines: Iterable[str], state: State) -> bool:
    """Whether the change was recorded; a restore at work keeps the pool itself when it's done."""
    return state.restoring() is None and not any(line.startswith(NOT_RECORDED) for line in lines)


def _keep_paths(
    configuration: config.Configuration, door: str, say: Callable[[Iterable[str]], None]
) -> bool:
    """Record what is below `Aptkeep::Keep`; whether there was anything new."""
    if not (configuration.settings.keep or configuration.settings.keep_refused):
        return False
    from aptkeep.keeping import keep  # noqa: PLC0415 - only where paths are kept

    recorded = None
    try:
        recorded = keep(configuration, door, most=_MOST_PATHS)
        lines = list(recorded.news)
    except AptkeepError as error:
        lines = [f"{_PATHS_NOT_RECORDED}: {error.one_line()}"]
    except OSError as error:
        lines = [f"{_PATHS_NOT_RECORDED}: {error}"]
    except MemoryError:
        lines = [f"{_PATHS_NOT_RECORDED}: they are too many for a hook; run 'aptkeep record'"]
    if lines:
        _log(configuration, lines)  # whoever called may not have waited to hear it
        say(lines)
    return recorded is not None and recorded.generation is not None


def _pool(configuration: config.Configuration, debs: list[OpenDeb]) -> Iterable[str]:
    from aptkeep.pooling import pool_local  # noqa: PLC0415 - only where there is something to pool

    settings = replace(configuration.settings, lock_timeout=_POOL_PATIENCE)
    try:
        return pool_local(replace(configuration, settings=settings), debs).troubles
    except AptkeepError as error:
        return [error.one_line()]


def _is_pooled(configuration: config.Configuration, deb: OpenDeb) -> bool:
    """Pool a file that has nowhere to wait until what it belongs to is recorded."""
    from aptkeep.pooling import pool_local  # noqa: PLC0415 - only where there is something to pool

    try:
        return bool(pool_local(configuration, [deb]).added)
    except AptkeepError:
        return False


def _record(
    configuration: config.Configuration,
    door: str,
    requests: tuple[Request, ...],
    own: Mapping[tuple[str, str], OwnDeb] = MappingProxyType({}),
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
            recorded = record(configuration, door, requests=requests, own=own, thorough=proving)
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
        with open_store(configuration) as store:
            for line in lines:
                log.append(store, line)
    except (AptkeepError, OSError):
        pass  # what keeps us from recording may keep us from logging; it's said on stderr


def _say(line: str) -> None:
    sys.stderr.write(f"aptkeep: {line}\n")

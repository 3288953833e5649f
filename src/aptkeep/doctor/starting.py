"""Whether this machine records and restores at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from aptkeep.doctor.findings import Finding, Kind
from aptkeep.machine import startup
from aptkeep.machine.apt import hooks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aptkeep.machine.apt.config import Paths
    from aptkeep.machine.mounts import Mounts
    from aptkeep.machine.state import Start

_LATE = 300.0
"""Seconds after a machine's start: what calls aptkeep at start-up doesn't take that long."""
_COMMAND = "'aptkeep start'"
_CALL = (
    "let the image run 'aptkeep start' at every start, in its entrypoint or in a unit that is "
    "enabled; aptkeep(8), EXAMPLES"
)
_REINSTALL = (
    "stop and start the machine, as the image has it; or run 'sudo apt-get install --reinstall "
    "-o Dpkg::Options::=--force-confmiss -o Dpkg::Options::=--force-confnew aptkeep'"
)


def start_up(
    root: str, now: Start | None, last: Start | None, *, ever_started: bool
) -> Iterator[Finding]:
    """Whether `aptkeep start` ran, and is going to at the next start. Nothing is read unless late.

    `now` is this moment, seen from process 1; `last` the last start that was noted.
    """
    if not ever_started:
        yield Finding(
            Kind.NOT_STARTED,
            _COMMAND,
            "it has not run on this machine: nothing that is installed is recorded",
            f"run 'sudo aptkeep start', and {_CALL}",
        )
    elif now is None:
        return
    elif last is None or last.machine != now.machine:
        yield Finding(
            Kind.START_UP,
            _COMMAND,
            "it has not run since this machine started: nothing that was lost came back",
            f"run 'sudo aptkeep start', and {_CALL}",
        )
    elif last.after > _LATE and not startup.calls_aptkeep(root):
        yield Finding(
            Kind.START_UP,
            _COMMAND,
            f"it ran {last.after / 60:.0f} minutes after the machine's start, and neither process "
            f"1 ({startup.init_name() or 'unknown'}) nor anything that it starts is seen to call "
            "it: at the next start nothing comes back by itself",
            _CALL,
        )


def volume(store: str, home: str, mounts: Mounts) -> Iterator[Finding]:
    """Whether the store lies where it stays."""
    mount = mounts.of(os.path.realpath(store))
    if not mount.survives:
        where = "on the root file system" if mount.point == "/" else f"in a {mount.kind}"
        yield Finding(
            Kind.VOLUME,
            store,
            f"the store lies {where}, which goes at stop with all that was recorded",
            f"mount a volume that stays at {home}",
        )


def recording(paths: Paths) -> Iterator[Finding]:
    """Whether apt and dpkg call the hooks, and the hooks can be called."""
    trouble = hooks.program_trouble(paths.root)
    if trouble is not None:
        yield Finding(
            Kind.HOOKS,
            hooks.PROGRAM,
            f"{trouble}; apt and dpkg call it to have recorded what they change",
            _REINSTALL,
        )
    silenced = [*hooks.of_apt(paths), *hooks.of_dpkg(paths.root)]
    for where in dict.fromkeys(hook.where for hook in silenced):
        here = [hook for hook in silenced if hook.where == where]
        names = tuple(hook.name for hook in here)
        if not here[0].ours:
            said = "it silences aptkeep's hooks"
            remedy = (
                f"take '#clear' and 'aptkeep' in {', '.join(names)} out of it, or remove the "
                "package that brings it"
            )
        else:
            said = "it's gone" if here[0].gone else "it lacks hooks that aptkeep brought"
            remedy = _REINSTALL
        meaning = f"{said} ({', '.join(names)}): what they would have seen is not recorded"
        yield Finding(Kind.HOOKS, where, meaning, remedy, len(names), examples=names)

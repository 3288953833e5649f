"""Asking the tools on a workstation as doctor does, and looking that nothing changes by it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import aptkeep
from aptkeep.machine.tools import Destination
from testbed.images import HOME, USER
from testbed.workstation import Workstation

_SOURCE = "/usr/src/aptkeep"
_ASK = f"""\
import dataclasses, json, sys
sys.path.insert(0, "{_SOURCE}")
from aptkeep.machine.tools import destinations, session
session.SECONDS = float(sys.argv.pop())
print(json.dumps([dataclasses.asdict(each) for each in destinations(*sys.argv[1:])]))
"""
# All that there is but for what isn't on a disk, with everything that a write would change.
_STATE = (
    f"find / {HOME} -xdev ( -path /dev -o -path /run -o -path /proc -o -path /sys ) -prune -o "
    "-printf %p|%y|%m|%u|%g|%s|%T@|%C@|%l\\n"
)


def put_aptkeep(machine: Workstation) -> Workstation:
    """The code of this tree on a root that has the dependencies of aptkeep."""
    machine.copy_in(Path(aptkeep.__file__).parent, f"{_SOURCE}/aptkeep")
    return machine


def ask(
    machine: Workstation,
    user: str = USER,
    *,
    caller: str = "root",
    env: Mapping[str, str] | None = None,
    seconds: float = 20.0,
) -> dict[str, Destination]:
    """What the tools say, by tool, each within so many seconds."""
    command = ("/usr/bin/python3", "-B", "-I", "-c", _ASK, HOME, user, str(seconds))
    told = machine.run(*command, user=caller, env=env).stdout
    return {each["tool"]: Destination(**each) for each in json.loads(told)}


def ask_and_look(machine: Workstation, user: str = USER) -> dict[str, Destination]:
    """`ask`, and fail if anything on the whole machine was written by it."""
    before = state(machine)
    told = ask(machine, user)
    changed = changes(before, state(machine)) - {"/tmp"}  # noqa: S108 - used, and left clean
    assert changed == set(), changed
    return told


def state(machine: Workstation) -> set[str]:
    """Every file on the machine with its size, owner, mode and times, one line each."""
    return set(machine.run(*_STATE.split(" ")).lines)


def changes(before: set[str], after: set[str]) -> set[str]:
    """The paths that differ."""
    return {line.split("|")[0] for line in before ^ after}


def put(machine: Workstation, files: Mapping[str, str], directory: str, user: str = USER) -> None:
    """The files of a directory."""
    for path, content in files.items():
        machine.write(f"{directory}/{path}", content, user=user)


def login(machine: Workstation, script: str, user: str = USER, *, check: bool = True) -> str:
    """What a terminal of that user's says to a script, which is run in the home."""
    argv = ("bash", "-l", "-i", "-c", script) if user == USER else ("bash", "-ec", script)
    where = HOME if user == USER else "/root"
    return machine.run(*argv, user=user, check=check, cwd=where).output

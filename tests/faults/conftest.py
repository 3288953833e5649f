"""aptkeep at work while everything that can go wrong does, call by call.

Each operation is done in a child of a program that runs inside a throwaway root, with Python's
calls that change a file system wrapped (`inside.calls`). At one of them it is killed, or the call
fails, or the power is cut: then what was not fsynced is lost, or a part of it (`inside.power`).

| what must be true of what is left | where |
| --- | --- |
| the newest generation, or the one before it, is whole, and so is all that it names | `survived` |
| no wish is gone that was there before and is there after | `survived` |
| what was reported as done is done, even if the power is cut at once | `survived` |
| the next `record` or `start` needs no help, and leaves nothing half done | `repaired` |
| apt and dpkg work, and a further installation is recorded | `repaired` |
| no system call of ours goes by unseen: strace sees no other | `test_calls` |

APTKEEP_FAULTS=all tries everything, which takes hours; otherwise it's a sample.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from faults.scenarios import Prepared
from testbed import images
from testbed.repository import Repository, SigningKey
from testbed.workstation import Workstation

EVERYTHING = os.environ.get("APTKEEP_FAULTS") == "all"

# Of how many faults one is tried: numbers that have no common divisor with 2 and 8, so that all
# kinds have their turn.
SHARES: Mapping[str, Mapping[str, int]] = {
    "first record": {"kill": 11, "error": 61, "power": 41},
    "hook": {"kill": 5, "error": 31, "power": 19},
    "rollback": {"kill": 17, "error": 101, "power": 61},
    "catch": {},
    "hook with a local file": {"kill": 5, "error": 29, "power": 13},
    "forget": {"kill": 1, "error": 7, "power": 9},
    "restore of files": {"kill": 61, "error": 311, "power": 97},
    "restore of packages": {"kill": 149, "error": 797, "power": 297},
    "gc": {"kill": 1, "error": 5, "power": 5},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here but what is pure meets whole workstations."""
    for item in items:
        if Path(__file__).parent in item.path.parents and item.path.name != "test_power.py":
            item.add_marker(pytest.mark.cycle)


@pytest.fixture(scope="session")
def prepared(suite: str, aptkeep_deb: Path, session_scratch: Path) -> Iterator[Prepared]:
    """A workstation on which each operation can be done over and over."""
    # Below aptkeep, so that it needs to be fetched only once in two weeks.
    below = images.extend(images.with_dependencies(suite), "strace", packages=["strace"])
    at = f"/root/{aptkeep_deb.name}"
    image = images.extend(
        images.without_archive(below),
        "traced",
        [["dpkg", "-i", at], ["rm", at]],
        files={at: aptkeep_deb},
        cache=False,
        directory=session_scratch,
    )
    place = session_scratch / "faults"
    (place / "keys").mkdir(parents=True)
    key = SigningKey.generate(place / "keys")
    with (
        Workstation(image, scratch=place / "workstation") as machine,
        Repository(place / "repository", key) as repository,
    ):
        machine.boot()
        yield Prepared(machine, repository)


@pytest.fixture(scope="session")
def report(prepared: Prepared) -> Callable[[str], dict[str, Any]]:
    """Play a scenario, once for all tests; what came of it."""
    found: dict[str, dict[str, Any]] = {}

    def play(name: str) -> dict[str, Any]:
        if name not in found:
            found[name] = prepared.play(name, {} if EVERYTHING else SHARES[name])
        return found[name]

    return play

"""What is done for the pool when nobody waits: all at once, by one process, in peace."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from aptkeep import files, upkeep
from aptkeep.errors import LockedError
from aptkeep.machine import incoming
from aptkeep.machine.run import Completed
from aptkeep.model import OwnDeb
from aptkeep.store.pool import Origin
from aptkeep.upkeep import keep_pool
from unit.debs import control, deb
from unit.machines import Machine
from unit.pooled import hand_over, in_pool, install_file, made, pool_what_is_local, waiting

CACHE = "var/cache/apt/archives"


class Repositories:
    """What apt's lists know of."""

    def __init__(self, *offered: str) -> None:
        self._offered = offered

    def offered(self, names: list[str]) -> dict[str, tuple[str, ...]]:
        """As `Archive.offered`."""
        return {name: ("1",) if name in self._offered else () for name in names}

    def listed(self, _key: tuple[str, str, str]) -> frozenset[str]:
        """As `Archive.listed`."""
        return frozenset()


def test_all_that_waits_is_pooled_and_kept_within_bounds(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without lists nobody can say what is offered: nothing is rebuilt, or called local."""
    install_file(machine, "tool")
    pool_what_is_local(machine)
    machine.install("lost")
    machine.record()
    hand_over(machine, made("fetched"), f"{CACHE}/fetched_1_amd64.deb")
    assert keep_pool(machine.configuration) == []
    assert [(d.name, d.origin) for d in in_pool(machine)] == [
        ("tool", Origin.LOCAL),
        ("fetched", Origin.ARCHIVE),
    ]
    assert waiting(machine) == []
    assert "fetched" not in machine.newest().packages
    machine.settings = replace(machine.settings, pool_limit=1)
    monkeypatch.setattr(upkeep, "Archive", lambda *_, **__: Repositories())
    keep_pool(machine.configuration)
    assert [d.name for d in in_pool(machine)] == ["tool"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can own what is trusted")
def test_a_local_file_that_no_hook_could_pool_is_pooled(machine: Machine) -> None:
    """If it's root's: nobody else has had the time to put another one there."""
    install_file(machine, "tool")
    os.chown(install_file(machine, "other"), 1000, -1)
    keep_pool(machine.configuration)
    assert [d.name for d in in_pool(machine)] == ["tool"]


def test_where_nothing_is_to_be_kept_nothing_waits(machine: Machine) -> None:
    install_file(machine, "tool")
    machine.settings = replace(machine.settings, pool_keep="none")
    assert keep_pool(machine.configuration) == []
    assert waiting(machine) == []
    assert not machine.store_path.exists()


def test_one_process_at_a_time_keeps_the_pool(machine: Machine) -> None:
    place = os.path.join(machine.root.paths.state, incoming.DIRECTORY)
    os.makedirs(place)
    with files.directory(place) as other:
        files.lock(other, 0, "")
        with pytest.raises(LockedError, match="the pool"):
            keep_pool(machine.configuration)
    keep_pool(machine.configuration)


def test_what_is_wanted_and_here_and_not_in_the_pool(machine: Machine) -> None:
    """Just as it's wanted: another version would be rebuilt as something nobody asked for."""
    install_file(machine, "tool")
    for name in ("lost", "moved", "removed", "half"):
        machine.install(name)
    machine.record()
    pool_what_is_local(machine)
    machine.install("moved", "2")
    machine.purge("removed")
    machine.install("half", status="install ok half-configured")
    assert upkeep._without_deb(machine.configuration) == ["lost"]  # noqa: SLF001


@pytest.fixture
def lists(machine: Machine) -> Machine:
    """A machine with package lists, on which `lost` came from nowhere, and `also` too."""
    machine.root.write("var/lib/apt/lists/h_._Packages", "")
    for name in ("lost", "also", "offered"):
        machine.install(name)
    machine.record()
    return machine


def rebuild(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, *, there: bool = True, fails: str = ""
) -> list[str]:
    """Keep the pool with a dpkg-repack(1) that is a fake: units start no process."""

    def run(command: list[str], *, directory: str) -> Completed:
        program, name = command
        assert program == "dpkg-repack"
        if name == fails:
            return Completed(tuple(command), 1, "dpkg-repack: it is broken\n")
        Path(directory, f"{name}_1_amd64.deb").write_bytes(deb(control(name, "1", "amd64")))
        return Completed(tuple(command), 0, "")

    def archive(*_arguments: object, **_options: object) -> Repositories:
        return Repositories("offered")

    with monkeypatch.context() as patch:
        patch.setattr(upkeep, "Archive", archive)
        patch.setattr(upkeep, "run", run)
        patch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if there else None)
        return keep_pool(machine.configuration)


def test_what_nobody_has_a_deb_of_is_rebuilt_and_the_manifest_says_so(
    lists: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (said,) = rebuild(lists, monkeypatch, fails="also")
    assert "also can't be rebuilt" in said
    assert "it is broken" in said
    assert [(d.name, d.origin, d.came_from) for d in in_pool(lists)] == [
        ("lost", Origin.REBUILT, "")
    ]
    assert {n: w.deb for n, w in lists.newest().packages.items()} == {
        "lost": OwnDeb.REBUILT,
        "also": None,
        "offered": None,
    }
    numbers = lists.numbers()
    rebuild(lists, monkeypatch, fails="also")
    assert lists.numbers() == numbers


def test_what_can_not_be_rebuilt_is_said_with_what_to_do(
    lists: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = rebuild(lists, monkeypatch, there=False)
    assert [text.partition(" ")[0] for text in said] == ["also", "lost"]
    assert all("install dpkg-repack" in text for text in said)
    assert in_pool(lists) == []

"""What the hook has to say: nothing when all is well, one line when something was not kept.

The recorder's child is called without the fork around it; that one, the time limit and what apt
makes of it are tested on whole workstations.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from aptkeep import hook
from aptkeep.model import Touched
from aptkeep.store import tree
from aptkeep.store.tree import open_store
from unit.limits import no_file_longer_than
from unit.machines import SOURCES, STORE, Machine


def said(machine: Machine, door: str = "DPkg::Post-Invoke") -> list[str]:
    """What the hook says at a door."""
    machine.settings = replace(machine.settings, hook_timeout=0.05)
    return hook._record(machine.configuration, door, ())  # noqa: SLF001 - see above


def logged(machine: Machine) -> str:
    """The log in the store."""
    return (machine.store_path / "log").read_text(encoding="utf-8")


def one(lines: list[str]) -> str:
    """The one line that was said, which is fit for one."""
    (line,) = lines
    assert line.isprintable()
    return line


def test_nothing_is_said_when_all_is_well(machine: Machine) -> None:
    assert said(machine) == []
    machine.install("cowsay")
    assert said(machine) == []
    assert set(machine.newest().packages) == {"cowsay"}
    machine.root.write(f"{SOURCES}/x.list", "deb [trusted=yes] http://h sid main\n")
    assert said(machine, "APT::Update::Pre-Invoke") == []
    assert said(machine, "APT::Update::Post-Invoke-Success") == []


def test_what_can_not_be_kept_is_said_once_and_logged(machine: Machine) -> None:
    machine.root.write(f"{SOURCES}/x.list", "deb [signed-by=/nowhere.gpg] http://h sid main\n")
    line = one(said(machine))
    assert "/nowhere.gpg is not kept" in line
    assert "/nowhere.gpg is not kept" in logged(machine)
    machine.install("cowsay")
    assert said(machine) == []


def test_a_store_that_is_not_trusted(machine: Machine) -> None:
    machine.install("cowsay")
    said(machine)
    machine.store_path.chmod(0o777)
    machine.install("redis")
    line = one(said(machine))
    assert line.startswith("this change was not recorded: ")
    assert "not trusted" in line
    machine.store_path.chmod(0o755)
    assert said(machine) == []
    assert set(machine.newest().packages) == {"cowsay", "redis"}


def test_a_full_disk(machine: Machine) -> None:
    machine.install("cowsay")
    said(machine)
    machine.install("redis")
    with no_file_longer_than(300):
        line = one(said(machine))
    assert line.startswith("this change was not recorded: ")
    assert said(machine) == []
    assert set(machine.newest().packages) == {"cowsay", "redis"}


def test_a_full_root(machine: Machine) -> None:
    """The wish is kept, only not noted on the root: it's noted at the next door."""
    machine.install("cowsay")
    with no_file_longer_than(50):
        line = one(said(machine))
    assert line.startswith("this change was not recorded: ")
    assert said(machine) == []
    assert machine.numbers()[-1] >= 1
    assert set(machine.newest().packages) == {"cowsay"}


def test_a_home_that_is_gone(machine: Machine) -> None:
    machine.home.rename(machine.directory / "away")
    assert said(machine) == []
    machine.install("cowsay")
    assert "is not there" in one(said(machine))


def test_a_torn_generation_is_said(machine: Machine) -> None:
    for name in ("cowsay", "redis"):
        machine.install(name)
        said(machine)
    (machine.store_path / "generations/000002.json").write_bytes(b"{")
    machine.install("nano")
    assert "000002" in one(said(machine))
    machine.install("ed")
    assert said(machine) == []


def test_a_store_without_a_whole_generation(machine: Machine) -> None:
    machine.install("cowsay")
    said(machine)
    (machine.store_path / "generations/000001.json").write_bytes(b"{")
    machine.install("redis")
    assert "no generation" in one(said(machine))


def test_another_recorder_that_takes_too_long(machine: Machine) -> None:
    machine.install("cowsay")
    with machine.state.locked(0):
        line = one(said(machine))
    assert "this change was not recorded" in line
    assert said(machine) == []
    assert set(machine.newest().packages) == {"cowsay"}


def test_a_restore_at_work_records_by_itself(machine: Machine) -> None:
    """Its own apt runs the hook; that neither waits nor complains."""
    machine.state.begin_restore(Touched(frozenset({"cowsay"})))
    machine.install("cowsay")
    with machine.state.locked(0):
        assert said(machine) == []
    assert machine.state.restoring() is not None


def test_another_machine_that_writes_into_the_store(machine: Machine) -> None:
    machine.install("cowsay")
    said(machine)
    machine.install("redis")
    with open_store(str(machine.home), STORE) as other:
        other.lock(0)
        assert "this change was not recorded" in one(said(machine))
    assert said(machine) == []


def test_a_baseline_that_is_damaged(machine: Machine) -> None:
    (machine.directory / "root/var/lib/aptkeep/baseline.json").write_bytes(b"{")
    machine.install("cowsay")
    line = one(said(machine))
    assert "baseline.json" in line


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b"[]"])
def test_an_observation_that_is_damaged_is_no_trouble(machine: Machine, damage: bytes) -> None:
    machine.install("cowsay")
    said(machine)
    (machine.directory / "root/var/lib/aptkeep/observation.json").write_bytes(damage)
    machine.install("redis")
    assert said(machine) == []
    assert set(machine.newest().packages) == {"cowsay", "redis"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_home_that_can_not_be_written(machine: Machine) -> None:
    machine.home.chmod(0o555)
    machine.install("cowsay")
    line = one(said(machine))
    assert line.startswith("this change was not recorded: ")
    machine.home.chmod(0o755)
    assert said(machine) == []


def test_the_stores_owner_is_really_checked_in_these_tests(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The uid that stands in for root's is no hole in them."""
    machine.install("cowsay")
    said(machine)
    opener = tree.open_store.__wrapped__  # type: ignore[attr-defined]
    monkeypatch.setitem(opener.__kwdefaults__, "owner", os.getuid() + 1)
    machine.install("redis")
    assert "belongs to uid" in one(said(machine))

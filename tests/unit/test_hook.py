"""What the hook has to say: nothing when all is well, one line when something was not kept.

The recorder's child is called without the fork around it; that one, the time limit and what apt
makes of it are tested on whole workstations.
"""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import pytest

from aptkeep import files, hook
from aptkeep.machine import incoming
from aptkeep.machine.caller import Caller
from aptkeep.model import OwnDeb, Request, Touched
from aptkeep.store import tree
from aptkeep.store.tree import open_store
from unit.limits import no_file_longer_than
from unit.machines import SOURCES, STORE, Machine
from unit.pooled import hand_over, in_pool, install_file, made, unpack, waiting


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


# -- the pool


class Door:
    """A door of apt's or dpkg's, in the hook's child."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.said: list[str] = []
        self.generations: list[int] = []
        """How many there were when recording was said to be over."""
        self.pooled: list[int] = []
        """How many .debs were in the pool then."""

    def come(self, door: str = "DPkg::Post-Invoke", called: Caller | None = None) -> bool:
        """Come to a door; whether there's more to do for the pool."""
        machine = self._machine
        said: list[str] = []

        def recorded() -> None:
            self.generations.append(len(list(machine.store_path.glob("generations/*.json"))))
            self.pooled.append(len(list(machine.store_path.glob("pool/*.deb"))))

        settings = replace(machine.settings, hook_timeout=0.05)
        configuration = replace(machine.configuration, settings=settings)
        more = hook._keep(configuration, door, called, said.extend, recorded)  # noqa: SLF001
        self.said = said
        return more


@pytest.fixture
def door(machine: Machine) -> Door:
    """The doors of a machine."""
    return Door(machine)


def test_a_local_file_is_recorded_then_pooled_and_the_manifest_says_so(
    machine: Machine, door: Door
) -> None:
    """Nobody waits for recording because a pool is slow."""
    install_file(machine, "tool")
    machine.install("cowsay")
    assert door.come()
    assert door.said == []
    assert (door.generations, door.pooled) == ([1], [0])
    assert {n: w.deb for n, w in machine.newest().packages.items()} == {
        "tool": OwnDeb.LOCAL,
        "cowsay": None,
    }
    assert [d.name for d in in_pool(machine)] == ["tool"]
    assert waiting(machine) == []


def test_dpkg_on_its_own_names_its_files_itself(
    machine: Machine, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = machine.root.write("home/tool.deb", made("tool"))
    unpack(machine, "tool")
    monkeypatch.setattr(incoming, "of_dpkg", lambda pid: [path] if pid == 77 else [])
    called = Caller(77, Request("dpkg -i tool.deb"))
    door.come("DPkg::Post-Invoke", called)  # apt's own doors have named them already
    assert in_pool(machine) == []
    door.come("dpkg-post-invoke", called)
    assert [d.came_from for d in in_pool(machine)] == [path]
    assert machine.newest().packages["tool"].deb is OwnDeb.LOCAL


def test_the_same_version_from_a_file_is_news_though_nothing_changed(
    machine: Machine, door: Door
) -> None:
    machine.install("tool")
    machine.record()
    install_file(machine, "tool")
    door.come()
    assert machine.newest().packages["tool"].deb is OwnDeb.LOCAL
    assert machine.numbers() == [1, 2]
    door.come()
    assert machine.numbers() == [1, 2]


def test_a_version_that_failed_does_not_make_the_installed_one_local(
    machine: Machine, door: Door
) -> None:
    """Neither has scripts or checksums, so that they look alike."""
    unpack(machine, "tool", "1")
    machine.record()
    hand_over(machine, made("tool", "2"), "home/tool_2.deb")
    door.come()
    assert machine.newest().packages["tool"].deb is None


def test_what_is_not_pooled_is_recorded_all_the_same(
    machine: Machine, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk stops pooling, never recording, and says so once."""

    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(files, "received", refuse)
        install_file(machine, "tool")
        door.come()
        assert "no room" in one(door.said)
        for name in ("cowsay", "redis"):
            machine.install(name)
            door.come()
            assert door.said == []
    assert set(machine.newest().packages) == {"tool", "cowsay", "redis"}
    door.come()
    assert [d.name for d in in_pool(machine)] == ["tool"]


def test_a_root_that_catches_nothing_is_recorded(
    machine: Machine, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(incoming, "catch", refuse)
    machine.install("cowsay")
    door.come("dpkg-post-invoke", Caller(os.getpid(), Request("dpkg -i x.deb")))
    assert door.said == []
    assert set(machine.newest().packages) == {"cowsay"}


def test_others_at_work_on_the_pool_hold_nobody_up(
    machine: Machine, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook, "_POOL_PATIENCE", 0.01)
    install_file(machine, "tool")
    machine.record()
    with (
        open_store(str(machine.home), STORE) as store,
        store.subdirectory("pool", create=True) as pool,
    ):
        pool.lock(0)
        assert door.come()
    assert door.said == []
    assert machine.newest().packages["tool"].deb is OwnDeb.LOCAL
    assert len(waiting(machine)) == 1


def test_a_store_that_is_not_trusted_gets_no_deb(machine: Machine, door: Door) -> None:
    machine.install("cowsay")
    machine.record()
    machine.store_path.chmod(0o777)
    install_file(machine, "tool")
    assert not door.come()
    assert "not trusted" in one(door.said)
    machine.store_path.chmod(0o755)
    assert in_pool(machine) == []
    assert door.come()
    assert [d.name for d in in_pool(machine)] == ["tool"]


def test_a_home_that_is_gone_leaves_the_file_on_the_root(machine: Machine, door: Door) -> None:
    """Whoever owns the file may change or delete it before the home is back."""
    path = install_file(machine, "tool")
    machine.home.rename(machine.directory / "away")
    door.come()
    assert "not recorded" in one(door.said)
    os.unlink(path)
    (machine.directory / "away").rename(machine.home)
    door.come()
    assert [d.name for d in in_pool(machine)] == ["tool"]
    assert machine.newest().packages["tool"].deb is OwnDeb.LOCAL


def test_while_a_restore_is_at_work_its_own_files_wait(machine: Machine, door: Door) -> None:
    install_file(machine, "tool")
    machine.state.begin_restore(Touched(frozenset({"tool"})))
    with machine.state.locked(0):
        assert not door.come()
    assert door.said == []
    assert in_pool(machine) == []


def test_nothing_is_kept_where_nothing_is_to_be(machine: Machine, door: Door) -> None:
    install_file(machine, "tool")
    machine.settings = replace(machine.settings, pool_keep="none")
    assert not door.come()
    assert in_pool(machine) == []
    assert set(machine.newest().packages) == {"tool"}

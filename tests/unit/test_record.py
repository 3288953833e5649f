"""Recording, on a root in a directory and into a home of its own: see `machines`."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from aptkeep.errors import AptkeepError, LockedError
from aptkeep.model import KeptFile, Manifest, Occasion, Request, Touched
from aptkeep.record import Recorded, describe, record, take_baseline
from aptkeep.store import generations, kept
from aptkeep.store.tree import open_store
from unit.limits import no_file_longer_than
from unit.machine.test_dpkg import auto
from unit.machines import SOURCES, STORE, Machine
from unit.made import HOLD, INSTALL, PURGE, wish

# -- the beginning


def test_nothing_changed_and_nothing_is_written_to_the_home(machine: Machine) -> None:
    assert machine.record() == Recorded()
    assert machine.record("aptkeep record", thorough=True) == Recorded()
    assert list(machine.home.iterdir()) == []


def test_the_first_wish_makes_the_store(machine: Machine) -> None:
    machine.install("cowsay", "3")
    recorded = machine.record()
    assert recorded.generation is not None
    assert recorded.generation.number == 1
    assert recorded.generation.occasion.door == "DPkg::Post-Invoke"
    assert recorded.generation.platform.release == "debian trixie"
    assert machine.newest() == Manifest({"cowsay": wish(INSTALL, "3", auto=False)})


def test_what_was_recorded_is_not_recorded_again(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    assert machine.record() == Recorded()
    assert machine.record(thorough=True) == Recorded()
    assert machine.numbers() == [1]


def test_each_change_is_a_generation(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    machine.root.write("var/lib/apt/extended_states", auto("cowsay"))
    machine.record()
    machine.install("vim", status="hold ok installed")
    machine.record()
    machine.purge("cowsay")
    machine.record()
    assert machine.numbers() == [1, 2, 3, 4]
    assert machine.newest() == Manifest({"vim": wish(HOLD, image="1")})


def test_what_comes_and_goes_between_two_hooks_is_nothing(machine: Machine) -> None:
    machine.install("cowsay")
    machine.purge("cowsay")
    assert machine.record() == Recorded()


def test_what_is_excluded_is_not_recorded(machine: Machine) -> None:
    machine.settings = replace(machine.settings, exclude=("^linux-image-",))
    machine.install("linux-image-6.12")
    machine.install("aptkeep")
    assert machine.record().generation is None
    assert list(machine.home.iterdir()) == []


# -- who asked


def test_who_asked_is_in_apts_log(machine: Machine) -> None:
    machine.install("cowsay")
    machine.root.write(
        "var/log/apt/history.log",
        "\nStart-Date: x\nCommandline: apt install cowsay\nRequested-By: bench-user (1000)\n",
    )
    generation = machine.record().generation
    assert generation is not None
    assert generation.occasion.requests == (Request("apt install cowsay", "bench-user"),)
    assert describe(generation) == (
        "recorded generation 1 at DPkg::Post-Invoke: apt install cowsay (bench-user)"
    )
    machine.install("redis")
    generation = machine.record().generation
    assert generation is not None
    assert generation.occasion.requests == ()


def test_else_it_is_who_called(machine: Machine) -> None:
    machine.install("cowsay")
    requests = (Request("dpkg -i cowsay.deb"),)
    recorded = record(machine.configuration, "post-invoke", requests=requests)
    assert recorded.generation is not None
    assert recorded.generation.occasion.requests == requests


def test_the_log_in_the_store_says_it(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    log = (machine.store_path / "log").read_text(encoding="utf-8")
    assert "recorded generation 1 at DPkg::Post-Invoke" in log
    assert log.count("\n") == 1


# -- files


def test_a_source_is_kept_with_its_content(machine: Machine) -> None:
    path = machine.root.write(f"{SOURCES}/vendor.list", "deb [trusted=yes] http://h sid main\n")
    secret = machine.root.write("etc/apt/auth.conf", "machine h login l password p\n", 0o600)
    machine.record()
    wished = machine.newest().files
    assert set(wished) == {path, secret}
    with open_store(str(machine.home), STORE) as store:
        for known, content in ((path, b"deb [trusted"), (secret, b"machine h")):
            entry = wished[known]
            assert isinstance(entry, KeptFile)
            assert kept.get(store, known, entry).startswith(content)
            mode = machine.store_path.joinpath(*kept.location(known, entry)).stat().st_mode
            assert mode & 0o077 == (0 if known == secret else 0o044)


def test_what_can_not_be_kept_is_said_once(machine: Machine) -> None:
    path = machine.root.write(
        f"{SOURCES}/vendor.list", "deb [signed-by=/nowhere/key.gpg] http://h sid main\n"
    )
    machine.install("cowsay")
    first = machine.record()
    assert [entry.subject for entry in first.unkept] == ["/nowhere/key.gpg"]
    assert path in machine.newest().files
    machine.install("redis")
    assert machine.record().unkept == ()


def test_a_copy_that_was_damaged_is_mended_by_a_thorough_record(machine: Machine) -> None:
    machine.root.write(f"{SOURCES}/vendor.list", "deb [trusted=yes] http://h sid main\n")
    machine.record()
    (copy,) = (machine.store_path / "files").iterdir()
    content = copy.read_bytes()
    copy.write_bytes(b"")
    machine.record("aptkeep record", thorough=True)
    assert copy.read_bytes() == content


# -- the next root


def test_a_fresh_root_takes_nothing_away(machine: Machine) -> None:
    """Nothing is restored yet, and the user installs something: all is wanted."""
    machine.install("cowsay")
    machine.record()
    machine.fresh_root()
    take_baseline(machine.configuration)
    machine.install("redis")
    machine.purge("vim")
    machine.record()
    assert machine.newest() == Manifest(
        {
            "cowsay": wish(INSTALL, "1", auto=False),
            "redis": wish(INSTALL, "1", auto=False),
            "vim": wish(PURGE, image="1"),
        }
    )


def test_what_a_killed_restore_did_is_not_recorded_and_the_rest_is(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    machine.fresh_root()
    take_baseline(machine.configuration)
    machine.state.begin_restore(Touched(frozenset({"cowsay", "perl"})))
    machine.install("perl")
    machine.install("redis")
    machine.record()
    assert set(machine.newest().packages) == {"cowsay", "redis"}
    assert machine.state.restoring() is None
    machine.purge("perl")
    assert machine.record().generation is None


# -- stores that aren't what they were


def test_a_store_that_was_lost_is_filled_again(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    shutil.rmtree(machine.store_path)
    assert machine.record().generation is None  # nothing changed here: the hook doesn't look
    machine.record("aptkeep start", thorough=True)
    assert set(machine.newest().packages) == {"cowsay"}
    assert machine.numbers() == [1]


def test_a_store_of_another_home_gets_all_that_is_wanted_here(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    shutil.rmtree(machine.home)
    machine.home.mkdir()
    with open_store(str(machine.home), STORE, create=True) as store:
        manifest = Manifest({"redis": wish(INSTALL, "7", auto=False)})
        occasion = Occasion("2026-11-24T06:03:30Z", "elsewhere")
        generations.write(store, occasion, machine.state.baseline().platform, manifest)
    machine.install("nano")
    machine.record()
    assert set(machine.newest().packages) == {"redis", "cowsay", "nano"}


def test_what_a_torn_generation_held_is_recorded_again(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    machine.install("redis")
    machine.record()
    (machine.store_path / "generations/000002.json").write_bytes(b"{")
    machine.install("nano")
    recorded = machine.record()
    assert ["000002" in error.brief for error in recorded.passed_over] == [True]
    assert set(machine.newest().packages) == {"cowsay", "redis", "nano"}
    assert machine.numbers() == [1, 2, 3]


def test_a_store_that_is_not_trusted_keeps_the_change_for_later(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    machine.store_path.chmod(0o777)
    machine.install("redis")
    with pytest.raises(AptkeepError, match="not trusted"):
        machine.record()
    machine.store_path.chmod(0o755)
    machine.record()
    assert set(machine.newest().packages) == {"cowsay", "redis"}


def test_a_full_disk_keeps_the_change_for_later(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    machine.install("redis")
    with no_file_longer_than(100), pytest.raises(AptkeepError):
        machine.record()
    assert set(machine.newest().packages) == {"cowsay"}
    machine.record()
    assert set(machine.newest().packages) == {"cowsay", "redis"}


def test_a_home_that_is_gone_keeps_the_change_for_later(machine: Machine) -> None:
    machine.home.rename(machine.directory / "away")
    assert machine.record() == Recorded()  # who wants nothing is told nothing
    machine.install("cowsay")
    with pytest.raises(AptkeepError, match="is not there"):
        machine.record()
    (machine.directory / "away").rename(machine.home)
    machine.record()
    assert set(machine.newest().packages) == {"cowsay"}


def test_a_store_that_another_machine_writes_keeps_the_change_for_later(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    machine.install("redis")
    with open_store(str(machine.home), STORE) as other:
        other.lock(0)
        with pytest.raises(LockedError):
            machine.record()
    machine.record()
    assert set(machine.newest().packages) == {"cowsay", "redis"}

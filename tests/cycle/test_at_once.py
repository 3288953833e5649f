"""Two at once: starts, records, machines with one home."""

from __future__ import annotations

import pytest

from cycle.conftest import Experienced, Prepare
from cycle.keeping import (
    aptkeep,
    generations,
    installed,
    newest,
    next_boot,
    package_state,
    pending,
    said,
    start,
    store,
    wishes,
)
from cycle.test_killed import wait_for
from testbed.fixtures import MakeWorkstation
from testbed.packages import TinyPackage
from testbed.workstation import Workstation

WAITS = "[ ! -e /etc/gate ] || { touch /etc/reached; read line < /etc/gate; }"
ALPHA = TinyPackage("alpha", depends="beta", scripts={"postinst": WAITS})
BETA, GAMMA, TOOL = TinyPackage("beta"), TinyPackage("gamma"), TinyPackage("tool")


@pytest.fixture
def used(prepare: Prepare) -> Experienced:
    return prepare(*(ALPHA, BETA, GAMMA), contents=[TOOL], commands=["apt-get install -qy alpha"])


def test_record_while_a_restore_is_at_work(used: Workstation) -> None:
    before, recorded = package_state(used), newest(used)
    used.stop()
    used.boot()
    used.run("mkfifo", "/etc/gate")
    restoring = used.popen("aptkeep", "start")
    wait_for(lambda: used.exists("/etc/reached"), restoring)
    waiting = aptkeep(used, "record", "-o", "DPkg::Lock::Timeout=0", code=4)
    assert "another aptkeep is at work on this machine" in waiting.stderr
    recording = used.popen("aptkeep", "record")
    used.sh("echo go > /etc/gate; rm /etc/gate")
    output, errors = recording.communicate(timeout=60)
    assert (recording.returncode, output, errors) == (0, b"aptkeep: nothing new.\n", b"")
    assert restoring.wait(timeout=60) == 0
    assert package_state(used) == before
    assert newest(used) == recorded


def test_apt_update_by_the_user_while_a_restore_is_at_work(used: Workstation) -> None:
    """Its hooks neither wait for the restore nor take its work for the user's."""
    recorded = newest(used)
    used.stop()
    used.boot()
    used.run("mkfifo", "/etc/gate")
    restoring = used.popen("aptkeep", "start")
    wait_for(lambda: used.exists("/etc/reached"), restoring)
    assert said(used.run("apt-get", "update", "-q")) == []
    assert newest(used) == recorded
    used.sh("echo go > /etc/gate; rm /etc/gate")
    assert restoring.wait(timeout=60) == 0
    assert newest(used) == recorded


def test_two_starts_at_once(used: Workstation) -> None:
    before, recorded = package_state(used), newest(used)
    used.stop()
    used.boot()
    both = [used.popen("aptkeep", "start") for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(outputs) == [
        b"",
        f"aptkeep: generation {recorded['generation']} is restored.\n".encode(),
    ]
    assert package_state(used) == before
    assert newest(used) == recorded


def test_start_in_the_background(used: Workstation) -> None:
    before = package_state(used)
    used.stop()
    used.boot()
    result = start(used, "--background")
    assert result.output == ""
    finished = used.popen("sh", "-c", "until aptkeep status; do sleep 0.1; done")
    assert finished.wait(timeout=60) == 0
    aptkeep(used, "record")  # waits for the lock, and so for the marks
    assert package_state(used) == before


def test_start_after_a_reboot_with_the_root_intact_does_nothing(used: Workstation) -> None:
    before, files = package_state(used), newest(used)
    log = (store(used) / "log").read_bytes()
    status = used.stat("/var/lib/dpkg/status").st_mtime_ns
    result = start(used.reboot(network=False))
    assert result.output == ""
    assert package_state(used) == before
    assert newest(used) == files
    assert (store(used) / "log").read_bytes() == log
    assert used.stat("/var/lib/dpkg/status").st_mtime_ns == status


def test_start_in_the_middle_of_a_session_takes_nothing_back(used: Workstation) -> None:
    """What was missed is recorded first: edits, marks, a purge behind aptkeep's back."""
    used.run("apt-get", "purge", "-qy", "alpha", "-o", "DPkg::Post-Invoke::aptkeep=true")
    used.run("apt-mark", "hold", "beta")
    start(used)
    assert "alpha" not in installed(used)
    assert wishes(used).keys() == {"beta"}
    assert wishes(used)["beta"]["selection"] == "hold"


# -- two workstations on one home -----------------------------------------------------------------


@pytest.fixture
def pair(used: Experienced, make_workstation: MakeWorkstation) -> tuple[Workstation, Workstation]:
    """Two that have started with the same home, and alpha on both."""
    other = make_workstation(used.next_image, home=used.home).boot()
    start(other)
    return used, other


def test_what_each_installs_is_wanted(pair: tuple[Workstation, Workstation]) -> None:
    one, other = pair
    one.run("apt-get", "install", "-qy", "gamma")
    other.run("apt-mark", "hold", "alpha")
    other.run("apt-get", "purge", "-qy", "tool")
    assert wishes(one).keys() == {"alpha", "beta", "gamma", "tool"}
    assert wishes(one)["alpha"]["selection"] == "hold"
    # Neither takes what the other has for removed or for wanted by itself.
    for machine in pair:
        aptkeep(machine, "record")
    assert wishes(one).keys() == {"alpha", "beta", "gamma", "tool"}
    assert pending(other).keys() == {"gamma"}
    other.stop()
    next_boot(one)
    assert {"alpha", "beta", "gamma"} <= installed(one).keys()
    assert "tool" not in installed(one)


def test_what_one_removes_is_no_longer_wanted(pair: tuple[Workstation, Workstation]) -> None:
    one, other = pair
    one.run("apt-get", "autoremove", "-qy", "--purge", "alpha")
    other.run("apt-get", "install", "-qy", "gamma")
    assert "alpha" in installed(other)
    assert wishes(one).keys() == {"gamma"}
    other.stop()
    next_boot(one)
    assert not {"alpha", "beta"} & installed(one).keys()


def test_both_record_at_the_same_moment(pair: tuple[Workstation, Workstation]) -> None:
    one, other = pair
    first = len(generations(one))
    names = [("bash", "dash", "tar"), ("grep", "sed", "gzip")]
    script = "for name in {}; do apt-mark -qq hold $name; aptkeep record; done"
    both = [
        machine.popen("sh", "-ec", script.format(" ".join(held)))
        for machine, held in zip(pair, names, strict=True)
    ]
    for process in both:
        _output, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, b"")
    held = {name for name, wish in wishes(one).items() if wish["selection"] == "hold"}
    assert held == {name for each in names for name in each}
    numbers = [generation["generation"] for generation in generations(one)]
    assert numbers == list(range(1, first + 7))
    del other

"""A restore that is killed at any moment is finished by the next start, and wishes nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest

from cycle.conftest import Prepare
from cycle.keeping import (
    aptkeep,
    marked_automatic,
    newest,
    package_state,
    put_deb,
    start,
    wishes,
)
from testbed.commands import FrontedProcess
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

# Whoever finds /etc/gate/NAME says so in /etc/gate/reached and waits for ever.
GATE = (
    "[ ! -e /etc/gate/{name} ] || "
    "{{ echo {name} >> /etc/gate/reached; read line < /etc/gate/{name}; }}"
)


def gate(name: str) -> str:
    return GATE.format(name=name)


ALPHA = TinyPackage(
    "alpha",
    depends="beta",
    conffiles={"/etc/alpha.conf": "a\n"},
    scripts={"preinst": gate("alpha-preinst"), "postinst": gate("alpha-postinst")},
)
BETA = TinyPackage("beta", depends="gamma", scripts={"postinst": gate("beta-postinst")})
GAMMA, DELTA = TinyPackage("gamma"), TinyPackage("delta")
TOY = TinyPackage("new-toy")


@dataclass(frozen=True)
class Moment:
    """Where a restore is stopped: a gate of a package, or a command that waits there."""

    gate: str | None = None
    command: str | None = None
    before: str = ""
    """The words of the command's arguments at which it waits."""


MOMENTS = {
    "fetching the lists": Moment(command="apt-get", before="update"),
    "setting the selections": Moment(command="dpkg", before="--set-selections"),
    "merging into available": Moment(command="dpkg", before="--merge-avail"),
    "unpacking": Moment(gate="alpha-preinst"),
    "configuring the first": Moment(gate="beta-postinst"),
    "configuring the last": Moment(gate="alpha-postinst"),
    "between install and marks": Moment(command="apt-mark", before="auto"),
}


POWER_CUTS = ("unpacking", "configuring the first")


@pytest.fixture
def used(prepare: Prepare) -> Workstation:
    return prepare(
        *(ALPHA, BETA, GAMMA, DELTA),
        commands=[
            *("apt-get install -qy alpha", "apt-get install -qy delta"),
            "apt-mark hold delta",
            "dpkg --add-architecture i386",
        ],
    )


def begin(machine: Workstation, moment: Moment) -> FrontedProcess:
    """A fresh root, and a start on it that has come to that moment."""
    name = moment.gate or "command"
    machine.run("mkdir", "-p", "/etc/gate")
    machine.run("mkfifo", f"/etc/gate/{name}")
    if moment.command is not None:
        real = machine.run("sh", "-c", f"command -v {moment.command}").stdout.strip()
        script = f'case " $* " in *" {moment.before} "*) {gate(name)};; esac; exec {real} "$@"'
        machine.write(f"/usr/local/sbin/{moment.command}", f"#!/bin/sh\n{script}\n", 0o755)
    process = machine.popen("aptkeep", "start")
    wait_for(lambda: machine.exists("/etc/gate/reached"), process)
    return process


def wait_for(reached: Callable[[], bool], process: FrontedProcess) -> None:
    deadline = time.monotonic() + 30
    while not reached():
        if process.poll() is not None:
            raise AssertionError(f"it ended before: {process.communicate()}")
        if time.monotonic() > deadline:
            raise AssertionError("it never got there")
        time.sleep(0.01)


def kill(machine: Workstation, process: FrontedProcess) -> None:
    """SIGKILL for it and for all that it started: apt runs dpkg in a session of its own."""
    for pid in machine.pids()[1:]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    remove_gates(machine)


def remove_gates(machine: Workstation) -> None:
    machine.sh("rm -rf /etc/gate /usr/local/sbin/*")


@pytest.mark.parametrize("moment", [m for m in MOMENTS if m not in POWER_CUTS])
def test_killed_restore_is_finished_by_the_next_start(used: Workstation, moment: str) -> None:
    before, recorded = package_state(used), newest(used)
    used.stop()
    used.boot()
    process = begin(used, MOMENTS[moment])
    kill(used, process)
    assert used.exists("/var/lib/aptkeep/restoring.json")
    start(used)
    assert package_state(used) == before
    assert newest(used) == recorded
    assert used.run("dpkg", "--audit").stdout == ""
    assert not used.exists("/var/lib/dpkg/available")
    assert not used.exists("/var/lib/aptkeep/restoring.json")


@pytest.mark.parametrize("moment", POWER_CUTS)
def test_power_cut_with_the_root_kept(used: Workstation, moment: str) -> None:
    before, recorded = package_state(used), newest(used)
    used.stop()
    used.boot()
    begin(used, MOMENTS[moment])
    used.reboot()
    remove_gates(used)
    start(used)
    assert package_state(used) == before
    assert newest(used) == recorded


def test_power_cut_with_the_root_lost(used: Workstation) -> None:
    before, recorded = package_state(used), newest(used)
    used.stop()
    used.boot()
    begin(used, MOMENTS["unpacking"])
    used.kill()
    used.boot()
    start(used)
    assert package_state(used) == before
    assert newest(used) == recorded


@pytest.mark.parametrize("moment", ["configuring the last", "between install and marks"])
def test_what_it_did_half_way_never_becomes_a_wish(used: Workstation, moment: str) -> None:
    """The user goes on with apt before the next start: only that is recorded."""
    before, recorded = package_state(used), newest(used)
    used.stop()
    used.boot()
    process = begin(used, MOMENTS[moment])
    kill(used, process)
    used.run("dpkg", "--configure", "-a")
    used.run("apt-get", "install", "-qy", put_deb(used, TOY))
    used.run("apt-mark", "hold", "dash")
    aptkeep(used, "record")
    assert wishes(used) == {
        **recorded["packages"],
        "new-toy": {"selection": "install", "version": "1.0", "auto": False},
        "dash": wishes(used)["dash"],
    }
    start(used)
    used.run("dpkg", "-P", "new-toy")
    used.run("apt-mark", "unhold", "dash")
    aptkeep(used, "record")
    assert package_state(used) == before
    assert {"beta", "gamma"} <= marked_automatic(used)


def test_dpkg_that_outlives_a_killed_restore(used: Workstation) -> None:
    """It goes on alone; the next start waits for it."""
    before, recorded = package_state(used), newest(used)
    used.stop()
    used.boot()
    process = begin(used, MOMENTS["configuring the first"])
    process.kill_group()
    process.wait()
    refused = aptkeep(used, "start", "-o", "DPkg::Lock::Timeout=0", code=4)
    assert "apt or dpkg is at work" in refused.stderr
    waiting = used.popen("aptkeep", "start")
    used.sh("echo go > /etc/gate/beta-postinst; rm /etc/gate/*")
    assert waiting.wait(timeout=60) == 0
    assert package_state(used) == before
    assert newest(used) == recorded


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_interrupted_start_leaves_apt_to_the_next_one(
    used: Workstation, sent: signal.Signals
) -> None:
    """apt goes on by itself, and its hooks run; the next start waits for it."""
    before, recorded = package_state(used), newest(used)
    used.stop()
    used.boot()
    process = begin(used, MOMENTS["configuring the first"])
    process.send_signal(sent)
    process.wait(timeout=20)
    waiting = used.popen("aptkeep", "start")
    used.sh("echo go > /etc/gate/beta-postinst; rm /etc/gate/*")
    assert waiting.wait(timeout=60) == 0
    assert package_state(used) == before
    assert newest(used) == recorded


def test_killed_while_fetching(used: Workstation, repository: Repository) -> None:
    before, recorded = package_state(used), newest(used)
    used.stop()
    used.boot()
    repository.requests.clear()
    repository.delay = 0.5
    process = used.popen("aptkeep", "start")
    wait_for(lambda: any(path.endswith(".deb") for path in repository.requests), process)
    process.kill_group()
    process.wait()
    repository.delay = 0
    start(used)
    assert package_state(used) == before
    assert newest(used) == recorded


def test_user_removes_what_a_killed_restore_brought(used: Workstation) -> None:
    """That's a wish, even though the restore had set out to install it."""
    used.stop()
    used.boot()
    process = begin(used, MOMENTS["between install and marks"])
    kill(used, process)
    used.run("apt-get", "purge", "-qy", "alpha")
    assert wishes(used).keys() == {"beta", "gamma", "delta"}
    start(used)
    assert wishes(used).keys() == {"beta", "gamma", "delta"}

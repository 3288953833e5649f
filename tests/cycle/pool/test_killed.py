"""Killed at any moment between the first download and the last write of the index.

The next run repairs it, and no half file is ever offered.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from cycle.keeping import add_source, aptkeep, install, next_boot, package_state, said, start
from cycle.pool.stock import (
    ALPHA,
    BETA,
    INCOMING,
    STOCK,
    Local,
    check,
    has,
    index,
    locked,
    make_debs,
    pool,
    pooled,
    same_files,
    settle,
    wait_until,
)
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

BIG = TinyPackage("big", files={"/usr/share/big": "b" * 4_000_000})
LARGE = Local("large", kilobytes=60_000)
STORE = "/home/bench-user/.local/share/aptkeep"


def processes(machine: Workstation, words: bytes = b"aptkeep") -> list[int]:
    """aptkeep's own processes on the machine, as this one counts them."""
    found = []
    for pid in machine.pids()[1:]:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"python3" in command and words in command:
            found.append(pid)
    return found


def kill(machine: Workstation) -> int:
    """Kill them all, with no time to tidy up; how many there were."""
    found = processes(machine)
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    wait_until(lambda: not processes(machine))
    return len(found)


def offered_is_whole(machine: Workstation) -> None:
    """What the index names is there, whole; other files may lie about until the next run."""
    for entry in index(machine):
        assert (pool(machine) / entry["filename"]).stat().st_size == int(entry["size"])


def repaired(machine: Workstation, expected: dict[str, str]) -> None:
    """The next run makes it whole, and leaves nothing behind."""
    assert said(machine.run("aptkeep", "record")) == []
    settle(machine)
    assert pooled(machine) == expected


def test_worker_killed_at_many_moments(machine: Workstation, repository: Repository) -> None:
    """From the moment when apt returns to when the worker is done."""
    repository.publish(ALPHA, BETA, BIG)
    add_source(machine, repository)
    killed = 0
    for moment in (0, 0.03, 0.08, 0.15, 0.3):
        machine.sh(f"rm -rf {STORE}/pool; apt-get install -qy --reinstall big alpha beta")
        time.sleep(moment)
        killed += kill(machine) > 0
        offered_is_whole(machine)
        repaired(machine, {"alpha": "1.0", "beta": "1.0", "big": "1.0"})
    assert killed


def test_hook_killed_while_it_copies_a_local_file(machine: Workstation) -> None:
    """dpkg goes on; what was half copied is not offered, and goes."""
    make_debs(machine, Local("one"), LARGE)
    machine.run("dpkg", "-i", Local("one").path)
    settle(machine)
    installing = machine.popen("dpkg", "-i", LARGE.path)
    wait_until(lambda: any(name.startswith(".") for name in os.listdir(pool(machine))))
    assert kill(machine)
    assert installing.wait(timeout=30) == 0
    assert pooled_names(machine) == {"one"}
    repaired(machine, {"one": "1.0", "large": "1.0"})
    next_boot(machine, network=False)
    assert has(machine, {"one": "1.0", "large": "1.0"})


def pooled_names(machine: Workstation) -> set[str]:
    """What the index names."""
    offered_is_whole(machine)
    return {entry["package"] for entry in index(machine)}


def test_killed_before_the_copy_gets_its_name(machine: Workstation) -> None:
    """The copy is whole, and waits for the pool's lock; then the power is cut."""
    make_debs(machine, Local("one"), Local("two"))
    machine.run("dpkg", "-i", Local("one").path)
    settle(machine)
    with locked(machine, f"{STORE}/pool"):
        machine.run("dpkg", "-i", Local("two").path)
        wait_until(lambda: any(name.startswith(".") for name in os.listdir(pool(machine))))
        machine.reboot()
    assert pooled_names(machine) == {"one"}
    repaired(machine, {"one": "1.0", "two": "1.0"})


def test_killed_between_the_name_and_the_index(machine: Workstation) -> None:
    """The file has its name already; the index doesn't know of it, and the entry still waits."""
    make_debs(machine, Local("one"), Local("two"))
    machine.run("dpkg", "-i", Local("one").path)
    settle(machine)
    before = (pool(machine) / "Packages").read_bytes()
    machine.run("dpkg", "-i", Local("two").path)
    settle(machine)
    (pool(machine) / "Packages").write_bytes(before)
    (pool(machine) / ".new-999.9").write_bytes(b"!<arch>\n")
    machine.run("ln", "-s", Local("two").path, f"{INCOMING}/000000009")
    repaired(machine, {"one": "1.0", "two": "1.0"})
    # Without the entry, as when the root was lost at that moment: it's not lost.
    (pool(machine) / "Packages").write_bytes(before)
    next_boot(machine, network=False)
    assert has(machine, {"one": "1.0", "two": "1.0"})


def test_power_cut_before_anything_was_pooled(machine: Workstation, repository: Repository) -> None:
    """With the root kept, as at a reboot, what was caught is pooled; without it, it's fetched."""
    repository.publish(ALPHA, BETA)
    add_source(machine, repository)
    with locked(machine, INCOMING):
        install(machine, "alpha")
        machine.reboot()
    assert not pool(machine).exists()
    start(machine)
    settle(machine)
    assert pooled(machine) == {"alpha": "1.0", "beta": "1.0"}
    machine.sh(f"rm -r {STORE}/pool")
    with locked(machine, INCOMING):
        machine.run("apt-get", "install", "-qy", "--reinstall", "alpha")
        machine.kill()
    machine.boot()
    start(machine)
    settle(machine)
    assert pooled(machine) == {"alpha": "1.0", "beta": "1.0"}


def test_restore_killed_while_it_stages(stocked: Workstation, repository: Repository) -> None:
    """What it laid out for apt is gone after the next start, which finishes the work."""
    repository.down()
    starting = stocked.popen("aptkeep", "start")
    staged = stocked.root / "var/lib/aptkeep/staged/debs"
    wait_until(lambda: staged.exists() and len(os.listdir(staged)) > 2)
    starting.kill_group()
    starting.communicate()
    kill(stocked)
    assert stocked.exists("/var/lib/aptkeep/staged/debs")
    start(stocked)
    assert has(stocked, STOCK)
    assert same_files(stocked)
    assert not stocked.exists("/var/lib/aptkeep/staged")
    settle(stocked)
    check(stocked)
    assert aptkeep(stocked, "record").output == "aptkeep: nothing new.\n"


def test_restore_killed_while_dpkg_unpacks_a_local_package(
    stocked: Workstation, repository: Repository
) -> None:
    """apt would not touch anything before it's reinstalled, and finds no archive of it."""
    repository.down()
    start(stocked)
    before = package_state(stocked)
    status = r"/^Package: plain$/,/^$/s/^Status: .*/Status: install reinstreq half-installed/"
    stocked.run("sed", "-i", status, "/var/lib/dpkg/status")
    start(stocked)
    assert package_state(stocked) == before
    assert same_files(stocked)
    check(stocked)

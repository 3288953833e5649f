"""Holds and marks that are set without dpkg being run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cycle.conftest import MakeImage
from cycle.keeping import (
    add_source,
    aptkeep,
    generations,
    install,
    marked_automatic,
    newest,
    next_boot,
    on_hold,
    package_state,
    start,
    update,
    wishes,
)
from testbed.fixtures import MakeWorkstation
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

ALPHA = TinyPackage("alpha", depends="beta, gamma")
BETA, GAMMA, DELTA = TinyPackage("beta"), TinyPackage("gamma"), TinyPackage("delta")
TOOL, TOY, THING = TinyPackage("tool"), TinyPackage("toy"), TinyPackage("thing")


@pytest.fixture
def machine(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> Workstation:
    """Its image holds `thing`; alpha is installed on it, with beta and gamma as dependencies."""
    repository.publish(ALPHA, BETA, GAMMA, DELTA, TOOL, TOY)
    image = make_image(TOOL, TOY, THING, commands=[["apt-mark", "hold", "thing"]])
    made = make_workstation(image).boot()
    start(made)
    add_source(made, repository)
    install(made, "alpha")
    return made


def change_marks(machine: Workstation) -> None:
    """Each of the three, on packages of the image and of the user."""
    machine.run("apt-mark", "hold", "tool", "alpha")
    machine.run("apt-mark", "unhold", "thing")
    machine.run("apt-mark", "auto", "toy")
    machine.run("apt-mark", "manual", "beta")


DOORS: dict[str, Callable[[Workstation], object]] = {
    "aptkeep record": lambda machine: aptkeep(machine, "record"),
    "apt-get update": update,
    "apt-get install": lambda machine: install(machine, "delta"),
    "start with the root intact": lambda machine: start(machine.reboot()),
}


@pytest.mark.parametrize("door", DOORS)
def test_marks_are_kept(machine: Workstation, door: str) -> None:
    change_marks(machine)
    DOORS[door](machine)
    before = package_state(machine)
    next_boot(machine)
    assert package_state(machine) == before
    assert on_hold(machine) == {"tool", "alpha"}
    assert marked_automatic(machine) >= {"toy", "gamma"}
    assert "beta" not in marked_automatic(machine)


def test_marks_alone_are_kept(make_workstation: MakeWorkstation, make_image: MakeImage) -> None:
    """No package to install or remove: neither lists nor network are needed for it."""
    image = make_image(TOOL, TOY, THING, commands=[["apt-mark", "hold", "thing"]])
    machine = make_workstation(image).boot()
    start(machine)
    machine.run("apt-mark", "hold", "tool")
    machine.run("apt-mark", "unhold", "thing")
    machine.run("apt-mark", "auto", "toy")
    aptkeep(machine, "record")
    before = package_state(machine)
    next_boot(machine, network=False)
    assert package_state(machine) == before
    assert start(machine).output == ""


def test_installing_a_dependency_by_name_makes_it_wanted(machine: Workstation) -> None:
    """apt changes its mark and runs no dpkg; whether it's in the same second doesn't matter."""
    assert wishes(machine)["beta"]["auto"]
    result = install(machine, "beta")
    assert "beta set to manually installed" in result.stdout
    assert not wishes(machine)["beta"]["auto"]
    assert newest(machine)["recorded"]["door"] == "APT::Install::Post-Invoke-Success"
    machine.run("apt", "install", "-qy", "gamma")
    assert not wishes(machine)["gamma"]["auto"]
    next_boot(machine)
    assert not marked_automatic(machine) & {"alpha", "beta", "gamma"}


def test_hold_that_was_lifted_again_leaves_no_trace(machine: Workstation) -> None:
    before = newest(machine)["packages"]
    change_marks(machine)
    aptkeep(machine, "record")
    machine.run("apt-mark", "unhold", "tool", "alpha")
    machine.run("apt-mark", "hold", "thing")
    machine.run("apt-mark", "manual", "toy")
    machine.run("apt-mark", "auto", "beta")
    aptkeep(machine, "record")
    assert newest(machine)["packages"] == before


def test_record_has_nothing_new_to_say_the_second_time(machine: Workstation) -> None:
    change_marks(machine)
    aptkeep(machine, "record")
    number = len(generations(machine))
    assert aptkeep(machine, "record").stdout == "aptkeep: nothing new.\n"
    assert len(generations(machine)) == number

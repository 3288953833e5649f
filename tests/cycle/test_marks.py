"""Holds and marks that are set without dpkg being run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cycle.conftest import MakeImage, Prepare
from cycle.keeping import (
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
from testbed.workstation import Workstation

ALPHA = TinyPackage("alpha", depends="beta, gamma")
BETA, GAMMA, DELTA = TinyPackage("beta"), TinyPackage("gamma"), TinyPackage("delta")
TOOL, TOY, THING = TinyPackage("tool"), TinyPackage("toy"), TinyPackage("thing")


@pytest.fixture
def used(prepare: Prepare) -> Workstation:
    """On it alpha is installed, with beta and gamma as dependencies."""
    return prepare(
        *(ALPHA, BETA, GAMMA, DELTA, TOOL, TOY),
        contents=(TOOL, TOY),
        commands=["apt-get install -qy alpha"],
    )


def change_marks(machine: Workstation) -> None:
    """Each of the three, on packages of the image and of the user."""
    machine.run("apt-mark", "hold", "tool", "alpha")
    machine.run("apt-mark", "auto", "toy")
    machine.run("apt-mark", "manual", "beta")


DOORS: dict[str, Callable[[Workstation], object]] = {
    "aptkeep record": lambda machine: aptkeep(machine, "record"),
    "apt-get update": update,
    "apt-get install": lambda machine: install(machine, "delta"),
    "start with the root intact": lambda machine: start(machine.reboot()),
}


@pytest.mark.parametrize("door", DOORS)
def test_marks_are_kept(used: Workstation, door: str) -> None:
    change_marks(used)
    DOORS[door](used)
    before = package_state(used)
    next_boot(used)
    assert package_state(used) == before
    assert on_hold(used) == {"tool", "alpha"}
    assert marked_automatic(used) >= {"toy", "gamma"}
    assert "beta" not in marked_automatic(used)


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


def test_installing_a_dependency_by_name_makes_it_wanted(used: Workstation) -> None:
    """apt changes its mark and runs no dpkg; whether it's in the same second doesn't matter."""
    assert wishes(used)["beta"]["auto"]
    result = install(used, "beta")
    assert "beta set to manually installed" in result.stdout
    assert not wishes(used)["beta"]["auto"]
    assert newest(used)["recorded"]["door"] == "APT::Install::Post-Invoke-Success"
    used.run("apt", "install", "-qy", "gamma")
    assert not wishes(used)["gamma"]["auto"]
    next_boot(used)
    assert not marked_automatic(used) & {"alpha", "beta", "gamma"}


def test_hold_that_was_lifted_again_leaves_no_trace(used: Workstation) -> None:
    before = newest(used)["packages"]
    change_marks(used)
    aptkeep(used, "record")
    used.run("apt-mark", "unhold", "tool", "alpha")
    used.run("apt-mark", "manual", "toy")
    used.run("apt-mark", "auto", "beta")
    aptkeep(used, "record")
    assert newest(used)["packages"] == before


def test_hold_on_what_is_not_installed_is_kept(used: Workstation) -> None:
    used.run("apt-mark", "hold", "delta")
    aptkeep(used, "record")
    before = package_state(used)
    next_boot(used)
    assert package_state(used) == before
    assert "delta" in on_hold(used)
    assert aptkeep(used, "record").stdout == "aptkeep: nothing new.\n"


def test_record_has_nothing_new_to_say_the_second_time(used: Workstation) -> None:
    change_marks(used)
    aptkeep(used, "record")
    number = len(generations(used))
    assert aptkeep(used, "record").stdout == "aptkeep: nothing new.\n"
    assert len(generations(used)) == number

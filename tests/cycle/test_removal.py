"""What the user removed stays away: installed by the user or part of the image."""

from __future__ import annotations

import pytest

from cycle.conftest import MakeImage
from cycle.keeping import (
    add_source,
    aptkeep,
    install,
    installed,
    newest,
    next_boot,
    package_state,
    start,
    wishes,
)
from testbed.fixtures import MakeWorkstation
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

ALPHA = TinyPackage("alpha", depends="beta", conffiles={"/etc/alpha.conf": "a\n"})
BETA = TinyPackage("beta")
TOOL = TinyPackage("tool", conffiles={"/etc/tool.conf": "colour=blue\n"})
TOY = TinyPackage("toy", conffiles={"/etc/toy.conf": "x\n"})


@pytest.mark.parametrize("how", ["remove", "purge", "autoremove"])
def test_package_that_the_user_installed_and_removed_is_gone(
    machine: Workstation, repository: Repository, how: str
) -> None:
    repository.publish(ALPHA, BETA)
    add_source(machine, repository)
    install(machine, "alpha")
    next_boot(machine)
    assert {"alpha", "beta"} <= installed(machine).keys()
    # apt keeps beta as a leftover unless asked; `autoremove PACKAGE` takes it along.
    machine.run("apt-get", how, "-qy", "alpha")
    assert wishes(machine).keys() == (set() if how == "autoremove" else {"beta"})
    next_boot(machine)
    assert installed(machine).keys() & {"alpha", "beta"} == wishes(machine).keys()
    assert "alpha" not in machine.run("dpkg", "--get-selections").stdout


def test_package_of_the_image_that_the_user_removed_is_gone(
    make_workstation: MakeWorkstation, make_image: MakeImage
) -> None:
    machine = make_workstation(make_image(TOOL, TOY)).boot()
    start(machine)
    machine.run("apt-get", "remove", "-qy", "tool")
    machine.run("apt-get", "purge", "-qy", "toy")
    before = package_state(machine)
    assert {name: wish["selection"] for name, wish in wishes(machine).items()} == {
        "tool": "deinstall",
        "toy": "purge",
    }
    next_boot(machine)
    assert package_state(machine) == before
    assert machine.exists("/etc/tool.conf")
    assert not machine.exists("/etc/toy.conf")
    assert "tool\t" in machine.run("dpkg", "--get-selections").stdout
    assert aptkeep(machine, "start").stdout == ""


def test_removed_package_of_the_image_is_removed_without_network(
    make_workstation: MakeWorkstation, make_image: MakeImage
) -> None:
    machine = make_workstation(make_image(TOOL)).boot()
    start(machine)
    machine.run("apt-get", "remove", "-qy", "tool")
    next_boot(machine, network=False)
    assert "tool" not in installed(machine)


def test_removed_first_and_purged_later(
    make_workstation: MakeWorkstation, make_image: MakeImage
) -> None:
    machine = make_workstation(make_image(TOOL)).boot()
    start(machine)
    machine.run("apt-get", "remove", "-qy", "tool")
    next_boot(machine)
    machine.run("apt-get", "purge", "-qy", "tool")
    assert wishes(machine)["tool"]["selection"] == "purge"
    next_boot(machine)
    assert not machine.exists("/etc/tool.conf")


def test_package_of_the_image_that_was_removed_and_installed_again_is_left_alone(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    repository.publish(TOOL)
    machine = make_workstation(make_image(TOOL)).boot()
    start(machine)
    add_source(machine, repository)
    machine.run("apt-get", "purge", "-qy", "tool")
    install(machine, "tool")
    assert newest(machine)["packages"] == {}
    before = package_state(machine)
    next_boot(machine)
    assert package_state(machine) == before


def test_removed_together_with_what_depends_on_it(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    """The user removes a library of the image, and what needs it goes too."""
    user_of_tool = TinyPackage("user-of-tool", depends="tool")
    repository.publish(ALPHA, BETA)
    machine = make_workstation(make_image(TOOL, user_of_tool)).boot()
    start(machine)
    add_source(machine, repository)
    machine.run("apt-get", "remove", "-qy", "tool")
    install(machine, "alpha")
    before = package_state(machine)
    next_boot(machine)
    assert package_state(machine) == before
    assert not {"tool", "user-of-tool"} & installed(machine).keys()

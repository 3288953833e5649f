"""What the user removed stays away: installed by the user or part of the image."""

from __future__ import annotations

import pytest

from cycle.conftest import MakeImage, Prepare
from cycle.keeping import aptkeep, install, installed, newest, next_boot, package_state, wishes
from testbed.packages import TinyPackage
from testbed.workstation import Workstation

ALPHA = TinyPackage("alpha", depends="beta", conffiles={"/etc/alpha.conf": "a\n"})
BETA = TinyPackage("beta")
TOOL = TinyPackage("tool", conffiles={"/etc/tool.conf": "colour=blue\n"})
TOY = TinyPackage("toy", conffiles={"/etc/toy.conf": "x\n"})
NEEDS_TOOL = TinyPackage("needs-tool", depends="tool")


@pytest.fixture
def used(prepare: Prepare) -> Workstation:
    """alpha and beta are the user's, the others the image's."""
    return prepare(
        *(ALPHA, BETA, TOOL),
        contents=(TOOL, TOY, NEEDS_TOOL),
        commands=["apt-get install -qy alpha"],
    )


@pytest.mark.parametrize("how", ["remove", "purge", "autoremove"])
def test_package_that_the_user_installed_and_removed_is_gone(used: Workstation, how: str) -> None:
    if how == "remove":  # on a root that a restore brought it to
        next_boot(used)
    # apt keeps beta as a leftover unless asked; `autoremove PACKAGE` takes it along.
    used.run("apt-get", how, "-qy", "alpha")
    left = set() if how == "autoremove" else {"beta"}
    assert wishes(used).keys() == left
    next_boot(used)
    assert installed(used).keys() & {"alpha", "beta"} == left
    assert "alpha" not in used.run("dpkg", "--get-selections").stdout


def test_package_of_the_image_that_the_user_removed_is_gone(used: Workstation) -> None:
    used.run("apt-get", "remove", "-qy", "tool")  # and needs-tool with it
    used.run("apt-get", "purge", "-qy", "toy")
    before = package_state(used)
    assert {name: wish["selection"] for name, wish in wishes(used).items()} == {
        "tool": "deinstall",
        "needs-tool": "purge",
        "toy": "purge",
        "alpha": "install",
        "beta": "install",
    }
    next_boot(used)
    assert package_state(used) == before
    assert used.exists("/etc/tool.conf")
    assert not used.exists("/etc/toy.conf")
    assert "tool\t" in used.run("dpkg", "--get-selections").stdout
    assert aptkeep(used, "start").stdout == ""


def test_removed_package_of_the_image_is_removed_without_network(used: Workstation) -> None:
    used.run("apt-get", "purge", "-qy", "toy")
    used.run("apt-get", "autoremove", "--purge", "-qy", "alpha")
    next_boot(used, network=False)
    assert "toy" not in installed(used)


def test_removed_first_and_purged_later(used: Workstation) -> None:
    used.run("apt-get", "remove", "-qy", "toy")
    next_boot(used)
    used.run("apt-get", "purge", "-qy", "toy")
    assert wishes(used)["toy"]["selection"] == "purge"
    next_boot(used)
    assert not used.exists("/etc/toy.conf")


def test_package_of_the_image_that_was_removed_and_installed_again_is_left_alone(
    used: Workstation,
) -> None:
    before = newest(used)["packages"]
    used.run("apt-get", "purge", "-qy", "tool")
    install(used, "tool")
    assert newest(used)["packages"].keys() == {*before, "needs-tool"}
    state = package_state(used)
    next_boot(used)
    assert package_state(used) == state


def test_removed_package_of_the_image_is_gone_from_a_newer_image_too(
    used: Workstation, make_image: MakeImage
) -> None:
    used.run("apt-get", "purge", "-qy", "toy")
    next_boot(used, image=make_image(TOOL.at("2.0"), TOY.at("2.0")))
    assert installed(used)["tool"] == "2.0"
    assert "toy" not in installed(used)


def test_package_of_the_image_that_was_replaced_by_another(prepare: Prepare) -> None:
    """One mail server for another, with something that needs either."""
    conffiles = {"/etc/exim.conf": "x\n"}
    exim = TinyPackage("exim", provides="mail", conflicts="mail", conffiles=conffiles)
    postman = TinyPackage("postman", provides="mail", conflicts="mail")
    reader = TinyPackage("reader", depends="exim | mail")
    command = "apt-get install -qy postman"
    machine = prepare(postman, contents=[exim, reader], commands=[command])
    before = package_state(machine)
    assert {"postman", "reader"} <= installed(machine).keys()
    next_boot(machine)
    assert package_state(machine) == before

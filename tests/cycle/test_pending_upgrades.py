"""An image with pending upgrades: a restore upgrades nothing that nobody asked for."""

from __future__ import annotations

from cycle.conftest import MakeImage
from cycle.keeping import (
    add_source,
    install,
    installed,
    next_boot,
    package_state,
    start,
    update,
    wishes,
)
from testbed.fixtures import MakeWorkstation
from testbed.images import Image
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

OLD = [TinyPackage(f"old{number}") for number in range(1, 6)]
# One that is on hold, one that the image pins, one that needs another: each a reason for apt to
# do more than it's asked for.
HELD = TinyPackage("held")
CHAIN = TinyPackage("chain", depends="old1")
WANTED = [TinyPackage("first", depends="old1, old2"), TinyPackage("second", recommends="old3")]
NEEDS = TinyPackage("needs", depends="old4")


def image_with_upgrades(make_image: MakeImage) -> Image:
    return make_image(*OLD, HELD, CHAIN, commands=[["apt-mark", "hold", "held"]])


def publish_upgrades(repository: Repository, *more: TinyPackage) -> None:
    upgrades = [package.at("2.0") for package in (*OLD, HELD, CHAIN)]
    repository.publish(*upgrades, *WANTED, *more)


def booted(make_workstation: MakeWorkstation, image: Image, repository: Repository) -> Workstation:
    machine = make_workstation(image).boot()
    start(machine)
    add_source(machine, repository)
    return machine


def test_restoring_two_packages_upgrades_nothing_else(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    publish_upgrades(repository)
    machine = booted(make_workstation, image_with_upgrades(make_image), repository)
    assert "7 upgraded" in machine.run("apt-get", "-s", "--ignore-hold", "dist-upgrade").stdout
    install(machine, "first", "second")
    before = package_state(machine)
    next_boot(machine)
    assert package_state(machine) == before
    assert {installed(machine)[package.name] for package in (*OLD, HELD, CHAIN)} == {"1.0"}
    # The user may still upgrade: what kept apt from it is gone.
    assert "7 upgraded" in machine.run("apt-get", "-s", "--ignore-hold", "dist-upgrade").stdout


def test_dependency_that_a_wanted_package_forces_is_upgraded(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    """The repository moves on: what is wanted now needs a newer library than the image has."""
    publish_upgrades(repository, NEEDS)
    machine = booted(make_workstation, image_with_upgrades(make_image), repository)
    install(machine, "needs", "first")
    assert wishes(machine).keys() == {"needs", "first"}
    publish_upgrades(repository, TinyPackage("needs", "2.0", depends="old4 (>= 2.0)"))
    next_boot(machine)
    found = installed(machine)
    assert (found["needs"], found["old4"], found["first"]) == ("2.0", "2.0", "1.0")
    assert {found[name] for name in ("old1", "old2", "old3", "old5", "held", "chain")} == {"1.0"}


def test_upgrade_that_the_user_asked_for_comes_back_alone(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    publish_upgrades(repository)
    machine = booted(make_workstation, image_with_upgrades(make_image), repository)
    install(machine, "old2", "first")
    before = package_state(machine)
    assert wishes(machine)["old2"]["version"] == "2.0"
    next_boot(machine)
    assert package_state(machine) == before
    assert installed(machine)["old2"] == "2.0"
    assert installed(machine)["old1"] == "1.0"


def test_everything_upgraded_comes_back_upgraded(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    publish_upgrades(repository)
    machine = booted(make_workstation, image_with_upgrades(make_image), repository)
    machine.run("apt-get", "upgrade", "-qy")
    before = package_state(machine)
    next_boot(machine)
    assert package_state(machine) == before
    assert installed(machine)["chain"] == "2.0"
    assert installed(machine)["held"] == "1.0"
    assert "0 upgraded" in update_and_simulate(machine)


def update_and_simulate(machine: Workstation) -> str:
    update(machine)
    return machine.run("apt-get", "-s", "upgrade").stdout


def test_pins_of_the_user_hold_in_a_restore_too(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    repository.publish(*(TinyPackage("lib", version) for version in ("1.0", "2.0")), *WANTED, *OLD)
    machine = make_workstation(make_image(*OLD)).boot()
    start(machine)
    add_source(machine, repository)
    pin = "Package: lib\nPin: version 1.0\nPin-Priority: 900\n"
    machine.write("/etc/apt/preferences.d/lib.pref", pin)
    install(machine, "lib", "first")
    before = package_state(machine)
    # Neither its old version nor anything at all of it was wanted by version: the pin decides.
    repository.publish(
        *(TinyPackage("lib", version) for version in ("1.0", "2.0")),
        TinyPackage("first", "2.0", depends="lib, old1, old2"),
        *OLD,
    )
    next_boot(machine)
    after = package_state(machine)
    assert installed(machine)["lib"] == "1.0"
    assert installed(machine)["first"] == "2.0"
    assert after.manual == before.manual

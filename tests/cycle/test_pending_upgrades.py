"""An image with pending upgrades: a restore upgrades nothing that nobody asked for."""

from __future__ import annotations

import pytest

from cycle.conftest import Prepare
from cycle.keeping import (
    aptkeep,
    install,
    installed,
    next_boot,
    package_state,
    update,
    wishes,
)
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

OLD = [TinyPackage(f"old{number}") for number in range(1, 6)]
HELD = TinyPackage("held")
CHAIN = TinyPackage("chain", depends="old1")
WANTED = [TinyPackage("first", depends="old1, old2"), TinyPackage("second", recommends="old3")]
NEEDS = TinyPackage("needs", depends="old4")
LIBS = [TinyPackage("lib"), TinyPackage("lib", "2.0")]


UPGRADES = [package.at("2.0") for package in (*OLD, HELD, CHAIN)]


@pytest.fixture
def used(prepare: Prepare) -> Workstation:
    return prepare(*UPGRADES, *WANTED, NEEDS, *LIBS, contents=(*OLD, HELD, CHAIN))


def test_restoring_two_packages_upgrades_nothing_else(used: Workstation) -> None:
    used.run("apt-mark", "hold", "held")
    assert "7 upgraded" in used.run("apt-get", "-s", "--ignore-hold", "dist-upgrade").stdout
    install(used, "first", "second")
    before = package_state(used)
    next_boot(used)
    assert package_state(used) == before
    assert {installed(used)[package.name] for package in (*OLD, HELD, CHAIN)} == {"1.0"}
    # The user may still upgrade: what kept apt from it is gone.
    assert "7 upgraded" in used.run("apt-get", "-s", "--ignore-hold", "dist-upgrade").stdout


def test_dependency_that_a_wanted_package_forces_is_upgraded(
    used: Workstation, repository: Repository
) -> None:
    """The repository moves on: what is wanted now needs a newer library than the image has."""
    install(used, "needs", "first")
    assert wishes(used).keys() == {"needs", "first"}
    needs = TinyPackage("needs", "2.0", depends="old4 (>= 2.0)")
    repository.publish(*UPGRADES, *WANTED, needs)
    next_boot(used)
    found = installed(used)
    assert (found["needs"], found["old4"], found["first"]) == ("2.0", "2.0", "1.0")
    assert {found[name] for name in ("old1", "old2", "old3", "old5", "held", "chain")} == {"1.0"}


def test_upgrade_that_the_user_asked_for_comes_back_alone(used: Workstation) -> None:
    install(used, "old2", "first")
    before = package_state(used)
    assert wishes(used)["old2"]["version"] == "2.0"
    next_boot(used)
    assert package_state(used) == before
    assert installed(used)["old2"] == "2.0"
    assert installed(used)["old1"] == "1.0"


def test_everything_upgraded_comes_back_upgraded(used: Workstation) -> None:
    used.run("apt-mark", "hold", "held")
    used.run("apt-get", "upgrade", "-qy")
    before = package_state(used)
    next_boot(used)
    assert package_state(used) == before
    assert installed(used)["chain"] == "2.0"
    assert installed(used)["held"] == "1.0"
    assert "0 upgraded" in update_and_simulate(used)


def update_and_simulate(machine: Workstation) -> str:
    update(machine)
    return machine.run("apt-get", "-s", "upgrade").stdout


def test_pins_of_the_user_hold_in_a_restore_too(used: Workstation, repository: Repository) -> None:
    pin = "Package: lib\nPin: version 1.0\nPin-Priority: 900\n"
    used.write("/etc/apt/preferences.d/lib.pref", pin)
    install(used, "lib", "first")
    before = package_state(used)
    # A newer package comes, which needs any lib: the pin decides which.
    first = TinyPackage("first", "2.0", depends="lib, old1, old2")
    repository.publish(*LIBS, first, *UPGRADES)
    aptkeep(used, "forget", "lib")
    next_boot(used)
    after = package_state(used)
    assert installed(used)["lib"] == "1.0"
    assert installed(used)["first"] == "2.0"
    assert after.manual == tuple(name for name in before.manual if name != "lib")

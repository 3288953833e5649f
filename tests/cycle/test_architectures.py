"""Foreign architectures and their packages."""

from __future__ import annotations

from cycle.conftest import MakeImage
from cycle.keeping import (
    add_source,
    aptkeep,
    install,
    installed,
    newest,
    next_boot,
    package_state,
    pending,
    start,
)
from testbed.fixtures import MakeWorkstation
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

SAME = {"Multi-Arch": "same"}
LIBRARY = TinyPackage("library", architecture="amd64", fields=SAME)
LIBRARY_I386 = TinyPackage("library", architecture="i386", fields=SAME)
GAME = TinyPackage("game", architecture="i386", depends="library, pictures")
PICTURES = TinyPackage("pictures", fields={"Multi-Arch": "foreign"})


def foreign(machine: Workstation) -> list[str]:
    return machine.run("dpkg", "--print-foreign-architectures").lines


def test_architecture_and_its_packages_come_back(
    machine: Workstation, repository: Repository
) -> None:
    repository.publish(LIBRARY, LIBRARY_I386, GAME, PICTURES)
    machine.run("dpkg", "--add-architecture", "i386")
    add_source(machine, repository)
    install(machine, "game:i386", "library")
    before = package_state(machine)
    assert {"game:i386", "library:i386", "library:amd64", "pictures"} <= installed(machine).keys()
    assert newest(machine)["architectures"] == {"i386": True}
    next_boot(machine)
    assert foreign(machine) == ["i386"]
    assert package_state(machine) == before
    assert pending(machine) == {}


def test_architecture_alone_comes_back_without_network(machine: Workstation) -> None:
    machine.run("dpkg", "--add-architecture", "i386")
    assert newest(machine)["architectures"] == {"i386": True}
    next_boot(machine, network=False)
    assert foreign(machine) == ["i386"]
    machine.run("dpkg", "--remove-architecture", "i386")
    aptkeep(machine, "record")
    assert newest(machine)["architectures"] == {}


def test_architecture_of_the_image_that_the_user_removed_is_gone(
    make_workstation: MakeWorkstation, make_image: MakeImage
) -> None:
    image = make_image(
        LIBRARY,
        commands=[["dpkg", "--add-architecture", "i386"], ["dpkg", "--add-architecture", "arm64"]],
    )
    machine = make_workstation(image).boot()
    start(machine)
    machine.run("dpkg", "--remove-architecture", "i386")
    aptkeep(machine, "record")
    next_boot(machine)
    assert foreign(machine) == ["arm64"]

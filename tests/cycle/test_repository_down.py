"""Repositories that don't answer, or not as they should: the others go on, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cycle.keeping import (
    add_source,
    aptkeep,
    document,
    install,
    installed,
    newest,
    next_boot,
    package_state,
    pending,
    start,
    wishes,
)
from testbed.fixtures import MakeRepository
from testbed.packages import TinyPackage
from testbed.repository import Repository, SigningKey
from testbed.workstation import Workstation

ONE, TWO, THREE = (
    TinyPackage("one", depends="one-lib"),
    TinyPackage("two", depends="two-lib"),
    TinyPackage("three", depends="three-lib"),
)


def library_of(package: TinyPackage) -> TinyPackage:
    return TinyPackage(f"{package.name}-lib")


@pytest.fixture
def repositories(machine: Workstation, make_repository: MakeRepository) -> list[Repository]:
    """Three, each with a package that is installed, and a library that it needs."""
    made = []
    for package in (ONE, TWO, THREE):
        made.append(make_repository(f"suite-{package.name}"))
        made[-1].publish(package, library_of(package))
        made[-1].install_source(machine, package.name)
    machine.run("apt-get", "update", "-q", "--error-on=any")
    install(machine, "one", "two", "three")
    return made


def refuse(repository: Repository, _scratch: Path) -> None:
    repository.down()


def answer_nothing_useful(repository: Repository, _scratch: Path) -> None:
    repository.failures["Release"] = 503


def lack_the_archives(repository: Repository, _scratch: Path) -> None:
    repository.failures[".deb"] = 404


def sign_with_another_key(repository: Repository, scratch: Path) -> None:
    repository.key = SigningKey.generate(scratch)
    repository.publish(TWO, library_of(TWO))


FAULTS: dict[str, tuple[Callable[[Repository, Path], None], str]] = {
    "down": (refuse, "onnection refused"),
    "answers 503": (answer_nothing_useful, "503"),
    "lost its archives": (lack_the_archives, "404"),
    "signed by another key": (sign_with_another_key, "key"),
}


def test_one_of_three_repositories_is_down(
    machine: Workstation, repositories: list[Repository]
) -> None:
    before, recorded = package_state(machine), newest(machine)
    repositories[1].down()
    result = next_boot(machine, code=1)
    assert {"one", "one-lib", "three", "three-lib"} <= installed(machine).keys()
    assert "two" not in installed(machine)

    # What is missing is pending, with the reason, wherever one looks for it.
    reasons = pending(machine)
    assert reasons.keys() == {"two", "two-lib"}
    for reason in reasons.values():
        assert "Connection refused" in reason or "connection refused" in reason
        assert repositories[1].uri in reason
    assert f"aptkeep: pending: two: {reasons['two']}" in result.stderr.splitlines()
    shown = document(machine, "status", code=1)
    assert {entry["name"] for entry in shown["present"]} >= {"one", "three"}
    assert {entry["name"] for entry in shown["wanted"]} >= {"one", "two", "three"}
    assert "pending     two: " in aptkeep(machine, "status", code=1).stdout

    # Recording in between loses nothing: not by hand, not by a door, not by a mark.
    aptkeep(machine, "record")
    assert newest(machine) == recorded
    repositories[2].publish(THREE, library_of(THREE), TinyPackage("more"))
    machine.run("apt-get", "update", "-q")
    install(machine, "more")
    machine.run("apt-get", "purge", "-qy", "more")
    machine.run("apt-mark", "hold", "one")
    aptkeep(machine, "record")
    assert wishes(machine).keys() == recorded["packages"].keys()

    # By itself, at the next start.
    repositories[1].up()
    next_boot(machine)
    assert pending(machine) == {}
    machine.run("apt-mark", "unhold", "one")
    assert package_state(machine) == before


def test_it_comes_back_on_the_same_root_too(
    machine: Workstation, repositories: list[Repository]
) -> None:
    before = package_state(machine)
    repositories[1].down()
    next_boot(machine, code=1)
    start(machine, code=1)
    repositories[1].up()
    result = start(machine.reboot())
    assert package_state(machine) == before
    assert pending(machine) == {}
    assert "is restored." in result.stdout


@pytest.mark.parametrize("fault", FAULTS)
def test_reason_says_what_is_wrong_with_the_repository(
    machine: Workstation, repositories: list[Repository], scratch: Path, fault: str
) -> None:
    recorded = newest(machine)
    break_it, words = FAULTS[fault]
    break_it(repositories[1], scratch)
    next_boot(machine, code=1)
    assert {"one", "three"} <= installed(machine).keys()
    reasons = pending(machine)
    assert "two" in reasons
    assert words.lower() in reasons["two"].lower()
    assert newest(machine) == recorded
    assert machine.run("dpkg", "--audit").stdout == ""
    machine.run("apt-get", "check", "-q")


def test_all_repositories_are_down(machine: Workstation, repositories: list[Repository]) -> None:
    recorded = newest(machine)
    for repository in repositories:
        repository.down()
    next_boot(machine, code=1)
    assert len(pending(machine)) == 6
    machine.stop(record=True)
    assert newest(machine) == recorded


def test_without_any_network(machine: Workstation, repositories: list[Repository]) -> None:
    recorded = newest(machine)
    next_boot(machine, network=False, code=1)
    assert pending(machine).keys() == wishes(machine).keys()
    machine.stop(record=True)
    assert newest(machine) == recorded


def test_offline_start_asks_nobody(machine: Workstation, repositories: list[Repository]) -> None:
    machine.stop()
    machine.boot()
    asked = [len(repository.requests) for repository in repositories]
    start(machine, "--offline", code=1)
    assert [len(repository.requests) for repository in repositories] == asked
    assert "--offline" in pending(machine)["one"]
    start(machine)
    assert pending(machine) == {}


def test_package_is_gone_from_its_repository(machine: Workstation, repository: Repository) -> None:
    repository.publish(ONE, library_of(ONE), TWO, library_of(TWO))
    add_source(machine, repository)
    install(machine, "one", "two")
    repository.publish(ONE, library_of(ONE))
    next_boot(machine, code=1)
    assert pending(machine) == dict.fromkeys(
        ("two", "two-lib"), "no repository that answers offers it"
    )
    assert "one" in installed(machine)
    repository.publish(ONE, library_of(ONE), TWO, library_of(TWO))
    next_boot(machine)
    assert "two" in installed(machine)

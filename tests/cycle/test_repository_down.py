"""Repositories that don't answer, or not as they should: the others go on, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cycle.conftest import KEY, SOURCE, Prepare, as_new
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


@pytest.fixture(scope="session")
def shelves(session_scratch: Path, signing_key: SigningKey) -> Iterator[list[Repository]]:
    """Three, for the whole run."""
    with ExitStack() as opened:
        yield [
            opened.enter_context(
                Repository(session_scratch / f"shelf{name}", signing_key, name=f"suite-{name}")
            )
            for name in ("one", "two", "three")
        ]


@pytest.fixture
def repositories(shelves: list[Repository], signing_key: SigningKey) -> list[Repository]:
    """Three, each with a package and a library that it needs."""
    for repository, package in zip(shelves, (ONE, TWO, THREE), strict=True):
        as_new(repository, signing_key)
        repository.publish(package, library_of(package))
    return shelves


@pytest.fixture
def used(prepare: Prepare, repositories: list[Repository]) -> Workstation:
    """The packages of all three are installed."""
    sources = [
        f"echo '{repository.source_line(KEY).strip()}' > {SOURCE.replace('local', name)}"
        for repository, name in zip(repositories, ("one", "two", "three"), strict=True)
    ]
    commands = [*sources, "apt-get update -q", "apt-get install -qy one two three"]
    return prepare(commands=commands)


def answer_nothing_useful(repository: Repository, _scratch: Path) -> None:
    repository.failures["Release"] = 503


def lack_the_archives(repository: Repository, _scratch: Path) -> None:
    repository.failures[".deb"] = 404


def sign_with_another_key(repository: Repository, scratch: Path) -> None:
    repository.key = SigningKey.generate(scratch)
    repository.publish(TWO, library_of(TWO))


FAULTS: dict[str, tuple[Callable[[Repository, Path], None], str]] = {
    "answers 503": (answer_nothing_useful, "503"),
    "lost its archives": (lack_the_archives, "404"),
    "signed by another key": (sign_with_another_key, "key"),
}


def test_one_of_three_repositories_is_down(
    used: Workstation, repositories: list[Repository]
) -> None:
    before, recorded = package_state(used), newest(used)
    repositories[1].down()
    result = next_boot(used, code=1)
    assert {"one", "one-lib", "three", "three-lib"} <= installed(used).keys()
    assert "two" not in installed(used)

    # What is missing is pending, with the reason, wherever one looks for it.
    reasons = pending(used)
    assert reasons.keys() == {"two", "two-lib"}
    for reason in reasons.values():
        assert "onnection refused" in reason or "nable to connect" in reason  # bookworm, trixie
        assert repositories[1].uri in reason
    (line,) = [line for line in result.stderr.splitlines() if "pending: two" in line]
    assert line.endswith(reasons["two"])
    shown = document(used, "status", code=1)
    assert {entry["name"] for entry in shown["present"]} >= {"one", "three"}
    assert {entry["name"] for entry in shown["wanted"]} >= {"one", "two", "three"}
    assert "pending     two" in aptkeep(used, "status", code=1).stdout

    # Recording in between loses nothing: not by hand, not by a door, not by a mark.
    aptkeep(used, "record")
    assert newest(used) == recorded
    repositories[2].publish(THREE, library_of(THREE), TinyPackage("more"))
    used.run("apt-get", "update", "-q")
    install(used, "more")
    used.run("apt-get", "purge", "-qy", "more")
    used.run("apt-mark", "hold", "one")
    aptkeep(used, "record")
    assert wishes(used).keys() == recorded["packages"].keys()

    # By itself, at the next start.
    repositories[1].up()
    next_boot(used)
    assert pending(used) == {}
    used.run("apt-mark", "unhold", "one")
    assert package_state(used) == before


def test_it_comes_back_on_the_same_root_too(
    used: Workstation, repositories: list[Repository]
) -> None:
    before = package_state(used)
    repositories[1].down()
    next_boot(used, code=1)
    start(used, code=1)
    repositories[1].up()
    result = start(used.reboot())
    assert package_state(used) == before
    assert pending(used) == {}
    assert "is restored." in result.stdout


@pytest.mark.parametrize("fault", FAULTS)
def test_reason_says_what_is_wrong_with_the_repository(
    used: Workstation, repositories: list[Repository], scratch: Path, fault: str
) -> None:
    recorded = newest(used)
    break_it, words = FAULTS[fault]
    break_it(repositories[1], scratch)
    next_boot(used, code=1)
    assert {"one", "three"} <= installed(used).keys()
    reasons = pending(used)
    assert "two" in reasons
    assert words.lower() in reasons["two"].lower()
    assert newest(used) == recorded
    assert used.run("dpkg", "--audit").stdout == ""
    used.run("apt-get", "check", "-q")


def test_without_any_network(used: Workstation, repositories: list[Repository]) -> None:
    recorded = newest(used)
    next_boot(used, network=False, code=1)
    assert pending(used).keys() == wishes(used).keys()
    used.stop(record=True)
    assert newest(used) == recorded


def test_offline_start_asks_nobody(used: Workstation, repositories: list[Repository]) -> None:
    used.stop()
    used.boot()
    asked = [len(repository.requests) for repository in repositories]
    start(used, "--offline", code=1)
    assert [len(repository.requests) for repository in repositories] == asked
    assert "--offline" in pending(used)["one"]
    start(used)
    assert pending(used) == {}


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


def test_upgrade_of_a_package_of_the_image_waits_for_its_repository(
    prepare: Prepare, repository: Repository
) -> None:
    tool = TinyPackage("tool")
    command = "apt-get install -qy tool"
    machine = prepare(tool.at("2.0"), contents=[tool], commands=[command], fresh=True)
    repository.down()
    start(machine, code=1)
    assert installed(machine)["tool"] == "1.0"
    assert repository.uri in pending(machine)["tool"]
    repository.up()
    start(machine)
    assert installed(machine)["tool"] == "2.0"

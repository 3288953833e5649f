"""The recorded version comes from a snapshot service, where apt's configuration names one.

Nothing is in the pool here. bookworm's apt (2.6) knows no snapshots: there, all is as if no service
was named.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from cycle.conftest import ALPHA, BETA, MakeImage
from cycle.keeping import (
    add_source,
    generations,
    install,
    installed,
    marked_automatic,
    next_boot,
    pending,
    start,
    store,
    update,
    wishes,
)
from testbed.commands import Result
from testbed.fixtures import MakeRepository, MakeWorkstation
from testbed.packages import TinyPackage
from testbed.repository import Repository, SigningKey
from testbed.snapshots import Snapshots
from testbed.workstation import Workstation

CONFIGURATION = "/etc/apt/apt.conf.d/90snapshots"
GAMMA, DELTA = TinyPackage("gamma"), TinyPackage("delta")
SHORT_LIVED = {"ValidTime": "1"}  # seconds, in the words of apt-ftparchive


@pytest.fixture
def repository(make_repository: MakeRepository) -> Repository:
    """One of its own: tests alter its Release file and its key."""
    return make_repository()


@pytest.fixture
def knowing() -> None:
    """apt knows snapshots: see conftest, which leaves these tests out on bookworm."""


@pytest.fixture
def named() -> str:
    """What apt's configuration names the service for."""
    return "Host"


@pytest.fixture
def machine(
    make_workstation: MakeWorkstation,
    make_image: MakeImage,
    repository: Repository,
    snapshots: Snapshots,
    named: str,
) -> Workstation:
    """A workstation that has started for the first time."""
    name = {"Host": repository.address, "Origin": repository.release["Origin"]}[named]
    options = (
        'Aptkeep::Pool::Keep "none";\n'
        f'Acquire::Snapshots::URI::{named}::{name} "{snapshots.template}";\n'
        'Acquire::Check-Valid-Until "true";\n'  # the testbed's images don't check
        'Acquire::Check-Date "true";\n'
    )
    made = make_workstation(make_image(files={CONFIGURATION: options.encode()})).boot()
    start(made)
    return made


@pytest.fixture
def kept(machine: Workstation, repository: Repository, snapshots: Snapshots) -> str:
    """alpha and beta were installed, and their repository kept; the ID of that moment."""
    repository.publish(ALPHA, BETA)
    add_source(machine, repository)
    install(machine, "alpha")
    identifier = recorded(machine, ALPHA)
    snapshots.keep(repository, identifier)
    return identifier


def recorded(machine: Workstation, package: TinyPackage) -> str:
    """When the generation was written that has this version first, as an ID."""
    for generation in generations(machine):
        wish = generation["packages"].get(package.name, {})
        if wish.get("version") == package.version:
            return str(generation["recorded"]["at"]).replace("-", "").replace(":", "")
    raise AssertionError(f"{package.name} {package.version} was not recorded")


def knows_snapshots(machine: Workstation) -> bool:
    """Whether apt does, in this suite."""
    return machine.image.suite != "bookworm"


def next_second() -> None:
    """Wait: generations bear times in seconds."""
    time.sleep(1.1)


def notes(result: Result) -> dict[str, str]:
    """What `start` notes of packages, by name."""
    begin = "aptkeep: note: "
    lines = [line[len(begin) :] for line in result.stderr.splitlines() if line.startswith(begin)]
    return {name: text for name, _, text in (line.partition(": ") for line in lines)}


def boot_anyhow(machine: Workstation, *options: str) -> Result:
    """A fresh root, started; its exit code has to be the one that `status` gives."""
    machine.stop()
    result = machine.boot().run("aptkeep", "start", *options, check=False)
    assert result.returncode == (1 if pending(machine) else 0), result.output
    return result


# -- it comes from there ---------------------------------------------------------------------------


@pytest.mark.usefixtures("knowing")
@pytest.mark.parametrize("named", ["Host", "Origin"])
def test_recorded_version_comes_from_the_time_it_was_recorded(
    machine: Workstation, repository: Repository, snapshots: Snapshots, kept: str
) -> None:
    repository.publish(ALPHA.at("2.0"), BETA.at("2.0"))
    result = next_boot(machine)
    assert list(store(machine).glob("pool/**/*.deb")) == []
    assert installed(machine)["alpha"] == installed(machine)["beta"] == "1.0"
    assert "beta" in marked_automatic(machine)
    assert snapshots.asked == {kept}
    assert notes(result) == {}
    assert pending(machine) == {}
    # It leaves nothing behind: apt's own lists and sources know the repository alone.
    policy = machine.run("apt-cache", "policy", "alpha").stdout
    assert "Candidate: 2.0" in policy
    left = machine.run("grep", "-rlF", snapshots.uri, "/etc/apt", "/var/lib/apt", check=False)
    assert left.lines == [CONFIGURATION]
    assert snapshots.address not in machine.run("ls", "/var/lib/apt/lists").stdout + policy
    # Nothing is asked for again where all is present.
    snapshots.requests.clear()
    start(machine)
    assert snapshots.requests == []


@pytest.mark.usefixtures("knowing")
def test_each_comes_from_a_time_of_its_own(
    machine: Workstation, repository: Repository, snapshots: Snapshots, kept: str
) -> None:
    """alpha and gamma never stood beside each other in these versions."""
    next_second()
    repository.publish(ALPHA.at("2.0"), BETA, GAMMA)
    update(machine)
    install(machine, "gamma")
    later = recorded(machine, GAMMA)
    snapshots.keep(repository, later)
    next_second()
    repository.publish(ALPHA.at("3.0"), BETA, GAMMA.at("2.0"), DELTA)
    update(machine)
    install(machine, "delta")
    next_boot(machine)
    found = installed(machine)
    assert {name: found[name] for name in ("alpha", "beta", "gamma", "delta")} == {
        "alpha": "1.0",
        "beta": "1.0",
        "gamma": "1.0",
        "delta": "1.0",
    }
    assert snapshots.asked == {kept, later}
    assert marked_automatic(machine) & {"alpha", "beta", "gamma", "delta"} == {"beta"}


@pytest.mark.usefixtures("knowing")
def test_time_is_that_of_the_version_not_of_the_package(
    machine: Workstation, repository: Repository, snapshots: Snapshots, kept: str
) -> None:
    next_second()
    repository.publish(ALPHA.at("2.0"), BETA, GAMMA)
    update(machine)
    install(machine, "alpha")
    upgraded = recorded(machine, ALPHA.at("2.0"))
    assert upgraded != kept
    snapshots.keep(repository, upgraded)
    next_second()
    install(machine, "gamma")
    repository.publish(ALPHA.at("3.0"), BETA, GAMMA)
    next_boot(machine)
    assert installed(machine)["alpha"] == "2.0"
    assert snapshots.asked == {upgraded}


@pytest.mark.usefixtures("knowing", "kept")
def test_package_that_the_repository_has_no_more(
    machine: Workstation, repository: Repository
) -> None:
    repository.publish(BETA)
    next_boot(machine)
    assert installed(machine)["alpha"] == "1.0"


@pytest.mark.usefixtures("knowing")
def test_snapshot_whose_release_file_has_expired(
    machine: Workstation, repository: Repository, snapshots: Snapshots, kept: str
) -> None:
    """As it is with all of them after a while. Files of today are still checked."""
    current = dict(repository.release)
    repository.release.update(SHORT_LIVED)
    repository.publish(ALPHA, BETA)
    snapshots.keep(repository, kept)
    repository.release = current
    repository.publish(ALPHA.at("2.0"), BETA)
    time.sleep(2.1)
    next_boot(machine)
    assert installed(machine)["alpha"] == "1.0"
    repository.release = {**current, **SHORT_LIVED}
    repository.publish(ALPHA, BETA)
    time.sleep(2.1)
    assert "expired" in machine.run("apt-get", "update", check=False).stderr


# -- it doesn't ------------------------------------------------------------------------------------


def test_version_that_the_repository_still_has(
    machine: Workstation, repository: Repository, snapshots: Snapshots, kept: str
) -> None:
    repository.publish(ALPHA, ALPHA.at("2.0"), BETA)
    next_boot(machine)
    assert installed(machine)["alpha"] == "1.0"
    assert snapshots.requests == []


@pytest.mark.usefixtures("kept")
def test_versions_are_the_latest_ones(
    machine: Workstation, repository: Repository, snapshots: Snapshots
) -> None:
    repository.publish(ALPHA.at("2.0"), BETA.at("2.0"))
    machine.stop()
    machine.boot().write("/etc/apt/apt.conf.d/91latest", 'Aptkeep::Restore::Versions "latest";\n')
    start(machine)
    assert installed(machine)["alpha"] == installed(machine)["beta"] == "2.0"
    assert snapshots.requests == []


@pytest.mark.usefixtures("kept")
def test_offline(machine: Workstation, repository: Repository, snapshots: Snapshots) -> None:
    repository.publish(ALPHA.at("2.0"), BETA.at("2.0"))
    boot_anyhow(machine, "--offline")
    assert snapshots.requests == []


def does_not_answer(snapshots: Snapshots, _repository: Repository, _kept: str) -> None:
    snapshots.down()


def answers_503(snapshots: Snapshots, _repository: Repository, _kept: str) -> None:
    snapshots.failures["Release"] = 503


def begins_later(snapshots: Snapshots, repository: Repository, kept: str) -> None:
    snapshots.discard(kept)
    snapshots.keep(repository, "99991231T235959Z")


def never_saw_that_version(snapshots: Snapshots, repository: Repository, kept: str) -> None:
    repository.publish(ALPHA.at("0.9"), BETA.at("0.9"))
    snapshots.keep(repository, kept)


def lost_the_archives(snapshots: Snapshots, _repository: Repository, _kept: str) -> None:
    snapshots.failures[".deb"] = 404


def altered_the_archives(snapshots: Snapshots, _repository: Repository, kept: str) -> None:
    for deb in snapshots.state(kept).glob("pool/main/*.deb"):
        content = deb.read_bytes()
        deb.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def signs_with_another_key(snapshots: Snapshots, repository: Repository, kept: str) -> None:
    known = repository.key
    assert known is not None
    repository.key = SigningKey.generate(known.home.parent, "Other <other@example.invalid>")
    repository.publish(ALPHA, BETA)
    snapshots.keep(repository, kept)
    repository.key = known


FAULTS: tuple[Callable[[Snapshots, Repository, str], None], ...] = (
    does_not_answer,
    answers_503,
    begins_later,
    never_saw_that_version,
    lost_the_archives,
    altered_the_archives,
    signs_with_another_key,
)


@pytest.mark.parametrize("fault", FAULTS)
def test_candidate_comes_where_the_service_fails(
    machine: Workstation,
    repository: Repository,
    snapshots: Snapshots,
    kept: str,
    fault: Callable[[Snapshots, Repository, str], None],
) -> None:
    fault(snapshots, repository, kept)
    repository.publish(ALPHA.at("2.0"), BETA.at("2.0"))
    result = boot_anyhow(machine)
    assert installed(machine)["alpha"] == installed(machine)["beta"] == "2.0"
    assert "comes in version 2.0: 1.0" in notes(result)["alpha"]
    asked = fault is not does_not_answer and knows_snapshots(machine)
    assert snapshots.asked == ({kept} if asked else set())
    # It's no wish for 2.0: once the service has it, 1.0 comes.
    assert wishes(machine)["alpha"]["version"] == "1.0"


@pytest.mark.parametrize("fault", [does_not_answer, begins_later])
def test_others_come_where_the_service_fails(
    machine: Workstation,
    repository: Repository,
    snapshots: Snapshots,
    kept: str,
    fault: Callable[[Snapshots, Repository, str], None],
) -> None:
    """alpha is nowhere; what the same repository still has in the recorded version comes."""
    repository.publish(ALPHA, BETA, GAMMA)
    update(machine)
    install(machine, "gamma")
    fault(snapshots, repository, kept)
    repository.publish(BETA, GAMMA)
    result = boot_anyhow(machine)
    assert installed(machine)["gamma"] == "1.0"
    assert pending(machine).keys() - {"beta"} == {"alpha"}
    assert "pending: alpha" in result.stderr
    # By itself, once it does answer.
    snapshots.up()
    repository.publish(ALPHA, BETA, GAMMA)
    next_boot(machine)
    assert installed(machine)["alpha"] == "1.0"


def test_source_without_a_service_beside_one_that_has_one(
    machine: Workstation,
    repository: Repository,
    snapshots: Snapshots,
    make_repository: MakeRepository,
    kept: str,
) -> None:
    other = make_repository("other")
    other.publish(DELTA)
    add_source(machine, other, "other")
    install(machine, "delta")
    repository.publish(ALPHA.at("2.0"), BETA)
    other.publish(DELTA.at("2.0"))
    result = boot_anyhow(machine)
    knows = knows_snapshots(machine)
    assert installed(machine)["alpha"] == ("1.0" if knows else "2.0")
    assert installed(machine)["delta"] == "2.0"
    assert notes(result).keys() == ({"delta"} if knows else {"alpha", "delta"})
    # delta was recorded later than alpha, and which source it came from isn't: it may be asked for.
    assert kept in snapshots.asked or not knows

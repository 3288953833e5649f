"""Which version comes back."""

from __future__ import annotations

from cycle.conftest import MakeImage
from cycle.keeping import (
    add_source,
    aptkeep,
    document,
    install,
    installed,
    newest,
    next_boot,
    pending,
    start,
    wishes,
)
from testbed.fixtures import MakeWorkstation
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

ALPHA, BETA = TinyPackage("alpha", depends="beta"), TinyPackage("beta")


def used(machine: Workstation, repository: Repository) -> None:
    repository.publish(ALPHA, BETA)
    add_source(machine, repository)
    install(machine, "alpha")


def test_repository_moved_on_and_the_candidate_comes_with_a_note(
    machine: Workstation, repository: Repository
) -> None:
    used(machine, repository)
    repository.publish(ALPHA.at("2.0"), BETA)
    result = next_boot(machine)
    assert installed(machine)["alpha"] == "2.0"
    assert installed(machine)["beta"] == "1.0"
    (note,) = [line for line in result.stderr.splitlines() if line.startswith("aptkeep: note:")]
    assert note == (
        "aptkeep: note: alpha: it comes in version 2.0: "
        "1.0, which was recorded, is not offered any more"
    )
    assert pending(machine) == {}
    # It's no wish for 2.0: should 1.0 be offered again, it's what comes.
    assert wishes(machine)["alpha"]["version"] == "1.0"
    repository.publish(ALPHA, ALPHA.at("2.0"), BETA)
    next_boot(machine)
    assert installed(machine)["alpha"] == "1.0"


def test_recorded_version_is_still_offered_beside_a_newer_one(
    machine: Workstation, repository: Repository
) -> None:
    used(machine, repository)
    repository.publish(ALPHA, ALPHA.at("2.0"), BETA, BETA.at("2.0"))
    next_boot(machine)
    assert installed(machine)["alpha"] == installed(machine)["beta"] == "1.0"
    assert "2 upgraded" in machine.run("apt-get", "-s", "upgrade").stdout


def test_latest_if_so_configured_or_asked_for(
    machine: Workstation, make_workstation: MakeWorkstation, repository: Repository
) -> None:
    used(machine, repository)
    repository.publish(ALPHA, ALPHA.at("2.0"), BETA, BETA.at("2.0"))
    machine.stop()
    machine.boot()
    aptkeep(machine, "restore", "--versions", "latest")
    assert installed(machine)["alpha"] == installed(machine)["beta"] == "2.0"
    machine.stop()
    machine.boot()
    machine.write("/etc/apt/apt.conf.d/90latest", 'Aptkeep::Restore::Versions "latest";\n')
    start(machine)
    assert installed(machine)["alpha"] == installed(machine)["beta"] == "2.0"
    machine.stop()
    machine.boot()
    start(machine, "-o", "Aptkeep::Restore::Versions=latest")
    assert installed(machine)["alpha"] == "2.0"


def test_recorded_version_that_does_not_fit_any_more(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    """It's still offered, but the new image's library has outgrown it."""
    library = TinyPackage("library")
    old = TinyPackage("tool", "1.0", depends="library (<< 2)")
    new = TinyPackage("tool", "2.0", depends="library (>= 2)")
    machine = make_workstation(make_image(library)).boot()
    start(machine)
    repository.publish(old)
    add_source(machine, repository)
    install(machine, "tool")
    repository.publish(old, new)
    result = next_boot(machine, image=make_image(library.at("2.0")))
    assert installed(machine)["tool"] == "2.0"
    assert installed(machine)["library"] == "2.0"
    assert "tool: it comes in version 2.0: 1.0 does not fit this image" in result.stderr


def test_user_went_back_to_an_older_version_than_the_image_has(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    tool = TinyPackage("tool")
    machine = make_workstation(make_image(tool.at("2.0"))).boot()
    start(machine)
    repository.publish(tool, tool.at("2.0"))
    add_source(machine, repository)
    machine.run("apt-get", "install", "-qy", "--allow-downgrades", "tool=1.0")
    assert wishes(machine)["tool"]["version"] == "1.0"
    next_boot(machine)
    assert installed(machine)["tool"] == "1.0"
    assert pending(machine) == {}
    # A newer image is no reason to go back any more.
    next_boot(machine, image=make_image(tool.at("3.0")))
    assert installed(machine)["tool"] == "3.0"


def test_older_version_of_the_image_is_offered_no_more(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    tool = TinyPackage("tool")
    machine = make_workstation(make_image(tool.at("2.0"))).boot()
    start(machine)
    repository.publish(tool)
    add_source(machine, repository)
    machine.run("apt-get", "install", "-qy", "--allow-downgrades", "tool=1.0")
    recorded = newest(machine)
    repository.publish(tool.at("2.0"))
    next_boot(machine, code=1)
    assert installed(machine)["tool"] == "2.0"
    assert pending(machine) == {"tool": "version 1.0 is not offered any more"}
    assert newest(machine) == recorded


def test_versions_are_recorded_with_epoch_and_tilde(
    machine: Workstation, repository: Repository
) -> None:
    odd = TinyPackage("odd", "3:1.0~rc1+git20260101.g1a2b-0.1")
    repository.publish(odd)
    add_source(machine, repository)
    install(machine, "odd")
    next_boot(machine)
    assert installed(machine)["odd"] == odd.version
    (wish,) = [w for w in document(machine, "status")["wanted"] if w["name"] == "odd"]
    assert wish["wish"] == f"install {odd.version}, manual"

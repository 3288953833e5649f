"""Which version comes back."""

from __future__ import annotations

import pytest

from cycle.conftest import ALPHA, BETA, MakeImage, Prepare
from cycle.keeping import (
    add_source,
    aptkeep,
    document,
    install,
    installed,
    marked_automatic,
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

TOOL = TinyPackage("tool")


def test_repository_moved_on_and_the_candidate_comes_with_a_note(
    fresh: Workstation, repository: Repository
) -> None:
    repository.publish(ALPHA.at("2.0"), BETA)
    result = start(fresh)
    assert installed(fresh)["alpha"] == "2.0"
    assert installed(fresh)["beta"] == "1.0"
    (note,) = [line for line in result.stderr.splitlines() if line.startswith("aptkeep: note:")]
    assert note == (
        "aptkeep: note: alpha: it comes in version 2.0: "
        "1.0, which was recorded, is not offered any more"
    )
    assert pending(fresh) == {}
    # It's no wish for 2.0: should 1.0 be offered again, it's what comes.
    assert wishes(fresh)["alpha"]["version"] == "1.0"
    repository.publish(ALPHA, ALPHA.at("2.0"), BETA)
    next_boot(fresh)
    assert installed(fresh)["alpha"] == "1.0"


def test_recorded_version_is_still_offered_beside_a_newer_one(
    fresh: Workstation, repository: Repository
) -> None:
    repository.publish(ALPHA, ALPHA.at("2.0"), BETA, BETA.at("2.0"))
    start(fresh)
    assert installed(fresh)["alpha"] == installed(fresh)["beta"] == "1.0"
    assert "2 upgraded" in fresh.run("apt-get", "-s", "upgrade").stdout


@pytest.mark.parametrize("asked", ["configured", "restore --versions"])
def test_latest_if_so_configured_or_asked_for(
    fresh: Workstation, repository: Repository, asked: str
) -> None:
    repository.publish(ALPHA, ALPHA.at("2.0"), BETA, BETA.at("2.0"))
    if asked == "configured":
        fresh.write("/etc/apt/apt.conf.d/90latest", 'Aptkeep::Restore::Versions "latest";\n')
        start(fresh)
    else:
        aptkeep(fresh, "restore", "--versions", "latest")
    assert installed(fresh)["alpha"] == installed(fresh)["beta"] == "2.0"


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


@pytest.fixture
def downgraded(prepare: Prepare) -> Workstation:
    """The image has tool 2.0, the user went back to 1.0; on a fresh root."""
    command = "apt-get install -qy --allow-downgrades tool=1.0"
    return prepare(TOOL, contents=[TOOL.at("2.0")], commands=[command], fresh=True)


def test_user_went_back_to_an_older_version_than_the_image_has(
    downgraded: Workstation, make_image: MakeImage
) -> None:
    assert wishes(downgraded)["tool"]["version"] == "1.0"
    start(downgraded)
    assert installed(downgraded)["tool"] == "1.0"
    assert pending(downgraded) == {}
    # A newer image is no reason to go back any more.
    next_boot(downgraded, image=make_image(TOOL.at("3.0")))
    assert installed(downgraded)["tool"] == "3.0"


def test_older_version_than_the_images_is_offered_no_more(
    downgraded: Workstation, repository: Repository
) -> None:
    recorded = newest(downgraded)
    repository.publish(TOOL.at("2.0"))
    start(downgraded, code=1)
    assert installed(downgraded)["tool"] == "2.0"
    assert pending(downgraded) == {"tool": "version 1.0 is not offered any more"}
    assert newest(downgraded) == recorded


def test_dependency_that_nothing_needs_any_more_is_not_missed(
    fresh: Workstation, repository: Repository
) -> None:
    """Libraries change their names; nobody asked for beta but alpha 1.0."""
    repository.publish(TinyPackage("alpha", "2.0", depends="successor"), TinyPackage("successor"))
    start(fresh)
    assert installed(fresh)["alpha"] == "2.0"
    assert "successor" in marked_automatic(fresh)
    assert pending(fresh) == {}


def test_odd_names_and_versions(machine: Workstation, repository: Repository) -> None:
    odd = TinyPackage("g++-1.2+odd", "3:1.0~rc1+git20260101.g1a2b-0.1")
    repository.publish(odd)
    add_source(machine, repository)
    install(machine, odd.name)
    next_boot(machine)
    assert installed(machine)[odd.name] == odd.version
    (wish,) = [w for w in document(machine, "status")["wanted"] if w["name"] == odd.name]
    assert wish["wish"] == f"install {odd.version}, manual"

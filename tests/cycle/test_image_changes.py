"""The image changes between boots: wishes hold, and nothing of the new image suffers."""

from __future__ import annotations

from cycle.conftest import MakeImage
from cycle.keeping import (
    add_source,
    install,
    installed,
    marked_automatic,
    newest,
    next_boot,
    on_hold,
    pending,
    start,
    wishes,
)
from testbed.fixtures import MakeWorkstation
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

ALPHA = TinyPackage("alpha", depends="beta")
BETA, GAMMA = TinyPackage("beta"), TinyPackage("gamma")
FRESH, KEEP, GROW, UNWANTED, DROP, STAYS = (
    TinyPackage(name) for name in ("fresh", "keep", "grow", "unwanted", "drop", "stays")
)


def used(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> Workstation:
    """On the first image the user installed, upgraded, removed, held and marked."""
    repository.publish(ALPHA, BETA, GAMMA, GROW.at("2.0"))
    machine = make_workstation(make_image(KEEP, GROW, UNWANTED, DROP, STAYS)).boot()
    start(machine)
    add_source(machine, repository)
    install(machine, "alpha", "gamma", "grow")
    machine.run("apt-get", "purge", "-qy", "unwanted")
    machine.run("apt-mark", "hold", "keep", "drop")
    machine.run("apt-mark", "auto", "stays")
    machine.run("aptkeep", "record")
    return machine


def test_newer_package_new_one_one_gone_and_one_that_was_wanted(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    machine = used(make_workstation, make_image, repository)
    recorded = newest(machine)
    image = make_image(
        *(KEEP.at("1.5"), STAYS.at("1.5"), UNWANTED.at("1.5")),  # newer
        FRESH,  # new; `drop` is gone
        *(ALPHA.at("3.0"), BETA.at("3.0"), GROW.at("3.0")),  # wanted before, now of the image
    )
    next_boot(machine, image=image)
    assert pending(machine) == {}
    found = installed(machine)
    assert {name: found.get(name) for name in ("keep", "stays", "fresh", "drop", "unwanted")} == {
        **{"keep": "1.5", "stays": "1.5", "fresh": "1.0"},
        **{"drop": None, "unwanted": None},
    }
    assert {name: found[name] for name in ("alpha", "beta", "grow", "gamma")} == {
        **{"alpha": "3.0", "beta": "3.0", "grow": "3.0"},
        "gamma": "1.0",
    }
    assert "keep" in on_hold(machine)
    assert "stays" in marked_automatic(machine)
    assert not {"alpha", "fresh"} & marked_automatic(machine)
    # A restore records nothing of all that: the wishes are what they were.
    assert newest(machine) == recorded


def test_wishes_hold_when_the_first_image_returns(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    machine = used(make_workstation, make_image, repository)
    first, before = machine.image, installed(machine)
    next_boot(machine, image=make_image(KEEP.at("1.5"), ALPHA.at("3.0"), BETA.at("3.0"), FRESH))
    machine.run("apt-get", "purge", "-qy", "fresh")
    next_boot(machine, image=first)
    assert installed(machine) == before
    assert {"keep", "drop"} <= on_hold(machine)


def test_image_has_an_older_version_than_wanted(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    machine = used(make_workstation, make_image, repository)
    image = make_image(KEEP, GROW, STAYS, ALPHA.at("0.5"), BETA.at("0.5"))
    next_boot(machine, image=image)
    found = installed(machine)
    assert (found["alpha"], found["beta"], found["grow"]) == ("1.0", "1.0", "2.0")
    assert pending(machine) == {}


def test_user_goes_on_working_on_the_new_image(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    """What the user does there is measured against that image."""
    machine = used(make_workstation, make_image, repository)
    next_boot(machine, image=make_image(KEEP, STAYS, GROW, ALPHA.at("3.0"), BETA.at("3.0"), FRESH))
    machine.run("apt-get", "purge", "-qy", "alpha", "fresh")
    assert wishes(machine)["alpha"]["selection"] == "purge"
    assert wishes(machine)["fresh"]["selection"] == "purge"
    next_boot(machine)
    assert not {"alpha", "fresh"} & installed(machine).keys()
    assert "gamma" in installed(machine)


def test_wanted_package_became_a_dependency_of_the_image(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    """Automatic in the image, wanted by the user: the user's mark holds."""
    machine = used(make_workstation, make_image, repository)
    bundle = TinyPackage("bundle", depends="gamma")
    image = make_image(
        *(KEEP, STAYS, GROW, GAMMA, bundle), commands=[["apt-mark", "auto", "gamma"]]
    )
    next_boot(machine, image=image)
    assert "gamma" not in marked_automatic(machine)

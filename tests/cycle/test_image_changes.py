"""The image changes between boots: wishes hold, and nothing of the new image suffers."""

from __future__ import annotations

import pytest

from cycle.conftest import MakeImage, Prepare
from cycle.keeping import (
    installed,
    marked_automatic,
    newest,
    next_boot,
    on_hold,
    pending,
    start,
    wishes,
)
from testbed.packages import TinyPackage
from testbed.workstation import Workstation

ALPHA = TinyPackage("alpha", depends="beta")
BETA, GAMMA = TinyPackage("beta"), TinyPackage("gamma")
FRESH, KEEP, GROW, UNWANTED, DROP, STAYS = (
    TinyPackage(name) for name in ("fresh", "keep", "grow", "unwanted", "drop", "stays")
)


@pytest.fixture
def used(prepare: Prepare) -> Workstation:
    """On the first image the user installed, upgraded, removed, held and marked; a fresh root."""
    return prepare(
        *(ALPHA, BETA, GAMMA, GROW.at("2.0")),
        contents=(KEEP, GROW, UNWANTED, DROP, STAYS),
        commands=[
            "apt-get install -qy alpha gamma grow",
            "apt-get purge -qy unwanted",
            "apt-mark hold keep drop; apt-mark auto stays; aptkeep record",
        ],
        fresh=True,
    )


def test_newer_package_new_one_one_gone_and_one_that_was_wanted(
    used: Workstation, make_image: MakeImage
) -> None:
    recorded = newest(used)
    image = make_image(
        *(KEEP.at("1.5"), STAYS.at("1.5"), UNWANTED.at("1.5")),  # newer
        FRESH,  # new; `drop` is gone
        *(ALPHA.at("3.0"), BETA.at("3.0"), GROW.at("3.0")),  # wanted before, now of the image
    )
    next_boot(used, image=image)
    assert pending(used) == {}
    found = installed(used)
    assert {name: found.get(name) for name in ("keep", "stays", "fresh", "drop", "unwanted")} == {
        "keep": "1.5",
        "stays": "1.5",
        "fresh": "1.0",
        "drop": None,
        "unwanted": None,
    }
    assert {name: found[name] for name in ("alpha", "beta", "grow", "gamma")} == {
        "alpha": "3.0",
        "beta": "3.0",
        "grow": "3.0",
        "gamma": "1.0",
    }
    assert "keep" in on_hold(used)
    assert "stays" in marked_automatic(used)
    assert not {"alpha", "fresh"} & marked_automatic(used)
    # A restore records nothing of all that: the wishes are what they were.
    assert newest(used) == recorded


def test_wishes_hold_when_the_first_image_returns(used: Workstation, make_image: MakeImage) -> None:
    first = used.image
    start(used)
    before = installed(used)
    next_boot(used, image=make_image(KEEP.at("1.5"), ALPHA.at("3.0"), BETA.at("3.0"), FRESH))
    used.run("apt-get", "purge", "-qy", "fresh")
    next_boot(used, image=first)
    assert installed(used) == before
    assert {"keep", "drop"} <= on_hold(used)


def test_image_has_an_older_version_than_wanted(used: Workstation, make_image: MakeImage) -> None:
    image = make_image(KEEP, GROW, STAYS, ALPHA.at("0.5"), BETA.at("0.5"))
    next_boot(used, image=image)
    found = installed(used)
    assert (found["alpha"], found["beta"], found["grow"]) == ("1.0", "1.0", "2.0")
    assert pending(used) == {}


def test_user_goes_on_working_on_the_new_image(used: Workstation, make_image: MakeImage) -> None:
    """What the user does there is measured against that image."""
    next_boot(used, image=make_image(KEEP, STAYS, GROW, ALPHA.at("3.0"), BETA.at("3.0"), FRESH))
    used.run("apt-get", "purge", "-qy", "alpha", "fresh")
    assert wishes(used)["alpha"]["selection"] == "purge"
    assert wishes(used)["fresh"]["selection"] == "purge"
    next_boot(used)
    assert not {"alpha", "fresh"} & installed(used).keys()
    assert "gamma" in installed(used)


def test_wanted_package_became_a_dependency_of_the_image(
    used: Workstation, make_image: MakeImage
) -> None:
    """Automatic in the image, wanted by the user: the user's mark holds."""
    bundle = TinyPackage("bundle", depends="gamma")
    image = make_image(
        *(KEEP, STAYS, GROW, GAMMA, bundle), commands=[["apt-mark", "auto", "gamma"]]
    )
    next_boot(used, image=image)
    assert "gamma" not in marked_automatic(used)

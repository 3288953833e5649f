"""The promise itself, in pure functions: what was recorded on one root comes back on the next.

`absorb`, `adapt` and `plan` one after the other, with `simulator` in place of apt and dpkg.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given

from aptkeep.adapt import adapt
from aptkeep.merge import absorb
from aptkeep.model import Manifest, Observation, Package, Selection
from aptkeep.plan import Install, Plan, Remove, plan
from unit import strategies
from unit.made import (
    BOOKWORM,
    DEINSTALL,
    HOLD,
    INSTALL,
    bare,
    config_files,
    held_only,
    installed,
    newer,
    removed_is_purged,
    root,
    wish,
)
from unit.simulator import carried_out
from unit.strategies import SOURCE, USER_SOURCE, Scene


@dataclass(frozen=True)
class Facets:
    """What a user can wish of a package, as it is on a root."""

    selection: Selection
    version: str | None
    auto: bool | None


def facets(root: Observation) -> dict[str, Facets]:
    """The packages of a root by what can be wished of them; those that are gone are left out."""
    return {
        name: Facets(p.selection, p.version, p.auto if p.present else None)
        for name, p in root.packages.items()
        if p.selection.keeps
    }


def start(manifest: Manifest, image: Observation) -> Plan:
    """What `aptkeep start` plans on a fresh root."""
    return plan(adapt(manifest, image, newer=newer).manifest, image, None, newer=newer)


def started(manifest: Manifest, image: Observation) -> Observation:
    """A fresh root after `aptkeep start`."""
    return carried_out(image, start(manifest, image))


@given(strategies.images(), strategies.observations(whole=True))
def test_what_was_there_at_the_stop_is_there_after_the_start(
    image: Observation, at_stop: Observation
) -> None:
    """On the same image: packages, versions, holds, marks, architectures, sources."""
    manifest = Scene(image, at_stop, Manifest()).manifest
    after = started(manifest, image)
    assert facets(after) == facets(at_stop)
    assert after.architectures == at_stop.architectures
    for path in (SOURCE, USER_SOURCE):
        assert after.files.get(path) == at_stop.files.get(path)


@given(strategies.images(), strategies.observations(whole=True))
def test_a_restored_root_has_nothing_new_to_record(
    image: Observation, at_stop: Observation
) -> None:
    """What a restore made of a root is what was recorded, and a second start does nothing.

    Where the image has no configuration files of it, what was removed is as good as purged.
    """
    manifest = Scene(image, at_stop, Manifest()).manifest
    after = started(manifest, image)
    recorded = bare(absorb(manifest, image, at_stop, after))
    assert removed_is_purged(recorded) == removed_is_purged(bare(manifest))
    fitted = adapt(manifest, image, newer=newer).manifest
    assert plan(fitted, after, None, newer=newer) == Plan()


@given(strategies.images(), strategies.observations(whole=True), strategies.images())
def test_of_a_new_image_nothing_is_removed_or_downgraded(
    image: Observation, at_stop: Observation, new_image: Observation
) -> None:
    """Unless the user had removed it, or downgraded the very version that the new image has."""
    manifest = Scene(image, at_stop, Manifest()).manifest
    todo = start(manifest, new_image)
    there = {name for name, found in facets(at_stop).items() if found.version is not None}
    assert not {step.name for step in todo.of(Remove)} & there
    for step in todo.of(Install):
        found = new_image.packages.get(step.name)
        if found is not None and found.version is not None and step.version is not None:
            assert not newer(found.version, step.version) or (
                image.packages[step.name].version == found.version
            )


@given(strategies.images(), strategies.observations(whole=True), strategies.images())
def test_what_the_user_installed_is_there_on_a_new_image(
    image: Observation, at_stop: Observation, new_image: Observation
) -> None:
    """Whatever the new image has of it, at least at the version the user had, and still held."""
    manifest = Scene(image, at_stop, Manifest()).manifest
    after = facets(started(manifest, new_image))
    own = {n: p for n, p in facets(at_stop).items() if n not in image.packages and p.version}
    for name, wanted in own.items():
        version = after[name].version
        assert version is not None
        assert wanted.version is not None
        assert not newer(wanted.version, version)
        assert after[name].selection is wanted.selection
        assert wanted.auto or not after[name].auto


@given(
    strategies.images(),
    strategies.observations(whole=True),
    strategies.images(),
    strategies.observations(whole=True),
)
def test_what_was_done_on_a_new_image_comes_back_on_it(
    image: Observation, first_stop: Observation, new_image: Observation, second_stop: Observation
) -> None:
    """Recorded on one image, restored on another, changed there, and started there again.

    But for what the user had installed where the first image lacked it and the new one has it:
    see `test_an_own_package_that_the_image_has_too`.
    """
    first = Scene(image, first_stop, Manifest()).manifest
    after_start = started(first, new_image)
    second = absorb(first, new_image, after_start, second_stop)
    expected, found = facets(second_stop), facets(started(second, new_image))
    for name, package in new_image.packages.items():
        own = name in first.packages and first.packages[name].image_version is None
        if own and package.present and name in found and name in expected:
            del found[name], expected[name]
    assert found == expected


@given(
    strategies.images(), strategies.observations(whole=True), strategies.images(platform=BOOKWORM)
)
def test_on_another_release_only_what_was_asked_for_comes(
    image: Observation, at_stop: Observation, other: Observation
) -> None:
    """By name, at the candidate, and no dependency of the release before."""
    manifest = Scene(image, at_stop, Manifest()).manifest
    todo = start(manifest, other)
    for step in todo.of(Install):
        assert step.version is None
        assert not at_stop.packages[step.name].auto
    for name, package in facets(at_stop).items():
        asked_for = name not in image.packages and package.version and not package.auto
        if asked_for and name not in other.packages:
            assert Install(name, None) in todo.steps


# -- whole stories


def test_a_hold_on_a_newer_image_does_not_bring_the_old_version_back() -> None:
    """Image 1; the user upgrades to 2. Image 3 comes. There the user puts it on hold."""
    old, new = root({"vim": installed("1")}), root({"vim": installed("3")})
    manifest = absorb(Manifest(), old, old, root({"vim": installed("2")}))
    assert start(manifest, new) == Plan()
    held = root({"vim": installed("3", selection=HOLD)})
    manifest = absorb(manifest, new, new, held)
    assert facets(started(manifest, new)) == facets(held)


@pytest.mark.xfail(reason="an own wish doesn't say what the image has by now (finding U46)")
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(installed("2", auto=True), id="marked automatic"),
        pytest.param(installed("1"), id="downgraded"),
    ],
)
def test_an_own_package_that_the_image_has_too(changed: Package) -> None:
    """Installed where the image lacked it; a new image has it, and there the user changes it."""
    manifest = absorb(Manifest(), root(), root(), root({"vim": installed("1")}))
    new = root({"vim": installed("2")})
    assert start(manifest, new) == Plan()
    at_stop = root({"vim": changed})
    manifest = absorb(manifest, new, new, at_stop)
    assert facets(started(manifest, new)) == facets(at_stop)


def test_a_downgrade_to_the_very_version_once_wished_is_a_downgrade() -> None:
    """Image 1; the user upgrades to 2. Image 3 comes. There the user goes back to 2."""
    old, new = root({"vim": installed("1")}), root({"vim": installed("3")})
    at_stop = root({"vim": installed("2")})
    manifest = absorb(Manifest(), old, old, at_stop)
    assert start(manifest, new) == Plan()
    manifest = absorb(manifest, new, new, at_stop)
    assert facets(started(manifest, new)) == facets(at_stop)


def test_what_one_image_had_and_the_next_lacks_is_wanted_if_the_user_asked_for_it() -> None:
    """Installed by the user, then part of the image, held and released there, then gone again."""
    without, having = root(), root({"cowsay": installed("1")})
    manifest = absorb(Manifest(), without, without, having)
    assert start(manifest, having) == Plan()
    held = root({"cowsay": installed("1", selection=HOLD)})
    manifest = absorb(manifest, having, having, held)
    manifest = absorb(manifest, having, held, having)
    assert facets(started(manifest, without)) == facets(having)


@pytest.mark.parametrize("left", [held_only(), config_files(HOLD)])
def test_what_was_removed_of_the_image_and_put_on_hold_stays_away(left: Package) -> None:
    """`apt remove snapd; apt-mark hold snapd`, so that nothing brings it back."""
    image = root({"snapd": installed("1")})
    at_stop = root({"snapd": left})
    manifest = absorb(Manifest(), image, image, at_stop)
    after = started(manifest, image).packages["snapd"]
    assert not after.present
    assert after.selection is HOLD


def test_a_package_that_could_not_be_restored_is_not_removed_by_the_user() -> None:
    """Its repository was down; the user installs something else; at the next start it comes."""
    image = root()
    manifest = Manifest({"redis": wish(INSTALL, "7", auto=False)})
    manifest = absorb(manifest, image, image, root({"cowsay": installed("3")}))
    assert facets(started(manifest, image)) == facets(
        root({"cowsay": installed("3"), "redis": installed("7")})
    )


def test_two_machines_share_a_home() -> None:
    """Each records what its own user did; neither takes the other's packages for removed ones."""
    image = root({"vim": installed("1")})
    one = root({"vim": installed("1"), "cowsay": installed("3")})
    other = root({"redis": installed("7")})
    manifest = absorb(Manifest(), image, image, one)
    manifest = absorb(manifest, image, image, other)
    assert facets(started(manifest, image)) == facets(
        root({"cowsay": installed("3"), "redis": installed("7")})
    )
    assert manifest.packages["vim"].selection not in {None, INSTALL, HOLD, DEINSTALL}

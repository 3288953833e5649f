"""What a manifest means on another image, and how one goes back to an older one."""

from __future__ import annotations

import pytest
from hypothesis import given

from aptkeep.adapt import Adapted, adapt, revert
from aptkeep.merge import without
from aptkeep.model import (
    FileGone,
    FileKind,
    KeptFile,
    Manifest,
    Observation,
    OwnDeb,
    Package,
    PackageWish,
)
from aptkeep.plan import DeleteFile, Hold, Install, Mark, Policy, PutFile, plan
from unit import strategies
from unit.made import (
    BOOKWORM,
    DEINSTALL,
    HOLD,
    INSTALL,
    PURGE,
    bare,
    config_files,
    file,
    gone,
    held_off,
    installed,
    newer,
    removed_is_purged,
    root,
    wish,
)
from unit.simulator import carried_out
from unit.strategies import HOME_KEY, KEY, SHIPPED_KEY, SOURCE, USER_SOURCE


def applied(recorded: PackageWish, image: Package | None) -> PackageWish | None:
    """What a wish about one package becomes on an image that has it as `image`."""
    baseline = root({"pkg": image} if image else {})
    return adapt(Manifest({"pkg": recorded}), baseline, newer=newer).manifest.packages.get("pkg")


# -- packages, on an image of the same release


@pytest.mark.parametrize(
    "recorded",
    [
        wish(INSTALL, "1", auto=False),
        wish(INSTALL, "1", auto=True),
        wish(HOLD, "1", auto=False),
        held_off(),
        held_off("1"),
    ],
)
def test_what_the_image_lacks_is_wanted_as_recorded(recorded: PackageWish) -> None:
    assert applied(recorded, None) == recorded


@pytest.mark.parametrize(
    "recorded",
    [
        wish(HOLD, image="1"),
        wish(None, "2", image="1"),
        wish(auto=False, image="1"),
        wish(DEINSTALL, image="1"),
        wish(PURGE, image="1"),
    ],
)
def test_on_the_same_image_every_wish_applies(recorded: PackageWish) -> None:
    assert applied(recorded, installed("1")) == recorded


@pytest.mark.parametrize(
    "recorded", [wish(HOLD, image="1"), wish(None, "2", image="1"), wish(auto=False, image="1")]
)
def test_what_only_the_old_image_asked_for_goes_with_it(recorded: PackageWish) -> None:
    assert applied(recorded, None) is None


@pytest.mark.parametrize("selection", [DEINSTALL, PURGE])
def test_what_the_user_removed_is_removed_of_every_image(selection: str) -> None:
    recorded = PackageWish(DEINSTALL if selection == "deinstall" else PURGE, image_version="1")
    assert applied(recorded, installed("7")) == recorded


def test_a_version_that_the_image_moved_past_is_dropped() -> None:
    assert applied(wish(None, "2", image="1"), installed("3")) == wish(image="1")
    assert applied(wish(INSTALL, "2", auto=False), installed("3")) == wish(INSTALL, auto=False)


def test_a_version_that_the_image_has_not_reached_stays() -> None:
    recorded = wish(None, "3", image="1")
    assert applied(recorded, installed("2")) == recorded
    recorded = wish(INSTALL, "3", auto=False)
    assert applied(recorded, installed("2")) == recorded


def test_a_deliberate_downgrade_holds_on_its_image_only() -> None:
    recorded = wish(None, "2", image="3")
    assert applied(recorded, installed("3")) == recorded
    assert applied(recorded, installed("4")) == wish(image="3")


def test_a_dependency_that_is_now_part_of_the_image_keeps_the_images_mark() -> None:
    recorded = wish(INSTALL, "1", auto=True)
    assert applied(recorded, installed("1")) == wish(INSTALL, "1")


def test_what_the_user_asked_for_stays_manual_where_the_image_has_it_too() -> None:
    recorded = wish(INSTALL, "1", auto=False)
    assert applied(recorded, installed("1", auto=True)) == recorded


def test_a_mark_that_the_user_set_on_the_image_stays() -> None:
    recorded = wish(auto=True, image="1")
    assert applied(recorded, installed("2")) == recorded


def test_configuration_files_in_the_image_are_no_package() -> None:
    recorded = wish(INSTALL, "1", auto=True)
    assert applied(recorded, config_files()) == recorded


# -- packages, on another release


def test_what_was_asked_for_is_wanted_by_name_on_another_release() -> None:
    recorded = wish(INSTALL, "1", auto=False, on=BOOKWORM)
    assert applied(recorded, None) == wish(INSTALL, auto=False, on=BOOKWORM)


@pytest.mark.parametrize("selection", [INSTALL, HOLD])
def test_dependencies_are_left_to_apt_on_another_release(selection: str) -> None:
    recorded = wish(HOLD if selection == "hold" else INSTALL, "1", auto=True, on=BOOKWORM)
    assert applied(recorded, None) is None
    assert applied(recorded, installed("1")) is None


@pytest.mark.parametrize("deb", OwnDeb)
@pytest.mark.parametrize("auto", [True, False])
def test_what_no_repository_has_is_wanted_in_its_version_on_any_release(
    deb: OwnDeb, *, auto: bool
) -> None:
    """The pool has that one, and nobody has another; a dependency, too."""
    local = wish(INSTALL, "1", auto=auto, on=BOOKWORM, deb=deb)
    assert applied(local, None) == local


def test_a_local_version_that_the_image_moved_past_is_dropped() -> None:
    local = wish(INSTALL, "2", auto=False, image="1", on=BOOKWORM, deb=OwnDeb.LOCAL)
    newer_image = applied(local, installed("3"))
    assert newer_image is not None
    assert newer_image.version is None
    older_image = applied(local, installed("1"))
    assert older_image is not None
    assert older_image.version == "2"


def test_a_way_back_to_a_local_version_leads_to_it_on_any_release() -> None:
    target = wish(INSTALL, "2", auto=False, image="1", on=BOOKWORM, deb=OwnDeb.LOCAL)
    undone = reverted(wish(PURGE, image="1", on=BOOKWORM), target, installed("1"))
    assert undone is not None
    back = applied(undone, installed("1"))
    assert back is not None
    assert (back.version, back.deb) == ("2", OwnDeb.LOCAL)


def test_a_version_of_the_image_is_dropped_on_another_release() -> None:
    recorded = wish(HOLD, "3", image="1", on=BOOKWORM)
    assert applied(recorded, installed("2")) == wish(HOLD, image="1", on=BOOKWORM)


def test_a_mark_on_the_image_is_kept_on_another_release() -> None:
    recorded = wish(auto=True, image="1", on=BOOKWORM)
    assert applied(recorded, installed("2")) == recorded


def test_a_removal_is_kept_on_another_release() -> None:
    recorded = wish(PURGE, image="1", on=BOOKWORM)
    assert applied(recorded, installed("2")) == recorded


def test_what_was_asked_for_and_held_is_installed_on_another_release() -> None:
    """And then held: without its version it must not look like a hold on what isn't there."""
    manifest = Manifest({"pkg": wish(HOLD, "1", auto=False, on=BOOKWORM)})
    baseline = root()
    steps = plan(adapt(manifest, baseline, newer=newer).manifest, baseline, None, newer=newer).steps
    assert steps == (Install("pkg", None), Hold("pkg", held=True))


def test_a_hold_on_what_is_not_there_stays_one_on_another_release() -> None:
    manifest = Manifest({"snapd": held_off(on=BOOKWORM)})
    baseline = root()
    steps = plan(adapt(manifest, baseline, newer=newer).manifest, baseline, None, newer=newer).steps
    assert steps == (Hold("snapd", held=True),)


# -- files and architectures


def with_suites(manifest: Manifest, *suites: str) -> Adapted:
    """The manifest on trixie, where every source names `suites`."""
    return adapt(manifest, root(), newer=newer, suites=lambda _path, _kept: frozenset(suites))


@pytest.mark.parametrize("suite", ["bookworm", "bookworm-security", "bookworm/updates"])
def test_a_source_for_another_release_is_set_aside_and_named(suite: str) -> None:
    manifest = Manifest(files={USER_SOURCE: file(on=BOOKWORM)})
    adapted = with_suites(manifest, suite, "main")
    assert adapted.manifest.files == {}
    (pending,) = adapted.set_aside
    assert pending.subject == USER_SOURCE
    assert suite in pending.reason
    assert "debian bookworm" in pending.reason
    assert "debian trixie" in pending.reason


@pytest.mark.parametrize("suite", ["stable", "nodistro", "./", "trixie", "bookwormish", "sid"])
def test_a_source_that_fits_any_release_is_kept(suite: str) -> None:
    manifest = Manifest(files={USER_SOURCE: file(on=BOOKWORM)})
    assert with_suites(manifest, suite) == Adapted(manifest)


def test_a_source_of_this_release_is_kept_whatever_it_names() -> None:
    manifest = Manifest(files={USER_SOURCE: file(on=root().platform)})
    assert with_suites(manifest, "bookworm", "trixie") == Adapted(manifest)


@pytest.mark.parametrize("kind", [FileKind.KEY, FileKind.PREFERENCES, FileKind.HOME_KEY])
def test_other_files_are_kept_on_another_release(kind: FileKind) -> None:
    manifest = Manifest(files={KEY: file(kind=kind, on=BOOKWORM)})
    assert with_suites(manifest, "bookworm") == Adapted(manifest)


def test_a_deletion_is_of_its_release_only() -> None:
    manifest = Manifest(files={SOURCE: gone(), USER_SOURCE: gone(BOOKWORM)})
    assert with_suites(manifest).manifest.files == {SOURCE: gone()}


def test_architectures_are_wanted_on_every_image() -> None:
    manifest = Manifest(architectures={"i386": True, "armhf": False})
    assert with_suites(manifest) == Adapted(manifest)


@given(strategies.manifests(), strategies.images())
def test_fitting_twice_changes_nothing_more(manifest: Manifest, image: Observation) -> None:
    once = adapt(manifest, image, newer=newer).manifest
    assert adapt(once, image, newer=newer).manifest == once


@given(strategies.manifests(), strategies.images())
def test_fitting_only_takes_away(manifest: Manifest, image: Observation) -> None:
    """No wish appears or becomes another one: what is dropped is as the image has it."""
    for name, fitted in adapt(manifest, image, newer=newer).manifest.packages.items():
        recorded = manifest.packages[name]
        assert fitted.selection in (recorded.selection, INSTALL, None)
        assert fitted.version in (recorded.version, None)
        assert fitted.auto in (recorded.auto, None)
        assert recorded.selection is None or recorded.selection.keeps or fitted == recorded


# -- going back


def reverted(
    current: PackageWish | None, target: PackageWish | None, image: Package | None
) -> PackageWish | None:
    """The wish about one package on the way from `current` to `target`."""
    newest, older = (Manifest({"pkg": w} if w else {}) for w in (current, target))
    return revert(newest, older, root({"pkg": image} if image else {})).packages.get("pkg")


def test_what_was_added_since_is_purged() -> None:
    undone = reverted(wish(INSTALL, "1", auto=False), None, None)
    assert undone is not None
    assert undone.selection is PURGE


@pytest.mark.parametrize(
    ("current", "facets"),
    [
        (wish(PURGE, image="1"), (INSTALL, "1", True)),
        (wish(DEINSTALL, image="1"), (INSTALL, "1", True)),
        (wish(HOLD, "2", auto=False, image="1"), (INSTALL, "1", True)),
        (wish(None, "2", image="1"), (None, "1", None)),
        (wish(auto=False, image="1"), (None, None, True)),
    ],
)
def test_what_was_changed_of_the_image_is_again_as_the_image_has_it(
    current: PackageWish, facets: tuple[object, ...]
) -> None:
    undone = reverted(current, None, installed("1", auto=True))
    assert undone is not None
    wished = (undone.selection, undone.version, undone.auto)
    assert all(w == f for w, f in zip(wished, facets, strict=True) if f is not None)
    assert all(w in {None, INSTALL, "1", True} for w in wished)


def test_what_the_target_wants_is_wanted() -> None:
    target = wish(INSTALL, "1", auto=False)
    assert reverted(None, target, None) == target
    assert reverted(wish(INSTALL, "2", auto=True), target, None) == target
    assert reverted(wish(PURGE, image="1"), wish(DEINSTALL, image="1"), installed()) == wish(
        DEINSTALL, image="1"
    )


def test_each_facet_that_only_the_current_generation_wishes_is_undone() -> None:
    undone = reverted(
        wish(HOLD, "2", auto=False, image="1"), wish(auto=False, image="1"), installed("1")
    )
    assert undone is not None
    assert (undone.selection, undone.version, undone.auto) == (INSTALL, "1", False)


def test_architectures_go_back() -> None:
    baseline = root(architectures=frozenset({"armhf"}))
    current = Manifest(architectures={"i386": True, "armhf": False, "arm64": True})
    target = Manifest(architectures={"arm64": True})
    assert revert(current, target, baseline).architectures == {
        "arm64": True,
        "i386": False,
        "armhf": True,
    }


def test_files_go_back() -> None:
    shipped = file("a")
    baseline = root(files={SOURCE: shipped})
    current = Manifest(files={SOURCE: file("b", on=BOOKWORM), USER_SOURCE: file("c", on=BOOKWORM)})
    assert revert(current, Manifest(), baseline).files == {SOURCE: shipped, USER_SOURCE: gone()}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (HOME_KEY, file("a", FileKind.HOME_KEY)),
        (SHIPPED_KEY, file("a", FileKind.KEY, package="vendor-keyring")),
    ],
)
def test_a_way_back_deletes_no_key_of_the_users_or_of_a_package(path: str, found: KeptFile) -> None:
    now = root({"vendor-keyring": installed()}, files={path: found})
    target = Manifest({"vendor-keyring": wish(INSTALL, "1", auto=False)})
    current = Manifest(target.packages, files={path: found})
    steps = plan(revert(current, target, root()), now, None, newer=newer).steps
    assert DeleteFile(path) not in steps


@given(
    strategies.images(), strategies.observations(whole=True), strategies.observations(whole=True)
)
def test_a_way_back_leads_to_what_was_recorded(
    baseline: Observation, then: Observation, now: Observation
) -> None:
    """On one root: recorded `then`, later `now`; after the way back it would be recorded as then.

    Keyrings aside: they go out of sight with the sources that name them, and stay. And what was
    purged meanwhile can't be merely removed again, nor the configuration files of the image return.
    """
    left = {name for name, package in baseline.packages.items() if package.status == "config-files"}
    baseline = without(baseline, left.__contains__)
    target = strategies.Scene(baseline, then, Manifest()).manifest
    current = strategies.Scene(baseline, now, Manifest()).manifest
    fitted = adapt(revert(current, target, baseline), baseline, newer=newer).manifest
    policy = Policy(downgrade=True)
    todo = plan(fitted, now, None, newer=newer, policy=policy)
    after = carried_out(now, todo)
    recorded = bare(strategies.Scene(baseline, after, Manifest()).manifest)
    expected = bare(target)
    assert recorded.architectures == expected.architectures
    assert _without_keys(recorded) == _without_keys(expected)
    assert removed_is_purged(recorded) == removed_is_purged(expected)


def _without_keys(manifest: Manifest) -> dict[str, KeptFile | FileGone]:
    keys = (KEY, SHIPPED_KEY, HOME_KEY)
    return {path: kept for path, kept in manifest.files.items() if path not in keys}


def test_a_way_back_and_what_it_is_made_of() -> None:
    """A whole rollback: a package and a source go, a removed one returns, a hold ends."""
    baseline = root({"vim": installed("1", auto=True)}, files={SOURCE: file("a")})
    now = root(
        {"cowsay": installed("2", selection=HOLD)},
        files={SOURCE: file("b"), USER_SOURCE: file("c")},
    )
    target = Manifest({"cowsay": wish(INSTALL, "1", auto=False)})
    current = strategies.Scene(baseline, now, Manifest()).manifest
    back = revert(current, target, baseline)
    steps = plan(back, now, None, newer=newer, policy=Policy(downgrade=True)).steps
    assert steps == (
        PutFile(SOURCE, file("a")),
        DeleteFile(USER_SOURCE),
        Install("cowsay", "1", installed="2"),
        Install("vim", "1"),
        Hold("cowsay", held=False),
        Mark("vim", auto=True),
    )

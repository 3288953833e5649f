"""Recording as a three-way merge: each rule by example, then what holds for any root."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aptkeep.merge import absorb, settle, without
from aptkeep.model import (
    FileGone,
    FileKind,
    KeptFile,
    Manifest,
    Observation,
    OwnDeb,
    Package,
    PackageWish,
    Touched,
)
from unit import strategies
from unit.made import (
    BOOKWORM,
    DEINSTALL,
    HOLD,
    INSTALL,
    PURGE,
    TRIXIE,
    bare,
    config_files,
    file,
    gone,
    held_off,
    held_only,
    installed,
    root,
    wish,
)
from unit.strategies import KEY, PREFERENCES, SHIPPED_KEY, SOURCE, USER_SOURCE, Scene

IMAGE = root({"libc6": installed("1"), "vim": installed("1", auto=True)})


def change(
    name: str,
    before: Package | None,
    after: Package | None,
    *,
    recorded: PackageWish | None = None,
    image: Observation = IMAGE,
) -> PackageWish | None:
    """The wish about one package after it went from `before` to `after`."""

    def on_root(package: Package | None) -> Observation:
        others = {n: p for n, p in image.packages.items() if n != name}
        return replace(image, packages={**others, name: package} if package else others)

    manifest = Manifest({name: recorded} if recorded else {})
    return absorb(manifest, image, on_root(before), on_root(after)).packages.get(name)


# -- packages the image doesn't have


def test_what_was_installed_is_wanted_as_it_is() -> None:
    assert change("cowsay", None, installed("2")) == wish(INSTALL, "2", auto=False)


def test_a_dependency_is_wanted_as_automatic() -> None:
    assert change("perl", None, installed("5", auto=True)) == wish(INSTALL, "5", auto=True)


@pytest.mark.parametrize("after", [None, config_files(), installed(selection=DEINSTALL)])
def test_what_was_removed_again_is_no_longer_wanted(after: Package | None) -> None:
    recorded = wish(INSTALL, "2", auto=False)
    assert change("cowsay", installed("2"), after, recorded=recorded) is None


def test_what_comes_back_after_a_removal_is_wanted() -> None:
    assert change("cowsay", config_files(), installed("2")) == wish(INSTALL, "2", auto=False)


def test_an_upgrade_is_wanted() -> None:
    recorded = wish(INSTALL, "1", auto=True, on=BOOKWORM)
    after = change(
        "cowsay", installed("1", auto=True), installed("2", auto=True), recorded=recorded
    )
    assert after == wish(INSTALL, "2", auto=True)


def test_a_new_version_of_what_was_forgotten_is_no_wish() -> None:
    assert change("cowsay", installed("1"), installed("2")) is None


def test_a_hold_on_what_was_forgotten_is_a_wish_for_it() -> None:
    held = installed("1", selection=HOLD)
    assert change("cowsay", installed("1"), held) == wish(HOLD, "1", auto=False)


def test_a_hold_on_what_is_not_installed_is_wanted() -> None:
    assert change("snapd", None, held_only()) == held_off()


def test_what_was_removed_of_the_image_and_put_on_hold_is_held_off() -> None:
    held = config_files(HOLD)
    assert change("libc6", installed("1"), held) == held_off("1")
    assert change("libc6", config_files(), held, recorded=wish(DEINSTALL, image="1")) == held_off(
        "1"
    )
    assert change("libc6", held, installed("1"), recorded=held_off("1")) is None


def test_a_package_of_which_dpkg_only_half_is_done_is_wanted() -> None:
    after = installed("2", status="half-configured")
    assert change("cowsay", None, after) == wish(INSTALL, "2", auto=False)


def test_a_foreign_package_is_another_package() -> None:
    i386 = installed("1", architecture="i386")
    assert change("libc6:i386", None, i386) == wish(INSTALL, "1", auto=False)


# -- packages of the image


@pytest.mark.parametrize(
    ("after", "selection"),
    [
        (config_files(), DEINSTALL),
        (config_files(PURGE), PURGE),
        (None, PURGE),
        (installed(selection=DEINSTALL), DEINSTALL),
    ],
)
def test_what_was_removed_of_the_image_is_to_be_removed(
    after: Package | None, selection: object
) -> None:
    recorded = change("libc6", installed("1"), after)
    assert recorded == PackageWish(DEINSTALL, image_version="1", release="debian trixie") or (
        recorded == PackageWish(PURGE, image_version="1", release="debian trixie")
    )
    assert recorded.selection is selection


def test_a_purge_after_a_removal_is_a_purge() -> None:
    recorded = wish(DEINSTALL, image="1")
    assert change("libc6", config_files(), None, recorded=recorded) == wish(PURGE, image="1")


def test_what_was_reinstalled_is_as_the_image_has_it() -> None:
    assert change("libc6", None, installed("1"), recorded=wish(PURGE, image="1")) is None


def test_what_was_reinstalled_otherwise_is_wanted_otherwise() -> None:
    # apt marks what somebody asks for as manual; in the image it was a dependency.
    recorded = wish(DEINSTALL, image="1")
    assert change("vim", config_files(), installed("2"), recorded=recorded) == wish(
        None, "2", auto=False, image="1"
    )


def test_another_version_of_the_image_is_wanted_at_that_version() -> None:
    assert change("libc6", installed("1"), installed("2")) == wish(None, "2", image="1")


def test_the_version_of_the_image_again_is_no_wish() -> None:
    recorded = wish(None, "2", image="1")
    assert change("libc6", installed("2"), installed("1"), recorded=recorded) is None


def test_an_older_version_than_the_image_is_wanted_too() -> None:
    image = root({"libc6": installed("3")})
    assert change("libc6", installed("3"), installed("2"), image=image) == wish(
        None, "2", image="3"
    )


@pytest.mark.parametrize("auto", [True, False])
def test_a_mark_is_wanted_where_it_differs_from_the_image(*, auto: bool) -> None:
    image = root({"vim": installed(auto=not auto)})
    before, after = installed(auto=not auto), installed(auto=auto)
    assert change("vim", before, after, image=image) == wish(auto=auto, image="1")
    recorded = wish(auto=auto, image="1")
    assert change("vim", after, before, recorded=recorded, image=image) is None


def test_a_hold_and_its_end() -> None:
    held = installed(selection=HOLD)
    assert change("libc6", installed(), held) == wish(HOLD, image="1")
    assert change("libc6", held, installed(), recorded=wish(HOLD, image="1")) is None


def test_the_end_of_a_hold_of_the_image_is_a_wish() -> None:
    image = root({"libc6": installed(selection=HOLD)})
    recorded = change("libc6", installed(selection=HOLD), installed(), image=image)
    assert recorded == wish(INSTALL, image="1")


def test_one_change_leaves_the_other_wishes_about_the_package() -> None:
    before = installed("2", selection=HOLD)
    recorded = wish(HOLD, "2", image="1")
    after = replace(before, auto=True)
    assert change("libc6", before, after, recorded=recorded) == wish(
        HOLD, "2", auto=True, image="1"
    )


def test_what_the_image_only_has_configuration_files_of_can_be_wanted() -> None:
    image = root({"exim4": config_files()})
    recorded = change("exim4", config_files(), installed("4"), image=image)
    assert recorded == wish(INSTALL, "4", auto=False)
    back = change("exim4", installed("4"), config_files(), recorded=recorded, image=image)
    assert back is None


# -- wishes that this root did not fulfil, or that come from another image


def test_a_version_that_never_came_stays_wanted_beside_a_new_hold() -> None:
    recorded = wish(None, "2", image="1")
    after = installed("1", selection=HOLD)
    assert change("libc6", installed("1"), after, recorded=recorded) == wish(HOLD, "2", image="1")


def test_a_version_that_the_image_moved_past_does_not_become_a_wish_to_go_back() -> None:
    """Recorded on an image with version 1; this image has 3, and the user never saw it go back."""
    image = root({"vim": installed("3")})
    recorded = wish(None, "2", image="1")
    after = change(
        "vim", installed("3"), installed("3", selection=HOLD), recorded=recorded, image=image
    )
    assert after is not None
    assert after.selection is HOLD
    assert after.version is None or after.image_version == "1"


def test_a_version_of_another_release_does_not_become_one_of_this_release() -> None:
    image = root({"vim": installed("3")})
    recorded = wish(None, "2", image="1", on=BOOKWORM)
    after = change(
        "vim", installed("3"), installed("3", selection=HOLD), recorded=recorded, image=image
    )
    assert after is not None
    assert after.selection is HOLD
    assert after.version is None or after.release == BOOKWORM.release


def test_a_wish_from_an_image_without_the_package_outlives_a_hold_on_one_that_has_it() -> None:
    image = root({"cowsay": installed("1")})
    recorded = wish(INSTALL, "1", auto=False)
    held = installed("1", selection=HOLD)
    on_hold = change("cowsay", installed("1"), held, recorded=recorded, image=image)
    again = change("cowsay", held, installed("1"), recorded=on_hold, image=image)
    assert again is not None
    assert again.selection is INSTALL
    assert again.image_version is None


def test_a_wish_from_an_image_without_the_package_outlives_a_new_version_and_mark() -> None:
    image = root({"cowsay": installed("1")})
    recorded = wish(INSTALL, "1", auto=False)
    after = change(
        "cowsay", installed("1"), installed("2", auto=True), recorded=recorded, image=image
    )
    assert after == wish(INSTALL, "2", auto=True)


@pytest.mark.parametrize("deb", OwnDeb)
@pytest.mark.parametrize("image", [root(), root({"tool": installed("1")})])
def test_a_mark_leaves_where_the_deb_came_from_and_another_version_does_not(
    deb: OwnDeb, image: Observation
) -> None:
    """Whether the image has the package in another version or not at all."""
    before, there = installed("2"), image.packages.get("tool")
    shipped = there.version if there is not None else None
    recorded = wish(INSTALL, "2", auto=False, image=shipped, deb=deb)
    for after in (installed("2", auto=True), installed("2", selection=HOLD)):
        marked = change("tool", before, after, recorded=recorded, image=image)
        assert marked is not None
        assert (marked.version, marked.deb) == ("2", deb)
    upgraded = change("tool", before, installed("3"), recorded=recorded, image=image)
    assert upgraded is not None
    assert (upgraded.version, upgraded.deb) == ("3", None)
    gone = change("tool", before, None, recorded=recorded, image=image)
    assert gone is None or gone.deb is None
    again = change("tool", None, before, recorded=gone, image=image)
    assert again is not None
    assert again.deb is None


def test_nothing_that_can_be_wished_for_changed() -> None:
    manifest = Manifest({"libc6": wish(HOLD, image="1")})
    before = root({"libc6": installed(selection=HOLD), "new": installed(status="half-configured")})
    configured = replace(before.packages["new"], status="installed", architecture="all")
    after = replace(before, packages={**before.packages, "new": configured})
    assert absorb(manifest, IMAGE, before, after) is manifest


# -- architectures


@pytest.mark.parametrize(
    ("image", "before", "after", "wanted"),
    [
        (set(), set(), {"i386"}, {"i386": True}),
        (set(), {"i386"}, set(), {}),
        ({"i386"}, {"i386"}, set(), {"i386": False}),
        ({"i386"}, set(), {"i386"}, {}),
    ],
)
def test_architectures(
    image: set[str], before: set[str], after: set[str], wanted: dict[str, bool]
) -> None:
    recorded = {name: name not in image for name in before ^ image}
    absorbed = absorb(
        Manifest(architectures=recorded),
        *(root(architectures=frozenset(names)) for names in (image, before, after)),
    )
    assert absorbed.architectures == wanted


# -- files


def file_change(
    path: str,
    image: KeptFile | None,
    before: KeptFile | None,
    after: KeptFile | None,
    recorded: KeptFile | FileGone | None = None,
) -> KeptFile | FileGone | None:
    """The wish about one file after it went from `before` to `after`."""
    packages = {"base": installed()}
    roots = (root(packages, files={path: kept} if kept else {}) for kept in (image, before, after))
    manifest = Manifest(files={path: recorded} if recorded else {})
    return absorb(manifest, *roots).files.get(path)


def test_a_new_source_is_kept() -> None:
    assert file_change(USER_SOURCE, None, None, file("a")) == file("a", on=TRIXIE)


def test_a_source_that_was_deleted_again_is_no_longer_kept() -> None:
    assert file_change(USER_SOURCE, None, file("a"), None, file("a", on=TRIXIE)) is None


def test_a_source_of_the_image_that_changed_is_kept() -> None:
    assert file_change(SOURCE, file("a"), file("a"), file("b")) == file("b", on=TRIXIE)


def test_a_source_of_the_image_with_another_mode_is_kept() -> None:
    after = file("a", mode=0o600)
    assert file_change(SOURCE, file("a"), file("a"), after) == file("a", mode=0o600, on=TRIXIE)


def test_a_source_of_the_image_that_was_deleted_is_to_be_deleted() -> None:
    assert file_change(SOURCE, file("a"), file("a"), None) == gone()


@pytest.mark.parametrize("before", [None, file("b")])
def test_a_source_that_is_again_as_the_image_has_it_is_no_wish(before: KeptFile | None) -> None:
    recorded = file("b", on=TRIXIE) if before else gone()
    assert file_change(SOURCE, file("a"), before, file("a"), recorded) is None


def test_a_file_that_another_machine_kept_already_keeps_its_release() -> None:
    recorded = file("b", on=BOOKWORM)
    assert file_change(USER_SOURCE, None, None, file("b"), recorded) == recorded


def test_preferences_are_kept() -> None:
    pins = file("a", FileKind.PREFERENCES)
    assert file_change(PREFERENCES, None, None, pins) == replace(pins, release=TRIXIE.release)


def test_a_keyring_of_a_package_of_the_image_is_the_packages() -> None:
    """The image's package is upgraded and brings another keyring: nobody wishes for that."""
    old, new = (file(c, FileKind.KEY, package="base") for c in "ab")
    assert file_change(SHIPPED_KEY, old, old, new) is None
    assert file_change(SHIPPED_KEY, None, None, new) is None


def test_a_keyring_of_a_package_that_the_user_installed_is_kept() -> None:
    """The source needs it before its package can come."""
    key = file("a", FileKind.KEY, package="vendor-keyring")
    assert file_change(KEY, None, None, key) == replace(key, release=TRIXIE.release)


def test_a_keyring_of_the_image_that_no_source_names_any_more_is_not_deleted() -> None:
    key = file("a", FileKind.KEY)
    assert file_change(KEY, key, key, None) is None


def test_a_keyring_that_the_user_added_goes_out_of_sight_with_its_source() -> None:
    key = file("a", FileKind.KEY)
    assert file_change(KEY, None, key, None, replace(key, release=TRIXIE.release)) is None


def test_a_keyring_that_changed_is_kept() -> None:
    old, new = (file(c, FileKind.KEY) for c in "ab")
    assert file_change(KEY, old, old, new) == replace(new, release=TRIXIE.release)


def test_a_keyring_in_the_home_is_noted() -> None:
    key = file("a", FileKind.HOME_KEY)
    assert file_change(strategies.HOME_KEY, None, None, key) == replace(key, release=TRIXIE.release)


# -- what holds for any root


@given(strategies.manifests(), strategies.observations(), strategies.observations())
def test_no_change_gives_the_very_same_manifest(
    manifest: Manifest, baseline: Observation, seen: Observation
) -> None:
    """No premise: whatever the manifest says, and whether or not this root is as it says."""
    assert absorb(manifest, baseline, seen, seen) is manifest


@given(
    strategies.manifests(),
    strategies.observations(),
    strategies.observations(),
    strategies.observations(),
)
def test_what_did_not_change_on_this_root_is_never_touched(
    manifest: Manifest, baseline: Observation, before: Observation, after: Observation
) -> None:
    """No premise. A package never seen on this root is the same before and after: absent."""
    absorbed = absorb(manifest, baseline, before, after)
    names = {*manifest.packages, *absorbed.packages}
    for name in names:
        if before.packages.get(name) == after.packages.get(name):
            assert absorbed.packages.get(name) == manifest.packages.get(name)
    for name in {*manifest.architectures, *absorbed.architectures}:
        if (name in before.architectures) == (name in after.architectures):
            assert absorbed.architectures.get(name) == manifest.architectures.get(name)
    for path in {*manifest.files, *absorbed.files}:
        if before.files.get(path) == after.files.get(path):
            assert absorbed.files.get(path) == manifest.files.get(path)


@given(strategies.scenes(), strategies.observations())
def test_a_change_then_its_inverse_gives_the_first_manifest(
    scene: Scene, changed: Observation
) -> None:
    """Premise: the manifest is consistent with the root, see `Scene`.

    Without it there is nothing to go back to: who installs a pending package by hand and removes
    it again doesn't want it any more; a wish to remove what this image doesn't have is overwritten
    by an installation.
    """
    once = absorb(scene.manifest, scene.baseline, scene.before, changed)
    again = absorb(once, scene.baseline, changed, scene.before)
    assert bare(again) == bare(scene.manifest)


@given(scene=strategies.scenes(), middle=strategies.observations(), end=strategies.observations())
def test_the_way_does_not_matter(scene: Scene, middle: Observation, end: Observation) -> None:
    """Premise: as above. What is recorded of a root follows from what it is, not how it came to be.

    So it's all the same whether a hook saw every step or only the last one.
    """
    step = absorb(scene.manifest, scene.baseline, scene.before, middle)
    two_steps = absorb(step, scene.baseline, middle, end)
    at_once = absorb(scene.manifest, scene.baseline, scene.before, end)
    from_image = replace(scene, before=end).manifest
    assert bare(two_steps) == bare(at_once) == bare(from_image)


@given(
    strategies.manifests(),
    strategies.observations(),
    strategies.observations(),
    strategies.observations(),
    strategies.subjects(),
)
def test_the_order_of_independent_changes_does_not_matter(
    manifest: Manifest,
    baseline: Observation,
    before: Observation,
    after: Observation,
    chosen: Touched,
) -> None:
    """No premise: the changes to what was `chosen` first, or all others first."""
    one_way = settle(before, after, chosen)  # `before`, with the chosen changes
    other_way = settle(after, before, chosen)  # `before`, with all the others
    results = [
        absorb(absorb(manifest, baseline, before, between), baseline, between, after)
        for between in (one_way, other_way)
    ]
    assert results[0] == results[1] == absorb(manifest, baseline, before, after)


# -- what a restore did itself


def test_a_killed_restore_is_not_the_users_wish() -> None:
    """It had installed `perl`, still without its mark, and not yet `cowsay`; the user had `vim`."""
    manifest = Manifest(
        {"perl": wish(INSTALL, "5", auto=True), "cowsay": wish(INSTALL, "1", auto=False)}
    )
    touched = Touched(frozenset({"perl", "cowsay"}), frozenset({"i386"}), frozenset({SOURCE}))
    held_vim = installed("1", auto=True, selection=HOLD)
    after = replace(
        root({**IMAGE.packages, "perl": installed("5"), "vim": held_vim}),
        architectures=frozenset({"i386", "arm64"}),
        files={SOURCE: file("b"), USER_SOURCE: file("c")},
    )
    absorbed = absorb(manifest, IMAGE, settle(IMAGE, after, touched), after)
    assert absorbed == Manifest(
        {**manifest.packages, "vim": wish(HOLD, image="1")},
        {"arm64": True},
        {USER_SOURCE: file("c", on=TRIXIE)},
    )


@given(
    strategies.manifests(),
    strategies.observations(),
    strategies.observations(),
    strategies.observations(),
    strategies.subjects(),
)
def test_what_a_restore_touched_is_not_absorbed_and_all_else_is(
    manifest: Manifest,
    baseline: Observation,
    before: Observation,
    after: Observation,
    touched: Touched,
) -> None:
    """No premise."""
    absorbed = absorb(manifest, baseline, settle(before, after, touched), after)
    otherwise = absorb(manifest, baseline, before, after)
    for name in {*manifest.packages, *absorbed.packages, *otherwise.packages}:
        expected = manifest if name in touched.packages else otherwise
        assert absorbed.packages.get(name) == expected.packages.get(name)
    for name in {*manifest.architectures, *absorbed.architectures, *otherwise.architectures}:
        expected = manifest if name in touched.architectures else otherwise
        assert absorbed.architectures.get(name) == expected.architectures.get(name)
    for path in {*manifest.files, *absorbed.files, *otherwise.files}:
        expected = manifest if path in touched.files else otherwise
        assert absorbed.files.get(path) == expected.files.get(path)


# -- what the configuration excludes


@given(
    strategies.manifests(),
    strategies.observations(),
    strategies.observations(),
    strategies.observations(),
    st.sets(st.sampled_from(strategies.IMAGE + strategies.USER)),
)
def test_an_excluded_package_is_neither_recorded_nor_forgotten(
    manifest: Manifest,
    baseline: Observation,
    before: Observation,
    after: Observation,
    excluded: set[str],
) -> None:
    """No premise: all others are recorded as if nothing were excluded."""
    seen = (without(o, excluded.__contains__) for o in (baseline, before, after))
    absorbed = absorb(manifest, *seen).packages
    otherwise = absorb(manifest, baseline, before, after).packages
    for name in {*manifest.packages, *absorbed, *otherwise}:
        expected = manifest.packages if name in excluded else otherwise
        assert absorbed.get(name) == expected.get(name)

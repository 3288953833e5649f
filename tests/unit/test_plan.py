"""What to do, in order, to bring a root to what a manifest wants."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aptkeep.model import (
    FileKind,
    Manifest,
    Observation,
    Package,
    PackageWish,
    Pending,
    Touched,
)
from aptkeep.plan import (
    NOT_OFFERED,
    AddArchitecture,
    DeleteFile,
    Hold,
    Install,
    Mark,
    Plan,
    Policy,
    PutFile,
    Remove,
    RemoveArchitecture,
    Step,
    final_marks,
    plan,
    subject_of,
)
from unit import strategies
from unit.made import (
    DEINSTALL,
    HOLD,
    INSTALL,
    PURGE,
    TRIXIE,
    config_files,
    file,
    gone,
    held_off,
    held_only,
    installed,
    newer,
    root,
    wish,
)
from unit.simulator import carried_out
from unit.strategies import HOME_KEY, KEY, PREFERENCES, SHIPPED_KEY, SOURCE, USER_SOURCE

HALF = installed("1", status="half-configured")
LATEST = Policy(latest=True)
DOWNGRADE = Policy(downgrade=True)


def planned(
    recorded: PackageWish,
    package: Package | None,
    offered: tuple[str, ...] | None = None,
    policy: Policy | None = None,
) -> Plan:
    """The plan for one package, `pkg`, of which the repositories offer these versions."""
    return plan(
        Manifest({"pkg": recorded}),
        root({"pkg": package} if package else {}),
        None if offered is None else {"pkg": offered},
        newer=newer,
        policy=policy,
    )


def steps(
    recorded: PackageWish,
    package: Package | None,
    offered: tuple[str, ...] | None = None,
    policy: Policy | None = None,
) -> tuple[Step, ...]:
    """The steps for one package, where nothing of it is pending."""
    made = planned(recorded, package, offered, policy)
    assert made.pending == ()
    return made.steps


def pending(
    recorded: PackageWish, package: Package | None, offered: tuple[str, ...]
) -> tuple[Pending, ...]:
    """What is pending of one package, where there is nothing to install."""
    made = planned(recorded, package, offered)
    assert not made.needs_apt
    return made.pending


# -- installing


def test_what_is_wanted_and_not_here_is_installed() -> None:
    assert steps(wish(INSTALL, "1", auto=False), None) == (Install("pkg", "1"),)


@pytest.mark.parametrize("left", [config_files(), Package(INSTALL, "not-installed")])
def test_what_is_here_in_name_only_is_installed(left: Package) -> None:
    assert steps(wish(INSTALL, "1", auto=False), left) == (Install("pkg", "1"),)


def test_the_recorded_version_is_installed_where_it_is_offered() -> None:
    assert steps(wish(INSTALL, "1"), None, ("2", "1")) == (Install("pkg", "1"),)


def test_else_the_candidate_is_installed() -> None:
    assert steps(wish(INSTALL, "1"), None, ("3", "2")) == (Install("pkg", "3", recorded="1"),)


def test_a_wish_without_a_version_takes_the_candidate() -> None:
    assert steps(wish(INSTALL), None) == (Install("pkg", None),)
    assert steps(wish(INSTALL), None, ("3", "2")) == (Install("pkg", "3"),)


def test_what_nobody_offers_is_pending() -> None:
    assert pending(wish(INSTALL, "1", auto=True), None, ()) == (Pending("pkg", NOT_OFFERED),)
    everything_else = plan(Manifest({"pkg": wish(INSTALL, "1")}), root(), {}, newer=newer)
    assert everything_else == Plan((), (Pending("pkg", NOT_OFFERED),))


def test_latest_takes_the_candidate_though_the_recorded_version_is_offered() -> None:
    assert steps(wish(INSTALL, "1"), None, ("2", "1"), LATEST) == (
        Install("pkg", "2", recorded="1"),
    )
    assert steps(wish(INSTALL, "2"), None, ("2", "1"), LATEST) == (Install("pkg", "2"),)


@pytest.mark.parametrize("status", ["half-configured", "unpacked", "half-installed"])
def test_what_is_half_here_is_installed_again(status: str) -> None:
    """apt-get finishes it on the way; it must not be left out because its version fits."""
    half = installed("1", status=status)
    again = (Install("pkg", "1", installed="1"),)
    assert steps(wish(INSTALL, "1", auto=False), half) == again
    assert steps(wish(INSTALL, "1", auto=False), half, ()) == again


@pytest.mark.parametrize("status", ["installed", "triggers-awaited", "triggers-pending"])
def test_what_waits_for_triggers_is_here(status: str) -> None:
    assert steps(wish(INSTALL, "1", auto=False), installed("1", status=status)) == ()


def test_a_wish_about_a_package_of_the_image_installs_nothing() -> None:
    assert steps(wish(None, "2", auto=True, image="1"), None) == ()


# -- other versions of what is here


def test_a_later_version_is_installed_over_what_is_here() -> None:
    over = (Install("pkg", "2", installed="1"),)
    assert steps(wish(None, "2", image="1"), installed("1")) == over
    assert steps(wish(None, "2", image="1"), installed("1"), ("3", "2")) == over


def test_else_a_candidate_that_is_later_than_what_is_here() -> None:
    recorded = wish(None, "3", image="1")
    assert steps(recorded, installed("1"), ("2",)) == (Install("pkg", "2", "3", "1"),)
    assert steps(recorded, installed("1"), ("4",)) == (Install("pkg", "4", "3", "1"),)


@pytest.mark.parametrize("offered", [(), ("1",), ("2", "1")])
def test_a_later_version_that_is_not_offered_is_pending(offered: tuple[str, ...]) -> None:
    (entry,) = pending(wish(None, "3", image="1"), installed("2"), offered)
    assert entry.subject == "pkg"
    assert "version 3" in entry.reason


@pytest.mark.parametrize("policy", [None, LATEST])
@pytest.mark.parametrize("offered", [None, ("1",)])
def test_nothing_is_downgraded(offered: tuple[str, ...] | None, policy: Policy | None) -> None:
    assert steps(wish(INSTALL, "1", auto=False), installed("2"), offered, policy) == ()


def test_a_deliberate_downgrade_of_the_image_is_made() -> None:
    down = (Install("pkg", "1", installed="2"),)
    assert steps(wish(None, "1", image="2"), installed("2")) == down
    assert steps(wish(None, "1", image="2"), installed("2"), ("2", "1")) == down


def test_a_deliberate_downgrade_is_not_made_of_another_version() -> None:
    assert steps(wish(None, "1", image="2"), installed("3")) == ()


def test_a_downgrade_is_made_on_the_way_back_to_an_older_generation() -> None:
    down = (Install("pkg", "1", installed="2"),)
    assert steps(wish(INSTALL, "1", auto=False), installed("2"), ("2", "1"), DOWNGRADE) == down


def test_a_downgrade_takes_no_other_version_than_the_recorded_one() -> None:
    made = planned(wish(None, "1", image="3"), installed("3"), ("2",))
    assert made.steps == ()
    (entry,) = made.pending
    assert "version 1" in entry.reason


def test_latest_downgrades_nothing() -> None:
    recorded = wish(None, "1", image="2")
    assert steps(recorded, installed("2"), ("2", "1"), LATEST) == ()


def test_what_is_offered_but_is_not_the_candidate_is_not_chosen() -> None:
    """It may be there for a pin of priority 1: experimental, backports."""
    made = planned(wish(None, "4", image="1"), installed("2"), ("2", "3"))
    assert made.steps == ()
    assert [entry.subject for entry in made.pending] == ["pkg"]


# -- removing


def test_what_is_to_be_removed_is_removed() -> None:
    assert steps(wish(DEINSTALL, image="1"), installed()) == (Remove("pkg", purge=False),)
    assert steps(wish(PURGE, image="1"), installed()) == (Remove("pkg", purge=True),)


def test_configuration_files_go_only_where_a_purge_is_wished() -> None:
    assert steps(wish(DEINSTALL, image="1"), config_files()) == ()
    assert steps(wish(PURGE, image="1"), config_files()) == (Remove("pkg", purge=True),)


@pytest.mark.parametrize("recorded", [wish(DEINSTALL, image="1"), wish(PURGE, image="1")])
def test_what_is_not_here_is_not_removed(recorded: PackageWish) -> None:
    assert steps(recorded, None) == ()
    assert steps(recorded, Package(INSTALL, "not-installed")) == ()


@pytest.mark.parametrize("recorded", [wish(DEINSTALL), wish(PURGE)])
def test_what_is_only_on_hold_is_taken_off(recorded: PackageWish) -> None:
    assert steps(recorded, held_only()) == (Hold("pkg", held=False),)


def test_what_is_half_here_is_removed() -> None:
    assert steps(wish(DEINSTALL, image="1"), HALF) == (Remove("pkg", purge=False),)


# -- holds and marks


def test_a_hold_is_set_and_taken_off() -> None:
    assert steps(wish(HOLD, image="1"), installed()) == (Hold("pkg", held=True),)
    held = installed(selection=HOLD)
    assert steps(wish(INSTALL, "1"), held) == (Hold("pkg", held=False),)
    assert steps(wish(HOLD, image="1"), held) == ()


def test_what_nobody_wished_of_a_hold_stays() -> None:
    assert steps(wish(auto=True, image="1"), installed(auto=True, selection=HOLD)) == ()


def test_a_hold_follows_the_installation() -> None:
    assert steps(wish(HOLD, "1", auto=False), None) == (
        Install("pkg", "1"),
        Hold("pkg", held=True),
    )


@pytest.mark.parametrize("recorded", [wish(None, "2", image="1"), wish(HOLD, "2", image="1")])
def test_a_hold_is_set_again_after_an_upgrade(recorded: PackageWish) -> None:
    """dselect-upgrade goes by the selection `install`, so the hold has to go for it."""
    assert steps(recorded, installed("1", selection=HOLD)) == (
        Install("pkg", "2", installed="1"),
        Hold("pkg", held=True),
    )


def test_a_hold_on_what_is_not_here_needs_no_installation() -> None:
    assert steps(held_off(), None) == (Hold("pkg", held=True),)
    assert steps(held_off(), config_files()) == (Hold("pkg", held=True),)
    assert steps(held_off(), held_only()) == ()
    assert steps(held_off(), config_files(HOLD)) == ()


def test_what_was_removed_of_the_image_and_held_is_removed_and_held() -> None:
    both = (Remove("pkg", purge=False), Hold("pkg", held=True))
    assert steps(held_off("1"), installed()) == both
    assert steps(held_off("1"), installed("2", selection=HOLD)) == both


def test_what_only_a_later_image_brings_is_held_but_not_removed() -> None:
    """It was on hold so that nothing brought it along; the image means it."""
    assert steps(held_off(), installed()) == (Hold("pkg", held=True),)


def test_a_hold_on_what_can_not_come_yet_waits_with_it() -> None:
    made = planned(wish(HOLD, "1", auto=False), None, ())
    assert made == Plan((), (Pending("pkg", NOT_OFFERED),))


def test_marks() -> None:
    assert steps(wish(auto=True, image="1"), installed()) == (Mark("pkg", auto=True),)
    assert steps(wish(auto=False, image="1"), installed(auto=True)) == (Mark("pkg", auto=False),)
    assert steps(wish(auto=True, image="1"), installed(auto=True)) == ()


def test_what_comes_is_manual_until_it_is_marked() -> None:
    assert steps(wish(INSTALL, "1", auto=True), None) == (
        Install("pkg", "1"),
        Mark("pkg", auto=True),
    )


def test_what_is_not_here_is_not_marked() -> None:
    assert planned(wish(INSTALL, "1", auto=True), None, ()).steps == ()


def test_a_pending_version_delays_no_hold_and_no_mark() -> None:
    made = planned(wish(HOLD, "3", auto=True, image="1"), installed("1"), ())
    assert made.steps == (Hold("pkg", held=True), Mark("pkg", auto=True))
    assert [entry.subject for entry in made.pending] == ["pkg"]


# -- architectures and files


def test_architectures() -> None:
    manifest = Manifest(architectures={"i386": True, "arm64": True, "armhf": False, "sh4": False})
    seen = root(architectures=frozenset({"arm64", "armhf"}))
    assert plan(manifest, seen, None, newer=newer).steps == (
        AddArchitecture("i386"),
        RemoveArchitecture("armhf"),
    )


@pytest.mark.parametrize("found", [None, file("b"), file("a", mode=0o600)])
def test_a_kept_file_is_put_where_there_is_none_like_it(found: object) -> None:
    kept = file("a", on=TRIXIE)
    seen = root(files={SOURCE: found} if found else {})  # type: ignore[dict-item]
    steps_made = plan(Manifest(files={SOURCE: kept}), seen, None, newer=newer).steps
    assert steps_made == (PutFile(SOURCE, kept),)


def test_a_kept_file_that_is_here_is_left_alone() -> None:
    manifest = Manifest(files={SOURCE: file("a", on=TRIXIE)})
    assert plan(manifest, root(files={SOURCE: file("a")}), None, newer=newer) == Plan()


def test_a_deleted_file_is_deleted() -> None:
    manifest = Manifest(files={SOURCE: gone(), PREFERENCES: gone()})
    seen = root(files={SOURCE: file()})
    assert plan(manifest, seen, None, newer=newer).steps == (DeleteFile(SOURCE),)


def test_a_keyring_in_the_home_is_never_written() -> None:
    manifest = Manifest(files={HOME_KEY: file(kind=FileKind.HOME_KEY, on=TRIXIE)})
    assert plan(manifest, root(), None, newer=newer) == Plan()


def test_a_keyring_that_a_package_on_this_root_brings_is_never_written() -> None:
    manifest = Manifest(files={SHIPPED_KEY: file("a", FileKind.KEY, on=TRIXIE)})
    seen = root(files={SHIPPED_KEY: file("b", FileKind.KEY, package="vendor-keyring")})
    assert plan(manifest, seen, None, newer=newer) == Plan()


@pytest.mark.parametrize(
    "found", [file(kind=FileKind.HOME_KEY), file(kind=FileKind.KEY, package="vendor-keyring")]
)
def test_neither_is_ever_deleted(found: object) -> None:
    manifest = Manifest(files={KEY: gone()})
    seen = root(files={KEY: found})  # type: ignore[dict-item]
    assert plan(manifest, seen, None, newer=newer) == Plan()


# -- order


def test_the_order_of_steps() -> None:
    """Sources before what comes from them, holds and marks last, architectures go when empty."""
    manifest = Manifest(
        {
            "new": wish(HOLD, "1", auto=True),
            "old": wish(PURGE, image="1"),
            "vim": wish(HOLD, auto=True, image="1"),
            "wine:i386": wish(INSTALL, "1", auto=False),
        },
        {"armhf": False, "i386": True},
        {USER_SOURCE: file(on=TRIXIE), SOURCE: gone(), KEY: file(kind=FileKind.KEY, on=TRIXIE)},
    )
    seen = root(
        {"old": installed(), "vim": installed()},
        architectures=frozenset({"armhf"}),
        files={SOURCE: file()},
    )
    made = plan(manifest, seen, None, newer=newer)
    assert made.steps == (
        AddArchitecture("i386"),
        PutFile(KEY, file(kind=FileKind.KEY, on=TRIXIE)),
        DeleteFile(SOURCE),
        PutFile(USER_SOURCE, file(on=TRIXIE)),
        Remove("old", purge=True),
        Install("new", "1"),
        Install("wine:i386", "1"),
        RemoveArchitecture("armhf"),
        Hold("new", held=True),
        Hold("vim", held=True),
        Mark("new", auto=True),
        Mark("vim", auto=True),
    )
    assert made.needs_apt
    assert made.needs_lists
    assert made.of(Install) == [Install("new", "1"), Install("wine:i386", "1")]
    assert made.touches == Touched(
        frozenset({"new", "old", "vim", "wine:i386"}),
        frozenset({"armhf", "i386"}),
        frozenset({KEY, SOURCE, USER_SOURCE}),
    )


def test_what_needs_apt_and_its_lists() -> None:
    removal = planned(wish(PURGE, image="1"), installed())
    assert removal.needs_apt
    assert not removal.needs_lists
    mark = planned(wish(auto=True, image="1"), installed())
    assert not mark.needs_apt


def test_an_empty_manifest_needs_nothing() -> None:
    seen = root({"half": HALF}, architectures=frozenset({"i386"}), files={SOURCE: file()})
    assert plan(Manifest(), seen, None, newer=newer) == Plan()


# -- what holds for any root, manifest and repository

policies = st.sampled_from([Policy(), LATEST, DOWNGRADE, Policy(latest=True, downgrade=True)])


@given(strategies.manifests(), strategies.observations(whole=True), strategies.offers(), policies)
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(
    manifest: Manifest,
    seen: Observation,
    offered: dict[str, tuple[str, ...]],
    policy: Policy,
) -> None:
    """Premise: nothing is half configured. What is pending stays pending for the same reason.

    And what came in another version than the recorded one waits for that from then on.
    """
    made = plan(manifest, seen, offered, newer=newer, policy=policy)
    after = carried_out(seen, made, offered)
    again = plan(manifest, after, offered, newer=newer, policy=policy)
    assert again.steps == ()
    other = {step.name for step in made.of(Install) if step.recorded is not None}
    assert tuple(entry for entry in again.pending if entry.subject not in other) == made.pending


@given(strategies.manifests(), strategies.observations(whole=True), policies)
def test_a_root_that_matches_has_an_empty_plan(
    manifest: Manifest, seen: Observation, policy: Policy
) -> None:
    """Premise: as above. Without offers all is taken to be there: then the root matches."""
    made = plan(manifest, seen, None, newer=newer, policy=policy)
    after = carried_out(seen, made)
    assert plan(manifest, after, None, newer=newer, policy=policy) == Plan()


@given(strategies.manifests(), strategies.observations(), st.none() | strategies.offers(), policies)
def test_two_rounds_are_enough_for_any_root(
    manifest: Manifest,
    seen: Observation,
    offered: dict[str, tuple[str, ...]] | None,
    policy: Policy,
) -> None:
    """No premise: the first finishes what is half configured, at the version that is unpacked."""
    for _round in range(2):
        made = plan(manifest, seen, offered, newer=newer, policy=policy)
        seen = carried_out(seen, made, offered)
    assert plan(manifest, seen, offered, newer=newer, policy=policy).steps == ()


@given(strategies.manifests(), strategies.observations(), st.none() | strategies.offers(), policies)
def test_no_downgrade_that_nobody_asked_for(
    manifest: Manifest,
    seen: Observation,
    offered: dict[str, tuple[str, ...]] | None,
    policy: Policy,
) -> None:
    made = plan(manifest, seen, offered, newer=newer, policy=policy)
    for step in made.of(Install):
        if step.installed is not None and step.version is not None:
            back = newer(step.installed, step.version)
            deliberate = manifest.packages[step.name].image_version == step.installed
            assert not back or policy.downgrade or deliberate


@given(strategies.manifests(), strategies.observations(), st.none() | strategies.offers(), policies)
def test_every_step_is_wished_for(
    manifest: Manifest,
    seen: Observation,
    offered: dict[str, tuple[str, ...]] | None,
    policy: Policy,
) -> None:
    """Nothing is removed, installed, deleted or written that the manifest doesn't name for it."""
    made = plan(manifest, seen, offered, newer=newer, policy=policy)
    for step in made.steps:
        if isinstance(step, Remove):
            wished = manifest.packages[step.name]
            held_off = wished.absent and wished.image_version is not None and not step.purge
            assert held_off or wished.selection is (PURGE if step.purge else DEINSTALL)
        elif isinstance(step, Install):
            selection = manifest.packages[step.name].selection
            assert not manifest.packages[step.name].absent
            assert selection is None or selection.keeps
            assert selection is not None or step.installed is not None
            assert offered is None or step.version in (
                *offered.get(step.name, ()),
                step.installed,
            )
        elif isinstance(step, Mark):
            assert manifest.packages[step.name].auto is step.auto
        elif isinstance(step, (PutFile, DeleteFile)):
            assert step.path in manifest.files
        elif isinstance(step, (AddArchitecture, RemoveArchitecture)):
            assert manifest.architectures[step.name] is isinstance(step, AddArchitecture)


@given(strategies.manifests(), strategies.observations(), strategies.offers(), policies)
def test_what_is_pending_is_not_planned(
    manifest: Manifest,
    seen: Observation,
    offered: dict[str, tuple[str, ...]],
    policy: Policy,
) -> None:
    """Holds and marks of what is here don't wait for another version of it."""
    made = plan(manifest, seen, offered, newer=newer, policy=policy)
    waiting = {entry.subject for entry in made.pending}
    assert len(waiting) == len(made.pending)
    moving = [subject_of(s) for s in made.steps if not isinstance(s, (Hold, Mark))]
    assert not waiting & set(moving)
    assert len(moving) == len(set(moving))


@given(strategies.manifests(), strategies.observations(), policies)
def test_what_a_plan_touches_is_all_that_it_changes(
    manifest: Manifest, seen: Observation, policy: Policy
) -> None:
    """So that a restore which is killed can tell its own work from the user's."""
    made = plan(manifest, seen, None, newer=newer, policy=policy)
    after, touched = carried_out(seen, made), made.touches
    for name in {*seen.packages, *after.packages} - touched.packages:
        assert seen.packages.get(name) == after.packages.get(name)
    for path in {*seen.files, *after.files} - touched.files:
        assert seen.files.get(path) == after.files.get(path)
    assert seen.architectures ^ after.architectures == touched.architectures


# -- marks once everything is there


def marks(
    recorded: PackageWish | None,
    before: Package | None,
    after: Package | None,
    *,
    came: bool = True,
) -> list[Mark]:
    """The marks to set for one package that a restore touched, or didn't."""
    return final_marks(
        Manifest({"pkg": recorded} if recorded else {}),
        root({"pkg": before} if before else {}),
        root({"pkg": after} if after else {}),
        frozenset({"pkg"}) if came else frozenset(),
    )


@pytest.mark.parametrize("auto", [True, False])
def test_what_is_wished_of_a_mark_is_set(*, auto: bool) -> None:
    recorded = wish(INSTALL, "1", auto=auto)
    assert marks(recorded, None, installed(auto=not auto)) == [Mark("pkg", auto)]
    assert marks(recorded, None, installed(auto=auto)) == []


def test_a_dependency_that_nobody_recorded_is_automatic() -> None:
    assert marks(None, None, installed()) == [Mark("pkg", auto=True)]


def test_what_the_restore_did_not_bring_is_left_alone() -> None:
    assert marks(None, None, installed(), came=False) == []


@pytest.mark.parametrize("came", [True, False])
@pytest.mark.parametrize("auto", [True, False])
def test_all_the_rest_is_marked_as_before(*, auto: bool, came: bool) -> None:
    """dselect-upgrade marks as manual what it upgrades, too."""
    before, after = installed("1", auto=auto), installed("2", auto=not auto)
    assert marks(None, before, after, came=came) == [Mark("pkg", auto)]


def test_a_wish_without_a_mark_is_manual_where_it_came() -> None:
    assert marks(wish(INSTALL, "1"), None, installed(auto=True)) == [Mark("pkg", auto=False)]


@pytest.mark.parametrize("after", [None, config_files(), held_only()])
def test_what_is_not_there_is_not_marked(after: Package | None) -> None:
    assert marks(wish(INSTALL, "1", auto=True), installed(), after) == []


@given(
    strategies.manifests(),
    strategies.observations(),
    strategies.observations(),
    st.frozensets(st.sampled_from(strategies.IMAGE + strategies.USER)),
)
def test_marks_are_set_once(
    manifest: Manifest, before: Observation, after: Observation, came: frozenset[str]
) -> None:
    made = final_marks(manifest, before, after, came)
    marked = carried_out(after, Plan(tuple(made)))
    assert final_marks(manifest, before, marked, came) == []

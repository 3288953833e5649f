"""What aptkeep knows of a root, on that root; and what is left of it after damage."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aptkeep.errors import CorruptError, LockedError
from aptkeep.machine.apt.history import Position
from aptkeep.machine.state import LastReport, Observed, State, Troubles
from aptkeep.model import Anchor, Observation, Pending, Touched
from unit import strategies
from unit.made import INSTALL, file, installed, root

OBSERVED = Observed(
    root(
        {"vim": installed("2:9.1", auto=True), "libc6:i386": installed(selection=INSTALL)},
        architectures=frozenset({"i386"}),
        files={"/etc/apt/sources.list": file("a", mode=0o600, package="base")},
    ),
    Position(1234, 5678),
    (Pending("/etc/apt/keyrings/x.asc", "it is empty"),),
    Anchor(12, "a" * 64),
)
OTHER = Observed(root({"vim": installed("3")}))


@pytest.fixture
def state(tmp_path: Path) -> State:
    """The state of a root on which aptkeep never ran."""
    return State(str(tmp_path / "aptkeep"))


def damage(state: State, name: str, content: bytes) -> None:
    """Replace a file of the state."""
    (Path(state.path) / name).write_bytes(content)


DAMAGE = [b"", b"{", b"[]", b"{}", b"null", b"\xff\xfe", b'{"packages": 1}', b"0" * 10]


# -- the baseline and the last observation


def test_a_root_on_which_aptkeep_never_ran(state: State) -> None:
    assert not state.started
    assert state.restoring() is None
    assert state.last_report() is None
    assert state.undoing() is None
    with pytest.raises(FileNotFoundError):
        state.baseline()


def test_taking_the_baseline(state: State) -> None:
    state.take_baseline(OBSERVED, {"a" * 64: b"content"})
    assert state.started
    assert state.baseline() == OBSERVED.observation
    assert state.last_observation() == OBSERVED
    assert state.image_file("a" * 64) == b"content"
    with pytest.raises(FileNotFoundError):
        state.image_file("b" * 64)


def test_the_last_observation_moves_and_the_baseline_stays(state: State) -> None:
    state.take_baseline(OBSERVED, {})
    state.save_observation(OTHER)
    assert state.last_observation() == OTHER
    assert state.baseline() == OBSERVED.observation


def test_a_baseline_that_is_cut_short_did_not_start_anything(state: State) -> None:
    """The baseline is written last: a root that was killed before has not been started."""
    state.save_observation(OBSERVED)
    assert not state.started


@given(observation=strategies.observations(), offset=st.integers(0, 2**40), reason=st.text())
@settings(max_examples=30)
def test_whatever_is_observed_is_known_again(
    tmp_path_factory: pytest.TempPathFactory, observation: Observation, offset: int, reason: str
) -> None:
    state = State(str(tmp_path_factory.mktemp("state")))
    observed = Observed(observation, Position(offset, offset), (Pending("/x", reason),))
    state.save_observation(observed)
    assert state.last_observation() == observed


@pytest.mark.parametrize("content", DAMAGE)
def test_without_a_last_observation_the_baseline_counts(state: State, content: bytes) -> None:
    state.take_baseline(OBSERVED, {})
    damage(state, "observation.json", content)
    assert state.last_observation() == OBSERVED
    os.unlink(Path(state.path) / "observation.json")
    assert state.last_observation() == OBSERVED


@pytest.mark.parametrize("content", DAMAGE)
def test_a_damaged_baseline_is_named(state: State, content: bytes) -> None:
    state.take_baseline(OBSERVED, {})
    damage(state, "baseline.json", content)
    assert state.started
    with pytest.raises(CorruptError, match=r"baseline\.json") as caught:
        state.baseline()
    assert caught.value.resolution


def test_any_member_that_is_missing_or_wrong_is_damage(state: State) -> None:
    state.save_observation(OBSERVED)
    good = json.loads((Path(state.path) / "observation.json").read_bytes())
    for name in good:
        for bad in ({k: v for k, v in good.items() if k != name}, {**good, name: 1}):
            damage(state, "observation.json", json.dumps(bad).encode())
            damage(state, "baseline.json", json.dumps(bad).encode())
            with pytest.raises(CorruptError):
                state.last_observation()


# -- a restore at work


def test_what_a_restore_touches(state: State) -> None:
    touched = Touched(frozenset({"vim", "redis"}), frozenset({"i386"}), frozenset({"/etc/x"}))
    state.begin_restore(touched)
    assert state.restoring() == touched
    state.begin_restore(Touched(frozenset({"vim"})))
    assert state.restoring() == Touched(frozenset({"vim"}))
    state.end_restore()
    assert state.restoring() is None
    state.end_restore()


@pytest.mark.parametrize("content", DAMAGE)
def test_a_damaged_note_still_says_that_a_restore_was_at_work(state: State, content: bytes) -> None:
    state.begin_restore(Touched())
    damage(state, "restoring.json", content)
    assert state.restoring() == Touched()


def test_what_is_to_be_undone(state: State) -> None:
    state.set_undoing(7)
    assert state.undoing() == 7
    state.set_undoing(None)
    assert state.undoing() is None
    state.set_undoing(None)
    state.set_undoing(7)
    for content in DAMAGE:
        damage(state, "undoing.json", content)
        assert state.undoing() is None


# -- the report


def test_the_last_report(state: State) -> None:
    report = LastReport("2026-11-24T06:03:30Z", 7, (Pending("redis", "nobody offers it"),))
    state.save_report(report)
    assert state.last_report() == report


@pytest.mark.parametrize("content", DAMAGE)
def test_a_damaged_report_is_none(state: State, content: bytes) -> None:
    state.save_report(LastReport("2026-11-24T06:03:30Z", 7))
    damage(state, "report.json", content)
    assert state.last_report() is None


# -- files


def test_what_is_on_the_root_is_roots_to_change_and_everybodys_to_read(state: State) -> None:
    old = os.umask(0o022)
    try:
        state.take_baseline(OBSERVED, {"a" * 64: b"with a password"})
        state.save_report(LastReport("2026-11-24T06:03:30Z", 7))
    finally:
        os.umask(old)
    directory = Path(state.path)
    assert directory.stat().st_mode & 0o777 == 0o755
    assert {
        (directory / name).stat().st_mode & 0o777 for name in ("baseline.json", "report.json")
    } == {0o644}
    assert (directory / "image" / ("a" * 64)).stat().st_mode & 0o777 == 0o600


def test_a_crash_leaves_nothing_that_counts(state: State) -> None:
    state.take_baseline(OBSERVED, {})
    damage(state, ".new-observation.json.1", b"half")
    assert state.last_observation() == OBSERVED


def test_the_lock(state: State) -> None:
    other = State(state.path)
    with state.locked(0):
        with pytest.raises(LockedError), other.locked(0.01):
            pass
        with pytest.raises(LockedError), other.locked(600, give_up=lambda: True):
            pass
    with other.locked(0):
        pass


def test_what_kept_files_from_the_pool_is_kept_until_it_is_said(state: State) -> None:
    assert state.troubles() == Troubles()
    troubles = Troubles(("full",), ("altered", "lost"))
    state.save_troubles(troubles)
    assert state.troubles() == troubles
    path = Path(state.path) / "pooling.json"
    before = path.stat().st_ino
    state.save_troubles(troubles)
    assert path.stat().st_ino == before  # nothing new, nothing written
    for content in (*DAMAGE, b'{"said": 1, "unsaid": []}'):
        damage(state, "pooling.json", content)
        assert state.troubles() == Troubles()

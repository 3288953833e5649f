"""What `aptkeep status` and its like tell: reading only, nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from aptkeep.adapt import adapt, revert
from aptkeep.compare import Difference, Wish, differences, wishes
from aptkeep.errors import AptkeepError
from aptkeep.machine import observe
from aptkeep.machine.apt.archive import newer
from aptkeep.machine.state import State
from aptkeep.model import Generation, Manifest, Observation, Pending
from aptkeep.plan import Policy, plan, subject_of
from aptkeep.record import unrecorded
from aptkeep.store import generations
from aptkeep.store.home import find as find_home
from aptkeep.store.tree import open_existing

if TYPE_CHECKING:
    from aptkeep.machine.apt.config import Configuration


@dataclass(frozen=True, slots=True)
class Status:
    """How this root stands to what the user wants."""

    home: str
    store: str
    started: bool
    """Whether aptkeep was started on this root; if not, its hooks record nothing."""
    restoring: bool
    """Whether a restore is under way, or was killed."""
    generation: Generation | None
    wanted: tuple[Wish, ...] = ()
    present: tuple[Wish, ...] = ()
    pending: tuple[Pending, ...] = ()
    unrecorded: tuple[Difference, ...] = ()
    warnings: tuple[str, ...] = field(default=())


def status(configuration: Configuration) -> Status:
    """Wanted, present, pending with reasons, not yet recorded."""
    home = find_home(configuration.settings.home)
    state = State(configuration.paths.state)
    snapshot = observe.observe(configuration, home=home)
    undone = None
    with open_existing(home, configuration.settings.store) as store:
        newest = generations.newest(store) if store is not None else generations.Newest()
        number = state.undoing()
        if store is not None and number is not None:
            undone = generations.load(store, number).manifest
        absorbed = newest.manifest
        if state.started:
            absorbed = unrecorded(configuration, store, absorbed, snapshot.observation)
    warnings = [error.one_line() for error in newest.passed_over]
    warnings += [f"{entry.subject} is not kept: {entry.reason}" for entry in snapshot.unkept]
    baseline = state.baseline() if state.started else snapshot.observation
    target = absorbed if undone is None else revert(undone, absorbed, baseline)
    set_aside, left = _left(configuration, target, baseline, snapshot.observation)
    reasons = {}
    report = state.last_report()
    if report is not None:
        reasons = {entry.subject: entry.reason for entry in report.pending}
    reasons.update((entry.subject, entry.reason) for entry in set_aside)
    pending = {
        subject: reasons.get(subject, "not restored on this machine yet") for subject in left
    }
    pending.update((entry.subject, entry.reason) for entry in set_aside)
    wanted = tuple(wishes(newest.manifest))
    return Status(
        home=home,
        store=f"{home}/{configuration.settings.store}",
        started=state.started,
        restoring=state.restoring() is not None,
        generation=newest.generation,
        wanted=wanted,
        present=tuple(wish for wish in wanted if wish.name not in pending),
        pending=tuple(Pending(subject, reason) for subject, reason in sorted(pending.items())),
        unrecorded=tuple(differences(newest.manifest, absorbed)),
        warnings=tuple(warnings),
    )


def _left(
    configuration: Configuration, manifest: Manifest, baseline: Observation, now: Observation
) -> tuple[tuple[Pending, ...], list[str]]:
    excluded = configuration.settings.excluded
    kept = {name: wish for name, wish in manifest.packages.items() if not excluded(name)}
    adapted = adapt(replace(manifest, packages=kept), baseline, newer=newer)
    policy = Policy(latest=configuration.settings.latest)
    steps = plan(adapted.manifest, now, None, newer=newer, policy=policy).steps
    return adapted.set_aside, [subject_of(step) for step in steps]


def load(configuration: Configuration, number: int | None) -> Generation | None:
    """A generation by number, or the newest; None where nothing was ever recorded."""
    home = find_home(configuration.settings.home)
    with open_existing(home, configuration.settings.store) as store:
        if store is None:
            return None
        if number is None:
            return generations.newest(store).generation
        return generations.load(store, number)


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A generation, or why it can't be read."""

    number: int
    generation: Generation | None
    trouble: str = ""


def history(configuration: Configuration) -> list[HistoryEntry]:
    """All generations, oldest first."""
    entries = []
    home = find_home(configuration.settings.home)
    with open_existing(home, configuration.settings.store) as store:
        for number in generations.numbers(store) if store is not None else ():
            assert store is not None  # noqa: S101
            try:
                entries.append(HistoryEntry(number, generations.load(store, number)))
            except AptkeepError as error:
                entries.append(HistoryEntry(number, None, error.brief))
    return entries

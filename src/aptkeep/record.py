"""Recording: what changed on this root since it was last seen enters the manifest.

On the hook path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aptkeep.errors import AptkeepError
from aptkeep.machine import observe
from aptkeep.machine.apt import history
from aptkeep.machine.state import Observed, State
from aptkeep.merge import absorb, settle, without
from aptkeep.model import Generation, KeptFile, Manifest, Observation, Occasion, Pending, Request
from aptkeep.store import generations, kept, log
from aptkeep.store.home import find as find_home
from aptkeep.store.tree import Directory, open_existing, open_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aptkeep.errors import CorruptError
    from aptkeep.machine.apt.config import Configuration


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of recording."""

    generation: Generation | None = None
    """The new generation; None where the user's wishes are what they were."""
    unkept: tuple[Pending, ...] = ()
    """Files that can't be kept and that nobody was told about yet."""
    passed_over: tuple[CorruptError, ...] = ()
    """Damaged generations that were newer than the one that counts."""


def take_baseline(configuration: Configuration) -> None:
    """The first time on a root: what is here is the image."""
    home = _home_or_none(configuration)
    snapshot = observe.observe(configuration, home=home)
    position = history.position(configuration.paths.history_log)
    State(configuration.paths.state).take_baseline(
        Observed(snapshot.observation, position, snapshot.unkept), snapshot.contents
    )


def record(
    configuration: Configuration,
    door: str,
    *,
    requests: tuple[Request, ...] = (),
    thorough: bool = False,
) -> Recorded:
    """Absorb what changed since the last observation. The caller holds the root's lock.

    `door` says what called; `requests` who asked for what, where apt's history log doesn't say.
    `thorough` looks into the store even where nothing changed, and so notices that it's new.

    Raises AptkeepError where a change could not be kept: it's then seen again next time.
    """
    state = State(configuration.paths.state)
    last = state.last_observation()
    home = _home_or_none(configuration)
    snapshot = observe.observe(configuration, home=home, known=last.observation)
    now = Observed(
        snapshot.observation,
        history.position(configuration.paths.history_log),
        snapshot.unkept,
    )
    touched = state.restoring()
    if now == last and touched is None and not thorough:
        return Recorded()
    before = last.observation
    if touched is not None:
        before = settle(before, now.observation, touched)
    recorded = Recorded()
    if before != now.observation or thorough:
        asked = history.requests_since(configuration.paths.history_log, last.history) or requests
        occasion = Occasion(log.timestamp(), door, asked)
        recorded = _into_store(configuration, state, before, snapshot, occasion)
    state.save_observation(now)
    if touched is not None:
        state.end_restore()
    told = {entry.subject for entry in last.unkept}
    unkept = tuple(entry for entry in now.unkept if entry.subject not in told)
    return Recorded(recorded.generation, unkept, recorded.passed_over)


def unrecorded(
    configuration: Configuration, state: State, manifest: Manifest, now: Observation
) -> Manifest:
    """What `manifest` would be if this root were recorded now."""
    last = state.last_observation().observation
    touched = state.restoring()
    if touched is not None:
        last = settle(last, now, touched)
    excluded = configuration.settings.excluded
    baseline, before, after = (without(o, excluded) for o in (state.baseline(), last, now))
    return absorb(manifest, baseline, before, after)


def _into_store(
    configuration: Configuration,
    state: State,
    before: Observation,
    snapshot: observe.Snapshot,
    occasion: Occasion,
) -> Recorded:
    settings = configuration.settings
    home = find_home(settings.home)
    baseline, before, after = (
        without(observation, settings.excluded)
        for observation in (state.baseline(), before, snapshot.observation)
    )
    with open_existing(home, settings.store) as existing:
        if existing is None and absorb(Manifest(), baseline, baseline, after).empty:
            return Recorded()  # who wants nothing finds nothing in the home
    with open_store(home, settings.store, create=True) as store:
        store.lock(settings.lock_timeout)
        newest = generations.newest(store)
        if newest.generation is None or newest.passed_over:
            # The store is new, or lost what was recorded last: all that differs is wanted.
            before = baseline
        absorbed = absorb(newest.manifest, baseline, before, after)
        if absorbed is newest.manifest:
            return Recorded(passed_over=newest.passed_over)
        _keep_files(store, newest.manifest, absorbed, snapshot.contents)
        platform = snapshot.observation.platform
        generation = generations.write(store, occasion, platform, absorbed)
        log.append(store, describe(generation))
    return Recorded(generation, passed_over=newest.passed_over)


def _keep_files(
    store: Directory, old: Manifest, new: Manifest, contents: Mapping[str, bytes]
) -> None:
    for path, wish in new.files.items():
        if isinstance(wish, KeptFile) and old.files.get(path) != wish:
            kept.put(store, path, wish, contents[wish.sha256])


def describe(generation: Generation) -> str:
    """One line for the log: what was recorded, where, on whose request."""
    asked = "; ".join(
        f"{request.command} ({request.user})" if request.user else request.command
        for request in generation.occasion.requests
    )
    return f"recorded generation {generation.number} at {generation.occasion.door}" + (
        f": {asked}" if asked else ""
    )


def _home_or_none(configuration: Configuration) -> str | None:
    try:
        return find_home(configuration.settings.home)
    except AptkeepError:
        return None  # said when there is something to keep

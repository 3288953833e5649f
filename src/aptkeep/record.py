"""Recording: what changed on this root since it was last seen enters the manifest.

On the hook path.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from aptkeep.at_home import find_home, open_existing, open_store
from aptkeep.errors import AptkeepError
from aptkeep.machine import observe, sources
from aptkeep.machine.apt import history
from aptkeep.machine.state import Observed, State
from aptkeep.merge import absorb, settle, without
from aptkeep.model import (
    KEYRINGS,
    Anchor,
    FileGone,
    FileKind,
    Generation,
    KeptFile,
    Manifest,
    Observation,
    Occasion,
    Pending,
    Request,
)
from aptkeep.store import generations, kept, log, trees

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aptkeep.errors import CorruptError
    from aptkeep.machine.apt.config import Configuration
    from aptkeep.model import OwnDeb
    from aptkeep.store.tree import Directory


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of recording."""

    generation: Generation | None = None
    """The new generation; None where the user's wishes are what they were."""
    unkept: tuple[Pending, ...] = ()
    """Files that can't be kept and that nobody was told about yet."""
    passed_over: tuple[CorruptError, ...] = ()
    """Damaged generations that were newer than the one that counts."""
    said: tuple[str, ...] = ()
    """What is to be told of relocated keys."""


def take_baseline(configuration: Configuration) -> None:
    """The first time on a root: what is here is the image."""
    home = _home_or_none(configuration)
    snapshot = observe.observe(configuration, home=home)
    position = history.position(configuration.paths.history_log)
    if configuration.settings.keep:
        from aptkeep.keeping import take_image  # noqa: PLC0415 - only where paths are kept

        take_image(configuration)
    anchor = None
    with contextlib.suppress(AptkeepError):  # a store that can't be used is said when it's used
        if home is not None:
            with open_existing(configuration) as store:
                anchor = generations.anchor(store) if store is not None else None
    observed = Observed(snapshot.observation, position, snapshot.unkept, anchor)
    State(configuration.paths.state).take_baseline(observed, snapshot.contents)


def record(
    configuration: Configuration,
    door: str,
    *,
    requests: tuple[Request, ...] = (),
    own: Mapping[tuple[str, str], OwnDeb] = MappingProxyType({}),
    thorough: bool = False,
) -> Recorded:
    """Absorb what changed since the last observation. The caller holds the root's lock.

    `door` says what called; `requests` who asked for what, where apt's history log doesn't say;
    `own`, by name and version, which packages came from no repository.
    `thorough` looks into the store even where nothing changed: whether it's still the one that
    was recorded into, and whether sources can be proven by now.

    Raises AptkeepError where a change could not be kept: it's then seen again next time.
    """
    state = State(configuration.paths.state)
    last = state.last_observation()
    home = _home_or_none(configuration)
    said: list[str] = []
    if configuration.settings.rewrite_sources and home is not None:
        said += _guard_copies(configuration, home)
    snapshot = observe.observe(configuration, home=home, known=last.observation)
    if configuration.settings.rewrite_sources and home is not None:
        snapshot = _relocated(configuration, state, home, snapshot)
    position = history.position(configuration.paths.history_log)
    # A keyring that can't be read now, though a source names it, is no less wanted for that.
    lost = {
        entry.subject: last.observation.files[entry.subject]
        for entry in snapshot.unkept
        if entry.subject in last.observation.files
    }
    seen = replace(snapshot.observation, files={**snapshot.observation.files, **lost})
    now = Observed(seen, position, snapshot.unkept, last.anchor)
    touched = state.restoring()
    if now == last and touched is None and not thorough and not own:
        return Recorded(said=tuple(said))
    recorded = Recorded()
    if thorough or own or touched is not None or last.observation != now.observation:
        asked = history.requests_since(configuration.paths.history_log, last.history) or requests
        occasion = Occasion(log.timestamp(), door, asked)
        changed = {
            path
            for path, found in snapshot.observation.files.items()
            if thorough or found != last.observation.files.get(path)
        }
        seen_now = replace(snapshot, observation=seen)
        recorded, anchor = _into_store(configuration, state, last, seen_now, occasion, changed, own)
        now = replace(now, anchor=anchor)
    state.save_observation(now)
    if touched is not None:
        if touched.nodes:
            from aptkeep.keeping import keep  # noqa: PLC0415 - only where paths are kept

            keep(configuration, door, touched=touched.nodes)
        state.end_restore()
    unkept = tuple(
        entry
        for entry in now.unkept
        if entry not in last.unkept and not any(entry.subject in text for text in said)
    )
    return replace(recorded, unkept=unkept, said=(*said, *recorded.said))


def _guard_copies(configuration: Configuration, home: str) -> list[str]:
    """Before apt uses the copies of keys in the home: they are what was recorded."""
    from aptkeep.relocate import altered_copies  # noqa: PLC0415 - only where it's configured

    with open_existing(configuration) as store:
        if store is None:
            return []
        return altered_copies(store, home, generations.newest(store).manifest)


def _relocated(
    configuration: Configuration, state: State, home: str, snapshot: observe.Snapshot
) -> observe.Snapshot:
    """The root, observed again after new sources were rewritten to name copies in the home."""
    from aptkeep import relocate  # noqa: PLC0415 - only where it's configured

    todo = relocate.to_relocate(snapshot, state.baseline())
    if not todo:
        return snapshot
    with open_store(configuration, create=True) as store:
        closed = relocate.unreadable_for_apt(store.path)
        if closed is not None:
            # Kept as with "copy". Said once, like what can't be kept.
            reason = "apt can't look into it, so its sources go on naming the keys where they were"
            return replace(snapshot, unkept=(*snapshot.unkept, Pending(closed, reason)))
        store.lock(configuration.settings.lock_timeout)
        relocate.relocate(store, snapshot, todo)
    return observe.observe(configuration, home=home, known=snapshot.observation)


def unrecorded(
    configuration: Configuration, store: Directory | None, manifest: Manifest, now: Observation
) -> Manifest:
    """What `manifest`, the newest in `store`, would be if this root were recorded now."""
    state = State(configuration.paths.state)
    return _absorb(configuration, state, state.last_observation(), store, manifest, now)


def _into_store(  # noqa: PLR0917 - each is a different thing
    configuration: Configuration,
    state: State,
    last: Observed,
    snapshot: observe.Snapshot,
    occasion: Occasion,
    changed: Collection[str],
    own: Mapping[tuple[str, str], OwnDeb],
) -> tuple[Recorded, Anchor | None]:
    now = snapshot.observation
    with open_existing(configuration) as store:
        if store is None and unrecorded(configuration, None, Manifest(), now).empty:
            said = _of_the_images_version(Manifest(), now, own)
            return Recorded(said=said), None  # who wants nothing finds nothing in the home
    with open_store(configuration, create=True) as store:
        store.lock(configuration.settings.lock_timeout)
        store.remove_unfinished(generations.SUBDIRECTORY, trees.SUBDIRECTORY, *kept.SUBDIRECTORIES)
        newest = generations.newest(store)
        absorbed = _absorb(configuration, state, last, store, newest.manifest, now)
        absorbed = _with_own_debs(absorbed, now, own)
        absorbed = _examined(newest.manifest, absorbed, snapshot)
        absorbed = _proven(configuration, newest.manifest, absorbed, snapshot)
        generation = None
        _keep_files(store, absorbed, snapshot, changed)
        if absorbed != newest.manifest:
            generation = generations.write(store, occasion, now.platform, absorbed)
            log.append(store, describe(generation))
        said = _of_the_images_version(absorbed, now, own)
        return Recorded(generation, passed_over=newest.passed_over, said=said), generations.anchor(
            store
        )


def _absorb(  # noqa: PLR0917 - each is a different thing
    configuration: Configuration,
    state: State,
    last: Observed,
    store: Directory | None,
    manifest: Manifest,
    now: Observation,
) -> Manifest:
    """Absorb what changed on this root since it was last recorded into just this store.

    A store that is new, another one, or lost the generation that was last recorded into, knows
    nothing of what happened here before: then all that differs from the image is wanted.
    """
    before, baseline = last.observation, state.baseline()
    if store is None or not generations.holds(store, last.anchor):
        before = baseline
    touched = state.restoring()
    if touched is not None:
        before = settle(before, now, touched)
    excluded = configuration.settings.excluded
    return absorb(manifest, *(without(seen, excluded) for seen in (baseline, before, now)))


def _keep_files(
    store: Directory, manifest: Manifest, snapshot: observe.Snapshot, changed: Collection[str]
) -> None:
    """Keep the content of `changed` files that are wanted so; a damaged copy is mended by it."""
    for path in changed:
        wish, found = manifest.files.get(path), snapshot.observation.files[path]
        if isinstance(wish, KeptFile) and wish.sha256 == found.sha256:
            kept.put(store, path, wish, snapshot.contents[wish.sha256])


def _with_own_debs(
    manifest: Manifest, now: Observation, own: Mapping[tuple[str, str], OwnDeb]
) -> Manifest:
    """`manifest`, with where the .debs came from of packages that are wanted just as they are."""
    packages = dict(manifest.packages)
    for (name, version), deb in own.items():
        wish, here = packages.get(name), now.packages.get(name)
        if wish is not None and here is not None and wish.version == here.version == version:
            packages[name] = replace(wish, deb=deb)
    return replace(manifest, packages=packages) if packages != manifest.packages else manifest


def _of_the_images_version(
    manifest: Manifest, now: Observation, own: Mapping[tuple[str, str], OwnDeb]
) -> tuple[str, ...]:
    """What is to be told of local files that leave a package as the image has it, to all looks."""
    names = [
        name
        for name, version in own
        if name not in manifest.packages
        and name in now.packages
        and now.packages[name].version == version
    ]
    return tuple(
        f"{name} comes back as the image has it: your file has the same version; give it another "
        "one, and install it again, if it's not the same package"
        for name in names
    )


def _examined(old: Manifest, new: Manifest, snapshot: observe.Snapshot) -> Manifest:
    """`new`, with what GnuPG says of the keyrings that are new in it."""
    files = dict(new.files)
    for path, wish in new.files.items():
        if not isinstance(wish, KeptFile) or wish.kind not in KEYRINGS:
            continue
        if old.files.get(path) != wish and wish.sha256 in snapshot.contents:
            from aptkeep.machine import openpgp  # noqa: PLC0415 - off the usual path of a hook

            files[path] = replace(wish, keys=openpgp.show(snapshot.contents[wish.sha256]))
    return replace(new, files=files) if files != new.files else new


def _proven(
    configuration: Configuration, old: Manifest, manifest: Manifest, snapshot: observe.Snapshot
) -> Manifest:
    """`manifest`, with the day of proof for the sources whose signatures verify by now.

    A proof is of the keys that were there: a keyring that changed undoes it. It's renewed when
    it's older than a week, so that the history isn't one of proofs.
    """
    today, stale = log.timestamp()[:10], log.timestamp(time.time() - 7 * 86400)[:10]
    changed = {
        path
        for path in {*old.files, *manifest.files}
        if _key_content(old.files.get(path)) != _key_content(manifest.files.get(path))
    }
    files = dict(manifest.files)
    for path, wish in manifest.files.items():
        found = snapshot.observation.files.get(path)
        if not isinstance(wish, KeptFile) or wish.kind is not FileKind.SOURCE or found is None:
            continue
        if found.sha256 != wish.sha256 or wish.sha256 not in snapshot.contents:
            continue
        proven = wish.proven
        if proven and changed & _keys_of(path, snapshot):
            proven = None
        if proven is None or proven < stale:
            from aptkeep.machine import proof  # noqa: PLC0415 - off the usual path of a hook

            verified = proof.prove(path, snapshot, configuration.paths.lists).proven
            proven = today if verified else proven
        files[path] = replace(wish, proven=proven)
    return replace(manifest, files=files) if files != manifest.files else manifest


def _key_content(wish: KeptFile | FileGone | None) -> str | None:
    return wish.sha256 if isinstance(wish, KeptFile) and wish.kind in KEYRINGS else None


def _keys_of(path: str, snapshot: observe.Snapshot) -> set[str]:
    """The keyrings that a source is verified with: those that it names, else all trusted ones."""
    found = snapshot.observation.files
    named = sources.keyrings(path, snapshot.contents[found[path].sha256])
    return set(named) or {p for p, kept_ in found.items() if kept_.kind is FileKind.TRUSTED_KEY}


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
        return find_home(configuration)
    except AptkeepError:
        return None  # said when there is something to keep

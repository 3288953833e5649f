"""Changing the manifest by hand: forgetting what is no longer wanted, going back.

What was wanted stays in the older generations.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aptkeep.at_home import open_existing, open_store
from aptkeep.errors import AptkeepError, UsageError
from aptkeep.keeping import keep
from aptkeep.machine import observe, sources
from aptkeep.machine.apt import debfile
from aptkeep.machine.state import State
from aptkeep.model import FileKind, Generation, KeptFile, Manifest, Occasion
from aptkeep.nodes import without
from aptkeep.record import record
from aptkeep.store import generations, kept, log, trees
from aptkeep.store.pool import open_pool

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from aptkeep.machine.apt.config import Configuration
    from aptkeep.store.tree import Directory


@dataclass(frozen=True, slots=True)
class Revised:
    """A manifest that was changed by hand: from which generation, to which."""

    old: Generation
    new: Generation


def forget(configuration: Configuration, names: Sequence[str]) -> Revised:
    """Drop wishes by name: packages, architectures, and sources by path or file name.

    Nothing on this root changes. Raises UsageError, and drops nothing, where a name is unknown.
    """
    _record_first(configuration)
    with open_existing(configuration) as store:
        if store is None:
            raise _nothing_recorded()
    with _store(configuration) as store:
        store.lock(configuration.settings.lock_timeout)
        old = _newest(store)
        manifest = old.manifest
        for name in names:
            manifest = _without(store, manifest, name)
        State(configuration.paths.state).set_undoing(None)
        new = _write(configuration, store, f"aptkeep forget {' '.join(names)}", manifest)
    return Revised(old, new)


def rollback(configuration: Configuration, number: int) -> Revised:
    """Make an older generation's manifest the newest one. The root is the caller's to restore."""
    with open_existing(configuration) as store:
        if store is None:
            raise _nothing_recorded()
        target = generations.load(store, number)
    _record_first(configuration)
    with _store(configuration) as store:
        store.lock(configuration.settings.lock_timeout)
        old = _newest(store)
        # Before it's wanted: who is killed in between has nothing to undo yet, and no harm is done.
        State(configuration.paths.state).set_undoing(old.number)
        new = _write(configuration, store, f"aptkeep rollback {number}", target.manifest)
    return Revised(old, new)


def sign(configuration: Configuration, *, adopt: bool = False) -> Generation:
    """Sign the newest generation, as a new one, and the pool with the present key.

    `adopt` believes a store that only root can have written, though nobody signed it. Raises
    UsageError unless signatures count, or where nothing was recorded yet.
    """
    if not configuration.settings.signed:
        raise UsageError(
            'Aptkeep::Trust is not "signed"',
            details="there is nothing to sign with; nothing was done",
            resolution="set Aptkeep::Trust and Aptkeep::Trust::Key first",
        )
    believed = configuration
    if adopt:
        settings = replace(configuration.settings, signed=False)
        believed = replace(configuration, settings=settings)
    with open_existing(believed) as store:
        if store is None:
            raise _nothing_recorded()
        manifest = _newest(store).manifest
        with open_pool(store, debfile.control) as pool:
            debs = pool.debs() if pool is not None else []
    with open_store(configuration) as store:
        store.lock(configuration.settings.lock_timeout)
        with open_pool(store, debfile.control) as pool:
            if pool is not None:
                pool.directory.lock(configuration.settings.lock_timeout)
                pool.write_index(debs)
        return _write(configuration, store, "aptkeep sign", manifest)


def _record_first(configuration: Configuration) -> None:
    """What was not recorded yet belongs to the generation that is left behind."""
    if State(configuration.paths.state).started:
        record(configuration, "aptkeep record", thorough=True)
        keep(configuration, "aptkeep record")


def _store(configuration: Configuration) -> AbstractContextManager[Directory]:
    return open_store(configuration, create=True)


def _newest(store: Directory) -> Generation:
    newest = generations.newest(store).generation
    if newest is None:
        raise _nothing_recorded()
    return newest


def _nothing_recorded() -> UsageError:
    return UsageError(
        "nothing was recorded yet",
        details="there is no generation",
        resolution="install something with apt; 'aptkeep history' then shows it",
    )


def _without(store: Directory, manifest: Manifest, name: str) -> Manifest:
    if name in manifest.packages:
        packages = {n: wish for n, wish in manifest.packages.items() if n != name}
        return replace(manifest, packages=packages)
    if name in manifest.architectures:
        architectures = {n: wish for n, wish in manifest.architectures.items() if n != name}
        return replace(manifest, architectures=architectures)
    if name.startswith("/"):
        nodes = trees.read(store, manifest.tree)
        others = without(nodes, name.rstrip("/"))
        if others != nodes:
            return replace(manifest, tree=trees.write(store, others))
    paths = [p for p in manifest.files if name in (p, os.path.basename(p))]
    if not paths:
        raise UsageError(
            f"nothing is kept under the name {name}",
            details="no package, architecture, source or path of that name; nothing was changed",
            resolution="'aptkeep show' lists everything that is",
        )
    if len(paths) > 1:
        raise UsageError(f"{name} could be {' or '.join(paths)}", resolution="give the whole path")
    files = {path: wish for path, wish in manifest.files.items() if path != paths[0]}
    orphans = _keyrings(store, manifest, paths) - _keyrings(store, manifest, files)
    return replace(manifest, files={p: wish for p, wish in files.items() if p not in orphans})


def _keyrings(store: Directory, manifest: Manifest, paths: Iterable[str]) -> set[str]:
    """The keyrings that the kept sources among `paths` name."""
    found: set[str] = set()
    for path in paths:
        wish = manifest.files[path]
        if isinstance(wish, KeptFile) and wish.kind is FileKind.SOURCE:
            try:
                found.update(sources.keyrings(path, kept.get(store, path, wish)))
            except AptkeepError:
                continue  # a damaged copy names nothing; 'aptkeep start' says that it's damaged
    return found


def _write(
    configuration: Configuration, store: Directory, door: str, manifest: Manifest
) -> Generation:
    platform = observe.read_platform(configuration.paths.os_release, configuration.architecture)
    generation = generations.write(store, Occasion(log.timestamp(), door), platform, manifest)
    log.append(store, f"{door}: generation {generation.number}")
    return generation

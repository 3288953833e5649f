"""Recording what is changed below `Aptkeep::Keep`: at every door, after packages and sources.

On the hook path, where paths are kept. While nothing changes, all there is to do is to look at
every path once; nothing is read.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING

from aptkeep.at_home import find_home, open_existing, open_store
from aptkeep.errors import AptkeepError, CorruptError
from aptkeep.looking import Look, examine, exclusion, kept_paths, kept_roots, node_of
from aptkeep.machine import observe, tree
from aptkeep.machine.state import State
from aptkeep.machine.tree_state import Image, LastLook, TreeState
from aptkeep.model import Node, Occasion
from aptkeep.nodes import absorb_nodes, settle_nodes
from aptkeep.store import generations, log, trees
from aptkeep.words import counted, some

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from aptkeep.machine.apt.config import Configuration
    from aptkeep.machine.tree import Seen
    from aptkeep.model import Anchor, Generation
    from aptkeep.store.tree import Directory
    from aptkeep.store.trees import Contents


@dataclass(frozen=True, slots=True)
class Kept:
    """What came of looking at the kept paths."""

    generation: Generation | None = None
    """The new generation; None where what is wanted is what it was."""
    news: tuple[str, ...] = ()
    """What can't be kept and nobody was told about yet."""
    troubles: tuple[str, ...] = ()
    """All that can't be kept."""


def take_image(configuration: Configuration) -> None:
    """The first time on a root: what is below the kept paths is the image's."""
    home = None
    with suppress(AptkeepError):  # said when something is to be kept
        home = find_home(configuration)
    roots = kept_roots(configuration, home)
    if roots:
        scan = tree.Scanner(exclusion(configuration, home)).scan(roots)
        TreeState(configuration.paths.state).save_image(Image().join(roots, scan.paths))


def keep(
    configuration: Configuration,
    door: str,
    *,
    touched: Collection[str] | None = None,
    thorough: bool = False,
    most: int | None = None,
) -> Kept:
    """Absorb what changed below the kept paths since they were last looked at.

    `touched`: what a restore set out to change, whose end this is. While another one is at work,
    nothing is done: it looks itself. `thorough` also takes anew what the store has lost.
    `most`: how many paths may have changed; of more none is recorded.

    Raises AptkeepError where a change could not be kept: it's then seen again next time.
    """
    if not (configuration.settings.keep or configuration.settings.keep_refused):
        return Kept()
    home = find_home(configuration)
    state = TreeState(configuration.paths.state)
    timeout = configuration.settings.lock_timeout
    look = Look(configuration, home, state)
    recorded_into = look.glance.anchor
    with open_existing(configuration) as store:
        same_store = generations.holds(store, recorded_into) if store else not recorded_into
        lost = _lost(store) if thorough and store is not None else frozenset()
        if look.unchanged and same_store and not touched and not lost:
            return Kept(troubles=look.last.troubles if thorough else ())
        if store is None and look.finds_nothing:
            state.save_last(LastLook(look.scan.sha256))
            return Kept()
    with open_store(configuration, create=True) as store, trees.locked(store, timeout) as contents:
        if touched is None and State(configuration.paths.state).restoring() is not None:
            return Kept()
        look.forget(lambda s: s in lost or not (same_store or contents.has(s)))
        after = look.nodes(partial(_receive, contents, cache(tree.is_closed)), most)
        contents.sync()
        generation, anchor = _into_store(configuration, store, look, after, door, touched or ())
    troubles = tuple(some(paths, reason) for reason, paths in look.troubles.items())
    nodes = {path: (look.changed_at(path), node) for path, node in after.items()}
    done = LastLook(
        "" if look.again else look.scan.sha256,
        nodes,
        look.shipped,
        troubles,
        anchor,
    )
    look.save_image()
    state.save_last(done)
    news = tuple(text for text in troubles if text not in look.last.troubles)
    return Kept(generation, (*look.passing, *news), troubles)


def _lost(store: Directory) -> frozenset[str]:
    """What the newest generation names and the store hasn't got; not empty without the listing."""
    try:
        nodes = trees.read(store, generations.newest(store).manifest.tree)
    except CorruptError:
        return frozenset([""])
    return frozenset(trees.lost(store, nodes.values()))


def present_nodes(configuration: Configuration) -> tuple[LastLook, dict[str, Node], list[str]]:
    """What was last recorded, what is there now, and what of it can't be kept. Nothing is kept.

    Only root sees everything there; others see what was recorded.
    """
    asked = configuration.settings.keep or configuration.settings.keep_refused
    if not asked or not State(configuration.paths.state).started:
        return LastLook(), {}, []
    state, home = TreeState(configuration.paths.state), find_home(configuration)
    look = Look(configuration, home, state) if os.geteuid() == 0 else None
    if look is None or look.unchanged:
        last = state.last()
        return last, {path: node for path, (_, node) in last.nodes.items()}, list(last.troubles)
    after = look.nodes(examine)
    return look.last, after, [some(paths, reason) for reason, paths in look.troubles.items()]


def _into_store(  # noqa: PLR0917 - each is a different thing
    configuration: Configuration,
    store: Directory,
    look: Look,
    after: dict[str, Node],
    door: str,
    touched: Collection[str],
) -> tuple[Generation | None, Anchor | None]:
    """Absorb the nodes of this root into the newest generation, if that changes anything."""
    store.lock(configuration.settings.lock_timeout)
    newest = generations.newest(store)
    before = {path: node for path, (_, node) in look.last.nodes.items()}
    if not generations.holds(store, look.last.anchor):
        before = {}  # another store, which knows nothing of what happened here
    before = settle_nodes(before, after, touched)
    try:
        wanted = trees.read(store, newest.manifest.tree)
    except CorruptError as error:
        look.passing.append(error.one_line())
        before, wanted = {}, {}  # what is here is recorded anew
    absorbed = absorb_nodes(wanted, before, after, kept_paths(configuration, look.home))
    generation = None
    if absorbed != wanted:
        occasion = Occasion(log.timestamp(), f"{door}, files below Aptkeep::Keep")
        platform = observe.read_platform(configuration.paths.os_release, configuration.architecture)
        manifest = replace(newest.manifest, tree=trees.write(store, absorbed))
        generation = generations.write(store, occasion, platform, manifest)
        changed = sum(
            absorbed.get(path) != wanted.get(path) for path in absorbed.keys() | wanted.keys()
        )
        log.append(
            store, f"recorded generation {generation.number}: {counted(changed, 'kept path')}"
        )
    return generation, generations.anchor(store)


def _receive(contents: Contents, is_closed: Callable[[str], bool], path: str, seen: Seen) -> Node:
    """Keep what a file holds."""
    with tree.opened(path, seen) as descriptor:
        private = not seen.mode & stat.S_IROTH or is_closed(os.path.dirname(path))
        sha256 = contents.receive(descriptor, private=private, limit=seen.size)
        tree.check_unchanged(descriptor, path, seen)
        return node_of(path, seen, sha256, descriptor)

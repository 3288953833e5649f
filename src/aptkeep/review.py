"""What `aptkeep status` and its like tell: reading only, nothing is changed."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from aptkeep.adapt import adapt, revert
from aptkeep.at_home import find_home, open_existing
from aptkeep.compare import Difference, Wish, differences, wishes
from aptkeep.errors import AptkeepError
from aptkeep.keeping import present_nodes
from aptkeep.looking import kept_paths
from aptkeep.machine import incoming, observe, openpgp, sources
from aptkeep.machine.apt import debfile
from aptkeep.machine.apt.archive import newer
from aptkeep.machine.state import State
from aptkeep.model import (
    FileKind,
    Generation,
    KeptFile,
    Manifest,
    NodeKind,
    Observation,
    Pending,
)
from aptkeep.nodes import absorb_nodes
from aptkeep.plan import Policy, plan, subject_of
from aptkeep.record import unrecorded
from aptkeep.repositories import SOON, SourceReport, report
from aptkeep.store import generations, kept, log, trees
from aptkeep.store.pool import INDEX, open_pool
from aptkeep.tree_back import LISTING, TreeBack
from aptkeep.words import some

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from aptkeep.machine.apt.config import Configuration
    from aptkeep.model import Node
    from aptkeep.plan import DeleteNode, PutNode
    from aptkeep.store.pool import PooledDeb
    from aptkeep.store.tree import Directory


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
    elsewhere: tuple[Wish, ...] = ()
    """Wanted on another image or release only: it doesn't apply here."""
    pending: tuple[Pending, ...] = ()
    unrecorded: tuple[Difference, ...] = ()
    warnings: tuple[str, ...] = ()
    unkept_paths: tuple[str, ...] = ()
    """What can't be kept below `Aptkeep::Keep`, and why."""
    lost_paths: tuple[str, ...] = ()
    """What is wanted below `Aptkeep::Keep`, and the store hasn't got any more."""
    sources: tuple[SourceReport, ...] = ()
    pooled: int = 0
    """.deb files in the pool."""
    pool_size: int = 0
    """Bytes that they take."""
    unpooled: int = 0
    """.deb files on this root that are on their way into the pool."""


def status(configuration: Configuration) -> Status:
    """Wanted, present, pending with reasons, not yet recorded."""
    home = find_home(configuration)
    state = State(configuration.paths.state)
    undone, refusal = None, ""
    pooled: list[PooledDeb] = []
    with open_existing(configuration) as store:
        newest = generations.newest(store) if store is not None else generations.Newest()
        snapshot = observe.observe(configuration, home=home, keyrings=keyrings_of(newest.manifest))
        reports = source_reports(store, newest.manifest) if store is not None else []
        if store is not None:
            pooled, refusal = _pooled(store)
        number = state.undoing()
        if store is not None and number is not None:
            undone = generations.load(store, number).manifest
        absorbed = newest.manifest
        if state.started:
            absorbed = unrecorded(configuration, store, absorbed, snapshot.observation)
        tree = _tree(configuration, home, store, newest.manifest, undone)
    now = snapshot.observation
    baseline = state.baseline() if state.started else now
    target = absorbed if undone is None else revert(undone, absorbed, baseline)
    excluded = configuration.settings.excluded
    packages = {name: wish for name, wish in target.packages.items() if not excluded(name)}
    adapted = adapt(replace(target, packages=packages), baseline, newer=newer)
    policy = Policy(latest=configuration.settings.latest)
    steps = plan(adapted.manifest, now, None, newer=newer, policy=policy).steps
    subjects = [subject_of(step) for step in (*steps, *tree.steps)]
    pending = _reasons(subjects, (*adapted.set_aside, *tree.set_aside), state, now)
    wanted = tuple(wishes(newest.manifest, tree.nodes))
    applies = adapted.applies | tree.nodes.keys()
    known = applies | pending.keys()
    troubles = [error.one_line() for error in newest.passed_over]
    troubles += [f"{entry.subject} is not kept: {entry.reason}" for entry in snapshot.unkept]
    troubles += [f"{source.path}: {text}" for source in reports for text in source.troubles]
    kept_out = state.troubles()
    troubles += [*kept_out.said, *kept_out.unsaid, *([refusal] if refusal else ()), *tree.unkept]
    troubles += tree.lost
    return Status(
        home=home,
        store=f"{home}/{configuration.settings.store}",
        started=state.started,
        restoring=state.restoring() is not None,
        generation=newest.generation,
        wanted=wanted,
        present=tuple(w for w in wanted if w.name in applies and w.name not in pending),
        elsewhere=tuple(w for w in wanted if w.name not in known),
        pending=tuple(Pending(subject, reason) for subject, reason in sorted(pending.items())),
        unrecorded=tuple(differences(newest.manifest, absorbed, tree.nodes, tree.absorbed)),
        warnings=tuple(troubles),
        unkept_paths=tree.unkept,
        lost_paths=tree.lost,
        sources=tuple(reports),
        pooled=len(pooled),
        pool_size=sum(deb.size for deb in pooled),
        unpooled=incoming.count(configuration.paths.state),
    )


@dataclass(frozen=True, slots=True)
class _Tree:
    """How this root stands to what is kept below `Aptkeep::Keep`."""

    nodes: Mapping[str, Node] = field(default_factory=dict)
    absorbed: Mapping[str, Node] = field(default_factory=dict)
    """What they would be if this root were recorded now."""
    steps: tuple[PutNode | DeleteNode, ...] = ()
    """What a restore would do."""
    set_aside: tuple[Pending, ...] = ()
    unkept: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def _tree(
    configuration: Configuration,
    home: str,
    store: Directory | None,
    manifest: Manifest,
    undone: Manifest | None,
) -> _Tree:
    last, after, unkept = present_nodes(configuration)
    before = {path: node for path, (_, node) in last.nodes.items()}
    kept_now = kept_paths(configuration, home)
    if store is None:
        return _Tree(absorbed=absorb_nodes({}, {}, after, kept_now), unkept=tuple(unkept))
    back = TreeBack(configuration, store, undone or manifest, manifest, {})
    if not generations.holds(store, last.anchor):
        before = {}
    absorbed = absorb_nodes(back.nodes, before, after, kept_now)
    # What was changed here is as somebody wants it now.
    left = [s for s in back.left() if back.nodes.get(s.path) == absorbed.get(s.path)]
    return _Tree(
        back.nodes,
        absorbed,
        tuple(left),
        tuple(back.set_aside),
        (*unkept, *back.left_alone()),
        tuple(_lost_paths(store, back)),
    )


def _lost_paths(store: Directory, back: TreeBack) -> Iterator[str]:
    if any(entry.subject == LISTING for entry in back.set_aside):
        yield "the listing of all kept paths is damaged"
    lost = trees.lost(store, back.nodes.values())
    paths = [path for path, node in back.nodes.items() if node.sha256 in lost]
    if paths:
        yield some(paths, "the kept copy is gone or was altered")


def _pooled(store: Directory) -> tuple[list[PooledDeb], str]:
    """What is in the pool, and why it can't be used where it can't."""
    try:
        with open_pool(store, debfile.control) as pool:
            return pool.debs(indexed_only=True) if pool is not None else [], ""
    except AptkeepError as error:
        return [], error.one_line()


def _reasons(
    subjects: list[str], set_aside: Iterable[Pending], state: State, now: Observation
) -> dict[str, str]:
    """Why each of `subjects`, and what was set aside, is not here: as the last restore saw it."""
    last = state.last_report()
    reported = {entry.subject: entry.reason for entry in last.pending} if last is not None else {}
    reasons = {}
    for subject in subjects:
        reason = "not restored on this machine yet"
        package = now.packages.get(subject)
        if package is not None and package.present and not package.whole:
            reason = "its installation is not finished; 'dpkg --configure -a' says why"
        reasons[subject] = reported.get(subject, reason)
    reasons.update((entry.subject, entry.reason) for entry in set_aside)
    return reasons


@dataclass(frozen=True, slots=True)
class Shown:
    """A generation, and what is to be said of its sources."""

    generation: Generation | None
    sources: tuple[SourceReport, ...] = ()
    nodes: Mapping[str, Node] = field(default_factory=dict)
    """What is kept below `Aptkeep::Keep`."""

    @property
    def manifest(self) -> Manifest:
        """Its manifest; empty where there is no generation."""
        return self.generation.manifest if self.generation is not None else Manifest()


def show(configuration: Configuration, number: int | None) -> Shown:
    """A generation by number, or the newest; None where nothing was ever recorded."""
    with open_existing(configuration) as store:
        if store is None:
            return Shown(None)
        if number is None:
            found = generations.newest(store).generation
        else:
            found = generations.load(store, number)
        if found is None:
            return Shown(None)
        reports = source_reports(store, found.manifest)
        return Shown(found, tuple(reports), trees.read(store, found.manifest.tree))


def source_reports(store: Directory, manifest: Manifest) -> list[SourceReport]:
    """The kept sources of a manifest, with their keys and what is wrong with them."""
    today, soon = review_days()
    found = {}
    for path, wish in manifest.files.items():
        if isinstance(wish, KeptFile) and wish.kind is FileKind.SOURCE:
            with contextlib.suppress(AptkeepError):  # a damaged copy is `verify`'s to say
                found[path] = wish, sources.entries(path, kept.get(store, path, wish))
    armored = {e.embedded_key for _wish, entries in found.values() for e in entries}
    embedded = {text: openpgp.show(text.encode()) for text in armored if text}
    return report(found, manifest.files, today, soon, embedded)


def keyrings_of(manifest: Manifest) -> list[str]:
    """The keyrings that are wanted outside the home, whether or not a source names them now."""
    return [
        path
        for path, wish in manifest.files.items()
        if isinstance(wish, KeptFile) and wish.kind is FileKind.KEY
    ]


def review_days() -> tuple[str, str]:
    """Today, and the day up to which an expiry is worth a warning."""
    now = time.time()
    return log.timestamp(now)[:10], log.timestamp(now + SOON * 86400)[:10]


@dataclass(frozen=True, slots=True)
class Verified:
    """What `aptkeep verify` found."""

    generations: int
    files: int
    troubles: tuple[str, ...]
    """What isn't as it was recorded; empty where every byte is."""
    sources: tuple[SourceReport, ...] = ()


def verify(configuration: Configuration) -> Verified:
    """Every generation against the schema and its checksum, every kept file against its hash."""
    from aptkeep.store.format.validate import validate  # noqa: PLC0415 - jsonschema is slow

    troubles: dict[str, None] = {}
    checked: set[tuple[str, str]] = set()
    newest = None
    reports: list[SourceReport] = []
    with open_existing(configuration) as store:
        numbers = generations.numbers(store) if store is not None else []
        for number in numbers:
            assert store is not None  # noqa: S101 - or there were no numbers
            try:
                newest = generations.load(store, number)
                validate(generations.read(store, number), generations.file_name(number))
            except AptkeepError as error:
                troubles[error.brief] = None
                continue
            for path, wish in newest.manifest.files.items():
                if not isinstance(wish, KeptFile) or kept.location(path, wish) in checked:
                    continue
                checked.add(kept.location(path, wish))
                try:
                    kept.get(store, path, wish)
                except AptkeepError as error:
                    named = path in error.brief
                    troubles[error.brief if named else f"{path}: {error.brief}"] = None
            _verify_tree(store, newest.manifest, checked, troubles)
        pooled = 0
        if store is not None and newest is not None:
            reports = source_reports(store, newest.manifest)
            pooled = _verify_pool(store, newest.manifest, troubles)
    return Verified(len(numbers), len(checked) + pooled, tuple(troubles), tuple(reports))


def _verify_tree(
    store: Directory,
    manifest: Manifest,
    checked: set[tuple[str, str]],
    troubles: dict[str, None],
) -> None:
    """Check the listing of what is kept below `Aptkeep::Keep`, and every file in it."""
    if manifest.tree is None or trees.location(manifest.tree) in checked:
        return
    checked.add(trees.location(manifest.tree))
    try:
        nodes = trees.read(store, manifest.tree)
    except AptkeepError as error:
        troubles[error.brief] = None
        return
    for path, node in nodes.items():
        place = trees.CONTENTS, str(node.sha256)
        if node.kind is not NodeKind.FILE or place in checked:
            continue
        checked.add(place)
        try:
            trees.verify(store, path, node)
        except AptkeepError as error:
            troubles[error.brief] = None


def _verify_pool(store: Directory, manifest: Manifest, troubles: dict[str, None]) -> int:
    """Check the pooled files, and that what no repository has is among them; how many there are."""
    with open_pool(store, debfile.control) as pool:
        debs = pool.debs() if pool is not None else []
        if pool is not None and len(pool.debs(indexed_only=True)) < len(debs):
            troubles[f"pool/{INDEX} is damaged; the next package that is kept mends it"] = None
        gone = pool.gone() if pool is not None else []
        troubles.update((f"pool/{name} is gone", None) for name in gone)
        for deb in debs:
            assert pool is not None  # noqa: S101 - or there were none
            try:
                for _piece in pool.verified(deb):
                    pass
            except AptkeepError as error:
                troubles[error.brief] = None
            except OSError as error:
                troubles[f"pool/{deb.filename} can't be read: {error.strerror}"] = None
    there = {(deb.name, deb.version) for deb in debs}
    for name, wish in manifest.packages.items():
        if wish.deb is not None and (name.partition(":")[0], wish.version) not in there:
            text = f"{name} {wish.version} came from no repository, and is not in the pool"
            troubles[f"{text}; install it again"] = None
    return len(debs)


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A generation, or why it can't be read."""

    number: int
    generation: Generation | None
    trouble: str = ""


def history(configuration: Configuration) -> list[HistoryEntry]:
    """All generations, oldest first."""
    entries = []
    with open_existing(configuration) as store:
        for number in generations.numbers(store) if store is not None else ():
            assert store is not None  # noqa: S101
            try:
                entries.append(HistoryEntry(number, generations.load(store, number)))
            except AptkeepError as error:
                entries.append(HistoryEntry(number, None, error.brief))
    return entries

"""Restoring: what is wanted and not here comes back. Off the hook path.

A restore may be killed at any moment. Before it changes anything it notes what it will touch, so
that the next record takes none of that for the user's wish; the next restore finishes the work.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from aptkeep.adapt import Adapted, adapt, revert
from aptkeep.at_home import find_home, open_existing
from aptkeep.errors import AptkeepError, CommandError, attempt
from aptkeep.keeping import keep
from aptkeep.machine import observe, sources
from aptkeep.machine.apt.archive import Archive, newer
from aptkeep.machine.apt.staging import remove_leftovers
from aptkeep.machine.state import LastReport, State
from aptkeep.machine.transaction import Reporter, Transaction
from aptkeep.model import (
    Generation,
    KeptFile,
    Manifest,
    Observation,
    Occasion,
    Pending,
    Selection,
    Touched,
)
from aptkeep.packages_back import PackagesBack
from aptkeep.plan import (
    NOT_ANY_MORE,
    NOT_OFFERED,
    AddArchitecture,
    Hold,
    Install,
    Plan,
    Policy,
    RemoveArchitecture,
    final_marks,
    plan,
    subject_of,
)
from aptkeep.pooling import local_debs, own_debs
from aptkeep.put_back import FilesBack
from aptkeep.record import record, take_baseline, unrecorded
from aptkeep.review import keyrings_of
from aptkeep.store import generations, kept, log
from aptkeep.supply import pooled_versions
from aptkeep.tree_back import TreeBack
from aptkeep.words import grouped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aptkeep.machine.apt.config import Configuration
    from aptkeep.plan import Offered, Step
    from aptkeep.store.tree import Directory


@dataclass(frozen=True, slots=True)
class Options:
    """How to restore."""

    offline: bool = False
    """Never touch the network."""
    generation: int | None = None
    """A generation to go to, rather than the newest."""
    versions: str | None = None
    """`recorded` or `latest`, over the configuration."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a restore did, or would do."""

    generation: int | None
    """The generation that was restored; None where nothing was ever recorded."""
    plan: Plan = field(default_factory=Plan)
    """What was found to be done."""
    pending: tuple[Pending, ...] = ()
    notes: tuple[str, ...] = ()
    """What went otherwise than recorded, and what failed without costing anything wanted."""


def restore(configuration: Configuration, reporter: Reporter, options: Options) -> Outcome:
    """Bring this root to what the user wants. The caller holds the root's lock.

    The first time on a root the baseline is taken; else what was missed is recorded first.

    Raises AptkeepError where nothing could be done; what can be done is done, the rest is pending.
    """
    state = State(configuration.paths.state)
    unfinished = state.restoring() or Touched()
    remove_leftovers(state.path)
    notes: list[str] = []
    if not state.started:
        take_baseline(configuration)
    else:
        with local_debs(configuration, lambda: False, of_root=True) as debs:
            own = own_debs(debs)
            recorded = record(configuration, "aptkeep start", own=own, thorough=True)
        notes += recorded.said
        notes += [f"{entry.subject} is not kept: {entry.reason}" for entry in recorded.unkept]
        notes += keep(configuration, "aptkeep start", thorough=True).news
    with open_existing(configuration) as store:
        newest = generations.newest(store) if store is not None else generations.Newest()
        notes += [error.one_line() for error in newest.passed_over]
        if store is None or newest.generation is None:
            return Outcome(None, notes=tuple(notes))
        work = _Restore(configuration, reporter, options, store, newest.generation)
        outcome = work.run(unfinished)
    return replace(outcome, notes=(*notes, *outcome.notes))


def preview(configuration: Configuration, options: Options) -> Outcome:
    """What `restore` would do, as far as it can be seen without changing anything."""
    with open_existing(configuration) as store:
        newest = generations.newest(store) if store is not None else generations.Newest()
        if store is None or newest.generation is None:
            return Outcome(None)
        return _Restore(configuration, _Silent(), options, store, newest.generation).preview()


class _Silent:
    def step(self, text: str) -> None:
        pass

    def progress(self, percent: float, text: str) -> None:
        pass


class _Restore:
    """One restore: what its steps share, and the reasons collected on the way."""

    def __init__(
        self,
        configuration: Configuration,
        reporter: Reporter,
        options: Options,
        store: Directory,
        newest: Generation,
    ) -> None:
        self._configuration = configuration
        self._reporter = reporter
        self._options = options
        self._store = store
        self._newest = newest
        self._state = State(configuration.paths.state)
        number = options.generation
        self._target = newest if number is None else generations.load(store, number)
        self._current = newest
        if number is None:
            # A rollback that could not undo everything here goes on.
            undo = self._state.undoing()
            self._current = newest if undo is None else generations.load(store, undo)
        self._going_back = number is not None or self._current != newest
        latest = configuration.settings.latest
        if options.versions is not None:
            latest = options.versions == "latest"
        self._policy = Policy(latest=latest, downgrade=self._going_back)
        self._transaction = Transaction(configuration, reporter)
        self._packages = PackagesBack(
            configuration,
            self._transaction,
            self._state,
            store,
            self,
            offline=options.offline,
            latest=latest,
        )
        self._notes = self._packages.notes
        self._files = FilesBack(
            store, self._target.manifest, self._state, reporter, self._transaction.reasons
        )
        self._tree = TreeBack(
            configuration,
            store,
            self._current.manifest,
            self._target.manifest,
            self._transaction.reasons,
        )
        self._trouble: str | None = None
        """What kept apt or dpkg from doing anything for any package."""

    def run(self, unfinished: Touched) -> Outcome:
        """Restore; `unfinished` is what an earlier restore that was killed had set out to do."""
        baseline, before = self._state.baseline(), self.observe()
        adapted = self._adapt(self._current.manifest, baseline)
        todo = self._with_tree(self.plan(adapted.manifest, before))
        self._notes += self._tree.left_alone()
        set_aside = (*adapted.set_aside, *self._tree.set_aside)
        if not todo.steps:
            self._report(set_aside)
            return Outcome(self._target.number, pending=set_aside, notes=tuple(self._notes))
        self._validate()
        self._state.begin_restore(unfinished.join(todo.touches))
        image = [name for name, package in baseline.packages.items() if package.present]
        self._transaction.finish_interrupted(image)
        self._add_architectures(todo)
        self._tree.put_back_early(self._reporter)
        self._files.put_back(todo)
        # Of a restore that was killed, too, the dependencies that nobody recorded are automatic.
        came = unfinished.packages - baseline.packages.keys()
        if todo.needs_apt:
            try:
                came |= self._packages.bring(adapted.manifest)
            except CommandError as error:
                self._trouble = error.one_line()
        self._files.put_back_late(todo)
        self._tree.put_back(self._reporter)
        for step in todo.of(RemoveArchitecture):
            remove = partial(self._transaction.dpkg.remove_architecture, step.name)
            attempt(step.name, remove, self._transaction.reasons)
        self._hold(adapted.manifest, before)
        # Last, so that apt's own cache is of what dpkg's status is in the end.
        marks = final_marks(adapted.manifest, before, self.observe(), came)
        self._transaction.set_marks({mark.name: mark.auto for mark in marks})
        return self._conclude(adapted.manifest, todo, set_aside)

    def preview(self) -> Outcome:
        """Plan only; what apt's lists on this root offer is taken into account."""
        observation = self.observe()
        baseline, manifest = observation, self._current.manifest
        if self._state.started:
            baseline = self._state.baseline()
            manifest = unrecorded(self._configuration, self._store, manifest, observation)
        adapted = self._adapt(manifest, baseline)
        todo = self.plan(adapted.manifest, observation)
        if todo.needs_lists:
            archive = Archive(self._configuration.architecture, write_caches=False)
            offered = archive.offered(adapted.manifest.packages)
            if any(offered.values()):  # else there are no lists, and all is taken to be there
                pooled = pooled_versions(self._store, self._configuration.architecture)
                offered = {
                    name: (*offered.get(name, ()), *pooled.get(name, ()))
                    for name in adapted.manifest.packages
                }
                todo = self.plan(adapted.manifest, observation, offered)
        pending = (*adapted.set_aside, *self._tree.set_aside, *todo.pending)
        return Outcome(self._target.number, self._with_tree(todo), pending)

    # -- deciding

    def _adapt(self, current: Manifest, baseline: Observation) -> Adapted:
        manifest = current
        if self._going_back:
            manifest = revert(current, self._target.manifest, baseline)
        excluded = self._configuration.settings.excluded
        packages = {n: wish for n, wish in manifest.packages.items() if not excluded(n)}
        manifest = replace(manifest, packages=packages)
        return adapt(manifest, baseline, newer=newer, suites=self._suites)

    def plan(
        self, manifest: Manifest, observation: Observation, offered: Offered | None = None
    ) -> Plan:
        return plan(manifest, observation, offered, newer=newer, policy=self._policy)

    def _with_tree(self, todo: Plan) -> Plan:
        return replace(todo, steps=(*todo.steps, *self._tree.steps()))

    def _suites(self, path: str, source: KeptFile) -> frozenset[str]:
        try:
            return sources.suites(path, kept.get(self._store, path, source))
        except AptkeepError:
            return frozenset()  # its copy is damaged: said when it's to be put back

    def _validate(self) -> None:
        # Imported here: it takes as long as a whole start that has nothing to do.
        from aptkeep.store.format import validate  # noqa: PLC0415

        number = self._target.number
        path = f"{self._store.path}/{generations.SUBDIRECTORY}/{generations.file_name(number)}"
        validate.validate(generations.read(self._store, number), path)

    # -- doing

    def _add_architectures(self, todo: Plan) -> None:
        for step in todo.of(AddArchitecture):
            self._reporter.step(f"Adding the architecture {step.name}")
            add = partial(self._transaction.dpkg.add_architecture, step.name)
            attempt(step.name, add, self._transaction.reasons)

    def _hold(self, manifest: Manifest, before: Observation) -> None:
        observation = self.observe()
        # Selecting a package for installation took its hold away.
        holds = {
            name: True
            for name, package in before.packages.items()
            if package.selection is Selection.HOLD
            and name in observation.packages
            and observation.packages[name].selection is Selection.INSTALL
        }
        holds.update((s.name, s.held) for s in self.plan(manifest, observation).of(Hold))
        if holds:
            native = self._configuration.architecture
            self._transaction.dpkg.hold(holds, observation.packages, native)

    # -- concluding

    def _conclude(self, manifest: Manifest, todo: Plan, set_aside: tuple[Pending, ...]) -> Outcome:
        """Observe, record what others changed meanwhile, and say what is still to come."""
        record(self._configuration, "aptkeep restore", thorough=True)
        left = self.plan(manifest, self.observe())
        pending = {entry.subject: entry.reason for entry in set_aside}
        for step in (*left.steps, *self._tree.left()):
            pending.setdefault(subject_of(step), self._reason(step))
        for name in self._forget_obsolete(manifest, pending):
            del pending[name]
        entries = tuple(Pending(subject, reason) for subject, reason in pending.items())
        self._report(entries)
        log.append(
            self._store,
            f"restored generation {self._target.number}: {len(entries)} pending"
            + "".join(f"; {text}" for text in grouped((e.subject, e.reason) for e in entries)),
        )
        return Outcome(self._target.number, todo, entries, tuple(self._notes))

    def _forget_obsolete(self, manifest: Manifest, pending: Mapping[str, str]) -> list[str]:
        """Dependencies that no repository has any more and that nothing needs are no longer wanted.

        Distributions rename libraries all the time. Only where every repository answered, and
        nothing else is pending that might need them.
        """
        obsolete = [
            name
            for name, reason in pending.items()
            if reason == NOT_OFFERED
            and name in manifest.packages
            and manifest.packages[name].auto
            and manifest.packages[name].image_version is None
        ]
        everything = not self._transaction.failed_repositories and len(obsolete) == len(pending)
        if not obsolete or not everything or self._target != self._newest:
            return []
        self._store.lock(self._configuration.settings.lock_timeout)
        newest = generations.newest(self._store)
        if newest.generation is None:
            return []
        packages = {n: w for n, w in newest.manifest.packages.items() if n not in obsolete}
        occasion = Occasion(log.timestamp(), "aptkeep restore")
        platform = newest.generation.platform
        kept_manifest = replace(newest.manifest, packages=packages)
        generations.write(self._store, occasion, platform, kept_manifest)
        self._notes += [
            f"{name} is no longer wanted: it was a dependency, no repository has it any more, "
            "and nothing needs it"
            for name in obsolete
        ]
        return obsolete

    def _reason(self, step: Step) -> str:
        subject, reasons = subject_of(step), self._transaction.reasons
        # Some of dpkg's own messages leave a foreign architecture out.
        reason = reasons.get(subject) or reasons.get(subject.partition(":")[0]) or self._trouble
        if isinstance(step, Install):
            if reason in (None, NOT_OFFERED):
                wish = self._target.manifest.packages.get(subject)
                own = wish is not None and wish.deb is not None
                reason = self._packages.why_missing(subject, own=own) or reason
            if self._options.offline and reason in (None, NOT_OFFERED):
                return "it is not on this machine, and --offline forbids to fetch it"
            failed = "; ".join(str(r) for r in self._transaction.failed_repositories)
            unavailable = reason is None or reason.endswith(NOT_ANY_MORE) or reason == NOT_OFFERED
            if unavailable and failed:
                return f"{reason or 'apt did not install it'} ({failed})"
        return reason or "apt did not carry it out"

    def _report(self, pending: tuple[Pending, ...]) -> None:
        if self._target == self._newest:
            if not pending:
                self._state.set_undoing(None)
            report = LastReport(log.timestamp(), self._target.number, pending)
            self._state.save_report(report)

    def observe(self) -> Observation:
        home = find_home(self._configuration)
        wanted = keyrings_of(self._target.manifest)
        return observe.observe(self._configuration, home=home, keyrings=wanted).observation

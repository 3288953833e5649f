"""Restoring: what is wanted and not here comes back. Off the hook path.

A restore may be killed at any moment. Before it changes anything it notes what it will touch, so
that the next record takes none of that for the user's wish; the next restore finishes the work.
"""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from aptkeep.adapt import Adapted, adapt, revert
from aptkeep.errors import AptkeepError, CommandError
from aptkeep.machine import configuration_files, observe, sources
from aptkeep.machine.apt import output, preferences
from aptkeep.machine.apt.archive import Archive, Solution, Wanted, newer
from aptkeep.machine.apt.commands import AptGet
from aptkeep.machine.dpkg_commands import Dpkg, locked
from aptkeep.machine.run import Completed, run
from aptkeep.machine.state import LastReport, State
from aptkeep.merge import absorb
from aptkeep.model import (
    FileKind,
    Generation,
    KeptFile,
    Manifest,
    Observation,
    Pending,
    Selection,
    Touched,
)
from aptkeep.plan import (
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
    final_marks,
    plan,
)
from aptkeep.record import record, take_baseline
from aptkeep.store import generations, kept, log
from aptkeep.store.home import find as find_home
from aptkeep.store.tree import Directory, open_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aptkeep.machine.apt.config import Configuration


class Reporter(Protocol):
    """Where a restore says how far it is."""

    def step(self, text: str) -> None:
        """A new step begins."""

    def progress(self, percent: float, text: str) -> None:
        """How far the present step is."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to restore."""

    offline: bool = False
    """Never touch the network."""
    generation: int | None = None
    """An older generation to go to, rather than the newest."""
    undo: int | None = None
    """The generation whose further wishes are undone; with None, the newest."""
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
    unfinished = state.restoring()
    notes = []
    if not state.started:
        take_baseline(configuration)
    else:
        recorded = record(configuration, "aptkeep start", thorough=True)
        notes += [f"{entry.subject} is not kept: {entry.reason}" for entry in recorded.unkept]
    with _open_store(configuration) as store:
        if store is None:
            return Outcome(None)
        newest = generations.newest(store)
        notes += [error.one_line() for error in newest.passed_over]
        if newest.generation is None:
            return Outcome(None, notes=tuple(notes))
        work = _Restore(configuration, reporter, options, store, newest.generation)
        outcome = work.run(unfinished)
    return replace(outcome, notes=(*notes, *outcome.notes))


def preview(configuration: Configuration, options: Options) -> Outcome:
    """What `restore` would do, as far as it can be seen without changing anything."""
    with _open_store(configuration) as store:
        newest = generations.newest(store) if store is not None else generations.Newest()
        if store is None or newest.generation is None:
            return Outcome(None)
        work = _Restore(configuration, _Silent(), options, store, newest.generation)
        return work.preview()


@contextlib.contextmanager
def _open_store(configuration: Configuration) -> Iterator[Directory | None]:
    """The store, or None where nothing was ever kept."""
    home = find_home(configuration.settings.home)
    with contextlib.ExitStack() as opened:
        try:
            store = opened.enter_context(open_store(home, configuration.settings.store))
        except FileNotFoundError:
            yield None
        else:
            yield store


class _Silent:
    def step(self, text: str) -> None:
        pass

    def progress(self, percent: float, text: str) -> None:
        pass


class _Restore:
    """One restore: the parts that every step needs, and the reasons collected on the way."""

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
        self._target = (
            newest if options.generation is None else generations.load(store, options.generation)
        )
        self._current = newest if options.undo is None else generations.load(store, options.undo)
        settings = configuration.settings
        latest = settings.latest if options.versions is None else options.versions == "latest"
        self._policy = Policy(latest=latest, downgrade=options.generation is not None)
        self._state = State(configuration.paths.state)
        self._dpkg = Dpkg(
            configuration.paths.dpkg_directory,
            configuration.paths.state,
            configuration.architecture,
            settings.lock_timeout,
        )
        self._apt_get = AptGet(configuration.options, settings.lock_timeout)
        self._reasons: dict[str, str] = {}
        self._notes: list[str] = []

    # -- the whole -----------------------------------------------------------------------------

    def run(self, unfinished: Touched | None) -> Outcome:
        before = self._observe()
        adapted = self._adapted(self._state.baseline(), self._current.manifest)
        first = self._plan(adapted.manifest, before, None)
        if not first.steps and not first.pending:
            if self._target == self._newest:
                self._save_report(adapted.set_aside)
            return Outcome(self._target.number, pending=adapted.set_aside)
        self._validate()
        self._state.begin_restore(_join(unfinished, first.touches))
        self._dpkg.recover_available()
        before = self._finish_interrupted(before)
        self._put_back_files(first)
        if first.needs_apt:
            self._bring_packages(adapted.manifest, before, unfinished)
        self._leave_architectures(first)
        self._hold(adapted.manifest)
        return self._conclude(adapted, first)

    def preview(self) -> Outcome:
        observation = self._observe()
        baseline, manifest = observation, self._current.manifest
        if self._state.started:
            baseline = self._state.baseline()
            last = self._state.last_observation().observation
            manifest = absorb(manifest, baseline, last, observation)
        adapted = self._adapted(baseline, manifest)
        steps = self._plan(adapted.manifest, observation, None)
        if steps.needs_lists:
            archive = self._archive(adapted.manifest)
            offered = archive.offered(adapted.manifest.packages)
            if any(offered.values()):
                steps = self._plan(adapted.manifest, observation, offered)
        return Outcome(self._target.number, steps, (*adapted.set_aside, *steps.pending))

    # -- deciding ------------------------------------------------------------------------------

    def _adapted(self, baseline: Observation, newest: Manifest) -> Adapted:
        excluded = self._configuration.settings.excluded
        manifest = newest
        if self._options.generation is not None:
            manifest = revert(newest, self._target.manifest, baseline)
        manifest = replace(
            manifest,
            packages={n: wish for n, wish in manifest.packages.items() if not excluded(n)},
        )
        return adapt(manifest, baseline, newer=newer, suites=self._suites)

    def _plan(
        self,
        manifest: Manifest,
        observation: Observation,
        offered: dict[str, tuple[str, ...]] | None,
    ) -> Plan:
        return plan(manifest, observation, offered, newer=newer, policy=self._policy)

    def _suites(self, source: KeptFile) -> frozenset[str]:
        for path, wish in self._target.manifest.files.items():
            if wish == source:
                try:
                    return sources.suites(path, kept.get(self._store, path, source))
                except AptkeepError:
                    return frozenset()  # said when it's put back
        return frozenset()

    def _validate(self) -> None:
        # Imported here: it takes as long as a whole start that has nothing to do.
        from aptkeep.store.format import validate  # noqa: PLC0415

        number = self._target.number
        path = f"{self._store.path}/{generations.SUBDIRECTORY}/{generations.file_name(number)}"
        validate.validate(generations.read(self._store, number), path)

    # -- the steps, in order -------------------------------------------------------------------

    def _finish_interrupted(self, before: Observation) -> Observation:
        """What a dpkg run that was killed left half done is finished first, or apt refuses."""
        if all(package.whole or not package.present for package in before.packages.values()):
            return before
        self._reporter.step("Finishing an interrupted dpkg run")
        self._dpkg.configure_unfinished()
        return self._observe()

    def _put_back_files(self, steps: Plan) -> None:
        for step in steps.of(AddArchitecture):
            assert isinstance(step, AddArchitecture)
            self._reporter.step(f"Adding the architecture {step.name}")
            self._attempt(step.name, lambda name=step.name: self._dpkg.add_architecture(name))
        file_steps = steps.of(PutFile, DeleteFile)
        if file_steps:
            self._reporter.step(f"Putting back {_count(len(file_steps), 'file')} of apt's")
        for step in file_steps:
            if isinstance(step, PutFile):
                self._attempt(step.path, lambda step=step: self._put_file(step))
            elif isinstance(step, DeleteFile):
                configuration_files.delete(step.path)

    def _put_file(self, step: PutFile) -> None:
        if step.kept.release == "":  # from the baseline: a rollback to the image's own file
            content = self._state.image_file(step.kept.sha256)
        else:
            content = kept.get(self._store, step.path, step.kept)
        configuration_files.put(step.path, content, step.kept.mode)

    def _attempt(self, subject: str, action: object) -> None:
        """Do one thing that must not stop the others; why it failed is its reason."""
        try:
            action()  # type: ignore[operator]
        except (CommandError, AptkeepError) as error:
            self._reasons[subject] = error.one_line()
        except OSError as error:
            self._reasons[subject] = error.strerror or str(error)

    def _bring_packages(
        self, manifest: Manifest, before: Observation, unfinished: Touched | None
    ) -> None:
        if self._plan(manifest, before, None).needs_lists and not self._options.offline:
            self._update_lists()
        archive = self._archive(manifest)
        offered = archive.offered(manifest.packages)
        steps = self._plan(manifest, before, offered)
        for entry in steps.pending:
            self._reasons[entry.subject] = entry.reason
        solution = archive.solve(_wanted(steps, offered))
        self._reasons.update(solution.rejected)
        self._explain_versions(steps, solution)
        came = solution.changes
        self._state.begin_restore(
            _join(self._state.restoring(), replace(steps.touches, packages=came))
        )
        if came:
            self._dselect_upgrade(archive, before, solution)
        leftover = (unfinished.packages if unfinished else frozenset()) - set(
            self._state.baseline().packages
        )
        self._set_marks(final_marks(manifest, before, self._observe(), came | leftover))

    def _update_lists(self) -> None:
        self._reporter.step("Fetching the package lists")
        completed = self._apt(self._apt_get.update())
        failed = output.failed_repositories(completed.output)
        self._notes += [f"the repository {repository}" for repository in failed]
        self._failed = failed

    _failed: tuple[output.FailedRepository, ...] = ()

    def _dselect_upgrade(self, archive: Archive, before: Observation, solution: Solution) -> None:
        native = self._configuration.architecture
        pins = {**archive.upgradable(), **solution.extra, **solution.installs}
        selections = dict.fromkeys(solution.installs, Selection.INSTALL)
        selections.update(
            (name, Selection.PURGE if purge else Selection.DEINSTALL)
            for name, purge in solution.removals.items()
        )
        self._dpkg.set_selections(selections, archive.paragraphs(solution.installs))
        with tempfile.TemporaryDirectory(dir=self._state.path, prefix="preferences-") as directory:
            preferences.write(directory, self._configuration.paths, pins, native)
            manual_only = not any(w.release for w in ())
            arguments = {
                "offline": self._options.offline,
                "may_remove": bool(solution.removals),
                "downgrades": True,
                "recommends": self._recommends,
            }
            del manual_only
            simulated = self._apt(
                self._apt_get.dselect_upgrade(directory, simulate=True, **arguments)
            )
            would = output.parse_simulation(simulated.output)
            unwanted = would.removals - solution.removals.keys()
            if unwanted or not simulated.ok:
                reason = (
                    f"apt would remove {', '.join(sorted(unwanted))} for it"
                    if unwanted
                    else f"apt finds no way: {simulated.last_words()}"
                )
                self._reasons.update(dict.fromkeys(solution.changes, reason))
            else:
                self._reporter.step(_sentence(solution))
                completed = self._apt(self._apt_get.dselect_upgrade(directory, **arguments))
                self._explain_failures(completed)
        self._clean_up(before, solution)

    _recommends = False

    def _apt(self, command: list[str]) -> Completed:
        def on_status(line: str) -> None:
            status = output.parse_status(line)
            if status is None:
                return
            if status.kind == "pmerror":
                self._reasons[status.subject] = f"its installation failed: {status.text}"
            elif status.kind in ("dlstatus", "pmstatus"):
                self._reporter.progress(status.percent, status.text)

        completed = run(command, on_status=on_status)
        if not completed.ok and "Could not get lock" in completed.output:
            raise locked(self._configuration.settings.lock_timeout)
        return completed

    def _clean_up(self, before: Observation, solution: Solution) -> None:
        """A package that can't be configured goes, and waits: it must not block all of apt."""
        after = self._observe()
        if any(package.present and not package.whole for package in after.packages.values()):
            self._dpkg.configure_unfinished()
            after = self._observe()
        broken = [
            name
            for name, package in after.packages.items()
            if package.present
            and not package.whole
            and name in solution.changes
            and not (name in before.packages and before.packages[name].present)
        ]
        if broken:
            self._dpkg.remove_broken(broken)
            after = self._observe()
        never_came = {
            name: Selection.PURGE
            for name in solution.installs
            if name in after.packages
            and not after.packages[name].present
            and after.packages[name].selection.keeps
        }
        if never_came:
            self._dpkg.set_selections(never_came)

    def _set_marks(self, marks: Iterable[Mark]) -> None:
        for auto in (True, False):
            names = [mark.name for mark in marks if mark.auto is auto]
            if names:
                self._apt(self._apt_get.mark(names, auto=auto))

    def _leave_architectures(self, steps: Plan) -> None:
        for step in steps.of(RemoveArchitecture):
            assert isinstance(step, RemoveArchitecture)
            self._attempt(step.name, lambda name=step.name: self._dpkg.remove_architecture(name))

    def _hold(self, manifest: Manifest) -> None:
        steps = self._plan(manifest, self._observe(), None)
        holds = {
            step.name: Selection.HOLD if step.held else Selection.INSTALL
            for step in steps.of(Hold)
            if isinstance(step, Hold)
        }
        if holds:
            absent = {n: "" for n in holds}
            del absent
            self._dpkg.set_selections(holds)

    # -- reasons and report --------------------------------------------------------------------

    def _archive(self, manifest: Manifest) -> Archive:
        here = self._observe_platform()
        self._recommends = any(wish.release != here for wish in manifest.packages.values())
        return Archive(self._configuration.architecture, recommends=self._recommends)

    def _observe_platform(self) -> str:
        return observe.read_platform(
            self._configuration.paths.os_release, self._configuration.architecture
        ).release

    def _explain_versions(self, steps: Plan, solution: Solution) -> None:
        for step in steps.of(Install):
            assert isinstance(step, Install)
            came = solution.installs.get(step.name)
            if came is not None and step.recorded is not None:
                self._notes.append(
                    f"{step.name} comes in version {came}: {step.recorded}, which was recorded, "
                    "is not offered any more"
                )
            elif came is not None and step.version is not None and came != step.version:
                self._notes.append(
                    f"{step.name} comes in version {came}: {step.version} does not fit this image"
                )

    def _explain_failures(self, completed: Completed) -> None:
        if completed.ok:
            return
        for name, reason in output.unfetched_archives(completed.output).items():
            self._reasons.setdefault(name, f"its archive could not be fetched: {reason}")

    def _conclude(self, adapted: Adapted, first: Plan) -> Outcome:
        """Observe, record what others changed meanwhile, and say what is still to come."""
        record(self._configuration, "aptkeep restore")
        left = self._plan(adapted.manifest, self._observe(), None)
        pending = list(adapted.set_aside)
        for step in left.steps:
            subject = step.path if isinstance(step, (PutFile, DeleteFile)) else step.name
            if isinstance(step, Mark) or subject in {entry.subject for entry in pending}:
                continue
            pending.append(Pending(subject, self._reason(subject, step)))
        if self._target == self._newest:
            self._save_report(tuple(pending))
        done = len(first.steps) - len(left.steps)
        log.append(
            self._store,
            f"restored generation {self._target.number}: {_count(done, 'step')} done, "
            f"{len(pending)} pending"
            + "".join(f"; {entry.subject}: {entry.reason}" for entry in pending),
        )
        return Outcome(self._target.number, first, tuple(pending), tuple(self._notes))

    def _reason(self, subject: str, step: object) -> str:
        reason = self._reasons.get(subject, "")
        if isinstance(step, Install) and (not reason or reason.startswith("no repository")):
            if self._options.offline:
                return "it is not on this machine, and --offline forbids to fetch it"
            reason = reason or "apt did not install it"
            if self._failed:
                reason += f" ({'; '.join(str(repository) for repository in self._failed)})"
        return reason or "apt did not carry it out"

    def _save_report(self, pending: tuple[Pending, ...]) -> None:
        self._state.save_report(LastReport(log.timestamp(), self._target.number, pending))

    def _observe(self) -> Observation:
        home = None
        with contextlib.suppress(AptkeepError):
            home = find_home(self._configuration.settings.home)
        return observe.observe(self._configuration, home=home).observation


def _wanted(steps: Plan, offered: dict[str, tuple[str, ...]]) -> list[Wanted]:
    wanted = [
        Wanted(step.name, None, step.purge)
        for step in steps.of(Remove)
        if isinstance(step, Remove)
    ]
    for step in steps.of(Install):
        assert isinstance(step, Install)
        version = step.version or next(iter(offered.get(step.name, ())), None)
        if version is not None:
            wanted.append(Wanted(step.name, version))
    return wanted


def _join(one: Touched | None, other: Touched) -> Touched:
    if one is None:
        return other
    return Touched(
        one.packages | other.packages,
        one.architectures | other.architectures,
        one.files | other.files,
    )


def _sentence(solution: Solution) -> str:
    parts = []
    if solution.installs:
        parts.append(f"installing {_count(len(solution.installs) + len(solution.extra), 'package')}")
    if solution.removals:
        parts.append(f"removing {_count(len(solution.removals), 'package')}")
    return " and ".join(parts).capitalize()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")

"""Bringing packages back: from the pool first, the rest from repositories. Off the hook path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from aptkeep.errors import AptkeepError, CommandError
from aptkeep.explain import explained
from aptkeep.machine.apt.archive import Archive, Solution, Wanted, newer
from aptkeep.machine.apt.staging import Staging
from aptkeep.model import Touched
from aptkeep.plan import NOT_OFFERED, Install, Remove
from aptkeep.snapshots import stage_from_snapshots
from aptkeep.supply import Supply, pooled_versions, stage_listed, stage_pooled

if TYPE_CHECKING:
    from collections.abc import Collection

    from aptkeep.machine.apt.config import Configuration
    from aptkeep.machine.state import State
    from aptkeep.machine.transaction import Transaction
    from aptkeep.model import Manifest, Observation
    from aptkeep.plan import Offered, Plan
    from aptkeep.store.tree import Directory


NOT_POOLED = (
    "it was installed from a local file, which is not in the pool, and no repository that answers "
    "offers it; install it again"
)


FROM_ELSEWHERE = (
    "it was installed from a local file, which the pool does not have any more; what came instead "
    "is a repository's"
)


class Planner(Protocol):
    """What a restore knows of where it's going."""

    def observe(self) -> Observation:
        """This root as it is now."""

    def plan(
        self, manifest: Manifest, observation: Observation, offered: Offered | None = None
    ) -> Plan:
        """The way from there to a manifest."""


class PackagesBack:
    """The packages of one restore."""

    def __init__(
        self,
        configuration: Configuration,
        transaction: Transaction,
        state: State,
        store: Directory,
        planner: Planner,
        *,
        offline: bool,
        latest: bool,
    ) -> None:
        self._configuration = configuration
        self._transaction = transaction
        self._state = state
        self._store = store
        self._planner = planner
        self._offline = offline
        self._latest = latest
        self._supply = Supply()
        self.notes: list[str] = []
        """What went otherwise than recorded."""

    def bring(self, manifest: Manifest) -> frozenset[str]:
        """Install and remove what is to be; every package that was touched.

        What the pool has comes without a look at any repository. For the rest, and unless the
        network is forbidden, apt's lists are fetched.
        """
        with Staging(self._configuration.paths) as staging:
            came = self._bring(manifest, staging)
        left = {step.name for step in self._plan(manifest).of(Install)}
        self._note_what_was_fetched(manifest, came - left)
        return came

    def _note_what_was_fetched(self, manifest: Manifest, came: Collection[str]) -> None:
        """Say what the pool had, or should have had, and what came from a repository after all."""
        staged = self._supply.staged
        for name in sorted(came):
            wish, damage = manifest.packages.get(name), self._supply.damaged.get(name)
            if wish is not None and wish.deb is not None and name not in staged:
                self.notes.append(f"{name}: {FROM_ELSEWHERE}")
            elif damage is not None:
                self.notes.append(f"{name}: {damage}: it was fetched afresh")

    def _bring(self, manifest: Manifest, staging: Staging) -> frozenset[str]:
        self._stage(manifest, staging)
        came: frozenset[str] = frozenset()
        if self._offline or (staging.versions and not self._latest):
            self._transaction.sources = staging.alone()
            came = self._from_pool_alone(manifest)
        failed = frozenset(self._transaction.failed)
        left = self._plan(manifest)
        missing = {step.name for step in left.of(Install)} - failed
        if self._offline or not (missing or left.of(Remove)):
            return came
        # Nothing was asked yet but the pool: that it doesn't have something is no reason.
        for name in missing:
            self._transaction.reasons.pop(name, None)
        self._transaction.sources = {}
        if missing:
            self._transaction.update_lists()
            self._explain_repositories(manifest)
        self._set_apart(manifest, staging, missing)
        self._transaction.sources = staging.with_repositories()
        if not self._latest:
            self._stage_from_snapshots(manifest, staging)
        return came | self._rounds(manifest, failed)

    def _from_pool_alone(self, manifest: Manifest) -> frozenset[str]:
        try:
            return self._rounds(manifest)
        except CommandError:
            # A package that needs to be reinstalled, and isn't in the pool: apt does nothing then.
            if self._offline:
                raise
            return frozenset()

    def why_missing(self, name: str, *, own: bool) -> str | None:
        """What is known of a package that could be had nowhere; `own`: it was a local file."""
        damaged, pooled = self._supply.damaged.get(name), self._supply.own.get(name)
        if damaged is None:
            return NOT_POOLED if own else None
        again = "; install it again" if own or pooled is not None else ""
        place = f" from {pooled.came_from}" if pooled is not None and pooled.came_from else ""
        return f"{damaged}, and {NOT_OFFERED}{again}{place}"

    def _set_apart(self, manifest: Manifest, staging: Staging, missing: Collection[str]) -> None:
        """Keep apt from mixing up a local file with what a repository calls the same version."""
        own = self._supply.own
        rivals = {name: own[name] for name in staging.versions if name in own and name in missing}
        archive = self._archive(manifest) if rivals else None
        for name, deb in rivals.items():
            assert archive is not None  # noqa: S101 - or there were no rivals
            hashes = archive.listed(deb.key)
            if hashes and deb.sha256 not in hashes:
                staging.set_apart(name)

    def _plan(self, manifest: Manifest, offered: Offered | None = None) -> Plan:
        return self._planner.plan(manifest, self._planner.observe(), offered)

    def _stage(self, manifest: Manifest, staging: Staging) -> None:
        native = self._configuration.architecture
        steps = self._plan(manifest).of(Install)
        versions = {step.name: step.version for step in steps if step.version is not None}
        wanted = versions.items()
        try:
            if self._latest:
                pooled = pooled_versions(self._store, native)
                versions.update((n, _newest(pooled[n])) for n in versions if n in pooled)
            if wanted:
                reporter = self._transaction.reporter
                self._supply = stage_pooled(self._store, staging, wanted, native, reporter)
        except AptkeepError as error:
            self.notes.append(error.one_line())
        self._transaction.staged = staging.versions
        if self._offline and len(staging.versions) < len(wanted):
            archives = self._configuration.paths.archives
            stage_listed(self._archive(manifest), staging, wanted, archives)

    def _stage_from_snapshots(self, manifest: Manifest, staging: Staging) -> None:
        wanted = {step.name: step.version for step in self._plan(manifest).of(Install)}
        offered = self._archive(manifest).offered(wanted)
        gone = {
            name: version
            for name, version in wanted.items()
            if version is not None and version not in offered.get(name, ())
        }
        if gone and (any(offered.values()) or not self._transaction.failed_repositories):
            reporter = self._transaction.reporter
            stage_from_snapshots(self._configuration, self._store, staging, gone, reporter)
            self._transaction.sources = staging.with_repositories()

    def _explain_repositories(self, manifest: Manifest) -> None:
        failures = self._transaction.failed_repositories
        found = explained(self._configuration, self._store, manifest, failures)
        self.notes += [f"the repository {failed}" for failed in found]
        self._transaction.failed_repositories = tuple(found)

    def _rounds(self, manifest: Manifest, lost: frozenset[str] = frozenset()) -> frozenset[str]:
        """Install and remove in as many rounds as it takes; every package that was touched.

        `lost` are packages that need not be tried.
        """
        came: frozenset[str] = frozenset()
        while True:
            solution = self._one_round(manifest, lost)
            came |= solution.changes
            if self._transaction.unfetched <= lost:
                return came
            lost |= self._transaction.unfetched  # apt stops at one; the others come without it

    def _one_round(self, manifest: Manifest, lost: frozenset[str]) -> Solution:
        """Bring what goes together, less the packages whose archives could not be fetched."""
        archive = self._archive(manifest)
        offered = archive.offered(manifest.packages)
        offered = {name: () if name in lost else versions for name, versions in offered.items()}
        todo = self._plan(manifest, offered)
        for entry in todo.pending:
            wanted = manifest.packages[entry.subject].version
            if archive.forbidden(entry.subject):
                reason = "the pins in apt's preferences forbid every version that is offered"
                self._transaction.reasons.setdefault(entry.subject, reason)
            elif archive.forbidden(entry.subject, wanted):
                reason = f"the pins in apt's preferences forbid version {wanted}"
                self._transaction.reasons.setdefault(entry.subject, reason)
            self._transaction.reasons.setdefault(entry.subject, entry.reason)
        solution = archive.solve(_wanted(todo, offered))
        self._transaction.reasons.update(solution.rejected)
        others = {} if self._latest else _other_versions(todo, solution)
        for name, why in others.items():
            self._transaction.reasons.setdefault(name, why)
            self.notes.append(f"{name}: {why}")
        touched = self._state.restoring() or Touched()
        self._state.begin_restore(touched.join(Touched(packages=solution.changes)))
        if solution.changes:
            self._transaction.carry_out(archive, solution)
        return solution

    def _archive(self, manifest: Manifest) -> Archive:
        here = self._planner.observe().platform.release
        foreign = any(wish.release != here for wish in manifest.packages.values())
        self._transaction.recommends = foreign
        native, sources = self._configuration.architecture, self._transaction.sources
        return Archive(native, recommends=foreign, sources=sources)


def _wanted(todo: Plan, offered: Offered) -> list[Wanted]:
    wanted = [Wanted(step.name, None, step.purge) for step in todo.of(Remove)]
    for step in todo.of(Install):
        version = step.version or next(iter(offered.get(step.name, ())), None)
        if version is not None:
            wanted.append(Wanted(step.name, version))
    return wanted


def _newest(versions: tuple[str, ...]) -> str:
    newest = versions[0]
    for version in versions[1:]:
        newest = version if newer(version, newest) else newest
    return newest


def _other_versions(todo: Plan, solution: Solution) -> dict[str, str]:
    """Why packages come in another version than the recorded one, by name."""
    notes = {}
    for step in todo.of(Install):
        came = solution.installs.get(step.name)
        if came is not None and step.recorded is not None:
            why = f"{step.recorded}, which was recorded, is not offered any more"
        elif came is not None and step.version not in (None, came):
            why = f"{step.version} does not fit this image"
        else:
            continue
        notes[step.name] = f"it comes in version {came}: {why}"
    return notes

"""Carrying out, with apt and dpkg, what a solution says; and seeing what came of it.

Nothing here knows what is wanted and why. Reasons are collected by package name, for a report.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from aptkeep.machine.apt import output, preferences, staging
from aptkeep.machine.apt.commands import AptGet
from aptkeep.machine.dpkg import interrupted, read_packages, spelled
from aptkeep.machine.dpkg_commands import Dpkg, locked
from aptkeep.machine.run import Completed, run
from aptkeep.model import Selection
from aptkeep.words import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aptkeep.machine.apt.archive import Archive, Solution
    from aptkeep.machine.apt.config import Configuration
    from aptkeep.model import Package


class Reporter(Protocol):
    """Where a restore says how far it is."""

    def step(self, text: str) -> None:
        """A new step begins."""

    def progress(self, percent: float, text: str) -> None:
        """How far the present step is."""


@dataclass
class Transaction:
    """One restore's dealings with apt and dpkg."""

    configuration: Configuration
    reporter: Reporter
    sources: Mapping[str, str] = field(default_factory=dict)
    """apt's options for the sources and lists in use, else its own."""
    staged: Mapping[str, str] = field(default_factory=dict)
    """Which versions are to be taken from what is staged, by name."""
    recommends: bool = False
    """Whether apt may follow Recommends: only where the recorded set isn't the whole set."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why a package is not what it was to be."""
    failed: set[str] = field(default_factory=set)
    """Packages whose installation dpkg began and could not finish."""
    unfetched: set[str] = field(default_factory=set)
    """Packages whose archives could not be fetched."""
    failed_repositories: tuple[output.FailedRepository, ...] = ()

    @property
    def dpkg(self) -> Dpkg:
        """Commands of dpkg on this root."""
        paths, settings = self.configuration.paths, self.configuration.settings
        return Dpkg(paths.dpkg_directory, paths.state, paths.pkgcache, settings.lock_timeout)

    @property
    def _apt_get(self) -> AptGet:
        settings = self.configuration.settings
        return AptGet(self.configuration.options, settings.lock_timeout, self.sources)

    def packages(self) -> dict[str, Package]:
        """The packages as they are now."""
        paths = self.configuration.paths
        return read_packages(
            paths.dpkg_status, paths.extended_states, self.configuration.architecture
        )

    def finish_interrupted(self, of_image: Collection[str]) -> None:
        """Finish what a dpkg that was killed left half done, or apt refuses to do anything.

        What was killed while it was unpacked goes, to be installed anew, but for what the image
        brought: apt would want just the archive of the version that is half there.
        """
        self.dpkg.wait_until_free()
        self.dpkg.recover_available()
        journal_left = interrupted(self.configuration.paths.dpkg_directory)
        if journal_left or _unfinished(self.packages()):
            self.reporter.step("Finishing an interrupted dpkg run")
            self.dpkg.configure_unfinished()
        half = [
            spelled(name, package.architecture)
            for name, package in self.packages().items()
            if package.status == "half-installed" and name not in of_image
        ]
        if half:
            self.dpkg.remove_broken(half)

    def update_lists(self) -> None:
        """Fetch the package lists; a repository that fails is noted, the others go on."""
        self.reporter.step("Fetching the package lists")
        completed = self._apt(self._apt_get.update())
        self.failed_repositories = output.failed_repositories(completed.output)
        native = self.configuration.architecture
        if output.foreign_index_failed(completed.output, native):
            # apt drops all of a repository for one index: at least the native ones come.
            self._apt(self._apt_get.update(only=native))

    def carry_out(self, archive: Archive, solution: Solution) -> None:
        """Install and remove by dpkg's selections and `apt-get dselect-upgrade`.

        It's simulated first: should apt mean to remove anything else, nothing is done.
        """
        before = self.packages()
        self.dpkg.set_selections(_selections(solution), archive.paragraphs(solution.installs))
        pins = {**archive.upgradable(), **solution.extra, **solution.installs}
        staged = {name for name, version in self.staged.items() if pins.get(name) == version}
        paths, native = self.configuration.paths, self.configuration.architecture
        with tempfile.TemporaryDirectory(dir=paths.state, prefix=staging.PREFERENCES) as directory:
            preferences.write(directory, paths, pins, native, staged=staged)
            simulated = self._apt(self._dselect_upgrade(directory, solution, simulate=True))
            unwanted = output.parse_simulation(simulated.output).removals - solution.removals.keys()
            if unwanted:
                self._explain(solution, f"apt would remove {', '.join(sorted(unwanted))} for it")
            elif not simulated.ok:
                self._explain(solution, f"apt finds no way: {simulated.last_words()}")
            else:
                self.reporter.step(_sentence(solution))
                completed = self._apt(self._dselect_upgrade(directory, solution))
                for name, reason in output.unfetched_archives(completed.output, native).items():
                    self.unfetched.add(name)
                    self.reasons.setdefault(name, f"its archive could not be fetched: {reason}")
                if not completed.ok:
                    self._explain(solution, f"apt failed: {completed.last_words()}")
        self._clean_up(before, solution)
        self._name_culprits(archive, solution)

    def _name_culprits(self, archive: Archive, solution: Solution) -> None:
        """dpkg says of a package that only waits for another one just that it has "problems"."""
        for name, version in solution.installs.items():
            if "dependency problems" in self.reasons.get(name, ""):
                needed = archive.depended_on(name, version)
                culprits = sorted(n for n in needed if n != name and n in self.reasons)
                if culprits:
                    self.reasons[name] = f"it needs {', '.join(culprits)}, which failed"

    def set_marks(self, marks: Mapping[str, bool]) -> None:
        """Set marks with apt-mark(8): by name, True for automatic."""
        for auto in (True, False):
            names = [name for name, mark in marks.items() if mark is auto]
            if names:
                self._apt(self._apt_get.mark(names, auto=auto), progress=False)

    def _dselect_upgrade(
        self, preferences_parts: str, solution: Solution, *, simulate: bool = False
    ) -> list[str]:
        return self._apt_get.dselect_upgrade(
            preferences_parts,
            simulate=simulate,
            recommends=self.recommends,
            may_remove=bool(solution.removals),
        )

    def _apt(self, command: list[str], *, progress: bool = True) -> Completed:
        completed = run(command, on_status=self._on_status if progress else None)
        if not completed.ok and output.locked_out(completed.output):
            raise locked(self.configuration.settings.lock_timeout)
        return completed

    def _on_status(self, line: str) -> None:
        status = output.parse_status(line)
        if status is None:
            return
        if status.kind == "pmerror":
            name = output.package_of(status.subject, self.configuration.architecture)
            self.reasons[name] = f"its installation failed: {status.text}"
            self.failed.add(name)
        elif status.kind in ("dlstatus", "pmstatus"):
            self.reporter.progress(status.percent, status.text)

    def _clean_up(self, before: Mapping[str, Package], solution: Solution) -> None:
        """A package that can't be configured goes, and waits: it must not block all of apt."""
        after = self.packages()
        if _unfinished(after):
            self.dpkg.configure_unfinished()
            after = self.packages()
        broken = [
            spelled(name, package.architecture)
            for name, package in after.items()
            if package.present
            and not package.whole
            and name in solution.changes
            and not (name in before and before[name].present)
        ]
        if broken:
            self.dpkg.remove_broken(broken)
            after = self.packages()
        never_came = {
            spelled(name, after[name].architecture): Selection.PURGE
            for name in solution.installs
            if name in after and not after[name].present and after[name].selection.keeps
        }
        if never_came:
            self.dpkg.set_selections(never_came)

    def _explain(self, solution: Solution, reason: str) -> None:
        here = self.packages()
        came = {
            name
            for name, version in {**solution.installs, **solution.extra}.items()
            if name in here and here[name].whole and here[name].version == version
        }
        for name in solution.changes - came:
            self.reasons.setdefault(name, reason)


def _unfinished(packages: Mapping[str, Package]) -> bool:
    return any(package.present and not package.whole for package in packages.values())


def _selections(solution: Solution) -> dict[str, Selection]:
    selections = dict.fromkeys(solution.installs, Selection.INSTALL)
    for name, purge in solution.removals.items():
        selections[name] = Selection.PURGE if purge else Selection.DEINSTALL
    return {spelled(name, solution.architectures[name]): s for name, s in selections.items()}


def _sentence(solution: Solution) -> str:
    parts = []
    if solution.installs:
        parts.append(
            f"installing {counted(len(solution.installs) + len(solution.extra), 'package')}"
        )
    if solution.removals:
        parts.append(f"removing {counted(len(solution.removals), 'package')}")
    return " and ".join(parts).capitalize()

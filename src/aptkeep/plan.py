"""What to do, in order, to bring a root to what a manifest wants. Pure.

The plan of a root that already matches is empty. A plan is made twice: without offers, to see
whether apt is needed at all, and again when apt's lists are there, with what they offer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from aptkeep.model import (
    FileGone,
    FileKind,
    KeptFile,
    Manifest,
    Node,
    Observation,
    Package,
    PackageWish,
    Pending,
    Selection,
    Touched,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Offered = Mapping[str, tuple[str, ...]]
    """The versions of each package that apt can get here, its candidate first."""


@dataclass(frozen=True, slots=True)
class AddArchitecture:
    """`dpkg --add-architecture`."""

    name: str


@dataclass(frozen=True, slots=True)
class RemoveArchitecture:
    """`dpkg --remove-architecture`; dpkg refuses while a package of it is installed."""

    name: str


@dataclass(frozen=True, slots=True)
class PutFile:
    """Write a kept file to its path."""

    path: str
    kept: KeptFile


@dataclass(frozen=True, slots=True)
class DeleteFile:
    """Delete a file of the image that the user had deleted."""

    path: str


@dataclass(frozen=True, slots=True)
class PutNode:
    """Make a path below `Aptkeep::Keep` what it was."""

    path: str
    node: Node


@dataclass(frozen=True, slots=True)
class DeleteNode:
    """Delete a path below `Aptkeep::Keep`; a directory only if nothing is in it any more."""

    path: str


@dataclass(frozen=True, slots=True)
class Install:
    """Install a package, or bring an installed one to another version."""

    name: str
    version: str | None
    """The version to install; None: the candidate, whatever it is."""
    recorded: str | None = None
    """The recorded version, where another one is all that can be had."""
    installed: str | None = None
    """The version that is on the root now."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a package; `purge` takes its configuration files too."""

    name: str
    purge: bool


@dataclass(frozen=True, slots=True)
class Hold:
    """Put a package on hold, or (`held` False) take it off."""

    name: str
    held: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """Mark a package as automatically or manually installed."""

    name: str
    auto: bool


Step = (
    AddArchitecture
    | RemoveArchitecture
    | PutFile
    | DeleteFile
    | PutNode
    | DeleteNode
    | Install
    | Remove
    | Hold
    | Mark
)
_Kind = TypeVar("_Kind")


NOT_OFFERED = "no repository that answers offers it"
"""The reason for what can't be had anywhere; a restore adds which repositories failed."""


NOT_ANY_MORE = "is not offered any more"
"""What is said of a version that can't be had."""


def _above(path: str) -> Iterator[str]:
    """The directories that a path is in, which may have to be made."""
    while path := path.rpartition("/")[0]:
        yield path


def subject_of(step: Step) -> str:
    """What a step is about: a package, an architecture or a file."""
    return step.path if isinstance(step, (PutFile, DeleteFile, PutNode, DeleteNode)) else step.name


@dataclass(frozen=True, slots=True)
class Plan:
    """Ordered steps from an observation to a manifest, and what can't be done and why."""

    steps: tuple[Step, ...] = ()
    pending: tuple[Pending, ...] = ()

    def of(self, kind: type[_Kind]) -> list[_Kind]:
        """The steps of this kind, in order."""
        return [step for step in self.steps if isinstance(step, kind)]

    @property
    def needs_apt(self) -> bool:
        """Whether anything is to be installed or removed."""
        return any(isinstance(step, (Install, Remove)) for step in self.steps)

    @property
    def needs_lists(self) -> bool:
        """Whether apt's package lists are needed: something is to be installed."""
        return any(isinstance(step, Install) for step in self.steps)

    @property
    def touches(self) -> Touched:
        """Everything that carrying the plan out changes."""
        packages, architectures, files, nodes = set(), set(), set(), set()
        for step in self.steps:
            if isinstance(step, (AddArchitecture, RemoveArchitecture)):
                architectures.add(step.name)
            elif isinstance(step, (PutFile, DeleteFile)):
                files.add(step.path)
            elif isinstance(step, PutNode):
                nodes |= {step.path, *_above(step.path)}
            elif isinstance(step, DeleteNode):
                nodes.add(step.path)
            else:
                packages.add(step.name)
        return Touched(*(frozenset(names) for names in (packages, architectures, files, nodes)))


@dataclass(frozen=True, slots=True)
class Policy:
    """How versions are chosen."""

    latest: bool = False
    """`Aptkeep::Restore::Versions "latest"`: the candidate instead of the recorded version."""
    downgrade: bool = False
    """The user asked for an older generation: versions may go back."""


def plan(
    manifest: Manifest,
    observation: Observation,
    offered: Offered | None,
    *,
    newer: Callable[[str, str], bool],
    policy: Policy | None = None,
) -> Plan:
    """The steps from `observation` to `manifest`, which `adapt` has fitted to the image.

    `offered` None: not known yet, everything is taken to be there in the recorded version.
    `newer(a, b)` compares versions as dpkg does.
    """
    chooser = _Chooser(offered, newer, policy or Policy())
    removes: list[Step] = []
    installs: list[Step] = []
    holds: list[Step] = []
    marks: list[Step] = []
    pending: list[Pending] = []
    for name, wish in sorted(manifest.packages.items()):
        package = observation.packages.get(name)
        if wish.selection is not None and not wish.selection.keeps:
            removes += _remove(name, wish, package)
            continue
        if wish.absent:
            removes += _hold_off(name, wish, package)
            continue
        choice = chooser.choose(name, wish, package)
        if isinstance(choice, Install):
            installs.append(choice)
        elif isinstance(choice, Pending):
            pending.append(choice)
        changes = isinstance(choice, Install)
        here = changes or (package is not None and package.present)
        holds += _hold(name, wish, package, here=here, changes=changes)
        if here:
            marks += _mark(name, wish, package)

    adding: list[Step] = []
    leaving: list[Step] = []
    for name, wanted in sorted(manifest.architectures.items()):
        if wanted and name not in observation.architectures:
            adding.append(AddArchitecture(name))
        elif not wanted and name in observation.architectures:
            leaving.append(RemoveArchitecture(name))
    files = _file_steps(manifest, observation)
    holds += [step for step in removes if isinstance(step, Hold)]
    removes = [step for step in removes if isinstance(step, Remove)]
    steps = (*adding, *files, *removes, *installs, *leaving, *holds, *marks)
    return Plan(steps, tuple(pending))


def _file_steps(manifest: Manifest, observation: Observation) -> list[Step]:
    """Files that the home keeps by itself, or that a package on the root brings, stay alone."""
    steps: list[Step] = []
    for path, kept in sorted(manifest.files.items()):
        found = observation.files.get(path)
        if isinstance(kept, FileGone):
            if found is not None and found.package is None and found.kind is not FileKind.HOME_KEY:
                steps.append(DeleteFile(path))
        elif kept.kind is FileKind.HOME_KEY or (found is not None and found.package is not None):
            continue
        elif found is None or (found.sha256, found.mode) != (kept.sha256, kept.mode):
            steps.append(PutFile(path, kept))
    return steps


def _remove(name: str, wish: PackageWish, package: Package | None) -> list[Step]:
    """Remove it, or where it was only on hold without being there, take the hold off."""
    purge = wish.selection is Selection.PURGE
    if package is None:
        return []
    left = package.status != "not-installed"
    if package.present or (purge and left):
        return [Remove(name, purge)]
    return [Hold(name, held=False)] if package.selection is Selection.HOLD else []


def _hold_off(name: str, wish: PackageWish, package: Package | None) -> list[Step]:
    """Keep it from being installed; removed it was only where the image had brought it before."""
    present = package is not None and package.present
    removed = present and wish.image_version is not None
    steps: list[Step] = [Remove(name, purge=False)] if removed else []
    held = package is not None and package.selection is Selection.HOLD
    return steps if held and not removed else [*steps, Hold(name, held=True)]


def _hold(
    name: str, wish: PackageWish, package: Package | None, *, here: bool, changes: bool
) -> list[Step]:
    held = package is not None and package.selection is Selection.HOLD
    wanted = held if wish.selection is None else wish.selection is Selection.HOLD
    if not here:
        return []
    # Selecting a package for installation takes its hold away.
    return [Hold(name, wanted)] if wanted != held or (wanted and changes) else []


def _mark(name: str, wish: PackageWish, package: Package | None) -> list[Step]:
    # What dselect-upgrade installs is manual until it's marked otherwise.
    auto = package is not None and package.present and package.auto
    return [Mark(name, wish.auto)] if wish.auto is not None and wish.auto != auto else []


@dataclass(frozen=True, slots=True)
class _Chooser:
    """Which version of a wanted package to install, if any."""

    offered: Offered | None
    newer: Callable[[str, str], bool]
    policy: Policy

    def choose(
        self, name: str, wish: PackageWish, package: Package | None
    ) -> Install | Pending | None:
        if package is not None and package.version is not None:
            return self._other_version(name, wish, package, package.version)
        if wish.selection is None:
            return None  # a wish about a package that is here
        if self.offered is None:
            return Install(name, wish.version)
        versions = self.offered.get(name, ())
        if not versions:
            return Pending(name, NOT_OFFERED)
        return self._best(name, wish.version, versions, None)

    def _other_version(
        self, name: str, wish: PackageWish, package: Package, installed: str
    ) -> Install | Pending | None:
        """For a package that is on the root: to the wanted version, unless the image is past it."""
        wanted = wish.version
        if not package.whole:
            return Install(name, installed, installed=installed)
        # With `latest`, what is no part of the image came in the latest version there was.
        settled = self.policy.latest and wish.image_version is None
        if wanted is None or wanted == installed or settled:
            return None
        back = self.newer(installed, wanted)
        deliberate = self.policy.downgrade or wish.image_version == installed
        if back and (self.policy.latest or not deliberate):
            return None
        versions = (wanted,) if self.offered is None else self.offered.get(name, ())
        if wanted in versions and not self.policy.latest:
            return Install(name, wanted, installed=installed)
        if back or not versions or not self.newer(versions[0], installed):
            return Pending(name, f"version {wanted} {NOT_ANY_MORE}")
        return self._best(name, wanted, versions, installed)

    def _best(
        self, name: str, wanted: str | None, versions: tuple[str, ...], installed: str | None
    ) -> Install:
        recorded = wanted in versions and not self.policy.latest
        version = wanted if recorded else versions[0]
        return Install(name, version, wanted if wanted != version else None, installed)


def final_marks(
    manifest: Manifest, before: Observation, after: Observation, came: frozenset[str]
) -> list[Mark]:
    """The marks to set once `came` was installed: dselect-upgrade marks all of it as manual.

    What the manifest wants a mark of gets that mark; a dependency that nobody recorded is
    automatic; all the rest is as it was.
    """
    marks = []
    for name, package in sorted(after.packages.items()):
        if not package.present:
            continue
        wish = manifest.packages.get(name)
        found = before.packages.get(name)
        if wish is not None and wish.auto is not None:
            auto = wish.auto
        elif found is not None and found.present:
            auto = found.auto
        elif name in came:
            auto = wish is None
        else:
            continue
        if auto != package.auto:
            marks.append(Mark(name, auto))
    return marks

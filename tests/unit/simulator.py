"""What carrying out a plan makes of a root, as apt and dpkg do it (seen on throwaway roots)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aptkeep.model import Observation, Package
from aptkeep.plan import (
    AddArchitecture,
    DeleteFile,
    DeleteNode,
    Hold,
    Install,
    Mark,
    Plan,
    PutFile,
    PutNode,
    Remove,
    RemoveArchitecture,
    Step,
)
from unit.made import DEINSTALL, HOLD, INSTALL

CANDIDATE = "9"
"""What apt installs where no version was asked for and the test offers none."""


def carried_out(
    root: Observation, plan: Plan, offered: Mapping[str, tuple[str, ...]] | None = None
) -> Observation:
    """The root after every step of the plan has succeeded."""
    for step in plan.steps:
        root = _after(root, step, offered or {})
    return root


def _after(  # noqa: PLR0911 - one for each kind of step
    root: Observation, step: Step, offered: Mapping[str, tuple[str, ...]]
) -> Observation:
    if isinstance(step, AddArchitecture):
        return replace(root, architectures=root.architectures | {step.name})
    if isinstance(step, RemoveArchitecture):
        return replace(root, architectures=root.architectures - {step.name})
    if isinstance(step, PutFile):
        return replace(root, files={**root.files, step.path: replace(step.kept, release="")})
    if isinstance(step, DeleteFile):
        return replace(root, files={p: k for p, k in root.files.items() if p != step.path})
    assert not isinstance(step, (PutNode, DeleteNode)), "plan_nodes() plans those"
    old = root.packages.get(step.name, Package(INSTALL, "not-installed"))
    if isinstance(step, Install):
        # dselect-upgrade selects `install` and marks what is new as manual.
        version = step.version or next(iter(offered.get(step.name, ())), CANDIDATE)
        auto = old.present and old.auto
        return _with(root, step.name, Package(INSTALL, "installed", version, auto, "amd64"))
    if isinstance(step, Remove):
        left = None if step.purge else Package(DEINSTALL, "config-files")
        return _with(root, step.name, left)
    if isinstance(step, Hold):
        if not step.held and not old.present:
            # As apt-mark(8) does it: the selection is `deinstall`; dpkg forgets what has no files.
            has_files = old.status == "config-files"
            return _with(root, step.name, replace(old, selection=DEINSTALL) if has_files else None)
        return _with(root, step.name, replace(old, selection=HOLD if step.held else INSTALL))
    assert isinstance(step, Mark)
    assert old.present, f"apt-mark refuses to mark {step.name}: it is not installed"
    return _with(root, step.name, replace(old, auto=step.auto))


def _with(root: Observation, name: str, package: Package | None) -> Observation:
    packages = {n: p for n, p in root.packages.items() if n != name}
    if package is not None:
        packages[name] = package
    return replace(root, packages=packages)

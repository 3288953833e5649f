"""A machine with a kept path: `kept`, in the test's own directory, stands for `/usr/local`.

All is real, but the device of `/` is said to be that of the directory, and the accounts are those
of whoever runs the test.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from aptkeep import looking
from aptkeep.keeping import Kept, keep
from aptkeep.machine import tree
from aptkeep.machine.tree_state import LastLook, TreeState
from aptkeep.model import Manifest, Node, NodeKind, Pending
from aptkeep.nodes import is_below
from aptkeep.plan import Plan
from aptkeep.record import record, take_baseline
from aptkeep.store import generations, trees
from aptkeep.store.tree import open_store
from aptkeep.tree_back import TreeBack
from unit.machines import STORE, Machine


class Quiet:
    """A reporter that says nothing."""

    def step(self, text: str) -> None:
        """Nothing."""

    def progress(self, percent: float, text: str) -> None:
        """Nothing."""


class Keeper(Machine):
    """A machine whose root has a kept path."""

    def __init__(self, directory: Path) -> None:
        self.kept = directory / "kept"
        self.image: dict[str, str | None] = {}
        super().__init__(directory)
        self.settings = replace(self.settings, keep=(str(self.kept),))
        self.reasons: dict[str, str] = {}

    def start(self, image: Mapping[str, str | None] | None = None) -> None:
        """A fresh root, which has `image` below the kept path (None: a directory); the baseline."""
        if image is not None:
            self.image = dict(image)
        self.fresh_root()
        shutil.rmtree(self.kept, ignore_errors=True)
        self.kept.mkdir(0o755)
        for name, content in self.image.items():
            self.put(name, content)
        take_baseline(self.configuration)

    def path(self, name: str) -> str:
        """A path below the kept one."""
        return f"{self.kept}/{name}" if name else str(self.kept)

    def put(self, name: str, content: str | None, mode: int = 0) -> Path:
        """Make a file, or a directory, and the directories above it."""
        path = self.kept / name
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        path.chmod(mode or (0o755 if content is None else 0o644))
        return path

    def delete(self, name: str) -> None:
        """Delete a file, or a directory with all that is in it."""
        path = self.kept / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    def keep(self) -> Kept:
        """What a hook does for kept paths."""
        return keep(self.configuration, "DPkg::Post-Invoke")

    def restore(self, undone: int | None = None) -> list[Pending]:
        """What a start does for kept paths; with `undone`, after a rollback. What is left."""
        self.reasons.clear()
        with open_store(str(self.home), STORE) as store:
            target = generations.newest(store).manifest
            current = target if undone is None else generations.load(store, undone).manifest
            back = TreeBack(self.configuration, store, current, target, self.reasons)
            todo = Plan(tuple(back.steps()))
            if todo.steps:
                self.state.begin_restore(todo.touches)
                back.put_back_early(Quiet())
                back.put_back(Quiet())
                record(self.configuration, "aptkeep restore")
            left = back.left()
        pending = [Pending(s.path, self.reasons.get(s.path, "")) for s in left]
        return [*back.set_aside, *pending]

    def roll_back(self, number: int) -> list[Pending]:
        """What `rollback` does; what is left."""
        older, undone = self.generation(number), self.numbers()[-1]
        with open_store(str(self.home), STORE) as store:
            generations.write(store, older.occasion, older.platform, older.manifest)
        return self.restore(undone)

    def nodes(self, manifest: Manifest | None = None) -> dict[str, Node]:
        """What is wanted by now below the kept path, by relative path."""
        if not self.store_path.exists():
            return {}
        manifest = self.newest() if manifest is None else manifest
        with open_store(str(self.home), STORE) as store:
            found = trees.read(store, manifest.tree)
        assert all(is_below(path, str(self.kept)) for path in found)
        return {path[len(str(self.kept)) :].lstrip("/"): node for path, node in found.items()}

    def kinds(self) -> dict[str, NodeKind]:
        """The same, kinds only."""
        return {path: node.kind for path, node in self.nodes().items()}

    def last(self) -> LastLook:
        """What was last seen."""
        return TreeState(self.root.paths.state).last()

    def there(self) -> dict[str, str | None]:
        """What is below the kept path now; None for a directory, `-> TARGET` for a link."""
        found: dict[str, str | None] = {}
        for path in sorted(self.kept.rglob("*")):
            name = str(path.relative_to(self.kept))
            if path.is_symlink():
                found[name] = f"-> {path.readlink()}"
            elif path.is_dir():
                found[name] = None
            elif path.is_file():
                found[name] = path.read_text()
            else:
                found[name] = "?"
        return found


def on_this_device(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is in `directory` lie on the device of `/`, and never be changed just now."""
    real = tree.mount_points

    def below() -> frozenset[str]:
        return frozenset(point for point in real() if is_below(point, f"{directory}/"))

    monkeypatch.setattr(tree, "mount_points", below)  # /tmp may be one itself
    monkeypatch.setattr(tree, "_device_of_root", lambda: directory.stat().st_dev)
    monkeypatch.setattr(looking, "_TICK", -(10**12))

"""Putting back what is kept below `Aptkeep::Keep`, after the packages have come. Off the hook path.

What can't be put back costs only itself: its reason is noted, by path, and the others go on.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from aptkeep import files
from aptkeep.errors import CorruptError, attempt
from aptkeep.looking import examine
from aptkeep.machine import shipped, tree, tree_write
from aptkeep.machine.tree_state import TreeState
from aptkeep.model import Node, NodeKind, Pending
from aptkeep.nodes import plan_nodes, revert_nodes
from aptkeep.plan import DeleteNode, PutNode
from aptkeep.store import generations, trees
from aptkeep.words import counted, some

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aptkeep.machine.apt.config import Configuration
    from aptkeep.machine.transaction import Reporter
    from aptkeep.machine.tree import Seen
    from aptkeep.model import Manifest
    from aptkeep.store.tree import Directory

    NodeSteps = list[PutNode | DeleteNode]


LISTING = "Aptkeep::Keep"
"""What is pending where the listing of all that is kept is damaged."""


class TreeBack:
    """The kept paths of one restore."""

    def __init__(
        self,
        configuration: Configuration,
        store: Directory,
        current: Manifest,
        target: Manifest,
        reasons: dict[str, str],
    ) -> None:
        """`target` is what is restored, `current` what was wanted here; the same, or a newer one.

        `reasons`, by path, says why something is not put back.
        """
        self._store = store
        self._reasons = reasons
        self._state = TreeState(configuration.paths.state)
        self._last = self._state.last()
        self._is_elsewhere, self._mounts = cache(tree.is_elsewhere), tree.mount_points()
        self._elsewhere: set[str] = set()
        self._excluded = tree.exclusion(configuration.settings.keep_exclude, ())
        self._few = True
        """Whether so little is put back that each file can be synchronized by itself."""
        self.set_aside: list[Pending] = []
        """What can't be brought back on this root."""
        self.nodes = self._read(target)
        """What is restored."""
        self._wanted = self.nodes
        if current.tree != target.tree:
            wanted = self._read(current)
            others = self._of_others(configuration, wanted.keys() - self.nodes.keys())
            self._wanted, stuck = revert_nodes(wanted, self.nodes, others)
            self.set_aside += stuck

    def steps(self) -> NodeSteps:
        """What there is to do now."""
        here = {}
        for path, wanted in self._wanted.items():
            elsewhere = path in self._mounts or self._is_elsewhere(os.path.dirname(path))
            if elsewhere:
                self._elsewhere.add(path)
            found = wanted if elsewhere else self._here(path, wanted)
            if found is not None:
                here[path] = found
        return plan_nodes(self._wanted, here)

    def put_back_early(self, reporter: Reporter) -> None:
        """Put back, before packages come, what needs none of them: they may need it.

        What goes into a directory that isn't there, and that nobody kept, waits for the package
        that has it: dpkg leaves a directory as it finds it. What fails is tried again later.
        """
        ready: set[str] = set()
        early = []
        for step in self.steps():
            above = os.path.dirname(step.path)
            if isinstance(step, PutNode) and (above in ready or os.path.isdir(above)):
                early.append(step)
                if step.node.kind is NodeKind.DIRECTORY:
                    ready.add(step.path)
        self._carry_out(early, reporter, {})

    def put_back(self, reporter: Reporter) -> None:
        """Put back and delete what is still to be."""
        self._carry_out(self.steps(), reporter, self._reasons)

    def _of_others(self, configuration: Configuration, paths: Iterable[str]) -> set[str]:
        """Those of `paths` that the image has, or that a package brings."""
        asked = set(paths)
        image, known = self._state.image().paths, configuration.paths
        return {
            *(asked & image.keys()),
            *shipped.shipped(known.dpkg_directory, known.dpkg_status, asked).owners,
        }

    def _carry_out(
        self,
        steps: Sequence[PutNode | DeleteNode],
        reporter: Reporter,
        reasons: dict[str, str],
    ) -> None:
        """Carry the steps out, and note how each path is now, so that it's not read again."""
        put = [step for step in steps if isinstance(step, PutNode)]
        delete = [step for step in steps if isinstance(step, DeleteNode)]
        if not put and not delete:
            return
        reporter.step(f"Putting back {counted(len(put) + len(delete), 'kept path')}")
        nodes, self._few = dict(self._last.nodes), len(steps) <= files.FEW
        for gone in delete:
            attempt(gone.path, partial(tree_write.delete, gone.path), reasons)
            nodes.pop(gone.path, None)
            if gone.path in self.nodes:  # else it undoes what only another generation wants
                nodes[gone.path] = (0, Node(NodeKind.GONE))
        for above in {os.path.dirname(step.path) for step in put}:
            tree_write.remove_unfinished(above)
        for number, step in enumerate(put):
            reporter.progress(100 * number / len(put), step.path)
            attempt(step.path, partial(self._put, step, nodes), reasons)
        # Before anybody relies on it: on what was last seen, or on the restore being over.
        files.sync_names([step.path for step in steps])
        anchor = generations.anchor(self._store)  # what was put back is in this store
        self._last = replace(self._last, sha256="", nodes=nodes, anchor=anchor)
        self._state.save_last(self._last)

    def left_alone(self) -> list[str]:
        """What to tell of kept paths that lie on file systems of their own here."""
        reason = "left alone, for it's on a file system of its own here"
        return [some(sorted(self._elsewhere), reason)] if self._elsewhere else []

    def left(self) -> NodeSteps:
        """What is still to be done. A directory in which there is more than we know may stay."""
        return [
            step
            for step in self.steps()
            if not (isinstance(step, DeleteNode) and _is_full(step.path))
        ]

    def _put(self, step: PutNode, nodes: dict[str, tuple[int, Node]]) -> None:
        if step.node.kind is NodeKind.FILE:
            with trees.opened(self._store, step.path, step.node) as source:
                changed_at = tree_write.put(step.path, step.node, source, synced=self._few)
        else:
            changed_at = tree_write.put(step.path, step.node)
        nodes[step.path] = (changed_at, step.node)

    def _read(self, manifest: Manifest) -> dict[str, Node]:
        try:
            nodes = trees.read(self._store, manifest.tree)
        except CorruptError as error:
            self.set_aside.append(Pending(LISTING, error.one_line()))
            return {}
        return {path: node for path, node in nodes.items() if not self._excluded(path)}

    def _here(self, path: str, wanted: Node) -> Node | None:
        """What is at a path; a file is read only where it could be what is wanted."""
        try:
            seen = tree.look(path)
        except PermissionError:  # we aren't root: it's as it was seen by root
            return self._last.nodes[path][1] if path in self._last.nodes else None
        return None if seen is None else self._last.node(path, seen) or _read(path, seen, wanted)


def _is_full(path: str) -> bool:
    """Whether it's a directory with something in it."""
    try:
        return not os.path.islink(path) and bool(os.listdir(path))
    except OSError:
        return False


def _read(path: str, seen: Seen, wanted: Node) -> Node:
    """What is there; of a file that can't be what is wanted, only that it's a file."""
    other = Node(NodeKind.FILE)
    if seen.kind is not NodeKind.FILE:
        return tree.node(path, seen) or other
    if wanted.kind is not NodeKind.FILE or seen.size != wanted.size:
        return other
    try:
        return examine(path, seen)
    except OSError:
        return other  # it changes, or can't be read

"""One look at the kept paths, beside what was last seen of them.

On the hook path, where paths are kept.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from aptkeep.errors import AptkeepError, StoreFullError
from aptkeep.machine import shipped, tree
from aptkeep.machine.state import State
from aptkeep.machine.tree_state import Image, TreeState, identity
from aptkeep.model import Node, NodeKind
from aptkeep.nodes import is_below, over_the_bound
from aptkeep.words import size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Set as AbstractSet

    from aptkeep.machine.apt.config import Configuration
    from aptkeep.machine.shipped import Shipped
    from aptkeep.machine.tree import Scan, Seen
    from aptkeep.machine.tree_state import LastLook

    Receive = Callable[[str, Seen], Node]
    """Makes a node of a file; what it holds is kept, or only looked at."""

_TICK = 20_000_000
"""Nanoseconds, more than a tick of the clock that says when a file was changed."""


class TooManyError(AptkeepError):
    """More paths changed than can be recorded in the time that there is."""


class Look:
    """One look at the kept paths, beside what was last seen."""

    def __init__(self, configuration: Configuration, home: str, state: TreeState) -> None:
        self.home = home
        self._configuration = configuration
        self._state = state
        self._roots = kept_roots(configuration, home)
        self._excluded = exclusion(configuration, home)
        self._settled = time.time_ns() - _TICK
        self.scan: Scan = tree.Scanner(self._excluded).scan(self._roots)
        refused = configuration.settings.keep_refused
        self.scan.sha256 = hashlib.sha256(f"{self.scan.sha256}{refused}".encode()).hexdigest()
        self.glance = state.glance()
        self.unchanged = self.scan.sha256 == self.glance.sha256
        self.shipped: dict[str, tuple[int, ...]] = {}
        """What is as its package brought it."""
        self.troubles: dict[str, list[str]] = {}
        """What can't be kept, by reason."""
        for entry, reason in (*refused, *_links(self._roots)):
            self.troubles.setdefault(f"not kept: {reason}", []).append(entry)
        self.passing: list[str] = []
        """What was wrong, and is mended by this look."""
        self.again = False
        """Whether something was left undone that the next look may be able to do."""
        self._unknown = {*self.scan.unseen, *self.scan.elsewhere}
        """Where what is there could not be seen, or not be kept."""
        self._late: list[str] = []
        """Directories that were not kept when the image was looked at."""

    @cached_property
    def last(self) -> LastLook:
        """All that was last seen."""
        return self._state.last()

    @cached_property
    def _image(self) -> Image:
        """What the image has.

        Of a path that was not kept when this root was new, it's what has not changed since. A
        directory changes with what is in it: where it's as it would be made for that, it's taken
        for the image's, as then it's neither lost nor, by a rollback, deleted.
        """
        image = self._state.image()
        self._late = [root for root in self._roots if root not in image.roots]
        if not self._late:
            return image
        baseline = os.stat(State(self._configuration.paths.state).baseline_path).st_mtime_ns
        plain = (stat.S_IFDIR | 0o755, os.geteuid(), os.getegid())
        above = {os.path.dirname(path) for path in self.scan.paths}
        older = {
            path: seen
            for path, seen in self.scan.paths.items()
            if any(is_below(path, root) for root in self._late)
            and path not in self.last.nodes
            and (seen.ctime_ns < baseline or (path in above and seen[:3] == plain))
        }
        return image.join(self._late, older)

    def save_image(self) -> None:
        """Keep what the image has where that was not known yet."""
        image = self._image
        if self._late:
            self._state.save_image(image)

    @cached_property
    def differs(self) -> dict[str, Seen]:
        """What is not as the image has it."""
        paths, image = self.scan.paths, self._image
        return {path: seen for path, seen in paths.items() if not image.has(path, seen)}

    def _gone(self, paths: AbstractSet[str]) -> list[str]:
        """Those of `paths` that are no longer there."""
        return [
            path
            for path in paths - self.scan.paths.keys()
            if any(is_below(path, root) for root in self._roots)
            and not (self._excluded(path) or self._is_unknown(path))
        ]

    def forget(self, lost: Callable[[str], bool]) -> None:
        """Look anew at the files whose contents are not in the store that is there now."""
        nodes = self.last.nodes.items()
        left = {p: n for p, n in nodes if n[1].sha256 is None or not lost(n[1].sha256)}
        self.last = replace(self.last, nodes=left)

    @property
    def finds_nothing(self) -> bool:
        """Whether all is as the image has it, and was so before."""
        gone = self._gone(self._image.paths.keys())
        return not (self.differs or gone or self.last.nodes)

    def changed_at(self, path: str) -> int:
        """When a path was last changed, nanoseconds since 1970; 0 where that's not to be relied on.

        What was changed just now may be changed again within the same tick of the kernel's clock;
        and of what could not be kept, it's only known what it was before.
        """
        seen = self.scan.paths.get(path)
        if self._is_unknown(path):
            return 0
        if seen is None or seen.ctime_ns >= self._settled:
            self.again |= seen is not None
            return 0
        return seen.ctime_ns

    def nodes(self, receive: Receive, most: int | None = None) -> dict[str, Node]:
        """All that isn't as the image has it, and wasn't brought by a package.

        Raises TooManyError where that is over `most` paths that weren't so at the last look.
        """
        image = self._image.paths.keys()
        nodes = {path: Node(NodeKind.GONE) for path in self._gone(image)}
        new = {}
        for path, seen in self.differs.items():
            as_before = self.last.node(path, seen)
            if as_before is not None:
                nodes[path] = as_before
            elif self.last.shipped.get(path) == identity(seen):
                self.shipped[path] = identity(seen)
            else:
                new[path] = seen
        if most is not None and len(new) > most:
            raise TooManyError(
                f"{len(new)} paths below Aptkeep::Keep changed, too many for a hook",
                resolution="run 'aptkeep record', which takes its time",
            )
        deleted = self._gone((self.last.shipped.keys() | self.last.nodes.keys()) - image)
        nodes.update((path, Node(NodeKind.GONE)) for path in self._left_to_packages(new, deleted))
        fits = self._within_bounds(nodes, new)
        for path, seen in new.items():
            if path in fits:
                self._take(nodes, path, seen, receive)
        for path, reason in self.scan.unseen.items():
            self._leave_out(path, reason)
        for path, (_, node) in self.last.nodes.items():
            if path not in nodes and self._is_unknown(path):
                nodes[path] = node  # no less wanted for not being seen now
        return nodes

    def _take(self, nodes: dict[str, Node], path: str, seen: Seen, receive: Receive) -> None:
        try:
            file = seen.kind is NodeKind.FILE
            node = receive(path, seen) if file else tree.node(path, seen)
        except StoreFullError as error:
            self._leave_out(path, error.one_line())
            self.again = True
        except OSError as error:
            self._leave_out(path, error.strerror or str(error))
            self.again = True
        else:
            if node is None:
                self._leave_out(path, "it is a device, a fifo or a socket")
            else:
                nodes[path] = node

    def _leave_out(self, path: str, reason: str) -> None:
        self.troubles.setdefault(f"not kept: {reason}", []).append(path)
        self._unknown.add(path)

    def _is_unknown(self, path: str) -> bool:
        while path not in self._unknown and path != "/":
            path = os.path.dirname(path)
        return path in self._unknown

    def _left_to_packages(self, new: dict[str, Seen], deleted: list[str]) -> list[str]:
        """Take out of `new` what packages brought; what was `deleted` that they would bring."""
        paths = self._configuration.paths
        asked = {*new, *deleted, *map(os.path.dirname, deleted)}
        known = shipped.shipped(paths.dpkg_directory, paths.dpkg_status, asked)
        for path in known.owners.keys() & new.keys():
            if self._is_own(known, path, new[path]):
                self.shipped[path] = identity(new.pop(path))
        return [path for path in deleted if self._is_of_package(known, path)]

    def _is_of_package(self, known: Shipped, path: str) -> bool:
        """Whether a package, which the image may lack, would bring what was deleted, or make it.

        It brings what it ships; and whatever else was in a directory that it ships, its scripts
        may have made.
        """
        if path in known.owners:
            return True
        return path not in self.last.shipped and os.path.dirname(path) in known.owners

    def _is_own(self, known: Shipped, path: str, seen: Seen) -> bool:
        """Whether a package's path is as the package brought it."""
        # dpkg notes no modes and owners: they are what they were when the path was first seen.
        first = self.last.shipped.get(path) or self._image.paths.get(path)
        directory, file = (seen.kind is kind for kind in (NodeKind.DIRECTORY, NodeKind.FILE))
        if first is not None and first[-3:] != seen[:3]:
            upgraded = not directory and seen.ctime_ns <= known.unpacked.get(path, 0)
            if not upgraded:
                return False
        with suppress(OSError):
            modified = 0 if directory else seen.mtime_ns
            return known.is_own(path, content_of(path, seen) if file else None, modified)
        return False

    def _within_bounds(self, nodes: dict[str, Node], new: dict[str, Seen]) -> set[str]:
        bound = self._configuration.settings.keep_limit
        known = sum(node.size for node in nodes.values())
        sizes = {path: seen.size for path, seen in new.items() if seen.kind is NodeKind.FILE}
        left_out = over_the_bound(sizes, bound - known)
        for path in left_out:
            whole = f"with it there would be over {size(bound)} (Aptkeep::Keep::Max-Size)"
            self._leave_out(path, whole)
        return new.keys() - set(left_out)


def kept_paths(configuration: Configuration, home: str) -> Callable[[str], bool]:
    """Whether a path is one of those that are kept at present."""
    roots, excluded = kept_roots(configuration, home), exclusion(configuration, home)
    return lambda path: any(is_below(path, root) for root in roots) and not excluded(path)


def kept_roots(configuration: Configuration, home: str | None) -> list[str]:
    """The kept paths, less those that stay by themselves."""
    roots = tree.resolved(configuration.settings.keep)
    return [root for root in roots if home is None or not is_below(root, os.path.realpath(home))]


def _links(roots: list[str]) -> list[tuple[str, str]]:
    """The kept paths that only lead elsewhere, and what is to be said of them."""
    leading = [root for root in roots if os.path.islink(root) and os.path.isdir(root)]
    return [(root, f"it is a link; keep {os.path.realpath(root)} instead") for root in leading]


def exclusion(configuration: Configuration, home: str | None) -> Callable[[str], bool]:
    """Whether a path below those that are kept isn't: as configured, the home, our own state."""
    never = {configuration.paths.state.rstrip("/")}
    if home is not None:
        never |= {home, os.path.realpath(home)}
    return tree.exclusion(configuration.settings.keep_exclude, never)


def examine(path: str, seen: Seen) -> Node:
    """Only look at what a file holds."""
    digest = hashlib.sha256()
    for piece in content_of(path, seen):
        digest.update(piece)
    with tree.opened(path, seen) as descriptor:
        return node_of(path, seen, digest.hexdigest(), descriptor)


def node_of(path: str, seen: Seen, sha256: str, descriptor: int) -> Node:
    """An open file as what is kept."""
    node = tree.node(path, seen, sha256, tree.capabilities(descriptor))
    assert node is not None  # noqa: S101 - it's a file
    return node


def content_of(path: str, seen: Seen) -> Iterator[bytes]:
    """What a file holds, in pieces; ChangingError where it changes meanwhile."""
    with tree.opened(path, seen) as descriptor:
        left = seen.size
        while left > 0 and (piece := os.read(descriptor, min(left, 1 << 20))):
            left -= len(piece)
            yield piece
        tree.check_unchanged(descriptor, path, seen)

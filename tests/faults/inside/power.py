"""What a disk may hold after a power cut, by what was fsynced (POSIX, fsync(2)) and what was not.

A name is on disk when its directory was synchronized after it was made, moved or removed; a
content, when its file was. Of all else any part may be on disk. Pure.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from faults.inside.calls import Call, Changed, Effect, Inode, Made, Moved, Unmade

Key = tuple[int, int]
Tree = Mapping[str, Inode]
"""All paths below some directories, with what is there."""


@dataclass(eq=False)
class _Node:
    """An inode as it is, and as it's on disk."""

    now: Inode
    disk: Inode
    names: dict[str, _Node] = field(default_factory=dict)
    """Of a directory: as they are."""
    durable: dict[str, _Node] = field(default_factory=dict)
    pending: list[tuple[int, Mapping[str, _Node | None]]] = field(default_factory=list)
    """What changed in a directory that is not on disk, in order and with the number of its call."""

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.now.mode)

    def change(self, number: int, names: Mapping[str, _Node | None]) -> None:
        self.pending.append((number, names))
        _apply(self.names, names)

    def sync(self) -> None:
        self.disk = self.now
        self.durable, self.pending = dict(self.names), []


def _apply(names: dict[str, _Node], change: Mapping[str, _Node | None]) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


class Disk:
    """The directories at `roots`, as they were and as they became."""

    def __init__(self, before: Tree, roots: Sequence[str]) -> None:
        self._roots: dict[str, _Node] = {}
        self._by_key: dict[Key, _Node] = {}
        self._number = 0
        by_path: dict[str, _Node] = {}
        for path in sorted(before):
            found = before[path]
            node = self._by_key.setdefault(found.key, _Node(found, found))
            by_path[path] = node
            above, _slash, name = path.rpartition("/")
            if path in roots:
                self._roots[path] = node
            else:
                by_path[above].names[name] = by_path[above].durable[name] = node

    def carry_out(self, call: Call) -> None:
        """Let a call happen."""
        for effect in call.effects:
            self._carry_out(effect)
        self._number += 1

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, Changed):
            if effect.inode.key in self._by_key:
                self._by_key[effect.inode.key].now = effect.inode
        elif isinstance(effect, Made | Unmade | Moved):
            above = self._by_key.get(effect.directory)
            names = self._names(effect, above)
            if above is not None:
                above.change(self._number, names)
        else:
            everything = list(self._by_key.values())
            some = [self._by_key[effect.key]] if effect.key in self._by_key else []
            for node in everything if effect.key is None else some:
                node.sync()

    def _names(
        self, effect: Made | Unmade | Moved, above: _Node | None
    ) -> Mapping[str, _Node | None]:
        """What becomes of the names in a directory."""
        if isinstance(effect, Unmade):
            return {effect.name: None}
        if isinstance(effect, Moved):
            moved = above.names.get(effect.name) if above is not None else None
            return {effect.name: None, effect.new: moved}
        node = None if effect.fresh else self._by_key.get(effect.inode.key)
        if node is None:
            # Of what was written elsewhere nobody knows whether it's on disk.
            node = _Node(effect.inode, _emptied(effect.inode))
            self._by_key[effect.inode.key] = node
        return {effect.name: node}

    # -- after a power cut

    def states(self) -> Iterator[tuple[str, Tree]]:
        """What may be there, the worst first, and by what was lost."""
        unsynced = any(node.now != node.disk for node in self._by_key.values())
        yield "all that was not fsynced", self._tree(_none, _on_disk)
        pending = sorted({number for node in self._by_key.values() for number, _ in node.pending})
        if unsynced:
            yield "contents, not names", self._tree(_all, _on_disk)
            yield "half of the contents", self._tree(_all, _torn)
            yield "contents, but for their length", self._tree(_all, _zeros)
            yield "names, not contents", self._tree(_none, _in_memory)
        for number in pending:
            yield f"only the name of call {number}", self._tree(_only(number), _on_disk)
            if len(pending) > 1:
                yield f"all but the name of call {number}", self._tree(_but(number), _in_memory)

    def _tree(self, chosen: Callable[[int], bool], content: Callable[[_Node], Inode]) -> Tree:
        found: dict[str, Inode] = {}

        def walk(path: str, node: _Node) -> None:
            found[path] = content(node)
            if node.is_directory:
                names = dict(node.durable)
                for number, change in node.pending:
                    if chosen(number):
                        _apply(names, change)
                for name, below in names.items():
                    walk(f"{path}/{name}", below)

        for path, node in self._roots.items():
            walk(path, node)
        return found


def _none(_number: int) -> bool:
    return False


def _all(_number: int) -> bool:
    return True


def _only(chosen: int) -> Callable[[int], bool]:
    return lambda number: number == chosen


def _but(left_out: int) -> Callable[[int], bool]:
    return lambda number: number != left_out


def _emptied(found: Inode) -> Inode:
    return replace(found, content=b"", capabilities=b"") if stat.S_ISREG(found.mode) else found


def _on_disk(node: _Node) -> Inode:
    return node.disk


def _in_memory(node: _Node) -> Inode:
    return node.now


def _torn(node: _Node) -> Inode:
    if node.now.content == node.disk.content:
        return node.now
    return replace(node.now, content=node.now.content[: len(node.now.content) // 2])


def _zeros(node: _Node) -> Inode:
    if node.now.content == node.disk.content:
        return node.now
    return replace(node.now, content=bytes(len(node.now.content)))

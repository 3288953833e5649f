"""What aptkeep knows of the kept paths of this root, in `/var/lib/aptkeep/`.

On the hook path, where paths are kept. Lists, not objects, and the image's paths as plain text:
there may be a hundred thousand of them.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aptkeep import files
from aptkeep.machine.state import unwritable
from aptkeep.model import Anchor, Node, NodeKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aptkeep.machine.tree import Seen

_IMAGE, _LAST = "kept-image", "kept.json"
_LIMIT = 256 << 20


@dataclass(frozen=True, slots=True)
class Image:
    """What the image has below some directories."""

    roots: tuple[str, ...] = ()
    paths: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """The `identity` of each path."""

    def has(self, path: str, seen: Seen) -> bool:
        """Whether what was seen is as the image has it."""
        return self.paths.get(path) == identity(seen)

    def join(self, roots: list[str], seen: Mapping[str, Seen]) -> Image:
        """This, and what the image has below further directories."""
        more = {path: identity(found) for path, found in seen.items()}
        return Image((*self.roots, *roots), {**self.paths, **more})


def identity(seen: Seen) -> tuple[int, ...]:
    """Mode, uid and gid; before them the time of the last change, but not a directory's.

    That changes with each name in it.
    """
    whose = (seen.mode, seen.uid, seen.gid)
    return whose if seen.kind is NodeKind.DIRECTORY else (seen.ctime_ns, *whose)


@dataclass(frozen=True, slots=True)
class LastLook:
    """What was last seen of the kept paths, and recorded."""

    sha256: str = ""
    """Of the scan, so that nothing needs to be done while nothing changes."""
    nodes: Mapping[str, tuple[int, Node]] = field(default_factory=dict)
    """What is not as the image has it, with the time in nanoseconds of its last change."""
    shipped: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """What is as its package brought it, with its `identity`."""
    troubles: tuple[str, ...] = ()
    """What could not be kept: each is said once."""
    anchor: Anchor | None = None
    """The generation that it was recorded into."""

    def node(self, path: str, seen: Seen) -> Node | None:
        """What is known of what was seen, if it's as it was the last time."""
        ctime_ns, node = self.nodes.get(path, (None, None))
        return node if ctime_ns == seen.ctime_ns else None


_UNREADABLE = (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


class TreeState:
    """The files in the state directory of one root that speak of kept paths."""

    def __init__(self, path: str) -> None:
        self._path = path

    def image(self) -> Image:
        """What the image has below the directories that were ever asked for."""
        try:
            content, _mode = files.read_path(os.path.join(self._path, _IMAGE), _LIMIT)
            head, *entries, _end = content.decode("utf-8", "surrogateescape").split("\0")
            paths = {}
            for entry in entries:
                numbers, _space, path = entry.partition(" /")
                paths[f"/{path}"] = tuple(map(int, numbers.split()))
            return Image(tuple(json.loads(head)), paths)
        except (FileNotFoundError, ValueError, TypeError, RecursionError):
            return Image()

    def save_image(self, image: Image) -> None:
        """Keep what the image has."""
        parts = [json.dumps(image.roots)]
        parts += [f"{' '.join(map(str, found))} {path}" for path, found in image.paths.items()]
        self._write(_IMAGE, ("\0".join(parts) + "\0").encode("utf-8", "surrogateescape"))

    def last(self) -> LastLook:
        """What was last seen and recorded; nothing where nothing was, or it can't be read."""
        try:
            content, _mode = files.read_path(os.path.join(self._path, _LAST), _LIMIT)
            head, _end, paths = content.partition(b"\n")
            return _decode({**json.loads(head), **json.loads(paths)})
        except _UNREADABLE:
            return LastLook()

    def glance(self) -> LastLook:
        """The same without paths: quick, however many there are."""
        try:
            with open(os.path.join(self._path, _LAST), "rb") as stream:
                return _decode({**json.loads(stream.readline(_LIMIT)), "nodes": {}, "shipped": {}})
        except _UNREADABLE:
            return LastLook()

    def save_last(self, look: LastLook) -> None:
        """Keep what was seen and recorded: a line that tells whether to read on, and the paths."""
        both = (json.dumps(part, separators=(",", ":")) for part in _encode(look))
        self._write(_LAST, "\n".join(both).encode())

    def _write(self, name: str, content: bytes) -> None:
        os.makedirs(self._path, mode=0o755, exist_ok=True)
        try:
            with files.directory(self._path) as directory:
                files.write_atomically(directory, name, content)
        except OSError as error:
            raise unwritable(os.path.join(self._path, name), error) from error


def _encode(look: LastLook) -> tuple[dict[str, Any], dict[str, Any]]:
    head = {
        "sha256": look.sha256,
        "troubles": look.troubles,
        "anchor": [look.anchor.number, look.anchor.sha256] if look.anchor else None,
    }
    return head, {
        "nodes": {
            path: [
                ctime_ns,
                node.kind.value,
                node.mode,
                node.owner,
                node.group,
                node.sha256,
                node.target,
                node.capabilities,
                node.size,
                node.mtime_ns,
            ]
            for path, (ctime_ns, node) in look.nodes.items()
        },
        "shipped": dict(look.shipped),
    }


def _decode(document: dict[str, Any]) -> LastLook:
    return LastLook(
        document["sha256"],
        {
            path: (ctime_ns, Node(NodeKind(kind), *rest))
            for path, (ctime_ns, kind, *rest) in document["nodes"].items()
        },
        {path: tuple(found) for path, found in document["shipped"].items()},
        tuple(document["troubles"]),
        Anchor(*document["anchor"]) if document["anchor"] else None,
    )

"""A listing of nodes as JSON, and back. On the hook path, where paths are kept."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from typing import TYPE_CHECKING, Any

from aptkeep.model import Node, NodeKind
from aptkeep.store.format.fields import SHA256, absolute, matching, members, typed, without_nothing

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = 1
_MODE = re.compile(r"[0-7]{4}")
_TARGET = re.compile(r"[^\0]+")
_LARGEST = (1 << 63) - 1
_HEXADECIMAL = re.compile(r"([0-9a-f]{2})+")


def encode(nodes: Mapping[str, Node]) -> bytes:
    """The file of a listing. The same nodes give the same bytes."""
    document = {"schema": SCHEMA, "nodes": {path: _encode(node) for path, node in nodes.items()}}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return gzip.compress(text.encode(), compresslevel=6, mtime=0)


def decode(content: bytes) -> dict[str, Node]:
    """The nodes that a file lists, by path. ValueError for anything but a whole listing."""
    try:
        document = json.loads(gzip.decompress(content))
        members(document, "schema nodes")
        if document["schema"] != SCHEMA:
            raise ValueError(f"schema {document['schema']}")
        return {absolute(path): _decode(node) for path, node in document["nodes"].items()}
    except (OSError, EOFError, zlib.error, RecursionError) as error:
        raise ValueError(str(error)) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error


def _encode(node: Node) -> dict[str, Any]:
    return without_nothing(
        kind=node.kind.value,
        mode=f"{node.mode:04o}" if node.mode else None,
        owner=node.owner or None,
        group=node.group or None,
        sha256=node.sha256,
        target=node.target,
        capabilities=node.capabilities or None,
        size=node.size or None,
        mtime_ns=node.mtime_ns or None,
    )


def _decode(node: dict[str, Any]) -> Node:
    members(node, "kind", "mode owner group sha256 target capabilities size mtime_ns")
    kind = NodeKind(node["kind"])
    if (kind is NodeKind.FILE) != ("sha256" in node) or (kind is NodeKind.LINK) != (
        "target" in node
    ):
        raise ValueError(f"members of a {kind.value}: {', '.join(sorted(node))}")
    return Node(
        kind,
        mode=int(matching(node.get("mode", "0000"), _MODE), 8),
        owner=typed(node.get("owner", ""), str),
        group=typed(node.get("group", ""), str),
        sha256=matching(node["sha256"], SHA256) if "sha256" in node else None,
        target=matching(node["target"], _TARGET) if "target" in node else None,
        capabilities=matching(node["capabilities"], _HEXADECIMAL) if "capabilities" in node else "",
        size=_within(0, node.get("size", 0)),
        mtime_ns=_within(-_LARGEST, node.get("mtime_ns", 0)),
    )


def _within(least: int, value: Any) -> int:  # noqa: ANN401 - JSON
    """`value`, which must be a number that the kernel takes."""
    number: int = typed(value, int)
    if not least <= number <= _LARGEST:
        raise ValueError(f"{number}")
    return number

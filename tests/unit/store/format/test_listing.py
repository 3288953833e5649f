"""Listings of kept paths on disk."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aptkeep.model import Node, NodeKind
from aptkeep.store.format import listing

NAMES = st.text(
    st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"])
    | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF),
    min_size=1,
    max_size=5,
).filter(lambda name: name not in (".", "..") and os.fsdecode(os.fsencode(name)) == name)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(lambda names: "/" + "/".join(names))
MODES = st.integers(0, 0o7777)
OWNERS = st.sampled_from(["root", "www-data", "4711"])
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)

NODES = (
    st.just(Node(NodeKind.GONE))
    | st.builds(Node, st.just(NodeKind.DIRECTORY), MODES, OWNERS, OWNERS)
    | st.builds(Node, st.just(NodeKind.LINK), st.just(0), OWNERS, OWNERS, target=NAMES)
    | st.builds(
        Node,
        st.just(NodeKind.FILE),
        MODES,
        OWNERS,
        OWNERS,
        DIGESTS,
        capabilities=st.sampled_from(["", "0100000200200000"]),
        size=st.integers(0, 1 << 62),
        mtime_ns=st.integers(-(1 << 62), 1 << 62),
    )
)


def whole(nodes: dict[str, Node]) -> dict[str, tuple[object, ...]]:
    """With what is no part of a comparison, too."""
    return {path: (node, node.size, node.mtime_ns) for path, node in nodes.items()}


@given(st.dictionaries(PATHS, NODES))
def test_round_trip(nodes: dict[str, Node]) -> None:
    content = listing.encode(nodes)
    assert whole(listing.decode(content)) == whole(nodes)
    assert listing.encode(dict(reversed(nodes.items()))) == content


@given(st.binary())
def test_any_bytes(content: bytes) -> None:
    for given_ in (content, gzip.compress(content)):
        with pytest.raises(ValueError):  # noqa: PT011 - any words will do
            listing.decode(given_)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(JSON, st.sampled_from(["whole", "nodes", "node", "member"]), st.data())
def test_any_json(value: Any, place: str, data: st.DataObject) -> None:  # noqa: ANN401 - JSON
    document = value
    if place == "nodes":
        document = {"schema": 1, "nodes": value}
    elif place == "node":
        document = {"schema": 1, "nodes": {"/x": value}}
    elif place == "member":
        names = ["kind", "mode", "owner", "sha256", "target", "capabilities", "size", "mtime_ns"]
        node = {"kind": "file", "sha256": "0" * 64, data.draw(st.sampled_from(names)): value}
        document = {"schema": 1, "nodes": {"/x": node}}
    with contextlib.suppress(ValueError):
        listing.decode(gzip.compress(json.dumps(document).encode()))


FILE = {"kind": "file", "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("path", "node"),
    [
        ("relative", FILE),
        ("/a/../b", FILE),
        ("/a\0", FILE),
        ("", FILE),
        ("/", {"kind": "fifo"}),
        ("/a", {"kind": "file"}),
        ("/a", {**FILE, "target": "x"}),
        ("/a", {"kind": "link"}),
        ("/a", {"kind": "directory", "sha256": "0" * 64}),
        ("/a", {**FILE, "mode": "17777"}),
        ("/a", {**FILE, "mode": 420}),
        ("/a", {**FILE, "owner": 0}),
        ("/a", {**FILE, "size": True}),
        ("/a", {**FILE, "size": -1}),
        ("/a", {**FILE, "mtime_ns": 1 << 80}),
        ("/a", {**FILE, "capabilities": "0"}),
        ("/a", {**FILE, "sha256": "A" * 64}),
        ("/a", {**FILE, "other": 1}),
        ("/a", {"kind": "link", "target": "a\0b"}),
        ("/a", {"kind": "link", "target": ""}),
    ],
)
def test_nonsense(path: str, node: dict[str, Any]) -> None:
    document = {"schema": 1, "nodes": {path: node}}
    with pytest.raises(ValueError):  # noqa: PT011 - any words will do
        listing.decode(gzip.compress(json.dumps(document).encode()))


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"schema": 2, "nodes": {}}', '{"nodes": {}}'],
    ids=["deep", "newer", "without"],
)
def test_documents_that_are_none(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any words will do
        listing.decode(gzip.compress(text.encode()))


def test_torn() -> None:
    content = listing.encode({"/a": Node(NodeKind.GONE)})
    for length in range(len(content)):
        with pytest.raises(ValueError):  # noqa: PT011 - any words will do
            listing.decode(content[:length])

"""Listings and contents of kept paths in the store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aptkeep.errors import CorruptError, LockedError
from aptkeep.files import NotRegularError
from aptkeep.model import KeptTree, Node, NodeKind
from aptkeep.store import trees
from aptkeep.store.tree import Directory, open_store

NODES = {
    "/opt/x": Node(NodeKind.FILE, 0o644, "root", "root", "0" * 64, size=7),
    "/opt/y": Node(NodeKind.GONE),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Directory]:
    with open_store(str(tmp_path), "store", create=True, owner=os.getuid()) as made:
        yield made


@pytest.fixture
def source(tmp_path: Path) -> Iterator[int]:
    """A descriptor of what is to be kept."""
    (tmp_path / "source").write_text("content")
    descriptor = os.open(tmp_path / "source", os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def received(store: Directory, source: int, *, private: bool = False) -> Node:
    """Keep the content; the node of a file that has it."""
    with trees.locked(store, 0) as contents:
        sha256 = contents.receive(source, private=private, limit=7)
        contents.sync()
    return Node(NodeKind.FILE, 0o644, "root", "root", sha256, size=7)


def place(tmp_path: Path, node: Node) -> Path:
    """Where a content is."""
    return tmp_path / "store/files" / str(node.sha256)


class TestListings:
    def test_round_trip(self, store: Directory) -> None:
        tree = trees.write(store, NODES)
        assert tree is not None
        assert (tree.nodes, tree.size) == (2, 7)
        assert trees.read(store, tree) == NODES
        assert trees.write(store, dict(reversed(NODES.items()))) == tree

    def test_of_nothing(self, store: Directory) -> None:
        assert trees.write(store, {}) is None
        assert trees.read(store, None) == {}
        assert not store.has(trees.SUBDIRECTORY)

    @pytest.mark.parametrize("how", ["gone", "torn", "flipped", "other"])
    def test_damaged(self, tmp_path: Path, store: Directory, how: str) -> None:
        tree = trees.write(store, NODES)
        assert tree is not None
        listing = tmp_path / "store" / "/".join(trees.location(tree))
        content = listing.read_bytes()
        other = trees.write(store, {"/other": Node(NodeKind.GONE)})
        assert other is not None
        if how == "gone":
            listing.unlink()
        elif how == "torn":
            listing.write_bytes(content[:-1])
        elif how == "flipped":
            listing.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        else:
            listing.write_bytes((tmp_path / "store" / "/".join(trees.location(other))).read_bytes())
        with pytest.raises(CorruptError, match="damaged"):
            trees.read(store, tree)
        trees.write(store, NODES)
        assert trees.read(store, tree) == NODES, "written anew, it's whole"

    def test_no_listing_at_all(self, store: Directory) -> None:
        with pytest.raises(CorruptError, match="it is gone"):
            trees.read(store, KeptTree("0" * 64, 1, 1))


class TestContents:
    def test_kept_and_read(self, tmp_path: Path, store: Directory, source: int) -> None:
        node = received(store, source)
        assert place(tmp_path, node).read_text() == "content"
        with trees.opened(store, "/x", node) as descriptor:
            assert os.read(descriptor, 99) == b"content"
        trees.verify(store, "/x", node)
        assert [path.name for path in (tmp_path / "store/files").iterdir()] == [node.sha256]

    def test_modes(self, tmp_path: Path, store: Directory, source: int) -> None:
        old = os.umask(0o077)
        node = received(store, source)
        os.umask(old)
        assert place(tmp_path, node).stat().st_mode & 0o777 == 0o644
        received(store, source, private=True)
        assert place(tmp_path, node).stat().st_mode & 0o777 == 0o600
        received(store, source)
        assert place(tmp_path, node).stat().st_mode & 0o777 == 0o600

    def test_what_grows_meanwhile(self, tmp_path: Path, store: Directory, source: int) -> None:
        (tmp_path / "source").write_text("content and more")
        with pytest.raises(NotRegularError):
            received(store, source)
        assert list((tmp_path / "store/files").iterdir()) == []

    @pytest.mark.parametrize("how", ["gone", "flipped", "no directory"])
    def test_damaged(self, tmp_path: Path, store: Directory, source: int, how: str) -> None:
        node = received(store, source)
        if how == "flipped":
            place(tmp_path, node).write_text("Content")
        else:
            place(tmp_path, node).unlink()
        if how == "no directory":
            (tmp_path / "store/files").rmdir()
        with pytest.raises(CorruptError, match="/x"):
            trees.verify(store, "/x", node)
        if how != "flipped":
            with pytest.raises(CorruptError, match="/x"), trees.opened(store, "/x", node):
                pass
        received(store, source)
        trees.verify(store, "/x", node)

    def test_one_at_a_time(self, store: Directory, source: int) -> None:
        with trees.locked(store, 0), pytest.raises(LockedError):
            received(store, source)

    def test_what_was_left_half_done_goes(self, tmp_path: Path, store: Directory) -> None:
        (tmp_path / "store/files").mkdir()
        (tmp_path / "store/files/.new-0123").write_text("half")
        with trees.locked(store, 0):
            pass
        assert list((tmp_path / "store/files").iterdir()) == []

"""Making paths what they were, in directories that others may change at the same time."""

from __future__ import annotations

import hashlib
import itertools
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from aptkeep.errors import CorruptError
from aptkeep.machine import tree
from aptkeep.machine.tree_write import delete, put
from aptkeep.model import Node, NodeKind

ME, MY_GROUP = tree.owner_name(os.getuid()), tree.group_name(os.getgid())
CONTENT = b"content\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()

FILE = Node(NodeKind.FILE, 0o4751, ME, MY_GROUP, SHA256, size=len(CONTENT), mtime_ns=10**18 + 7)
LINK = Node(NodeKind.LINK, 0, ME, MY_GROUP, target="/nowhere")
DIRECTORY = Node(NodeKind.DIRECTORY, 0o2750, ME, MY_GROUP)
NODES = {"file": FILE, "link": LINK, "directory": DIRECTORY}


@pytest.fixture
def source(tmp_path: Path) -> int:
    """A descriptor of the content."""
    (tmp_path / "source").write_bytes(CONTENT)
    return os.open(tmp_path / "source", os.O_RDONLY)


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """A directory in which paths are made."""
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


def is_there(path: Path, node: Node) -> bool:
    """Whether a path is what the node says."""
    seen = tree.look(str(path))
    assert seen is not None
    sha256 = SHA256 if node.kind is NodeKind.FILE and path.read_bytes() == CONTENT else None
    found = tree.node(str(path), seen, sha256)
    return found == node and (node.mtime_ns or found.mtime_ns) == found.mtime_ns


def make(path: Path, node: Node | None, source: int) -> None:
    """Make what may be in the way."""
    if node is not None:
        os.lseek(source, 0, os.SEEK_SET)
        put(str(path), node, source)
        os.lseek(source, 0, os.SEEK_SET)


@pytest.mark.parametrize(
    ("before", "after"), [*itertools.product([*NODES, "nothing"], NODES)], ids="-to-".join
)
def test_everything_becomes_everything(there: Path, source: int, before: str, after: str) -> None:
    path = there / "path"
    make(path, NODES.get(before), source)
    changed_at = put(str(path), NODES[after], source)
    assert is_there(path, NODES[after])
    assert changed_at == path.lstat().st_ctime_ns
    assert [each.name for each in there.iterdir()] == ["path"]


@pytest.mark.parametrize("kind", NODES)
def test_all_bits_whatever_the_umask(there: Path, source: int, kind: str) -> None:
    old = os.umask(0o077)
    try:
        put(str(there / "a/b/path"), NODES[kind], source)
    finally:
        os.umask(old)
    assert is_there(there / "a/b/path", NODES[kind])
    assert stat.S_IMODE((there / "a").stat().st_mode) == 0o755
    assert stat.S_IMODE((there / "a/b").stat().st_mode) == 0o755


def test_directory_that_is_there_keeps_what_is_in_it(there: Path) -> None:
    (there / "d").mkdir()
    (there / "d/file").touch()
    put(str(there / "d"), DIRECTORY)
    assert is_there(there / "d", DIRECTORY)
    assert (there / "d/file").exists()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_directory_with_something_in_it_does_not_go(there: Path, source: int, kind: str) -> None:
    (there / "d").mkdir()
    (there / "d/file").touch()
    with pytest.raises(OSError, match="not empty"):
        put(str(there / "d"), NODES[kind], source)
    assert [each.name for each in there.rglob("*")] == ["d", "file"]


def test_altered_content_is_not_put(there: Path, source: int) -> None:
    (there / "path").write_text("old")
    with pytest.raises(CorruptError):
        put(str(there / "path"), Node(NodeKind.FILE, 0o644, ME, MY_GROUP, "0" * 64), source)
    assert (there / "path").read_text() == "old"
    assert [each.name for each in there.iterdir()] == ["path"]


@pytest.mark.parametrize("kind", NODES)
@pytest.mark.parametrize("unknown", ["owner", "group"])
def test_owner_that_is_not_known_here(there: Path, source: int, kind: str, unknown: str) -> None:
    node = NODES[kind]
    node = replace(
        node,
        owner="nobody-of-that-name" if unknown == "owner" else ME,
        group="nobody-of-that-name" if unknown == "group" else MY_GROUP,
    )
    with pytest.raises(OSError, match="nobody-of-that-name, wh"):
        put(str(there / "path"), node, source)
    if kind == "directory":
        assert stat.S_IMODE((there / "path").stat().st_mode) == 0o700, "what comes in is not open"
    else:
        assert list(there.iterdir()) == []


@pytest.mark.parametrize("number", ["-1", "99999999999999999999", "", "٣"])
def test_owner_that_is_no_number(there: Path, number: str) -> None:
    with pytest.raises(OSError, match="this machine has no user"):
        put(str(there / "path"), Node(NodeKind.LINK, 0, number, MY_GROUP, target="x"))


def test_owner_by_number(there: Path) -> None:
    put(str(there / "path"), Node(NodeKind.LINK, 0, str(os.getuid()), str(os.getgid()), target="x"))
    assert (there / "path").lstat().st_uid == os.getuid()


@pytest.mark.parametrize("kind", NODES)
@pytest.mark.parametrize("place", ["link/path", "link/below/path"])
def test_no_link_on_the_way_is_followed(
    tmp_path: Path, there: Path, source: int, kind: str, place: str
) -> None:
    outside = tmp_path / "outside"
    (outside / "below").mkdir(parents=True)
    (there / "link").symlink_to(outside)
    with pytest.raises(OSError, match="Not a directory"):
        put(str(there / place), NODES[kind], source)
    assert [each.name for each in outside.rglob("*")] == ["below"]


@pytest.mark.parametrize("kind", NODES)
def test_what_a_link_leads_to_is_not_touched(
    tmp_path: Path, there: Path, source: int, kind: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    (there / "path").symlink_to(outside)
    put(str(there / "path"), NODES[kind], source)
    assert is_there(there / "path", NODES[kind])
    assert stat.S_IMODE(outside.stat().st_mode) == 0o700


def test_a_hard_link_elsewhere_is_not_touched(tmp_path: Path, there: Path, source: int) -> None:
    (tmp_path / "outside").write_text("old")
    os.link(tmp_path / "outside", there / "path")
    put(str(there / "path"), FILE, source)
    assert (tmp_path / "outside").read_text() == "old"
    assert stat.S_IMODE((tmp_path / "outside").stat().st_mode) & 0o4000 == 0


def test_only_a_link_is_given_away(
    tmp_path: Path, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who owns the directory may put something else in the new link's place before its chown."""
    (tmp_path / "outside").write_text("root's")
    given = []

    def swap(target: str, name: str, *, dir_fd: int) -> None:
        os.link(tmp_path / "outside", f"/proc/self/fd/{dir_fd}/{name}")

    def chown(path: str, *arguments: int, **options: int) -> None:
        given.append(path)

    monkeypatch.setattr(os, "symlink", swap)
    monkeypatch.setattr(os, "chown", chown)
    with pytest.raises(OSError, match="changes"):
        put(str(there / "path"), LINK)
    assert given == []


@pytest.mark.parametrize("kind", [*NODES, "nothing"])
def test_deleted(there: Path, source: int, kind: str) -> None:
    make(there / "path", NODES.get(kind), source)
    delete(str(there / "path"))
    delete(str(there / "path/below"))
    assert list(there.iterdir()) == []


def test_directory_that_is_not_empty_is_not_deleted(there: Path) -> None:
    (there / "d/file").parent.mkdir()
    (there / "d/file").touch()
    with pytest.raises(OSError, match="not empty"):
        delete(str(there / "d"))
    assert (there / "d/file").exists()


def test_nothing_is_deleted_through_a_link(tmp_path: Path, there: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").touch()
    (there / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match="Not a directory"):
        delete(str(there / "link/file"))
    assert (tmp_path / "outside/file").exists()
    delete(str(there / "link"))
    assert (tmp_path / "outside/file").exists()

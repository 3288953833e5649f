"""What aptkeep knows of the kept paths of a root."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aptkeep.machine.tree import Seen
from aptkeep.machine.tree_state import Image, LastLook, TreeState, identity
from aptkeep.model import Anchor, Node, NodeKind
from unit.store.format.test_listing import NODES, PATHS, whole

DIRECTORY = Seen(0o040755, 0, 0, 4096, 1, 2)
FILE = Seen(0o100644, 0, 0, 1, 1, 2)
HEAD = b'{"sha256":"0","troubles":[],"anchor":null}'
TIMES = st.integers(0, 1 << 62)
SEEN = st.builds(
    Seen,
    st.sampled_from([0o040755, 0o040700, 0o100644, 0o104755, 0o120777, 0o010644]),
    st.integers(0, 1 << 31),
    st.integers(0, 1 << 31),
    TIMES,
    TIMES,
    TIMES,
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state") / "made/when/needed"


class TestImage:
    @settings(max_examples=25)  # each is on disk
    @given(st.lists(PATHS), st.dictionaries(PATHS, SEEN))
    def test_round_trip(self, directory: Path, roots: list[str], seen: dict[str, Seen]) -> None:
        image = Image().join(roots, seen)
        state = TreeState(str(directory))
        state.save_image(image)
        assert state.image() == image
        assert all(state.image().has(path, found) for path, found in seen.items())

    def test_what_a_path_is_known_by(self) -> None:
        image = Image().join(["/x"], {"/x/d": DIRECTORY, "/x/f": FILE})
        assert image.has("/x/d", DIRECTORY._replace(ctime_ns=9, mtime_ns=9, size=9))
        assert not image.has("/x/d", DIRECTORY._replace(uid=1))
        assert image.has("/x/f", FILE._replace(mtime_ns=9))
        assert not image.has("/x/f", FILE._replace(ctime_ns=9))
        assert not image.has("/x/f", DIRECTORY)
        assert not image.has("/x/other", FILE)

    def test_further_directories(self) -> None:
        image = Image().join(["/x"], {"/x": FILE}).join(["/y"], {"/y": FILE})
        assert image.roots == ("/x", "/y")
        assert image.paths.keys() == {"/x", "/y"}

    @settings(max_examples=25)  # each is on disk
    @given(st.binary())
    def test_damaged(self, directory: Path, content: bytes) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "kept-image").write_bytes(content)
        assert TreeState(str(directory)).image() == Image()

    def test_none(self, tmp_path: Path) -> None:
        assert TreeState(str(tmp_path)).image() == Image()
        assert TreeState(str(tmp_path)).last() == LastLook()


class TestLastLook:
    @settings(max_examples=25)  # each is on disk
    @given(
        st.dictionaries(PATHS, st.tuples(TIMES, NODES)),
        st.dictionaries(PATHS, SEEN),
        st.lists(st.text(), max_size=2).map(tuple),
        st.none() | st.builds(Anchor, st.integers(1), st.text()),
    )
    def test_round_trip(
        self,
        directory: Path,
        nodes: dict[str, tuple[int, Node]],
        shipped: dict[str, Seen],
        troubles: tuple[str, ...],
        anchor: Anchor | None,
    ) -> None:
        own = {path: identity(seen) for path, seen in shipped.items()}
        look = LastLook("0" * 64, nodes, own, troubles, anchor)
        state = TreeState(str(directory))
        state.save_last(look)
        found = state.last()
        assert found == look
        assert state.glance() == LastLook("0" * 64, {}, {}, troubles, anchor)
        assert whole({p: n for p, (_, n) in found.nodes.items()}) == whole(
            {p: n for p, (_, n) in nodes.items()}
        )

    def test_what_is_as_it_was(self) -> None:
        node = Node(NodeKind.FILE, 0o644, "root", "root", "0" * 64)
        look = LastLook(nodes={"/x": (2, node), "/gone": (0, Node(NodeKind.GONE))})
        assert look.node("/x", FILE) is node
        assert look.node("/x", FILE._replace(ctime_ns=3)) is None
        assert look.node("/y", FILE) is None

    @pytest.mark.parametrize(
        "content",
        [
            *(b"", b"{", b"[]", b"null", b"{}", b"\xff", b'{"sha256": ""}', HEAD, HEAD + b"\n{}"),
            HEAD + b'\n{"nodes":{"/x":[1,"other"]},"shipped":{}}',
            HEAD + b'\n{"nodes":{"/x":[]},"shipped":{}}',
            HEAD + b'\n{"nodes":{},"shipped":{"/x":1}}',
            b'{"sha256":"","troubles":[],"anchor":[1]}\n{"nodes":{},"shipped":{}}',
        ],
    )
    def test_damaged(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "kept.json").write_bytes(content)
        assert TreeState(str(tmp_path)).last() == LastLook()

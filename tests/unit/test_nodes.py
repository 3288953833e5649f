"""The pure part of kept paths: what becomes a wish, and what is to be done for one."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aptkeep.model import Node, NodeKind
from aptkeep.nodes import (
    absorb_nodes,
    is_below,
    over_the_bound,
    plan_nodes,
    revert_nodes,
    settle_nodes,
    without,
)
from aptkeep.plan import DeleteNode, Plan, PutNode

A = Node(NodeKind.FILE, 0o644, "root", "root", "a" * 64, size=1)
B = Node(NodeKind.FILE, 0o755, "root", "root", "b" * 64, size=1)
LINK = Node(NodeKind.LINK, 0, "root", "root", target="a")
DIRECTORY = Node(NodeKind.DIRECTORY, 0o755, "root", "root")
GONE = Node(NodeKind.GONE)

PATHS = ("/k", "/k/a", "/k/a/x", "/k/a/x/y", "/k/a!", "/k/b")
THERE = (A, B, LINK, DIRECTORY)

Tree = Mapping[str, Node]


def everything(_path: str) -> bool:
    """All paths are kept."""
    return True


def trees(*nodes: Node) -> st.SearchStrategy[dict[str, Node]]:
    """Any paths with any of the nodes."""
    return st.dictionaries(st.sampled_from(PATHS), st.sampled_from(nodes))


@st.composite
def file_systems(draw: st.DrawFn) -> dict[str, Node]:
    """What can be on a disk: whatever is in something is in a directory."""
    found: dict[str, Node] = {}
    for path in PATHS:
        above = path.rpartition("/")[0]
        if above in ("", *(p for p in found if found[p] == DIRECTORY)):
            node = draw(st.sampled_from((*THERE, None)))
            if node is not None:
                found[path] = node
    return found


def listed(here: Tree, image: Tree) -> dict[str, Node]:
    """What is not as the image has it."""
    nodes = {path: node for path, node in here.items() if image.get(path) != node}
    return nodes | dict.fromkeys(image.keys() - here.keys(), GONE)


def done(steps: list[PutNode | DeleteNode], here: Tree) -> dict[str, Node]:
    """What is there after the steps, if the file system lets each be done."""
    found = dict(here)
    for step in steps:
        inside = [path for path in found if is_below(path, step.path) and path != step.path]
        if isinstance(step, DeleteNode):
            assert not inside, "a directory goes when it's empty"
            found.pop(step.path, None)
            continue
        assert step.node.kind is NodeKind.DIRECTORY or not inside
        above = step.path.rpartition("/")[0]
        assert above == "" or found.get(above, DIRECTORY) == DIRECTORY, "what it's in is there"
        found[step.path] = step.node
    return found


class TestAbsorb:
    @given(trees(*THERE, GONE), trees(*THERE, GONE))
    def test_without_a_change_there_is_no_wish(self, wanted: Tree, here: Tree) -> None:
        assert absorb_nodes(wanted, here, here, everything) == wanted

    @given(trees(*THERE, GONE), trees(*THERE, GONE), trees(*THERE, GONE))
    def test_a_change_is_a_wish_and_nothing_else(
        self, wanted: Tree, before: Tree, after: Tree
    ) -> None:
        absorbed = absorb_nodes(wanted, before, after, everything)
        for path in PATHS:
            changed = before.get(path) != after.get(path)
            assert absorbed.get(path) == (after if changed else wanted).get(path)

    @given(trees(*THERE, GONE), trees(*THERE, GONE), trees(*THERE, GONE))
    def test_twice_is_once(self, wanted: Tree, before: Tree, after: Tree) -> None:
        once = absorb_nodes(wanted, before, after, everything)
        assert absorb_nodes(once, before, after, everything) == once
        assert absorb_nodes(once, after, after, everything) == once

    @given(trees(*THERE, GONE), trees(*THERE), trees(*THERE))
    def test_what_two_roots_record_survives(self, wanted: Tree, one: Tree, other: Tree) -> None:
        """Each of them changes paths that the other doesn't know."""
        ours = {f"/one{path}": node for path, node in one.items()}
        theirs = {f"/other{path}": node for path, node in other.items()}
        absorbed = absorb_nodes(wanted, {}, ours, everything)
        absorbed = absorb_nodes(absorbed, {}, theirs, everything)
        assert absorbed == {**wanted, **ours, **theirs}

    def test_paths_that_are_not_kept_are_left_as_they_are(self) -> None:
        absorbed = absorb_nodes({"/x": A}, {"/x": A, "/y": A}, {"/y": B}, lambda p: p == "/y")
        assert absorbed == {"/x": A, "/y": B}

    def test_nothing_is_changed_in_place(self) -> None:
        wanted = {"/x": A}
        absorb_nodes(wanted, {}, {"/x": B}, everything)
        assert wanted == {"/x": A}


class TestSettle:
    @given(
        trees(*THERE, GONE),
        trees(*THERE, GONE),
        trees(*THERE, GONE),
        st.frozensets(st.sampled_from(PATHS)),
    )
    def test_what_a_restore_did_is_no_wish(
        self, wanted: Tree, before: Tree, after: Tree, touched: frozenset[str]
    ) -> None:
        settled = settle_nodes(before, after, touched)
        absorbed = absorb_nodes(wanted, settled, after, everything)
        for path in PATHS:
            changed = path not in touched and before.get(path) != after.get(path)
            assert absorbed.get(path) == (after if changed else wanted).get(path)


class TestPlan:
    @given(file_systems(), file_systems(), file_systems())
    def test_everything_that_was_recorded_can_be_put_back(
        self, image: Tree, user: Tree, other_image: Tree
    ) -> None:
        """On any image, unless it has something new where a directory would have to go."""
        wanted = listed(user, image)
        here = dict(other_image)
        steps = plan_nodes(wanted, here)
        in_the_way = [
            path
            for path, node in wanted.items()
            if node.kind is not NodeKind.DIRECTORY
            and any(is_below(p, path) and p not in wanted and p != path for p in here)
        ]
        swapped = [
            path
            for path, node in here.items()
            if node != DIRECTORY
            and path not in wanted
            and any(is_below(p, path) and w != GONE for p, w in wanted.items())
        ]
        if in_the_way or swapped:
            return
        after = done(steps, here)
        for path, node in wanted.items():
            assert after.get(path, GONE) == node
        assert {p: n for p, n in after.items() if p not in wanted} == {
            p: n for p, n in here.items() if p not in wanted
        }
        assert plan_nodes(wanted, after) == []

    @given(file_systems(), file_systems())
    def test_on_the_same_image_it_is_as_before(self, image: Tree, user: Tree) -> None:
        wanted = listed(user, image)
        after = done(plan_nodes(wanted, image), image)
        assert after == user
        assert absorb_nodes(wanted, listed(after, image), listed(user, image), everything) == wanted

    @given(trees(*THERE, GONE), trees(*THERE))
    def test_each_path_once_and_only_what_differs(self, wanted: Tree, here: Tree) -> None:
        steps = plan_nodes(wanted, here)
        assert len({step.path for step in steps}) == len(steps)
        for step in steps:
            assert here.get(step.path, GONE) != wanted[step.path]
        assert {step.path for step in steps} <= Plan(tuple(steps)).touches.nodes

    def test_a_time_stamp_is_no_difference(self) -> None:
        assert plan_nodes({"/x": A}, {"/x": Node(*_fields(A), size=7, mtime_ns=7)}) == []

    def test_directories_on_the_way_are_touched(self) -> None:
        touches = Plan((PutNode("/k/a/x", A), DeleteNode("/j/b"))).touches
        assert touches.nodes == {"/k", "/k/a", "/k/a/x", "/j/b"}


def _fields(node: Node) -> tuple[NodeKind, int, str, str, str | None]:
    return node.kind, node.mode, node.owner, node.group, node.sha256


class TestRevert:
    @given(file_systems(), file_systems(), file_systems())
    def test_what_is_new_goes_and_what_was_of_the_image_is_said(
        self, image: Tree, older: Tree, newer: Tree
    ) -> None:
        current, target = listed(newer, image), listed(older, image)
        nodes, stuck = revert_nodes(current, target, image)
        assert nodes.items() >= target.items()
        for path in current.keys() - target.keys():
            if path not in image:
                assert nodes[path] == GONE
            else:
                assert path not in nodes
                assert (path in {e.subject for e in stuck}) == (current[path] != DIRECTORY)

    def test_to_itself(self) -> None:
        nodes = {"/x": A, "/y": GONE}
        assert revert_nodes(nodes, nodes, {"/y"}) == (nodes, [])


class TestBound:
    @given(st.dictionaries(st.sampled_from(PATHS), st.integers(0, 100)), st.integers(-10, 300))
    def test_as_few_as_possible_and_the_rest_fits(self, sizes: dict[str, int], bound: int) -> None:
        left_out = over_the_bound(sizes, bound)
        rest = {path: size for path, size in sizes.items() if path not in left_out}
        assert sum(rest.values()) <= max(bound, 0)
        assert len(set(left_out)) == len(left_out)
        if left_out:
            assert min(sizes[path] for path in left_out) >= max(rest.values(), default=0)
            assert sum(rest.values()) + sizes[left_out[-1]] > bound


@pytest.mark.parametrize(
    ("path", "root", "expected"),
    [
        ("/opt", "/opt", True),
        ("/opt/a", "/opt", True),
        ("/opt/a", "/opt/", True),
        ("/optional", "/opt", False),
        ("/", "/opt", False),
        ("/opt", "/", True),
    ],
)
def test_is_below(path: str, root: str, *, expected: bool) -> None:
    assert is_below(path, root) is expected


def test_without() -> None:
    nodes = {"/opt": DIRECTORY, "/opt/a": A, "/opt-b": A}
    assert without(nodes, "/opt") == {"/opt-b": A}
    assert without(nodes, "/nothing") == nodes

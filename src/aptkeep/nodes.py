"""What is kept below `Aptkeep::Keep`: recording it, and bringing it back. Pure.

Nodes are relative to the image: a path that is as the image has it has none. The same three-way
rule holds as for packages: only what *changed* on a root between two looks becomes a wish.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aptkeep.model import Node, NodeKind, Pending
from aptkeep.plan import DeleteNode, PutNode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    Nodes = Mapping[str, Node]

ON_A_FRESH_ROOT = "what was there before comes back with the next fresh root"
"""Why something is pending that only the image, or a package, has."""


def absorb_nodes(
    wanted: Nodes, before: Nodes, after: Nodes, kept: Callable[[str], bool]
) -> dict[str, Node]:
    """`wanted` with what changed between `before` and `after` at the paths that are `kept`."""
    nodes = dict(wanted)
    for path in before.keys() | after.keys():
        if before.get(path) == after.get(path) or not kept(path):
            continue
        if path in after:
            nodes[path] = after[path]
        else:
            nodes.pop(path, None)
    return nodes


def settle_nodes(before: Nodes, after: Nodes, touched: Collection[str]) -> dict[str, Node]:
    """`before`, as if what a restore did itself had been so all along."""
    settled = {path: node for path, node in before.items() if path not in touched}
    settled.update((path, after[path]) for path in touched if path in after)
    return settled


def plan_nodes(wanted: Nodes, here: Nodes) -> list[PutNode | DeleteNode]:
    """What to do so that each path is as wanted: directories before what is in them, and after.

    `here` has a node for each wanted path where there is anything.
    """
    differing = sorted(path for path, node in wanted.items() if not _is_there(node, here.get(path)))
    put = [PutNode(p, wanted[p]) for p in differing if wanted[p].kind is not NodeKind.GONE]
    delete = [DeleteNode(p) for p in reversed(differing) if wanted[p].kind is NodeKind.GONE]
    return [*delete, *put]


def _is_there(wanted: Node, here: Node | None) -> bool:
    if wanted.kind is NodeKind.GONE:
        return here is None or here.kind is NodeKind.GONE
    return wanted == here


def revert_nodes(
    current: Nodes, target: Nodes, of_others: Collection[str]
) -> tuple[dict[str, Node], list[Pending]]:
    """`target`, with a deletion for all that only `current` wants; and what can't be undone here.

    `of_others`: paths that the image of this root or a package brings; what was there before is not
    kept anywhere.
    """
    nodes = dict(target)
    stuck = []
    for path, node in current.items():
        if path in target:
            continue
        if path not in of_others:
            nodes[path] = Node(NodeKind.GONE)
        elif node.kind is not NodeKind.DIRECTORY:
            stuck.append(Pending(path, ON_A_FRESH_ROOT))
    return nodes, stuck


def over_the_bound(sizes: Mapping[str, int], bound: int) -> list[str]:
    """The largest files, as few as possible, without which the rest takes no more than `bound`."""
    excess = sum(sizes.values()) - bound
    left_out = []
    for path in sorted(sizes, key=lambda path: (-sizes[path], path)):
        if excess <= 0:
            break
        left_out.append(path)
        excess -= sizes[path]
    return left_out


def without(nodes: Nodes, path: str) -> dict[str, Node]:
    """`nodes` less what is at `path` and below it."""
    return {p: node for p, node in nodes.items() if not is_below(p, path)}


def is_below(path: str, root: str) -> bool:
    """Whether `path` is `root` or somewhere below it."""
    return path == root or path.startswith(root.rstrip("/") + "/")

"""What two manifests wish differently, and a wish in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from aptkeep.model import FileGone, KeptFile, NodeKind, OwnDeb, PackageWish, Selection
from aptkeep.words import size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aptkeep.model import Manifest, Node

KEPT_PATH = "kept-path"
"""The kind of a wish about a path below `Aptkeep::Keep`."""
_NONE: Mapping[str, Node] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Wish:
    """One entry of a manifest in words."""

    kind: str
    """`package`, `architecture`, `source`, `preferences`, `key`, `kept-path`…"""
    name: str
    text: str
    """`install 1.2-3, automatic`; `deinstall`; `added`; `kept (0644, sha256 1a2b3c4d5e6f)`…"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A subject on which two manifests differ; None: it has no entry."""

    kind: str
    name: str
    old: str | None
    new: str | None


def wishes(manifest: Manifest, nodes: Mapping[str, Node] = _NONE) -> Iterator[Wish]:
    """Everything that a manifest wishes: architectures, files, packages, paths, each by name.

    `nodes` are those of its tree.
    """
    for name, wanted in sorted(manifest.architectures.items()):
        yield Wish("architecture", name, "added" if wanted else "removed")
    for path, kept in sorted(manifest.files.items()):
        yield Wish("file" if isinstance(kept, FileGone) else kept.kind.value, path, _file(kept))
    for name, wish in sorted(manifest.packages.items()):
        yield Wish("package", name, _package(wish))
    for path, node in sorted(nodes.items()):
        yield Wish(KEPT_PATH, path, _node(node))


def differences(
    old: Manifest,
    new: Manifest,
    old_nodes: Mapping[str, Node] = _NONE,
    new_nodes: Mapping[str, Node] = _NONE,
) -> list[Difference]:
    """What changed from `old` to `new`, with the nodes of their trees."""
    before = {_subject(wish): wish for wish in wishes(old, old_nodes)}
    after = {_subject(wish): wish for wish in wishes(new, new_nodes)}
    found = []
    for subject in sorted(before.keys() | after.keys()):
        was, now = before.get(subject), after.get(subject)
        if was != now:
            kind = now.kind if now is not None else subject[0]
            kind = was.kind if was is not None and kind == "file" else kind
            texts = (wish.text if wish is not None else None for wish in (was, now))
            found.append(Difference(kind, subject[1], *texts))
    return found


def _subject(wish: Wish) -> tuple[str, str]:
    """What makes two wishes be about the same thing: a file may change its kind, or go."""
    own = wish.kind in ("package", "architecture", KEPT_PATH)
    return wish.kind if own else "file", wish.name


def _package(wish: PackageWish) -> str:
    words: list[Any] = []
    if wish.absent:
        return "hold, not installed"
    if wish.selection is not None:
        words.append(wish.selection.value)
    if wish.version is not None:
        words.append(wish.version if words else f"version {wish.version}")
    text = " ".join(words)
    if wish.auto is not None and wish.selection in (None, Selection.INSTALL, Selection.HOLD):
        text = (
            f"{text}, {'automatic' if wish.auto else 'manual'}"
            if text
            else (f"marked {'automatic' if wish.auto else 'manual'}")
        )
    return f"{text}, {_DEBS[wish.deb]}" if wish.deb is not None else text


_DEBS = {OwnDeb.LOCAL: "from a local file", OwnDeb.REBUILT: "rebuilt by dpkg-repack"}


def _node(node: Node) -> str:
    if node.kind is NodeKind.GONE:
        return "deleted"
    whose = f"{node.owner}:{node.group}"
    if node.kind is NodeKind.LINK:
        return f"link to {node.target} ({whose})"
    if node.kind is NodeKind.DIRECTORY:
        return f"directory (mode {node.mode:04o}, {whose})"
    capable = ", with capabilities" if node.capabilities else ""
    content = f"{size(node.size)}, sha256 {str(node.sha256)[:12]}"
    return f"file (mode {node.mode:04o}, {whose}, {content}{capable})"


def _file(kept: KeptFile | FileGone) -> str:
    if isinstance(kept, FileGone):
        return "deleted"
    return f"kept (mode {kept.mode:04o}, sha256 {kept.sha256[:12]})"

"""What two manifests wish differently, and a wish in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aptkeep.model import FileGone, KeptFile, OwnDeb, PackageWish, Selection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aptkeep.model import Manifest


@dataclass(frozen=True, slots=True)
class Wish:
    """One entry of a manifest in words."""

    kind: str
    """`package`, `architecture`, `source`, `preferences`, `key`…"""
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


def wishes(manifest: Manifest) -> Iterator[Wish]:
    """Everything that a manifest wishes: architectures, files, then packages, each by name."""
    for name, wanted in sorted(manifest.architectures.items()):
        yield Wish("architecture", name, "added" if wanted else "removed")
    for path, kept in sorted(manifest.files.items()):
        yield Wish("file" if isinstance(kept, FileGone) else kept.kind.value, path, _file(kept))
    for name, wish in sorted(manifest.packages.items()):
        yield Wish("package", name, _package(wish))


def differences(old: Manifest, new: Manifest) -> list[Difference]:
    """What changed from `old` to `new`."""
    before = {_subject(wish): wish for wish in wishes(old)}
    after = {_subject(wish): wish for wish in wishes(new)}
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
    return wish.kind if wish.kind in ("package", "architecture") else "file", wish.name


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


def _file(kept: KeptFile | FileGone) -> str:
    if isinstance(kept, FileGone):
        return "deleted"
    return f"kept (mode {kept.mode:04o}, sha256 {kept.sha256[:12]})"

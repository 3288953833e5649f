"""`Aptkeep::Keys::Relocate "rewrite"`: sources name the copies of their keys in the home.

On the hook path, where the setting asks for it: a source that is new is rewritten, once, to name
the copy of its key in the store, and from then on needs nothing outside the home. Before apt uses
such copies they are compared with what was recorded.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from aptkeep import files
from aptkeep.errors import CorruptError
from aptkeep.machine import configuration_files, sources
from aptkeep.model import FileKind, KeptFile, Manifest, Observation
from aptkeep.store import kept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aptkeep.machine.observe import Snapshot
    from aptkeep.store.tree import Directory


def to_relocate(snapshot: Snapshot, baseline: Observation) -> dict[str, set[str]]:
    """The keyrings to relocate, by the source that names them.

    The image's own sources, and keyrings that a package ships and upgrades, stay as they are.
    """
    found = snapshot.observation.files
    result = {}
    for path, source in found.items():
        if source.kind is not FileKind.SOURCE or source == baseline.files.get(path):
            continue
        named = sources.keyrings(path, snapshot.contents[source.sha256])
        own = {k for k in named if k in found and _is_loose(found[k])}
        if own:
            result[path] = own
    return result


def _is_loose(keyring: KeptFile) -> bool:
    return keyring.kind is FileKind.KEY and keyring.package is None


def unreadable_for_apt(store_path: str) -> str | None:
    """The directory that keeps apt's `_apt` user from reading the store; None: it can."""
    current = store_path
    while True:
        if not os.stat(current).st_mode & 0o001:
            return current
        parent = os.path.dirname(current)
        if parent == current:
            return None
        current = parent


def relocate(store: Directory, snapshot: Snapshot, todo: Mapping[str, set[str]]) -> None:
    """Copy the keyrings into the store, then rewrite the sources to name the copies."""
    for path, keyrings in todo.items():
        copies = {}
        for keyring in keyrings:
            found = snapshot.observation.files[keyring]
            kept.put(store, keyring, found, snapshot.contents[found.sha256])
            copies[keyring] = os.path.join(store.path, *kept.location(keyring, found))
        source = snapshot.observation.files[path]
        content = snapshot.contents[source.sha256]
        configuration_files.put(path, rewritten(path, content, copies), source.mode)


def rewritten(path: str, content: bytes, copies: Mapping[str, str]) -> bytes:
    """A source with each keyring in `Signed-By` replaced by its copy; no other byte changes."""
    lines = content.split(b"\n")
    inside = False  # of a Signed-By field, which may go on over several lines
    for number, line in enumerate(lines):
        if not path.endswith(".sources"):
            lines[number] = _in_options(line, copies)
            continue
        if line.startswith(b"#"):
            continue
        if line[:1] not in (b" ", b"\t"):
            inside = line.lower().startswith(b"signed-by:")
        if inside:
            lines[number] = _replaced(line, copies, b" \t\r,:")
    return b"\n".join(lines)


def _in_options(line: bytes, copies: Mapping[str, str]) -> bytes:
    """One line of a one-line source: only what stands between its brackets can change."""
    head, bracket, rest = line.partition(b"[")
    if head.strip() not in (b"deb", b"deb-src"):
        return line
    options, end, tail = rest.partition(b"]")
    return head + bracket + _replaced(options, copies, b" \t,=") + end + tail


def _replaced(text: bytes, copies: Mapping[str, str], separators: bytes) -> bytes:
    """`text` with every word that is a keyring's path replaced; words end at a separator."""
    result, word = bytearray(), bytearray()
    for octet in text + separators[:1]:
        if octet in separators:
            path = os.path.normpath(os.fsdecode(bytes(word))) if word[:1] == b"/" else ""
            result += os.fsencode(copies[path]) if path in copies else word
            result.append(octet)
            word.clear()
        else:
            word.append(octet)
    return bytes(result[:-1])


def altered_copies(store: Directory, home: str, manifest: Manifest) -> list[str]:
    """Move aside the copies that sources name and that aren't what was recorded; say which.

    apt finds no key there then, and verifies nothing with a wrong one.
    """
    said = []
    below = store.path + "/"
    for path, wish in manifest.files.items():
        if not isinstance(wish, KeptFile) or wish.kind is not FileKind.HOME_KEY:
            continue
        if not path.startswith(below):
            continue
        try:
            content, _mode = files.read_beneath(home, os.path.relpath(path, home), 1 << 24)
        except OSError:
            continue  # gone: apt says so
        if hashlib.sha256(content).hexdigest() != wish.sha256:
            subdirectory, name = kept.location(path, wish)
            with store.subdirectory(subdirectory) as directory:
                directory.rename(name, f"{name}.altered")
            trouble = CorruptError(
                f"the key {path} is not what was recorded",
                details=f"it was moved to {name}.altered, and apt can't use it",
                resolution="put the vendor's key there again, or forget the source",
            )
            said.append(trouble.one_line())
    return said

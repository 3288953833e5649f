"""The kept files: sources and preferences by SHA-256, keyrings under names that people recognise.

On the hook path.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING

from aptkeep.errors import CorruptError
from aptkeep.model import KEYRINGS, FileKind, KeptFile

if TYPE_CHECKING:
    from aptkeep.store.tree import Directory

_FILES, _KEYRINGS = SUBDIRECTORIES = ("files", "keyrings")
_LIMIT = 16 * 1024 * 1024


def location(path: str, kept: KeptFile) -> tuple[str, str]:
    """Directory and name in the store: `files`, SHA-256; or `keyrings`, `redis.1a2b3c4d5e6f.gpg`.

    The name follows from path and content, so a keyring that changed never replaces the old one.
    """
    if kept.kind not in KEYRINGS:
        return _FILES, kept.sha256
    stem, suffix = os.path.splitext(os.path.basename(path))
    if stem.endswith(f".{kept.sha256[:12]}"):
        return _KEYRINGS, os.path.basename(path)  # a source that names the copy itself
    readable = re.sub(r"[^A-Za-z0-9+._-]", "_", stem).lstrip(".")[:100] or "key"
    suffix = re.sub(r"[^A-Za-z0-9.]", "_", suffix)[:20]
    return _KEYRINGS, f"{readable}.{kept.sha256[:12]}{suffix}"


def put(store: Directory, path: str, kept: KeptFile, content: bytes) -> None:
    """Keep `content`; readable by root alone where the file itself was."""
    subdirectory, name = location(path, kept)
    with store.subdirectory(subdirectory, create=True) as directory:
        directory.remove_unfinished()
        private = kept.kind is FileKind.CREDENTIALS or not kept.mode & 0o004
        there = directory.has(name) and _sha256(directory.read(name, _LIMIT)) == kept.sha256
        if private or not there:
            directory.write(name, content, 0o600 if private else 0o644)


class AlteredError(CorruptError):
    """A copy that isn't what was kept any more; `content` is what it is now."""

    def __init__(self, content: bytes, brief: str, **more: str) -> None:
        super().__init__(brief, **more)
        self.content = content


def get(store: Directory, path: str, kept: KeptFile) -> bytes:
    """What was kept of `path`; AlteredError where it isn't there or isn't what was kept."""
    subdirectory, name = location(path, kept)
    shown = f"{store.path}/{subdirectory}/{name}"
    try:
        with store.subdirectory(subdirectory) as directory:
            content = directory.read(name, _LIMIT)
    except FileNotFoundError:
        raise _altered(b"", path, shown, "it is gone") from None
    found = _sha256(content)
    if found != kept.sha256:
        reason = f"its SHA-256 is {found}, recorded was {kept.sha256}"
        raise _altered(content, path, shown, reason)
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _altered(content: bytes, path: str, shown: str, reason: str) -> AlteredError:
    return AlteredError(
        content,
        f"the kept copy of {path} can't be used: {shown}: {reason}",
        details=f"{path} was not put back",
        resolution=f"write {path} again; the next apt run keeps it",
    )

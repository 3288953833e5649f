"""Putting kept files back where apt expects them, and deleting those that were deleted."""

from __future__ import annotations

import contextlib
import os

from aptkeep import files


def put(path: str, content: bytes, mode: int) -> None:
    """Write a file of apt's, whole or not at all, in directories that are made where missing.

    A keyring or source that only root could read would be of no use to apt's `_apt` user, and
    is kept as it was.
    """
    parent, name = os.path.split(path)
    os.makedirs(parent, mode=0o755, exist_ok=True)
    with files.directory(parent) as directory:
        files.remove_unfinished(directory, among_others=True)
        files.write_atomically(directory, name, content, mode)


def delete(path: str) -> None:
    """Delete a file that may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)

"""Directories for one run of the tests, on the disk of the cache.

Overlayfs wants its upper directory on a real file system, and /tmp may be a small one. What a
killed run left behind is removed by the next one: each run holds a lock on its directory, and a
directory that nobody holds is nobody's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from testbed.files import remove_tree
from testbed.images import cache_directory


@contextlib.contextmanager
def session_directory() -> Iterator[Path]:
    """A directory that is gone at the end, or at the next run if this one is killed."""
    parent = cache_directory() / "scratch"
    parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(parent)
    with _locked_file(parent) as lock_file:
        directory = lock_file.with_suffix("")
        directory.mkdir(mode=0o755)
        try:
            yield directory
        finally:
            remove_tree(directory)
            lock_file.unlink()


@contextlib.contextmanager
def _locked_file(parent: Path) -> Iterator[Path]:
    """A new file that is locked; another run may take it for abandoned before it is."""
    while True:
        descriptor, name = tempfile.mkstemp(suffix=".lock", dir=parent)
        with open(descriptor, "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                yield Path(name)
                return


def _remove_abandoned(parent: Path) -> None:
    for lock_file in parent.glob("*.lock"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), lock_file.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(lock_file.with_suffix(""))
            lock_file.unlink()

"""Directories for one run of the tests, on the disk of the cache.

Overlayfs wants its upper directory on a real file system, and /tmp may be a small one. What a
killed run left behind is removed by the next one: each run holds a lock on its directory, and a
directory that nobody holds is nobody's.
"""

from __future__ import annotations

import contextlib
import fcntl
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
    directory = Path(tempfile.mkdtemp(dir=parent))
    directory.chmod(0o755)
    with _lock_file(directory).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield directory
        finally:
            remove_tree(directory)
            _lock_file(directory).unlink()


def _lock_file(directory: Path) -> Path:
    return directory.with_suffix(".lock")


def _remove_abandoned(parent: Path) -> None:
    for lock_file in parent.glob("*.lock"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), lock_file.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(lock_file.with_suffix(""))
            lock_file.unlink()

"""A store in a home of the user who runs the tests: `owner` stands in for root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aptkeep.store.tree import Directory, open_store

RELATIVE = ".local/share/aptkeep"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home."""
    directory = tmp_path / "home"
    directory.mkdir()
    return directory


@pytest.fixture
def store_path(home: Path) -> Path:
    """Where the store in that home lies, whether or not it's there."""
    return home / RELATIVE


@pytest.fixture
def store(home: Path) -> Iterator[Directory]:
    """An open, empty store."""
    old = os.umask(0o022)
    try:
        with open_store(str(home), RELATIVE, create=True, owner=os.getuid()) as opened:
            yield opened
    finally:
        os.umask(old)

"""Every test of the machine has a root in a directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.machine.fake_root import FakeRoot


@pytest.fixture
def root(tmp_path: Path) -> FakeRoot:
    """An empty root."""
    directory = tmp_path / "root"
    directory.mkdir()
    return FakeRoot(directory)

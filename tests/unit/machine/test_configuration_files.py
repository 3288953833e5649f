"""Putting kept files back where apt expects them, and deleting those that were deleted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aptkeep.machine import configuration_files


@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_a_file_is_put_with_its_mode_in_directories_that_are_made(
    tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "etc/apt/keyrings/vendor.asc"
    old = os.umask(0o022)
    try:
        configuration_files.put(str(path), b"key", mode)
    finally:
        os.umask(old)
    assert path.read_bytes() == b"key"
    assert path.stat().st_mode & 0o777 == mode
    assert path.parent.stat().st_mode & 0o777 == 0o755


def test_a_file_that_is_there_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "sources.list"
    path.write_text("old", encoding="ascii")
    path.chmod(0o600)
    configuration_files.put(str(path), b"new", 0o644)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["sources.list"]


def test_deleting(tmp_path: Path) -> None:
    (tmp_path / "sources.list").touch()
    configuration_files.delete(str(tmp_path / "sources.list"))
    assert os.listdir(tmp_path) == []
    configuration_files.delete(str(tmp_path / "sources.list"))
    configuration_files.delete(str(tmp_path / "no/such/directory/sources.list"))


def test_what_can_not_be_put_says_why(tmp_path: Path) -> None:
    (tmp_path / "etc").touch()
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        configuration_files.put(str(tmp_path / "etc/apt/sources.list"), b"", 0o644)

"""What others than root could change is seen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aptkeep.machine.tools.trust import only_roots


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes what is only root's")
def test_only_what_nobody_else_can_change_is_only_roots(tmp_path: Path) -> None:
    # The directory above is everybody's: so what counts is relative to it.
    assert not only_roots(str(tmp_path / "missing"))
    assert only_roots("/usr/bin/env")
    everybodys = tmp_path / "program"
    everybodys.touch()
    everybodys.chmod(0o757)
    assert not only_roots(str(everybodys))


def test_a_link_is_followed_and_each_step_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/a/link → /b/link → /a/file: who may write in /b decides what /a/link is."""
    real_lstat = os.lstat
    writable = {str(tmp_path / "b")}

    def lstat(path: str) -> os.stat_result:
        found = real_lstat(path)
        mode = (found.st_mode & ~0o022) | (0o002 if path in writable else 0)
        return os.stat_result((mode, *found[1:4], 0, 0, *found[6:]))

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "a/file").touch()
    (tmp_path / "b/link").symlink_to(tmp_path / "a/file")
    (tmp_path / "a/link").symlink_to("../b/link")
    monkeypatch.setattr(os, "lstat", lstat)
    assert only_roots(str(tmp_path / "a/file"))
    assert not only_roots(str(tmp_path / "a/link"))
    writable.clear()
    assert only_roots(str(tmp_path / "a/link"))

"""Looking for changed files with the real find(1), in a directory instead of a root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aptkeep.machine import changed

ODD = (b"new\nline", b"\xff\xfe", b"sp ace", b"-name", b"[a-z]*", b"back\\slash", "ü".encode())


def paths(root: Path, since: int, **more: list[str]) -> set[str]:
    """What was changed, relative to the root."""
    return {file.path for file in changed.find(since, root=str(root), **more).files}


def test_a_file_of_that_very_moment_counts_and_one_of_the_moment_before_does_not(
    tmp_path: Path,
) -> None:
    """The kernel's clock may give the baseline and the next file the same time."""
    file = tmp_path / "file"
    file.touch()
    at = file.stat().st_ctime_ns
    assert paths(tmp_path, at) == {"/file"}
    assert paths(tmp_path, at + 1) == set()


def test_files_and_links_of_any_name(tmp_path: Path) -> None:
    for name in ODD:
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_bytes(name)
    (tmp_path / "link").symlink_to("to nowhere")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    found = {file.path: file for file in changed.find(0, root=str(tmp_path)).files}
    assert set(found) == {"/link", *(os.fsdecode(b"/" + name) for name in ODD)}
    assert all(found[os.fsdecode(b"/" + name)].size == len(name) for name in ODD)
    assert found["/link"].link
    assert [file.path for file in changed.find(0, root=str(tmp_path)).files] == sorted(found)


@pytest.mark.parametrize("name", ["home", "[h]ome", "ho*", "h?me", "h\\ome"])
def test_what_is_elsewhere_is_passed_over_by_its_very_name(tmp_path: Path, name: str) -> None:
    for directory in {"home", "hole", "h", name}:
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "file").touch()
    rest = {f"/{directory}/file" for directory in {"home", "hole", "h"} - {name}}
    assert paths(tmp_path, 0, elsewhere=[f"/{name}"]) == rest


def test_what_is_written_in_passing_is_left_out(tmp_path: Path) -> None:
    places = ["etc/resolv.conf", "etc/x", "var/cache/x", "var/cachex", "var/spool/mail/x"]
    places += ["var/spool/cron/crontabs/x", "opt/__pycache__/x", "root/.bash_history", "etc/bound"]
    for place in places:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    assert paths(tmp_path, 0, mounted=["/etc/bound"]) == {
        *("/etc/x", "/var/cachex", "/var/spool/cron/crontabs/x")
    }

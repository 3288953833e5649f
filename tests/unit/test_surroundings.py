"""What root takes from whoever called: how to speak, and nothing that leads anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aptkeep.surroundings import PATH, is_roots, settle

HOSTILE = {
    "PATH": "/home/x/bin",
    "HOME": "/home/x",
    "IFS": "/",
    "ENV": "/home/x/env",
    "BASH_ENV": "/home/x/env",
    "LD_PRELOAD": "/home/x/evil.so",
    "LD_LIBRARY_PATH": "/home/x",
    "PYTHONPATH": "/home/x",
    "PERL5LIB": "/home/x",
    "GNUPGHOME": "/home/x",
    "XDG_CONFIG_HOME": "/home/x",
    "TMPDIR": "/home/x",
}
HARMLESS = {
    "LANG": "de_DE.UTF-8",
    "LC_ALL": "C",
    "TERM": "xterm",
    "https_proxy": "http://proxy:1",
    "SUDO_UID": "1000",
    "APT_CONFIG": "/etc/apt/other.conf",
    "DPKG_FRONTEND_LOCKED": "true",
}


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "environ", {**HOSTILE, **HARMLESS})


def test_root_takes_over_how_to_speak_and_nothing_else(as_root: None) -> None:
    before = os.umask(0o077)
    try:
        settle()
        assert os.environ == {**HARMLESS, "PATH": PATH, "HOME": "/root"}
        assert os.umask(0) == 0o022
    finally:
        os.umask(before)


def test_a_temporary_directory_of_roots_own_is_used(as_root: None) -> None:
    os.environ["TMPDIR"] = "/usr"
    settle()
    assert os.environ["TMPDIR"] == "/usr"


def test_others_keep_what_is_theirs(as_root: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    settle()
    assert {**HOSTILE, **HARMLESS}.items() <= os.environ.items()


@pytest.mark.parametrize("path", ["/", "/usr", "/etc/apt", "/tmp", "/proc/self/root/usr"])  # noqa: S108
def test_what_only_root_can_replace(path: str) -> None:
    assert is_roots(path)


@pytest.mark.parametrize("path", ["", "usr", ".", "/nowhere", "/etc/passwd", "/usr/../nowhere"])
def test_what_is_no_directory_of_roots(path: str) -> None:
    assert not is_roots(path)


def test_what_somebody_else_could_replace(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/usr")
    assert is_roots(str(tmp_path / "link"))  # what it leads to is root's
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    (shared / "below").mkdir()
    assert not is_roots(str(shared))
    assert not is_roots(str(shared / "below"))

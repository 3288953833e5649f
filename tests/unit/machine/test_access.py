"""Whether an account can read a file."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from aptkeep.machine import access

_ME = pwd.getpwuid(os.getuid())
_NOBODY = "nobody"
"""An account to which nothing belongs."""


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A file in a directory; what's above may be closed to others, but not to us."""
    path = tmp_path / "directory/key.asc"
    path.parent.mkdir()
    path.touch()
    return path


def test_what_is_open_to_all_keeps_nobody_out() -> None:
    assert access.closed("/etc/passwd", _NOBODY) is None
    assert access.closed("/", _NOBODY) is None


def test_the_first_closed_directory_is_named(key: Path) -> None:
    key.chmod(0)
    key.parent.chmod(0o755)
    opened = [p for p in key.parents if p.stat().st_mode & 0o001]
    outermost = [p for p in key.parents if p not in opened][::-1]
    assert access.closed(str(key), _NOBODY) == str((outermost or [key])[0])


def test_roots_and_unknown_accounts_are_kept_out_by_nothing(key: Path) -> None:
    key.chmod(0)
    assert access.closed(str(key), "root") is None
    assert access.closed(str(key), "an-account-that-nobody-has") is None
    assert access.closed("/not/there", _NOBODY) is None


@pytest.mark.skipif(os.getuid() == 0, reason="root is kept out by nothing")
def test_the_owner_goes_by_its_own_rights(key: Path) -> None:
    key.chmod(0o044)
    assert access.closed(str(key), _ME.pw_name) == str(key)
    key.chmod(0o400)
    assert access.closed(str(key), _ME.pw_name) is None

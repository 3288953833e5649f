"""Whether a place outlives the root file system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aptkeep.doctor import places
from aptkeep.machine.mounts import Mounts
from aptkeep.machine.tools import Destination


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home on a volume, and a link out of it."""
    made = tmp_path / "home"
    made.mkdir()
    (made / "out").symlink_to(tmp_path / "root")
    (tmp_path / "in").symlink_to(made)
    return made


def survives(home: Path, path: Path | None, *, volume: bool = True) -> bool | None:
    """Whether an installation at `path` survives; `kept` is, and `data` is a volume."""
    top = home.parent
    points = [top / "data", *([home] if volume else [])]
    table = "".join(f"1 1 8:1 / {point} rw - ext4 /dev/sda1 rw\n" for point in points)
    answer = Destination("pip", "u", None if path is None else str(path), "pip")
    (place,) = places.judged([answer], str(home), Mounts(table), {str(top / "kept")})
    return place.survives


def test_where_things_survive(home: Path) -> None:
    top = home.parent
    assert survives(home, home / ".local/lib")
    assert survives(home, top / "in/.local")
    assert survives(home, top / "kept/lib")
    assert survives(home, top / "data/lib")
    assert survives(home, top / "root/lib") is False
    assert survives(home, home / "out/lib") is False
    assert survives(home, None) is None


def test_a_home_that_goes_itself(home: Path) -> None:
    assert survives(home, home / ".local/lib", volume=False) is False


def test_who_is_asked(home: Path) -> None:
    found = places.users(str(home))
    assert len(found) == 1
    if os.geteuid() == 0:
        assert found == ["root"]

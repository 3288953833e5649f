"""The log in the store."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aptkeep.store import log
from aptkeep.store.tree import Directory


def logged(store_path: Path) -> list[str]:
    """The lines of the log, without their times."""
    text = (store_path / "log").read_text(encoding="utf-8")
    assert text.endswith("\n")
    lines = text.split("\n")[:-1]
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line) for line in lines)
    return [line.partition(" ")[2] for line in lines]


def test_one_entry_is_one_line(store: Directory, store_path: Path) -> None:
    log.append(store, "recorded generation 1")
    log.append(store, "restored generation 1: 0 pending")
    assert logged(store_path) == ["recorded generation 1", "restored generation 1: 0 pending"]


@pytest.mark.parametrize("forged", ["a\n2026-11-24T06:00:00Z b", "a\r\nb", "a\x85b\u2028c\x0bd"])
def test_no_entry_forges_another(store: Directory, store_path: Path, forged: str) -> None:
    log.append(store, forged)
    (line,) = logged(store_path)
    assert len(line.splitlines()) == 1


def test_nothing_in_it_moves_a_terminal(store: Directory, store_path: Path) -> None:
    log.append(store, "apt install \x1b]0;title\x07\x1b[2J\udcff")
    assert logged(store_path) == [r"apt install \x1b]0;title\x07\x1b[2J\udcff"]


def test_an_entry_has_an_end(store: Directory, store_path: Path) -> None:
    log.append(store, "x" * 100_000)
    (line,) = logged(store_path)
    assert len(line) <= 1000


def test_the_log_does_not_grow_for_ever(store: Directory, store_path: Path) -> None:
    for _ in range(3000):
        log.append(store, "x" * 1000)
    assert sum(path.stat().st_size for path in store_path.iterdir()) < 3 << 20


def test_a_time_is_utc_to_the_second() -> None:
    assert log.timestamp(1_795_500_210.9) == "2026-11-24T06:03:30Z"

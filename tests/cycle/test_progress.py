"""A bar in a terminal, lines elsewhere."""

from __future__ import annotations

import re

import pytest

from cycle.conftest import KEY, SOURCE, Prepare
from cycle.keeping import aptkeep, document, newest, start
from testbed.images import HOME
from testbed.packages import TinyPackage
from testbed.workstation import Workstation

NAMES = ("alpha", "beta", "gamma")
_BAR = re.compile(r"\r\x1b\[K\[(#*)(\.*)\] +(\d+)% ([^\r]*)")


@pytest.fixture
def fresh(prepare: Prepare) -> Workstation:
    """On a fresh root."""
    command = f"apt-get install -qy {' '.join(NAMES)}"
    return prepare(*map(TinyPackage, NAMES), commands=[command], fresh=True)


def restored(machine: Workstation) -> str:
    return f"aptkeep: generation {newest(machine)['generation']} is restored."


def test_bar_in_a_terminal(fresh: Workstation) -> None:
    shown = fresh.run_tty("aptkeep", "start").stdout
    bars = _BAR.findall(shown)
    assert {len(full) + len(empty) for full, empty, _, _ in bars} == {20}
    percents = [int(percent) for _, _, percent, text in bars if "Installing" in text]
    assert max(percents) >= 90
    assert len(set(percents)) > 3
    assert any("alpha" in text for _, _, _, text in bars)
    # What stays on the screen is a line for each step and what came of it.
    final = [re.sub(r".*\r\x1b\[K", "", line) for line in shown.split("\r\n")]
    assert final == [
        "Putting back 2 files of apt's configuration",
        "Fetching the package lists",
        "Installing 3 packages",
        restored(fresh),
        "",
    ]
    drawn = re.split(r"\r\n|\r\x1b\[K", shown)
    assert max(map(len, drawn)) < 80


def test_lines_without_a_terminal(fresh: Workstation) -> None:
    result = start(fresh)
    assert result.stdout == f"{restored(fresh)}\n"
    assert result.stderr.splitlines() == [
        "aptkeep: Putting back 2 files of apt's configuration",
        "aptkeep: Fetching the package lists",
        "aptkeep: Installing 3 packages",
    ]


def test_json_without_anything_else_on_standard_output(fresh: Workstation) -> None:
    shown = document(fresh, "start")
    assert shown["generation"] == newest(fresh)["generation"]
    assert shown["pending"] == []
    assert {step["name"] for step in shown["steps"] if step["step"] == "install"} == set(NAMES)
    assert document(fresh, "start")["steps"] == []


def test_status_for_programs(fresh: Workstation) -> None:
    shown = document(fresh, "status", code=1)
    assert shown.keys() >= {
        *("home", "store", "started", "restoring", "generation"),
        *("wanted", "present", "pending", "unrecorded", "warnings"),
    }
    assert (shown["home"], shown["started"], shown["restoring"]) == (HOME, False, False)
    assert shown["store"] == f"{HOME}/.local/share/aptkeep"
    assert {entry["name"] for entry in shown["wanted"]} == {SOURCE, KEY, *NAMES}
    start(fresh)
    shown = document(fresh, "status")
    assert shown["started"]
    assert shown["present"] == shown["wanted"]
    assert {"kind": "package", "name": "beta", "wish": "install 1.0, manual"} in shown["wanted"]


def test_status_in_words(fresh: Workstation) -> None:
    start(fresh)
    lines = aptkeep(fresh, "status").stdout.splitlines()
    assert lines[0] == "home        /home/bench-user"
    assert lines[1].startswith(f"generation  {newest(fresh)['generation']}, recorded 20")
    assert lines[2:] == ["wanted      1 key, 1 source, 3 packages", "present     5 of 5"]
    fresh.run("apt-mark", "hold", "alpha")
    assert aptkeep(fresh, "status").stdout.splitlines()[-2:] == [
        "unrecorded  ~ package alpha: install 1.0, manual -> hold 1.0, manual",
        "            the next apt run, or 'aptkeep record', records it",
    ]

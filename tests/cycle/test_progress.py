"""A bar in a terminal, lines elsewhere."""

from __future__ import annotations

import re

import pytest

from cycle.conftest import Prepare
from cycle.keeping import aptkeep, document, newest, start
from testbed.packages import TinyPackage
from testbed.workstation import Workstation

NAMES = ("alpha", "beta", "gamma")
_BAR = re.compile(r"\r\x1b\[K\[(#*)(\.*)\] +(\d+)% ([^\r]*)")


@pytest.fixture
def used(prepare: Prepare) -> Workstation:
    """On a fresh root."""
    command = f"apt-get install -qy {' '.join(NAMES)}"
    return prepare(*map(TinyPackage, NAMES), commands=[command], fresh=True)


def restored(machine: Workstation) -> str:
    return f"aptkeep: generation {newest(machine)['generation']} is restored."


def test_bar_in_a_terminal(used: Workstation) -> None:
    shown = used.run_tty("aptkeep", "start").stdout
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
        restored(used),
        "",
    ]
    drawn = re.split(r"\r\n|\r\x1b\[K", shown)
    assert max(map(len, drawn)) < 80


def test_lines_without_a_terminal(used: Workstation) -> None:
    result = start(used)
    assert result.stdout == f"{restored(used)}\n"
    assert result.stderr.splitlines() == [
        "aptkeep: Putting back 2 files of apt's configuration",
        "aptkeep: Fetching the package lists",
        "aptkeep: Installing 3 packages",
    ]


def test_json_without_anything_else_on_standard_output(used: Workstation) -> None:
    shown = document(used, "start")
    assert shown["generation"] == newest(used)["generation"]
    assert shown["pending"] == []
    assert {step["name"] for step in shown["steps"] if step["step"] == "install"} == set(NAMES)
    assert document(used, "start")["steps"] == []


def test_status_in_words(used: Workstation) -> None:
    start(used)
    lines = aptkeep(used, "status").stdout.splitlines()
    assert lines[0] == "home        /home/bench-user"
    assert lines[1].startswith(f"generation  {newest(used)['generation']}, recorded 20")
    assert lines[2:] == ["wanted      1 key, 1 source, 3 packages", "present     5 of 5"]
    used.run("apt-mark", "hold", "alpha")
    assert aptkeep(used, "status").stdout.splitlines()[-2:] == [
        "unrecorded  ~ package alpha: install 1.0, manual -> hold 1.0, manual",
        "            the next apt run, or 'aptkeep record', records it",
    ]

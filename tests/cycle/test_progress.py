"""A bar in a terminal, lines elsewhere."""

from __future__ import annotations

import re

import pytest

from cycle.keeping import add_source, aptkeep, document, install, start
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

NAMES = ("alpha", "beta", "gamma")
_BAR = re.compile(r"\r\x1b\[K\[(#*)(\.*)\] +(\d+)% ([^\r]*)")


@pytest.fixture
def used(machine: Workstation, repository: Repository) -> Workstation:
    repository.publish(*map(TinyPackage, NAMES))
    add_source(machine, repository)
    install(machine, *NAMES)
    machine.stop()
    return machine.boot()


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
        "aptkeep: generation 2 is restored.",
        "",
    ]
    drawn = re.split(r"\r\n|\r\x1b\[K", shown)
    assert max(map(len, drawn)) < 80


def test_lines_without_a_terminal(used: Workstation) -> None:
    result = start(used)
    assert result.stdout == "aptkeep: generation 2 is restored.\n"
    assert result.stderr.splitlines() == [
        "aptkeep: Putting back 2 files of apt's configuration",
        "aptkeep: Fetching the package lists",
        "aptkeep: Installing 3 packages",
    ]


def test_json_without_anything_else_on_standard_output(used: Workstation) -> None:
    shown = document(used, "start")
    assert shown["generation"] == 2
    assert shown["pending"] == []
    assert {step["name"] for step in shown["steps"] if step["step"] == "install"} == set(NAMES)
    assert document(used, "start")["steps"] == []


def test_status_in_words(used: Workstation) -> None:
    start(used)
    lines = aptkeep(used, "status").stdout.splitlines()
    assert lines[0] == "home        /home/bench-user"
    assert lines[1].startswith("generation  2, recorded 20")
    assert lines[2:] == ["wanted      1 key, 1 source, 3 packages", "present     5 of 5"]
    used.run("apt-mark", "hold", "alpha")
    assert aptkeep(used, "status").stdout.splitlines()[-2:] == [
        "unrecorded  ~ package alpha: install 1.0, manual -> hold 1.0, manual",
        "            the next apt run, or 'aptkeep record', records it",
    ]

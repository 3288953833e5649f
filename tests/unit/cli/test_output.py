"""What is printed: as text for people, as JSON for programs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from aptkeep.cli import output
from aptkeep.compare import differences
from aptkeep.errors import AptkeepError
from aptkeep.model import Manifest, Pending
from aptkeep.plan import (
    AddArchitecture,
    DeleteFile,
    Hold,
    Install,
    Mark,
    Plan,
    PutFile,
    Remove,
    RemoveArchitecture,
)
from aptkeep.restore import Outcome
from aptkeep.review import HistoryEntry, Shown, Status
from unit.made import INSTALL, TRIXIE, file, wish
from unit.store.format.documents import GENERATION

PLAN = Plan(
    (
        AddArchitecture("i386"),
        PutFile("/etc/apt/sources.list", file(on=TRIXIE)),
        DeleteFile("/etc/apt/preferences"),
        Remove("nano", purge=False),
        Remove("ed", purge=True),
        Install("vim", "2", installed="1"),
        Install("redis", "8", recorded="7"),
        Install("cowsay", None),
        RemoveArchitecture("armhf"),
        Hold("vim", held=True),
        Hold("ed", held=False),
        Mark("perl", auto=True),
        Mark("redis", auto=False),
    )
)
PENDING = (Pending("wine:i386", "no repository that answers offers it"), Pending("/etc/x", "gone"))


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    """What was printed."""
    return capsys


def parsed(printed: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The document that was printed; nothing beside it, and nothing on standard error."""
    captured = printed.readouterr()
    assert captured.err == ""
    document: dict[str, Any] = json.loads(captured.out)
    assert document.pop("version") == 1
    return document


# -- a restore


def test_a_plan_in_words(printed: pytest.CaptureFixture[str]) -> None:
    output.outcome(Outcome(7, PLAN), json_wanted=False, dry_run=True)
    assert printed.readouterr().out.splitlines() == [
        "add architecture i386",
        "put back /etc/apt/sources.list",
        "delete /etc/apt/preferences",
        "remove nano",
        "purge ed",
        "install vim 2 (over 1)",
        "install redis 8 (recorded: 7)",
        "install cowsay",
        "remove architecture armhf",
        "hold vim",
        "unhold ed",
        "mark perl automatic",
        "mark redis manual",
    ]


def test_a_plan_as_json(printed: pytest.CaptureFixture[str]) -> None:
    output.outcome(Outcome(7, PLAN, PENDING, ("a note",)), json_wanted=True, dry_run=True)
    assert parsed(printed) == {
        "generation": 7,
        "dry_run": True,
        "steps": [
            {"step": "add-architecture", "name": "i386"},
            {"step": "put-file", "name": "/etc/apt/sources.list"},
            {"step": "delete-file", "name": "/etc/apt/preferences"},
            {"step": "remove", "name": "nano", "purge": False},
            {"step": "remove", "name": "ed", "purge": True},
            {"step": "install", "name": "vim", "version": "2", "installed": "1"},
            {"step": "install", "name": "redis", "version": "8", "recorded": "7"},
            {"step": "install", "name": "cowsay"},
            {"step": "remove-architecture", "name": "armhf"},
            {"step": "hold", "name": "vim", "held": True},
            {"step": "hold", "name": "ed", "held": False},
            {"step": "mark", "name": "perl", "auto": True},
            {"step": "mark", "name": "redis", "auto": False},
        ],
        "pending": [
            {"name": "wine:i386", "reason": "no repository that answers offers it"},
            {"name": "/etc/x", "reason": "gone"},
        ],
        "notes": ["a note"],
    }


def test_nothing_to_do(printed: pytest.CaptureFixture[str]) -> None:
    output.outcome(Outcome(7), json_wanted=False, dry_run=True)
    assert printed.readouterr().out == "Nothing to do.\n"
    output.outcome(Outcome(7), json_wanted=False, dry_run=False)
    assert printed.readouterr() == ("", "")


def test_what_is_pending_is_named_with_its_reason(printed: pytest.CaptureFixture[str]) -> None:
    output.outcome(Outcome(7, PLAN, PENDING), json_wanted=False, dry_run=False)
    captured = printed.readouterr()
    assert "2 pending" in captured.out
    assert "wine:i386: no repository that answers offers it" in captured.err
    assert "/etc/x: gone" in captured.err


# -- status, history, show, diff


STATUS = Status("/home/u", "/home/u/.local/share/aptkeep", True, False, GENERATION)  # noqa: FBT003


def test_status_in_words(printed: pytest.CaptureFixture[str]) -> None:
    output.status(replace(STATUS, pending=PENDING), json_wanted=False)
    text = printed.readouterr().out
    assert "generation  7, recorded 2026-11-24T06:03:30Z" in text
    assert "/home/u" in text
    assert "wine:i386: no repository that answers offers it" in text
    assert "aptkeep start" not in text


def test_status_of_a_machine_that_was_not_started_or_is_restoring(
    printed: pytest.CaptureFixture[str],
) -> None:
    output.status(replace(STATUS, started=False, restoring=True), json_wanted=False)
    text = printed.readouterr().out
    assert "off: 'aptkeep start' has not run" in text
    assert "interrupted" in text


def test_status_as_json(printed: pytest.CaptureFixture[str]) -> None:
    output.status(replace(STATUS, pending=PENDING), json_wanted=True)
    document = parsed(printed)
    assert document["generation"] == 7
    assert document["started"] is True
    assert document["pending"][0]["name"] == "wine:i386"


def test_history(printed: pytest.CaptureFixture[str]) -> None:
    entries = [HistoryEntry(6, None, "it is damaged"), HistoryEntry(7, GENERATION)]
    output.history(entries, json_wanted=False)
    newest, oldest = printed.readouterr().out.splitlines()
    assert newest.split(maxsplit=2) == [
        "7",
        "2026-11-24T06:03:30Z",
        "apt install vim (bench-user); dpkg -i x.deb",
    ]
    assert oldest.split(maxsplit=1) == ["6", "damaged: it is damaged"]
    output.history(entries, json_wanted=True)
    first, second = parsed(printed)["generations"]
    assert first == {"generation": 6, "damaged": "it is damaged"}
    assert second["requests"][0] == {"command": "apt install vim", "user": "bench-user"}


def test_no_history(printed: pytest.CaptureFixture[str]) -> None:
    output.history([], json_wanted=False)
    assert printed.readouterr().out == "Nothing was recorded yet.\n"
    output.history([], json_wanted=True)
    assert parsed(printed) == {"generations": []}


def test_differences(printed: pytest.CaptureFixture[str]) -> None:
    old = Manifest({"a": wish(INSTALL, "1", auto=False), "b": wish(auto=True, image="1")})
    new = Manifest({"a": wish(INSTALL, "2", auto=False), "c": wish(INSTALL, auto=False)})
    found = differences(old, new)
    output.difference(found, json_wanted=False)
    assert printed.readouterr().out.splitlines() == [
        "~ package a: install 1, manual -> install 2, manual",
        "- package b: marked automatic",
        "+ package c: install, manual",
    ]
    output.difference(found, json_wanted=True)
    assert parsed(printed)["differences"][0] == {
        "kind": "package",
        "name": "a",
        "old": "install 1, manual",
        "new": "install 2, manual",
    }
    output.difference([], json_wanted=False)
    assert printed.readouterr().out == "No difference.\n"


# -- nothing that others wrote moves the terminal


HOSTILE = "x\x1b]0;title\x07\x1b[2J\r\n\u202ey"


def test_no_control_character_gets_through(printed: pytest.CaptureFixture[str]) -> None:
    recorded = replace(GENERATION, occasion=replace(GENERATION.occasion, door=HOSTILE, requests=()))
    output.error(AptkeepError(HOSTILE, details=HOSTILE, resolution=HOSTILE))
    output.line(HOSTILE)
    output.warning(HOSTILE)
    output.history([HistoryEntry(1, recorded), HistoryEntry(2, None, HOSTILE)], json_wanted=False)
    output.shown(Shown(recorded), json_wanted=False)
    pending = (Pending(HOSTILE, HOSTILE),)
    output.outcome(Outcome(1, PLAN, pending, (HOSTILE,)), json_wanted=False, dry_run=False)
    output.status(replace(STATUS, home=HOSTILE, warnings=(HOSTILE,)), json_wanted=False)
    output.LineProgress().step(HOSTILE)
    captured = printed.readouterr()
    for text in (captured.out, captured.err):
        assert all(line.isprintable() for line in text.split("\n"))


def test_json_is_ascii_whatever_is_in_it(printed: pytest.CaptureFixture[str]) -> None:
    output.outcome(
        Outcome(1, pending=(Pending("\udc80ü", HOSTILE),)), json_wanted=True, dry_run=False
    )
    text = printed.readouterr().out
    assert text.isascii()
    assert json.loads(text)["pending"] == [{"name": "\udc80ü", "reason": HOSTILE}]


# -- progress


def test_a_bar(printed: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    bar = output.TerminalProgress()
    bar.step("Installing 2 packages")
    bar.progress(50.0, "Unpacking vim (amd64)")
    bar.progress(100.0, f"Unpacking {'x' * 100}{HOSTILE}")
    bar.close()
    bar.close()
    captured = printed.readouterr()
    assert captured.out == ""
    frames = captured.err.split("\r\x1b[K")
    assert (
        frames[2] == "[##########..........]  50% Installing 2 packages: Unpacking vim (amd64)"[:59]
    )
    assert all(len(frame) < 60 for frame in frames)
    assert frames[-1] == "Installing 2 packages\n"
    assert captured.err.count("\n") == 1
    assert re.sub(r"\r\x1b\[K", "", captured.err).replace("\n", "").isprintable()


def test_a_bar_that_was_never_drawn_leaves_nothing(printed: pytest.CaptureFixture[str]) -> None:
    output.TerminalProgress().close()
    assert printed.readouterr() == ("", "")


def test_without_a_terminal_a_line_for_each_step(printed: pytest.CaptureFixture[str]) -> None:
    progress = output.progress()
    progress.step("Fetching the package lists")
    progress.progress(50.0, "Retrieving file 1 of 2")
    progress.close()
    assert printed.readouterr() == ("", "aptkeep: Fetching the package lists\n")


def test_an_error_says_all_of_it(printed: pytest.CaptureFixture[str]) -> None:
    output.error(AptkeepError("it broke", details="nothing was done", resolution="mend it"))
    assert printed.readouterr().err == "aptkeep: it broke\n  nothing was done\n  mend it\n"

"""Who called: the process above a hook. Here the test's own stands in for dpkg."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from aptkeep.machine import caller
from aptkeep.model import Request

VARIABLES = ("SUDO_UID", "PKEXEC_UID", "DOAS_USER")


@pytest.fixture(autouse=True)
def below_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hook's parent is this process, and nobody used sudo."""
    monkeypatch.setattr(os, "getppid", os.getpid)
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def own_command() -> str:
    """The command line of this process."""
    words = Path("/proc/self/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    return " ".join(word.decode() for word in words)


def asked() -> Request:
    """What the process above was asked."""
    found = caller.find()
    assert found is not None
    return found.request


def test_the_command_is_the_one_above() -> None:
    found = caller.find()
    assert found is not None
    assert found.pid == os.getpid()
    assert found.request.command == own_command()
    assert found.request.user is None


@pytest.mark.parametrize("variable", ["SUDO_UID", "PKEXEC_UID"])
def test_the_user_who_asked_through_another(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, str(os.getuid()))
    assert asked().user == pwd.getpwuid(os.getuid()).pw_name


def test_the_user_of_doas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOAS_USER", "bench-user")
    assert asked().user == "bench-user"


@pytest.mark.parametrize("uid", ["", "nobody", "4294967294", "-1", "1e3", "99999999999999999999"])
def test_a_user_that_is_none_is_none(monkeypatch: pytest.MonkeyPatch, uid: str) -> None:
    monkeypatch.setenv("SUDO_UID", uid)
    assert asked().user is None


def test_a_process_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getppid", lambda: 2**22 + 1)  # above the highest there can be
    assert caller.find() is None


def test_shells_are_passed_over_up_to_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    """PID 1's parent is 0, which isn't there: the search ends."""
    monkeypatch.setattr(caller, "_SHELLS", (Path("/proc/self/comm").read_text("ascii").strip(),))
    found = caller.find()
    assert found is None or found.request.command != own_command()

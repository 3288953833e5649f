"""Whether a machine records and restores at all."""

from __future__ import annotations

import pytest

from aptkeep.doctor import starting
from aptkeep.doctor.findings import Finding, Kind
from aptkeep.machine.mounts import Mounts
from aptkeep.machine.state import Start

THIS, EARLIER = "boot:2", "boot:1"


def kinds(now: Start | None, last: Start | None, *, ever: bool = True) -> list[Kind]:
    """The kinds of what is found on a root where nothing calls aptkeep."""
    found = starting.start_up("/nowhere", now, last, ever_started=ever)
    return [finding.kind for finding in found]


@pytest.fixture(autouse=True)
def nothing_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not this machine's process 1."""
    monkeypatch.setattr("aptkeep.machine.startup.calls_aptkeep", lambda _root: False)


def test_it_ran_when_the_machine_started() -> None:
    assert kinds(Start(THIS, 9999.0), Start(THIS, 12.0)) == []


def test_it_never_ran() -> None:
    assert kinds(Start(THIS, 9.0), None, ever=False) == [Kind.NOT_STARTED]


def test_it_ran_before_the_machine_started() -> None:
    assert kinds(Start(THIS, 9.0), Start(EARLIER, 2.0)) == [Kind.START_UP]
    assert kinds(Start(THIS, 9.0), None) == [Kind.START_UP]


def test_it_ran_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    late = Start(THIS, 3600.0)
    (found,) = starting.start_up("/", Start(THIS, 9999.0), late, ever_started=True)
    assert "60 minutes" in found.meaning
    monkeypatch.setattr("aptkeep.machine.startup.calls_aptkeep", lambda _root: True)
    assert kinds(Start(THIS, 9999.0), late) == []


def test_process_1_can_not_be_seen() -> None:
    assert kinds(None, None) == []


def test_the_store_goes_with_the_root() -> None:
    def found(table: str) -> list[Finding]:
        return list(starting.volume("/nowhere/u/store", "/nowhere/u", Mounts(table)))

    (lost,) = found("")
    assert (lost.kind, lost.subject) == (Kind.VOLUME, "/nowhere/u/store")
    (lost,) = found("1 1 0:1 / /nowhere rw - tmpfs tmpfs rw")
    assert "in a tmpfs" in lost.meaning
    assert found("1 1 8:1 / /nowhere/u rw - ext4 /dev/sda1 rw") == []

"""When a version was first recorded: what a snapshot service is asked for."""

from __future__ import annotations

import pytest

from aptkeep import snapshots
from aptkeep.machine.apt import archive
from aptkeep.snapshots import stage_from_snapshots
from aptkeep.store import log
from aptkeep.store.tree import open_store
from unit.machines import STORE, Machine


def test_each_version_is_asked_for_as_of_its_first_record(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The latest moment first; a damaged generation is passed over."""
    for minute, (name, version) in enumerate(
        [("tool", "1"), ("lib", "1"), ("tool", "2"), ("other", "1"), ("tool", "1")]
    ):
        monkeypatch.setattr(log, "timestamp", lambda *_, m=minute: f"2026-11-24T06:0{m}:00Z")
        machine.install(name, version)
        machine.record()
    (machine.store_path / "generations/000004.json").write_bytes(b"{")
    wanted = {"tool": "1", "lib": "1", "other": "1", "never": "1"}
    with open_store(str(machine.home), STORE) as store:
        assert snapshots._by_time(store, wanted) == [  # noqa: SLF001
            ("2026-11-24T06:04:00Z", {"other": "1"}),
            ("2026-11-24T06:01:00Z", {"lib": "1"}),
            ("2026-11-24T06:00:00Z", {"tool": "1"}),
        ]
        assert snapshots._by_time(store, {"tool": "2"}) == [  # noqa: SLF001
            ("2026-11-24T06:02:00Z", {"tool": "2"})
        ]


def test_where_apt_knows_of_no_service_nothing_is_run(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Staging:
        def of_snapshot(self, identifier: str) -> dict[str, str]:
            assert identifier == "20261124T060000Z"
            return {"APT::Snapshot": identifier}

    monkeypatch.setattr(log, "timestamp", lambda *_: "2026-11-24T06:00:00Z")
    machine.install("tool")
    machine.record()
    monkeypatch.setattr(archive, "sources_in_use", lambda _options: frozenset())
    with open_store(str(machine.home), STORE) as store:
        stage_from_snapshots(machine.configuration, store, Staging(), {"tool": "1"}, None)  # type: ignore[arg-type]

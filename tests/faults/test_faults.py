"""Every call by which aptkeep changes a file system fails, or is its last one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from faults.conftest import SHARES
from faults.scenarios import Prepared
from testbed.fixtures import only_on

Report = Callable[[str], dict[str, Any]]
pytestmark = only_on("trixie")


@pytest.mark.parametrize("name", SHARES)
def test_nothing_is_lost(report: Report, name: str) -> None:
    played = report(name)
    assert not played["problems"], "\n\n".join(played["problems"][:20])
    assert played["tried"]["kill"]
    assert played["tried"].get("power") or name == "catch"  # whose states are those of kills


def test_at_least_five_hundred_faults(
    report: Report, prepared: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    total: Counter[str] = Counter()
    with capsys.disabled():
        print()  # noqa: T201 - what was tried is to be seen
        for name in prepared.names:
            played = report(name)
            tried: Counter[str] = Counter(played["tried"])
            total += tried
            print(  # noqa: T201
                f"{name}: {played['calls']} calls, {tried.total()} faults ({_listed(tried)}), "
                f"{played['states']} different states, {played['seconds']:.0f} s"
            )
        print(f"in total: {total.total()} faults ({_listed(total)})")  # noqa: T201
    assert total.total() >= 500
    assert total.keys() == {"kill", "power", "ENOSPC", "EIO", "EROFS", "EDQUOT"}


def _listed(tried: Counter[str]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(tried.items()))

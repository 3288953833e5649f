"""Nothing outside the store is read or written, nothing planted is believed, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from cycle.attacks.siege import HOOKS, Outcome, Siege
from cycle.attacks.table import ATTACKS, SIGNED, Attack
from cycle.keeping import aptkeep, installed
from testbed.fixtures import only_on

pytestmark = only_on("trixie")


EXPECTED = ("aptkeep: nothing new", "aptkeep: own will be missing at the next start")
"""No complaints: the second is true of a store without its pool."""


@pytest.fixture
def undone() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_gains_nothing_and_costs_nothing(siege: Siege, name: str, undone: ExitStack) -> None:
    withstood(siege, ATTACKS[name], undone)


@pytest.mark.parametrize("name", SIGNED)
def test_attack_of_the_stores_own_owner(signed_siege: Siege, name: str, undone: ExitStack) -> None:
    """Root owns nothing there, and believes nothing for its place."""
    withstood(signed_siege, SIGNED[name], undone)


def withstood(siege: Siege, attack: Attack, undone: ExitStack) -> None:
    siege.reset()
    undone.callback(siege.machine.run, "sh", "-c", attack.undone)
    siege.plant(attack)
    before, planted = siege.outside(), siege.files_of_home()
    with siege.meanwhile(attack):
        outcomes = [siege.run(each) for each in attack.runs]
    assert_ended_as_told(attack, outcomes)
    assert not siege.believed()
    assert siege.leaked(outcomes) == []
    after = siege.outside()
    assert {path for path in {*before, *after} if before.get(path) != after.get(path)} == set()
    assert siege.lost(planted) == []


def assert_ended_as_told(attack: Attack, outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        code, said = outcome.result.returncode, outcome.said
        assert "Traceback" not in said, said
        assert "PLANTED" not in said, said
        if outcome.name in HOOKS:
            assert code == 0, said
        else:
            assert code in attack.codes, said
            assert said or code == 0
        if attack.says and 0 not in attack.codes:
            assert attack.says in said, said
    said = "".join(outcome.said for outcome in outcomes)
    if attack.says:
        assert attack.says in said, said
    elif attack.codes == (0,):
        for expected in EXPECTED:
            said = said.replace(expected, "")
        assert "aptkeep: " not in said, said


def test_the_same_forgery_by_root_is_believed(siege: Siege) -> None:
    """Else the table could not fail."""
    siege.reset()
    siege.machine.run("sh", "-ec", "attacker forge 000002.json 000099.json 99", cwd=GENERATIONS)
    aptkeep(siege.machine, "start")
    assert "evil" in installed(siege.machine)
    siege.machine.run("dpkg", "-P", "evil")


GENERATIONS = "/home/bench-user/.local/share/aptkeep/generations"

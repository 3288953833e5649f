"""Looking at the generations, going back, forgetting."""

from __future__ import annotations

import pytest

from cycle.conftest import KEY, SOURCE, Prepare
from cycle.keeping import (
    aptkeep,
    document,
    generations,
    installed,
    newest,
    next_boot,
    on_hold,
    package_state,
    pending,
    start,
    wishes,
)
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

ALPHA, BETA, GAMMA = TinyPackage("alpha", depends="beta"), TinyPackage("beta"), TinyPackage("gamma")
TOOL, TOY = TinyPackage("tool"), TinyPackage("toy")
PIN = "/etc/apt/preferences.d/mine"


@pytest.fixture
def used(prepare: Prepare) -> Workstation:
    """The source, then alpha; then a hold, a pin and i386; then gamma, a newer tool and no toy."""
    return prepare(
        *(ALPHA, BETA, GAMMA, TOOL, TOOL.at("2.0"), TOY),
        contents=(TOOL, TOY),
        commands=[
            "apt-get install -qy alpha",
            "apt-mark hold alpha; echo '# nothing in it' > /etc/apt/preferences.d/mine",
            "dpkg --add-architecture i386",
            "apt-get install -qy gamma tool toy-",
        ],
    )


def number(machine: Workstation, packages: int) -> str:
    """The last generation that wishes so much of so many packages."""
    found = [each for each in generations(machine) if len(each["packages"]) == packages]
    return str(found[-1]["generation"])


def test_history(used: Workstation) -> None:
    listed = document(used, "history")["generations"]
    assert [entry["generation"] for entry in listed] == list(range(1, len(listed) + 1))
    assert sorted({entry["packages"] for entry in listed}) == [0, 2, 5]
    assert listed[-1]["door"] == "DPkg::Post-Invoke"
    lines = aptkeep(used, "history").stdout.splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(len(listed), 0, -1))
    assert lines[0].endswith("apt-get install -qy gamma tool toy-")


def test_show(used: Workstation) -> None:
    shown = document(used, "show")["manifest"]
    recorded = newest(used)
    del recorded["checksum"]
    assert shown == recorded
    older = document(used, "show", number(used, 2))["manifest"]
    assert older["packages"].keys() == {"alpha", "beta"}
    lines = [line.split(maxsplit=2) for line in aptkeep(used, "show").stdout.splitlines()]
    assert ["package", "alpha", "hold 1.0, manual"] in lines
    assert ["package", "beta", "install 1.0, automatic"] in lines
    assert ["package", "toy", "purge"] in lines  # it had no configuration files
    assert ["architecture", "i386", "added"] in lines
    assert ["source", SOURCE] in [words[:2] for words in lines]
    assert ["key", KEY] in [words[:2] for words in lines]


def test_diff(used: Workstation) -> None:
    old, new = number(used, 2), str(newest(used)["generation"])
    alpha = next(g for g in generations(used) if "alpha" in g["packages"])["generation"]

    def changes(*numbers: str) -> dict[str, tuple[str | None, str | None]]:
        found = document(used, "diff", *numbers)["differences"]
        return {entry["name"]: (entry["old"], entry["new"]) for entry in found}

    assert changes(str(alpha), new) == {
        "alpha": ("install 1.0, manual", "hold 1.0, manual"),
        "gamma": (None, "install 1.0, manual"),
        "i386": (None, "added"),
        "tool": (None, "version 2.0"),
        "toy": (None, "purge"),
        "/etc/apt/preferences.d/mine": (None, changes(str(alpha), new)[PIN][1]),
    }
    assert changes(str(alpha)) == changes(str(alpha), new)
    assert changes().keys() == changes(old, new).keys() == {"gamma", "tool", "toy"}
    assert changes(new, old)["gamma"] == ("install 1.0, manual", None)
    assert changes(new, new) == {}
    assert "+ package gamma: install 1.0, manual" in aptkeep(used, "diff").stdout.splitlines()
    assert aptkeep(used, "diff", new, new).stdout == "No difference.\n"


def test_anybody_may_read(used: Workstation) -> None:
    for command in (["status"], ["history"], ["show"], ["diff"], ["restore", "--dry-run"]):
        aptkeep(used, *command, user="bench-user")
    for command in (["start"], ["restore"], ["record"], ["rollback", "1"], ["forget", "alpha"]):
        refused = aptkeep(used, *command, user="bench-user", code=2)
        assert "only root can" in refused.stderr
        assert "sudo" in refused.stderr


def test_rollback_takes_the_root_back_and_is_a_new_generation(used: Workstation) -> None:
    before, last = package_state(used), newest(used)
    target = next(g for g in generations(used) if len(g["packages"]) == 2)
    result = aptkeep(used, "rollback", str(target["generation"]))
    made = newest(used)
    assert f"generation {made['generation']} is restored" in result.stdout
    assert made["generation"] == last["generation"] + 1
    assert made["packages"] == target["packages"]
    assert made["recorded"]["door"] == f"aptkeep rollback {target['generation']}"
    found = installed(used)
    assert {name: found.get(name) for name in ("alpha", "beta", "gamma", "tool", "toy")} == {
        "alpha": "1.0",
        "beta": "1.0",
        "gamma": None,
        "tool": "1.0",
        "toy": "1.0",
    }
    assert on_hold(used) == set()
    assert not used.exists(PIN)
    assert used.run("dpkg", "--print-foreign-architectures").stdout == ""
    assert aptkeep(used, "record").stdout == "aptkeep: nothing new.\n"
    assert aptkeep(used, "start").stdout == ""
    next_boot(used)
    assert installed(used) == found

    # And back again: a rollback can itself be rolled back.
    aptkeep(used, "rollback", str(last["generation"]))
    assert newest(used)["generation"] == last["generation"] + 2
    assert package_state(used) == before
    next_boot(used)
    assert package_state(used) == before


def test_rollback_keeps_what_was_not_recorded_yet(used: Workstation) -> None:
    last, target = newest(used)["generation"], number(used, 2)
    used.run("apt-mark", "hold", "beta")
    aptkeep(used, "rollback", target)
    assert generations(used)[-2]["packages"]["beta"]["selection"] == "hold"
    assert newest(used)["generation"] == last + 2
    assert "beta" not in on_hold(used)


def test_rollback_that_could_not_undo_everything_goes_on_at_the_next_start(
    used: Workstation, repository: Repository
) -> None:
    """toy is to return, and nobody has it just now."""
    target = number(used, 2)
    repository.publish(ALPHA, BETA, GAMMA, TOOL)
    used.run("apt-get", "update", "-q")
    aptkeep(used, "rollback", target, code=1)
    assert pending(used).keys() == {"toy"}
    assert "gamma" not in installed(used)
    repository.publish(ALPHA, BETA, GAMMA, TOOL, TOY)
    start(used)
    assert "toy" in installed(used)
    assert pending(used) == {}


def test_restore_of_an_older_generation_is_no_wish(used: Workstation) -> None:
    """It changes the root, not what is wanted: the next start is as the newest says."""
    before, recorded = package_state(used), newest(used)
    aptkeep(used, "restore", "--generation", number(used, 2))
    assert "gamma" not in installed(used)
    assert installed(used)["tool"] == "1.0"
    aptkeep(used, "record")
    assert newest(used) == recorded
    next_boot(used)
    assert package_state(used) == before


def test_restore_of_an_older_generation_on_a_fresh_root(used: Workstation) -> None:
    target = number(used, 2)
    used.stop()
    used.boot()
    aptkeep(used, "restore", "--generation", target)
    assert {"alpha", "beta", "tool", "toy"} <= installed(used).keys()
    assert "gamma" not in installed(used)
    assert aptkeep(used, "record").stdout == "aptkeep: nothing new.\n"


def test_forgotten_package_is_here_but_not_on_the_next_root(used: Workstation) -> None:
    before = package_state(used)
    result = aptkeep(used, "forget", "gamma", "toy", "i386")
    made = newest(used)
    assert result.stdout == (
        f"aptkeep: generation {made['generation']} is without gamma, toy, i386.\n"
    )
    assert package_state(used) == before
    assert made["recorded"]["door"] == "aptkeep forget gamma toy i386"
    assert aptkeep(used, "record").stdout == "aptkeep: nothing new.\n"
    assert pending(used) == {}
    next_boot(used)
    assert "gamma" not in installed(used)
    assert "toy" in installed(used)
    assert {"alpha", "beta"} <= installed(used).keys()


def test_forgotten_source_goes_with_its_key(used: Workstation) -> None:
    aptkeep(used, "forget", "local.list", "alpha", "beta", "gamma", "tool")
    assert newest(used)["files"].keys() == {PIN}
    next_boot(used)
    assert not used.exists(SOURCE)
    assert not used.exists(KEY)


def test_forgetting_a_dependency_leaves_what_needs_it(used: Workstation) -> None:
    """apt brings it as a dependency, and that is what it's marked as."""
    aptkeep(used, "forget", "beta")
    next_boot(used)
    assert "beta" in used.run("apt-mark", "showauto").lines
    assert wishes(used).keys() == {"alpha", "gamma", "tool", "toy"}


def test_json_of_the_commands_that_change_something(used: Workstation) -> None:
    last, target = newest(used)["generation"], number(used, 2)
    assert document(used, "record") == {"generation": None, "unkept": []}
    used.run("apt-mark", "hold", "beta")
    assert document(used, "record")["generation"] == last + 1
    assert document(used, "forget", "i386") == {"generation": last + 2, "forgotten": ["i386"]}
    back = document(used, "rollback", target)
    assert back["generation"] == last + 3
    assert {"step": "remove", "name": "gamma", "purge": True} in back["steps"]
    assert back["pending"] == []
    again = document(used, "restore")
    assert (again["generation"], again["steps"], again["dry_run"]) == (last + 3, [], False)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["show", "99"], "there is no generation 99"),
        (["diff", "1", "99"], "there is no generation 99"),
        (["rollback", "99"], "there is no generation 99"),
        (["restore", "--generation", "99"], "there is no generation 99"),
        (["forget", "nobody"], "nothing is kept under the name nobody"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_there_is_not(machine: Workstation, command: list[str], words: str) -> None:
    machine.run("apt-mark", "hold", "bash")
    aptkeep(machine, "record")
    before = newest(machine)
    assert words in aptkeep(machine, *command, code=2).stderr
    assert newest(machine) == before


def test_nothing_was_recorded_yet(machine: Workstation) -> None:
    for command in ("show", "history"):
        assert aptkeep(machine, command).stdout == "Nothing was recorded yet.\n"
    assert document(machine, "show")["manifest"] is None
    assert document(machine, "history") == {"generations": []}
    assert document(machine, "diff") == {"differences": []}
    assert aptkeep(machine, "diff").stdout == "No difference.\n"
    assert document(machine, "status")["generation"] is None
    aptkeep(machine, "rollback", "1", code=2)
    aptkeep(machine, "forget", "x", code=2)

"""Looking at the generations, going back, forgetting."""

from __future__ import annotations

import pytest

from cycle.conftest import MakeImage
from cycle.keeping import (
    add_source,
    aptkeep,
    document,
    generations,
    install,
    installed,
    newest,
    next_boot,
    on_hold,
    package_state,
    pending,
    start,
    wishes,
)
from testbed.fixtures import MakeWorkstation
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

ALPHA, BETA, GAMMA = TinyPackage("alpha", depends="beta"), TinyPackage("beta"), TinyPackage("gamma")
TOOL, TOY = TinyPackage("tool"), TinyPackage("toy")
SOURCE, KEY = "/etc/apt/sources.list.d/local.list", "/etc/apt/keyrings/local.asc"
EXTRA = "/etc/apt/sources.list.d/extra.list"


@pytest.fixture
def used(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> Workstation:
    """1: the source; 2: alpha; 3: a hold, a pin and i386; 4: gamma, a newer tool and no toy."""
    repository.publish(ALPHA, BETA, GAMMA, TOOL, TOOL.at("2.0"), TOY)
    machine = make_workstation(make_image(TOOL, TOY)).boot()
    start(machine)
    add_source(machine, repository)
    install(machine, "alpha")
    machine.run("apt-mark", "hold", "alpha")
    machine.write("/etc/apt/preferences.d/mine", "# nothing in it\n")
    machine.run("dpkg", "--add-architecture", "i386")
    machine.run("apt-get", "install", "-qy", "gamma", "tool", "toy-")
    assert len(generations(machine)) == 4
    return machine


def test_history_show_and_diff(used: Workstation) -> None:
    listed = document(used, "history")["generations"]
    assert [entry["generation"] for entry in listed] == [1, 2, 3, 4]
    assert [entry["packages"] for entry in listed] == [0, 2, 2, 5]
    lines = aptkeep(used, "history").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["4", "3", "2", "1"]
    assert lines[0].endswith("apt-get install -qy gamma tool toy-")

    shown = document(used, "show")["manifest"]
    assert {key: shown[key] for key in shown if key != "checksum"} == {
        key: value for key, value in newest(used).items() if key != "checksum"
    }
    assert document(used, "show", "2")["manifest"]["packages"].keys() == {"alpha", "beta"}
    text = aptkeep(used, "show", "4").stdout.splitlines()
    assert "package     alpha  hold 1.0, manual" in text
    assert "package     beta  install 1.0, automatic" in text
    assert "package     toy  purge" in text  # it had no configuration files
    assert "architecturei386  added" not in text  # a blank between kind and name
    assert any(line.startswith("source ") and SOURCE in line for line in text)

    changes = {
        entry["name"]: (entry["old"], entry["new"])
        for entry in document(used, "diff", "2")["differences"]
    }
    assert changes.keys() == {
        *("gamma", "tool", "toy", "alpha", "i386", "/etc/apt/preferences.d/mine")
    }
    assert changes["alpha"] == ("install 1.0, manual", "hold 1.0, manual")
    assert changes["gamma"] == (None, "install 1.0, manual")
    assert document(used, "diff", "2", "4") == document(used, "diff", "2")
    assert document(used, "diff", "3", "4") == document(used, "diff")
    assert {entry["name"] for entry in document(used, "diff")["differences"]} == {
        *("gamma", "tool", "toy")
    }
    assert document(used, "diff", "3", "3")["differences"] == []
    back = {entry["name"]: entry for entry in document(used, "diff", "4", "2")["differences"]}
    assert back["gamma"]["new"] is None
    assert "+ package gamma: install 1.0, manual" in aptkeep(used, "diff").stdout.splitlines()
    assert aptkeep(used, "diff", "3", "3").stdout == "No difference.\n"


def test_anybody_may_read(used: Workstation) -> None:
    for command in (["status"], ["history"], ["show"], ["diff"], ["restore", "--dry-run"]):
        aptkeep(used, *command, user="bench-user")
    for command in (["start"], ["restore"], ["record"], ["rollback", "1"], ["forget", "alpha"]):
        refused = aptkeep(used, *command, user="bench-user", code=2)
        assert "only root can" in refused.stderr
        assert "sudo" in refused.stderr


def test_rollback_takes_the_root_back_and_is_a_new_generation(used: Workstation) -> None:
    before, image = package_state(used), used.image
    result = aptkeep(used, "rollback", "2")
    assert "generation 5 is restored" in result.stdout
    assert newest(used)["packages"] == generations(used)[1]["packages"]
    assert newest(used)["recorded"]["door"] == "aptkeep rollback 2"
    found = installed(used)
    assert {name: found.get(name) for name in ("alpha", "beta", "gamma", "tool", "toy")} == {
        **{"alpha": "1.0", "beta": "1.0", "gamma": None},
        **{"tool": "1.0", "toy": "1.0"},
    }
    assert on_hold(used) == set()
    assert not used.exists("/etc/apt/preferences.d/mine")
    assert used.run("dpkg", "--print-foreign-architectures").stdout == ""
    assert aptkeep(used, "record").stdout == "aptkeep: nothing new.\n"
    next_boot(used)
    assert installed(used) == found

    # And back again: a rollback can itself be rolled back.
    aptkeep(used, "rollback", "4")
    assert newest(used)["generation"] == 6
    assert package_state(used) == before
    next_boot(used, image=image)
    assert package_state(used) == before


def test_rollback_keeps_what_was_not_recorded_yet(used: Workstation) -> None:
    used.run("apt-mark", "hold", "beta")
    aptkeep(used, "rollback", "2")
    assert generations(used)[4]["packages"]["beta"]["selection"] == "hold"
    assert newest(used)["generation"] == 6
    assert on_hold(used) == set()


def test_restore_of_an_older_generation_is_no_wish(used: Workstation) -> None:
    """It changes the root, not what is wanted: the next start is as the newest says."""
    before, recorded = package_state(used), newest(used)
    aptkeep(used, "restore", "--generation", "2")
    assert "gamma" not in installed(used)
    assert installed(used)["tool"] == "1.0"
    aptkeep(used, "record")
    assert newest(used) == recorded
    next_boot(used)
    assert package_state(used) == before


def test_restore_of_an_older_generation_on_a_fresh_root(used: Workstation) -> None:
    used.stop()
    used.boot()
    aptkeep(used, "restore", "--generation", "2")
    assert {"alpha", "beta", "tool", "toy"} <= installed(used).keys()
    assert "gamma" not in installed(used)
    assert aptkeep(used, "record").stdout == "aptkeep: nothing new.\n"


def test_forgotten_package_is_here_but_not_on_the_next_root(used: Workstation) -> None:
    before = package_state(used)
    result = aptkeep(used, "forget", "gamma", "toy", "i386")
    assert result.stdout == "aptkeep: generation 5 is without gamma, toy, i386.\n"
    assert package_state(used) == before
    assert newest(used)["recorded"]["door"] == "aptkeep forget gamma toy i386"
    assert aptkeep(used, "record").stdout == "aptkeep: nothing new.\n"
    assert pending(used) == {}
    next_boot(used)
    assert "gamma" not in installed(used)
    assert "toy" in installed(used)
    assert {"alpha", "beta"} <= installed(used).keys()


def test_forgotten_source_goes_with_its_key(used: Workstation) -> None:
    aptkeep(used, "forget", "local.list", "alpha", "beta", "gamma", "tool")
    assert newest(used)["files"].keys() == {"/etc/apt/preferences.d/mine"}
    used.write(EXTRA, "# nothing in it\n")
    used.run("aptkeep", "record")
    assert newest(used)["files"].keys() == {"/etc/apt/preferences.d/mine", EXTRA}
    next_boot(used)
    assert not used.exists(SOURCE)
    assert not used.exists(KEY)


def test_forgetting_a_dependency_leaves_what_needs_it(used: Workstation) -> None:
    """apt brings it as a dependency, and that is what it's marked as."""
    aptkeep(used, "forget", "beta")
    next_boot(used)
    assert "beta" in used.run("apt-mark", "showauto").lines
    assert wishes(used).keys() == {"alpha", "gamma", "tool", "toy"}


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
    assert document(machine, "show") == {"manifest": None}
    assert document(machine, "history") == {"generations": []}
    assert document(machine, "diff") == {"differences": []}
    assert aptkeep(machine, "diff").stdout == "No difference.\n"
    assert document(machine, "status")["generation"] is None
    aptkeep(machine, "rollback", "1", code=2)
    aptkeep(machine, "forget", "x", code=2)

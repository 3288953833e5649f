"""Changing the manifest by hand: forgetting what is no longer wanted, going back."""

from __future__ import annotations

import pytest

from aptkeep.errors import UsageError
from aptkeep.model import KeptFile, Manifest
from aptkeep.revise import forget, rollback
from aptkeep.store import kept
from aptkeep.store.tree import open_store
from unit.kept_paths import Keeper
from unit.machines import SOURCES, STORE, Machine
from unit.made import INSTALL, wish

COWSAY = Manifest({"cowsay": wish(INSTALL, "1", auto=False)})


@pytest.fixture
def wanting(machine: Machine) -> Machine:
    """A machine that wants two packages, an architecture and two sources, in one generation."""
    machine.install("cowsay")
    machine.install("redis")
    machine.root.write("var/lib/dpkg/arch", "amd64\ni386\n")
    for name in ("one.list", "two.list"):
        machine.root.write(f"{SOURCES}/{name}", f"deb [trusted=yes] http://{name} sid main\n")
    machine.record()
    return machine


# -- forgetting


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("cowsay", ({"redis"}, {"i386"}, {"one.list", "two.list"})),
        ("i386", ({"cowsay", "redis"}, set(), {"one.list", "two.list"})),
        ("one.list", ({"cowsay", "redis"}, {"i386"}, {"two.list"})),
    ],
)
def test_forgetting_one(
    wanting: Machine, name: str, left: tuple[set[str], set[str], set[str]]
) -> None:
    revised = forget(wanting.configuration, [name])
    assert (revised.old.number, revised.new.number) == (1, 2)
    assert revised.new.occasion.door == f"aptkeep forget {name}"
    now = wanting.newest()
    files = {path.rpartition("/")[2] for path in now.files}
    assert (set(now.packages), set(now.architectures), files) == left


def test_forgetting_by_path_and_several(wanting: Machine) -> None:
    path = f"{wanting.root.paths.sources_parts}/one.list"
    forget(wanting.configuration, [path, "cowsay", "redis", "two.list", "i386"])
    assert wanting.newest().empty


def test_what_was_forgotten_stays_forgotten_though_it_is_here(wanting: Machine) -> None:
    forget(wanting.configuration, ["cowsay", "one.list"])
    wanting.install("nano")
    wanting.record()
    wanting.record("aptkeep start", thorough=True)
    assert set(wanting.newest().packages) == {"redis", "nano"}
    wanting.install("cowsay", "2")
    wanting.record()
    assert "cowsay" not in wanting.newest().packages


def test_what_was_not_recorded_yet_is_recorded_first(wanting: Machine) -> None:
    wanting.install("nano")
    revised = forget(wanting.configuration, ["nano"])
    assert "nano" in revised.old.manifest.packages
    assert "nano" not in revised.new.manifest.packages


@pytest.mark.parametrize("names", [["nothing"], ["cowsay", "nothing"], ["/etc/shadow"], [""]])
def test_a_name_that_is_unknown_forgets_nothing(wanting: Machine, names: list[str]) -> None:
    wanting.state.set_undoing(1)
    with pytest.raises(UsageError, match="nothing is kept under the name"):
        forget(wanting.configuration, names)
    assert wanting.numbers() == [1]
    assert wanting.state.undoing() == 1


def test_a_name_that_could_be_two_is_not_guessed(machine: Machine) -> None:
    machine.root.write("etc/apt/preferences.d/vendor", "Package: *\n")
    machine.root.write("etc/apt/auth.conf.d/vendor", "machine h\n", 0o600)
    machine.record()
    with pytest.raises(UsageError, match=r"auth\.conf\.d/vendor or .*preferences\.d/vendor|or"):
        forget(machine.configuration, ["vendor"])
    assert machine.numbers() == [1]


def test_forgetting_where_nothing_was_ever_recorded(machine: Machine) -> None:
    with pytest.raises(UsageError, match="nothing was recorded"):
        forget(machine.configuration, ["cowsay"])
    assert list(machine.home.iterdir()) == []


def test_older_generations_still_have_it(wanting: Machine) -> None:
    forget(wanting.configuration, ["one.list"])
    with open_store(str(wanting.home), STORE) as store:
        old = wanting.generation(1).manifest
        (path,) = (p for p in old.files if p.endswith("one.list"))
        wished = old.files[path]
        assert isinstance(wished, KeptFile)
        assert kept.get(store, path, wished).startswith(b"deb ")


# -- going back


def test_going_back_is_a_new_generation(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    machine.install("redis")
    machine.record()
    revised = rollback(machine.configuration, 1)
    assert (revised.old.number, revised.new.number) == (2, 3)
    assert machine.newest() == COWSAY
    assert revised.new.occasion.door == "aptkeep rollback 1"


def test_going_back_can_be_taken_back(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    machine.install("redis")
    machine.record()
    rollback(machine.configuration, 1)
    rollback(machine.configuration, 2)
    assert set(machine.newest().packages) == {"cowsay", "redis"}
    assert machine.numbers() == [1, 2, 3, 4]


def test_what_was_not_recorded_yet_can_be_gone_back_to(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    machine.install("redis")
    revised = rollback(machine.configuration, 1)
    assert set(revised.old.manifest.packages) == {"cowsay", "redis"}
    assert revised.old.number == 2


@pytest.mark.parametrize("number", [2, 99])
def test_going_back_to_what_is_not_there(machine: Machine, number: int) -> None:
    machine.install("cowsay")
    machine.record()
    with pytest.raises(UsageError, match=f"no generation {number}"):
        rollback(machine.configuration, number)
    assert machine.numbers() == [1]


def test_going_back_where_nothing_was_ever_recorded(machine: Machine) -> None:
    with pytest.raises(UsageError, match="nothing was recorded"):
        rollback(machine.configuration, 1)
    assert list(machine.home.iterdir()) == []


class TestKeptPaths:
    @pytest.fixture
    def kept_by(self, keeper: Keeper) -> Keeper:
        for name in ("d/a", "d/e/b", "d.c", "f"):
            keeper.put(name, "1")
        keeper.keep()
        return keeper

    @pytest.mark.parametrize(
        ("name", "left"),
        [
            ("f", {"d", "d/a", "d/e", "d/e/b", "d.c"}),
            ("d/e", {"d", "d/a", "d.c", "f"}),
            ("d/", {"d.c", "f"}),
            ("", set()),
        ],
    )
    def test_forgetting_a_path_and_what_is_below(
        self, kept_by: Keeper, name: str, left: set[str]
    ) -> None:
        before = kept_by.there()
        forget(kept_by.configuration, [kept_by.path(name)])
        assert kept_by.nodes().keys() == left
        kept_by.put("new", "1")
        kept_by.keep()
        assert kept_by.nodes().keys() == left | {"new"}, "it stays forgotten though it's here"
        assert kept_by.there() == {**before, "new": "1"}

    @pytest.mark.parametrize("name", ["", "f", "/no/such", "d"])
    def test_a_name_that_is_no_kept_path(self, kept_by: Keeper, name: str) -> None:
        wanted = kept_by.nodes()
        with pytest.raises(UsageError, match="nothing is kept under the name"):
            forget(kept_by.configuration, [name])
        assert kept_by.nodes() == wanted

    def test_what_was_not_recorded_yet_can_be_gone_back_to(self, kept_by: Keeper) -> None:
        kept_by.put("f", "2")
        revised = rollback(kept_by.configuration, 1)
        old = kept_by.nodes(revised.old.manifest)
        assert old["f"] != kept_by.nodes()["f"]
        assert kept_by.restore(revised.old.number) == []
        assert kept_by.there()["f"] == "1"
        rollback(kept_by.configuration, revised.old.number)
        assert kept_by.nodes() == old

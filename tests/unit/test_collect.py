"""What leaves the pool and the store, and what never does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aptkeep import collect
from aptkeep.collect import Collected, keep_within_bounds, over_the_bound
from aptkeep.errors import LockedError, UntrustedError
from aptkeep.machine.apt import debfile
from aptkeep.store import trees
from aptkeep.store.pool import Origin, PooledDeb, open_pool
from aptkeep.store.tree import open_store
from unit.kept_paths import Keeper
from unit.machines import STORE, Machine
from unit.pooled import fetch, in_pool, install_file, pool_path, pool_what_is_local


def pooled(
    name: str, version: str = "1", size: int = 1, origin: Origin = Origin.ARCHIVE
) -> PooledDeb:
    """A .deb in a pool."""
    return PooledDeb(name, version, "all", f"{name}_{version}.deb", size, "", origin, "", "")


def names(debs: list[PooledDeb]) -> list[str]:
    """The names of .debs."""
    return [found.name for found in debs]


POOL = [
    pooled("offered"),
    pooled("idle"),
    pooled("local", origin=Origin.LOCAL),
    pooled("wanted"),
    pooled("rebuilt", origin=Origin.REBUILT),
    pooled("idle-offered"),
    pooled("offered-later"),
]
WANTED = {(name, "1") for name in ("offered", "wanted", "rebuilt", "offered-later")}


@pytest.mark.parametrize(
    ("bound", "going"),
    [
        (7, []),
        (6, ["idle"]),
        (5, ["idle", "idle-offered"]),
        (4, ["idle", "idle-offered", "offered"]),
        (0, ["idle", "idle-offered", "offered", "offered-later"]),
    ],
)
def test_what_nobody_wants_goes_first_then_what_can_be_had_again(
    bound: int, going: list[str]
) -> None:
    """Neither a local file nor what exists nowhere else, whatever the bound."""
    found = over_the_bound(
        POOL, bound, wanted=WANTED, offered=lambda deb: deb.name.endswith(("offered", "later"))
    )
    assert names(found) == going


def test_another_version_than_the_wanted_one_is_idle() -> None:
    debs = [pooled("tool", "1"), pooled("tool", "2")]
    found = over_the_bound(debs, 1, wanted={("tool", "1")}, offered=lambda _deb: True)
    assert found == [debs[1]]


_debs = st.lists(
    st.builds(
        pooled,
        st.sampled_from("abcdefgh"),
        st.sampled_from("12"),
        st.integers(0, 9),
        st.sampled_from(Origin),
    ),
    max_size=10,
    unique_by=lambda deb: deb.key,
)
_some = st.frozensets(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("12")))


@given(_debs, st.integers(0, 60), _some, _some)
def test_no_more_goes_than_has_to_and_nothing_that_must_stay(
    debs: list[PooledDeb],
    bound: int,
    wanted: frozenset[tuple[str, str]],
    again: frozenset[tuple[str, str]],
) -> None:
    def idle(deb: PooledDeb) -> bool:
        return (deb.name, deb.version) not in wanted

    def offered(deb: PooledDeb) -> bool:
        return (deb.name, deb.version) in again

    going = over_the_bound(debs, bound, wanted=wanted, offered=offered)
    staying = [deb for deb in debs if deb not in going]
    assert all(deb.origin is not Origin.LOCAL and (idle(deb) or offered(deb)) for deb in going)
    size = sum(deb.size for deb in staying)
    if size > bound:  # all that may go has gone
        assert not any(d.origin is not Origin.LOCAL and (idle(d) or offered(d)) for d in staying)
    if going:  # the last one had to
        assert size + going[-1].size > bound
    # Oldest first, the idle before the others.
    assert going == [d for d in debs if d in going and idle(d)] + [
        d for d in debs if d in going and not idle(d)
    ]
    if any(not idle(d) for d in going):
        assert not any(idle(d) and d.origin is not Origin.LOCAL for d in staying)


# -- in a store


def fill(machine: Machine) -> None:
    """Two generations: `old` was wanted once, `tool` is in version 2 by now; `idle` never was."""
    for name, version in (("idle", "1"), ("old", "1"), ("tool", "1")):
        install_file(machine, name, version)
    machine.purge("idle")
    pool_what_is_local(machine)
    machine.record()
    machine.purge("old")
    install_file(machine, "tool", "2")
    pool_what_is_local(machine)
    machine.record()


def never(_deb: PooledDeb) -> bool:
    """Nothing is offered."""
    return False


def test_nothing_is_collected_where_nothing_was_ever_kept(machine: Machine) -> None:
    assert collect.collect(machine.configuration, never, dry_run=False) == Collected()
    keep_within_bounds(machine.configuration, never)
    assert not machine.store_path.exists()


def test_what_no_generation_names_goes(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a dry run it's only told. All that some generation wants stays, for a rollback."""
    fill(machine)
    everything = _files(machine)
    told = collect.collect(machine.configuration, never, dry_run=True)
    assert _files(machine) == everything
    (name,) = told.files
    assert name.startswith("pool/idle_1_amd64.")
    assert told.freed == everything[name]
    assert collect.collect(machine.configuration, never, dry_run=False) == told
    assert _files(machine).keys() == everything.keys() - {name}
    assert {(d.name, d.version) for d in in_pool(machine)} == {
        ("old", "1"), ("tool", "1"), ("tool", "2")
    }  # fmt: skip
    assert collect.collect(machine.configuration, never, dry_run=False) == Collected()
    monkeypatch.setattr(collect, "KEPT_GENERATIONS", 1)
    found = collect.collect(machine.configuration, never, dry_run=False)
    assert found.generations == (1,)
    assert {(d.name, d.version) for d in in_pool(machine)} == {("tool", "2")}
    assert machine.numbers() == [2]


def _files(machine: Machine) -> dict[str, int]:
    return {
        str(path.relative_to(machine.store_path)): path.stat().st_size
        for path in machine.store_path.rglob("*")
        if path.is_file() and path.name not in ("log", "Packages")
    }


def test_without_generations_nothing_goes(machine: Machine) -> None:
    """They may be on their way back from a backup; local files exist nowhere else."""
    install_file(machine, "tool")
    pool_what_is_local(machine)
    assert collect.collect(machine.configuration, never, dry_run=False) == Collected()
    assert [deb.name for deb in in_pool(machine)] == ["tool"]


def test_a_damaged_generation_may_name_anything(machine: Machine) -> None:
    """No file goes then, in the pool or elsewhere."""
    fill(machine)
    (machine.store_path / "generations/000001.json").write_bytes(b"{")
    before = _files(machine)
    assert collect.collect(machine.configuration, never, dry_run=False) == Collected()
    assert _files(machine) == before


def test_damaged_generations_push_no_whole_one_out(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(machine)
    monkeypatch.setattr(collect, "KEPT_GENERATIONS", 2)
    for number in range(3, 9):
        (machine.store_path / f"generations/00000{number}.json").write_bytes(b"{")
    collect.collect(machine.configuration, never, dry_run=False)
    assert machine.numbers() == list(range(1, 9))
    monkeypatch.setattr(collect, "KEPT_GENERATIONS", 1)
    assert collect.collect(machine.configuration, never, dry_run=False).generations == (1,)
    assert machine.numbers() == list(range(2, 9))


def test_nothing_is_collected_beside_a_generation_that_is_not_roots(machine: Machine) -> None:
    """Nor one of a newer schema, which may name anything."""
    fill(machine)
    (machine.store_path / "generations/000003.json").symlink_to("000002.json")
    before = _files(machine)
    with pytest.raises(UntrustedError):
        collect.collect(machine.configuration, never, dry_run=False)
    assert _files(machine) == before


@pytest.mark.parametrize("damage", [b"", b"Package: x\n\n"])
def test_a_damaged_index_loses_nothing(machine: Machine, damage: bytes) -> None:
    fill(machine)
    (pool_path(machine) / "Packages").write_bytes(damage)
    collect.collect(machine.configuration, never, dry_run=False)
    assert {d.name for d in in_pool(machine)} == {"old", "tool"}


def test_the_pool_is_kept_within_its_bound(machine: Machine) -> None:
    """Local files stay, however large they are; of what apt fetched, the idle goes."""
    fill(machine)
    machine.settings = replace(machine.settings, pool_limit=1)
    before = in_pool(machine)
    keep_within_bounds(machine.configuration, lambda _deb: True)
    assert in_pool(machine) == before
    fetch(machine, "fetched")
    fetch(machine, "passing")
    machine.install("fetched")
    machine.record()
    keep_within_bounds(machine.configuration, lambda deb: deb.name != "fetched")
    assert {d.name for d in in_pool(machine)} == {"idle", "old", "tool", "fetched"}
    assert "1 file went" in (machine.store_path / "log").read_text(encoding="utf-8")
    keep_within_bounds(machine.configuration, lambda deb: deb.name == "fetched")
    assert {d.name for d in in_pool(machine)} == {"idle", "old", "tool"}
    assert len(list(pool_path(machine).iterdir())) == len(before) + 1


def test_no_repository_is_asked_as_long_as_there_is_room(machine: Machine) -> None:
    """It takes apt's whole cache."""

    def asked(_deb: PooledDeb) -> bool:
        raise AssertionError

    fill(machine)
    keep_within_bounds(machine.configuration, asked)
    assert len(in_pool(machine)) == 4


def test_what_the_index_lost_is_in_it_again(machine: Machine) -> None:
    """Or every start would read the whole pool, for ever."""
    fill(machine)
    before = {d.sha256 for d in in_pool(machine)}
    (pool_path(machine) / "Packages").write_bytes(b"")
    keep_within_bounds(machine.configuration, never)
    with (
        open_store(str(machine.home), STORE) as store,
        open_pool(store, debfile.control) as pool,
    ):
        assert pool is not None
        indexed = pool.debs(indexed_only=True)
    assert {d.sha256 for d in indexed} == before


class TestKeptPaths:
    def contents(self, keeper: Keeper) -> set[str]:
        return {path.read_text() for path in (keeper.store_path / "files").iterdir()}

    @pytest.fixture
    def twice(self, keeper: Keeper) -> Keeper:
        for content in ("1", "2"):
            keeper.put("a", content)
            keeper.put("same", "same")
            keeper.keep()
        return keeper

    def test_what_a_generation_names_stays(
        self, twice: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert collect.collect(twice.configuration, never, dry_run=False) == Collected()
        assert self.contents(twice) == {"1", "2", "same"}
        monkeypatch.setattr(collect, "KEPT_GENERATIONS", 1)
        told = collect.collect(twice.configuration, never, dry_run=True)
        assert self.contents(twice) == {"1", "2", "same"}
        assert collect.collect(twice.configuration, never, dry_run=False) == told
        assert self.contents(twice) == {"2", "same"}
        assert len(list((twice.store_path / "trees").iterdir())) == 1
        twice.start()
        assert twice.restore() == []
        assert twice.there() == {"a": "2", "same": "same"}

    def test_a_damaged_listing_may_name_anything(
        self, twice: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (twice.store_path / "files" / ("0" * 64)).write_text("nobody's")
        for listing in (twice.store_path / "trees").iterdir():
            listing.write_bytes(b"damaged")
        collect.collect(twice.configuration, never, dry_run=False)
        assert self.contents(twice) == {"1", "2", "same", "nobody's"}

    def test_not_while_paths_are_being_kept(self, twice: Keeper) -> None:
        with (
            open_store(str(twice.home), STORE) as store,
            trees.locked(store, 0),
            pytest.raises(LockedError),
        ):
            collect.collect(twice.configuration, never, dry_run=False)

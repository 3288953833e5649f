"""Into the pool: what was really installed, whole, and once; what keeps it out is said once."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aptkeep import files, pooling
from aptkeep.machine import incoming
from aptkeep.machine.state import State, Troubles
from aptkeep.model import OwnDeb
from aptkeep.pooling import (
    leave_for_later,
    local_debs,
    news,
    own_debs,
    pool_fetched,
    pool_local,
    pool_rebuilt,
)
from aptkeep.store.pool import Origin, Pool, PooledDeb
from aptkeep.store.tree import open_store
from unit.debs import archive, control, deb, tarball
from unit.limits import alarm, no_file_longer_than
from unit.machines import STORE, Machine
from unit.pooled import (
    hand_over,
    in_pool,
    install_file,
    made,
    pool_path,
    pool_what_is_local,
    unpack,
    waiting,
)

CACHE = "var/cache/apt/archives"


def nothing(_deb: PooledDeb) -> frozenset[str]:
    """There are no lists."""
    return frozenset()


def known(machine: Machine) -> list[tuple[str, str, Origin, str]]:
    """What is in the pool, and where it came from."""
    return [(d.name, d.version, d.origin, d.came_from) for d in in_pool(machine)]


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A home that has no room for a .deb."""

    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(files, "received", refuse)
        yield patch


# -- local files


def test_a_local_file_that_was_installed_is_pooled(machine: Machine) -> None:
    path = install_file(machine, "tool")
    pooled = pool_what_is_local(machine)
    assert known(machine) == [("tool", "1", Origin.LOCAL, path)]
    assert [d.name for d in pooled.added] == ["tool"]
    assert pooled.troubles == ()
    assert waiting(machine) == []
    assert "pooled 1 package" in (machine.store_path / "log").read_text(encoding="utf-8")
    assert Path(path).exists()


def test_a_file_that_is_deleted_while_it_is_open_is_pooled_all_the_same(machine: Machine) -> None:
    path = install_file(machine, "tool")
    with local_debs(machine.configuration, lambda: True, of_root=False) as debs:
        os.unlink(path)
        pool_local(machine.configuration, debs)
    assert [d.name for d in in_pool(machine)] == ["tool"]


def test_the_file_that_was_installed_last_counts(machine: Machine) -> None:
    """The same version, built again."""
    for sums in ("old", "new"):
        install_file(machine, "tool", sums=sums)
        pool_what_is_local(machine)
    (found,) = in_pool(machine)
    content = (pool_path(machine) / found.filename).read_bytes()
    assert content == made("tool", sums="new")
    assert len(list(pool_path(machine).glob("*.deb"))) == 1


def test_a_file_that_is_changed_after_it_was_looked_at_is_not_pooled(machine: Machine) -> None:
    """It's the user's, who may write to it at any time."""
    path = Path(install_file(machine, "tool"))
    path.chmod(0o666)
    evil = deb(control("tool", "1", "amd64"), members={"md5sums": "", "postinst": "evil"})
    with local_debs(machine.configuration, lambda: False) as debs:
        path.write_bytes(evil)
        pooled = pool_local(machine.configuration, debs)
    assert "tool 1 is not kept: its file was changed while it was read" in pooled.troubles[0]
    assert in_pool(machine) == []
    assert not list(pool_path(machine).glob("*.deb"))


def test_two_versions_stay_both(machine: Machine) -> None:
    """A rollback may want the other."""
    for version in ("2", "1"):
        install_file(machine, "tool", version, sums=version)
        pool_what_is_local(machine)
    assert [d.version for d in in_pool(machine)] == ["2", "1"]


@pytest.mark.parametrize("settled", [True, False])
def test_what_dpkg_did_not_unpack_replaces_nothing(machine: Machine, *, settled: bool) -> None:
    """As long as a dpkg may be about to do so, it waits."""
    install_file(machine, "tool", sums="good")
    pool_what_is_local(machine)
    failed = hand_over(machine, made("tool", sums="failed"), "home/failed.deb")
    with local_debs(machine.configuration, lambda: settled, of_root=False) as debs:
        assert debs == []
    assert waiting(machine) == ([] if settled else [failed])
    unpack(machine, "tool", sums="failed")  # it succeeds at last
    pool_what_is_local(machine)
    (found,) = in_pool(machine)
    assert found.came_from.endswith("tool_1.deb") is settled


_BROKEN_CONTROL = archive(
    {
        "debian-binary": b"2.0\n",
        "control.tar.gz": tarball(
            {"control": control("tool", "1", "amd64"), "md5sums": os.urandom(200_000)}
        )[:-100_000],
        "data.tar.gz": tarball({}),
    }
)
NONE_OF_OURS = {
    "text": b"hello",
    "no package": b"!<arch>\nhello",
    "no control file": archive({"debian-binary": b"2.0\n", "control.tar.gz": tarball({})}),
    "no name": deb("Version: 1\nArchitecture: all\n"),
    "a broken control archive": _BROKEN_CONTROL,
}


@pytest.mark.parametrize("name", NONE_OF_OURS)
def test_what_is_none_of_ours_is_dropped_and_costs_no_other(machine: Machine, name: str) -> None:
    """Somebody may hand dpkg anything; it has said what it thinks of it."""
    unpack(machine, "tool")
    hand_over(machine, NONE_OF_OURS[name], "home/x.deb")
    install_file(machine, "good")
    assert pool_what_is_local(machine).troubles == ()
    assert [d.name for d in in_pool(machine)] == ["good"]
    assert waiting(machine) == []


def test_what_is_excluded_is_not_kept(machine: Machine) -> None:
    settings = replace(machine.configuration.settings, exclude=("^to",))
    configuration = replace(machine.configuration, settings=settings)
    install_file(machine, "tool")
    install_file(machine, "other")
    with local_debs(configuration, lambda: True) as debs:
        assert [deb.name for deb in debs] == ["other"]


def test_the_manifest_learns_what_is_local(machine: Machine) -> None:
    install_file(machine, "tool")
    with local_debs(machine.configuration, lambda: True, of_root=False) as debs:
        assert own_debs(debs) == {("tool", "1"): OwnDeb.LOCAL}


def test_others_at_work_on_the_pool_are_not_waited_for(machine: Machine) -> None:
    """The file waits on the root then, where its owner can't change or delete it any more."""
    path = install_file(machine, "tool")
    machine.record()
    with (
        open_store(str(machine.home), STORE) as store,
        store.subdirectory("pool", create=True) as directory,
    ):
        directory.lock(0)
        assert pool_what_is_local(machine) == pooling.Pooled()
    assert in_pool(machine) == []
    Path(path).write_bytes(made("evil"))
    assert waiting(machine) != [path]
    pool_what_is_local(machine)
    assert [d.name for d in in_pool(machine)] == ["tool"]
    assert os.listdir(os.path.join(machine.root.paths.state, incoming.DIRECTORY)) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can own what is trusted")
@pytest.mark.parametrize("change", ["owner", "mode"])
def test_a_file_of_somebody_elses_counts_only_while_its_command_runs(
    machine: Machine, change: str
) -> None:
    """Later its owner may have put anything there."""
    path = install_file(machine, "tool")
    if change == "owner":
        os.chown(path, 1000, -1)
    else:
        Path(path).chmod(0o666)
    with local_debs(machine.configuration, lambda: True, of_root=False) as debs:
        assert len(debs) == 1
    with local_debs(machine.configuration, lambda: True, of_root=True) as debs:
        assert debs == []


def test_a_full_home_keeps_it_waiting_and_says_what_that_means(
    machine: Machine, full: pytest.MonkeyPatch
) -> None:
    """On the root: the files themselves may be gone when there is room again."""
    paths = [install_file(machine, name) for name in ("tool", "other")]
    (said,) = pool_what_is_local(machine).troubles
    assert "no room" in said
    assert str(machine.home) in said
    for path in paths:
        os.unlink(path)
    assert len(waiting(machine)) == 2
    full.undo()
    assert pool_what_is_local(machine).troubles == ()
    assert len(in_pool(machine)) == 2
    assert waiting(machine) == []


def test_what_fits_nowhere_is_said(machine: Machine, full: pytest.MonkeyPatch) -> None:
    path = install_file(machine, "tool")

    def half(source: BinaryIO, copy: BinaryIO, _length: int) -> None:
        copy.write(source.read(100))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    full.setattr(shutil, "copyfileobj", half)
    _full, said = pool_what_is_local(machine).troubles
    assert path in said
    assert "install it again" in said
    place = os.path.join(machine.root.paths.state, incoming.DIRECTORY)
    assert os.listdir(place) == []  # no half copy takes the room there is


def test_a_damaged_copy_does_not_replace_the_good_one(machine: Machine) -> None:
    """dpkg could not unpack it, and left what was installed from the good one."""
    install_file(machine, "tool", sums="s")
    pool_what_is_local(machine)
    before = in_pool(machine)
    content = bytearray(made("tool", sums="s", size=500))
    content[-12] ^= 1
    hand_over(machine, bytes(content), "home/again.deb")
    (said,) = pool_what_is_local(machine).troubles
    assert "tool 1" in said
    assert in_pool(machine) == before
    assert waiting(machine) == []


def test_a_file_that_can_not_be_read_now_is_not_given_up(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It exists nowhere else; another one costs nothing."""
    install_file(machine, "tool")
    install_file(machine, "other")
    real = files.received

    def fail(
        parent: int, source: int, *, linked: bool, mode: int, limit: int, synced: bool
    ) -> object:
        if b"tool" in os.readlink(f"/proc/self/fd/{source}").encode():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(parent, source, linked=linked, mode=mode, limit=limit, synced=synced)

    with monkeypatch.context() as patch:
        patch.setattr(files, "received", fail)
        (said,) = pool_what_is_local(machine).troubles
    assert "tool" in said
    assert [d.name for d in in_pool(machine)] == ["other"]
    assert len(waiting(machine)) == 1
    pool_what_is_local(machine)
    assert {d.name for d in in_pool(machine)} == {"other", "tool"}


# -- what apt fetched


def fetched(machine: Machine, name: str, version: str = "1") -> str:
    """Let an archive of apt's wait; its SHA-256."""
    content = made(name, version)
    hand_over(machine, content, f"{CACHE}/{name}_{version}_amd64.deb")
    return hashlib.sha256(content).hexdigest()


def test_what_apt_fetched_is_pooled_where_a_signed_index_lists_it(machine: Machine) -> None:
    """What is listed otherwise is not what its repository has; what isn't listed was before."""
    listed = {
        "right": frozenset({fetched(machine, "right"), "f" * 64}),
        "wrong": frozenset({"f" * 64}),
    }
    for name in ("wrong", "unlisted"):
        fetched(machine, name)
    pooled = pool_fetched(machine.configuration, lambda d: listed.get(d.name, frozenset()))
    assert known(machine) == [
        ("right", "1", Origin.ARCHIVE, ""),
        ("unlisted", "1", Origin.ARCHIVE, ""),
    ]
    (said,) = pooled.troubles
    assert "wrong 1" in said
    assert waiting(machine) == []


def test_an_archive_that_anybody_could_alter_is_copied(machine: Machine) -> None:
    fetched(machine, "tool")
    fetched(machine, "open")
    (machine.directory / "root" / CACHE / "open_1_amd64.deb").chmod(0o666)
    pool_fetched(machine.configuration, nothing)
    links = {d.name: (pool_path(machine) / d.filename).stat().st_nlink for d in in_pool(machine)}
    assert links["open"] == 1
    assert links["tool"] == (2 if os.getuid() == 0 else 1)


def test_the_same_archive_twice_is_pooled_once(machine: Machine) -> None:
    """`apt install`, `apt remove`, `apt install`: both are links to one file of apt's cache."""
    fetched(machine, "tool")
    path = str(machine.directory / "root" / CACHE / "tool_1_amd64.deb")
    incoming.catch(machine.root.paths.state, [path], archives=machine.root.paths.archives)
    assert len(waiting(machine)) == 2
    with alarm(0.5):
        pool_fetched(machine.configuration, nothing)
    assert len(in_pool(machine)) == 1
    assert waiting(machine) == []


@pytest.mark.parametrize("keep", ["local", "none"])
def test_what_is_not_to_be_kept_does_not_go_on_waiting(machine: Machine, keep: str) -> None:
    fetched(machine, "tool")
    machine.settings = replace(machine.settings, pool_keep=keep)
    pool_fetched(machine.configuration, nothing)
    assert in_pool(machine) == []
    assert waiting(machine) == []


def test_each_batch_is_in_the_index_before_the_next(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is killed loses no more than the batch at hand; a full home ends it."""
    monkeypatch.setattr(pooling, "_BATCH_FILES", 2)
    for letter in "abcde":
        fetched(machine, letter)
    real, seen = files.received, []

    def fail(
        parent: int, source: int, *, linked: bool, mode: int, limit: int, synced: bool
    ) -> object:
        seen.append([d.name for d in in_pool(machine)])
        if len(seen) == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(parent, source, linked=linked, mode=mode, limit=limit, synced=synced)

    with monkeypatch.context() as patch:
        patch.setattr(files, "received", fail)
        pooled = pool_fetched(machine.configuration, nothing)
    assert seen == [[], [], ["a", "b"], ["a", "b"]]
    assert [d.name for d in in_pool(machine)] == ["a", "b", "c"]
    assert [d.name for d in pooled.added] == ["a", "b", "c"]
    assert len(pooled.troubles) == 1
    assert len(waiting(machine)) == 2
    pool_fetched(machine.configuration, nothing)
    assert [d.name for d in in_pool(machine)] == list("abcde")


def test_killed_between_the_file_and_the_index(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry still waits: the next run makes it whole, and leaves nothing behind."""
    fetched(machine, "tool")

    def die(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Pool, "write_index", die)
        with pytest.raises(KeyboardInterrupt):
            pool_fetched(machine.configuration, nothing)
    assert len(waiting(machine)) == 1
    (pool_path(machine) / ".new-99.9").write_bytes(b"half")
    pool_fetched(machine.configuration, nothing)
    (found,) = in_pool(machine)
    assert found.origin is Origin.ARCHIVE
    assert sorted(os.listdir(pool_path(machine))) == sorted(["Packages", found.filename])


def test_what_was_rebuilt_is_known_as_such(machine: Machine) -> None:
    path = machine.root.write("tmp/tool.deb", made("tool"))
    pooled = pool_rebuilt(machine.configuration, [path, "/nowhere.deb"])
    assert [(d.name, d.origin) for d in pooled.added] == [("tool", Origin.REBUILT)]
    assert [d.origin for d in in_pool(machine)] == [Origin.REBUILT]


# -- what there is to say


@pytest.fixture
def state(tmp_path: Path) -> State:
    """A root's state."""
    return State(str(tmp_path / "state"))


def test_a_trouble_is_said_once_as_long_as_it_lasts(state: State) -> None:
    """A hook says it; the upkeep behind it finds out whether it's still there."""
    assert news(state, ["full"]) == ["full"]
    leave_for_later(state, ["full"])
    assert news(state, ["full", "other"]) == ["other"]
    leave_for_later(state, [])
    assert state.troubles() == Troubles()
    assert news(state, ["full"]) == ["full"]


def test_what_was_found_when_nobody_listened_is_said_at_the_next_door(state: State) -> None:
    leave_for_later(state, ["altered", "altered"])
    assert news(state, []) == ["altered"]
    assert news(state, []) == []


def test_a_trouble_that_lasts_while_nothing_waits_is_said_once(state: State) -> None:
    """A package that can't be rebuilt: each upkeep finds it again, each hook may speak."""
    said = []
    for _ in range(5):
        leave_for_later(state, ["can't be rebuilt"])
        said += news(state, [])
    assert said == ["can't be rebuilt"]


def test_a_root_that_is_full_stops_nobody(state: State) -> None:
    """It's said again then."""
    for _ in range(2):
        with no_file_longer_than(1):
            assert news(state, ["full"]) == ["full"]
    assert news(state, ["full"]) == ["full"]
    assert news(state, ["full"]) == []


_found = st.lists(st.sampled_from("ab"), max_size=2)


@given(st.lists(st.tuples(_found, _found), max_size=6))
@settings(max_examples=25)
def test_each_trouble_is_said_when_it_begins_and_not_again(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[tuple[list[str], list[str]]]
) -> None:
    """A hook, and the upkeep behind it, over and over."""
    state = State(str(tmp_path_factory.mktemp("state")))
    lasting: set[str] = set()
    for in_hook, in_upkeep in [*rounds, ([], [])]:
        said = news(state, in_hook)
        assert len(said) == len(set(said))
        assert lasting.isdisjoint(said)
        assert lasting | {*said} >= {*in_hook}
        lasting |= {*said}
        leave_for_later(state, in_upkeep)
        told = {*state.troubles().said}
        assert told == lasting & {*in_upkeep}
        lasting = told

"""What `aptkeep status` and its like tell: reading only."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from aptkeep import review
from aptkeep.compare import Wish
from aptkeep.errors import UntrustedError, UsageError
from aptkeep.machine.apt import config
from aptkeep.machine.state import LastReport, Troubles
from aptkeep.model import Pending, Touched
from aptkeep.pooling import local_debs, own_debs, pool_local
from aptkeep.record import record, take_baseline
from unit.kept_paths import Keeper
from unit.machines import SOURCES, Machine
from unit.pooled import fetch, in_pool, install_file, pool_path, pool_what_is_local


@pytest.fixture(autouse=True)
def versions_can_be_compared() -> None:
    """libapt wants to be told first what a version is."""
    config.load()


def names(entries: tuple[Wish | Pending, ...]) -> list[str]:
    """The names in a part of a status."""
    return [entry.name if isinstance(entry, Wish) else entry.subject for entry in entries]


def snapshot(directory: Path) -> dict[str, tuple[float, int]]:
    """Every file below, and when it was changed."""
    found = {}
    for path in sorted(directory.rglob("*")):
        stat = path.lstat()
        found[str(path)] = (stat.st_mtime, stat.st_size)
    return found


def next_root(machine: Machine) -> None:
    """A fresh root, started, on which nothing is restored yet."""
    machine.fresh_root()
    take_baseline(machine.configuration)


# -- status


def test_a_machine_on_which_nothing_is_wanted(machine: Machine) -> None:
    found = review.status(machine.configuration)
    assert found.started
    assert not found.restoring
    assert found.generation is None
    assert (found.wanted, found.present, found.pending, found.unrecorded) == ((), (), (), ())


def test_what_is_wanted_and_here(machine: Machine) -> None:
    machine.install("cowsay", "3")
    machine.record()
    found = review.status(machine.configuration)
    assert found.generation is not None
    assert [wish.text for wish in found.wanted] == ["install 3, manual"]
    assert names(found.present) == ["cowsay"]
    assert (found.pending, found.unrecorded, found.warnings) == ((), (), ())


def test_what_is_wanted_and_not_here(machine: Machine) -> None:
    machine.install("cowsay")
    machine.install("redis")
    machine.record()
    next_root(machine)
    found = review.status(machine.configuration)
    assert names(found.pending) == ["cowsay", "redis"]
    assert all("not restored" in entry.reason for entry in found.pending)
    reason = "no repository that answers offers it"
    machine.state.save_report(LastReport("2026-11-24T06:03:30Z", 1, (Pending("redis", reason),)))
    machine.install("cowsay")
    found = review.status(machine.configuration)
    assert found.pending == (Pending("redis", reason),)


def test_what_is_not_recorded_yet(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    machine.install("redis")
    machine.purge("vim")
    found = review.status(machine.configuration)
    assert [(entry.name, entry.new) for entry in found.unrecorded] == [
        ("redis", "install 1, manual"),
        ("vim", "purge"),
    ]
    assert found.pending == ()


def test_what_the_user_just_removed_is_not_pending(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    machine.purge("cowsay")
    found = review.status(machine.configuration)
    assert [(entry.name, entry.new) for entry in found.unrecorded] == [("cowsay", None)]
    assert found.pending == ()


def test_what_only_another_image_had(machine: Machine) -> None:
    machine.install("vim", "2")
    machine.record()
    machine.fresh_root()
    machine.purge("vim")
    take_baseline(machine.configuration)
    found = review.status(machine.configuration)
    assert names(found.elsewhere) == ["vim"]
    assert (found.present, found.pending) == ((), ())


def test_a_machine_that_was_not_started(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    machine.fresh_root()
    found = review.status(machine.configuration)
    assert not found.started
    assert names(found.pending) == ["cowsay"]
    assert found.unrecorded == ()


def test_a_restore_that_is_under_way(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    next_root(machine)
    machine.state.begin_restore(Touched(frozenset({"cowsay", "perl"})))
    machine.install("perl")
    found = review.status(machine.configuration)
    assert found.restoring
    assert names(found.pending) == ["cowsay"]
    assert found.unrecorded == ()


def test_what_is_excluded_is_not_pending(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    next_root(machine)
    machine.settings = replace(machine.settings, exclude=("^cowsay$",))
    assert review.status(machine.configuration).pending == ()


def test_a_torn_generation_is_a_warning(machine: Machine) -> None:
    for name in ("cowsay", "redis"):
        machine.install(name)
        machine.record()
    (machine.store_path / "generations/000002.json").write_bytes(b"{")
    found = review.status(machine.configuration)
    assert found.generation is not None
    assert found.generation.number == 1
    assert any("000002" in warning for warning in found.warnings)


def test_what_can_not_be_kept_is_a_warning(machine: Machine) -> None:
    machine.root.write(f"{SOURCES}/x.list", "deb [signed-by=/nowhere.gpg] http://h sid main\n")
    assert any("/nowhere.gpg" in text for text in review.status(machine.configuration).warnings)


def test_looking_changes_nothing(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    machine.install("redis")
    before = snapshot(machine.directory)
    review.status(machine.configuration)
    review.history(machine.configuration)
    review.show(machine.configuration, None)
    review.verify(machine.configuration)
    assert snapshot(machine.directory) == before


def test_a_store_that_is_not_trusted_is_not_looked_into(machine: Machine) -> None:
    machine.install("cowsay")
    machine.record()
    machine.store_path.chmod(0o777)
    for look in (review.status, review.history, review.verify):
        with pytest.raises(UntrustedError):
            look(machine.configuration)


# -- show and history


def test_showing(machine: Machine) -> None:
    assert review.show(machine.configuration, None).generation is None
    assert review.history(machine.configuration) == []
    for name in ("cowsay", "redis"):
        machine.install(name)
        machine.record()
    newest = review.show(machine.configuration, None).generation
    assert newest is not None
    assert newest.number == 2
    first = review.show(machine.configuration, 1).generation
    assert first is not None
    assert set(first.manifest.packages) == {"cowsay"}
    with pytest.raises(UsageError, match="no generation 3"):
        review.show(machine.configuration, 3)
    assert [entry.number for entry in review.history(machine.configuration)] == [1, 2]


def test_history_names_what_is_damaged_and_goes_on(machine: Machine) -> None:
    for name in ("cowsay", "redis", "nano"):
        machine.install(name)
        machine.record()
    (machine.store_path / "generations/000002.json").write_bytes(b"{")
    entries = review.history(machine.configuration)
    assert [(entry.number, entry.generation is None) for entry in entries] == [
        (1, False),
        (2, True),
        (3, False),
    ]
    assert "damaged" in entries[1].trouble


# -- verify


def test_a_store_that_is_whole(machine: Machine) -> None:
    machine.root.write(f"{SOURCES}/x.list", "deb [trusted=yes] http://h sid main\n")
    machine.record()
    machine.install("cowsay")
    machine.record()
    found = review.verify(machine.configuration)
    assert (found.generations, found.files, found.troubles) == (2, 1, ())


def test_nothing_to_verify(machine: Machine) -> None:
    found = review.verify(machine.configuration)
    assert (found.generations, found.files, found.troubles) == (0, 0, ())


def test_every_damage_is_named_once(machine: Machine) -> None:
    machine.root.write(f"{SOURCES}/x.list", "deb [trusted=yes] http://h sid main\n")
    machine.record()
    machine.install("cowsay")
    machine.record()
    machine.install("redis")
    machine.record()
    (copy,) = (machine.store_path / "files").iterdir()
    copy.write_bytes(b"altered")
    (machine.store_path / "generations/000002.json").write_bytes(b"{}")
    troubles = review.verify(machine.configuration).troubles
    assert len(troubles) == 2
    assert any(copy.name in text for text in troubles)
    assert any("000002" in text for text in troubles)


def test_a_copy_that_is_gone_is_named(machine: Machine) -> None:
    machine.root.write(f"{SOURCES}/x.list", "deb [trusted=yes] http://h sid main\n")
    machine.record()
    (copy,) = (machine.store_path / "files").iterdir()
    os.unlink(copy)
    (trouble,) = review.verify(machine.configuration).troubles
    assert "gone" in trouble


# -- the pool


def test_a_status_tells_of_the_pool_and_of_what_is_not_in_it(machine: Machine) -> None:
    install_file(machine, "tool")
    pool_what_is_local(machine)
    fetch(machine, "other")
    machine.record()
    machine.state.save_troubles(Troubles(("full",), ("altered",)))
    before = snapshot(machine.directory)
    found = review.status(machine.configuration)
    assert snapshot(machine.directory) == before
    assert found.pooled == 2
    assert found.pool_size == sum(deb.size for deb in in_pool(machine))
    assert {"full", "altered"} <= {*found.warnings}
    assert machine.state.troubles() == Troubles(("full",), ("altered",))


@pytest.mark.parametrize("damage", ["none", "altered", "not root's", "unreadable"])
def test_every_pooled_file_is_verified(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    for name in ("tool", "other"):
        fetch(machine, name)
    machine.install("tool")
    machine.record()
    (deb,) = (found for found in in_pool(machine) if found.name == "tool")
    path = pool_path(machine) / deb.filename
    if damage == "altered":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "not root's":
        path.chmod(0o666)
    elif damage == "unreadable":
        real = os.read

        def read(descriptor: int, length: int) -> bytes:
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(descriptor, length)

        monkeypatch.setattr(os, "read", read)
    found = review.verify(machine.configuration)
    assert found.files == 2
    assert len(found.troubles) == (damage != "none")
    assert all(deb.filename in text for text in found.troubles)


def test_what_came_from_no_repository_must_be_in_the_pool(machine: Machine) -> None:
    install_file(machine, "tool")
    with local_debs(machine.configuration, lambda: True, of_root=False) as debs:
        pool_local(machine.configuration, debs)
        record(machine.configuration, "dpkg-post-invoke", own=own_debs(debs))
    assert review.verify(machine.configuration).troubles == ()
    (deb,) = in_pool(machine)
    (pool_path(machine) / deb.filename).unlink()
    gone, said = review.verify(machine.configuration).troubles
    assert gone == f"pool/{deb.filename} is gone"
    assert said.startswith("tool 1 ")


class TestKeptPaths:
    @pytest.fixture
    def kept_by(self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> Keeper:
        keeper.start({"image": "1"})
        keeper.put("a", "1")
        keeper.put("b", "1")
        keeper.keep()
        monkeypatch.setattr(os, "geteuid", lambda: 0)  # only root looks
        return keeper

    def names(self, keeper: Keeper, wishes: Iterable[Wish]) -> set[str]:
        return {w.name[len(keeper.path("")) :].lstrip("/") for w in wishes if w.kind == "kept-path"}

    def test_here_and_recorded(self, kept_by: Keeper) -> None:
        found = review.status(kept_by.configuration)
        assert self.names(kept_by, found.wanted) == {"a", "b"}
        assert self.names(kept_by, found.present) == {"a", "b"}
        assert (found.pending, found.unrecorded, found.elsewhere) == ((), (), ())

    def test_changed_and_not_recorded(self, kept_by: Keeper) -> None:
        kept_by.put("a", "2")
        kept_by.delete("b")
        kept_by.delete("image")
        kept_by.put("new", "1")
        files = sorted((kept_by.store_path / "files").iterdir())
        found = review.status(kept_by.configuration)
        texts = {e.name.rpartition("/")[2]: (e.old, e.new) for e in found.unrecorded}
        assert texts.keys() == {"a", "b", "new", "image"}
        assert texts["b"][1] is None
        assert texts["image"] == (None, "deleted")
        assert found.pending == (), "as the user wants it now"
        assert sorted((kept_by.store_path / "files").iterdir()) == files, "nothing is kept by it"

    def test_not_here(self, kept_by: Keeper) -> None:
        kept_by.start()
        found = review.status(kept_by.configuration)
        assert {entry.reason for entry in found.pending} == {"not restored on this machine yet"}
        assert {entry.subject for entry in found.pending} == {
            kept_by.path("a"),
            kept_by.path("b"),
        }
        assert found.unrecorded == ()

    def test_before_the_first_start(self, kept_by: Keeper) -> None:
        kept_by.fresh_root()
        found = review.status(kept_by.configuration)
        assert (found.unrecorded, found.started) == ((), False)

    def test_what_can_not_be_kept(self, kept_by: Keeper) -> None:
        os.mkfifo(kept_by.kept / "fifo")
        for _ in range(2):
            found = review.status(kept_by.configuration)
            assert any("fifo: not kept" in text for text in found.warnings)
            kept_by.keep()

    def test_showing(self, kept_by: Keeper) -> None:
        shown = review.show(kept_by.configuration, None)
        assert shown.nodes.keys() == {kept_by.path("a"), kept_by.path("b")}

    def test_verifying(self, kept_by: Keeper) -> None:
        assert review.verify(kept_by.configuration).troubles == ()
        (content,) = (kept_by.store_path / "files").iterdir()
        content.write_text("2")
        (text,) = review.verify(kept_by.configuration).troubles
        assert content.name in text
        (listing,) = (kept_by.store_path / "trees").iterdir()
        listing.unlink()
        (text,) = review.verify(kept_by.configuration).troubles
        assert listing.name in text

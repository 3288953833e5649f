"""Putting back what is kept, on a fresh root."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import replace

import pytest

from aptkeep.machine import tree, tree_write
from aptkeep.model import NodeKind
from unit.kept_paths import Keeper

FILE, LINK, DIRECTORY, GONE = NodeKind.FILE, NodeKind.LINK, NodeKind.DIRECTORY, NodeKind.GONE


@pytest.fixture
def used(keeper: Keeper) -> Keeper:
    """A root on which much was changed, and recorded."""
    keeper.start({"a": "1", "b": "1", "d/e": "1", "d/f": "1", "file": "1", "dir/x": "1"})
    keeper.put("a", "2")
    keeper.delete("b")
    keeper.delete("d")
    keeper.put("bin/tool", "#!/bin/sh\n", 0o4755)
    os.utime(keeper.kept / "bin/tool", ns=(10**18, 10**18 + 1))
    keeper.put("empty", None, 0o2700)
    keeper.delete("file")
    keeper.put("file/now/a/directory", "1")
    keeper.delete("dir")
    (keeper.kept / "dir").symlink_to("bin")
    (keeper.kept / "new\nline").touch()
    os.mkdir(os.fsencode(keeper.kept) + b"/\xff")
    keeper.keep()
    return keeper


def test_all_of_it_comes_back(used: Keeper) -> None:
    before, wanted, numbers = used.there(), used.nodes(), used.numbers()
    used.start()
    assert used.restore() == []
    assert used.there() == before
    found = (used.kept / "bin/tool").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o4755, 10**18 + 1)
    assert stat.S_IMODE((used.kept / "empty").stat().st_mode) == 0o2700
    used.keep()
    assert (used.nodes(), used.numbers()) == (wanted, numbers)


def test_a_second_time_there_is_nothing_to_do(
    used: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    used.start()
    used.restore()
    monkeypatch.setattr(tree_write, "put", None)
    monkeypatch.setattr(tree_write, "delete", None)
    monkeypatch.setattr(tree, "opened", None)
    assert used.restore() == []


def test_what_the_user_changes_after_a_restore_is_recorded(used: Keeper) -> None:
    used.start()
    used.restore()
    used.put("a", "3")
    used.delete("bin/tool")
    used.put("b", "again")
    used.keep()
    assert "bin/tool" not in used.nodes()
    assert used.kinds()["b"] is FILE
    before = used.there()
    used.start()
    used.restore()
    assert used.there() == before


def test_a_root_that_was_not_restored_gives_nothing_up(used: Keeper) -> None:
    wanted = used.nodes()
    used.start()
    used.put("new", "1")
    used.keep()
    assert used.nodes() == {**wanted, "new": used.nodes()["new"]}


class TestAnotherImage:
    def test_what_is_kept_wins_and_the_rest_is_the_new_images(self, used: Keeper) -> None:
        used.start({"a": "image 2", "b": "image 2", "bin/tool": "image 2", "other": "image 2"})
        assert used.restore() == []
        there = used.there()
        assert (there["a"], there["bin/tool"], there["other"]) == ("2", "#!/bin/sh\n", "image 2")
        assert "b" not in there

    def test_the_same_as_in_the_image(self, used: Keeper) -> None:
        used.start({"a": "2"})
        used.restore()
        assert used.there()["a"] == "2"

    def test_what_is_to_go_holds_something_new(self, used: Keeper) -> None:
        used.start({"d/e": "1", "d/new": "image 2"})
        assert used.restore() == []
        assert used.there()["d/new"] == "image 2"
        assert "d/e" not in used.there()
        assert used.kinds()["d"] is GONE

    def test_a_directory_where_a_link_is_wanted(self, used: Keeper) -> None:
        used.start({"dir/new": "image 2"})
        (entry,) = used.restore()
        assert entry.subject == used.path("dir")
        assert "not empty" in entry.reason
        assert used.kinds()["dir"] is LINK
        used.keep()
        assert used.kinds()["dir"] is LINK, "it's no less wanted"

    def test_a_link_on_the_way(self, used: Keeper) -> None:
        used.start({"elsewhere/x": "1"})
        (used.kept / "bin").symlink_to("elsewhere")
        (used.kept / "bin2").symlink_to("elsewhere")
        used.restore()
        assert used.there()["elsewhere/x"] == "1"
        assert (used.kept / "bin").is_dir()
        assert "elsewhere/tool" not in used.there()


class TestWhatFails:
    def test_damaged_content_costs_only_itself(self, used: Keeper) -> None:
        sha256 = used.nodes()["a"].sha256
        (used.store_path / f"files/{sha256}").write_text("flip")
        before, wanted = used.there(), used.nodes()
        used.start()
        (entry,) = used.restore()
        assert entry.subject == used.path("a")
        assert used.there() == {**before, "a": "1"}
        used.keep()
        assert used.nodes() == wanted

    def test_what_something_else_made_there_meanwhile_is_no_wish(self, used: Keeper) -> None:
        """As a maintainer script of a package that the same restore brought does."""
        sha256 = used.nodes()["bin/tool"].sha256
        (used.store_path / f"files/{sha256}").unlink()
        wanted = used.nodes()
        used.start()
        used.put("bin/tool", "made by a script")
        (entry,) = used.restore()
        assert entry.subject == used.path("bin/tool")
        used.keep()
        assert used.nodes() == wanted

    def test_damaged_listing(self, used: Keeper) -> None:
        (listing,) = (used.store_path / "trees").iterdir()
        listing.write_bytes(b"damaged")
        used.start()
        (entry,) = used.restore()
        assert entry.subject == "Aptkeep::Keep"
        assert "damaged" in entry.reason
        assert used.there()["a"] == "1"
        used.keep()
        assert used.numbers() == [1], "what it listed is not given up"

    def test_owner_that_comes_later(self, used: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
        wanted = used.nodes()
        known = pwd.getpwnam

        def unknown(name: str) -> None:
            raise KeyError(name)

        used.start()
        monkeypatch.setattr(pwd, "getpwnam", unknown)
        pending = used.restore()
        assert {entry.subject for entry in pending} >= {used.path("a"), used.path("bin/tool")}
        assert all("this machine has no user" in entry.reason for entry in pending)
        used.keep()
        assert used.nodes() == wanted
        monkeypatch.setattr(pwd, "getpwnam", known)
        assert used.restore() == []
        used.keep()
        assert used.nodes() == wanted

    def test_killed_half_way_and_started_again(
        self, used: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before, wanted = used.there(), used.nodes()
        used.start()
        real, done = tree_write.put, []

        def killed(path: str, *arguments: object, **more: bool) -> int:
            done.append(path)
            if len(done) == 3:
                raise KeyboardInterrupt
            return real(path, *arguments, **more)  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(tree_write, "put", killed)
            with pytest.raises(KeyboardInterrupt):
                used.restore()
        assert used.keep().generation is None
        assert used.restore() == []
        assert used.there() == before
        used.keep()
        assert used.nodes() == wanted


class TestRollback:
    @pytest.fixture
    def twice(self, keeper: Keeper) -> Keeper:
        keeper.start({"image": "1", "closed": None})
        keeper.put("one", "1")
        keeper.keep()
        keeper.put("one", "2")
        keeper.put("d/two", "2")
        keeper.put("image", "2")
        keeper.put("closed", None, 0o700)
        keeper.keep()
        return keeper

    def test_what_is_new_goes_and_what_was_changed_is_as_before(self, twice: Keeper) -> None:
        (entry,) = twice.roll_back(1)
        assert entry.subject == twice.path("image")
        assert "next fresh root" in entry.reason
        assert twice.there() == {"one": "1", "image": "2", "closed": None}

    def test_what_can_not_be_undone_here_is_no_wish(self, keeper: Keeper) -> None:
        keeper.start({"image": "1", "other": "1"})
        keeper.put("new", "1")
        keeper.keep()
        keeper.delete("image")
        keeper.put("new", "2")
        keeper.keep()
        older = keeper.nodes(keeper.generation(1).manifest)
        keeper.roll_back(1)
        keeper.put("other", "2")
        keeper.keep()
        assert keeper.nodes() == {**older, "other": keeper.nodes()["other"]}

    def test_a_file_of_the_users_is_left(self, twice: Keeper) -> None:
        twice.put("d/mine", "1")
        twice.roll_back(1)
        assert twice.there()["d/mine"] == "1"
        assert "d/two" not in twice.there()


def test_what_is_excluded_by_now_is_left_alone(used: Keeper) -> None:
    used.start()
    used.settings = replace(used.settings, keep_exclude=("*/bin", "*/a"))
    assert used.restore() == []
    assert used.there()["a"] == "1"
    assert "bin/tool" not in used.there()


def test_what_is_on_another_file_system_is_left_alone(
    used: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    used.start()
    before = used.there()
    monkeypatch.setattr(tree, "_device_of_root", lambda: -1)
    assert used.restore() == []
    assert used.there() == before

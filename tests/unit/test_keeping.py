"""Recording what is changed below the kept paths."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aptkeep import files, keeping, looking
from aptkeep.errors import LockedError, StoreFullError
from aptkeep.keeping import Kept, keep, present_nodes
from aptkeep.looking import kept_paths
from aptkeep.machine import tree
from aptkeep.machine.tree_state import TreeState
from aptkeep.model import NodeKind, Touched
from aptkeep.nodes import is_below
from aptkeep.record import take_baseline
from aptkeep.store import trees
from aptkeep.store.tree import open_store
from unit.kept_paths import Keeper
from unit.machine.test_dpkg import paragraph
from unit.machines import STORE

FILE, LINK, DIRECTORY, GONE = NodeKind.FILE, NodeKind.LINK, NodeKind.DIRECTORY, NodeKind.GONE


def store_bytes(keeper: Keeper) -> dict[str, tuple[int, int]]:
    """Size and time of everything in the store."""
    found = [path.lstat() for path in sorted(keeper.store_path.rglob("*"))]
    names = [str(path) for path in sorted(keeper.store_path.rglob("*"))]
    return {n: (s.st_size, s.st_mtime_ns) for n, s in zip(names, found, strict=True)}


class TestWhatIsKept:
    def test_everything_that_is_new(self, keeper: Keeper) -> None:
        keeper.put("bin/tool", "#!/bin/sh\n", 0o755)
        keeper.put("empty", None, 0o700)
        (keeper.kept / "link").symlink_to("/nowhere")
        (keeper.kept / "new\nline").touch()
        os.mkdir(os.fsencode(keeper.kept) + b"/\xff")
        assert keeper.keep().generation is not None
        assert keeper.kinds() == {
            "bin": DIRECTORY,
            "bin/tool": FILE,
            "empty": DIRECTORY,
            "link": LINK,
            "new\nline": FILE,
            "\udcff": DIRECTORY,
        }
        assert keeper.nodes()["bin/tool"].mode == 0o755
        assert keeper.nodes()["empty"].mode == 0o700
        assert keeper.nodes()["link"].target == "/nowhere"

    def test_everything_that_is_changed_or_gone(self, keeper: Keeper) -> None:
        keeper.start({"a": "1", "b": "1", "c": "1", "d/e": "1", "d/f": "1", "same": "1"})
        keeper.put("a", "2")
        (keeper.kept / "b").chmod(0o600)
        keeper.delete("c")
        keeper.delete("d")
        keeper.keep()
        assert keeper.kinds() == {
            "a": FILE,
            "b": FILE,
            "c": GONE,
            "d": GONE,
            "d/e": GONE,
            "d/f": GONE,
        }

    def test_as_the_image_again(self, keeper: Keeper) -> None:
        keeper.start({"d": None})
        keeper.put("new", "1")
        (keeper.kept / "d").chmod(0o700)
        keeper.keep()
        keeper.delete("new")
        (keeper.kept / "d").chmod(0o755)
        keeper.keep()
        assert keeper.nodes() == {}
        assert keeper.newest().tree is None
        assert keeper.newest().empty

    def test_fifo_and_socket_are_said_once(self, keeper: Keeper) -> None:
        os.mkfifo(keeper.kept / "fifo")
        text = f"{keeper.kept}/fifo: not kept: it is a device, a fifo or a socket"
        assert keeper.keep().news == (text,)
        keeper.put("a", "1")
        assert keeper.keep().news == ()
        assert keeper.kinds() == {"a": FILE}

    def test_single_file(self, keeper: Keeper) -> None:
        keeper.settings = replace(keeper.settings, keep=(keeper.path("only"),))
        keeper.start({"only": "1", "other": "1"})
        keeper.put("only", "2")
        keeper.put("other", "2")
        keeper.keep()
        assert keeper.kinds() == {"only": FILE}

    def test_kept_path_is_not_there(self, keeper: Keeper) -> None:
        keeper.settings = replace(
            keeper.settings, keep=("/nowhere/at/all", keeper.path("file/below"))
        )
        keeper.put("file", "1")
        assert keeper.keep() == Kept()

    def test_hard_links_are_kept_as_files(self, keeper: Keeper) -> None:
        keeper.put("a", "1")
        os.link(keeper.kept / "a", keeper.kept / "b")
        keeper.keep()
        nodes = keeper.nodes()
        assert nodes["a"] == nodes["b"]

    def test_what_dpkg_leaves_beside_a_conffile(self, keeper: Keeper) -> None:
        for suffix in ("dpkg-new", "dpkg-tmp", "dpkg-dist", "ucf-dist"):
            keeper.put(f"a.{suffix}", "1")
        assert keeper.keep() == Kept()
        keeper.put("a.dpkg-old", "the user's")
        keeper.keep()
        assert keeper.kinds() == {"a.dpkg-old": FILE}

    def test_long_paths_are_shortened_in_what_is_said(self, keeper: Keeper) -> None:
        keeper.put("long/" * 100, None)
        os.mkfifo(keeper.kept / ("long/" * 100) / "fifo")
        (text,) = keeper.keep().news
        assert len(text) < 200
        assert "long/fifo: not kept" in text


class TestNothingChanged:
    def test_nothing_is_read_or_written(
        self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keeper.start({"image": "1"})
        keeper.put("a", "1")
        keeper.put("d/b", "1")
        keeper.keep()
        before = store_bytes(keeper)
        monkeypatch.setattr(tree, "opened", None)
        monkeypatch.setattr(trees, "read", None)
        monkeypatch.setattr(TreeState, "image", None)
        monkeypatch.setattr(TreeState, "last", None)
        assert keeper.keep() == Kept()
        assert store_bytes(keeper) == before

    def test_no_store_is_made(self, keeper: Keeper) -> None:
        keeper.start({"a": "1"})
        keeper.keep()
        keeper.keep()
        assert not keeper.store_path.exists()

    def test_only_what_is_new_is_read(
        self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keeper.start({"image": "1"})
        keeper.put("a", "1")
        keeper.keep()
        keeper.put("b", "2")
        opened = set()
        real = tree.opened

        def noted(path: str, seen: tree.Seen) -> AbstractContextManager[int]:
            opened.add(path)
            return real(path, seen)

        monkeypatch.setattr(tree, "opened", noted)
        keeper.keep()
        assert opened == {keeper.path("b")}

    def test_what_was_changed_just_now_is_looked_at_again(
        self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It may be changed once more at the same time, as the file system's clock has it."""
        path = keeper.put("a", "1")
        monkeypatch.setattr(looking, "_TICK", 10**12)
        keeper.keep()
        real = os.stat
        changed = path.stat()
        path.write_text("2")

        def same_time(path: int | str, **options: Any) -> os.stat_result:  # noqa: ANN401 - as os.stat
            return changed if path == "a" else real(path, **options)

        monkeypatch.setattr(os, "stat", same_time)
        monkeypatch.setattr(tree, "check_unchanged", lambda *_: None)
        old = keeper.nodes()
        keeper.keep()
        assert keeper.nodes()["a"].sha256 != old["a"].sha256

    def test_touched_file_makes_no_generation(self, keeper: Keeper) -> None:
        keeper.put("a", "1")
        keeper.keep()
        os.utime(keeper.kept / "a")
        assert keeper.keep().generation is None

    def test_generations_of_others_do_not_matter(self, keeper: Keeper) -> None:
        keeper.put("a", "1")
        keeper.keep()
        keeper.install("cowsay")
        keeper.record()
        assert keeper.keep() == Kept()
        assert keeper.kinds() == {"a": FILE}


class TestExclude:
    @pytest.fixture(autouse=True)
    def image(self, keeper: Keeper) -> None:
        keeper.start({"cache/of-image": "1", "x/of-image": "1"})
        keeper.settings = replace(keeper.settings, keep_exclude=("*/cache",))

    def test_what_is_in_an_excluded_directory_is_not_kept(self, keeper: Keeper) -> None:
        keeper.put("x/cache/new", "1")
        keeper.put("cache/new", "1")
        keeper.keep()
        assert keeper.nodes() == {}

    def test_what_the_image_has_in_one_is_not_deleted(self, keeper: Keeper) -> None:
        """The pattern came after the image was looked at."""
        keeper.put("x/new", "1")
        keeper.keep()
        assert keeper.kinds() == {"x/new": FILE}

    def test_what_was_kept_before_is_left_as_it_is(self, keeper: Keeper) -> None:
        excluding = keeper.settings
        keeper.settings = replace(excluding, keep_exclude=())
        keeper.put("cache/new", "1")
        keeper.keep()
        keeper.settings = excluding
        keeper.delete("cache/new")
        keeper.put("x/new", "1")
        keeper.keep()
        assert keeper.kinds() == {"cache/new": FILE, "x/new": FILE}
        keeper.start()
        assert keeper.restore() == []
        assert keeper.there() == {**keeper.there(), "x/new": "1"}
        assert "cache/new" not in keeper.there()

    def test_kept_paths(self, keeper: Keeper) -> None:
        kept = kept_paths(keeper.configuration, str(keeper.home))
        assert kept(keeper.path("x"))
        assert not kept(keeper.path("cache"))
        assert not kept(keeper.path("cache/a/b"))
        assert not kept(f"{keeper.kept}-other")


class TestWhatCanNotBeSeen:
    """It's no less wanted, and not deleted."""

    def test_directory_that_can_not_be_entered(
        self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keeper.start({"d/image": "1"})
        keeper.put("d/new", "1")
        keeper.keep()
        real = files.open_directory_at

        def fail(parent: int, name: str) -> int:
            if name == "d":
                raise OSError(5, "Input/output error")
            return real(parent, name)

        monkeypatch.setattr(files, "open_directory_at", fail)
        assert keeper.keep().news == (f"{keeper.path('d')}: not kept: Input/output error",)
        assert keeper.kinds() == {"d/new": FILE}

    def test_path_that_can_not_be_asked_about(
        self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """So a FUSE file system of a user's looks to root."""
        keeper.start({"d/image": "1"})
        keeper.put("d/new", "1")
        keeper.keep()
        keeper.put("other", "1")
        real = os.stat

        def fail(path: int | str, **options: Any) -> os.stat_result:  # noqa: ANN401 - as os.stat
            if path == "d":
                raise PermissionError(13, "Permission denied")
            return real(path, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, "stat", fail)
            assert keeper.keep().news == (f"{keeper.path('d')}: not kept: Permission denied",)
        assert keeper.kinds() == {"d/new": FILE, "other": FILE}

    def test_directory_that_vanishes_meanwhile(
        self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keeper.start({"d/image": "1"})
        keeper.put("d/new", "1")
        keeper.keep()
        real = files.open_directory_at

        def swapped(parent: int, name: str) -> int:
            if name == "d":
                raise NotADirectoryError(20, "Not a directory")
            return real(parent, name)

        with monkeypatch.context() as patch:
            patch.setattr(files, "open_directory_at", swapped)
            keeper.keep()
        assert keeper.kinds() == {"d/new": FILE}
        keeper.keep()
        assert keeper.kinds() == {"d/new": FILE}

    def test_over_the_limit(self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
        keeper.start({"z/image": "1"})
        keeper.put("z/new", "1")
        keeper.keep()
        monkeypatch.setattr(tree, "LIMIT", 5)
        for number in range(5):
            keeper.put(f"a/b{number}", "1")
        (text,) = keeper.keep().news
        assert "there are over 5 files" in text
        assert keeper.kinds().items() >= {("z/new", FILE)}
        assert GONE not in keeper.kinds().values()

    def test_file_system_of_its_own(self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
        keeper.start({"d/image": "1"})
        keeper.put("d/new", "1")
        keeper.keep()
        inode = (keeper.kept / "d").stat().st_ino
        real = os.stat

        def mounted(path: int | str, **options: Any) -> os.stat_result:  # noqa: ANN401 - as os.stat
            found = real(path, **options)
            if found.st_ino != inode:
                return found
            return os.stat_result((*found[:2], found.st_dev + 1, *found[3:]))

        with monkeypatch.context() as patch:
            patch.setattr(os, "stat", mounted)
            assert keeper.keep().news == ()
        assert keeper.kinds() == {"d/new": FILE}

    def test_file_that_changes_while_it_is_read(
        self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keeper.put("a", "1")
        keeper.keep()
        keeper.put("a", "2")
        real = trees.Contents.receive

        def slow(contents: trees.Contents, descriptor: int, *, private: bool, limit: int) -> str:
            received = real(contents, descriptor, private=private, limit=limit)
            keeper.put("a", "3")
            return received

        with monkeypatch.context() as patch:
            patch.setattr(trees.Contents, "receive", slow)
            (text,) = keeper.keep().news
        assert text == f"{keeper.path('a')}: not kept: it changes while it is read"
        old = keeper.nodes()["a"]
        keeper.keep()
        assert keeper.nodes()["a"] != old


class TestBounds:
    def test_the_largest_is_left_out(self, keeper: Keeper) -> None:
        keeper.settings = replace(keeper.settings, keep_limit=10)
        keeper.put("small", "1" * 9)
        keeper.put("large", "1" * 10)
        with (keeper.kept / "sparse").open("wb") as sparse:
            sparse.truncate(1 << 40)
        (text,) = keeper.keep().news
        assert text.startswith(f"{keeper.path('sparse')}, {keeper.path('large')}: not kept: ")
        assert "Aptkeep::Keep::Max-Size" in text
        assert keeper.kinds() == {"small": FILE}

    def test_what_is_kept_stays(self, keeper: Keeper) -> None:
        keeper.settings = replace(keeper.settings, keep_limit=10)
        keeper.put("old", "1" * 9)
        keeper.keep()
        keeper.put("new", "1" * 2)
        keeper.keep()
        assert keeper.kinds() == {"old": FILE}
        keeper.put("old", "1" * 11)
        keeper.keep()
        assert keeper.nodes()["old"].size == 9


class TestPackages:
    """What is just what a package brought comes back with it."""

    @pytest.fixture(autouse=True)
    def package(self, keeper: Keeper) -> None:
        """`web` is installed, and has a conffile, a file, a link and a directory."""
        self.unpack(keeper)
        keeper.keep()
        assert keeper.nodes() == {}

    def unpack(self, keeper: Keeper, version: str = "1") -> None:
        """What dpkg does."""
        content = f"of {version}"
        keeper.put("web.conf", content)
        keeper.put("tool", content, 0o755)
        keeper.put("d/empty", None)
        link = keeper.kept / "current"
        link.unlink(missing_ok=True)
        link.symlink_to(f"version-{version}")
        for name in ("web.conf", "tool", "current"):
            os.utime(keeper.kept / name, (1000, 1000), follow_symlinks=False)
        md5 = hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()
        names = ("web.conf", "tool", "current", "d", "d/empty")
        info = "var/lib/dpkg/info"
        keeper.root.write(f"{info}/web.list", "".join(f"{keeper.path(n)}\n" for n in names))
        keeper.root.write(f"{info}/web.md5sums", f"{md5}  {keeper.path('tool')[1:]}\n")
        conffile = f"Conffiles:\n {keeper.path('web.conf')} {md5}\n"
        keeper.packages["web"] = paragraph("web", "install ok installed", version, more=conffile)
        keeper.install("other")

    def remove(self, keeper: Keeper) -> None:
        """What `dpkg --purge` does."""
        for name in ("web.conf", "tool", "current", "d"):
            keeper.delete(name)
        for path in (keeper.root.path / "var/lib/dpkg/info").iterdir():
            path.unlink()
        keeper.purge("web")

    def test_content(self, keeper: Keeper) -> None:
        keeper.put("web.conf", "changed")
        keeper.put("tool", "changed", 0o755)
        keeper.keep()
        assert keeper.kinds() == {"web.conf": FILE, "tool": FILE}
        self.unpack(keeper)
        keeper.keep()
        assert keeper.nodes() == {}

    def test_modes(self, keeper: Keeper) -> None:
        (keeper.kept / "web.conf").chmod(0o600)
        (keeper.kept / "d/empty").chmod(0o700)
        keeper.keep()
        assert keeper.kinds() == {"web.conf": FILE, "d/empty": DIRECTORY}

    def test_link(self, keeper: Keeper) -> None:
        (keeper.kept / "current").unlink()
        (keeper.kept / "current").symlink_to("version-0")
        keeper.keep()
        assert keeper.kinds() == {"current": LINK}

    def test_upgrade_is_no_change(self, keeper: Keeper) -> None:
        self.unpack(keeper, "2")
        keeper.keep()
        assert keeper.nodes() == {}

    def test_deletion(self, keeper: Keeper) -> None:
        keeper.delete("web.conf")
        keeper.delete("d")
        keeper.keep()
        assert keeper.kinds() == {"web.conf": GONE, "d": GONE, "d/empty": GONE}
        keeper.put("other", "1")
        keeper.keep()
        assert keeper.kinds()["web.conf"] is GONE
        self.unpack(keeper)
        keeper.keep()
        assert keeper.kinds() == {"other": FILE}

    def test_deletion_of_what_was_changed_before(self, keeper: Keeper) -> None:
        keeper.put("web.conf", "changed")
        keeper.keep()
        keeper.delete("web.conf")
        keeper.keep()
        assert keeper.kinds() == {"web.conf": GONE}

    def test_the_package_goes(self, keeper: Keeper) -> None:
        keeper.delete("web.conf")
        keeper.keep()
        keeper.put("web.conf", "again")
        keeper.keep()
        self.remove(keeper)
        keeper.keep()
        assert keeper.nodes() == {}

    def test_deleted_again_on_the_next_root(self, keeper: Keeper) -> None:
        keeper.delete("web.conf")
        keeper.put("tool", "changed", 0o755)
        keeper.keep()
        wanted = keeper.nodes()
        keeper.start()
        for path in (keeper.root.path / "var/lib/dpkg/info").glob("*"):
            path.unlink()
        self.unpack(keeper)
        assert keeper.restore() == []
        assert "web.conf" not in keeper.there()
        keeper.put("new", "1")
        keeper.keep()
        assert keeper.nodes().items() >= wanted.items()
        keeper.put("web.conf", "of 1")
        keeper.keep()
        assert "web.conf" not in keeper.nodes()

    def test_of_the_image(self, keeper: Keeper) -> None:
        """The package came with the image."""
        self.remove(keeper)
        keeper.keep()
        self.unpack(keeper)
        take_baseline(keeper.configuration)
        (Path(keeper.root.paths.state) / "kept.json").unlink()
        (keeper.kept / "tool").chmod(0o700)
        (keeper.kept / "d").chmod(0o700)
        os.utime(keeper.kept / "web.conf")
        (keeper.kept / "current").unlink()
        (keeper.kept / "current").symlink_to("version-0")
        keeper.keep()
        assert keeper.kinds() == {"tool": FILE, "d": DIRECTORY, "current": LINK}


class TestPrivacy:
    """The home is its owner's to read: what was closed to others stays so in it."""

    @pytest.fixture(autouse=True)
    def open_above(self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
        """The directories above the test's own may be closed; let them all be as `/` is."""
        real = os.stat

        def stat(path: int | str, **options: Any) -> os.stat_result:  # noqa: ANN401 - as os.stat
            above = isinstance(path, str) and is_below(str(keeper.directory), path)
            return real("/" if above else path, **options)

        monkeypatch.setattr(os, "stat", stat)

    def mode_of(self, keeper: Keeper, name: str) -> int:
        content = keeper.store_path / "files" / str(keeper.nodes()[name].sha256)
        return content.stat().st_mode & 0o777

    def test_by_the_files_mode(self, keeper: Keeper) -> None:
        keeper.put("secret", "1", 0o640)
        keeper.put("public", "2", 0o644)
        keeper.keep()
        assert self.mode_of(keeper, "secret") == 0o600
        assert self.mode_of(keeper, "public") == 0o644

    def test_by_the_directories_above(self, keeper: Keeper) -> None:
        keeper.put("d/e/secret", "1", 0o644)
        (keeper.kept / "d").chmod(0o700)
        keeper.keep()
        assert self.mode_of(keeper, "d/e/secret") == 0o600

    def test_by_the_directories_above_the_kept_path(self, keeper: Keeper) -> None:
        keeper.put("d/e/secret", "1", 0o644)
        (keeper.kept / "d").chmod(0o700)
        keeper.settings = replace(keeper.settings, keep=(keeper.path("d/e"),))
        keeper.keep()
        assert self.mode_of(keeper, "d/e/secret") == 0o600

    def test_once_private_always_private(self, keeper: Keeper) -> None:
        keeper.put("public", "1", 0o644)
        keeper.keep()
        keeper.put("secret", "1", 0o600)
        keeper.keep()
        assert self.mode_of(keeper, "public") == 0o600


class TestAddedLater:
    """`Aptkeep::Keep` names the path when the root is no longer new."""

    @pytest.fixture(autouse=True)
    def late(self, keeper: Keeper) -> None:
        keeping_it = keeper.settings
        keeper.settings = replace(keeping_it, keep=())
        keeper.start({"bin": None, "lib/image": "1"})
        keeper.put("bin/tool", "1")
        keeper.put("lib/new", "1")
        keeper.put("empty", None)
        keeper.settings = keeping_it

    def test_what_is_older_than_the_baseline_is_the_images(self, keeper: Keeper) -> None:
        keeper.keep()
        assert keeper.kinds() == {"bin/tool": FILE, "lib/new": FILE, "empty": DIRECTORY}

    def test_directories_of_the_image_are_not_undone(self, keeper: Keeper) -> None:
        keeper.install("cowsay")
        keeper.record()
        keeper.keep()
        keeper.roll_back(1)
        assert keeper.there() == {"bin": None, "lib": None, "lib/image": "1"}

    def test_directories_that_a_restore_makes_are_no_wishes(self, keeper: Keeper) -> None:
        keeper.keep()
        wanted, numbers = keeper.nodes(), keeper.numbers()
        keeper.start({})
        assert keeper.restore() == []
        keeper.keep()
        keeper.put("lib/new", "1")
        keeper.keep()
        assert (keeper.nodes(), keeper.numbers()) == (wanted, numbers)

    def test_reading_changes_nothing(self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)  # only root looks
        kept_image = Path(keeper.root.paths.state) / "kept-image"
        _last, after, _unkept = present_nodes(keeper.configuration)
        assert keeper.path("lib/new") in after
        assert not kept_image.exists()

    def test_taken_off_the_list_again(self, keeper: Keeper) -> None:
        keeper.keep()
        wanted = keeper.nodes()
        keeper.settings = replace(keeper.settings, keep=())
        keeper.delete("lib/new")
        assert keeper.keep() == Kept()
        assert keeper.nodes() == wanted


class TestNotStarted:
    def test_looking_before_the_first_start(self, keeper: Keeper) -> None:
        """Nobody knows then what is the image's."""
        keeper.fresh_root()
        keeper.put("a", "1")
        last, after, unkept = present_nodes(keeper.configuration)
        assert (last.nodes, after, unkept) == ({}, {}, [])


class TestTwoAtOnce:
    def test_not_while_another_one_is_at_it(self, keeper: Keeper) -> None:
        keeper.put("a", "1")
        keeper.keep()
        keeper.put("b", "1")
        with (
            open_store(str(keeper.home), STORE) as store,
            trees.locked(store, 0),
            pytest.raises(LockedError),
        ):
            keeper.keep()
        keeper.keep()
        assert keeper.kinds() == {"a": FILE, "b": FILE}

    def test_not_while_a_restore_is_at_work(self, keeper: Keeper) -> None:
        keeper.put("a", "1")
        keeper.state.begin_restore(Touched())
        assert keeper.keep() == Kept()
        keeper.state.end_restore()
        keeper.keep()
        assert keeper.kinds() == {"a": FILE}

    def test_what_a_restore_made_half_way_is_no_wish(self, keeper: Keeper) -> None:
        keeper.put(".aptkeep-0123456789abcdef", "half of something")
        assert keeper.keep() == Kept()

    def test_another_home(self, keeper: Keeper) -> None:
        """It knows nothing of what was recorded into the first one: all that is here is new."""
        keeper.put("a", "1")
        keeper.keep()
        keeper.home.rename(keeper.directory / "old-home")
        keeper.home.mkdir()
        keeper.keep()
        assert keeper.kinds() == {"a": FILE}
        keeper.start()
        assert keeper.restore() == []
        assert keeper.there() == {"a": "1"}

    def test_store_that_was_moved_away_holds_contents_again(
        self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(looking, "_TICK", 0)  # nothing was changed just now
        keeper.put("file", "1")
        keeper.keep()
        keeper.store_path.rename(f"{keeper.store_path}.away")
        keeper.keep()
        assert keeper.kinds() == {"file": FILE}
        keeper.start()
        assert keeper.restore() == []
        assert keeper.there() == {"file": "1"}

    def test_two_machines_with_one_home(self, keeper: Keeper, tmp_path: Path) -> None:
        keeper.put("a", "1")
        keeper.keep()
        (tmp_path / "other").mkdir()
        other = Keeper(tmp_path / "other")
        other.kept, other.home = keeper.kept, keeper.home
        other.settings = keeper.settings
        other.fresh_root()
        keeper.kept.rename(tmp_path / "aside")
        keeper.kept.mkdir()
        take_baseline(other.configuration)
        other.put("b", "1")
        other.keep()
        assert other.kinds() == {"a": FILE, "b": FILE}
        other.delete("b")
        other.keep()
        assert other.kinds() == {"a": FILE}


def test_damaged_listing_costs_only_what_it_listed(keeper: Keeper) -> None:
    keeper.put("a", "1")
    keeper.keep()
    (listing,) = (keeper.store_path / "trees").iterdir()
    listing.write_bytes(b"damaged")
    keeper.put("b", "1")
    (text,) = keeper.keep().news
    assert "the listing" in text
    assert "is damaged" in text
    assert keeper.kinds() == {"a": FILE, "b": FILE}


def test_contents_are_kept_once(keeper: Keeper) -> None:
    for number in range(3):
        keeper.put(str(number), "same")
    keeper.keep()
    assert len(list((keeper.store_path / "files").iterdir())) == 1


def test_damaged_content_is_written_anew(keeper: Keeper) -> None:
    keeper.put("a", "same")
    keeper.keep()
    (content,) = (keeper.store_path / "files").iterdir()
    content.write_text("flip")
    keeper.put("b", "same")
    keeper.keep()
    assert content.read_text() == "same"


def test_state_of_the_root_that_can_not_be_read(keeper: Keeper) -> None:
    keeper.start({"image": "1"})
    keeper.put("a", "1")
    keeper.keep()
    for name in ("kept.json", "kept-image"):
        (Path(keeper.root.paths.state) / name).write_bytes(b"\xff{")
    keeper.keep()
    assert keeper.kinds() == {"a": FILE}


def test_nothing_is_asked_for(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper.settings = replace(keeper.settings, keep=())
    monkeypatch.setattr(keeping, "find_home", None)
    assert keep(keeper.configuration, "door") == Kept()


def test_a_change_for_which_there_was_no_room_is_kept_when_there_is(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keeper.put("file", "old")
    keeper.keep()
    before = keeper.nodes()
    path.write_text("new")
    changed = os.stat(path).st_ctime_ns
    while time.time_ns() < changed + 50_000_000:  # else it's looked at again for that alone
        time.sleep(0.01)

    def full(*_given: object, **_more: object) -> str:
        raise StoreFullError("there is no room left")

    with monkeypatch.context() as patch:
        patch.setattr(trees.Contents, "receive", full)
        assert "there is no room left" in str(keeper.keep().news)
    assert keeper.nodes() == before
    assert keeper.keep().generation is not None
    assert keeper.nodes() != before

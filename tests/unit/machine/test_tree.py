"""Looking at paths, in directories that others may change at the same time."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aptkeep import files
from aptkeep.machine import tree
from aptkeep.machine.tree import ChangingError, Scan, Scanner, exclusion
from aptkeep.model import Node, NodeKind
from unit.kept_paths import on_this_device


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to look into."""
    on_this_device(tmp_path, monkeypatch)
    (tmp_path / "top").mkdir()
    return tmp_path / "top"


def scan(*roots: Path | str, excluded: tuple[str, ...] = ()) -> Scan:
    """Everything below `roots`."""
    return Scanner(exclusion(excluded, ())).scan(map(str, roots))


def names(found: Scan, top: Path) -> set[str]:
    """The paths that were found, relative to `top`."""
    return {os.path.relpath(path, top) for path in found.paths}


class TestScan:
    def test_everything_is_found_and_no_link_followed(self, tmp_path: Path, top: Path) -> None:
        (tmp_path / "outside/x").mkdir(parents=True)
        (top / "d/e").mkdir(parents=True)
        (top / "d/f").touch()
        (top / "link").symlink_to(tmp_path / "outside")
        (top / "up").symlink_to("..")
        os.mkfifo(top / "fifo")
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.path.relpath(top / "socket"))
        found = scan(top)
        assert names(found, top) == {".", "d", "d/e", "d/f", "link", "up", "fifo", "socket"}
        kinds = {os.path.relpath(path, top): seen.kind for path, seen in found.paths.items()}
        assert kinds["fifo"] is kinds["socket"] is None
        assert kinds["link"] is NodeKind.LINK

    def test_what_is_not_there(self, top: Path) -> None:
        (top / "file").touch()
        found = scan(top / "no", top / "file/below")
        assert (found.paths, found.unseen) == ({}, {})

    def test_a_link_in_the_place_of_a_directory_above(self, tmp_path: Path, top: Path) -> None:
        """It came after the way there was resolved."""
        (tmp_path / "outside/x").mkdir(parents=True)
        (top / "d").symlink_to(tmp_path / "outside")
        assert scan(top / "d/x").paths == {}

    def test_too_deep(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tree, "DEPTH", 3)
        (top / "1/2/3/4/5").mkdir(parents=True)
        found = scan(top)
        assert names(found, top) == {".", "1", "1/2", "1/2/3"}
        assert found.unseen == {str(top / "1/2/3"): "it is over 3 directories deep"}

    def test_as_deep_as_it_gets(self, top: Path) -> None:
        """Neither descriptors nor frames run out."""
        descriptor = os.open(top, os.O_RDONLY)
        for _ in range(300):
            os.mkdir("d", dir_fd=descriptor)
            inner = os.open("d", os.O_RDONLY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        os.close(descriptor)
        found = scan(top)
        assert len(found.paths) == tree.DEPTH + 1
        assert len(found.unseen) == 1

    def test_a_directory_of_too_many_names(
        self, top: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tree, "LIMIT", 10)
        (top / "many").mkdir()
        for number in range(12):
            (top / "many" / str(number)).touch()
        (top / "other").touch()
        found = scan(top)
        assert names(found, top) == {".", "many", "other"}
        assert found.unseen == {str(top / "many"): "it holds over 10 names"}

    def test_too_many_in_all(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tree, "LIMIT", 10)
        for number in range(6):
            (top / f"d{number}").mkdir()
            (top / f"d{number}/f").touch()
        found = scan(top)
        assert len(found.paths) == 10
        assert found.unseen.keys() == {str(top), str(top / "d4")}
        assert set(found.unseen.values()) == {"there are over 10 files"}
        assert scan(top, top / "d5").sha256 != found.sha256, "the next directory is named, too"

    def test_what_is_over_the_limit_is_not_even_looked_at(
        self, top: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in (str(number) for number in range(100, 200)):
            (top / name).touch()
        looked = []
        real = os.stat

        def stat(path: int | str, **options: Any) -> os.stat_result:  # noqa: ANN401 - as os.stat
            looked.append(path)
            return real(path, **options)

        monkeypatch.setattr(tree, "LIMIT", 200)
        scan(top)
        monkeypatch.setattr(os, "stat", stat)
        monkeypatch.setattr(tree, "LIMIT", 100)
        scan(top)
        assert len(looked) <= 102

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
    def test_closed_directory(self, top: Path) -> None:
        (top / "d").mkdir(mode=0o000)
        assert scan(top).unseen == {str(top / "d"): "Permission denied"}

    def test_listing_that_breaks_off(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (top / "d/e").mkdir(parents=True)
        inode = (top / "d").stat().st_ino

        def scandir(descriptor: int) -> Iterator[os.DirEntry[str]]:
            if os.fstat(descriptor).st_ino == inode:
                raise OSError(5, "Input/output error")
            return real(descriptor)

        real = os.scandir
        monkeypatch.setattr(os, "scandir", scandir)
        assert scan(top).unseen == {str(top / "d"): "Input/output error"}

    def test_a_mount_of_the_same_device(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (top / "bound/x").mkdir(parents=True)
        (top / "file").touch()
        mounts = frozenset({str(top / "bound"), str(top / "file")})
        monkeypatch.setattr(tree, "mount_points", lambda: mounts)
        found = scan(top)
        assert names(found, top) == {"."}
        assert found.elsewhere == mounts
        assert scan(top / "bound").paths == {}
        assert tree.is_elsewhere(str(top / "bound/x/y"))
        assert not tree.is_elsewhere(str(top))

    def test_no_descriptor_is_left_open(self, top: Path) -> None:
        (top / "d/e").mkdir(parents=True)
        before = os.listdir("/proc/self/fd")
        scan(top, top / "no", top / "d/e/f/g")
        assert os.listdir("/proc/self/fd") == before


class TestDigest:
    """It's the same as long as nothing is changed, and only then."""

    @pytest.fixture
    def filled(self, top: Path) -> Path:
        (top / "d").mkdir()
        (top / "d/f").write_text("1")
        (top / "l").symlink_to("x")
        return top

    def test_same(self, filled: Path) -> None:
        assert scan(filled).sha256 == scan(filled).sha256

    @pytest.mark.parametrize(
        "change",
        ["content", "mode", "directory mode", "time", "new", "gone", "renamed", "link", "kind"],
    )
    def test_other(self, filled: Path, change: str) -> None:
        before, path = scan(filled).sha256, filled / "d/f"
        if change == "content":
            status = path.stat()
            path.write_text("2")
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        elif change == "mode":
            path.chmod(0o600)
        elif change == "directory mode":
            (filled / "d").chmod(0o700)
        elif change == "time":
            os.utime(path, (1, 1))
        elif change == "new":
            (filled / "new").touch()
        elif change == "gone":
            path.unlink()
        elif change == "renamed":
            path.rename(filled / "d/g")
        elif change == "link":
            (filled / "l").unlink()
            (filled / "l").symlink_to("y")
        else:
            path.unlink()
            path.mkdir()
        assert scan(filled).sha256 != before

    def test_what_is_not_kept_does_not_matter(self, filled: Path) -> None:
        before = scan(filled, excluded=("*/d",)).sha256
        (filled / "d/f").write_text("2")
        assert scan(filled, excluded=("*/d",)).sha256 == before


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*/cache", "/opt/a/cache", True),
        ("*/cache", "/opt/a/cache/b/c", True),
        ("*/cache", "/opt/a/cached", False),
        ("*/cache/", "/opt/a/cache/b", True),
        ("/opt/x", "/opt/x/y", True),
        ("/opt/x", "/opt/xy", False),
        ("*.pyc", "/opt/new\nline.pyc", True),
        ("*.pyc", "/opt/\udcff.pyc", True),
        ("/opt/[ab]", "/opt/b", True),
        ("/opt/?", "/opt/bc", False),
        ("*", "/opt", True),
        ("[", "/opt", False),
    ],
)
def test_exclusion(pattern: str, path: str, *, expected: bool) -> None:
    assert exclusion([pattern], ())(path) is expected


def test_exclusion_of_a_path_itself() -> None:
    excluded = exclusion((), ["/home/user", "/var/lib/aptkeep"])
    assert excluded("/home/user")
    assert excluded("/home/user/a/b")
    assert not excluded("/home/user2")
    assert not exclusion((), ())("/anything")


def test_resolved(tmp_path: Path) -> None:
    (tmp_path / "real/a").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    real = os.path.realpath(tmp_path)
    asked = [f"{tmp_path}/link/a", f"{tmp_path}/real", f"{tmp_path}/link", f"{tmp_path}/no/such"]
    # A link that is named is itself what is kept; what it leads to is kept if that is named.
    assert tree.resolved(asked) == [f"{real}/link", f"{real}/no/such", f"{real}/real"]


class TestOpened:
    def test_a_file_as_it_was_seen(self, top: Path) -> None:
        (top / "f").write_text("1")
        seen = tree.look(str(top / "f"))
        assert seen is not None
        with tree.opened(str(top / "f"), seen) as descriptor:
            assert os.read(descriptor, 9) == b"1"
            (top / "f").chmod(0o600)
            with pytest.raises(ChangingError):
                tree.check_unchanged(descriptor, str(top / "f"), seen)

    @pytest.mark.parametrize("swapped", ["file", "link", "fifo", "directory above", "nothing"])
    def test_something_else_by_now(self, tmp_path: Path, top: Path, swapped: str) -> None:
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside/f").write_text("outside")
        (top / "d").mkdir()
        path = top / "d/f"
        path.write_text("1")
        seen = tree.look(str(path))
        assert seen is not None
        path.unlink()
        if swapped == "file":
            path.write_text("2")
        elif swapped == "link":
            path.symlink_to(tmp_path / "outside/f")
        elif swapped == "fifo":
            os.mkfifo(path)
        elif swapped == "directory above":
            (top / "d").rmdir()
            (top / "d").symlink_to(tmp_path / "outside")
        with pytest.raises(ChangingError), tree.opened(str(path), seen):
            pass
        if swapped != "link":
            with pytest.raises(ChangingError):
                tree.node(str(path), seen._replace(mode=0o120777))

    def test_descriptors_are_closed(self, top: Path) -> None:
        (top / "f").touch()
        seen = tree.look(str(top / "f"))
        assert seen is not None
        before = os.listdir("/proc/self/fd")
        for place in ("f", "no", "f/below"):
            with pytest.raises(ChangingError), tree.opened(str(top / place), seen._replace(size=9)):
                pass
        assert os.listdir("/proc/self/fd") == before


def test_look(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tree.look(str(top / "no/such")) is None
    (top / "link").symlink_to("nowhere")
    seen = tree.look(str(top / "link"))
    assert seen is not None
    assert seen.kind is NodeKind.LINK

    def closed(parent: int, name: str) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files, "open_directory_at", closed)
    with pytest.raises(PermissionError):
        tree.look(str(top / "no"))


def test_nodes(top: Path) -> None:
    (top / "link").symlink_to("../a\nb")
    me, group = tree.owner_name(os.getuid()), tree.group_name(os.getgid())
    seen = tree.look(str(top / "link"))
    assert seen is not None
    link = Node(NodeKind.LINK, 0, me, group, target="../a\nb")
    assert tree.node(str(top / "link"), seen) == link
    (top / "d").mkdir()
    (top / "d").chmod(0o3711)
    seen = tree.look(str(top / "d"))
    assert seen is not None
    assert tree.node(str(top / "d"), seen) == Node(NodeKind.DIRECTORY, 0o3711, me, group)
    unknown = seen._replace(uid=4_000_000_000, gid=4_000_000_001)
    found = tree.node(str(top / "d"), unknown)
    assert found is not None
    assert (found.owner, found.group) == ("4000000000", "4000000001")
    assert tree.node("/x", seen._replace(mode=0o010644)) is None


def test_is_closed(top: Path) -> None:
    above = [path for path in (top, *top.parents) if path != Path("/")]
    closed = any(not path.stat().st_mode & 0o001 for path in above)
    (top / "d").mkdir(mode=0o755)
    assert tree.is_closed(str(top / "d")) is closed
    top.chmod(0o750)
    assert tree.is_closed(str(top / "d"))
    assert not tree.is_closed("/")

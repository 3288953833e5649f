"""The store as a tree that root alone can have written. `owner` stands in for root."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aptkeep import files
from aptkeep.errors import (
    AptkeepError,
    LockedError,
    StoreFullError,
    StoreUnavailableError,
    UntrustedError,
)
from aptkeep.store.tree import Directory, Trust, open_store
from unit.limits import no_file_longer_than

RELATIVE = ".local/share/aptkeep"
ME = os.getuid()
SOMEBODY_ELSE = ME + 1


def make(home: Path) -> Path:
    """Make the store and return where it is."""
    with open_store(str(home), RELATIVE, create=True, owner=ME):
        pass
    return home / RELATIVE


def refused(home: Path, *, owner: int = ME, create: bool = False) -> UntrustedError:
    """The error that opening the store ends in."""
    opening = open_store(str(home), RELATIVE, create=create, owner=owner)
    with pytest.raises(UntrustedError) as caught, opening:
        pytest.fail("the store was opened")
    assert caught.value.exit_code == 3
    return caught.value


# -- opening


def test_a_store_is_made_where_there_is_none(home: Path) -> None:
    old = os.umask(0o022)
    try:
        path = make(home)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_a_store_is_made_in_a_home_with_a_strict_umask(home: Path) -> None:
    old = os.umask(0o077)
    try:
        assert make(home).is_dir()
    finally:
        os.umask(old)


def test_nothing_is_made_unless_asked_for(home: Path) -> None:
    with pytest.raises(FileNotFoundError), open_store(str(home), RELATIVE, owner=ME):
        pass
    assert list(home.iterdir()) == []


def test_a_home_that_is_gone(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    with (
        pytest.raises(StoreUnavailableError) as caught,
        open_store(gone, RELATIVE, create=True, owner=ME),
    ):
        pass
    assert gone in caught.value.brief
    with pytest.raises(FileNotFoundError), open_store(gone, RELATIVE, owner=ME):
        pass


def test_a_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StoreUnavailableError),
        open_store(str(tmp_path / "file"), RELATIVE, create=True, owner=ME),
    ):
        pass


@pytest.mark.parametrize("part", [".local", ".local/share", RELATIVE])
@pytest.mark.parametrize("create", [True, False])
def test_no_link_is_followed_on_the_way(home: Path, part: str, *, create: bool) -> None:
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    make(elsewhere)  # a whole store, to make the link worth following
    path = home / part
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(elsewhere / part)
    error = refused(home, create=create)
    assert str(path) in error.brief
    assert "link" in error.brief


@pytest.mark.parametrize("part", [".local", ".local/share", RELATIVE])
def test_a_file_is_no_directory(home: Path, part: str) -> None:
    (home / part).parent.mkdir(parents=True, exist_ok=True)
    (home / part).touch()
    assert str(home / part) in refused(home, create=True).brief


def test_a_link_that_leads_nowhere_is_refused_too(home: Path) -> None:
    (home / ".local").symlink_to("/nonexistent")
    refused(home, create=True)


def test_a_store_of_somebody_else_is_refused(home: Path) -> None:
    """The directories above it belong to the home's owner, and may."""
    path = make(home)
    error = refused(home, owner=SOMEBODY_ELSE)
    assert str(path) in error.brief
    assert f"uid {ME}" in error.brief


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777, 0o1777, 0o2775])
def test_a_store_that_others_may_write_to_is_refused(home: Path, mode: int) -> None:
    path = make(home)
    path.chmod(mode)
    error = refused(home)
    assert f"mode {mode:04o}" in error.brief


@pytest.mark.parametrize("mode", [0o755, 0o700, 0o750])
def test_a_store_that_others_may_only_read_is_trusted(home: Path, mode: int) -> None:
    make(home).chmod(mode)
    with open_store(str(home), RELATIVE, owner=ME) as store:
        assert store.names() == []


def test_the_way_to_the_store_may_be_open_to_others(home: Path) -> None:
    """Whoever owns the home owns the way; what's checked is opened from there, not believed."""
    make(home)
    (home / ".local").chmod(0o777)
    with open_store(str(home), RELATIVE, owner=ME):
        pass


def test_an_error_in_the_body_is_the_bodys_own(home: Path) -> None:
    make(home)

    def work() -> None:
        raise FileNotFoundError("mine")

    with (
        pytest.raises(FileNotFoundError, match="mine"),
        open_store(str(home), RELATIVE, create=True, owner=ME),
    ):
        work()


def test_no_descriptor_stays_open(home: Path) -> None:
    make(home)
    (home / RELATIVE / "sub").mkdir(mode=0o777)
    (home / RELATIVE / "sub").chmod(0o777)
    (home / RELATIVE / "file").touch(mode=0o666)
    (home / RELATIVE / "file").chmod(0o666)
    before = len(os.listdir("/proc/self/fd"))
    with open_store(str(home), RELATIVE, owner=ME) as store:
        store.append("log", "text", 1000)
        with pytest.raises(UntrustedError):
            store.subdirectory("sub")
        with pytest.raises(UntrustedError):
            store.read("file", 10)
        with pytest.raises(FileNotFoundError):
            store.subdirectory("missing")
    with pytest.raises(UntrustedError), open_store(str(home), RELATIVE, owner=SOMEBODY_ELSE):
        pass
    assert len(os.listdir("/proc/self/fd")) == before


# -- directories in it


def test_a_directory_is_made_and_found(store: Directory) -> None:
    with pytest.raises(FileNotFoundError):
        store.subdirectory("sub")
    with store.subdirectory("sub", create=True) as made:
        made.write("file", b"x")
    with store.subdirectory("sub") as found, store.subdirectory("sub", create=True) as again:
        assert found.names() == again.names() == ["file"]
        assert found.path == f"{store.path}/sub"


def _link(path: Path) -> None:
    path.symlink_to("/tmp")  # noqa: S108 - not used


def _group_writable(path: Path) -> None:
    path.mkdir()
    path.chmod(0o775)


@pytest.mark.parametrize("plant", [_link, Path.touch, _group_writable])
@pytest.mark.parametrize("create", [True, False])
def test_a_directory_that_is_not_roots_is_refused(
    store: Directory, store_path: Path, plant: Callable[[Path], None], *, create: bool
) -> None:
    plant(store_path / "sub")
    with pytest.raises(UntrustedError, match=str(store_path / "sub")):
        store.subdirectory("sub", create=create)


# -- files in it


def test_what_was_written_is_read(store: Directory, store_path: Path) -> None:
    store.write("file", b"con\0tent")
    assert store.read("file", 100) == b"con\0tent"
    assert store.has("file")
    assert not store.has("other")
    assert stat.S_IMODE((store_path / "file").stat().st_mode) == 0o644
    store.write("file", b"new", 0o600)
    assert store.read("file", 100) == b"new"
    assert stat.S_IMODE((store_path / "file").stat().st_mode) == 0o600


def test_what_is_not_there_is_not_found(store: Directory) -> None:
    with pytest.raises(FileNotFoundError):
        store.read("file", 100)


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    """Bound by its name alone: the path is longer than a socket's may be."""
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
    finally:
        os.chdir(here)


def _hard_link(path: Path) -> None:
    (path.parent / "other").write_text("x", encoding="ascii")
    path.hardlink_to(path.parent / "other")


def _writable(mode: int) -> Callable[[Path], None]:
    def plant(path: Path) -> None:
        path.write_text("x", encoding="ascii")
        path.chmod(mode)

    return plant


PLANTED = {
    "link": _link,
    "fifo": _fifo,
    "socket": _socket,
    "directory": Path.mkdir,
    "hard link": _hard_link,
    "group-writable": _writable(0o664),
    "world-writable": _writable(0o646),
}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_a_file_that_is_not_roots_is_not_read(
    store: Directory, store_path: Path, plant: Callable[[Path], None]
) -> None:
    plant(store_path / "file")
    with pytest.raises(UntrustedError, match=str(store_path / "file")):
        store.read("file", 100)


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_nothing_is_appended_to_what_is_not_roots(
    store: Directory, store_path: Path, plant: Callable[[Path], None]
) -> None:
    plant(store_path / "log")
    with pytest.raises(AptkeepError, match=str(store_path)):
        store.append("log", "text\n", 1000)


@pytest.mark.parametrize("plant", [_link, _fifo, _socket, _hard_link, _writable(0o666)])
def test_writing_replaces_whatever_was_planted(
    store: Directory, store_path: Path, plant: Callable[[Path], None]
) -> None:
    plant(store_path / "file")
    store.write("file", b"new")
    assert store.read("file", 100) == b"new"
    if (store_path / "other").exists():
        assert (store_path / "other").read_text(encoding="ascii") == "x"


def test_a_file_of_somebody_else_is_not_read(home: Path, store_path: Path) -> None:
    make(home)
    (store_path / "file").write_text("x", encoding="ascii")
    with files.directory(str(store_path)) as descriptor:
        theirs = Directory(descriptor, str(store_path), Trust(SOMEBODY_ELSE))
        with pytest.raises(UntrustedError, match=f"uid {ME}"):
            theirs.read("file", 100)


def test_a_file_that_is_too_large_is_not_read(store: Directory) -> None:
    store.write("file", b"x" * 11)
    with pytest.raises(UntrustedError, match="larger than 10 bytes"):
        store.read("file", 10)
    assert store.read("file", 11) == b"x" * 11


# -- unfinished files


def test_an_unfinished_file_is_not_there(store: Directory, store_path: Path) -> None:
    for name in ("b", "a", f"{files.TEMPORARY}c.1"):
        (store_path / name).touch()
    assert store.names() == ["a", "b"]
    store.remove_unfinished()
    assert sorted(os.listdir(store_path)) == ["a", "b"]


def test_a_full_disk_loses_nothing_and_says_so(store: Directory, store_path: Path) -> None:
    store.write("file", b"old")
    with no_file_longer_than(1000), pytest.raises(StoreUnavailableError) as caught:
        store.write("file", b"x" * 5000)
    assert str(store_path / "file") in caught.value.brief
    assert caught.value.exit_code == 3
    assert os.listdir(store_path) == ["file"]
    assert store.read("file", 100) == b"old"


# -- the log's way of writing


def test_appending(store: Directory, store_path: Path) -> None:
    store.append("log", "one\n", 1000)
    store.append("log", "twö\n", 1000)
    assert (store_path / "log").read_text(encoding="utf-8") == "one\ntwö\n"
    assert os.listdir(store_path) == ["log"]


def test_a_log_that_is_full_begins_anew(store: Directory, store_path: Path) -> None:
    for number in range(100, 108):
        store.append("log", f"{number}\n", 7)
    assert set(os.listdir(store_path)) <= {"log", "log.old"}
    text = "".join(
        (store_path / name).read_text(encoding="ascii")
        for name in ("log.old", "log")
        if (store_path / name).exists()
    )
    assert text.endswith("106\n107\n")
    assert len(text) < len("".join(f"{number}\n" for number in range(100, 108)))


# -- the lock


def test_two_machines_do_not_write_at_once(home: Path, store: Directory) -> None:
    store.lock(0)
    with open_store(str(home), RELATIVE, owner=ME) as other:
        with pytest.raises(LockedError, match=str(home)):
            other.lock(0.01)
        assert other.names() == []  # reading needs no lock


# -- receiving


@pytest.fixture
def source(tmp_path: Path) -> Iterator[int]:
    """A descriptor of a file elsewhere."""
    path = tmp_path / "x.deb"
    path.write_bytes(b"a deb")
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_home_without_room_is_told_from_one_that_fails(
    store: Directory, source: int, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The first passes, or is made to; what the caller does with a file is no matter of ours."""

    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(files, "received", refuse)
        with pytest.raises(StoreFullError), store.received(source):
            pass
    with pytest.raises(OSError, match="caller") as caught, store.received(source):
        raise OSError(number, "the caller's")
    assert not isinstance(caught.value, AptkeepError)
    assert store.names() == []


def test_what_was_received_is_not_among_the_names_until_it_has_one(
    store: Directory, source: int
) -> None:
    with store.received(source) as (temporary, _sha256, _size):
        assert store.names() == []
        store.rename(temporary, "x.deb")
        assert store.names() == ["x.deb"]
    with store.opened("x.deb") as descriptor:
        assert os.read(descriptor, 100) == b"a deb"


def test_a_second_link_is_only_for_what_is_checked(store: Directory, store_path: Path) -> None:
    """Who has the other one could write through it."""
    store.write("x.deb", b"x")
    os.link(store_path / "x.deb", store_path / "other")
    with pytest.raises(UntrustedError, match="2 hard links"), store.opened("x.deb"):
        pass
    with store.opened("x.deb", may_be_linked=True) as descriptor:
        assert os.read(descriptor, 100) == b"x"

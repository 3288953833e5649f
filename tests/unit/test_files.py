"""Opening files without surprises, and writing them whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from aptkeep import files
from aptkeep.errors import LockedError
from unit.limits import alarm, no_file_longer_than


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[int]:
    """A descriptor of an empty directory."""
    with files.directory(str(tmp_path)) as descriptor:
        yield descriptor


# -- reading


def test_reading_takes_content_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "source.list"
    path.write_bytes(b"deb\0\xff\n")
    path.chmod(0o640)
    assert files.read_path(str(path), 100) == (b"deb\0\xff\n", 0o640)


def test_reading_follows_a_link_of_the_roots_own(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("x", encoding="ascii")
    (tmp_path / "link").symlink_to("target")
    assert files.read_path(str(tmp_path / "link"), 100)[0] == b"x"


@pytest.mark.parametrize(("size", "fits"), [(9, True), (10, True), (11, False), (100, False)])
def test_reading_has_a_limit(tmp_path: Path, *, size: int, fits: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    outcome = contextlib.nullcontext() if fits else pytest.raises(files.NotRegularError)
    with outcome:
        assert len(files.read_path(str(path), 10)[0]) == size


def test_reading_waits_for_no_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(files.NotRegularError, match="no regular file"):
        files.read_path(str(tmp_path / "fifo"), 10)


@pytest.mark.parametrize("path", ["/dev/zero", "/"])
def test_reading_takes_regular_files_only(path: str) -> None:
    with pytest.raises(files.NotRegularError):
        files.read_path(path, 10)


def test_reading_beneath_a_home(tmp_path: Path) -> None:
    (tmp_path / "keys/mine").mkdir(parents=True)
    (tmp_path / "keys/mine/key.asc").write_text("k", encoding="ascii")
    (tmp_path / "keys/mine/key.asc").chmod(0o600)
    assert files.read_beneath(str(tmp_path), "keys/mine/key.asc", 10) == (b"k", 0o600)


@pytest.mark.parametrize("link", ["keys", "keys/mine", "keys/mine/key.asc"])
def test_reading_beneath_a_home_follows_no_link(tmp_path: Path, link: str) -> None:
    outside = tmp_path / "outside/keys/mine"
    outside.mkdir(parents=True)
    (outside / "key.asc").write_text("secret", encoding="ascii")
    home = tmp_path / "home"
    (home / link).parent.mkdir(parents=True)
    (home / link).symlink_to(tmp_path / "outside" / link)
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        files.read_beneath(str(home), "keys/mine/key.asc", 10)


@pytest.mark.parametrize("relative", ["../outside", "keys/../../outside", "..", "."])
def test_reading_beneath_a_home_never_leaves_it(tmp_path: Path, relative: str) -> None:
    (tmp_path / "outside").write_text("secret", encoding="ascii")
    (tmp_path / "home/keys").mkdir(parents=True)
    with pytest.raises(OSError):  # noqa: PT011 - whichever it is
        files.read_beneath(str(tmp_path / "home"), relative, 10)


def test_reading_beneath_a_home_waits_for_no_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key.asc")
    with pytest.raises(files.NotRegularError):
        files.read_beneath(str(tmp_path), "key.asc", 10)


# -- writing


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o640, 0o444])
def test_writing_gives_content_and_mode_whatever_the_umask_is(
    tmp_path: Path, parent: int, mode: int
) -> None:
    old = os.umask(0o077)
    try:
        files.write_atomically(parent, "file", b"new", mode)
    finally:
        os.umask(old)
    assert (tmp_path / "file").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_writing_replaces_what_is_there(tmp_path: Path, parent: int) -> None:
    (tmp_path / "file").write_text("old", encoding="ascii")
    (tmp_path / "file").chmod(0o600)
    files.write_atomically(parent, "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_writing_replaces_a_link_and_leaves_its_target_alone(tmp_path: Path, parent: int) -> None:
    (tmp_path / "target").write_text("untouched", encoding="ascii")
    (tmp_path / "file").symlink_to("target")
    files.write_atomically(parent, "file", b"new")
    assert not (tmp_path / "file").is_symlink()
    assert (tmp_path / "target").read_text(encoding="ascii") == "untouched"


def test_what_is_being_written_is_no_leftover(
    tmp_path: Path, parent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / f"{files.TEMPORARY}{'0' * 16}"
    left.touch()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        files.remove_unfinished(parent)  # by another process that tidies up
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    files.write_atomically(parent, "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.parametrize("there_before", [True, False])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, parent: int, *, there_before: bool
) -> None:
    """A file that may not grow any more stands in for a disk that is full."""
    if there_before:
        (tmp_path / "file").write_text("old", encoding="ascii")
    with no_file_longer_than(1000), pytest.raises(OSError, match="too large"):
        files.write_atomically(parent, "file", b"x" * 5000)
    assert sorted(p.name for p in tmp_path.iterdir()) == (["file"] if there_before else [])
    if there_before:
        assert (tmp_path / "file").read_text(encoding="ascii") == "old"


def test_writing_over_a_directory_fails_and_leaves_nothing(tmp_path: Path, parent: int) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError):  # noqa: PT011 - whichever it is
        files.write_atomically(parent, "file", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_large_file_is_written_whole(tmp_path: Path, parent: int) -> None:
    content = os.urandom(3 << 20)
    files.write_atomically(parent, "file", content)
    assert (tmp_path / "file").read_bytes() == content


def test_what_is_unfinished_is_removed_and_all_else_stays(tmp_path: Path, parent: int) -> None:
    for name in (f"{files.TEMPORARY}a.1", f"{files.TEMPORARY}", "file", ".hidden"):
        (tmp_path / name).touch()
    files.remove_unfinished(parent)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".hidden", "file"]


def test_among_others_only_what_nobody_else_would_call_so(tmp_path: Path, parent: int) -> None:
    names = [f"{files.TEMPORARY}users", f"{files.TEMPORARY}{'a' * 16}"]
    for name in names:
        (tmp_path / name).touch()
    files.remove_unfinished(parent, among_others=True)
    assert [path.name for path in tmp_path.iterdir()] == names[:1]


def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The directories that are synchronized from now on."""
    found: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def test_a_directory_that_is_made_has_its_name_on_disk(
    tmp_path: Path, parent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = synced(monkeypatch)
    files.make_directory("new", parent=parent)
    assert (tmp_path / "new").is_dir()
    assert found == [str(tmp_path)]


def test_names_are_on_disk_with_all_directories_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = synced(monkeypatch)
    (tmp_path / "a").mkdir()
    files.sync_names([str(tmp_path / "a" / "gone"), str(tmp_path / "never" / "was")])
    assert {"/", str(tmp_path), str(tmp_path / "a")} <= set(found)


def test_many_names_are_synchronized_with_their_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = synced(monkeypatch)
    systems: list[int] = []
    monkeypatch.setattr(files, "sync_file_system", systems.append)
    files.sync_names([str(tmp_path / str(number)) for number in range(files.FEW + 1)])
    assert not found
    assert systems


# -- locking


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[int]:
    """A second opening of the same directory, as another process would have it."""
    with files.directory(str(tmp_path)) as descriptor:
        yield descriptor


def test_a_lock_is_held_by_one(parent: int, holder: int) -> None:
    files.lock(holder, 0, "this machine")
    with pytest.raises(LockedError, match="this machine") as caught:
        files.lock(parent, 0.01, "this machine")
    assert "0.01 seconds" in caught.value.details


def test_a_lock_is_given_back_when_it_is_closed(tmp_path: Path, parent: int) -> None:
    with files.directory(str(tmp_path)) as held:
        files.lock(held, 0, "it")
    files.lock(parent, 0, "it")


def test_who_waits_for_a_lock_can_give_up(parent: int, holder: int) -> None:
    files.lock(holder, 0, "it")
    answers = iter([False, True])
    with pytest.raises(LockedError):
        files.lock(parent, 600, "it", lambda: next(answers))


def test_a_lock_that_becomes_free_in_time_is_taken(parent: int, tmp_path: Path) -> None:
    held = os.open(tmp_path, os.O_RDONLY)
    files.lock(held, 0, "it")

    def free_it() -> bool:
        os.close(held)
        return False

    files.lock(parent, 600, "it", free_it)


# -- receiving


@contextlib.contextmanager
def source(directory: Path, content: bytes = b"a deb") -> Iterator[int]:
    """A descriptor of a file outside `parent`, read to its end by somebody."""
    (directory / "from").mkdir(exist_ok=True)
    path = directory / "from/x.deb"
    path.write_bytes(content)
    path.chmod(0o600)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.read(descriptor, 100)
        yield descriptor
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("linked", [False, True])
def test_what_is_received_is_whole_and_has_its_sum(
    parent: int, tmp_path: Path, *, linked: bool
) -> None:
    with source(tmp_path) as descriptor:
        with files.received(parent, descriptor, linked=linked) as (name, sha256, size):
            assert (tmp_path / name).read_bytes() == b"a deb"
            assert (sha256, size) == (hashlib.sha256(b"a deb").hexdigest(), 5)
            assert name.startswith(files.TEMPORARY)
            same = (tmp_path / name).stat().st_ino == os.fstat(descriptor).st_ino
            assert same is linked
            assert linked or stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o644
            (tmp_path / name).rename(tmp_path / "kept")
        assert (tmp_path / "kept").read_bytes() == b"a deb"


def test_what_nobody_gave_a_name_is_gone(parent: int, tmp_path: Path) -> None:
    with source(tmp_path) as descriptor:
        with files.received(parent, descriptor, linked=False):
            pass
        with (
            pytest.raises(KeyError),
            files.received(parent, descriptor, linked=True),
        ):
            raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["from"]
    assert (tmp_path / "from/x.deb").read_bytes() == b"a deb"


def test_what_can_not_be_linked_is_copied(
    parent: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another file system, as a home mostly is one."""

    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    with (
        source(tmp_path) as descriptor,
        files.received(parent, descriptor, linked=True) as (name, _sha256, _size),
    ):
        assert (tmp_path / name).read_bytes() == b"a deb"
        assert (tmp_path / name).stat().st_ino != os.fstat(descriptor).st_ino


def test_a_file_that_was_deleted_meanwhile_is_received(parent: int, tmp_path: Path) -> None:
    """Who holds it open holds the last copy."""
    with source(tmp_path) as descriptor:
        (tmp_path / "from/x.deb").unlink()
        with files.received(parent, descriptor, linked=True) as (name, _sha256, _size):
            assert (tmp_path / name).read_bytes() == b"a deb"


@pytest.mark.parametrize("linked", [False, True])
def test_one_file_can_be_received_twice_at_once(
    parent: int, tmp_path: Path, *, linked: bool
) -> None:
    """apt installed the same archive of its cache twice: both wait in one batch."""
    with source(tmp_path) as descriptor:
        again = os.open(tmp_path / "from/x.deb", os.O_RDONLY)
        with (
            alarm(0.3),
            files.received(parent, descriptor, linked=linked) as (one, sha256, _),
            files.received(parent, again, linked=linked) as (other, same, _),
        ):
            assert one != other
            assert sha256 == same
        os.close(again)


def test_no_copy_takes_the_last_room(
    parent: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recording must go on; a link takes no room."""
    words = list(os.statvfs(tmp_path))
    words[4] = 0  # f_bavail
    monkeypatch.setattr(os, "fstatvfs", lambda _descriptor: os.statvfs_result(words))
    with source(tmp_path) as descriptor:
        with (
            pytest.raises(OSError, match="No space left") as caught,
            files.received(parent, descriptor, linked=False),
        ):
            pass
        assert caught.value.errno == errno.ENOSPC
        with files.received(parent, descriptor, linked=True):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["from"]


@pytest.mark.parametrize(("free", "fits"), [(16 << 20, False), ((16 << 20) + 8192, True)])
def test_some_room_stays_free(
    parent: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, free: int, fits: bool
) -> None:
    words = (4096, 4096, 10**9, free // 4096, free // 4096, *os.statvfs(tmp_path)[5:])
    monkeypatch.setattr(os, "fstatvfs", lambda _descriptor: os.statvfs_result(words))
    outcome = contextlib.nullcontext() if fits else pytest.raises(OSError, match="No space left")
    with source(tmp_path) as d, outcome, files.received(parent, d, linked=False):
        pass


def test_a_disk_that_is_full_half_way_leaves_nothing(parent: int, tmp_path: Path) -> None:
    with (
        source(tmp_path, b"x" * 100) as descriptor,
        no_file_longer_than(50),
        pytest.raises(OSError, match="too large"),
        files.received(parent, descriptor, linked=False),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["from"]


def test_what_somebody_is_receiving_is_no_leftover(parent: int, tmp_path: Path) -> None:
    (tmp_path / ".new-77.5").write_bytes(b"of a process that died")
    (tmp_path / ".new-x").symlink_to("from")
    with (
        source(tmp_path) as descriptor,
        files.received(parent, descriptor, linked=False) as (name, _sha256, _size),
    ):
        files.remove_unfinished(parent)
        assert (tmp_path / name).read_bytes() == b"a deb"
        assert not (tmp_path / ".new-77.5").exists()
    files.remove_unfinished(parent)
    assert not (tmp_path / name).exists()


def test_nobody_else_can_lock_what_is_being_received(
    parent: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who can open a file can hold its lock for ever."""
    modes = []

    def locked(descriptor: int, _how: int) -> None:
        modes.append(os.fstat(descriptor).st_mode & 0o777)

    monkeypatch.setattr(fcntl, "flock", locked)
    with (
        source(tmp_path) as descriptor,
        files.received(parent, descriptor, linked=False) as (name, _sha256, _size),
    ):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o644
    assert modes == [0o600]


def test_two_machines_with_the_same_process_number(parent: int, tmp_path: Path) -> None:
    """They share a home, and in containers low numbers are the rule."""
    with (
        source(tmp_path) as descriptor,
        files.received(parent, descriptor, linked=False) as (name, _sha256, _size),
    ):
        with files.received(parent, descriptor, linked=False) as (another, _sha256, _size):
            assert name != another
        assert (tmp_path / name).read_bytes() == b"a deb"

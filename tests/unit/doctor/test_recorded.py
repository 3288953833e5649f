"""What of packages, sources and keys is not in the store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aptkeep.compare import Difference
from aptkeep.doctor import recorded
from aptkeep.doctor.findings import EXAMPLES, Kind
from aptkeep.errors import StoreFullError, StoreUnavailableError
from aptkeep.machine.observe import Snapshot
from aptkeep.model import FileKind, KeptFile, Observation, Pending, Platform
from aptkeep.review import Status

PLATFORM = Platform("debian", "trixie", "amd64")
NOBODY = "nobody"


def test_changes_are_counted_by_kind() -> None:
    assert list(recorded.changes([])) == []
    changes = [Difference("package", f"p{n}", None, "install 1") for n in range(7)]
    changes.append(Difference("source", "/etc/apt/sources.list", "a", "b"))
    (found,) = recorded.changes(changes)
    assert found.kind is Kind.UNRECORDED
    assert found.subject == "7 packages, 1 source"
    assert (found.count, len(found.examples)) == (8, EXAMPLES)


def test_packages_without_a_deb() -> None:
    assert list(recorded.without_deb([], pool_keep="none")) == []
    (found,) = recorded.without_deb(["mine"], pool_keep="none")
    assert found.examples == ("mine",)
    assert 'set Aptkeep::Pool::Keep to "local"' in found.remedy
    (found,) = recorded.without_deb(["mine"], pool_keep="all")
    assert "Pool::Keep" not in found.meaning + found.remedy


def test_advice_is_no_finding() -> None:
    quiet = Status("/home/u", "/home/u/s", started=True, restoring=False, generation=None)
    assert list(recorded.advice(quiet)) == []
    busy = Status(
        "/home/u",
        "/home/u/s",
        started=True,
        restoring=False,
        generation=None,
        pending=(Pending("vim", "gone"),),
        unpooled=2,
    )
    assert [text.partition(":")[0] for text in recorded.advice(busy)] == [
        "1 pending on this machine",
        "2 .deb files on the way into the pool",
    ]


def test_a_key_that_can_not_be_kept() -> None:
    unkept = (Pending("/k/a.asc", "it holds a private key"), Pending("/k/b", "Permission denied"))
    snapshot = Snapshot(Observation(PLATFORM), unkept=unkept)
    (found,) = recorded.keys(snapshot, {"/k/b"})
    assert (found.kind, found.subject) == (Kind.KEY, "/k/a.asc")
    assert "private key" in found.meaning


class TestHome:
    @pytest.fixture
    def home(self, tmp_path: Path) -> Path:
        """A home whose way is open, as far as a test can see to it."""
        for parent in tmp_path.parents:
            if parent.stat().st_uid == os.getuid() and str(parent).startswith("/tmp/"):  # noqa: S108
                parent.chmod(parent.stat().st_mode | 0o011)
        tmp_path.chmod(0o755)
        if any(not parent.stat().st_mode & 0o001 for parent in tmp_path.parents):
            pytest.skip("the way to the tests' directories is closed")
        return tmp_path

    def look(self, home: Path, *keys: Path, rewrite: bool = False) -> tuple[list[str], list[str]]:
        """The places that findings name, and the advice."""
        kept = {str(key): KeptFile(FileKind.HOME_KEY, "0" * 64, 0o644) for key in keys}
        snapshot = Snapshot(Observation(PLATFORM, files=kept))
        found, advice = recorded.home_closed(snapshot, str(home), user=NOBODY, rewrite=rewrite)
        assert all(finding.kind is Kind.UNREADABLE_HOME for finding in found)
        return [finding.subject for finding in found], advice

    def test_it_is_open(self, home: Path) -> None:
        (home / "key.asc").touch(0o644)
        assert self.look(home, home / "key.asc", rewrite=True) == ([], [])

    def test_nothing_relies_on_it(self, home: Path) -> None:
        home.chmod(0o700)
        found, (advice,) = self.look(home)
        assert found == []
        assert str(home) in advice

    def test_sources_rely_on_it(self, home: Path) -> None:
        (home / "key.asc").touch(0o644)
        home.chmod(0o700)
        assert self.look(home, home / "key.asc") == ([str(home)], [])
        assert self.look(home, rewrite=True) == ([str(home)], [])

    def test_the_key_itself_is_closed(self, home: Path) -> None:
        (home / "key.asc").touch(0o600)
        assert self.look(home, home / "key.asc") == ([str(home / "key.asc")], [])


def _disk(**members: int) -> os.statvfs_result:
    defaults = {"f_bfree": 1 << 20, "f_frsize": 4096, "f_files": 100, "f_ffree": 50, "f_flag": 0}
    names = ["f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail"]
    names += ["f_files", "f_ffree", "f_favail", "f_flag", "f_namemax"]
    values = {**defaults, **members}
    return os.statvfs_result([values.get(name, 0) for name in names])


@pytest.mark.parametrize(
    ("disk", "error"),
    [
        (_disk(), None),
        (_disk(f_files=0, f_ffree=0), None),  # btrfs counts no inodes
        (_disk(f_bfree=31), StoreFullError),
        (_disk(f_ffree=0), StoreFullError),
        (_disk(f_flag=os.ST_RDONLY), StoreUnavailableError),
    ],
)
def test_room_in_the_home(
    monkeypatch: pytest.MonkeyPatch, disk: os.statvfs_result, error: type[Exception] | None
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _path: disk)
    if error is None:
        recorded.room("/home/u")
    else:
        with pytest.raises(error):
            recorded.room("/home/u")


def test_no_home() -> None:
    with pytest.raises(StoreUnavailableError):
        recorded.room("/not/there")

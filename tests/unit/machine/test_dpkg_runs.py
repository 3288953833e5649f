"""When dpkg was at work, as its logs and apt's tell."""

from __future__ import annotations

import calendar
import gzip
import os
import time
from collections.abc import Iterator

import pytest

from aptkeep.machine import dpkg_runs
from aptkeep.machine.dpkg_runs import Run, Runs
from unit.machine.fake_root import FakeRoot

DPKG_LOG = """\
2026-11-24 10:00:05 startup archives unpack
2026-11-24 10:00:05 install cowsay:all <none> 3.03
2026-11-24 10:00:06 status unpacked cowsay:all 3.03
2026-11-24 10:00:09 startup packages configure
2026-11-24 10:00:09 configure cowsay:all 3.03 <none>
2026-11-24 10:00:12 status installed cowsay:all 3.03
"""
HISTORY = """
Start-Date: 2026-11-24  10:00:04
Commandline: apt-get install cowsay
Install: cowsay:amd64 (3.03)
End-Date: 2026-11-24  10:00:13

Start-Date: 2026-11-24  11:00:00
Commandline: apt-get install vim
"""


@pytest.fixture(autouse=True)
def zone() -> Iterator[None]:
    """We are somewhere else than Greenwich."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "XXX-9")
        time.tzset()
        yield
    time.tzset()


def moment(text: str, hours: int = 0) -> float:
    """A time of this day in UTC, that many hours east of Greenwich."""
    parsed = time.strptime(f"2026-11-24 {text}", "%Y-%m-%d %H:%M:%S")
    return calendar.timegm(parsed) - hours * 3600


def unpack(root: FakeRoot, at: float) -> None:
    """What dpkg leaves of unpacking a package."""
    os.utime(root.write("var/lib/dpkg/info/cowsay.list", "/.\n"), (at, at))


def spans(root: FakeRoot, since: float = 0.0) -> list[tuple[float, float]]:
    """The runs that are found."""
    return [(run.begin, run.end) for run in dpkg_runs.read(root.paths, since)]


def test_the_runs_of_dpkg() -> None:
    assert dpkg_runs.of_dpkg(DPKG_LOG) == [
        ("2026-11-24 10:00:05", "2026-11-24 10:00:06"),
        ("2026-11-24 10:00:09", "2026-11-24 10:00:12"),
    ]


def test_the_runs_of_apt_and_one_that_was_killed() -> None:
    assert dpkg_runs.of_apt(HISTORY) == [
        ("2026-11-24 10:00:04", "2026-11-24 10:00:13"),
        ("2026-11-24 11:00:00", "2026-11-24 11:00:00"),
    ]


@pytest.mark.parametrize(
    "text", ["", "\n\n", "garbage\n", "2026-11-24 10:00 startup x\n", "\0" * 9]
)
def test_what_cannot_be_read_is_no_run(text: str) -> None:
    assert dpkg_runs.of_dpkg(text) == []
    assert dpkg_runs.of_apt(text) == []


def test_local_time_is_our_own(root: FakeRoot) -> None:
    root.write("var/log/dpkg.log", DPKG_LOG)
    unpack(root, moment("10:00:06", 9))
    assert spans(root) == [
        (moment("10:00:05", 9), moment("10:00:07", 9)),
        (moment("10:00:09", 9), moment("10:00:13", 9)),
    ]


def test_local_time_was_anothers(root: FakeRoot) -> None:
    """dpkg ran with TZ=UTC, as in the build of an image; the list that it wrote shows that."""
    root.write("var/log/apt/history.log", HISTORY.split("\n\n", maxsplit=1)[0])
    unpack(root, moment("10:00:06"))
    assert spans(root) == [(moment("10:00:04"), moment("10:00:14"))]


def test_a_run_that_unpacked_nothing_had_the_zone_of_the_one_before(root: FakeRoot) -> None:
    root.write("var/log/dpkg.log", DPKG_LOG)
    unpack(root, moment("10:00:06", 3))
    assert spans(root) == [
        (moment("10:00:05", 3), moment("10:00:07", 3)),
        (moment("10:00:09", 3), moment("10:00:13", 3)),
    ]


def test_rotated_logs_count_and_old_ones_do_not(root: FakeRoot) -> None:
    history = HISTORY.split("\n\n", maxsplit=1)[0].encode()
    root.write("var/log/apt/history.log.1.gz", gzip.compress(history))
    root.write("var/log/apt/history.log.2.gz", gzip.compress(history)[:-20])  # torn
    old = root.write("var/log/dpkg.log.1", DPKG_LOG.replace("2026", "2025"))
    os.utime(old, (0, 0))
    assert spans(root, since=moment("09:00:00", 9)) == [
        (moment("10:00:04", 9), moment("10:00:14", 9))
    ]
    assert spans(root, since=moment("12:00:00", 9)) == []


def test_the_last_run_ends_when_dpkg_wrote_its_status(root: FakeRoot) -> None:
    """Whatever a script does in the rest of that second was not dpkg."""
    root.write("var/log/apt/history.log", HISTORY.split("\n\n", maxsplit=1)[0])
    unpack(root, moment("10:00:06", 9))
    ended = moment("10:00:13", 9) + 0.25
    os.utime(root.write("var/lib/dpkg/status", ""), (ended, ended))
    assert spans(root) == [(moment("10:00:04", 9), ended)]


def test_whether_dpkg_was_at_work() -> None:
    runs = Runs([Run(20, 30), Run(1, 5), Run(25, 40), Run(4, 6)])
    assert [(run.begin, run.end) for run in runs] == [(1, 6), (20, 40)]
    within = {0: False, 1: True, 5.5: True, 6: True, 7: False, 20: True, 35: True, 41: False}
    assert {at: runs.at(at) for at in within} == within
    assert not Runs([]).at(1)

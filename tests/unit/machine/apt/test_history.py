"""What apt's own history log says of who asked for what."""

from __future__ import annotations

import os

import pytest

from aptkeep.machine.apt import history
from aptkeep.machine.apt.history import Position
from aptkeep.model import Request
from unit.machine.apt.samples import RELEASES, sample
from unit.machine.fake_root import FakeRoot

ENTRY = """
Start-Date: 2026-11-24  06:42:13
Commandline: apt-get install {name}
Requested-By: {user} (1000)
Install: {name}:amd64 (1.0)
End-Date: 2026-11-24  06:42:13
"""
LOG = "var/log/apt/history.log"


def entry(name: str, user: str = "bench-user") -> str:
    """A transaction as apt logs it."""
    return ENTRY.format(name=name, user=user)


def append(root: FakeRoot, text: str) -> None:
    """Go on with the log, as apt does."""
    with open(root.paths.history_log, "a", encoding="utf-8") as stream:
        stream.write(text)


def since(root: FakeRoot, seen: Position) -> list[str]:
    """The last words of the commands that were logged since."""
    requests = history.requests_since(root.paths.history_log, seen)
    return [request.command.rpartition(" ")[2] for request in requests]


@pytest.mark.parametrize("release", RELEASES)
def test_a_log_of_apts(root: FakeRoot, release: str) -> None:
    root.write(LOG, sample(release, "history"))
    assert history.requests_since(root.paths.history_log, Position()) == (
        Request(
            "apt-get -q -y -o APT::Status-Fd=9 install alpha g++tiny foreign:i386 broken hasconf"
        ),
        Request("apt-get -q -y remove hasconf", "bench-user"),
        Request("apt-get -q -y -o Dpkg::Use-Pty=0 install hasconf", "bench-user"),
    )


def test_only_what_is_new(root: FakeRoot) -> None:
    root.write(LOG, entry("one"))
    seen = history.position(root.paths.history_log)
    assert since(root, seen) == []
    append(root, entry("two") + entry("three"))
    assert since(root, seen) == ["two", "three"]
    assert since(root, history.position(root.paths.history_log)) == []


def test_a_transaction_whose_end_was_not_logged_yet(root: FakeRoot) -> None:
    """DPkg::Post-Invoke runs before apt writes the End-Date."""
    head, _, tail = entry("one").partition("End-Date")
    root.write(LOG, head)
    assert since(root, Position()) == ["one"]
    seen = history.position(root.paths.history_log)
    append(root, f"End-Date{tail}" + entry("two"))
    assert since(root, seen) == ["two"]


def test_a_log_that_was_rotated_is_read_from_its_beginning(root: FakeRoot) -> None:
    path = root.write(LOG, entry("old") * 3)
    seen = history.position(path)
    os.rename(path, f"{path}.1")
    root.write(LOG, entry("new"))
    assert since(root, seen) == ["new"]


def test_a_log_that_was_cut_short_is_read_from_its_beginning(root: FakeRoot) -> None:
    path = root.write(LOG, entry("old") * 3)
    seen = history.position(path)
    os.truncate(path, 0)
    append(root, entry("new"))
    assert since(root, seen) == ["new"]


def test_a_root_without_a_log(root: FakeRoot) -> None:
    assert history.position(root.paths.history_log) == Position()
    assert since(root, Position()) == []
    root.write(LOG, entry("first"))
    assert since(root, Position()) == ["first"]


def test_a_log_that_was_deleted(root: FakeRoot) -> None:
    seen = history.position(root.write(LOG, entry("old")))
    os.unlink(root.paths.history_log)
    assert since(root, seen) == []


def test_a_long_log_costs_no_more_than_its_end(root: FakeRoot) -> None:
    root.write(LOG, entry("old") * 20_000 + entry("last"))
    found = since(root, Position())
    assert found[-1] == "last"
    assert len(found) < 10_000


def test_a_transaction_without_a_command_line_is_nobodys_command(root: FakeRoot) -> None:
    """aptitude, PackageKit and Synaptic drive libapt themselves; who they are is seen otherwise."""
    root.write(LOG, "\nStart-Date: 2026-11-24  06:42:13\nInstall: vim:amd64 (1.0)\n")
    assert history.requests_since(root.paths.history_log, Position()) == ()


def test_what_is_no_utf_8_and_what_is_no_field(root: FakeRoot) -> None:
    root.write(LOG, b"\nStart-Date: x\nCommandline: apt install \xff: y\nno field\n: empty\n")
    assert history.requests_since(root.paths.history_log, Position()) == (
        Request("apt install \ufffd: y"),
    )


def test_no_password_is_kept(root: FakeRoot) -> None:
    root.write(
        LOG, "\nStart-Date: x\nCommandline: apt -o Acquire::http::Proxy=http://me:pw@h:1/ upgrade\n"
    )
    (request,) = history.requests_since(root.paths.history_log, Position())
    assert request.command == "apt -o Acquire::http::Proxy=http://h:1/ upgrade"

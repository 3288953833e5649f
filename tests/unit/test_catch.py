"""What apt calls right before dpkg: links, as few as are needed, and nothing before the start."""

from __future__ import annotations

import io
import os
import sys
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from aptkeep import catch
from aptkeep.machine import incoming
from aptkeep.machine.apt import staging
from unit.machine.fake_root import FakeRoot

Call = Callable[..., list[str]]


@pytest.fixture
def root(tmp_path: Path) -> FakeRoot:
    """A root on which aptkeep was started."""
    made = FakeRoot(tmp_path / "a röot")
    made.write("var/lib/aptkeep/baseline.json", "{}")
    return made


@pytest.fixture
def call(root: FakeRoot, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call the hook as apt does; which of the files was caught, by name, and how."""
    state, archives = root.paths.state, root.paths.archives
    monkeypatch.setattr(catch, "STATE", state)
    monkeypatch.setattr(catch, "STAGED", f"{state}/staged/")
    paths = [
        root.write("var/cache/apt/archives/fetched.deb", "!<arch>\nfetched"),
        root.write("var/cache/apt/archives/sub/deep.deb", "!<arch>\ndeep"),
        root.write("var/cache/apt/archives-not/other.deb", "!<arch>\nother"),
        root.write("home/x/local ü.deb", "!<arch>\nlocal"),
        root.write("var/lib/aptkeep/staged/debs/staged.deb", "!<arch>\nstaged"),
    ]

    def called(*options: str, given: tuple[str, ...] | None = None) -> list[str]:
        lines = [f"p - - none < 1 all none {path}" for path in paths]
        text = "\n".join(
            ["VERSION 3", *(given or (f"Dir={root.path}/", *PLACES)), *options, "", *lines, ""]
        )
        stream = SimpleNamespace(buffer=io.BytesIO(os.fsencode(text)))
        monkeypatch.setattr(sys, "stdin", stream)
        old = os.umask(0o077)
        try:
            catch.main()
        finally:
            os.umask(old)
        assert stream.buffer.read() == b""
        return [
            ("link to " if os.path.islink(file.entry) else "")
            + Path(file.path).read_text("utf-8")[8:]
            for file in incoming.waiting(state, archives)
        ]

    return called


PLACES = ("Dir::Cache=var/cache/apt", "Dir::Cache::archives=archives/")
ALL = ["fetched", "link to deep", "link to other", "link to local"]


def test_everything_is_caught_but_what_a_restore_staged(call: Call) -> None:
    assert call() == ALL


@pytest.mark.parametrize(
    ("keep", "caught"),
    [("all", ALL), ("local", ["link to deep", "link to other", "link to local"]), ("none", [])],
)
def test_only_what_is_to_be_kept_is_caught(
    call: Call, root: FakeRoot, keep: str, caught: list[str]
) -> None:
    assert call(f"Aptkeep::Pool::Keep={keep}") == caught
    if not caught:
        assert not os.path.exists(os.path.join(root.paths.state, incoming.DIRECTORY))


def test_names_of_options_are_in_any_letters(call: Call) -> None:
    """apt.conf(5); the protocol has them as they were written first."""
    assert call("aptkeep::pool::keep=none") == []


@pytest.mark.parametrize(
    "places",
    [
        ("Dir::Cache::archives={root}/var/cache/apt/archives",),
        ("Dir::Cache={root}/var/cache/apt/", "Dir::Cache::archives=archives"),
        ("Dir={root}", "Dir::Cache=var/cache/", "Dir::Cache::archives=apt/archives/"),
        ("Dir={quoted}", *PLACES),
    ],
)
def test_where_apts_archives_are(call: Call, root: FakeRoot, places: tuple[str, ...]) -> None:
    """apt quotes what could be mistaken, by its code in hexadecimal."""
    quoted = urllib.parse.quote(str(root.path))
    given = tuple(place.format(root=root.path, quoted=quoted) for place in places)
    assert call(given=given) == ALL


def test_nothing_is_caught_before_the_start(call: Call, root: FakeRoot) -> None:
    """As in an image build; what apt says is read all the same, or it would get a SIGPIPE."""
    os.unlink(os.path.join(root.paths.state, "baseline.json"))
    assert call() == []


def test_what_a_restore_stages_is_where_it_is_looked_for() -> None:
    """Two names of one place, as this hook imports next to nothing."""
    assert f"{catch.STATE}/{staging.DIRECTORY}/" == catch.STAGED

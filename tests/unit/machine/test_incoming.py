"""What was handed to dpkg waits as links on the root: nothing is lost, nothing is waited for."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aptkeep.machine import incoming
from unit.debs import deb
from unit.machine.fake_root import FakeRoot

PROTOCOL = """\
VERSION 3
APT::Architecture=amd64
Dir::Cache=var/cache/apt

tool - - none < 1.0 all none /var/cache/apt/archives/tool_1.0_all.deb
lib 1 amd64 same > 0.9 amd64 same /home/x/my files/lib.deb
lib 1 i386 same = 1 i386 same **CONFIGURE**
old 2 amd64 none > - - none **REMOVE**
lib 1 amd64 same < 2 amd64 same **CONFIGURE**
odd - - none < 1 all none /srv/a  b\tc.deb
here - - none < 1 all none ./here.deb
short line
"""


def test_the_files_of_apts_protocol() -> None:
    assert incoming.of_protocol(PROTOCOL.split("\n")) == [
        "/var/cache/apt/archives/tool_1.0_all.deb",
        "/home/x/my files/lib.deb",
        "/srv/a  b\tc.deb",
    ]


@pytest.mark.parametrize("protocol", ["", "\n", "VERSION 3", "VERSION 3\n\n", "/x.deb\n/y.deb\n"])
def test_a_protocol_without_packages(protocol: str) -> None:
    assert incoming.of_protocol(protocol.split("\n")) == []


# -- dpkg's own command line


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory."""
    directory = tmp_path / "here"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


def of_dpkg(monkeypatch: pytest.MonkeyPatch, here: Path, *words: str | bytes) -> list[str]:
    """The files of a dpkg with this command line, relative to where it was called."""
    line = b"".join(os.fsencode(word) + b"\0" for word in ("dpkg", *words))
    (here.parent / "cmdline").write_bytes(line)
    real, pid = open, os.getpid()

    def opened(path: str, mode: str) -> object:
        return real(here.parent / "cmdline" if path == f"/proc/{pid}/cmdline" else path, mode)

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", opened)
        found = incoming.of_dpkg(pid)
    return [os.path.relpath(path, here) for path in found]


def test_the_files_that_dpkg_was_given(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.deb", "b b.deb", "-c.deb", "directory/d.deb"):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).touch()
    (here / os.fsdecode(b"\xff.deb")).touch()
    words = (
        "--status-fd",
        "9",
        "-i",
        "a.deb",
        str(here / "b b.deb"),
        b"\xff.deb",
        "gone",
        "directory",
    )
    assert of_dpkg(monkeypatch, here, *words) == ["a.deb", "b b.deb", os.fsdecode(b"\xff.deb")]


@pytest.mark.parametrize("option", ["-iR", "-Ri", "--recursive", "-R"])
def test_directories_are_looked_through_where_dpkg_does(
    here: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    """Below them `*.deb` only; links to directories are followed, once."""
    for name in ("a/x.deb", "a/b/y.deb", "a/b/readme", "elsewhere/z.deb", "top.deb"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).touch()
    (here / "a/loop").symlink_to(here / "a")
    (here / "a/b/link").symlink_to(here / "elsewhere")
    (here / "a/broken").symlink_to("nowhere")
    found = of_dpkg(monkeypatch, here, option, "-i", "a", "top.deb", "nothing")
    assert sorted(os.path.realpath(path) for path in found) == sorted(
        str(here / name) for name in ("a/x.deb", "a/b/y.deb", "elsewhere/z.deb", "top.deb")
    )


def test_a_directory_that_vanishes_is_no_trouble(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "a/b").mkdir(parents=True)
    (here / "a/x.deb").touch()
    real = os.stat

    def stat(path: object, *arguments: object, **options: object) -> os.stat_result:
        if str(path).endswith("a/b"):
            raise FileNotFoundError(path)
        return real(path, *arguments, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", stat)
        assert incoming._below(str(here / "a")) == [str(here / "a/x.deb")]  # noqa: SLF001


def test_a_dpkg_that_is_gone() -> None:
    assert incoming.of_dpkg(2**22 + 1) == []


# -- entries


@pytest.fixture
def archives(root: FakeRoot) -> str:
    """apt's cache of archives."""
    os.makedirs(os.path.join(root.paths.archives, "partial"))
    return root.paths.archives


def catch(root: FakeRoot, *paths: str) -> None:
    """As apt's hook does."""
    incoming.catch(root.paths.state, paths, archives=root.paths.archives)


def waiting(root: FakeRoot) -> list[tuple[bytes | None, bool]]:
    """What waits: content, and whether apt fetched it."""
    found = []
    for file in incoming.waiting(root.paths.state, root.paths.archives):
        descriptor = incoming.open_deb(file)
        content = None
        if descriptor is not None:
            content = os.pread(descriptor, 1 << 20, 0)
            os.close(descriptor)
        found.append((content, file.fetched))
    return found


def magic(letter: str) -> bytes:
    """What passes for a .deb here."""
    return f"!<arch>\n{letter}".encode()


def test_nothing_waits_on_a_fresh_root(root: FakeRoot) -> None:
    assert waiting(root) == []
    assert not incoming.count(root.paths.state)


def test_what_apt_fetched_outlives_its_cache(root: FakeRoot, archives: str) -> None:
    """docker-clean and its like delete the archives in a hook of their own."""
    path = f"{archives}x.deb"
    Path(path).write_bytes(magic("x"))
    catch(root, path)
    assert incoming.count(root.paths.state)
    os.unlink(path)
    assert waiting(root) == [(magic("x"), True)]


def test_a_local_file_stays_where_it_is(root: FakeRoot, archives: str) -> None:
    path = root.write("home/x/my own.deb", magic("x"))
    catch(root, path)
    (file,) = incoming.waiting(root.paths.state, archives)
    assert (file.path, file.fetched) == (path, False)
    assert os.stat(path).st_nlink == 1
    os.unlink(path)
    assert waiting(root) == [(None, False)]


def test_what_is_a_link_in_apts_cache_is_none_of_apts(root: FakeRoot, archives: str) -> None:
    """`apt install ./x.deb` puts a link there with some versions; a hard link to a link is none."""
    target = root.write("home/x.deb", magic("x"))
    os.symlink(target, f"{archives}x.deb")
    catch(root, f"{archives}x.deb")
    assert [content for content, _fetched in waiting(root)] == [magic("x")]


def test_they_wait_in_the_order_in_which_they_came(root: FakeRoot, archives: str) -> None:
    for letter in "abcdefghijkl":
        catch(root, root.write(f"home/{letter}.deb", magic(letter)))
    first, *_rest = incoming.waiting(root.paths.state, archives)
    incoming.done(first)
    incoming.done(first)  # another process was quicker
    catch(root, root.write("home/a.deb", magic("a")), root.write("home/a.deb", magic("a")))
    letters = b"".join((content or b"")[-1:] for content, _fetched in waiting(root))
    assert letters == b"bcdefghijklaa"


def test_a_file_that_is_gone_costs_no_other(root: FakeRoot, archives: str) -> None:
    there = root.write("home/x.deb", magic("x"))
    Path(archives, "y.deb").write_bytes(magic("y"))
    catch(root, f"{archives}gone.deb", "/" + "x" * 5000, there, f"{archives}y.deb")
    found = [content for content, _fetched in waiting(root) if content is not None]
    assert found == [magic("x"), magic("y")]


def test_what_comes_in_at_the_same_moment_is_not_lost(
    root: FakeRoot, archives: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one has the same clock."""
    paths = [root.write(f"home/{letter}.deb", magic(letter)) for letter in "ab"]
    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: 1)
        for path in paths:
            catch(root, path)
    assert sorted(content or b"" for content, _ in waiting(root)) == [magic("a"), magic("b")]


def test_what_is_done_is_not_what_came_since(root: FakeRoot, archives: str) -> None:
    """Two processes have read an entry; one has dropped it, and a new one came in."""
    catch(root, root.write("home/a.deb", magic("a")))
    (slow,) = incoming.waiting(root.paths.state, archives)
    incoming.done(slow)
    catch(root, root.write("home/b.deb", magic("b")))
    incoming.done(slow)
    assert waiting(root) == [(magic("b"), False)]


def test_entries_that_vanish_are_passed_over(
    root: FakeRoot, archives: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    catch(root, root.write("home/a.deb", magic("a")))
    names = [*os.listdir(os.path.join(root.paths.state, incoming.DIRECTORY)), "999999999", "x"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", lambda _path: names)
        found = incoming.waiting(root.paths.state, archives)
    assert len(found) == 1


def test_nobody_else_can_look_into_what_waits(root: FakeRoot, archives: str) -> None:
    old = os.umask(0o022)
    catch(root, root.write("home/a.deb", magic("a")))
    os.umask(old)
    found = os.stat(os.path.join(root.paths.state, incoming.DIRECTORY))
    assert found.st_mode & 0o777 == 0o700


# -- opening


@pytest.mark.parametrize(
    "kind", ["text", "empty", "short", "directory", "fifo", "device", "socket", "gone", "loop"]
)
def test_what_is_no_deb_is_not_waited_for(root: FakeRoot, kind: str) -> None:
    path = str(root.path / "x.deb")
    contents = {"text": b"hello world\n", "empty": b"", "short": b"!<arch>"}
    if kind in contents:
        root.write("x.deb", contents[kind])
    elif kind == "directory":
        os.mkdir(path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "loop":
        os.symlink(path, path)
    elif kind == "device":
        path = "/dev/zero"
    elif kind == "socket":
        path = "/dev/log"
    before = len(os.listdir("/proc/self/fd"))
    assert incoming.open_deb(incoming.Waiting("", path, fetched=False)) is None
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_real_deb_is_opened(root: FakeRoot) -> None:
    path = root.write("x.deb", deb())
    descriptor = incoming.open_deb(incoming.Waiting("", path, fetched=False))
    assert descriptor is not None
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)


@given(st.lists(st.text(st.characters(blacklist_characters="\n\0"), min_size=1, max_size=12)))
def test_every_path_comes_out_of_the_protocol_as_it_went_in(names: list[str]) -> None:
    lines = [f"p - - none < 1 all none /{name}" for name in names]
    protocol = "\n".join(["VERSION 3", "A=b", "", *lines, ""])
    assert incoming.of_protocol(protocol.split("\n")) == [f"/{name}" for name in names]

"""What is staged is a repository to a real libapt, beside the machine's own or instead of them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import apt_pkg
import pytest

from aptkeep.machine.apt import preferences
from aptkeep.machine.apt.archive import Archive, Wanted
from aptkeep.machine.apt.staging import ORIGIN, Staging
from unit.machine.apt.apt_root import AptRoot, Offer

SECRET = "deb [trusted=yes] https://user:password@h sid main\n"  # noqa: S105 - nobody's


@pytest.fixture
def staging(apt: AptRoot) -> Iterator[Staging]:
    """A staging area on a root with `vim` in its repository, in versions 1 and 2."""
    apt.open([], [Offer("vim"), Offer("vim", "2"), Offer("nano")])
    with Staging(apt.load().paths) as opened:
        yield opened


def stage(staging: Staging, offer: Offer) -> str:
    """Put a file there, and its paragraph; its path."""
    paragraph = offer.offered()
    name = paragraph.partition("Filename: ./")[2].partition("\n")[0]
    path = os.path.join(staging.debs, name)
    Path(path).write_bytes(offer.content)
    staging.add(offer.name, offer.version, paragraph)
    return path


def place(apt: AptRoot) -> Path:
    """Where all is staged."""
    return apt.path / "var/lib/aptkeep/staged"


def origins(name: str) -> dict[str, set[str]]:
    """The origins that offer each version of a package, to the archive opened last."""
    return {
        version.ver_str: {str(file.origin) for file, _index in version.file_list}
        for version in apt_pkg.Cache(None)[name].version_list
    }


def test_what_is_staged_is_all_there_is(apt: AptRoot, staging: Staging) -> None:
    stage(staging, Offer("tool", depends="lib"))
    stage(staging, Offer("lib", architecture="all"))
    stage(staging, Offer("lib2", architecture="i386"))
    archive = apt.reopen(staging.alone())
    names = ["tool", "lib", "lib2:i386", "vim"]
    found = {name: versions for name, versions in archive.offered(names).items() if versions}
    assert found == {"tool": ("1",), "lib": ("1",), "lib2:i386": ("1",)}
    assert archive.solve([Wanted("tool", "1"), Wanted("lib", "1")]).rejected == {}
    assert staging.versions == {"tool": "1", "lib": "1", "lib2": "1"}


def test_what_is_staged_stands_beside_the_repositories(apt: AptRoot, staging: Staging) -> None:
    apt.write("etc/apt/sources.list.d/more.list", "deb [trusted=yes] http://more ./\n")
    apt.write("var/lib/apt/lists/more_._Packages", Offer("zsh").offered())
    stage(staging, Offer("vim", "0"))
    archive = apt.reopen(staging.with_repositories())
    names = ["vim", "nano", "zsh"]
    assert archive.offered(names) == {"vim": ("2", "1", "0"), "nano": ("1",), "zsh": ("1",)}
    assert origins("vim")["0"] == {ORIGIN}
    assert ORIGIN not in origins("vim")["1"]


def test_apt_finds_the_files_and_believes_what_is_said_of_them(
    apt: AptRoot, staging: Staging
) -> None:
    path = stage(staging, Offer("tool", content=b"checked"))
    apt.reopen(staging.alone())
    cache = apt_pkg.Cache(None)
    sources = apt_pkg.SourceList()
    sources.read_main_list()
    records = apt_pkg.PackageRecords(cache)
    ((package_file, index),) = cache["tool"].version_list[0].file_list
    assert records.lookup((package_file, index))
    found = sources.find_index(package_file)
    assert found is not None
    assert found.is_trusted
    assert found.archive_uri(records.filename).removeprefix("file:").replace("/./", "/") == path
    assert str(records.hashes.find("SHA256")).endswith(hashlib.sha256(b"checked").hexdigest())


def test_apts_own_files_and_options_stay_as_they_are(apt: AptRoot, staging: Staging) -> None:
    before = _tree(apt)
    stage(staging, Offer("tool"))
    for options in (staging.with_repositories(), staging.alone(), staging.with_repositories()):
        apt.reopen(options)
    assert set(apt.reopen().offered(["vim", "tool"])) == {"vim"}
    assert _tree(apt) == before
    staging.__exit__(None, None, None)
    assert not place(apt).exists()


def _tree(apt: AptRoot) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for top in ("etc/apt", "var/lib/apt")
        for path in (apt.path / top).rglob("*")
        if path.is_file()
    }


def test_sources_with_passwords_are_links_and_never_copies(apt: AptRoot, staging: Staging) -> None:
    apt.write("etc/apt/sources.list.d/private.list", SECRET)
    (apt.path / "etc/apt/sources.list.d/private.list").chmod(0o600)
    staging.with_repositories()
    copied = [
        path
        for path in place(apt).rglob("*")
        if path.is_file() and not path.is_symlink() and b":password@" in path.read_bytes()
    ]
    assert copied == []
    assert (place(apt) / "sources/private.list").resolve().stat().st_mode & 0o777 == 0o600


def test_a_source_of_the_same_name_is_not_written_to(apt: AptRoot, staging: Staging) -> None:
    """What is linked there is the user's own file."""
    staging.with_repositories()
    (ours,) = (path for path in (place(apt) / "sources").iterdir() if path.is_file())
    theirs = apt.path / "etc/apt/sources.list.d" / ours.name
    theirs.write_text("deb [trusted=yes] http://theirs ./\n", encoding="ascii")
    stage(staging, Offer("tool"))
    for options in (staging.with_repositories(), staging.with_repositories()):
        assert apt.reopen(options).offered(["tool"]) == {"tool": ("1",)}
    assert theirs.read_text(encoding="ascii") == "deb [trusted=yes] http://theirs ./\n"


def test_what_is_staged_later_is_seen(apt: AptRoot, staging: Staging) -> None:
    """The caches of apt's that lie there are of the files before."""
    stage(staging, Offer("tool"))
    assert apt.reopen(staging.with_repositories()).offered(["tool"]) == {"tool": ("1",)}
    stage(staging, Offer("tool", "2"))
    assert apt.reopen(staging.with_repositories()).offered(["tool"]) == {"tool": ("2",)}


def test_what_a_run_that_was_killed_left_is_gone(apt: AptRoot) -> None:
    paths = apt.load().paths
    killed = Staging(paths)
    killed.__enter__()
    stage(killed, Offer("evil"))
    killed.with_repositories()
    with Staging(paths) as staging:
        assert os.listdir(staging.debs) == []
        assert not any(apt.reopen(staging.alone()).offered(["evil"]).values())
    assert not place(apt).exists()


def test_apts_own_user_can_read_what_is_staged(apt: AptRoot, staging: Staging) -> None:
    staging.alone()
    for path in place(apt).rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o005 == (0o005 if path.is_dir() else 0o004), path


def test_odd_files_of_apts_are_no_trouble(apt: AptRoot, staging: Staging) -> None:
    """Nor is its lock, which it would not take through a link."""
    apt.write("var/lib/apt/lists/lock", "")
    apt.write("var/lib/apt/lists/auxfiles/x", "")
    (apt.path / "etc/apt/sources.list.d/broken.list").symlink_to("/nowhere")
    options = staging.with_repositories()
    assert "vim" in apt.reopen(options).offered(["vim"])
    assert not (place(apt) / "lists/lock").exists()
    apt.write("etc/apt/sources.list", "")
    (apt.path / "etc/apt/sources.list.d/broken.list").unlink()
    (apt.path / "etc/apt/sources.list.d").rmdir()
    assert not any(apt.reopen(staging.with_repositories()).offered(["vim"]).values())


def test_a_snapshot_is_looked_for_beside_apts_own_lists(apt: AptRoot, staging: Staging) -> None:
    """Of one moment after the other: nothing of the first is left at the second."""
    options = staging.of_snapshot("20261124T060330Z")
    assert options["APT::Snapshot"] == "20261124T060330Z"
    lists = Path(options["Dir::State::lists"])
    (lists / "of_the_first").touch()
    again = Path(staging.of_snapshot("20261125T060330Z")["Dir::State::lists"])
    assert not (again / "of_the_first").exists()
    assert (again / "repo_._Packages").exists()
    assert not (apt.path / "var/lib/apt/lists/of_the_first").exists()


# -- pins


@pytest.mark.parametrize("theirs", ["aaaa", "zzzz"])
def test_the_staged_one_of_two_files_of_one_version_comes(
    apt: AptRoot, staging: Staging, theirs: str
) -> None:
    """A local .deb has the version of one that a repository offers, and other content."""
    apt.write("etc/apt/sources.list", f"deb [trusted=yes] http://{theirs} ./\n")
    apt.write(f"var/lib/apt/lists/{theirs}_._Packages", Offer("vim", "2").offered())
    stage(staging, Offer("vim", "2", content=b"local", depends="nano"))
    options = staging.with_repositories()
    pins = apt.path / "pins"
    pins.mkdir()
    preferences.write(str(pins), apt.load().paths, {"vim": "2"}, "amd64", staged={"vim"})
    archive = Archive("amd64", sources={**options, "Dir::Etc::PreferencesParts": str(pins)})
    assert archive.depended_on("vim", "2") == {"nano"}
    cache = apt_pkg.Cache(None)
    assert len(cache["vim"].version_list) == 2
    candidate = apt_pkg.DepCache(cache).get_candidate_ver(cache["vim"])
    assert candidate is not None
    assert {file.origin for file, _index in candidate.file_list} == {ORIGIN}

"""The pool and its index: real .deb files, and every way in which the two can disagree."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apt_pkg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aptkeep.errors import CorruptError, UntrustedError
from aptkeep.machine.apt import debfile
from aptkeep.store.pool import INDEX, SUBDIRECTORY, Origin, Pool, PooledDeb, describe, identity
from aptkeep.store.tree import Directory, open_store
from unit.debs import control, deb
from unit.store.conftest import RELATIVE

SHA256 = "0123456789ab" + "c" * 52


@pytest.fixture
def pool(store: Directory) -> Iterator[Pool]:
    """An empty pool."""
    with store.subdirectory(SUBDIRECTORY, create=True) as directory:
        yield Pool(directory, debfile.control)


@pytest.fixture
def place(store_path: Path) -> Path:
    """Where the pool lies."""
    return store_path / SUBDIRECTORY


def described(
    content: bytes, control_file: str, origin: Origin = Origin.ARCHIVE, came_from: str = ""
) -> PooledDeb:
    """A .deb as the pool has it."""
    sha256 = hashlib.sha256(content).hexdigest()
    return describe(control_file, sha256, len(content), origin, came_from)


def enter(
    pool: Pool,
    name: str,
    version: str = "1",
    *,
    content: str = "",
    architecture: str = "all",
    origin: Origin = Origin.ARCHIVE,
    came_from: str = "",
) -> PooledDeb:
    """Put a .deb into the pool and its index."""
    entered = put(
        pool,
        name,
        version,
        content=content,
        architecture=architecture,
        origin=origin,
        came_from=came_from,
    )
    pool.write_index(entered)
    return entered[-1]


def put(
    pool: Pool,
    name: str,
    version: str = "1",
    *,
    content: str = "",
    architecture: str = "all",
    origin: Origin = Origin.ARCHIVE,
    came_from: str = "",
) -> list[PooledDeb]:
    """Give a .deb its name in the pool, and die before the index is written."""
    control_file = control(name, version, architecture)
    made = deb(control_file, files={"/x": content})
    temporary = f".new-{name}"
    pool.directory.write(temporary, made)
    return pool.add(described(made, control_file, origin, came_from), temporary, pool.debs())


def keys(pool: Pool) -> list[tuple[str, str, str]]:
    """What is in the pool."""
    return [found.key for found in pool.debs()]


def index(place: Path) -> list[dict[str, str]]:
    """The index as apt reads it."""
    with apt_pkg.TagFile(str(place / INDEX)) as tags:
        return [{name: tag[name] for name in tag.keys()} for tag in tags]  # noqa: SIM118


# -- what goes in comes out


def test_an_empty_pool(pool: Pool) -> None:
    assert pool.debs() == []


def test_what_was_entered_is_there_in_the_order_in_which_it_came(pool: Pool) -> None:
    entered = [
        enter(pool, "tool", "1:2~3+b1"),
        enter(pool, "zsh", origin=Origin.LOCAL, came_from="/home/x/zsh 1.deb"),
        enter(pool, "lib", architecture="i386", origin=Origin.REBUILT),
        enter(pool, "lib", architecture="amd64"),
        enter(pool, "ace", "2"),
        enter(pool, "ace", "10"),
    ]
    assert pool.debs() == entered
    assert [found.came_from for found in entered[:2]] == ["", "/home/x/zsh 1.deb"]
    assert all(b"".join(pool.verified(found)).startswith(b"!<arch>") for found in entered)


def test_apt_reads_the_index_as_that_of_a_flat_repository(pool: Pool, place: Path) -> None:
    entered = [enter(pool, "tool", "1:2"), enter(pool, "zsh", origin=Origin.LOCAL)]
    for paragraph, found in zip(index(place), entered, strict=True):
        assert paragraph["Package"] == found.name
        assert paragraph["Filename"] == f"./{found.filename}"
        assert paragraph["Size"] == str((place / found.filename).stat().st_size)
        content = (place / found.filename).read_bytes()
        assert paragraph["SHA256"] == hashlib.sha256(content).hexdigest() == found.sha256
        assert paragraph["Description"] == "a tool\n that does it"


def test_the_last_one_takes_the_place_of_the_same_version(pool: Pool, place: Path) -> None:
    """A local .deb that was built again: the last one counts, and is the youngest."""
    for content in ("old", "new"):
        last = enter(pool, "tool", content=content)
        enter(pool, content)
    assert keys(pool) == [("old", "1", "all"), ("tool", "1", "all"), ("new", "1", "all")]
    assert last in pool.debs()
    assert len(list(place.glob("tool_*"))) == 1


def test_the_very_same_file_again_is_no_trouble(pool: Pool, place: Path) -> None:
    """But it's known by now where it came from."""
    enter(pool, "tool")
    enter(pool, "tool", origin=Origin.LOCAL, came_from="/x.deb")
    (found,) = pool.debs()
    assert (found.origin, found.came_from) == (Origin.LOCAL, "/x.deb")
    assert b"".join(pool.verified(found))
    assert len(list(place.iterdir())) == 2


def test_what_was_removed_is_gone(pool: Pool, place: Path) -> None:
    old, new = enter(pool, "tool", "1"), enter(pool, "tool", "2")
    pool.remove([old], [new])
    assert pool.debs() == [new]
    assert sorted(path.name for path in place.iterdir()) == sorted([INDEX, new.filename])
    pool.remove([old], [new])  # another machine was first
    assert pool.debs() == [new]


# -- what is not what was pooled


@pytest.mark.parametrize("damage", [lambda c: c[:-1], lambda c: c[:-1] + b"x", lambda c: b""])
def test_a_file_that_was_altered_is_never_taken(
    pool: Pool, place: Path, damage: Callable[[bytes], bytes]
) -> None:
    found = enter(pool, "tool")
    path = place / found.filename
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CorruptError, match="not what was pooled"):
        list(pool.verified(found))


def test_a_file_that_is_gone_is_not_in_the_pool(pool: Pool, place: Path) -> None:
    found, other = enter(pool, "tool"), enter(pool, "other")
    (place / found.filename).unlink()
    assert pool.debs() == [other]
    with pytest.raises(CorruptError, match=found.filename):
        list(pool.verified(found))


def test_a_file_that_is_not_roots_own_is_not_even_read(pool: Pool, place: Path) -> None:
    found = enter(pool, "tool")
    (place / found.filename).chmod(0o666)
    with pytest.raises(UntrustedError):
        list(pool.verified(found))


# -- what no index describes


def test_a_file_that_came_when_the_index_was_not_written_is_read_itself(
    pool: Pool, place: Path
) -> None:
    """Nobody knows any more where it came from, so it's kept as if it existed nowhere else."""
    first = enter(pool, "tool", origin=Origin.LOCAL, came_from="/x.deb")
    put(pool, "new", "2")
    assert pool.debs(indexed_only=True) == [first]
    kept, adopted = pool.debs()
    assert kept == first
    assert adopted.key == ("new", "2", "all")
    assert (adopted.origin, adopted.came_from) == (Origin.LOCAL, "")
    pool.write_index(pool.debs())
    assert pool.debs(indexed_only=True) == [first, adopted]


def twice(pool: Pool, place: Path) -> tuple[PooledDeb, str, str]:
    """As after a crash between the two steps of `add`: `other`, an old file and a new one."""
    old = enter(pool, "tool", content="old")
    other = enter(pool, "other")
    content = (place / old.filename).read_bytes()
    index = (place / INDEX).read_bytes()
    new = put(pool, "tool", content="new")[-1]
    (place / old.filename).write_bytes(content)
    time.sleep(0.02)  # the kernel's clock ticks 100 times a second or more
    os.utime(place / new.filename)
    assert (place / INDEX).read_bytes() == index
    return other, old.filename, new.filename


def test_of_two_files_of_one_version_the_one_that_came_last_counts(pool: Pool, place: Path) -> None:
    other, old, new = twice(pool, place)
    assert [d.filename for d in pool.debs()] == [other.filename, new]
    time.sleep(0.02)
    os.utime(place / old)
    assert [d.filename for d in pool.debs()] == [old, other.filename]


def test_what_was_mended_has_a_whole_index_and_nothing_that_does_not_count(
    pool: Pool, place: Path
) -> None:
    other, old, new = twice(pool, place)
    (place / "README").touch()
    mended = pool.mended()
    assert [d.filename for d in mended] == [other.filename, new]
    assert pool.debs(indexed_only=True) == mended
    assert sorted(os.listdir(place)) == sorted([INDEX, "README", other.filename, new])
    assert old not in os.listdir(place)
    before = (place / INDEX).stat()
    assert pool.mended() == mended
    assert (place / INDEX).stat().st_ino == before.st_ino  # nothing to mend, nothing written


def test_a_directory_in_the_way_is_moved_aside(pool: Pool, place: Path) -> None:
    """Nothing in the store is deleted that aptkeep didn't make."""
    found = described(
        deb(control("tool", "1", "all"), files={"/x": ""}), control("tool", "1", "all")
    )
    (place / found.filename / "theirs").mkdir(parents=True)
    assert enter(pool, "tool") == found
    assert pool.debs() == [found]
    assert [path.name for path in place.glob("*/*")] == ["theirs"]


def test_what_is_no_file_of_the_pools_is_left_alone(pool: Pool, place: Path) -> None:
    found = enter(pool, "tool")
    content = (place / found.filename).read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    os.mkfifo(place / f"fifo.{'a' * 12}.deb")
    (place / f"directory.{'a' * 12}.deb").mkdir()
    (place / f"link.{sha256[:12]}.deb").symlink_to(found.filename)
    (place / "README").write_text("x", encoding="ascii")
    (place / f"wrong.{'a' * 12}.deb").write_bytes(content)
    (place / f".new-{sha256[:12]}.deb").write_bytes(content)
    (place / f"short.{sha256[:11]}.deb").write_bytes(content)
    no_deb = b"!<arch>\nno"
    (place / f"no.{hashlib.sha256(no_deb).hexdigest()[:12]}.deb").write_bytes(no_deb)
    (place / f"writable.{sha256[:12]}.deb").write_bytes(content)
    (place / f"writable.{sha256[:12]}.deb").chmod(0o666)
    assert pool.debs() == [found]


@pytest.mark.parametrize("stem", [b"sp ace", b"\xff\xc3", b"%5f", b"_", b"-o", "ü".encode(), b"\r"])
def test_an_odd_name_is_a_name(pool: Pool, place: Path, stem: bytes) -> None:
    content = deb(control("tool"))
    name = stem + f".{hashlib.sha256(content).hexdigest()[:12]}.deb".encode()
    (place / os.fsdecode(name)).write_bytes(content)
    (found,) = pool.debs()
    assert os.fsencode(found.filename) == name
    pool.write_index([found])
    assert pool.debs(indexed_only=True) == [found]
    assert b"".join(pool.verified(found)) == content


# -- an index that is damaged


def test_whatever_happens_to_the_index_every_file_is_found(pool: Pool, place: Path) -> None:
    """Cut off at any byte, or with any byte altered: what it still says is true, or isn't said."""
    entered = [
        enter(pool, "tool", origin=Origin.LOCAL, came_from="/x.deb"),
        enter(pool, "zsh", architecture="amd64"),
    ]
    whole = (place / INDEX).read_bytes()
    by_name = {found.filename: found for found in entered}
    for at in range(len(whole)):
        for content in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            (place / INDEX).write_bytes(content)
            indexed = pool.debs(indexed_only=True)
            assert all(found == by_name[found.filename] for found in indexed), at
            if len(indexed) < 2 and at % 16 == 0:
                assert {d.filename for d in pool.debs()} == by_name.keys()
    assert {d.sha256 for d in pool.debs()} == {d.sha256 for d in entered}


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n\n", b"\xff\n\n", b"Package: x\n\n", b"Aptkeep-Checksum: \n\n", b"\0" * 99],
)
def test_an_index_that_is_nothing_of_the_kind(pool: Pool, place: Path, content: bytes) -> None:
    found = enter(pool, "tool")
    (place / INDEX).write_bytes(content)
    assert [d.sha256 for d in pool.debs()] == [found.sha256]


@pytest.mark.parametrize("kind", ["others may write to it", "link", "directory", "fifo"])
def test_an_index_that_is_not_roots_own_is_as_good_as_none(
    pool: Pool, place: Path, kind: str
) -> None:
    found = enter(pool, "tool", came_from="/x.deb")
    path = place / INDEX
    if kind == "others may write to it":
        path.chmod(0o666)
    else:
        path.rename(place / "saved")
    if kind == "link":
        path.symlink_to("saved")
    elif kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    assert pool.debs(indexed_only=True) == []
    (adopted,) = pool.mended()
    assert (adopted.sha256, adopted.came_from) == (found.sha256, "")
    assert pool.debs(indexed_only=True) == [adopted]


def test_paragraphs_that_were_put_together_anew_are_believed_one_by_one(
    pool: Pool, place: Path
) -> None:
    """Another order, some missing, others twice: none of them is half of anything."""
    one, two = enter(pool, "one"), enter(pool, "two")
    (place / INDEX).write_text(f"\n\n{two.paragraph}\n\n\n{two.paragraph}\n\n", encoding="utf-8")
    assert pool.debs(indexed_only=True) == [two]
    assert {d.sha256 for d in pool.debs()} == {one.sha256, two.sha256}


# -- control files


def test_the_control_file_is_kept_and_our_fields_added() -> None:
    found = describe(control("tool", "1:2"), SHA256, 7, Origin.LOCAL, "/home/x/tool.deb")
    lines = found.paragraph.split("\n")
    assert "\n".join(lines[:6]) + "\n" == control("tool", "1:2")
    assert lines[6:-1] == [
        "Filename: ./tool_1%2_all.0123456789ab.deb",
        "Size: 7",
        f"SHA256: {SHA256}",
        "Aptkeep-Origin: local",
        "Aptkeep-From: /home/x/tool.deb",
    ]


ODD = {
    "no blank after the colon": ("Package:tool\nVersion:1\nArchitecture:all\n", ""),
    "tabs": ("Package:\ttool\nVersion: 1\t\nArchitecture:\t all\n", ""),
    "lower case": ("package: tool\nversion: 1\nARCHITECTURE: all\n", ""),
    "empty lines before": ("\n\nPackage: tool\nVersion: 1\nArchitecture: all\n", ""),
    "no last line feed": ("Package: tool\nVersion: 1\nArchitecture: all", ""),
    "an empty line inside": ("Package: tool\nVersion: 1\n \nArchitecture: all\n", ""),
    "line ends of another system": ("Package: tool\r\nVersion: 1\r\nArchitecture: all\r\n", ""),
    "a field in a continuation line": (
        "Package: tool\nDescription: x\n Version: 9\n\tSHA256: 9\nVersion: 1\nArchitecture: all\n",
        "Version: 9\n\tSHA256: 9",
    ),
    "our own fields": (
        (
            "Filename: /etc/passwd\n /etc/shadow\nPackage: tool\nSIZE: 1\nsha256: x\nSHA512: x\n"
            "MD5sum: x\nSHA1: x\nVersion: 1\nAptkeep-Origin: archive\naptkeep-from: /y\n"
            "Aptkeep-Checksum: x\n more\nArchitecture: all\nSHA256-x: kept\n"
        ),
        "SHA256-x: kept",
    ),
    "nonsense in between": (
        "Package: tool\n= nonsense\n more\nVersion: 1\nArchitecture: all\n",
        "",
    ),
    "letters of the world": (
        "Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: Zoë 😀 \ufffd\n",
        "Zoë 😀 \ufffd",
    ),
    "blanks before the colon": ("Package : tool\nVersion\t: 1\nArchitecture : all\n", ""),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_control_files(tmp_path: Path, name: str) -> None:
    text, held = ODD[name]
    found = describe(text, SHA256, 7, Origin.LOCAL)
    assert found.key == ("tool", "1", "all")
    assert held in found.paragraph
    assert identity(text) == found.key
    read = _as_apt_reads([found], tmp_path / INDEX)
    assert read == [(*found.key, f"./{found.filename}", "7", SHA256)]
    assert "passwd" not in found.paragraph
    assert found.paragraph.lower().count("sha256: ") - held.lower().count("sha256: ") == 1


@pytest.mark.parametrize("missing", ["Package", "Version", "Architecture"])
@pytest.mark.parametrize("how", ["left out", "empty", "blank"])
def test_without_its_name_version_or_architecture_it_is_no_package(missing: str, how: str) -> None:
    """One such paragraph spoils the whole index for apt."""
    instead = {"left out": "X", "empty": f"{missing}:\nX", "blank": f"{missing}: \t\nX"}[how]
    text = control().replace(f"{missing}", instead, 1)
    with pytest.raises(ValueError, match=missing.lower()):
        describe(text, SHA256, 7, Origin.LOCAL)
    with pytest.raises(ValueError, match=missing.lower()):
        identity(text)


@pytest.mark.parametrize(
    "name", ["../../etc/x", ".new-x", ".", "/", "x" * 300, "a\u2028b", "%", "ü"]
)
def test_a_file_name_is_a_name_whatever_the_package_is_called(pool: Pool, name: str) -> None:
    found = describe(control(name), SHA256, 7, Origin.LOCAL)
    assert "/" not in found.filename
    assert not found.filename.startswith(".")
    assert found.filename.isascii()
    pool.directory.write(found.filename, b"x")


@pytest.mark.parametrize(
    "came_from", ["/a b/ü.deb", "/x\ny.deb", "/x\n\nPackage: evil", "/\udcff\t"]
)
def test_where_it_came_from_is_one_line(came_from: str) -> None:
    found = describe(control(), SHA256, 7, Origin.LOCAL, came_from)
    assert len(found.came_from) == len(came_from)
    assert found.came_from.isprintable()
    assert found.paragraph.count("\n") == control().count("\n") + 5


# -- properties

_words = st.from_regex(r"[a-z0-9][a-z0-9+.~-]{0,9}", fullmatch=True)
_lines = st.text(
    st.characters(blacklist_characters="\n", blacklist_categories=("Cs",)), max_size=12
)
_names = st.sampled_from(
    ["Depends", "Description", "SHA256", "filename", "Size", "Aptkeep-From", "X-y", "Section"]
)
_fields = st.builds(
    "{}:{}{}\n{}".format,
    _names,
    st.sampled_from(["", " ", "\t"]),
    _lines,
    st.lists(_lines.map(" {}\n".format), max_size=2).map("".join),
)


@st.composite
def control_files(draw: st.DrawFn) -> str:
    """Control files as dpkg might take them, with whatever else may stand in them."""
    fields = draw(st.lists(_fields, max_size=4, unique_by=lambda f: f.partition(":")[0].lower()))
    fields += [f"{name}: {draw(_words)}\n" for name in ("Package", "Version", "Architecture")]
    return "".join(draw(st.permutations(fields)))


def _as_apt_reads(debs: list[PooledDeb], path: Path) -> list[tuple[str, ...]]:
    text = "".join(f"{found.paragraph}\n\n" for found in debs)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    wanted = ("Package", "Version", "Architecture", "Filename", "Size", "SHA256")
    with apt_pkg.TagFile(str(path)) as tags:
        return [tuple(tag.get(name, "") for name in wanted) for tag in tags]


@given(
    st.lists(control_files() | st.text(st.characters(blacklist_categories=("Cs",))), max_size=3),
    st.text(max_size=8),
)
def test_apt_reads_what_we_read(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], came_from: str
) -> None:
    debs = []
    for number, text in enumerate(texts):
        with contextlib.suppress(ValueError):
            debs.append(describe(text, f"{number:064x}", number, Origin.LOCAL, came_from))
    path = tmp_path_factory.getbasetemp() / INDEX
    assert _as_apt_reads(debs, path) == [
        (*found.key, f"./{found.filename}", str(found.size), found.sha256) for found in debs
    ]


@given(
    st.lists(st.tuples(control_files(), st.sampled_from(Origin), st.text(max_size=8)), max_size=4)
)
@settings(max_examples=20)
def test_the_index_gives_back_what_was_described(
    tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, Origin, str]]
) -> None:
    debs = {}
    for number, (text, origin, came_from) in enumerate(texts):
        found = describe(text, f"{number:012x}" + "a" * 52, 0, origin, came_from)
        debs[found.key] = found
    home = tmp_path_factory.mktemp("home")
    old = os.umask(0o022)
    with (
        open_store(str(home), RELATIVE, create=True, owner=os.getuid()) as store,
        store.subdirectory(SUBDIRECTORY, create=True) as directory,
    ):
        os.umask(old)
        pool = Pool(directory, debfile.control)
        for found in debs.values():
            directory.write(found.filename, b"")
        pool.write_index(debs.values())
        assert pool.debs(indexed_only=True) == list(debs.values())

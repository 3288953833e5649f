"""The generations in a store: numbered, immutable, the newest whole one counts."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from aptkeep.errors import AptkeepError, CorruptError, UntrustedError, UsageError
from aptkeep.model import FileKind, KeptFile, Manifest
from aptkeep.store import generations
from aptkeep.store.format import codec
from aptkeep.store.format.codec import NewerSchemaError
from aptkeep.store.generations import Newest
from aptkeep.store.tree import Directory
from unit.limits import no_file_longer_than
from unit.made import TRIXIE, wish
from unit.store.format.documents import GENERATION


def manifest(*names: str) -> Manifest:
    """A manifest that wants these packages."""
    return Manifest({name: wish(auto=False, image="1") for name in names})


def write(store: Directory, *names: str) -> int:
    """Write the next generation and return its number."""
    wanted = manifest(*names)
    written = generations.write(store, GENERATION.occasion, TRIXIE, wanted)
    assert written.manifest == wanted
    return written.number


@pytest.fixture
def directory(store: Directory, store_path: Path) -> Path:
    """The directory of the generations, with three in it: of `a`, `a b` and `a b c`."""
    assert [write(store, *"abc"[:n]) for n in (1, 2, 3)] == [1, 2, 3]
    return store_path / "generations"


# -- numbering


def test_an_empty_store_has_none(store: Directory) -> None:
    assert generations.numbers(store) == []
    assert generations.newest(store) == Newest()
    assert generations.newest(store).manifest == Manifest()


def test_numbers_count_from_one(store: Directory, directory: Path) -> None:
    assert sorted(os.listdir(directory)) == ["000001.json", "000002.json", "000003.json"]
    assert generations.numbers(store) == [1, 2, 3]
    assert generations.newest(store).manifest == manifest("a", "b", "c")
    assert generations.newest(store).passed_over == ()


def test_after_the_last_number_nothing_is_written_that_nobody_would_find(
    store: Directory, directory: Path
) -> None:
    (directory / "999999999.json").write_bytes(b"{")
    with pytest.raises(CorruptError, match="none comes after it"):
        write(store, "d")
    assert generations.newest(store).manifest == manifest("a", "b", "c")


def test_a_gap_is_not_filled(store: Directory, directory: Path) -> None:
    (directory / "000002.json").unlink()
    assert generations.numbers(store) == [1, 3]
    assert write(store, "d") == 4


def test_a_number_that_is_damaged_is_not_used_again(store: Directory, directory: Path) -> None:
    (directory / "000003.json").write_bytes(b"")
    assert write(store, "d") == 4
    assert (directory / "000003.json").read_bytes() == b""


def test_numbers_have_no_end(store: Directory, directory: Path) -> None:
    for number in (999_999, 1_000_000):
        generation = replace(GENERATION, number=number)
        (directory / generations.file_name(number)).write_bytes(codec.encode(generation))
    assert generations.numbers(store)[-2:] == [999_999, 1_000_000]
    newest = generations.newest(store).generation
    assert newest is not None
    assert newest.number == 1_000_000
    assert write(store, "d") == 1_000_001


@pytest.mark.parametrize(
    "name",
    [
        "0000004.json",
        "00004.json",
        "000004.json.bak",
        ".000004.json",
        "000004",
        "00000a.json",
        "٠٠٠٠٠٤.json",
        "000004.json\n",
        f"{10**40}.json",
    ],
)
def test_what_is_named_otherwise_is_no_generation(
    store: Directory, directory: Path, name: str
) -> None:
    (directory / name).write_bytes(codec.encode(replace(GENERATION, number=4)))
    assert generations.numbers(store) == [1, 2, 3]
    assert generations.newest(store).manifest == manifest("a", "b", "c")
    assert write(store, "d") == 4


def test_what_was_written_is_never_written_again(store: Directory, directory: Path) -> None:
    before = {path.name: (path.read_bytes(), path.stat()) for path in directory.iterdir()}
    write(store, "d")
    after = {path.name: (path.read_bytes(), path.stat()) for path in directory.iterdir()}
    assert {name: after[name] for name in before} == before


def test_what_a_crash_left_is_cleared_away(store: Directory, directory: Path) -> None:
    (directory / ".new-000004.json.1").write_bytes(b"half")
    assert generations.numbers(store) == [1, 2, 3]
    assert write(store, "d") == 4
    assert ".new-000004.json.1" not in os.listdir(directory)


def test_a_full_disk_leaves_the_generations_that_there_are(
    store: Directory, directory: Path
) -> None:
    with no_file_longer_than(100), pytest.raises(AptkeepError):
        write(store, "d")
    assert sorted(os.listdir(directory)) == ["000001.json", "000002.json", "000003.json"]


def test_what_could_not_be_read_again_is_not_written(store: Directory, directory: Path) -> None:
    strange = Manifest(files={"/etc/apt/sources.list": KeptFile(FileKind.SOURCE, "short", 0o644)})
    with pytest.raises(CorruptError):
        generations.write(store, GENERATION.occasion, TRIXIE, strange)
    assert generations.numbers(store) == [1, 2, 3]


# -- the newest whole one


@pytest.mark.parametrize("damage", [b"", b"{", b"\0" * 4096, b"{}", b"[]"])
def test_a_newest_one_that_is_torn_is_passed_over_and_named(
    store: Directory, directory: Path, damage: bytes
) -> None:
    (directory / "000003.json").write_bytes(damage)
    newest = generations.newest(store)
    assert newest.manifest == manifest("a", "b")
    (error,) = newest.passed_over
    assert "000003.json" in error.brief


def test_several_that_are_torn(store: Directory, directory: Path) -> None:
    for number in (2, 3):
        path = directory / f"00000{number}.json"
        path.write_bytes(path.read_bytes()[:-30])
    newest = generations.newest(store)
    assert newest.manifest == manifest("a")
    assert ["000003" in e.brief or "000002" in e.brief for e in newest.passed_over] == [True, True]


def test_an_older_one_that_is_torn_does_not_matter(store: Directory, directory: Path) -> None:
    (directory / "000001.json").write_bytes(b"")
    assert generations.newest(store).passed_over == ()


def test_one_that_says_it_is_another_is_passed_over(store: Directory, directory: Path) -> None:
    (directory / "000003.json").write_bytes((directory / "000001.json").read_bytes())
    newest = generations.newest(store)
    assert newest.manifest == manifest("a", "b")
    assert "generation 1" in newest.passed_over[0].brief


def test_where_none_is_whole_nothing_is_made_up(store: Directory, directory: Path) -> None:
    """An empty manifest would be the end of all that was wanted."""
    for path in directory.iterdir():
        path.write_bytes(b"")
    with pytest.raises(CorruptError, match="no generation") as caught:
        generations.newest(store)
    assert caught.value.exit_code == 3


def test_a_newer_schema_is_refused_and_left_alone(store: Directory, directory: Path) -> None:
    future = json.dumps({"schema": 2, "everything": "else"}).encode()
    (directory / "000004.json").write_bytes(future)
    with pytest.raises(NewerSchemaError) as caught:
        generations.newest(store)
    assert "000004.json" in caught.value.brief
    assert caught.value.exit_code == 3
    assert (directory / "000004.json").read_bytes() == future


def test_one_that_is_not_roots_is_refused_not_passed_over(
    store: Directory, directory: Path
) -> None:
    """Who could plant it could also have replaced the others."""
    (directory / "000003.json").chmod(0o666)
    with pytest.raises(UntrustedError, match="000003"):
        generations.newest(store)
    (directory / "000003.json").unlink()
    (directory / "000003.json").symlink_to("000002.json")
    with pytest.raises(UntrustedError, match="000003"):
        generations.newest(store)


def test_a_directory_of_generations_that_is_not_roots_is_refused(
    store: Directory, directory: Path
) -> None:
    directory.chmod(0o777)
    with pytest.raises(UntrustedError):
        generations.newest(store)
    with pytest.raises(UntrustedError):
        write(store, "d")


# -- one by its number


def test_loading_one(store: Directory, directory: Path) -> None:
    assert generations.load(store, 2).manifest == manifest("a", "b")
    assert generations.read(store, 2) == (directory / "000002.json").read_bytes()


@pytest.mark.parametrize("number", [4, 0, -1, 10**12])
def test_loading_one_that_is_not_there(store: Directory, directory: Path, number: int) -> None:
    with pytest.raises(UsageError, match=f"no generation {number}"):
        generations.load(store, number)


def test_loading_one_that_is_torn(store: Directory, directory: Path) -> None:
    (directory / "000002.json").write_bytes(b"{")
    with pytest.raises(CorruptError, match="000002"):
        generations.load(store, 2)

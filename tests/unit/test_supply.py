"""What a restore has at hand: only copies that were checked; one bad file costs no other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aptkeep.machine.apt.archive import Listing
from aptkeep.machine.apt.staging import Staging
from aptkeep.store.pool import PooledDeb
from aptkeep.store.tree import Directory, open_store
from aptkeep.supply import Supply, pooled_versions, stage_listed, stage_pooled
from unit.limits import no_file_longer_than
from unit.machines import STORE, Machine
from unit.pooled import fetch, in_pool, install_file, made, pool_path, pool_what_is_local


@pytest.fixture
def staging(machine: Machine) -> Iterator[Staging]:
    """A staging area."""
    with Staging(machine.root.paths) as opened:
        yield opened


@pytest.fixture
def store(machine: Machine) -> Iterator[Directory]:
    """A store whose pool has `tool` and `local` in two versions each, and `other`."""
    for version in "12":
        fetch(machine, "tool", version)
        install_file(machine, "local", version, sums=version)
        pool_what_is_local(machine)
    fetch(machine, "other")
    with open_store(str(machine.home), STORE) as opened:
        yield opened


class _Silent:
    """Nobody to report to."""

    def step(self, text: str) -> None:
        pass

    def progress(self, percent: float, text: str) -> None:
        pass


def stage(store: Directory, staging: Staging, *wanted: tuple[str, str]) -> Supply:
    """Stage what the pool has of `wanted`."""
    return stage_pooled(store, staging, set(wanted), "amd64", _Silent())


def staged(staging: Staging) -> dict[str, bytes]:
    """The files that apt would be offered."""
    return {path.name: path.read_bytes() for path in Path(staging.debs).iterdir() if path.is_file()}


def found(machine: Machine, name: str, version: str = "1") -> tuple[PooledDeb, Path]:
    """A .deb in the pool, and where it lies."""
    (deb,) = (d for d in in_pool(machine) if (d.name, d.version) == (name, version))
    return deb, pool_path(machine) / deb.filename


def test_the_versions_in_the_pool(store: Directory) -> None:
    assert pooled_versions(store, "amd64") == {
        "tool": ("1", "2"),
        "local": ("1", "2"),
        "other": ("1",),
    }
    assert set(pooled_versions(store, "arm64")) == {"tool:amd64", "local:amd64", "other:amd64"}


def test_a_store_without_a_pool(machine: Machine, staging: Staging) -> None:
    machine.install("x")
    machine.record()
    with open_store(str(machine.home), STORE) as opened:
        assert pooled_versions(opened, "amd64") == {}
        assert stage(opened, staging, ("x", "1")) == Supply()


def test_what_is_wanted_is_staged_in_its_version_and_nothing_else(
    store: Directory, staging: Staging, machine: Machine
) -> None:
    supply = stage(store, staging, ("tool", "1"), ("local", "2"), ("other", "9"), ("lost", "1"))
    assert supply.damaged == {}
    assert staging.versions == {"tool": "1", "local": "2"}
    assert sorted(staged(staging).values()) == sorted(
        [made("tool", "1"), made("local", "2", sums="2")]
    )


DAMAGES = ("shorter", "another byte", "another .deb", "gone", "link", "directory", "not root's")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_is_not_what_was_pooled_is_never_staged_and_costs_no_other(
    store: Directory, staging: Staging, machine: Machine, damage: str
) -> None:
    deb, path = found(machine, "tool")
    content = path.read_bytes()
    path.unlink()
    if damage == "link":
        path.symlink_to("/etc/passwd")
    elif damage == "directory":
        path.mkdir()
    elif damage != "gone":
        altered = {"shorter": content[:-1], "another byte": content[:-1] + b"?"}
        path.write_bytes(altered.get(damage, made("tool", "1", sums="other")))
        path.chmod(0o666 if damage == "not root's" else 0o644)
    supply = stage(store, staging, ("tool", "1"), ("local", "1"), ("other", "1"))
    assert staging.versions == {"local": "1", "other": "1"}
    assert deb.filename not in staged(staging)
    assert len(staged(staging)) == 2
    if damage != "gone":
        assert set(supply.damaged) == {"tool"}
        assert supply.damaged["tool"]


def test_a_local_file_that_is_damaged_can_be_had_from_where_it_came(
    store: Directory, staging: Staging, machine: Machine
) -> None:
    deb, path = found(machine, "local", "2")
    path.write_bytes(b"x")
    supply = stage(store, staging, ("local", "2"))
    assert "damaged" in supply.damaged["local"]
    assert supply.own == {"local": deb}
    assert deb.came_from.endswith("/local_2.deb")


def test_a_root_that_is_full_leaves_no_half_file(
    store: Directory, staging: Staging, machine: Machine
) -> None:
    with no_file_longer_than(100):
        supply = stage(store, staging, ("tool", "1"), ("other", "1"))
    assert set(supply.damaged) == {"tool", "other"}
    assert staging.versions == {}
    assert staged(staging) == {}


# -- what apt's lists describe


class Lists:
    """apt's lists, which know versions by their hashes."""

    def __init__(self, **sums: str) -> None:
        self._sums = sums

    def listing(self, name: str, version: str) -> Listing | None:
        """As `Archive.listing`."""
        if name not in self._sums:
            return None
        paragraph = f"Package: {name}\nFilename: pool/x.deb\nFilename-Not: x\nVersion: {version}\n"
        return Listing(f"{name}_{version}_amd64.deb", self._sums[name], paragraph)


def test_only_what_is_just_what_the_lists_say_is_staged(staging: Staging, tmp_path: Path) -> None:
    """apt itself looks at the size only."""
    good, evil = b"good", b"evil"
    for name, content in (("good", good), ("evil", evil), ("unlisted", good)):
        (tmp_path / f"{name}_1_amd64.deb").write_bytes(content)
    (tmp_path / "directory_1_amd64.deb").mkdir()
    sha256 = hashlib.sha256(good).hexdigest()
    lists = Lists(good=sha256, evil=sha256, gone=sha256, directory=sha256)
    names = ("good", "evil", "gone", "directory", "unlisted")
    paths = stage_listed(lists, staging, [(n, "1") for n in names], str(tmp_path))  # type: ignore[arg-type]
    assert paths == [os.path.join(staging.debs, "good_1_amd64.deb")]
    assert staged(staging) == {"good_1_amd64.deb": good}
    assert staging.versions == {"good": "1"}
    staging.alone()
    (index,) = (Path(staging.debs).parent / "lists").glob("*_Packages")
    lines = index.read_text(encoding="ascii").split("\n")
    assert "Filename: ./good_1_amd64.deb" in lines
    assert "Filename-Not: x" in lines
    assert not any("pool/" in line for line in lines)


def test_what_is_staged_already_is_not_staged_again(staging: Staging, tmp_path: Path) -> None:
    """The pool's own file comes first."""
    (tmp_path / "tool_1_amd64.deb").write_bytes(b"x")
    staging.add("tool", "1", "Package: tool\n")
    lists = Lists(tool=hashlib.sha256(b"x").hexdigest())
    assert stage_listed(lists, staging, [("tool", "1")], str(tmp_path)) == []  # type: ignore[arg-type]


def test_what_was_downloaded_to_where_it_is_staged_stays_there(staging: Staging) -> None:
    path = Path(staging.debs) / "tool_1_amd64.deb"
    path.write_bytes(b"x")
    lists = Lists(tool=hashlib.sha256(b"x").hexdigest())
    assert stage_listed(lists, staging, [("tool", "1")], staging.debs) == [str(path)]  # type: ignore[arg-type]
    assert path.read_bytes() == b"x"

"""The kept files: sources by SHA-256, keyrings under names that people recognise."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from aptkeep.errors import CorruptError, UntrustedError
from aptkeep.model import FileKind, KeptFile
from aptkeep.store import kept
from aptkeep.store.tree import Directory

CONTENT = b"deb http://example.org trixie main\n"
PATH = "/etc/apt/sources.list.d/vendor.list"


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


def entry(
    content: bytes = CONTENT, kind: FileKind = FileKind.SOURCE, mode: int = 0o644
) -> KeptFile:
    """What a manifest says of a file."""
    return KeptFile(kind, sha256(content), mode)


# -- names


@pytest.mark.parametrize("kind", [FileKind.SOURCE, FileKind.PREFERENCES])
def test_files_are_named_by_their_content(kind: FileKind) -> None:
    assert kept.location(PATH, entry(kind=kind)) == ("files", sha256(CONTENT))


@pytest.mark.parametrize(
    ("path", "readable", "suffix"),
    [
        ("/etc/apt/keyrings/redis.gpg", "redis", ".gpg"),
        ("/usr/share/keyrings/redis-archive-keyring.asc", "redis-archive-keyring", ".asc"),
        ("/etc/apt/keyrings/no-suffix", "no-suffix", ""),
        ("/etc/apt/keyrings/two.dots.gpg", "two.dots", ".gpg"),
        ("/etc/apt/keyrings/.hidden.gpg", "hidden", ".gpg"),
        ("/etc/apt/keyrings/with space\n.gpg", "with_space_", ".gpg"),
        ("/etc/apt/keyrings/ümlaut.gpg", "_mlaut", ".gpg"),
        ("/etc/apt/keyrings/...", "key", ""),
        ("/etc/apt/keyrings/" + "x" * 200 + ".gpg", "x" * 100, ".gpg"),
    ],
)
@pytest.mark.parametrize("kind", [FileKind.KEY, FileKind.HOME_KEY])
def test_keyrings_are_named_so_that_people_know_them(
    path: str, readable: str, suffix: str, kind: FileKind
) -> None:
    directory, name = kept.location(path, entry(kind=kind))
    assert directory == "keyrings"
    assert name == f"{readable}.{sha256(CONTENT)[:12]}{suffix}"


@pytest.mark.parametrize("path", ["/etc/apt/keyrings/..", "/", "/a/b/.", "/etc/\x01/\x02.\x03"])
def test_no_name_leads_out_of_the_directory(path: str) -> None:
    _directory, name = kept.location(path, entry(kind=FileKind.KEY))
    assert "/" not in name
    assert not name.startswith(".")
    assert name.isprintable()


def test_a_keyring_that_changed_replaces_no_other(store: Directory, store_path: Path) -> None:
    for content in (b"old", b"new"):
        kept.put(store, "/etc/apt/keyrings/redis.gpg", entry(content, FileKind.KEY), content)
    assert len(os.listdir(store_path / "keyrings")) == 2
    for content in (b"old", b"new"):
        known = entry(content, FileKind.KEY)
        assert kept.get(store, "/etc/apt/keyrings/redis.gpg", known) == content


# -- keeping


@pytest.mark.parametrize("kind", list(FileKind))
@pytest.mark.parametrize(
    ("mode", "in_store"), [(0o644, 0o644), (0o600, 0o600), (0o640, 0o600), (0o444, 0o644)]
)
def test_what_was_kept_is_there_with_the_same_secrecy(
    store: Directory, store_path: Path, kind: FileKind, mode: int, in_store: int
) -> None:
    known = entry(kind=kind, mode=mode)
    kept.put(store, PATH, known, CONTENT)
    assert kept.get(store, PATH, known) == CONTENT
    path = store_path.joinpath(*kept.location(PATH, known))
    expected = 0o600 if kind is FileKind.CREDENTIALS else in_store  # whatever it was: a secret
    assert stat.S_IMODE(path.stat().st_mode) == expected


def test_keeping_twice_is_keeping_once(store: Directory, store_path: Path) -> None:
    kept.put(store, PATH, entry(), CONTENT)
    first = (store_path / "files" / sha256(CONTENT)).stat()
    kept.put(store, "/etc/apt/sources.list.d/another.list", entry(), CONTENT)
    assert (store_path / "files" / sha256(CONTENT)).stat() == first


def test_a_file_that_has_become_secret_is_secret_in_the_store(
    store: Directory, store_path: Path
) -> None:
    kept.put(store, PATH, entry(), CONTENT)
    kept.put(store, PATH, entry(mode=0o600), CONTENT)
    path = store_path / "files" / sha256(CONTENT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_damaged_copy_is_replaced(store: Directory, store_path: Path) -> None:
    kept.put(store, PATH, entry(), CONTENT)
    (store_path / "files" / sha256(CONTENT)).write_bytes(CONTENT[:10])
    kept.put(store, PATH, entry(), CONTENT)
    assert kept.get(store, PATH, entry()) == CONTENT


def test_what_a_crash_left_is_cleared_away(store: Directory, store_path: Path) -> None:
    (store_path / "files").mkdir(mode=0o755)
    (store_path / "files/.new-abc.1").touch()
    kept.put(store, PATH, entry(), CONTENT)
    assert os.listdir(store_path / "files") == [sha256(CONTENT)]


# -- not giving out what isn't what was kept


def test_a_copy_that_is_gone(store: Directory) -> None:
    with pytest.raises(CorruptError) as caught:
        kept.get(store, PATH, entry())
    assert PATH in caught.value.brief
    assert "gone" in caught.value.brief


@pytest.mark.parametrize("damage", [CONTENT[:-1], CONTENT + b"x", b"", CONTENT.upper()])
def test_a_copy_that_was_altered(store: Directory, store_path: Path, damage: bytes) -> None:
    kept.put(store, PATH, entry(), CONTENT)
    (store_path / "files" / sha256(CONTENT)).write_bytes(damage)
    with pytest.raises(CorruptError) as caught:
        kept.get(store, PATH, entry())
    assert sha256(damage) in caught.value.brief
    assert sha256(CONTENT) in caught.value.brief


@pytest.mark.parametrize("what", ["files", "files/it"])
def test_a_link_in_place_of_a_copy_is_refused(
    store: Directory, store_path: Path, tmp_path: Path, what: str
) -> None:
    outside = tmp_path / "outside"
    (outside / "files").mkdir(parents=True)
    (outside / "files" / sha256(CONTENT)).write_bytes(CONTENT)
    relative = what.replace("it", sha256(CONTENT))
    (store_path / relative).parent.mkdir(mode=0o755, exist_ok=True)
    (store_path / relative).symlink_to(outside / relative)
    with pytest.raises(UntrustedError):
        kept.get(store, PATH, entry())
    with pytest.raises(UntrustedError):
        kept.put(store, PATH, entry(), CONTENT)

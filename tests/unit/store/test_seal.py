"""Signatures over what stands in the store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aptkeep.errors import UntrustedError, UsageError
from aptkeep.store import seal
from aptkeep.store.seal import Seal

ALICE, BOB = "alice:/home/alice", "bob:/home/bob"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the keys `old` and `new`."""
    directory = tmp_path_factory.mktemp("keys")
    for name in ("old", "new"):
        seal.make_key(str(directory / name))
    return directory


def sealed(
    keys: Path, *, private: str | None = None, public: tuple[str, ...] = (), who: str = ALICE
) -> Seal:
    key = str(keys / private) if private else None
    return seal.load(who, key, [str(keys / f"{name}.pub") for name in public], "/home/alice")


def refused(
    checker: Seal, content: bytes, signature: str | None, purpose: str = "generation"
) -> str:
    with pytest.raises(UntrustedError) as caught:
        checker.check(purpose, content, signature, "the store")
    return caught.value.brief


@given(content=st.binary(max_size=300))
def test_what_was_signed_is_believed(keys: Path, content: bytes) -> None:
    signature = sealed(keys, private="new").sign("generation", content)
    sealed(keys, public=("new",)).check("generation", content, signature, "it")
    sealed(keys, private="new").check("generation", content, signature, "it")


@given(content=st.binary(max_size=300), other=st.binary(max_size=300))
def test_no_other_content_is(keys: Path, content: bytes, other: bytes) -> None:
    if content != other:
        signature = sealed(keys, private="new").sign("generation", content)
        assert "not one for this content" in refused(
            sealed(keys, public=("new",)), other, signature
        )


def test_it_holds_for_one_home_and_one_purpose(keys: Path) -> None:
    signature = sealed(keys, private="new").sign("generation", b"x")
    assert "home of bob" in refused(sealed(keys, private="new", who=BOB), b"x", signature)
    assert refused(sealed(keys, private="new"), b"x", signature, purpose="pool")


def test_no_part_of_the_message_runs_into_the_next(keys: Path) -> None:
    one, other = (sealed(keys, private="new", who=who) for who in ("a", "a\0b"))
    signature = one.sign("generation", b"b\0x")
    assert refused(other, b"x", signature)


def test_keys_are_rotated(keys: Path) -> None:
    """The new one signs, and for some time what the old one signed is believed, too."""
    before = sealed(keys, private="old").sign("generation", b"x")
    both = sealed(keys, private="new", public=("old",))
    both.check("generation", b"x", before, "it")
    assert both.sign("generation", b"x").split(":")[0] != before.split(":", maxsplit=1)[0]
    assert "is not accepted" in refused(sealed(keys, private="new"), b"x", before)


@pytest.mark.parametrize("signature", [None, "", ":", "x:y", "\0:AA==", "é:ü"])
def test_what_is_no_signature(keys: Path, signature: str | None) -> None:
    assert refused(sealed(keys, private="new"), b"x", signature)


@pytest.mark.parametrize("damage", ["", "=", "A", "ä", " "])
def test_a_damaged_signature(keys: Path, damage: str) -> None:
    name, _colon, encoded = sealed(keys, private="new").sign("generation", b"x").partition(":")
    assert refused(sealed(keys, private="new"), b"x", f"{name}:{encoded[:-3]}{damage}")


def test_who_has_no_private_key_checks_and_signs_nothing(keys: Path) -> None:
    with pytest.raises(UsageError, match="no key to sign with"):
        sealed(keys, public=("new",)).sign("generation", b"x")


def test_without_any_key_there_is_nothing_to_believe(keys: Path) -> None:
    with pytest.raises(UsageError, match="there is no key"):
        sealed(keys)


class TestKeyFiles:
    def test_a_new_one_is_for_root_alone(self, tmp_path: Path) -> None:
        made = seal.make_key(str(tmp_path / "key"))
        assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "key.pub").read_text(encoding="ascii").startswith("-----BEGIN PUBLIC")
        assert list(sealed(tmp_path, private="key").accepted) == [made]
        assert list(sealed(tmp_path, public=("key",)).accepted) == [made]

    @pytest.mark.parametrize("there", ["key", "key.pub"])
    def test_none_is_overwritten(self, tmp_path: Path, there: str) -> None:
        (tmp_path / there).write_text("precious", encoding="ascii")
        with pytest.raises(UsageError, match="is there already"):
            seal.make_key(str(tmp_path / "key"))
        assert [path.name for path in tmp_path.iterdir()] == [there]
        assert (tmp_path / there).read_text(encoding="ascii") == "precious"

    @pytest.mark.parametrize(("mode", "reason"), [(0o640, "may read"), (0o602, "may write")])
    def test_a_private_key_that_others_know_is_none(
        self, tmp_path: Path, mode: int, reason: str
    ) -> None:
        seal.make_key(str(tmp_path / "key"))
        (tmp_path / "key").chmod(mode)
        with pytest.raises(UsageError, match=reason):
            sealed(tmp_path, private="key")

    def test_a_public_key_that_others_may_write_is_none(self, tmp_path: Path) -> None:
        seal.make_key(str(tmp_path / "key"))
        (tmp_path / "key.pub").chmod(0o666)
        with pytest.raises(UsageError, match="may write"):
            sealed(tmp_path, public=("key",))

    def test_a_key_in_the_home_protects_nothing(self, tmp_path: Path) -> None:
        seal.make_key(str(tmp_path / "key"))
        with pytest.raises(UsageError, match="in the home"):
            seal.load(ALICE, str(tmp_path / "key"), [], str(tmp_path))

    @pytest.mark.parametrize("content", [b"", b"rubbish", b"-----BEGIN PRIVATE KEY-----\nAA==\n"])
    def test_rubbish_is_refused(self, tmp_path: Path, content: bytes) -> None:
        for name in ("key", "key.pub"):
            (tmp_path / name).write_bytes(content)
            (tmp_path / name).chmod(0o600)
        for where in ({"private": "key"}, {"public": ("key",)}):
            with pytest.raises(UsageError, match="can't be used"):
                sealed(tmp_path, **where)

    def test_one_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="not there"):
            sealed(tmp_path, private="key")
        os.mkfifo(tmp_path / "key")
        with pytest.raises(UsageError, match="regular"):
            sealed(tmp_path, private="key")

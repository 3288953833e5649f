"""Whether a file is what apt may be given as a keyring."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aptkeep.machine import keys


def packet(kind: int, body: bytes = b"x" * 50, *, old: bool = False, octets: int = 1) -> bytes:
    """An OpenPGP packet (RFC 9580, 4.2), in the present or the old format."""
    length = len(body)
    if old:
        sizes = {1: 0, 2: 1, 4: 2}
        return bytes([0x80 | kind << 2 | sizes[octets]]) + length.to_bytes(octets, "big") + body
    if octets == 1:
        return bytes([0xC0 | kind, length]) + body
    if octets == 2:
        return bytes([0xC0 | kind, ((length - 192) >> 8) + 192, (length - 192) & 0xFF]) + body
    return bytes([0xC0 | kind, 0xFF]) + length.to_bytes(4, "big") + body


PUBLIC, USER_ID, SIGNATURE, SUBKEY = 6, 13, 2, 14
SECRET, SECRET_SUBKEY = 5, 7
KEY = packet(PUBLIC) + packet(USER_ID) + packet(SIGNATURE) + packet(SUBKEY) + packet(SIGNATURE)


def armored(binary: bytes, *, kind: str = "PUBLIC", header: str = "", ending: str = "\n") -> bytes:
    """The ASCII armor of a key (RFC 9580, 6.2)."""
    body = base64.encodebytes(binary).decode()
    text = (
        f"-----BEGIN PGP {kind} KEY BLOCK-----\n{header}\n{body}=abcd\n"
        f"-----END PGP {kind} KEY BLOCK-----\n"
    )
    return text.replace("\n", ending).encode()


@pytest.mark.parametrize(
    "content",
    [
        KEY,
        KEY + KEY,
        packet(PUBLIC, old=True) + packet(USER_ID, old=True, octets=2),
        packet(PUBLIC, b"x" * 500, octets=2) + packet(USER_ID),
        packet(PUBLIC, b"x" * 9000, octets=5) + packet(USER_ID),
        packet(PUBLIC, b"x" * 70_000, old=True, octets=4),
        armored(KEY),
        armored(KEY, header="Version: GnuPG v2\nComment: a: b\n"),
        armored(KEY, ending="\r\n"),
        armored(KEY) + b"\n" + armored(KEY),
        b"Here is our key:\n\n" + armored(KEY) + b"\nHave fun.\n",
    ],
)
def test_public_keys_are_taken(content: bytes) -> None:
    assert keys.unusable(content) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"hello", "no OpenPGP key"),
        (b"deb http://h trixie main\n", "no OpenPGP key"),
        (b"\xff\xfe\xfd\xfc" * 10, "no OpenPGP key"),
        (b"\x1f\x8b\x08" + b"\0" * 50, "no OpenPGP key"),
        (packet(USER_ID), "no OpenPGP key"),
        (packet(SIGNATURE), "no OpenPGP key"),
        (KEY[:-20], "cut off"),
        (KEY[:1], "cut off"),
        (armored(KEY)[:60], "no OpenPGP key"),
        (armored(KEY).replace(b"-----END", b""), "no OpenPGP key"),
        (b"<!DOCTYPE html><html><head></head></html>", "web page"),
        (b"\n<html>404</html>", "web page"),
        (b'<?xml version="1.0"?>', "web page"),
        (b"\0\0\0\x20\x01\x01\0\x02KBXf" + b"\0" * 40, "keybox"),
    ],
)
def test_what_is_no_public_key_is_refused_with_its_reason(content: bytes, reason: str) -> None:
    found = keys.unusable(content)
    assert found is not None
    assert reason in found


@pytest.mark.parametrize(
    "content",
    [
        packet(SECRET) + packet(USER_ID),
        packet(SECRET, old=True),
        KEY + packet(SECRET),
        KEY + packet(SECRET_SUBKEY),
        armored(packet(SECRET), kind="PRIVATE"),
        armored(KEY) + armored(packet(SECRET), kind="PRIVATE"),
        armored(packet(SECRET) + packet(USER_ID)),
    ],
)
def test_a_secret_key_is_never_kept_however_it_hides(content: bytes) -> None:
    found = keys.unusable(content)
    assert found is not None
    assert "secret" in found


def test_armor_is_taken_off() -> None:
    assert keys.binary(armored(KEY)) == KEY
    assert keys.binary(armored(KEY, header="Comment: x\n") + armored(packet(PUBLIC))) == (
        KEY + packet(PUBLIC)
    )
    assert keys.binary(KEY) == KEY


@pytest.mark.parametrize("content", [armored(KEY)[:60], armored(KEY).replace(b"-----END", b"")])
def test_broken_armor(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        keys.binary(content)


@given(st.binary(max_size=300))
def test_any_bytes_are_judged(content: bytes) -> None:
    for text in (content, b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + content, KEY + content):
        assert keys.unusable(text) is None or keys.unusable(text)


@given(st.lists(st.sampled_from([KEY, packet(PUBLIC), packet(USER_ID)]), min_size=1))
def test_a_secret_packet_anywhere_is_found(parts: list[bytes]) -> None:
    for position in range(len(parts) + 1):
        spoiled = [*parts[:position], packet(SECRET), *parts[position:]]
        found = keys.unusable(b"".join(spoiled))
        assert found is not None
        assert "secret" in found

"""Whether a file is what apt may be given as a keyring. On the hook path: standard library only.

Only the packets are walked here (RFC 9580, sections 4.2 and 6): that there are public keys, and no
secret ones. What the keys are is GnuPG's to say, see `openpgp`.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 4 * 1024 * 1024
"""The largest keyring that is kept, in bytes; Debian's own is 60 kB."""

PRIVATE_KEY_HELD = "it holds a secret key, which never leaves its owner"

_PUBLIC_KEY = 6
_PRIVATE = (5, 7)
PRIVATE_BLOCK = b"-----BEGIN PGP PRIVATE KEY BLOCK-----"
_PUBLIC_BLOCK = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----[^\n]*\n(?:[^\n]*:[^\n]*\n)*(.*?)"
    rb"-----END PGP PUBLIC KEY BLOCK-----",
    re.DOTALL,
)
_GPG_KEYBOX = b"KBXf"
_WEB_PAGE = re.compile(rb"\s*<(?:!doctype|html|head|\?xml)", re.IGNORECASE)


def unusable(content: bytes) -> str | None:
    """Why `content` can't be kept as a public keyring, or None if it can."""
    if not content.strip():
        return "it is empty"
    if _WEB_PAGE.match(content):
        return "it is a web page, not a key: the download failed; fetch the key again"
    if content[8:12] == _GPG_KEYBOX:
        return "it is a keybox of GnuPG, which apt can't read; export the key into a file"
    try:
        found = (
            {_PRIVATE[0]}
            if PRIVATE_BLOCK in content
            else {kind for kind, _start in _packets(binary(content))}
        )
    except ValueError as error:
        return f"it is no OpenPGP key: {error}"
    if found.intersection(_PRIVATE):
        return PRIVATE_KEY_HELD
    return None if _PUBLIC_KEY in found else "it is no OpenPGP key"


def binary(content: bytes) -> bytes:
    """A keyring without its ASCII armor, as gpgv wants it; ValueError where the armor is broken."""
    if b"-----BEGIN PGP" not in content:
        return content
    blocks = _PUBLIC_BLOCK.findall(content.replace(b"\r\n", b"\n"))
    if not blocks:
        raise ValueError("its end is missing")
    try:
        return b"".join(base64.b64decode(_without_checksum(block)) for block in blocks)
    except binascii.Error as error:
        raise ValueError("its armor is damaged") from error


def _without_checksum(block: bytes) -> bytes:
    return b"".join(line for line in block.split() if not line.startswith(b"="))


def primary_keys(content: bytes) -> list[bytes]:
    """The keyring cut into one for each primary key; ValueError where it can't be read."""
    ring = binary(content)
    starts = [start for kind, start in _packets(ring) if kind == _PUBLIC_KEY]
    return [ring[start:end] for start, end in zip(starts, [*starts[1:], len(ring)], strict=True)]


def _packets(content: bytes) -> Iterator[tuple[int, int]]:
    """The type of each packet and where it begins; ValueError where one is cut off."""
    position = 0
    while position < len(content):
        begin, first = position, content[position]
        if not first & 0x80:
            raise ValueError("it is no sequence of packets")
        if first & 0x40:
            kind = first & 0x3F
            start, length = _length(content, position + 1)
        else:
            kind = (first & 0x3C) >> 2
            octets = (1, 2, 4)[first & 3] if first & 3 != 3 else 0  # noqa: PLR2004 - RFC 9580 4.2.2
            start = position + 1 + octets
            length = int.from_bytes(content[position + 1 : start], "big")
            length = length if octets else len(content) - start
        position = start + length
        if position > len(content):
            raise ValueError("it is cut off")
        yield kind, begin


def _length(content: bytes, position: int) -> tuple[int, int]:
    """Where the body of a packet begins, and its length in octets (RFC 9580, 4.2.1)."""
    head = content[position : position + 5]
    if not head:
        raise ValueError("it is cut off")
    if head[0] < 192:  # noqa: PLR2004
        return position + 1, head[0]
    if head[0] < 224:  # noqa: PLR2004
        return position + 2, ((head[0] - 192) << 8) + int.from_bytes(head[1:2], "big") + 192
    if head[0] == 255:  # noqa: PLR2004
        return position + 5, int.from_bytes(head[1:5], "big")
    raise ValueError("a key packet has no fixed length")

"""Whether a file is what apt may be given as a keyring. On the hook path: standard library only.

Only the outermost shape is looked at here (RFC 9580, sections 4.2 and 6): that it's an OpenPGP
public key, armored or binary, and no secret one.
"""

from __future__ import annotations

LIMIT = 4 * 1024 * 1024
"""The largest keyring that is kept, in bytes; Debian's own is 60 kB."""

_PUBLIC_KEY = 6
_SECRET = (5, 7)
_PRIVATE = "it holds a secret key"
_GPG_KEYBOX = b"KBXf"


def unusable(content: bytes) -> str | None:
    """Why `content` can't be kept as a public keyring, or None if it can."""
    if not content.strip():
        return "it is empty"
    if b"-----BEGIN PGP PRIVATE KEY BLOCK-----" in content:
        return _PRIVATE
    if b"-----BEGIN PGP PUBLIC KEY BLOCK-----" in content:
        return None
    if content[8:12] == _GPG_KEYBOX:
        return "it is a keybox of GnuPG, which apt can't read; export the key into a file"
    tag = _first_tag(content[0])
    if tag in _SECRET:
        return _PRIVATE
    return None if tag == _PUBLIC_KEY else "it is no OpenPGP key"


def _first_tag(octet: int) -> int | None:
    """The packet type in the first octet of a packet, of the old or the present format."""
    if not octet & 0x80:
        return None
    return octet & 0x3F if octet & 0x40 else (octet & 0x3C) >> 2

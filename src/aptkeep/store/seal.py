"""Signatures over what stands in the store, for volumes where root can't own files.

The only room of cryptography. Ed25519 (RFC 8032) with keys in the forms that openssl-genpkey(1) and
openssl-pkey(1) write: PKCS #8 and SubjectPublicKeyInfo, in PEM.

A signature is over what is signed, what it's for, and whose home it's in: so one user's genuine
generation means nothing in another user's home.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aptkeep import files
from aptkeep.errors import UntrustedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

_LIMIT = 64 * 1024
_CONTEXT = b"aptkeep signature 1"


@dataclass(frozen=True, slots=True)
class Seal:
    """Who may sign for one home, and, on a machine that writes there, with what."""

    identity: str
    """Whose home it is."""
    accepted: Mapping[str, Ed25519PublicKey] = field(repr=False)
    """The public keys whose signatures count, by their id."""
    private: Ed25519PrivateKey | None = field(default=None, repr=False)
    """What signs; None where the store is only read."""

    def sign(self, purpose: str, content: bytes) -> str:
        """A signature, `ID:BASE64`. UsageError where there is nothing to sign with."""
        if self.private is None:
            raise UsageError(
                "the store can't be written: there is no key to sign with",
                details="nothing was kept",
                resolution="name the private key in Aptkeep::Trust::Key, and run this as root",
            )
        signature = self.private.sign(self._message(purpose, content))
        return f"{key_id(self.private.public_key())}:{base64.b64encode(signature).decode('ascii')}"

    def check(self, purpose: str, content: bytes, signature: str | None, what: str) -> None:
        """Raise UntrustedError, naming `what`, unless an accepted key signed just this."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - takes 30 ms

        if signature is None:
            raise _refused(what, "it is not signed")
        name, _colon, encoded = signature.partition(":")
        key = self.accepted.get(name)
        if key is None:
            raise _refused(what, f"it is signed with the key {name}, which is not accepted here")
        try:
            key.verify(base64.b64decode(encoded, validate=True), self._message(purpose, content))
        except (InvalidSignature, ValueError):
            reason = f"its signature is not one for this content in the home of {self.identity}"
            raise _refused(what, reason) from None

    def _message(self, purpose: str, content: bytes) -> bytes:
        # Each part with its length before it, so that none can run into the next one.
        identity = self.identity.encode("utf-8", "surrogateescape")
        parts = (_CONTEXT, purpose.encode(), identity, content)
        return b"".join(b"%d:%b," % (len(part), part) for part in parts)


def load(identity: str, private: str | None, public: Iterable[str], home: str) -> Seal:
    """The seal of a home from the paths of a private key and of public ones.

    The private key's own public half is accepted, too. Raises UsageError for a key that can't be
    used, or that others than root may have written or read. Who may not read the private key can
    still check.
    """
    accepted = {}
    signing = None
    for path in public:
        key = _public(_read(path, home, private=False), path)
        accepted[key_id(key)] = key
    if private is not None:
        try:
            signing = _private(_read(private, home, private=True), private)
        except PermissionError:
            signing = None
        else:
            accepted[key_id(signing.public_key())] = signing.public_key()
    if not accepted:
        raise UsageError(
            'Aptkeep::Trust is "signed", and there is no key',
            details="nothing in the store could be believed; nothing was done",
            resolution="name a private key in Aptkeep::Trust::Key; 'aptkeep keygen' makes one",
        )
    return Seal(identity, accepted, signing)


def key_id(key: Ed25519PublicKey) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a public key."""
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        PublicFormat,
    )

    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def make_key(path: str) -> str:
    """Make a private key at `path`, for root alone, and its public half at `path`.pub; its id.

    Raises UsageError where there is such a file already: what it signed would not be believed.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PrivateKey,
    )
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    key = Ed25519PrivateKey.generate()
    public = key.public_key()
    wanted = (
        (path, 0o600, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())),
        (
            f"{path}.pub",
            0o644,
            public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        ),
    )
    for name, _mode, _content in wanted:
        if os.path.lexists(name):
            raise UsageError(
                f"{name} is there already",
                details="what was signed with it would no longer be believed; nothing was done",
                resolution="give another path, and accept both public keys for some time",
            )
    with files.directory(os.path.dirname(os.path.abspath(path))) as directory:
        for name, mode, content in wanted:
            files.write_atomically(directory, os.path.basename(name), content, mode)
    return key_id(public)


def _read(path: str, home: str, *, private: bool) -> bytes:
    """A key file that nobody but root can have written, nor, if it's private, read."""
    try:
        content, _mode = files.read_path(path, _LIMIT)
        found = os.stat(path)
    except FileNotFoundError:
        raise _unusable(path, "it is not there") from None
    except files.NotRegularError as error:
        raise _unusable(path, str(error)) from error
    if os.path.realpath(path).startswith(f"{os.path.realpath(home)}/"):
        raise _unusable(path, "it is in the home that it is to protect")
    if found.st_uid != os.geteuid() and found.st_uid != 0:
        raise _unusable(path, f"it belongs to uid {found.st_uid}")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _unusable(path, "others than root may write to it")
    if private and found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _unusable(path, "others than root may read it")
    return content


def _private(content: bytes, path: str) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - takes 30 ms
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - takes 30 ms
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415

    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(path, f"it is no private key without a password: {error}") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise _unusable(path, "it is no Ed25519 key")
    return key


def _public(content: bytes, path: str) -> Ed25519PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - takes 30 ms
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - takes 30 ms
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415

    try:
        key = serialization.load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unusable(path, f"it is no public key: {error}") from error
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise _unusable(path, "it is no Ed25519 key")
    return key


def _unusable(path: str, reason: str) -> UsageError:
    return UsageError(
        f"the key {path} can't be used: {reason}",
        details="nothing in the store could be believed; nothing was done",
        resolution="'aptkeep keygen' makes a key; keep it where only root can read and write",
    )


def _refused(what: str, reason: str) -> UntrustedError:
    return UntrustedError(
        f"{what} is not trusted: {reason}",
        details="whoever wrote it could decide what root installs; nothing was done",
        resolution="put a good copy of the home back, or accept its key "
        "(Aptkeep::Trust::Public-Keys), if it is yours",
    )

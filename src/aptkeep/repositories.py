"""What is to be said of the kept sources: keys, when they were proven, what is wrong. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aptkeep.model import KEYRINGS, FileKind, KeptFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aptkeep.machine.sources import Entry
    from aptkeep.model import FileGone, PublicKey

SOON = 30
"""Days before a key expires that people are told."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """A keyring that a source names, and the keys in it."""

    path: str
    keys: tuple[PublicKey, ...]
    kept: bool
    """Whether a copy is in the store; else a package brings it, or it's not there at all."""


@dataclass(frozen=True, slots=True)
class SourceReport:
    """One kept source."""

    path: str
    repositories: tuple[str, ...]
    """`URI SUITE` of each enabled entry."""
    keyrings: tuple[Keyring, ...]
    proven: str | None
    """The day on which its signatures were first verified with its keys; None: never."""
    unproven: str
    """Why they weren't; empty where they were, or where nothing is enabled."""
    troubles: tuple[str, ...]
    """What is wrong with its keys, or soon will be."""


def report(
    sources: Mapping[str, tuple[KeptFile, list[Entry]]],
    files: Mapping[str, KeptFile | FileGone],
    day: str,
    soon: str,
    embedded: Mapping[str, tuple[PublicKey, ...]] | None = None,
) -> list[SourceReport]:
    """A report of each source: the kept file and its entries by path.

    `day` is today, `soon` the day up to which an expiry is worth a warning (ISO 8601); `embedded`
    are the keys that stand in sources themselves, by their armored text.
    """
    reports = []
    for path, (kept, entries) in sorted(sources.items()):
        enabled = [entry for entry in entries if entry.enabled]
        rings = [_keyrings(path, entry, files, embedded or {}) for entry in entries]
        keyrings = tuple(dict.fromkeys(ring for group in rings for ring in group))
        troubles = [text for keyring in keyrings for text in _troubles(keyring, day, soon)]
        unproven = _unproven(enabled) if kept.proven is None and enabled else ""
        repositories = tuple(name for entry in enabled for name in entry.repositories)
        reports.append(
            SourceReport(path, repositories, keyrings, kept.proven, unproven, tuple(troubles))
        )
    return reports


def _keyrings(
    path: str,
    entry: Entry,
    files: Mapping[str, KeptFile | FileGone],
    embedded: Mapping[str, tuple[PublicKey, ...]],
) -> list[Keyring]:
    """What apt verifies an entry with: what it names or holds, else the kept trusted keyrings."""
    if entry.embedded_key:
        return [Keyring(path, embedded.get(entry.embedded_key, ()), kept=True)]
    if entry.keyrings:
        return [_keyring(keyring, files) for keyring in entry.keyrings]
    if entry.trusted:
        return []
    wanted = {word.upper().rstrip("!") for word in entry.signed_by}
    trusted = [
        Keyring(keyring, kept.keys, kept=True)
        for keyring, kept in sorted(files.items())
        if isinstance(kept, KeptFile) and kept.kind is FileKind.TRUSTED_KEY
    ]
    if not wanted:
        return trusted
    return [ring for ring in trusted if wanted & {key.fingerprint for key in ring.keys}]


def _keyring(path: str, files: Mapping[str, KeptFile | FileGone]) -> Keyring:
    found = files.get(path)
    if isinstance(found, KeptFile) and found.kind in KEYRINGS:
        return Keyring(path, found.keys, kept=True)
    return Keyring(path, (), kept=False)


def _troubles(keyring: Keyring, day: str, soon: str) -> list[str]:
    texts = []
    usable = [key for key in keyring.keys if not key.revoked and not _expired(key, day)]
    for key in keyring.keys:
        if key.revoked:
            texts.append(f"{named(key)} was revoked by its owner{_instead(keyring, usable)}")
        elif _expired(key, day):
            texts.append(f"{named(key)} expired on {key.expires}{_instead(keyring, usable)}")
        elif key.expires is not None and key.expires <= soon and len(usable) == 1:
            texts.append(f"{named(key)} expires on {key.expires}{_instead(keyring, [])}")
    return texts


def _instead(keyring: Keyring, usable: list[PublicKey]) -> str:
    if usable:
        return "; the keyring holds another that is good"
    return f"; get the new one from the vendor and put it into {keyring.path}"


def _unproven(entries: list[Entry]) -> str:
    if all(entry.trusted for entry in entries):
        return "it says trusted=yes, so nobody checks its signatures"
    return "its signatures were not verified yet; 'apt-get update' does that"


def _expired(key: PublicKey, day: str) -> bool:
    return key.expires is not None and key.expires < day


def named(key: PublicKey) -> str:
    """A key as people are told of it."""
    return f"the key {key.fingerprint} of {key.user_id or 'nobody named'}"


def diagnose(reason: str, keyrings: Iterable[Keyring], day: str) -> str | None:
    """What a person needs to know where apt could not verify a repository; None: apt's own words.

    `reason` is what apt said: gpgv's status words (Debian 12) or sqv's sentences (13 and newer).
    """
    if not any(word in reason for word in _SIGNATURE_WORDS):
        return None
    if "NOSPLIT" in reason or "Clearsigned file isn't valid" in reason:
        return "what came is no repository: is there a network to log in to?"
    if any(word in reason for word in _CHANGED):
        return "its signature does not fit: it was changed on the way, or at the mirror; try again"
    missing = "NO_PUBKEY" in reason or "Missing key" in reason
    if not missing and any(word in reason for word in _UNSIGNED):
        return "it is not signed; its vendor has to mend that"
    keyrings = list(keyrings)
    expired = [(ring, key) for ring in keyrings for key in ring.keys if _expired(key, day)]
    if expired and not missing:
        ring, key = expired[0]
        return f"{named(key)} expired on {key.expires}{_instead(ring, [])}"
    return _other_key(keyrings[0]) if keyrings else None


def _other_key(ring: Keyring) -> str:
    if not ring.keys and not ring.kept:
        return f"its key {ring.path} is not there; get it from the vendor and put it there"
    held = ", ".join(named(key) for key in ring.keys) or "no key that can be read"
    return f"it is not signed by what {ring.path} holds: {held}{_instead(ring, [])}"


_CHANGED = ("BADSIG", "anipulated", "Message has been manipulated")
_UNSIGNED = ("is not signed", "no longer signed")
_SIGNATURE_WORDS = (
    "NOSPLIT",
    "Clearsigned file isn't valid",
    *_CHANGED,
    *_UNSIGNED,
    "NO_PUBKEY",
    "EXPKEYSIG",
    "REVKEYSIG",
    "KEYEXPIRED",
    "BADSIG",
    "Missing key",
    "sqv returned",
    "Failed to parse keyring",
    "is not signed",
    "couldn't be verified",
    "Verifying signature",
)

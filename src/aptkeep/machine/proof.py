"""Proving a source: the signatures that apt's lists hold verify with just the keys it names.

Reached from the hook only when a source isn't proven yet.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import apt_pkg

from aptkeep.machine import sources
from aptkeep.machine.openpgp import Signature, verify
from aptkeep.model import FileKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aptkeep.machine.observe import Snapshot


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of verifying a source."""

    proven: bool
    reasons: tuple[str, ...] = ()
    """Why it isn't: one for each repository whose signature doesn't verify."""


def prove(path: str, snapshot: Snapshot, lists: str) -> Proof:
    """Verify every repository of the source at `path`, as far as apt's lists hold it.

    Proven: there is at least one, and each of them verified.
    """
    content = snapshot.contents[snapshot.observation.files[path].sha256]
    wanted, verified, reasons = 0, 0, []
    for entry in sources.entries(path, content):
        if not entry.enabled or entry.trusted:
            continue
        for uri, suite in _repositories(entry):
            wanted += 1
            signature = _verify(entry, _release(uri, suite), lists, snapshot)
            if signature is not None and signature.good:
                verified += 1
            elif signature is not None:
                reasons.append(f"{uri} {suite}: {signature.reason}")
    return Proof(proven=0 < verified == wanted, reasons=tuple(reasons))


def _repositories(entry: sources.Entry) -> Iterator[tuple[str, str]]:
    for uri in entry.uris:
        for suite in entry.suites:
            yield uri, suite


def _release(uri: str, suite: str) -> str:
    """The URI of the directory with the Release file (sources.list(5): a flat suite ends in /)."""
    base = uri.rstrip("/")
    return f"{base}/{suite}" if suite.endswith("/") else f"{base}/dists/{suite}/"


def _verify(entry: sources.Entry, release: str, lists: str, snapshot: Snapshot) -> Signature | None:
    """None where apt has no list of it."""
    keyrings = list(_keyrings(entry, snapshot))
    inline = os.path.join(lists, apt_pkg.uri_to_filename(f"{release}InRelease"))
    plain = os.path.join(lists, apt_pkg.uri_to_filename(f"{release}Release"))
    if os.path.exists(inline):
        signature = verify(keyrings, inline)
    elif os.path.exists(f"{plain}.gpg"):
        signature = verify(keyrings, plain, f"{plain}.gpg")
    else:
        return None
    wanted = {word.upper().rstrip("!") for word in entry.signed_by if not word.startswith("/")}
    if signature.good and wanted and not wanted & signature.fingerprints:
        return Signature(good=False, reason="it is signed by another key than Signed-By names")
    return signature


def _keyrings(entry: sources.Entry, snapshot: Snapshot) -> Iterator[bytes]:
    """What apt verifies the entry with: its own keyrings, else all that are trusted for any."""
    files = snapshot.observation.files
    if entry.embedded_key:
        yield entry.embedded_key.encode()
        return
    paths: Iterable[str] = entry.keyrings
    if not entry.keyrings:
        paths = [path for path, kept in files.items() if kept.kind is FileKind.TRUSTED_KEY]
    for path in paths:
        if path in files and files[path].sha256 in snapshot.contents:
            yield snapshot.contents[files[path].sha256]

"""What GnuPG says of keyrings and signatures: gpg --show-keys, and gpgv.

Reached from the hook only when a keyring or a source is new, and imported only then.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aptkeep.machine import keys
from aptkeep.machine.run import Completed, run
from aptkeep.model import PublicKey

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Signature:
    """What came of verifying a Release file."""

    good: bool
    fingerprints: frozenset[str] = frozenset()
    """The primary keys that made a good signature."""
    reason: str = ""
    """Why it isn't good, in a sentence's middle."""


def show(keyring: bytes) -> tuple[PublicKey, ...]:
    """The primary keys in a keyring, as far as GnuPG can read them.

    One that it can't (a v6 key, say) hides all others of a file from it: then each is shown alone.
    """
    found = _show(keyring)
    if found:
        return found
    try:
        single = keys.primary_keys(keyring)
    except ValueError:
        return ()
    return tuple(key for alone in single for key in _show(alone)) if len(single) > 1 else ()


def _show(keyring: bytes) -> tuple[PublicKey, ...]:
    with tempfile.TemporaryDirectory(prefix="aptkeep-") as home:
        path = _write(home, "keyring", keyring)
        command = ["gpg", "--homedir", home, "--no-options", "--batch", "--no-tty", "--with-colons"]
        completed = _run([*command, "--show-keys", path])
    found: list[dict[str, Any]] = []
    for line in completed.output.splitlines():
        field = line.split(":")
        if len(field) <= _TEXT:
            continue
        if field[0] == "pub":
            found.append({"expires": _day(field[_EXPIRES]), "revoked": field[1] == "r"})
        elif field[0] == "fpr" and found:
            found[-1].setdefault("fingerprint", field[_TEXT])
        elif field[0] == "uid" and found:
            found[-1].setdefault("user_id", field[_TEXT].replace(r"\x3a", ":"))
    return tuple(PublicKey(**{"user_id": "", **key}) for key in found if "fingerprint" in key)


# Fields of `--with-colons` (doc/DETAILS of GnuPG), counted from 0.
_EXPIRES, _TEXT = 6, 9


def verify(keyrings: Iterable[bytes], release: str, detached: str | None = None) -> Signature:
    """Verify an InRelease file, or a Release file by its detached signature, with these alone."""
    with tempfile.TemporaryDirectory(prefix="aptkeep-") as home:
        command = ["gpgv", "--homedir", home, "--status-fd", "1"]
        for number, keyring in enumerate(keyrings):
            try:
                path = _write(home, f"{number}.gpg", keys.binary(keyring))
            except ValueError:
                continue
            command += ["--keyring", path]
        files = [detached, release] if detached is not None else [release]
        completed = _run([*command, *files])
    good = set()
    problems = []
    for line in completed.output.splitlines():
        words = line.removeprefix("[GNUPG:] ").split()
        if line.startswith("[GNUPG:] VALIDSIG"):
            good.add(words[-1])
        elif line.startswith("[GNUPG:] NO_PUBKEY"):
            problems.append(f"it is signed by the key {words[-1]}, which is not in its keyring")
        elif line.startswith(("[GNUPG:] EXPKEYSIG", "[GNUPG:] KEYEXPIRED")):
            problems.append("its key has expired")
        elif line.startswith("[GNUPG:] REVKEYSIG"):
            problems.append("its key was revoked")
        elif line.startswith("[GNUPG:] BADSIG"):
            problems.append("its signature is wrong: the file was changed")
    if completed.ok and good:
        return Signature(good=True, fingerprints=frozenset(good))
    return Signature(good=False, reason=problems[0] if problems else "no good signature was found")


def _run(command: list[str]) -> Completed:
    try:
        return run(command)
    except FileNotFoundError:  # forced off the machine, against our Depends
        return Completed(tuple(command), 127, f"{command[0]} is not installed")


def _write(directory: str, name: str, content: bytes) -> str:
    path = os.path.join(directory, name)
    with open(path, "wb") as stream:
        stream.write(content)
    return path


def _day(seconds: str) -> str | None:
    """The day of a time in seconds since 1970; None for none, or one that no calendar has."""
    try:
        return time.strftime("%Y-%m-%d", time.gmtime(int(seconds)))
    except (ValueError, OverflowError, OSError):
        return None

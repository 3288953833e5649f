"""Vendors' keys and repositories, and what a user sees of them, in few words."""

from __future__ import annotations

import datetime as dt
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cycle.keeping import document, said
from testbed import commands
from testbed.commands import Result
from testbed.repository import Repository, SigningKey
from testbed.workstation import Workstation

SOURCES = "/etc/apt/sources.list.d"
KEYRINGS = "/etc/apt/keyrings"
TRUSTED = "/etc/apt/trusted.gpg.d"
USER = "bench-user"
HOME = f"/home/{USER}"


# -- keys ------------------------------------------------------------------------------------------


def key_of(repository: Repository) -> SigningKey:
    """The key that signs it."""
    if repository.key is None:
        raise ValueError("this repository is not signed")
    return repository.key


def gpg(key: SigningKey, *arguments: str) -> str:
    """Run gpg on the secret key's own home; its standard output."""
    environment = commands.environment({"GNUPGHOME": str(key.home)})
    options = ("--batch", "--yes", "--quiet", "--no-tty", "--pinentry-mode", "loopback")
    faked = () if key.clock is None else ("--faked-system-time", key.clock)
    try:
        result = commands.run(
            "gpg", *options, *faked, "--passphrase", "", *arguments, env=environment
        )
        return result.stdout
    finally:
        commands.run("gpgconf", "--kill", "gpg-agent", check=False, env=environment)


def exported(key: SigningKey, name: str, *, armored: bool = True) -> bytes:
    """The public key as it is now, after it was changed; `name` is new for each export."""
    path = key.home / name
    armor = ("--armor",) if armored else ()
    gpg(key, *armor, "--output", str(path), "--export", key.fingerprint)
    return path.read_bytes()


def secret(key: SigningKey, *, armored: bool = True) -> bytes:
    """The secret key, as somebody exports it by mistake."""
    path = key.home / f"secret.{'asc' if armored else 'gpg'}"
    armor = ("--armor",) if armored else ()
    gpg(key, *armor, "--output", str(path), "--export-secret-keys", key.fingerprint)
    return path.read_bytes()


def revoke(key: SigningKey) -> None:
    """Revoke the key with the certificate that gpg made along with it."""
    certificate = key.home / "openpgp-revocs.d" / f"{key.fingerprint}.rev"
    # A colon before the armor keeps people from importing it by accident.
    text = certificate.read_text().replace(":-----BEGIN", "-----BEGIN")
    ready = certificate.with_suffix(".asc")
    ready.write_text(text[text.index("-----BEGIN") :])
    gpg(key, "--import", str(ready))


def in_days(days: int) -> str:
    """A day as aptkeep writes it, seen from today, in UTC."""
    now = dt.datetime.now(tz=dt.timezone.utc)
    return (now + dt.timedelta(days=days)).date().isoformat()


# -- files -----------------------------------------------------------------------------------------


def content_and_mode(machine: Workstation, path: str) -> tuple[bytes, int] | None:
    """What a path holds on the root; None where nothing is there."""
    if not machine.exists(path):
        return None
    return machine.read_bytes(path), stat.S_IMODE(machine.stat(path).st_mode)


def contents(machine: Workstation, paths: Iterable[str]) -> dict[str, tuple[bytes, int] | None]:
    """`content_and_mode` of each."""
    return {path: content_and_mode(machine, path) for path in paths}


def below(directory: Path) -> bytes:
    """All that the files below a directory hold, one after the other."""
    return b"".join(p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file())


# -- apt -------------------------------------------------------------------------------------------


def update(machine: Workstation, *, check: bool = True) -> Result:
    """`apt-get update` as people type it."""
    return machine.run("apt-get", "update", "-q", check=check)


def complaints(result: Result) -> set[str]:
    """The warnings and errors of apt itself."""
    return {line for line in result.output.splitlines() if line.startswith(("W:", "E:"))}


def verified(machine: Workstation, repository: Repository, below: str = "") -> bool:
    """Whether apt took the repository's index: it does that of what it could verify alone."""
    place = f"{repository.uri.removeprefix('http://')}{below}"
    file_name = place.replace("_", "%5f").replace("/", "_")
    name = f"{file_name}_dists_{repository.suite}_{repository.component}_"
    return any(p.name.startswith(name) for p in (machine.root / "var/lib/apt/lists").iterdir())


# -- aptkeep ---------------------------------------------------------------------------------------


def reports(
    machine: Workstation, command: str = "status", *, code: int = 0
) -> dict[str, dict[str, Any]]:
    """What `aptkeep status`, `show` or `verify` say of each source, by its path."""
    return {source["path"]: source for source in document(machine, command, code=code)["sources"]}


def one_line(result: Result, word: str) -> str:
    """The one line of aptkeep's on standard error that has `word`; an AssertionError if not one."""
    found = [line for line in said(result) if word in line]
    if len(found) != 1:
        raise AssertionError(f"{len(found)} lines with {word!r} in\n{result.output}")
    return found[0]


def troubles(result: Result) -> list[str]:
    """What `aptkeep start` has to say but for its progress: notes, and what is pending."""
    return [line for line in said(result) if line.startswith(("aptkeep: note", "aptkeep: pending"))]

"""apt's configuration files on a root, and what of them names a keyring or a suite.

sources.list(5) knows two formats. Here they are only read, never rewritten: a kept source comes
back byte for byte. On the hook path: standard library only.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aptkeep.machine.apt.uris import without_credentials
from aptkeep.model import FileKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aptkeep.machine.apt.config import Paths

# apt reads only file names of these characters, and no hidden ones (sources.list(5)).
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_ONE_LINE = re.compile(
    r"\s*(?P<type>deb|deb-src)\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<uri>\[[^\]]*\]|\S+)"
    r"\s+(?P<suite>\S+)(?P<components>[^#]*)"
)
_EMBEDDED = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_NO = ("no", "false", "without", "off", "disable")
"""What apt takes for false (StringToBool)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a source: a line, or a stanza."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...] = ()
    signed_by: tuple[str, ...] = ()
    """The words of `Signed-By`: paths and fingerprints."""
    embedded_key: str = ""
    """The armored key that stands in the stanza itself."""
    enabled: bool = True
    trusted: bool = False
    """`trusted=yes`: apt asks for no signature."""

    @property
    def repositories(self) -> tuple[str, ...]:
        """`URI SUITE` of each, as people may see it: without credentials."""
        pairs = ((uri, suite) for uri in self.uris for suite in self.suites)
        return tuple(f"{without_credentials(uri.rstrip('/'))} {suite}" for uri, suite in pairs)

    @property
    def keyrings(self) -> tuple[str, ...]:
        """The keyring files that it names."""
        words = (word for word in self.signed_by if word.startswith("/"))
        # POSIX lets normpath leave two slashes at the beginning.
        paths = ("/" + os.path.normpath(word).lstrip("/") for word in words)
        return tuple(path for path in paths if path.isprintable())


def configuration_files(paths: Paths) -> Iterator[tuple[str, FileKind]]:
    """The files that apt reads, whether or not they're there: main file and parts of each kind."""
    groups = (
        (paths.sources_list, paths.sources_parts, (".list", ".sources"), FileKind.SOURCE),
        (paths.preferences, paths.preferences_parts, ("", ".pref"), FileKind.PREFERENCES),
        (paths.configuration, paths.configuration_parts, ("", ".conf"), FileKind.CONFIGURATION),
        (paths.credentials, paths.credentials_parts, ("", ".conf"), FileKind.CREDENTIALS),
        (paths.trusted, paths.trusted_parts, (".gpg", ".asc"), FileKind.TRUSTED_KEY),
    )
    for main, parts, endings, kind in groups:
        if main:
            yield main, kind
        for name in _parts(parts):
            if os.path.splitext(name)[1] in endings:
                yield os.path.join(parts, name), kind


def _parts(directory: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(directory) if _NAME.fullmatch(name))
    except (FileNotFoundError, NotADirectoryError):
        return []


def entries(path: str, content: bytes) -> list[Entry]:
    """The entries of a source, in the format that its name says it has.

    What apt itself could not read is passed over.
    """
    text = content.decode("utf-8", "replace")
    if path.endswith(".sources"):
        found = [_read_stanza(stanza) for stanza in _stanzas(text)]
    else:
        found = [_read_line(line) for line in text.splitlines()]
    return [entry for entry in found if entry is not None]


def keyrings(path: str, content: bytes) -> list[str]:
    """The keyring files that a source names, each once."""
    return list(dict.fromkeys(k for entry in entries(path, content) for k in entry.keyrings))


def suites(path: str, content: bytes) -> frozenset[str]:
    """The suites that the enabled entries of a source name."""
    return frozenset(s for entry in entries(path, content) if entry.enabled for s in entry.suites)


def _read_line(line: str) -> Entry | None:
    match = _ONE_LINE.match(line)
    if match is None:
        return None
    options: dict[str, str] = {}
    for word in (match["options"] or "").split():
        name, _, value = word.partition("=")
        options[name.lower().rstrip("+-")] = value
    return Entry(
        uris=(match["uri"],),
        suites=(match["suite"],),
        components=tuple(match["components"].split()),
        signed_by=tuple(word for word in options.get("signed-by", "").split(",") if word),
        trusted=_is_true(options.get("trusted", "no")),
    )


def _read_stanza(fields: dict[str, str]) -> Entry | None:
    if not fields.get("uris") or not fields.get("suites"):
        return None
    signed_by = fields.get("signed-by", "")
    embedded = _EMBEDDED in signed_by
    return Entry(
        uris=tuple(fields["uris"].split()),
        suites=tuple(fields["suites"].split()),
        components=tuple(fields.get("components", "").split()),
        signed_by=() if embedded else tuple(signed_by.replace(",", " ").split()),
        embedded_key=signed_by if embedded else "",
        enabled=_is_true(fields.get("enabled", "yes")),
        trusted=_is_true(fields.get("trusted", "no")),
    )


def _is_true(value: str) -> bool:
    return value.strip().lower() not in (*_NO, "0")


def _stanzas(text: str) -> list[dict[str, str]]:
    """The stanzas of a deb822 file, names in lower case (deb822(5)); comment lines don't count."""
    stanzas: list[dict[str, str]] = [{}]
    name = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if not line.strip():
            stanzas.append({})
            name = ""
        elif line[0] in " \t":
            if name:
                # A line of a single dot is an empty one, as in an armored key.
                word = line.strip()
                stanzas[-1][name] += "\n" + ("" if word == "." else word)
        else:
            name, colon, value = line.partition(":")
            name = name.strip().lower() if colon else ""
            if name:
                stanzas[-1][name] = value.strip()
    return [stanza for stanza in stanzas if stanza]

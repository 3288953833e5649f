"""apt's sources and preferences on a root, and what of them names a keyring.

sources.list(5) knows two formats; here they are only *scanned*, for `Signed-By` and suites, and
never rewritten. On the hook path: standard library only.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from aptkeep.model import FileKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aptkeep.machine.apt.config import Paths

# apt reads only file names of these characters (apt_preferences(5), sources.list(5)).
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_ONE_LINE = re.compile(
    r"^\s*deb(?:-src)?\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)", re.MULTILINE
)


def configuration_files(paths: Paths) -> Iterator[tuple[str, FileKind]]:
    """The files that apt reads as sources and preferences, whether or not they're there."""
    yield paths.sources_list, FileKind.SOURCE
    for name in _parts(paths.sources_parts):
        if name.endswith((".list", ".sources")):
            yield os.path.join(paths.sources_parts, name), FileKind.SOURCE
    yield paths.preferences, FileKind.PREFERENCES
    for name in _parts(paths.preferences_parts):
        if name.endswith(".pref") or "." not in name:
            yield os.path.join(paths.preferences_parts, name), FileKind.PREFERENCES


def _parts(directory: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(directory) if _NAME.fullmatch(name))
    except (FileNotFoundError, NotADirectoryError):
        return []


def keyrings(path: str, content: bytes) -> list[str]:
    """The keyring files that a source names in `Signed-By`: absolute paths only.

    Fingerprints and embedded keys name no file.
    """
    text = content.decode("utf-8", "replace")
    if path.endswith(".sources"):
        values = [value for name, value in _stanza_fields(text) if name == "signed-by"]
    else:
        values = [
            option.partition("=")[2]
            for options in _ONE_LINE.findall(text)
            for option in options[0].split()
            if option.lower().startswith("signed-by=")
        ]
    words = [word for value in values for word in re.split(r"[\s,]+", value)]
    return [word for word in dict.fromkeys(words) if word.startswith("/")]


def suites(path: str, content: bytes) -> frozenset[str]:
    """The suites that the enabled entries of a source name."""
    text = content.decode("utf-8", "replace")
    if path.endswith(".sources"):
        values = [value for name, value in _stanza_fields(text) if name == "suites"]
        return frozenset(word for value in values for word in value.split())
    return frozenset(suite for _options, _uri, suite in _ONE_LINE.findall(text))


def _stanza_fields(text: str) -> Iterator[tuple[str, str]]:
    """The fields of deb822 stanzas in order, names in lower case; comment lines don't count."""
    name, value = "", ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t") and name:
            value += "\n" + line.strip()
            continue
        if name:
            yield name, value.strip()
        name, colon, value = line.partition(":")
        name = name.strip().lower() if colon else ""
    if name:
        yield name, value.strip()

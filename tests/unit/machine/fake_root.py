"""A root in a directory: its paths as apt's configuration would give them, and nothing in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from aptkeep.machine.apt.config import Configuration, Paths, Settings

NATIVE = "amd64"

_PLACES = {
    "root": "",
    "state": "var/lib/aptkeep",
    "dpkg_directory": "var/lib/dpkg",
    "dpkg_status": "var/lib/dpkg/status",
    "extended_states": "var/lib/apt/extended_states",
    "history_log": "var/log/apt/history.log",
    "sources_list": "etc/apt/sources.list",
    "sources_parts": "etc/apt/sources.list.d",
    "preferences": "etc/apt/preferences",
    "preferences_parts": "etc/apt/preferences.d",
    "trusted": "etc/apt/trusted.gpg",
    "trusted_parts": "etc/apt/trusted.gpg.d",
    "configuration": "etc/apt/apt.conf",
    "configuration_parts": "etc/apt/apt.conf.d",
    "credentials": "etc/apt/auth.conf",
    "credentials_parts": "etc/apt/auth.conf.d",
    "lists": "var/lib/apt/lists",
    "archives": "var/cache/apt/archives/",
    "pkgcache": "var/cache/apt/pkgcache.bin",
    "os_release": "etc/os-release",
    "lock_frontend": "var/lib/dpkg/lock-frontend",
}


class FakeRoot:
    """A directory that is a root, and ways to fill it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.paths = Paths(
            **{name: f"{path}/{place}".rstrip("/") for name, place in _PLACES.items()}
        )
        self.paths = replace(self.paths, archives=f"{self.paths.archives}/")
        self.configuration = Configuration(self.paths, Settings(), NATIVE)

    def write(self, place: str, content: str | bytes, mode: int = 0o644) -> str:
        """Write a file and return its path."""
        path = self.path / place.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return str(path)

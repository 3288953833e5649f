"""A root that libapt reads, written by hand: dpkg's status, apt's lists and sources."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import apt_pkg

from aptkeep.machine.apt import config
from aptkeep.machine.apt.archive import Archive
from aptkeep.machine.apt.config import Configuration

DEB = b"the archive"


@dataclass(frozen=True)
class Offer:
    """A package in the repository, or on the root."""

    name: str
    version: str = "1"
    depends: str = ""
    conflicts: str = ""
    recommends: str = ""
    provides: str = ""
    architecture: str = "amd64"
    selection: str = "install"
    content: bytes = DEB

    def paragraph(self, **more: str) -> str:
        """Its paragraph, with further fields."""
        fields = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": self.architecture,
            "Maintainer": "x",
            "Depends": self.depends,
            "Conflicts": self.conflicts,
            "Recommends": self.recommends,
            "Provides": self.provides,
            **more,
            "Description": "x",
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items() if value) + "\n"

    def offered(self) -> str:
        """Its paragraph in a list of packages."""
        file_name = f"./{self.name}_{self.version}_{self.architecture}.deb"
        sha256 = hashlib.sha256(self.content).hexdigest()
        return self.paragraph(Filename=file_name, Size=str(len(self.content)), SHA256=sha256)

    def installed(self) -> str:
        """Its paragraph in dpkg's status."""
        return self.paragraph(Status=f"{self.selection} ok installed")


class AptRoot:
    """A root that libapt reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("etc/apt/sources.list", "deb [trusted=yes] http://repo ./\n")
        for directory in (
            "etc/apt/preferences.d",
            "etc/apt/sources.list.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
        ):
            (path / directory).mkdir(parents=True)

    def write(self, place: str, content: str | bytes) -> None:
        """Write a file."""
        file = self.path / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def open(
        self, here: list[Offer], there: list[Offer], *, pins: str = "", recommends: bool = False
    ) -> Archive:
        """apt's view, with packages `here` on the root and `there` in the repository."""
        self.write("var/lib/dpkg/status", "".join(offer.installed() for offer in here))
        self.write("var/lib/apt/lists/repo_._Packages", "".join(o.offered() for o in there))
        self.write("etc/apt/preferences", pins)
        self.load()
        return Archive("amd64", recommends=recommends)

    def load(self) -> Configuration:
        """apt's configuration of this root and no other."""
        forget()
        return config.load(root=str(self.path))

    def reopen(self, sources: Mapping[str, str] | None = None) -> Archive:
        """apt's view of the root as it is, with other sources than its own."""
        return Archive("amd64", sources=sources)


def forget() -> None:
    """Clear apt's configuration, which is one for the whole process."""
    for name in apt_pkg.config.keys():  # noqa: SIM118 - it is no dictionary
        if "::" not in name:
            apt_pkg.config.clear(name)

"""Tiny Debian packages, built on the spot."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from testbed import commands

# Members of DEBIAN/ that dpkg or debconf run; everything else there is read.
_RUN = {"preinst", "postinst", "prerm", "postrm", "config"}
_EPOCH = "1700000000"  # seconds; any constant makes equal packages equal files


@dataclass(frozen=True)
class TinyPackage:
    """What a `.deb` holds. Paths in `files` and `conffiles` are absolute, or relative to `/`.

    `scripts` are members of the control archive by name: preinst, postinst, prerm, postrm,
    config, templates, triggers, shlibs… A script without `#!` gets `#!/bin/sh` and `set -e`.
    `modes` overrides 0644 for single paths. `fields` goes into the control file last, and may
    override every other field. Texts are UTF-8.
    """

    name: str
    version: str = "1.0"
    architecture: str = "all"
    depends: str = ""
    recommends: str = ""
    conflicts: str = ""
    provides: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    conffiles: Mapping[str, str] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    modes: Mapping[str, int] = field(default_factory=dict)
    section: str = "misc"
    essential: bool = False

    @property
    def file_name(self) -> str:
        """The name that archives give the file: no epoch in it."""
        version = self.version.partition(":")[2] or self.version
        return f"{self.name}_{version}_{self.architecture}.deb"

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of everything above: equal packages have equal digests."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self)).encode()).hexdigest()

    def at(self, version: str) -> TinyPackage:
        """The same package at another version."""
        return dataclasses.replace(self, version=version)

    def control(self) -> str:
        """The control file."""
        values = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": self.architecture,
            "Maintainer": "aptkeep testbed <testbed@example.invalid>",
            "Section": self.section,
            "Priority": "optional",
            "Essential": "yes" if self.essential else "",
            "Depends": self.depends,
            "Recommends": self.recommends,
            "Conflicts": self.conflicts,
            "Provides": self.provides,
            "Description": f"tiny package {self.name}",
            **self.fields,
        }
        return "".join(f"{name}: {value}\n" for name, value in values.items() if value)


def build(package: TinyPackage, directory: Path) -> Path:
    """Build the package into `directory` and return the path of its `.deb`.

    Takes about 20 ms. Equal packages give equal bytes. Raises `CommandFailed` on what dpkg-deb
    refuses.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tiny-", dir=directory) as temporary:
        tree = Path(temporary) / "tree"
        (tree / "DEBIAN").mkdir(parents=True)
        tree.chmod(0o755)
        _member(tree / "DEBIAN/control", package.control())
        if package.conffiles:
            listed = "".join(f"{_absolute(path)}\n" for path in package.conffiles)
            _member(tree / "DEBIAN/conffiles", listed)
        for name, text in package.scripts.items():
            if name in _RUN and not text.startswith("#!"):
                text = f"#!/bin/sh\nset -e\n{text.rstrip()}\n"  # noqa: PLW2901
            _member(tree / "DEBIAN" / name, text, 0o755 if name in _RUN else 0o644)
        for path, text in {**package.files, **package.conffiles}.items():
            _member(tree / _absolute(path)[1:], text, package.modes.get(path, 0o644))
        built = Path(temporary) / package.file_name
        commands.run(
            *("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, built),
            env=commands.environment({"SOURCE_DATE_EPOCH": _EPOCH}),
        )
        return built.rename(directory / package.file_name)


def _absolute(path: str) -> str:
    return str(PurePosixPath("/", path))


def _member(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    for parent in path.parents:
        if parent.name == "tree":
            break
        parent.chmod(0o755)

"""Local signed repositories over http, which go down and come up again."""

from __future__ import annotations

import functools
import gzip
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

from testbed import commands, packages
from testbed.packages import TinyPackage
from testbed.place import Place, inside
from testbed.signing import SigningKey

__all__ = ["Repository", "SigningKey", "Writable"]


class Writable(Protocol):
    """A machine that a source can be installed on, such as a booted `Workstation`."""

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Write a file."""


class Repository(Place):
    """A repository that serves what was published last, up once it has been made.

    `key` may be changed before the next `publish`; None publishes unsigned.
    """

    def __init__(
        self,
        directory: Path,
        key: SigningKey | None,
        *,
        name: str = "stable",
        component: str = "main",
        release: Mapping[str, str] | None = None,
    ) -> None:
        self.key = key
        self.suite = name
        self.component = component
        self.release = {"Origin": "testbed", "Label": "testbed", **(release or {})}
        self._directory = directory
        self._built = directory / "built"
        self._number = 0
        self._served: Path | None = None
        super().__init__()

    @property
    def served(self) -> Path:
        """The published tree: `dists/` and `pool/`. For tests that damage it."""
        if self._served is None:
            raise RuntimeError("nothing has been published yet")
        return self._served

    def publish(self, *contents: TinyPackage | Path) -> None:
        """Replace the whole content. Requests see all of the old or all of the new one."""
        self._number += 1
        tree = self._directory / f"published{self._number}"
        pool = tree / "pool" / self.component
        pool.mkdir(parents=True)
        for content in contents:
            deb = content if isinstance(content, Path) else self._build(content)
            shutil.copyfile(deb, pool / deb.name)
        self._write_indexes(tree)
        old, self._served = self._served, tree
        if old is not None:
            shutil.rmtree(old)

    def file(self, path: str) -> Path:
        """As the base says."""
        return inside(self.served, path)

    def source_line(self, signed_by: str | None = None, *, options: str = "") -> str:
        """The source in one-line style, with a newline. `options` such as `arch=amd64`."""
        words = [f"signed-by={signed_by}"] if signed_by else []
        words += options.split()
        bracket = f"[{' '.join(words)}] " if words else ""
        return f"deb {bracket}{self.uri} {self.suite} {self.component}\n"

    def deb822(
        self, signed_by: str | None = None, *, fields: Mapping[str, str] | None = None
    ) -> str:
        """The source in deb822 style. `signed_by="embedded"` puts the key itself into it."""
        values = {
            "Types": "deb",
            "URIs": self.uri,
            "Suites": self.suite,
            "Components": self.component,
        }
        if signed_by == "embedded":
            lines = self._signer().public(armored=True).decode().splitlines()
            values["Signed-By"] = "".join(f"\n {line or '.'}" for line in lines)
        elif signed_by:
            values["Signed-By"] = signed_by
        values.update(fields or {})
        return "".join(f"{name}:{_spaced(value)}\n" for name, value in values.items())

    def install_source(
        self,
        machine: Writable,
        name: str,
        *,
        style: Literal["list", "deb822"] = "list",
        key_path: str | None = None,
    ) -> str:
        """Write the key and the source as a person would, and return the source's path.

        The key goes to `key_path`, by default /etc/apt/keyrings/NAME.asc: armored in a `.asc`,
        binary in any other file. Without a key, the source is `trusted=yes`.
        """
        if self.key is None:
            line = self.source_line(options="trusted=yes")
            entry = self.deb822(fields={"Trusted": "yes"}) if style == "deb822" else line
        else:
            key_path = key_path or f"/etc/apt/keyrings/{name}.asc"
            machine.write(key_path, self.key.public(armored=key_path.endswith(".asc")))
            entry = self.deb822(key_path) if style == "deb822" else self.source_line(key_path)
        ending = "sources" if style == "deb822" else "list"
        path = f"/etc/apt/sources.list.d/{name}.{ending}"
        machine.write(path, entry)
        return path

    def _signer(self) -> SigningKey:
        if self.key is None:
            raise RuntimeError("this repository is not signed")
        return self.key

    def _build(self, package: TinyPackage) -> Path:
        directory = self._built / package.digest[:16]
        built = directory / package.file_name
        return built if built.exists() else packages.build(package, directory)

    def _write_indexes(self, tree: Path) -> None:
        listed = commands.run("apt-ftparchive", "packages", "pool", cwd=tree).stdout
        stanzas = [stanza + "\n\n" for stanza in listed.split("\n\n") if stanza.strip()]
        of = [(_architecture(stanza), stanza) for stanza in stanzas]
        # apt asks for its own architecture's index even where there is nothing for it.
        named = {_native(), *(architecture for architecture, _ in of)} - {"all"}
        architectures = sorted(named)
        dist = tree / "dists" / self.suite
        for architecture in architectures:
            # As in Debian's own archive, packages for all are in the index of each architecture.
            chosen = [text for which, text in of if which in (architecture, "all")]
            index = dist / self.component / f"binary-{architecture}" / "Packages"
            index.parent.mkdir(parents=True)
            index.write_text("".join(chosen), encoding="utf-8")
            index.with_suffix(".gz").write_bytes(gzip.compress(index.read_bytes(), mtime=0))
        values = {
            "Suite": self.suite,
            "Codename": self.suite,
            "Architectures": " ".join(architectures),
            "Components": self.component,
            **self.release,
        }
        options = [f"-oAPT::FTPArchive::Release::{name}={text}" for name, text in values.items()]
        made = commands.run("apt-ftparchive", *options, "release", dist).stdout
        (dist / "Release").write_text(made, encoding="utf-8")
        if self.key is not None:
            self.key.sign(dist / "Release")


@functools.lru_cache(maxsize=1)
def _native() -> str:
    return commands.run("dpkg", "--print-architecture").stdout.strip()


def _architecture(stanza: str) -> str:
    found = re.search(r"^Architecture: (\S+)$", stanza, re.MULTILINE)
    if found is None:
        raise ValueError(f"no architecture in {stanza!r}")
    return found[1]


def _spaced(value: str) -> str:
    return value if value.startswith("\n") else f" {value}"

"""Taking an observation: everything about this root that the manifest can speak of.

On the hook path: a few files are read, nothing is run.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from aptkeep import files
from aptkeep.machine import dpkg, keys, sources
from aptkeep.model import FileKind, KeptFile, Observation, Pending, Platform

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aptkeep.machine.apt.config import Configuration, Paths

FILE_LIMIT = 4 * 1024 * 1024
"""The largest source or preferences file that is kept, in bytes."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An observation with the content of the files in it, and what could not be read."""

    observation: Observation
    contents: dict[str, bytes] = field(default_factory=dict)
    """By SHA-256."""
    unkept: tuple[Pending, ...] = ()
    """Files that can't be kept, and why."""


def observe(
    configuration: Configuration,
    *,
    home: str | None = None,
    known: Observation | None = None,
    keyrings: Iterable[str] = (),
) -> Snapshot:
    """What this root is now.

    `home`: keyrings below it are read without following links, and belong to the user.
    `known`: an earlier observation of this root, which spares looking up who owns a keyring.
    `keyrings`: paths to look at though no source may name them at the moment.
    """
    paths, native = configuration.paths, configuration.architecture
    reader = _FileReader(paths, home, known)
    for path, kind in sources.configuration_files(paths):
        content = reader.add(path, kind)
        if content is not None and kind is FileKind.SOURCE:
            for keyring in sources.keyrings(path, content):
                reader.add_keyring(keyring, path)
    for path in keyrings:
        if os.path.lexists(path):
            reader.add_keyring(path, "a source that is wanted")
    reader.find_owners()
    observation = Observation(
        platform=read_platform(paths.os_release, native),
        packages=dpkg.read_packages(paths.dpkg_status, paths.extended_states, native),
        architectures=dpkg.read_architectures(paths.dpkg_directory, native),
        files=reader.files,
    )
    return Snapshot(observation, reader.contents, tuple(reader.unkept))


def read_platform(os_release: str, architecture: str) -> Platform:
    """Distribution and release from os-release(5)."""
    values = {}
    try:
        with open(os_release, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                name, _equals, value = line.strip().partition("=")
                values[name] = value.strip("\"'")
    except FileNotFoundError:
        pass
    codename = values.get("VERSION_CODENAME") or values.get("VERSION_ID", "unknown")
    return Platform(values.get("ID", "linux"), codename, architecture)


class _FileReader:
    """Collects the files of an observation; what can't be kept is noted, never fatal."""

    def __init__(self, paths: Paths, home: str | None, known: Observation | None) -> None:
        self.files: dict[str, KeptFile] = {}
        self.contents: dict[str, bytes] = {}
        self.unkept: list[Pending] = []
        self._paths = paths
        self._home = home
        self._known = known

    def add(self, path: str, kind: FileKind) -> bytes | None:
        """Take a file of apt's configuration; None where it isn't there or can't be kept."""
        try:
            content, mode = files.read_path(path, FILE_LIMIT)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.unkept.append(Pending(path, _why(error)))
            return None
        reason = keys.unusable(content) if kind is FileKind.TRUSTED_KEY else None
        if kind is FileKind.SOURCE and keys.PRIVATE_BLOCK in content:
            reason = keys.PRIVATE_KEY_HELD
        if reason is not None:
            self.unkept.append(Pending(path, reason))
            return None
        self._keep(path, kind, content, mode)
        return content

    def add_keyring(self, path: str, source: str) -> None:
        """Take the keyring that `source` names."""
        if path in self.files:
            return
        relative = self._in_home(path)
        try:
            if relative is None or self._home is None:
                content, mode = files.read_path(path, keys.LIMIT)
            else:
                content, mode = _read_in_home(self._home, relative)
        except (OSError, ValueError) as error:
            self.unkept.append(Pending(path, f"{_why(error)} ({source} is signed by it)"))
            return
        reason = keys.unusable(content)
        if reason is not None:
            self.unkept.append(Pending(path, f"{reason} ({source} is signed by it)"))
            return
        self._keep(path, FileKind.KEY if relative is None else FileKind.HOME_KEY, content, mode)

    def find_owners(self) -> None:
        """Look up which packages ship the keyrings and apt.conf files that are new here."""
        unknown = []
        for path, kept in self.files.items():
            known = self._known.files.get(path) if self._known is not None else None
            if known is not None and known.sha256 == kept.sha256:
                self.files[path] = replace(kept, package=known.package)
            elif kept.kind in _SHIPPED:
                unknown.append(path)
        if unknown:
            for path, package in dpkg.owners(self._paths.dpkg_directory, unknown).items():
                self.files[path] = replace(self.files[path], package=package)

    def _keep(self, path: str, kind: FileKind, content: bytes, mode: int) -> None:
        sha256 = hashlib.sha256(content).hexdigest()
        mode &= 0o777
        if kind in (FileKind.KEY, FileKind.TRUSTED_KEY):
            mode |= 0o444  # public, and of no use to apt unless its `_apt` user can read it
        self.files[path] = KeptFile(kind, sha256, mode)
        self.contents[sha256] = content

    def _in_home(self, path: str) -> str | None:
        if self._home is None:
            return None
        home = self._home.rstrip("/") + "/"
        return path.removeprefix(home) if path.startswith(home) else None


def _read_in_home(home: str, relative: str) -> tuple[bytes, int]:
    """What the user can read anyway, where root may not look into the home."""
    try:
        return files.read_beneath(home, relative, keys.LIMIT)
    except PermissionError:
        owner = os.stat(home)
        with files.acting_as(owner.st_uid, owner.st_gid):
            return files.read_beneath(home, relative, keys.LIMIT)


_SHIPPED = (FileKind.KEY, FileKind.TRUSTED_KEY, FileKind.CONFIGURATION)


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)

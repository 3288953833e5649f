"""The words of the design as frozen values. This module imports nothing of ours.

Packages are keyed by a *package name* as apt prints it: `vim` for the native architecture (and
for `Architecture: all`, which apt files under the native one), `libc6:i386` for a foreign one. So
a manifest reads the same on a machine of another native architecture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Selection(str, Enum):
    """The selection states of dpkg(1): what somebody wants dpkg to do with a package."""

    INSTALL = "install"
    HOLD = "hold"
    DEINSTALL = "deinstall"
    PURGE = "purge"

    @property
    def keeps(self) -> bool:
        """Whether a package with this selection is to be on the machine."""
        return self in (Selection.INSTALL, Selection.HOLD)


class OwnDeb(str, Enum):
    """Where the .deb of a package came from that no repository was asked for."""

    LOCAL = "local"
    """Somebody installed a file."""
    REBUILT = "rebuilt"
    """dpkg-repack(1) made it of what was installed: nobody had a .deb of it any more."""


class FileKind(str, Enum):
    """What apt reads a kept file as."""

    SOURCE = "source"
    PREFERENCES = "preferences"
    CONFIGURATION = "configuration"
    """apt.conf(5), less what packages ship there."""
    CREDENTIALS = "credentials"
    """apt_auth.conf(5): readable by root alone, never printed."""
    TRUSTED_KEY = "trusted-key"
    """A keyring in trusted.gpg.d, or trusted.gpg: apt takes it for every source that names none."""
    KEY = "key"
    """A keyring that a source names."""
    HOME_KEY = "home-key"
    """A keyring that a source names inside the home: it stays by itself, and is never written."""


KEYRINGS = (FileKind.KEY, FileKind.HOME_KEY, FileKind.TRUSTED_KEY)
"""The kinds of files that hold keys."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package as dpkg's status file and apt's extended_states show it on one root."""

    selection: Selection
    status: str
    """dpkg's package state: `installed`, `config-files`, `half-configured`…"""
    version: str | None = None
    """The version that is unpacked; None where only configuration files, or nothing, is left."""
    auto: bool = False
    architecture: str = ""
    """dpkg's architecture of it, `all` included; no part of what can be wished for."""

    @property
    def present(self) -> bool:
        """Whether its files are on the machine, whole or half configured."""
        return self.version is not None

    @property
    def whole(self) -> bool:
        """Whether dpkg has nothing left to do for it."""
        return self.status in ("installed", "triggers-awaited", "triggers-pending")


@dataclass(frozen=True, slots=True)
class PackageWish:
    """What the user wants of one package, relative to the image. None: as the image has it."""

    selection: Selection | None = None
    version: str | None = None
    auto: bool | None = None
    image_version: str | None = None
    """The version that the image had when the wish was recorded; None if it had none."""
    release: str = ""
    """The release (`debian trixie`) on which the wish was recorded."""
    deb: OwnDeb | None = None
    """Where its .deb came from, which the pool has; None: from a repository."""
    absent: bool = False
    """With HOLD: on hold so that it's never installed, and removed where an image brings it."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A primary key of a keyring."""

    fingerprint: str
    user_id: str
    expires: str | None = None
    """The day, ISO 8601 in UTC; None: never."""
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of apt's configuration by its content."""

    kind: FileKind
    sha256: str
    mode: int
    package: str | None = None
    """The package that ships it (looked up for keys and apt.conf only)."""
    release: str = ""
    """In a manifest: the release on which it was recorded. Empty in an observation."""
    keys: tuple[PublicKey, ...] = ()
    """In a manifest, of a keyring: the keys that GnuPG finds in it."""
    proven: str | None = None
    """In a manifest, of a source: the day on which its signatures were verified with its keys."""


@dataclass(frozen=True, slots=True)
class FileGone:
    """In a manifest: a file of the image that the user deleted."""

    release: str = ""


class NodeKind(str, Enum):
    """What a path is."""

    FILE = "file"
    LINK = "link"
    """A symbolic link."""
    DIRECTORY = "directory"
    GONE = "gone"
    """Nothing: the image has something there, and the user deleted it."""


@dataclass(frozen=True, slots=True)
class Node:
    """What is at a path below `Aptkeep::Keep` where it isn't as the image has it."""

    kind: NodeKind
    mode: int = 0
    """Permission bits with setuid, setgid and sticky; 0 for a link, which has none."""
    owner: str = ""
    """An account's name; its number where no account has that."""
    group: str = ""
    sha256: str | None = None
    """Of a file's content."""
    target: str | None = None
    """Where a link leads."""
    capabilities: str = ""
    """Of a file: its security.capability attribute (capabilities(7)) in hexadecimal."""
    size: int = field(default=0, compare=False)
    """Bytes of a file."""
    mtime_ns: int = field(default=0, compare=False)
    """Nanoseconds since 1970; a file that was only touched is the same as before."""


@dataclass(frozen=True, slots=True)
class KeptTree:
    """In a manifest: the listing of all nodes that are wanted, which the store has in a file."""

    sha256: str
    nodes: int
    size: int
    """Bytes of all the files in it."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image is: `debian`, `trixie`, `amd64`, from os-release(5) and dpkg."""

    distribution: str
    codename: str
    architecture: str

    @property
    def release(self) -> str:
        """The release as wishes name it: `debian trixie`."""
        return f"{self.distribution} {self.codename}"


@dataclass(frozen=True, slots=True)
class Observation:
    """The package state of one root at one moment."""

    platform: Platform
    packages: Mapping[str, Package] = field(default_factory=lambda: MappingProxyType({}))
    architectures: frozenset[str] = frozenset()
    """The foreign architectures that dpkg accepts."""
    files: Mapping[str, KeptFile] = field(default_factory=lambda: MappingProxyType({}))
    """Sources, preferences and keys by their absolute path."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the user wants, relative to the image."""

    packages: Mapping[str, PackageWish] = field(default_factory=lambda: MappingProxyType({}))
    architectures: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))
    """Foreign architectures: True, added by the user; False, removed by the user."""
    files: Mapping[str, KeptFile | FileGone] = field(default_factory=lambda: MappingProxyType({}))
    tree: KeptTree | None = None
    """What is wanted below `Aptkeep::Keep`; None: as the image has it."""

    @property
    def empty(self) -> bool:
        """Whether the user wants nothing but the image."""
        return not (self.packages or self.architectures or self.files or self.tree)


@dataclass(frozen=True, slots=True)
class Request:
    """A command that somebody gave apt or dpkg, and who, as far as it could be seen."""

    command: str
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Occasion:
    """When and why a generation was recorded."""

    at: str
    """UTC, ISO 8601 to the second: `2026-11-24T06:03:30Z`."""
    door: str
    """The hook (`DPkg::Post-Invoke`) or the command (`aptkeep rollback 3`)."""
    requests: tuple[Request, ...] = ()


@dataclass(frozen=True, slots=True)
class Anchor:
    """A generation by number and content, so that another store is not taken for the same."""

    number: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Generation:
    """One numbered, immutable version of the manifest."""

    number: int
    occasion: Occasion
    platform: Platform
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Pending:
    """Something wanted that is not, or not yet, on this root, and why."""

    subject: str
    """A package name, an architecture or the path of a file."""
    reason: str


@dataclass(frozen=True, slots=True)
class Touched:
    """What a restore is about to change itself, so that it is never taken for the user's wish."""

    packages: frozenset[str] = frozenset()
    architectures: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()
    """Paths below `Aptkeep::Keep`."""

    def join(self, other: Touched) -> Touched:
        """What this and the other are about to change."""
        return Touched(
            self.packages | other.packages,
            self.architectures | other.architectures,
            self.files | other.files,
            self.nodes | other.nodes,
        )

"""Short ways to write down packages, observations and manifests, and to compare them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aptkeep.model import (
    FileGone,
    FileKind,
    KeptFile,
    Manifest,
    Observation,
    OwnDeb,
    Package,
    PackageWish,
    Platform,
    Selection,
)

TRIXIE = Platform("debian", "trixie", "amd64")
BOOKWORM = Platform("debian", "bookworm", "amd64")

INSTALL, HOLD = Selection.INSTALL, Selection.HOLD
DEINSTALL, PURGE = Selection.DEINSTALL, Selection.PURGE


def newer(one: str, other: str) -> bool:
    """Whether version `one` is later: here versions are whole numbers."""
    return int(one) > int(other)


def installed(
    version: str = "1",
    *,
    auto: bool = False,
    selection: Selection = INSTALL,
    status: str = "installed",
    architecture: str = "amd64",
) -> Package:
    """A package that is on the root."""
    return Package(selection, status, version, auto, architecture)


def config_files(selection: Selection = DEINSTALL) -> Package:
    """A package of which only configuration files are left."""
    return Package(selection, "config-files", None, auto=False, architecture="amd64")


def held_only() -> Package:
    """A package on hold that isn't installed, as after apt-mark(8)."""
    return Package(HOLD, "not-installed", None, auto=False, architecture="amd64")


def root(
    packages: Mapping[str, Package] | None = None,
    *,
    architectures: frozenset[str] = frozenset(),
    files: Mapping[str, KeptFile] | None = None,
    platform: Platform = TRIXIE,
) -> Observation:
    """An observation."""
    return Observation(platform, packages or {}, architectures, files or {})


def wish(
    selection: Selection | None = None,
    version: str | None = None,
    *,
    auto: bool | None = None,
    image: str | None = None,
    on: Platform = TRIXIE,
    deb: OwnDeb | None = None,
) -> PackageWish:
    """A wish, recorded `on` a platform whose image had version `image` of the package."""
    return PackageWish(selection, version, auto, image, on.release, deb)


def held_off(image: str | None = None, *, on: Platform = TRIXIE) -> PackageWish:
    """A wish to hold a package off: `apt remove` if the image had it, and `apt-mark hold`."""
    return PackageWish(HOLD, image_version=image, release=on.release, absent=True)


def file(
    content: str = "a",
    kind: FileKind = FileKind.SOURCE,
    *,
    mode: int = 0o644,
    package: str | None = None,
    on: Platform | None = None,
) -> KeptFile:
    """A file by one letter of its content; in a manifest, recorded `on` a platform."""
    return KeptFile(kind, content * 64, mode, package, on.release if on else "")


def gone(on: Platform = TRIXIE) -> FileGone:
    """A file of the image that the user deleted."""
    return FileGone(on.release)


def removed_is_purged(manifest: Manifest) -> dict[str, PackageWish]:
    """The wishes about packages, with no difference between removing and purging one."""
    return {
        name: replace(wish, selection=PURGE) if wish.selection is DEINSTALL else wish
        for name, wish in manifest.packages.items()
    }


def bare(manifest: Manifest) -> Manifest:
    """What is wished, without where and on which image it was recorded."""
    return Manifest(
        {
            name: replace(wish, image_version=None, release="")
            for name, wish in manifest.packages.items()
        },
        dict(manifest.architectures),
        {
            path: FileGone()
            if isinstance(kept, FileGone)
            else replace(kept, package="", release="")
            for path, kept in manifest.files.items()
        },
    )

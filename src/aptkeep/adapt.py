"""What a manifest means on the image at hand. Pure.

A manifest was recorded relative to one image and may be restored on another: newer, of another
release, with packages that have come or gone. `adapt` says what of it applies here, so that
`plan` needs to know nothing of images. `revert` says the same of going back to an older one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aptkeep.model import (
    FileGone,
    FileKind,
    KeptFile,
    Manifest,
    Observation,
    Package,
    PackageWish,
    Pending,
    Selection,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Adapted:
    """A manifest as it applies to one image, and what of it was set aside."""

    manifest: Manifest
    set_aside: tuple[Pending, ...] = ()

    @property
    def applies(self) -> frozenset[str]:
        """The subjects of all wishes that apply here."""
        manifest = self.manifest
        return frozenset([*manifest.packages, *manifest.architectures, *manifest.files])


def adapt(
    manifest: Manifest,
    baseline: Observation,
    *,
    newer: Callable[[str, str], bool],
    suites: Callable[[str, KeptFile], frozenset[str]] = lambda _path, _kept: frozenset(),
) -> Adapted:
    """The wishes of `manifest` that apply on the root that `baseline` describes.

    `newer(a, b)` compares versions as dpkg does; `suites(path, source)` tells which suites a kept
    source names.
    """
    here = baseline.platform.release
    packages = {}
    for name, wish in manifest.packages.items():
        applied = _adapt_package(wish, baseline.packages.get(name), here, newer)
        if applied is not None:
            packages[name] = applied
    files: dict[str, KeptFile | FileGone] = {}
    set_aside = []
    for path, kept in manifest.files.items():
        if kept.release != here and isinstance(kept, FileGone):
            continue  # which files an image of another release brings was not the question
        foreign = (
            _foreign_suites(suites(path, kept), kept.release, baseline)
            if isinstance(kept, KeptFile) and kept.kind is FileKind.SOURCE and kept.release != here
            else frozenset()
        )
        if foreign:
            set_aside.append(
                Pending(
                    path,
                    f"it names {', '.join(sorted(foreign))}, recorded on {kept.release}; "
                    f"this image is {here}",
                )
            )
        else:
            files[path] = kept
    return Adapted(replace(manifest, packages=packages, files=files), tuple(set_aside))


def _adapt_package(
    wish: PackageWish, image: Package | None, here: str, newer: Callable[[str, str], bool]
) -> PackageWish | None:
    wanted = wish.selection is None or wish.selection.keeps
    of_image = wish.image_version is not None
    gone = image is None or image.version is None
    if wanted and of_image and gone and not wish.absent:
        return None  # the image dropped a package that nobody but the image asked for
    if wish.release != here and wish.deb is None:
        if wish.auto and not of_image:
            return None  # a dependency: left to apt, which knows what it's called on this release
        wish = replace(wish, version=None)
    if image is None or image.version is None:
        return wish
    if wish.auto and not of_image:
        wish = replace(wish, auto=None)  # nobody asked for it then; now the image does
    same_image = wish.image_version == image.version
    if wish.version is not None and not same_image and newer(image.version, wish.version):
        wish = replace(wish, version=None)  # the image moved past it: no downgrade
    return wish


def _foreign_suites(suites: frozenset[str], recorded: str, baseline: Observation) -> frozenset[str]:
    """The suites that belong to the release a source was recorded on and not to this one.

    Only that release's own codename counts: a vendor's `stable` or `nodistro` fits any.
    """
    old = recorded.rpartition(" ")[2]
    if not old or old == baseline.platform.codename:
        return frozenset()
    return frozenset(
        suite for suite in suites if suite == old or suite.startswith((f"{old}-", f"{old}/"))
    )


def revert(current: Manifest, target: Manifest, baseline: Observation) -> Manifest:
    """`target`, with a wish to undo for everything that only `current` wants.

    The result is for planning the way back from one generation to another on one root; it is
    never recorded.
    """
    packages = dict(target.packages)
    for name, dropped in current.packages.items():
        image = baseline.packages.get(name)
        if image is not None and not image.present and name not in packages:
            held_off = image.selection is Selection.HOLD
            packages[name] = PackageWish(
                image.selection, image_version=dropped.version, absent=held_off
            )
        elif image is not None and image.present:
            packages[name] = _back_to_image(dropped, packages.get(name, PackageWish()), image)
        elif name not in packages:
            packages[name] = PackageWish(Selection.PURGE, release=dropped.release)
        elif packages[name].absent:  # and removed where it has come meanwhile
            packages[name] = replace(packages[name], image_version=dropped.version)
    architectures = dict(target.architectures)
    for name in current.architectures.keys() - target.architectures.keys():
        architectures[name] = name in baseline.architectures
    files = dict(target.files)
    for path in current.files.keys() - target.files.keys():
        shipped = baseline.files.get(path)
        files[path] = shipped or FileGone(baseline.platform.release)
    return Manifest(packages, architectures, files, target.tree)


def _back_to_image(dropped: PackageWish, wish: PackageWish, image: Package) -> PackageWish:
    """`wish`, and as the image has it whatever only `dropped` wished of the package."""
    if wish.absent or (wish.selection is not None and not wish.selection.keeps):
        return wish  # gone, whatever else was wished of it since
    selection, version, auto = wish.selection, wish.version, wish.auto
    gone = dropped.absent or (dropped.selection is not None and not dropped.selection.keeps)
    if selection is None and dropped.selection is not None:
        selection = image.selection
    if version is None and (dropped.version is not None or gone):
        version = image.version
    if auto is None and (dropped.auto is not None or gone):
        auto = image.auto
    release = wish.release or dropped.release
    return PackageWish(selection, version, auto, image.version, release, wish.deb)

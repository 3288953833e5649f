"""Recording as a three-way merge. Pure: nothing here reads or changes the system.

`absorb` carries the *change* between two observations of one root into the manifest, measured
against that root's baseline. What didn't change stays as the manifest has it: so a package that a
failed restore never brought back isn't "removed by the user", and neither is one that another
machine with the same home recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aptkeep.model import (
    FileGone,
    FileKind,
    KeptFile,
    Manifest,
    Observation,
    Package,
    PackageWish,
    Selection,
    Touched,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def absorb(
    manifest: Manifest, baseline: Observation, before: Observation, after: Observation
) -> Manifest:
    """The manifest with what the user changed between `before` and `after`.

    `baseline` is what this root was when it came from its image. Returns `manifest` itself where
    nothing that matters changed.
    """
    release = after.platform.release
    packages = dict(manifest.packages)
    for name in _changed(before.packages, after.packages):
        package_wish = _package_wish(
            packages.get(name),
            baseline.packages.get(name),
            before.packages.get(name),
            after.packages.get(name),
            release,
        )
        _put(packages, name, package_wish)

    architectures = dict(manifest.architectures)
    for name in before.architectures ^ after.architectures:
        wanted = name in after.architectures
        _put(architectures, name, None if wanted == (name in baseline.architectures) else wanted)

    files = dict(manifest.files)
    image_files, old_files, new_files = (
        _own_files(observation, baseline) for observation in (baseline, before, after)
    )
    for path in _changed(old_files, new_files):
        file_wish = _file_wish(files.get(path), image_files.get(path), new_files.get(path), release)
        _put(files, path, file_wish)

    absorbed = replace(manifest, packages=packages, architectures=architectures, files=files)
    return manifest if _same_wishes(absorbed, manifest) else absorbed


def settle(before: Observation, after: Observation, touched: Touched) -> Observation:
    """`before`, as if what a restore did itself had been so all along.

    A restore that was killed leaves half of its work behind: packages whose marks aren't put back
    yet, sources without their packages. Of all that differs from the last observation, what the
    restore had set out to touch is its own work; the rest is somebody's wish and stays a change.
    """
    return Observation(
        platform=after.platform,
        packages=_adopt(before.packages, after.packages, touched.packages),
        architectures=(before.architectures - touched.architectures)
        | (after.architectures & touched.architectures),
        files=_adopt(before.files, after.files, touched.files),
    )


def without(observation: Observation, excluded: Callable[[str], bool]) -> Observation:
    """`observation` less the packages that the configuration excludes from keeping."""
    kept = {name: p for name, p in observation.packages.items() if not excluded(name)}
    return replace(observation, packages=kept)


def _package_wish(
    wish: PackageWish | None,
    image: Package | None,
    before: Package | None,
    after: Package | None,
    release: str,
) -> PackageWish | None:
    was, now = _facets(before), _facets(after)
    if was == now:
        return wish
    shipped = _facets(image)
    # A wish from an image without the package stays one: the next may lack it again.
    own = shipped.version is None or _is_own(wish)
    if image is None or (own and now.version is not None):
        return _own_wish(wish, was, now, release)
    if now.version is None:
        return None if now == shipped else _not_there(now, image.version, release)
    wish = wish or PackageWish()

    def merged(facet: str) -> Any:  # noqa: ANN401 - one rule for three types
        value = getattr(now, facet)
        if was.version is not None and getattr(was, facet) == value:
            return getattr(wish, facet)
        return None if value == getattr(shipped, facet) else value

    selection, version, auto = merged("selection"), merged("version"), merged("auto")
    if selection is None and version is None and auto is None:
        return None
    if version is not None and was.version == now.version:
        # The version is the old wish's: what it was relative to, and where, stays with it.
        return PackageWish(selection, version, auto, wish.image_version, wish.release, wish.deb)
    return PackageWish(selection, version, auto, image.version, release)


def _not_there(now: _Facets, image_version: str | None, release: str) -> PackageWish:
    """For a package that isn't there: removed, or held off."""
    held_off = now.selection is Selection.HOLD
    return PackageWish(now.selection, image_version=image_version, release=release, absent=held_off)


def _is_own(wish: PackageWish | None) -> bool:
    """Whether it's a wish to have a package, recorded where the image didn't have it."""
    if wish is None or wish.selection is None:
        return False
    return wish.selection.keeps and wish.image_version is None and not wish.absent


def _own_wish(
    wish: PackageWish | None, was: _Facets, now: _Facets, release: str
) -> PackageWish | None:
    """For a package that the image doesn't have: here, it's wanted; gone, the entry goes."""
    only_version = was.selection == now.selection and was.auto == now.auto
    if not now.selection.keeps or (wish is None and only_version):
        return None  # a new version of what nobody asked to keep is no wish for it
    if now.version is None:
        return _not_there(now, None, release)
    deb = wish.deb if wish is not None and wish.version == now.version else None
    return PackageWish(now.selection, now.version, now.auto, release=release, deb=deb)


@dataclass(frozen=True, slots=True)
class _Facets:
    """The three things about a package that can be wished for, absence included."""

    selection: Selection
    version: str | None
    auto: bool | None


def _facets(package: Package | None) -> _Facets:
    if package is None or not package.selection.keeps:
        return _Facets(package.selection if package else Selection.PURGE, None, None)
    if package.selection is Selection.INSTALL and not package.present:
        # An installation that failed before anything was there: nobody has had it.
        left = package.status != "not-installed"
        return _Facets(Selection.DEINSTALL if left else Selection.PURGE, None, None)
    # apt-mark(8) holds packages that aren't there, too: nobody said how they're to be marked.
    auto = package.auto if package.present else None
    return _Facets(package.selection, package.version, auto)


def _file_wish(
    wish: KeptFile | FileGone | None, image: KeptFile | None, after: KeptFile | None, release: str
) -> KeptFile | FileGone | None:
    if after is None:
        # A keyring drops out of sight when no source names it any more: that deletes nothing.
        seen_by_chance = (FileKind.KEY, FileKind.HOME_KEY)
        deleted = image is not None and image.kind not in seen_by_chance
        return FileGone(release) if deleted else None
    if image is not None and _content(image) == _content(after):
        return None
    if isinstance(wish, KeptFile) and _content(wish) == _content(after):
        return wish
    return replace(after, release=release)


def _own_files(observation: Observation, baseline: Observation) -> dict[str, KeptFile]:
    """The files of an observation, less those that a package ships, upgrades and brings back.

    But for a keyring of a package that the image lacks: without it apt can't fetch the package.
    """
    keyrings = (FileKind.KEY, FileKind.TRUSTED_KEY)
    return {
        path: kept
        for path, kept in observation.files.items()
        if kept.package is None or (kept.kind in keyrings and kept.package not in baseline.packages)
    }


def _content(kept: KeptFile) -> tuple[FileKind, str, int]:
    return kept.kind, kept.sha256, kept.mode


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for key, value in after.items():
        if before.get(key) != value:
            yield key
    for key in before:
        if key not in after:
            yield key


def _put(wishes: dict[str, Any], key: str, wish: object) -> None:
    if wish is None:
        wishes.pop(key, None)
    else:
        wishes[key] = wish


def _adopt(
    before: Mapping[str, Any], after: Mapping[str, Any], touched: frozenset[str]
) -> dict[str, Any]:
    settled = {key: value for key, value in before.items() if key not in touched}
    settled.update((key, after[key]) for key in touched if key in after)
    return settled


def _same_wishes(one: Manifest, other: Manifest) -> bool:
    """Whether two manifests wish the same, wherever and whenever that was recorded."""
    return (
        dict(one.packages) == dict(other.packages)
        and dict(one.architectures) == dict(other.architectures)
        and dict(one.files) == dict(other.files)
    )

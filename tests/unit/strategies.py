"""What hypothesis makes up: roots as dpkg can leave them, manifests, and changes.

Names come from pools that say where a package is at home: `IMAGE` may come with the image, `USER`
is what people install, `ELSEWHERE` is never on the roots that a test looks at. Versions are whole
numbers (`made.newer`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from aptkeep.merge import absorb
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
    Touched,
)
from unit.made import BOOKWORM, DEINSTALL, HOLD, INSTALL, PURGE, TRIXIE

IMAGE = ("base", "libc6", "libc6:i386", "vim")
USER = ("cowsay", "g++-tiny", "redis", "wine:i386")
ELSEWHERE = ("away", "lost:i386")
VERSIONS = ("1", "2", "3", "4")
ARCHITECTURES = ("arm64", "i386")
ELSEWHERE_ARCHITECTURES = ("riscv64",)

SOURCE = "/etc/apt/sources.list.d/debian.sources"
USER_SOURCE = "/etc/apt/sources.list.d/vendor.list"
PREFERENCES = "/etc/apt/preferences.d/pins"
KEY = "/etc/apt/keyrings/vendor.asc"
SHIPPED_KEY = "/usr/share/keyrings/base.gpg"
HOME_KEY = "/home/bench-user/key.asc"
PATHS = {
    SOURCE: FileKind.SOURCE,
    USER_SOURCE: FileKind.SOURCE,
    PREFERENCES: FileKind.PREFERENCES,
    KEY: FileKind.KEY,
    SHIPPED_KEY: FileKind.KEY,
    HOME_KEY: FileKind.HOME_KEY,
}
ELSEWHERE_PATHS = {"/etc/apt/sources.list.d/away.list": FileKind.SOURCE}

_WHOLE = ("installed", "triggers-awaited", "triggers-pending")
_HALF = ("unpacked", "half-configured", "half-installed")

versions = st.sampled_from(VERSIONS)
_RELEASES = (TRIXIE.release, BOOKWORM.release)

# Each thing is drawn at once from a list of all there are: far quicker than piece by piece.

_PRESENT = [
    Package(selection, status, version, auto, architecture)
    for selection, status, version, auto, architecture in itertools.product(
        (INSTALL, HOLD, DEINSTALL), _WHOLE + _HALF, VERSIONS, (False, True), ("amd64", "all")
    )
]
_LEFT = [
    Package(DEINSTALL, "config-files"),
    Package(HOLD, "config-files"),
    Package(HOLD, "not-installed"),
]
_UNDONE = [
    Package(INSTALL, "not-installed"),
    Package(INSTALL, "config-files"),
    Package(PURGE, "config-files"),
]
"""Selected but not done: the preinst failed, nobody ran `dpkg --purge --pending`."""
_ANY = st.sampled_from(_PRESENT) | st.sampled_from(_LEFT + _UNDONE)
_TIDY = st.sampled_from(
    [p for p in _PRESENT if p.status in _WHOLE and p.selection.keeps]
) | st.sampled_from(_LEFT)


def packages(*, whole: bool = False) -> st.SearchStrategy[Package]:
    """Packages in every state that `machine.dpkg` reads.

    With `whole`, in those that a run of apt or dpkg that succeeded leaves behind.
    """
    return _TIDY if whole else _ANY


def _contents(path: str) -> list[KeptFile]:
    """The files that may lie at `path`."""
    owners = {SHIPPED_KEY: ("base",), KEY: (None, "redis")}.get(path, (None,))
    kind = (PATHS | ELSEWHERE_PATHS)[path]
    return [
        KeptFile(kind, letter * 64, mode, owner)
        for letter, mode, owner in itertools.product("abc", (0o644, 0o600), owners)
    ]


file_trees = st.fixed_dictionaries(
    {}, optional={path: st.sampled_from(_contents(path)) for path in PATHS}
)


def observations(
    names: Sequence[str] = IMAGE + USER, *, platform: Platform = TRIXIE, whole: bool = False
) -> st.SearchStrategy[Observation]:
    """Roots on which some of `names` are known to dpkg."""
    return st.builds(
        Observation,
        st.just(platform),
        st.dictionaries(st.sampled_from(names), packages(whole=whole), max_size=len(names)),
        st.frozensets(st.sampled_from(ARCHITECTURES)),
        file_trees,
    )


def images(*, platform: Platform = TRIXIE) -> st.SearchStrategy[Observation]:
    """Roots as they come from an image: nothing of what only people install, all of it whole."""
    return observations(IMAGE, platform=platform, whole=True)


_KEEPING = [
    PackageWish(*facets)
    for facets in itertools.product(
        (None, INSTALL, HOLD), (None, *VERSIONS), (None, False, True), (None, *VERSIONS), _RELEASES
    )
]
_OWN = [
    PackageWish(selection, version, auto, None, release, deb)
    for selection, version, auto, release, deb in itertools.product(
        (INSTALL, HOLD), VERSIONS, (False, True), _RELEASES, OwnDeb
    )
]
"""Packages that came from a file."""
_LEAVING = [
    PackageWish(selection, None, None, image_version, release)
    for selection, image_version, release in itertools.product(
        (DEINSTALL, PURGE), (None, *VERSIONS), _RELEASES
    )
]
_HELD_OFF = [
    PackageWish(HOLD, image_version=image_version, release=release, absent=True)
    for image_version, release in itertools.product((None, *VERSIONS), _RELEASES)
]
package_wishes = st.sampled_from(_LEAVING + _HELD_OFF + _OWN) | st.sampled_from(_KEEPING)
"""Any wish at all, as it may have been recorded anywhere."""


def _file_wishes(path: str) -> st.SearchStrategy[KeptFile | FileGone]:
    """Any wish about the file at `path`."""
    kept = [replace(k, release=release) for k in _contents(path) for release in _RELEASES]
    return st.sampled_from([*(FileGone(release) for release in _RELEASES), *kept])


def manifests(
    names: Sequence[str] = IMAGE + USER + ELSEWHERE,
    architectures: Sequence[str] = ARCHITECTURES + ELSEWHERE_ARCHITECTURES,
    paths: Sequence[str] = (*PATHS, *ELSEWHERE_PATHS),
) -> st.SearchStrategy[Manifest]:
    """Any manifest at all: no premise about any root."""
    return st.builds(
        Manifest,
        st.dictionaries(st.sampled_from(names), package_wishes),
        st.dictionaries(st.sampled_from(architectures), st.booleans()),
        st.fixed_dictionaries({}, optional={path: _file_wishes(path) for path in paths}),
    )


def manifests_of_elsewhere() -> st.SearchStrategy[Manifest]:
    """Wishes about nothing that is, was or comes on the roots of a test: pending ones."""
    return manifests(ELSEWHERE, ELSEWHERE_ARCHITECTURES, tuple(ELSEWHERE_PATHS))


def joined(one: Manifest, other: Manifest) -> Manifest:
    """Both manifests in one; the other's entry where both have one."""
    return Manifest(
        {**one.packages, **other.packages},
        {**one.architectures, **other.architectures},
        {**one.files, **other.files},
    )


def subjects() -> st.SearchStrategy[Touched]:
    """Some of what the roots of a test can differ in."""
    return st.builds(
        Touched,
        st.frozensets(st.sampled_from(IMAGE + USER)),
        st.frozensets(st.sampled_from(ARCHITECTURES)),
        st.frozensets(st.sampled_from(sorted(PATHS))),
    )


@dataclass(frozen=True)
class Scene:
    """A root that came from `baseline` and is now as `before`, and a manifest that says so.

    The premise, in one sentence: `manifest` holds exactly what recording `before` on this root
    put there, and besides only wishes about things this root has never seen (`elsewhere`).
    """

    baseline: Observation
    before: Observation
    elsewhere: Manifest

    @property
    def manifest(self) -> Manifest:
        """The manifest that is consistent with `before`."""
        return joined(self.elsewhere, absorb(Manifest(), self.baseline, self.baseline, self.before))


def scenes(*, whole: bool = False) -> st.SearchStrategy[Scene]:
    """Roots in the middle of their lives."""
    return st.builds(Scene, images(), observations(whole=whole), manifests_of_elsewhere())


def offers(
    names: Sequence[str] = IMAGE + USER + ELSEWHERE,
) -> st.SearchStrategy[dict[str, tuple[str, ...]]]:
    """What a repository has of each package, the candidate first; of some packages, nothing."""
    some = [s for n in range(4) for s in itertools.permutations(VERSIONS, n)]
    return st.dictionaries(st.sampled_from(names), st.sampled_from(some))

"""What apt can get on this root, and which of what is wanted goes together. Off the hook path.

libapt's own dependency cache decides. Nothing is installed here, and nothing is downloaded.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import apt_pkg

from aptkeep.errors import CommandError
from aptkeep.machine.apt.overrides import override
from aptkeep.machine.apt.staging import ORIGIN
from aptkeep.machine.dpkg import package_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Wanted:
    """A package to install, at this version, or to remove (version None)."""

    name: str
    version: str | None
    purge: bool = False


@dataclass(frozen=True, slots=True)
class Solution:
    """The largest part of what is wanted that goes together."""

    installs: dict[str, str] = field(default_factory=dict)
    """Name to version: what was wanted, at its version or, where only that fits, the candidate."""
    removals: dict[str, bool] = field(default_factory=dict)
    """Name to whether it's purged."""
    architectures: dict[str, str] = field(default_factory=dict)
    """Name to dpkg's architecture, of everything in `installs` and `removals`."""
    extra: dict[str, str] = field(default_factory=dict)
    """Dependencies nobody recorded that must be installed or upgraded with them, by version."""
    rejected: dict[str, str] = field(default_factory=dict)
    """Name to reason."""

    @property
    def changes(self) -> frozenset[str]:
        """Every package that carrying it out touches."""
        return frozenset(self.installs) | frozenset(self.removals) | frozenset(self.extra)


def newer(one: str, other: str) -> bool:
    """Whether version `one` is later than `other`, as dpkg compares them (Debian policy 5.6.12).

    Like all of this module it wants apt's configuration to be loaded.
    """
    return bool(apt_pkg.version_compare(one, other) > 0)


@dataclass(frozen=True, slots=True)
class Listing:
    """A .deb as apt's lists describe it."""

    filename: str
    """In apt's cache of archives."""
    sha256: str
    paragraph: str


def unreadable_sources() -> str | None:
    """Why apt can't read its sources, or None if it can: one malformed entry spoils them all."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            apt_pkg.SourceList().read_main_list()
    except apt_pkg.Error as error:
        return str(error)
    return None


def sources_in_use(options: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """URI and suite of every archive that apt would ask, with these options set."""
    override(options)
    sources = apt_pkg.SourceList()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sources.read_main_list()
    except apt_pkg.Error:
        return frozenset()
    return frozenset((index.uri, index.dist) for index in sources.list)


class Archive:
    """apt's cache as its lists and dpkg's status make it at this moment."""

    def __init__(
        self,
        native: str,
        *,
        recommends: bool = False,
        write_caches: bool = True,
        sources: Mapping[str, str] | None = None,
    ) -> None:
        """`sources`: the options that say which sources and lists apt uses, else its own."""
        options = {"APT::Install-Suggests": "false", **(sources or {})}
        if not write_caches:
            options |= {"Dir::Cache::pkgcache": "", "Dir::Cache::srcpkgcache": ""}
        if not recommends:
            options["APT::Install-Recommends"] = "false"
        override(options)
        self._native = native
        try:
            # Newer python-apt turns each `W:` of apt into a warning of Python's.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._cache = apt_pkg.Cache(None)
                self._depcache = apt_pkg.DepCache(self._cache)
        except apt_pkg.Error as error:
            raise CommandError(
                f"apt can't read its own configuration: {error}",
                details="nothing was installed",
                resolution="mend the file that apt names; then run 'aptkeep restore'",
            ) from error
        # The stub of python-apt doesn't say that it's None for what isn't installed.
        self._installed = [p for p in self._cache.packages if p.current_ver]  # type: ignore[truthy-bool]
        self._here = {self._name(p): p.current_ver.ver_str for p in self._installed}

    def offered(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The versions that can be fetched of each package, apt's candidate first."""
        result = {}
        for name in names:
            package = self._package(name)
            if package is None:
                continue
            candidate = self._depcache.get_candidate_ver(package)
            versions = [
                version.ver_str
                for version in package.version_list
                if version.downloadable and (_is_staged(version) or self._allowed(version))
            ]
            if candidate is not None and candidate.ver_str in versions:
                versions.remove(candidate.ver_str)
                versions.insert(0, candidate.ver_str)
            result[name] = tuple(dict.fromkeys(versions))
        return result

    def forbidden(self, name: str, only: str | None = None) -> bool:
        """Whether a package is offered (in version `only`), and the user's pins forbid all that."""
        package = self._package(name)
        if package is None:
            return False
        offered = [
            version
            for version in package.version_list
            if version.downloadable and only in (None, version.ver_str)
        ]
        return bool(offered) and not any(self._allowed(version) for version in offered)

    def _allowed(self, version: apt_pkg.Version) -> bool:
        """Whether the user's pins allow it; they're about repositories, not about what is here."""
        return bool(self._depcache.policy.get_priority(version) >= 0)

    def listed(self, key: tuple[str, str, str]) -> frozenset[str]:
        """The SHA-256s that apt's lists give for a package name, version and architecture."""
        name, wanted, architecture = key
        native = self._native if architecture == "all" else architecture
        try:
            package = self._cache[name, native]
        except KeyError:
            return frozenset()
        records = apt_pkg.PackageRecords(self._cache)
        found = set()
        for version in package.version_list:
            if (version.ver_str, version.arch) == (wanted, architecture):
                for package_file, index in version.file_list:
                    if not package_file.not_source and records.lookup((package_file, index)):
                        found.add(str(getattr(records.hashes.find("SHA256"), "hashvalue", "")))
        return frozenset(found - {""})

    def listing(self, name: str, version: str) -> Listing | None:
        """How apt's lists describe this version; None where they don't."""
        found = self._version(name, version)
        if found is None:
            return None
        records = apt_pkg.PackageRecords(self._cache)
        for package_file, index in found.file_list:
            if not package_file.not_source and records.lookup((package_file, index)):
                sha256 = str(getattr(records.hashes.find("SHA256"), "hashvalue", ""))
                file = f"{found.parent_pkg.name}_{_quoted(version)}_{found.arch}.deb"
                return Listing(file, sha256, records.record)
        return None

    def depended_on(self, name: str, version: str) -> frozenset[str]:
        """The packages that this version depends on, alternatives included."""
        found = self._version(name, version)
        if found is None:
            return frozenset()
        return frozenset(
            self._name(alternative.target_pkg)
            for kind in ("PreDepends", "Depends")
            for group in found.depends_list.get(kind, [])
            for alternative in group
        )

    def paragraphs(self, wanted: dict[str, str]) -> str:
        """The control paragraphs of these versions, for dpkg's `available` database."""
        records = apt_pkg.PackageRecords(self._cache)
        texts = []
        for name, version_string in wanted.items():
            version = self._version(name, version_string)
            if version is None:
                continue
            for package_file, index in version.file_list:
                if package_file.filename and not package_file.not_source:
                    records.lookup((package_file, index))
                    texts.append(records.record.strip("\n"))
                    break
        return "\n\n".join(texts) + "\n" if texts else ""

    def upgradable(self) -> dict[str, str]:
        """Installed packages for which apt has another candidate: name to installed version."""
        self._depcache.init()
        result = {}
        for package in self._installed:
            candidate = self._depcache.get_candidate_ver(package)
            if candidate is not None and candidate != package.current_ver:
                result[self._name(package)] = package.current_ver.ver_str
        return result

    def solve(self, wanted: Sequence[Wanted]) -> Solution:
        """The largest part of `wanted` that resolves without removing anything else.

        All of it is tried first; what fails is halved until it's a single package, which is tried
        at its candidate version and else rejected. So one bad package costs no other.
        """
        accepted: list[Wanted] = []
        rejected: dict[str, tuple[Wanted, str]] = {}
        candidates = {item.name: item for item in wanted}

        def accept(group: Sequence[Wanted]) -> None:
            if not group or self._resolves([*accepted, *group], candidates):
                accepted.extend(group)
                return
            if len(group) > 1:
                middle = len(group) // 2
                accept(group[:middle])
                accept(group[middle:])
                return
            item = group[0]
            reason = self._reason(item, accepted)
            del candidates[item.name]
            alternative = self._at_candidate(item)
            if alternative is not None and self._resolves([*accepted, alternative], candidates):
                candidates[item.name] = alternative
                accepted.append(alternative)
            else:
                rejected[item.name] = item, reason

        accept(wanted)
        progress = True
        while rejected and progress:  # some wait for others that were tried after them
            before, again = len(accepted), [item for item, _reason in rejected.values()]
            rejected.clear()
            for item in again:
                candidates[item.name] = item
                accept([item])
            progress = len(accepted) > before or self._accept_swap(rejected, accepted, candidates)
        self._resolves(accepted, candidates)
        reasons = {name: reason for name, (_item, reason) in rejected.items()}
        return self._solution(accepted, reasons)

    def _accept_swap(
        self,
        rejected: dict[str, tuple[Wanted, str]],
        accepted: list[Wanted],
        candidates: dict[str, Wanted],
    ) -> bool:
        """Accept a pair that goes only together: one mail server for another that is removed.

        True where something was accepted, so that others may be tried again.
        """
        items = [item for item, _reason in rejected.values()]
        leaving = [item for item in items if item.version is None]
        for removal in leaving:
            for install in (item for item in items if item.version is not None):
                candidates.update({removal.name: removal, install.name: install})
                if self._resolves([*accepted, removal, install], candidates):
                    accepted.extend((removal, install))
                    del rejected[removal.name], rejected[install.name]
                    return True
                del candidates[removal.name], candidates[install.name]
        return False

    def _resolves(self, items: Sequence[Wanted], candidates: dict[str, Wanted]) -> bool:
        """Mark `items` on a clean slate; whether they fit without touching what isn't asked for.

        The version of every wanted package is its candidate, whether it's among `items` or not:
        a dependency that is recorded too comes in at its recorded version.
        """
        cache = self._depcache
        cache.init()
        for item in candidates.values():
            version = self._version(item.name, item.version)
            if version is not None:
                cache.set_candidate_ver(version.parent_pkg, version)
        marked = [(item, self._package(item.name)) for item in items]
        with apt_pkg.ActionGroup(cache):  # type: ignore[attr-defined] # its stub has no __enter__
            for with_dependencies in (False, True):
                for item, package in marked:
                    if item.version is not None and package is not None:
                        cache.mark_install(package, with_dependencies, True)  # noqa: FBT003
            for item, package in marked:
                if item.version is None and package is not None:
                    cache.mark_delete(package, item.purge)
        if cache.broken_count:
            return False
        removals = {item.name for item in items if item.version is None}
        if any(
            cache.marked_delete(package) and self._name(package) not in removals
            for package in self._installed
        ):
            return False
        return all(self._fulfilled(item, package) for item, package in marked)

    def _fulfilled(self, item: Wanted, package: apt_pkg.Package | None) -> bool:
        if package is None:
            return item.version is None
        if item.version is None:
            return bool(self._depcache.marked_delete(package)) or package.current_ver is None
        candidate = self._depcache.get_candidate_ver(package)
        changes = (
            self._depcache.marked_install(package)
            or self._depcache.marked_upgrade(package)
            or self._depcache.marked_downgrade(package)
            or self._depcache.marked_reinstall(package)
        )
        # The same version may stand twice, as installed and with another hash in an archive.
        here = self._here.get(item.name) == item.version
        return here or (changes and candidate is not None and candidate.ver_str == item.version)

    def _solution(self, accepted: Sequence[Wanted], rejected: dict[str, str]) -> Solution:
        installs = {i.name: i.version for i in accepted if i.version is not None}
        removals = {i.name: i.purge for i in accepted if i.version is None}
        extra = {}
        for package in self._cache.packages:
            if self._depcache.marked_install(package) or self._depcache.marked_upgrade(package):
                name = self._name(package)
                candidate = self._depcache.get_candidate_ver(package)
                if name not in installs and candidate is not None:
                    extra[name] = candidate.ver_str
        architectures = {item.name: self._architecture(item) for item in accepted}
        return Solution(installs, removals, architectures, extra, rejected)

    def _architecture(self, item: Wanted) -> str:
        package = self._package(item.name)
        version = self._version(item.name, item.version)
        if version is None and package is not None:
            version = package.current_ver
        return str(version.arch) if version is not None else self._native

    def _at_candidate(self, item: Wanted) -> Wanted | None:
        package = self._package(item.name)
        if package is None or item.version is None:
            return None
        self._depcache.init()
        candidate = self._depcache.get_candidate_ver(package)
        if candidate is None or candidate.ver_str == item.version:
            return None
        return replace(item, version=candidate.ver_str)

    def _reason(self, item: Wanted, accepted: Sequence[Wanted]) -> str:
        """Why a single package doesn't fit, read off the marks that were just tried for it."""
        if item.version is None:
            broken = [self._name(p) for p in self._installed if self._depcache.is_inst_broken(p)]
            also = [
                self._name(p)
                for p in self._installed
                if self._depcache.marked_delete(p) and self._name(p) != item.name
            ]
            return f"{', '.join(broken or also) or 'another package'} needs it"
        version = self._version(item.name, item.version)
        reason = None
        if version is not None:
            reason = self._missing_dependency(version) or self._conflict(version, accepted)
        return reason or "its dependencies can't be met together with what is on this machine"

    def _missing_dependency(self, version: apt_pkg.Version) -> str | None:
        for kind in ("PreDepends", "Depends"):
            for group in version.depends_list.get(kind, []):
                if not any(self._obtainable(alternative) for alternative in group):
                    text = " | ".join(_dependency(alternative) for alternative in group)
                    return f"it depends on {text}, which can't be installed here"
        return None

    def _conflict(self, version: apt_pkg.Version, accepted: Sequence[Wanted]) -> str | None:
        """What on the root, or among what was accepted already, can't be there with `version`."""
        chosen = (self._version(item.name, item.version) for item in accepted)
        others = [package.current_ver for package in self._installed]
        others += [other for other in chosen if other is not None]
        for other in others:
            if other.parent_pkg == version.parent_pkg:
                continue
            if version.id in _excluded_by(other) or other.id in _excluded_by(version):
                return f"it conflicts with {self._name(other.parent_pkg)} {other.ver_str}"
        return None

    def _obtainable(self, dependency: apt_pkg.Dependency) -> bool:
        for target in dependency.all_targets():
            package = target.parent_pkg
            if package.current_ver == target:
                return True
            if self._depcache.get_candidate_ver(package) == target and target.downloadable:
                held = package.selected_state == apt_pkg.SELSTATE_HOLD
                if not (held and package.current_ver is not None):
                    return True
        return False

    def _package(self, name: str) -> apt_pkg.Package | None:
        bare, _, architecture = name.partition(":")
        try:
            return self._cache[bare, architecture or self._native]
        except KeyError:
            return None

    def _version(self, name: str, version: str | None) -> apt_pkg.Version | None:
        package = self._package(name)
        if package is None or version is None:
            return None
        found = [v for v in package.version_list if v.ver_str == version]
        # What is staged comes first: a local .deb may have the version of one that is offered.
        found.sort(key=lambda v: (not _is_staged(v), not v.downloadable))
        return found[0] if found else None

    def _name(self, package: apt_pkg.Package) -> str:
        return package_name(package.name, package.architecture, self._native)


def _excluded_by(version: apt_pkg.Version) -> set[int]:
    """The versions that can't be on a root together with this one.

    By id: python-apt takes versions of different packages for equal if only their words are.
    """
    return {
        target.id
        for kind in ("Conflicts", "Breaks")
        for group in version.depends_list.get(kind, [])
        for alternative in group
        for target in alternative.all_targets()
    }


def _is_staged(version: apt_pkg.Version) -> bool:
    return any(package_file.origin == ORIGIN for package_file, _index in version.file_list)


def _quoted(version: str) -> str:
    """A version as apt writes it into the name of an archive."""
    return version.replace("%", "%25").replace(":", "%3a").replace("_", "%5f")


def _dependency(alternative: apt_pkg.Dependency) -> str:
    name = str(alternative.target_pkg.name)
    if not alternative.target_ver:
        return name
    return f"{name} ({alternative.comp_type} {alternative.target_ver})"

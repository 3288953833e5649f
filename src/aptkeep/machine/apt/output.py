"""What apt says, read: progress lines, failed repositories, simulated steps. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from aptkeep.machine.apt.uris import without_credentials
from aptkeep.machine.dpkg import package_name


@dataclass(frozen=True, slots=True)
class StatusLine:
    """A line of `APT::Status-Fd` (apt's README.progress-reporting)."""

    kind: str
    """`dlstatus`, `pmstatus`, `pmerror` or `pmconffile`."""
    subject: str
    """The package (pmstatus, pmerror), or the number of the item that is fetched."""
    percent: float
    text: str


def parse_status(line: str) -> StatusLine | None:
    """A status line; None for one of an unknown shape."""
    kind, _, rest = line.partition(":")
    # A foreign package is `name:arch`, so the percentage is what tells where the subject ends.
    match = re.match(r"(.*?):([0-9]+(?:\.[0-9]*)?):(.*)", rest)
    if kind not in ("dlstatus", "pmstatus", "pmerror", "pmconffile") or match is None:
        return None
    return StatusLine(kind, match[1], float(match[2]), match[3])


@dataclass(frozen=True, slots=True)
class FailedRepository:
    """A repository whose lists could not be had, and why, in apt's words."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


# Each has `where`, a Release or index file in one of apt's ways to name it, and `why`.
_FAILED_FETCH = r"[WE]: Failed to fetch (?P<where>\S+)\s*(?P<why>.*)"
_BAD_SIGNATURE = (
    r"[WE]: (?:.* )?(?:GPG error|OpenPGP (?:error|signature verification failed)): "
    r"(?P<where>\S+ \S+ \S+): (?P<why>.*)"
)
_REFUSED = r"[WE]: (?:The r|R)epository '(?P<where>[^']*)' (?P<why>.*)"
_NOT_NOW = r"[WE]: Release file for (?P<where>\S+) (?P<why>is (?:expired|not valid yet).*)"
_FAILURES = [re.compile(pattern) for pattern in (_FAILED_FETCH, _BAD_SIGNATURE, _REFUSED, _NOT_NOW)]
_UNDER_DISTS = re.compile(
    r"(?P<base>.*)/dists/(?P<suite>.+?)/"
    r"(?:(?:In)?Release(?:\.gpg)?|Contents[^/]*|[^/]+/(?:binary-|source/|i18n/|cnf/|dep11/|Contents).*)"
)


_INDEX = re.compile(r"/binary-([a-z0-9-]+)/")


def failed_repositories(output: str) -> tuple[FailedRepository, ...]:
    """The repositories that `apt-get update` could not use, each once, from its output."""
    failed: dict[str, FailedRepository] = {}
    for line in output.splitlines():
        for pattern in _FAILURES:
            match = pattern.fullmatch(line)
            if match is not None:
                name = _repository(match["where"])
                reason = match["why"].strip().rstrip(".:") or "apt has no method to fetch it"
                index = _INDEX.search(match["where"])
                if index is not None:
                    reason = f"its {index[1]} index: {reason}"
                failed.setdefault(name, FailedRepository(name, reason))
                break
    return tuple(failed.values())


def foreign_index_failed(output: str, native: str) -> bool:
    """Whether the index of another architecture than the native one could not be fetched."""
    failed = [line for line in output.splitlines() if re.match(r"[WE]: Failed to fetch ", line)]
    architectures = [index for line in failed for index in _INDEX.findall(line)]
    return any(architecture not in (native, "all") for architecture in architectures)


def _repository(where: str) -> str:
    """`http://host/debian trixie` out of the ways in which apt names a Release or index file."""
    uri, _, rest = where.partition(" ")
    if rest:
        return f"{without_credentials(uri.rstrip('/'))} {rest.split()[0]}"
    match = _UNDER_DISTS.fullmatch(uri)
    if match is None:
        base, _, _file = uri.rpartition("/")
        if base.endswith("/."):
            return f"{without_credentials(base[:-2])} ./"
        return without_credentials(base)
    return f"{without_credentials(match['base'])} {match['suite']}"


@dataclass(frozen=True, slots=True)
class Simulated:
    """What `apt-get --simulate` would do, by package name as apt prints it."""

    installs: dict[str, str]
    """Name to version."""
    removals: frozenset[str]


_STEP = re.compile(r"^(Inst|Remv|Purg) (\S+)(?: \[[^\]]*\])?(?: \((\S+) [^)]*\))?", re.MULTILINE)


def parse_simulation(output: str) -> Simulated:
    """The `Inst`, `Remv` and `Purg` lines of a simulation."""
    installs, removals = {}, set()
    for action, name, version in _STEP.findall(output):
        if action == "Inst":
            installs[name] = version
        else:
            removals.add(name)
    return Simulated(installs, frozenset(removals))


_UNFETCHED = re.compile(r"^E: Failed to fetch (\S+)\s*(.*)$", re.MULTILINE)


def unfetched_archives(output: str, native: str) -> dict[str, str]:
    """Package name to reason, for the archives that apt could not fetch."""
    return {
        package_of(unquote(uri), native): reason.strip().rstrip(".:")
        for uri, reason in _UNFETCHED.findall(output)
    }


_ARCHIVE = re.compile(
    r"(?:.*/)?(?:\d+-)?(?P<name>[^/_]+)_[^/]*_(?P<architecture>[^/_.]+)(?:\.[0-9a-f]+)?\.deb"
)


def package_of(subject: str, native: str) -> str:
    """The package that a status line or an archive's file name is about, by the model's name.

    dpkg names a package of `Multi-Arch: same` with its architecture, the native one too, and one
    that it can't unpack by the path of the archive.
    """
    match = _ARCHIVE.fullmatch(subject)
    if match is not None:
        return package_name(match["name"], match["architecture"], native)
    name, _, architecture = subject.partition(":")
    return package_name(name, architecture, native)


_LOCKED = re.compile(r"^E: (?:Could not get lock|Unable to (?:acquire|lock))", re.MULTILINE)


def locked_out(output: str) -> bool:
    """Whether apt gave up because a lock was not free, rather than having waited for it."""
    return _LOCKED.search(output) is not None

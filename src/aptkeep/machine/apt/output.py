"""What apt says, read: progress lines, failed repositories, simulated steps. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass


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
    match = re.match(r"(.*?):([0-9.]+):(.*)", rest)
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


_FAILED = re.compile(
    r"^[WE]: (?:Failed to fetch (?P<uri>\S+)\s+(?P<why>.*)"
    r"|(?:An error occurred during the signature verification.*?)?"
    r"(?:OpenPGP|GPG) (?:signature verification )?error: (?P<signed>.*?): (?P<wrong>.*)"
    r"|The repository '(?P<repository>[^']*)' (?P<state>(?:is not|is no longer|does not).*))$"
)


def failed_repositories(output: str) -> tuple[FailedRepository, ...]:
    """The repositories that `apt-get update` could not use, each once, from its output."""
    failed: dict[str, FailedRepository] = {}
    for line in output.splitlines():
        match = _FAILED.match(line)
        if match is None:
            continue
        where = match["uri"] or match["signed"] or match["repository"]
        reason = match["why"] or match["wrong"] or match["state"]
        name = _repository(where)
        failed.setdefault(name, FailedRepository(name, reason.strip().rstrip(".")))
    return tuple(failed.values())


def _repository(where: str) -> str:
    """`http://host/debian trixie` out of the ways in which apt names a Release or index file."""
    uri, _, rest = where.partition(" ")
    base, dists, below = uri.partition("/dists/")
    if dists:
        suite = re.split(r"/(?:InRelease|Release|main|[^/]+/(?:binary|source|i18n))", below)[0]
        return f"{without_credentials(base)} {suite}"
    return f"{without_credentials(uri.rstrip('/'))} {rest.split()[0] if rest else ''}".strip()


def without_credentials(uri: str) -> str:
    """A URI without the user and password that some vendors have people write into it."""
    return re.sub(r"://[^/@\s]*@", "://", uri)


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


_UNFETCHED = re.compile(r"^E: Failed to fetch (\S+)\s+(.*)$", re.MULTILINE)


def unfetched_archives(output: str) -> dict[str, str]:
    """Package name to reason, for the archives that apt could not fetch (named after them)."""
    failed = {}
    for uri, reason in _UNFETCHED.findall(output):
        name = uri.rpartition("/")[2].partition("_")[0]
        failed[name.replace("%2b", "+")] = reason.strip().rstrip(".")
    return failed

"""When dpkg was at work on this root: what was changed then, maintainer scripts may have made.

dpkg's and apt's logs tell to the second, in the local time of whoever ran them.
"""

from __future__ import annotations

import calendar
import contextlib
import gzip
import os
import time
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from aptkeep.machine.apt.config import Paths

_FORM = "%Y-%m-%d %H:%M:%S"
_LENGTH = 19
_QUARTER = 900
_ZONES = sorted(range(-12 * 3600, 14 * 3600 + 1, _QUARTER), key=abs)
"""What a local time may be ahead of UTC, in seconds: first none, which containers have."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run of dpkg, or several for one of apt: from when until when, in seconds since 1970."""

    begin: float
    end: float

    def holds(self, moment: float) -> bool:
        """Whether a moment is within it."""
        return self.begin <= moment <= self.end

    def earlier(self, seconds: int) -> Run:
        """The same so many seconds before."""
        return Run(self.begin - seconds, self.end - seconds)


class Runs:
    """Runs of dpkg, to ask whether there was one at a moment."""

    def __init__(self, runs: Iterable[Run]) -> None:
        merged: list[Run] = []
        for run in sorted(runs, key=lambda run: run.begin):
            if merged and run.begin <= merged[-1].end:
                merged[-1] = Run(merged[-1].begin, max(merged[-1].end, run.end))
            else:
                merged.append(run)
        self._runs = merged
        self._ends = [run.end for run in merged]

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def at(self, moment: float) -> bool:
        """Whether dpkg was at work then."""
        place = bisect_left(self._ends, moment)
        return place < len(self._runs) and self._runs[place].holds(moment)


def read(paths: Paths, since: float) -> Runs:
    """The runs that ended after `since`, from dpkg's log and apt's history."""
    told: list[tuple[str, str]] = []
    for text in _logs(os.path.join(paths.root, "var/log/dpkg.log"), since):
        told += of_dpkg(text)
    for text in _logs(paths.history_log, since):
        told += of_apt(text)
    runs = _placed(dict.fromkeys(told), _unpacked(paths.dpkg_directory, since))
    return Runs(_to_the_end(paths, [run for run in runs if run.end >= since]))


def of_dpkg(text: str) -> list[tuple[str, str]]:
    """The first and last local time of each run in dpkg.log."""
    runs: list[tuple[str, str]] = []
    for line in text.splitlines():
        moment, what = line[:_LENGTH], line[_LENGTH + 1 :]
        if what.startswith("startup ") or not runs:
            runs.append((moment, moment))
        elif what:
            runs[-1] = (runs[-1][0], moment)
    return [run for run in runs if all(_is_time(moment) for moment in run)]


def of_apt(text: str) -> list[tuple[str, str]]:
    """The local times between which apt ran dpkg, from its history.log.

    A run that was killed has no end there; dpkg's own log has it.
    """
    runs = []
    for stanza in text.split("\n\n"):
        values = dict(line.partition(": ")[::2] for line in stanza.splitlines())
        begin = " ".join(values.get("Start-Date", "").split())
        end = " ".join(values.get("End-Date", "").split()) or begin
        if _is_time(begin) and _is_time(end):
            runs.append((begin, end))
    return runs


def _is_time(text: str) -> bool:
    try:
        time.strptime(text, _FORM)
    except ValueError:
        return False
    return True


def _logs(path: str, since: float) -> Iterator[str]:
    """A log and what logrotate(8) made of it, as far as they were written to after `since`."""
    directory, name = os.path.split(path)
    with contextlib.suppress(OSError):
        for entry in sorted(os.listdir(directory)):
            whole = os.path.join(directory, entry)
            if not entry.startswith(name) or os.stat(whole).st_mtime < since:
                continue
            with contextlib.suppress(OSError, EOFError):
                opened = gzip.open if entry.endswith(".gz") else open
                with opened(whole, "rb") as stream:
                    yield stream.read().decode("utf-8", "replace")


def _placed(told: Iterable[tuple[str, str]], unpacked: Sequence[float]) -> Iterator[Run]:
    """The runs in real time: by the zone that puts the unpacking of a package into them.

    Our own zone is tried first. A run that unpacked nothing had that of the one before.
    """
    before: int | None = None
    for begin, end in told:
        own = _ahead(begin)
        # The last second counts whole: that of a line is the one that had begun.
        utc = Run(calendar.timegm(_parsed(begin)), calendar.timegm(_parsed(end)) + 1)
        zones = [own, *([] if before is None else [before]), *_ZONES]
        fitting = (zone for zone in zones if _any_within(unpacked, utc.earlier(zone)))
        found = next(fitting, None)
        before = found if found is not None else before
        yield utc.earlier(own if before is None else before)


def _any_within(moments: Sequence[float], run: Run) -> bool:
    """Whether any of the moments, which are sorted, is within a run."""
    place = bisect_left(moments, run.begin)
    return place < len(moments) and run.holds(moments[place])


def _parsed(text: str) -> time.struct_time:
    return time.strptime(text, _FORM)


def _ahead(text: str) -> int:
    """How many seconds our own zone is ahead of UTC at a local time."""
    return int(calendar.timegm(_parsed(text)) - time.mktime(_parsed(text)))


def _unpacked(dpkg_directory: str, since: float) -> list[float]:
    """When dpkg wrote the lists of packages: when it unpacked them."""
    found = []
    with contextlib.suppress(FileNotFoundError), os.scandir(f"{dpkg_directory}/info") as entries:
        for entry in entries:
            if entry.name.endswith(".list"):
                moment = entry.stat().st_mtime
                if moment >= since:
                    found.append(moment)
    return sorted(found)


def _to_the_end(paths: Paths, runs: list[Run]) -> list[Run]:
    """The last run ended when dpkg wrote its status, which a file system tells precisely."""
    try:
        ended = os.stat(paths.dpkg_status).st_mtime
    except OSError:
        return runs
    return [Run(run.begin, ended) if run.holds(ended) else run for run in runs]

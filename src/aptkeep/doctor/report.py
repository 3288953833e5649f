"""The doctor's round: every examination in its turn, and none keeps another from its own."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aptkeep import review, upkeep
from aptkeep.at_home import find_home
from aptkeep.compare import KEPT_PATH
from aptkeep.doctor import lost_files, places, recorded, starting
from aptkeep.doctor.findings import Kind
from aptkeep.errors import AptkeepError, UsageError
from aptkeep.machine import mounts, observe, startup
from aptkeep.machine.apt.config import sandbox_user
from aptkeep.machine.state import State

if TYPE_CHECKING:
    from aptkeep.doctor.findings import Finding
    from aptkeep.doctor.places import Place
    from aptkeep.machine.apt.config import Configuration
    from aptkeep.machine.observe import Snapshot


@dataclass(frozen=True, slots=True)
class Report:
    """What `aptkeep doctor` found."""

    home: str
    places: tuple[Place, ...] = ()
    """Where tools would put installations."""
    findings: tuple[Finding, ...] = ()
    advice: tuple[str, ...] = ()
    """What is no loss by itself."""
    unseen: tuple[str, ...] = ()
    """The paths that only root could have looked into."""
    trouble: AptkeepError | None = None
    """Why the store can't be used; all else was looked at."""


def doctor(configuration: Configuration) -> Report:
    """What would be lost if this machine stopped now. Raises UsageError where there is no home."""
    home = find_home(configuration)
    round_ = _Round(configuration, home)
    round_.look_at_the_start()
    snapshot = observe.observe(configuration, home=home)
    round_.look_at_keys(snapshot)
    round_.look_into_the_store()
    round_.look_for_files(snapshot)
    order = list(Kind)
    return Report(
        home,
        tuple(round_.places()),
        tuple(sorted(round_.findings, key=lambda finding: order.index(finding.kind))),
        tuple(dict.fromkeys(round_.advice)),
        tuple(sorted(set(round_.unseen))),
        round_.trouble,
    )


class _Round:
    """What was found so far."""

    def __init__(self, configuration: Configuration, home: str) -> None:
        self._configuration = configuration
        self._settings, self._paths = configuration.settings, configuration.paths
        self._home = home
        self._store = os.path.join(home, self._settings.store)
        self._state = State(self._paths.state)
        self._mounts = mounts.read()
        self._unreadable: set[str] = set()
        self._recorded: set[str] = set()
        self.findings: list[Finding] = []
        self.advice: list[str] = []
        self.unseen: list[str] = []
        self.trouble: AptkeepError | None = None

    def look_at_the_start(self) -> None:
        """Whether aptkeep is called, and the store stays."""
        now, last = startup.now(), self._state.last_start()
        started = self._state.started
        self.findings += starting.start_up(self._paths.root, now, last, ever_started=started)
        self.findings += starting.volume(self._store, self._home, self._mounts)
        self.findings += starting.recording(self._paths)

    def look_at_keys(self, snapshot: Snapshot) -> None:
        """Whether keys can be kept, and apt can read them."""
        denied = os.strerror(errno.EACCES)
        if os.geteuid() != 0:
            unkept = snapshot.unkept
            self._unreadable = {e.subject for e in unkept if e.reason.startswith(denied)}
            self.unseen += self._unreadable
        self.findings += recorded.keys(snapshot, self._unreadable)
        found, advice = recorded.home_closed(
            snapshot, self._home, user=sandbox_user(), rewrite=self._settings.rewrite_sources
        )
        self.findings += found
        self.advice += advice

    def look_into_the_store(self) -> None:
        """Whether the store can be used, and everything is recorded."""
        try:
            recorded.room(self._home)
        except AptkeepError as error:
            self.trouble = error  # what is in there can be read all the same
        try:
            found = review.status(self._configuration)
            # What nobody could read is not gone for that.
            changes = [c for c in found.unrecorded if c.name not in self._unreadable]
            self.findings += recorded.changes(changes)
            self.findings += recorded.unkept_paths(found)
            self.findings += recorded.lost_paths(found)
            self.advice += recorded.advice(found)
            if found.generation is not None:
                self._recorded = set(found.generation.manifest.files)
                files = {w.name for w in found.present if w.kind == KEPT_PATH}
                self._recorded |= {path for path in files if not os.path.isdir(path)}
                lost = upkeep.unobtainable(self._configuration)
                keep = self._settings.pool_keep
                self.findings += recorded.without_deb(lost, pool_keep=keep)
        except UsageError:
            self.unseen.append(self._store)
        except AptkeepError as error:
            self.trouble = self.trouble or error

    def places(self) -> list[Place]:
        """Where tools would put installations."""
        return places.look(self._home, self._mounts, self._settings.keep)

    def look_for_files(self, snapshot: Snapshot) -> None:
        """Whether there is what no package brings, and nobody keeps."""
        since = self._state.baseline_taken()
        if since is None:
            now = startup.now()
            if now is None:
                self.unseen.append("/")
                return
            since = time.time_ns() - int(now.after * 1_000_000_000)
        # What apt is configured with is recorded, or told of already; but for packages' own files.
        observed = snapshot.observation.files
        told = {path for path, file in observed.items() if file.package is None}
        told |= {entry.subject for entry in snapshot.unkept}
        looked = lost_files.look(
            self._paths,
            since,
            home=self._home,
            mounts=self._mounts,
            kept={*self._settings.keep, *told, *self._recorded},
        )
        self.unseen += [*looked.unseen, *looked.doomed.unseen]
        self.findings += lost_files.findings(looked.doomed, self._home)

"""What aptkeep knows of this root, on this root: `/var/lib/aptkeep/`. On the hook path.

It goes with the root, as it should: the baseline says what the image was, the observation what
was last seen, `restoring.json` what an unfinished restore had set out to do.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aptkeep import files
from aptkeep.errors import CorruptError, StoreUnavailableError
from aptkeep.machine.apt.history import Position
from aptkeep.model import (
    Anchor,
    FileKind,
    KeptFile,
    Observation,
    Package,
    Pending,
    Platform,
    Selection,
    Touched,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_BASELINE, _OBSERVATION = "baseline.json", "observation.json"
_RESTORING, _REPORT, _LOCK = "restoring.json", "report.json", "lock"
_STARTED = "started.json"
_IMAGE_FILES, _UNDOING, _TROUBLES = "image", "undoing.json", "pooling.json"
_LIMIT = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Observed:
    """An observation and how far apt's history was read when it was taken."""

    observation: Observation
    history: Position = field(default_factory=Position)
    unkept: tuple[Pending, ...] = ()
    """Files that could not be kept: each is said once."""
    anchor: Anchor | None = None
    """The generation that all of this was absorbed into; None where it was none yet."""


@dataclass(frozen=True, slots=True)
class LastReport:
    """What the last restore on this root left pending."""

    at: str
    generation: int
    pending: tuple[Pending, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """An `aptkeep start`, by what it was that had started: this boot's process 1."""

    machine: str
    after: float
    """How many seconds after process 1 it came."""


@dataclass(frozen=True, slots=True)
class Troubles:
    """What kept files from the pool, each to be said once as long as it lasts."""

    said: tuple[str, ...] = ()
    unsaid: tuple[str, ...] = ()
    """What was found when nobody listened."""


class State:
    """The state directory of one root. Nothing in it is trusted less than the root itself."""

    def __init__(self, path: str) -> None:
        self.path = path

    @property
    def baseline_path(self) -> str:
        """The file that is there once the baseline was taken."""
        return os.path.join(self.path, _BASELINE)

    @property
    def started(self) -> bool:
        """Whether aptkeep was started on this root: only then do the hooks record."""
        return os.path.exists(self.baseline_path)

    def baseline(self) -> Observation:
        """What this root was when aptkeep first ran on it."""
        return self._observed(_BASELINE).observation

    def take_baseline(self, observed: Observed, contents: Mapping[str, bytes]) -> None:
        """Keep `observed` as baseline, with the files of the image that a rollback may need."""
        os.makedirs(os.path.join(self.path, _IMAGE_FILES), mode=0o755, exist_ok=True)
        with files.directory(os.path.join(self.path, _IMAGE_FILES)) as directory:
            files.remove_unfinished(directory)
            for sha256, content in contents.items():
                files.write_atomically(directory, sha256, content, 0o600)
        self.save_observation(observed)
        self._write(_BASELINE, _encode_observed(observed))

    def image_file(self, sha256: str) -> bytes:
        """The content of a file as the image had it."""
        path = os.path.join(self.path, _IMAGE_FILES, sha256)
        return files.read_path(path, _LIMIT)[0]

    def baseline_taken(self) -> int | None:
        """When the baseline was taken, in nanoseconds since 1970; None where there is none."""
        try:
            return os.stat(os.path.join(self.path, _BASELINE)).st_mtime_ns
        except OSError:
            return None

    def last_start(self) -> Start | None:
        """The first `aptkeep start` since the last machine start on which there was one."""
        try:
            document = self._read(_STARTED)
            return Start(document["machine"], float(document["after"]))
        except (FileNotFoundError, CorruptError, KeyError, TypeError, ValueError):
            return None

    def note_start(self, start: Start) -> None:
        """Note that aptkeep was started; further times on the same machine start don't count."""
        last = self.last_start()
        if last is None or last.machine != start.machine:
            self._write(_STARTED, {"machine": start.machine, "after": start.after})

    def last_observation(self) -> Observed:
        """The last observation on this root; the baseline where none can be read."""
        try:
            return self._observed(_OBSERVATION)
        except (CorruptError, FileNotFoundError):
            return self._observed(_BASELINE)

    def save_observation(self, observed: Observed) -> None:
        """Keep `observed` as the last observation."""
        self._write(_OBSERVATION, _encode_observed(observed))

    def restoring(self) -> Touched | None:
        """What an unfinished restore had set out to change, or None when none is unfinished."""
        try:
            document = self._read(_RESTORING)
            return Touched(*(frozenset(document.get(key, ())) for key in Touched.__slots__))
        except FileNotFoundError:
            return None
        except (CorruptError, TypeError, AttributeError):
            return Touched()

    def begin_restore(self, touched: Touched) -> None:
        """Note, before anything is changed, what a restore is about to change."""
        document = {key: sorted(getattr(touched, key)) for key in Touched.__slots__}
        self._write(_RESTORING, document)

    def end_restore(self) -> None:
        """The restore is finished, and observed."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.path, _RESTORING))

    def undoing(self) -> int | None:
        """The generation that a rollback on this root has yet to undo, or None."""
        try:
            number = self._read(_UNDOING)["generation"]
        except (FileNotFoundError, CorruptError, KeyError, TypeError):
            return None
        return number if isinstance(number, int) else None

    def set_undoing(self, generation: int | None) -> None:
        """Note what a rollback has yet to undo; None: nothing any more."""
        if generation is not None:
            self._write(_UNDOING, {"generation": generation})
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.path, _UNDOING))

    def last_report(self) -> LastReport | None:
        """What the last restore left pending; None where there was none."""
        try:
            document = self._read(_REPORT)
            pending = tuple(Pending(*entry) for entry in document["pending"])
            return LastReport(document["at"], document["generation"], pending)
        except (FileNotFoundError, CorruptError, KeyError, TypeError):
            return None

    def save_report(self, report: LastReport) -> None:
        """Keep what a restore left pending, for `aptkeep status`."""
        document = {
            "at": report.at,
            "generation": report.generation,
            "pending": [[entry.subject, entry.reason] for entry in report.pending],
        }
        self._write(_REPORT, document)

    def troubles(self) -> Troubles:
        """What kept files from the pool, as far as it was said or is yet to be said."""
        try:
            document = self._read(_TROUBLES)
            return Troubles(tuple(document["said"]), tuple(document["unsaid"]))
        except (FileNotFoundError, CorruptError, KeyError, TypeError):
            return Troubles()

    def save_troubles(self, troubles: Troubles) -> None:
        """Keep what kept files from the pool."""
        if troubles != self.troubles():
            self._write(_TROUBLES, {"said": troubles.said, "unsaid": troubles.unsaid})

    @contextlib.contextmanager
    def locked(
        self, timeout: float, *, give_up: Callable[[], bool] = lambda: False
    ) -> Iterator[None]:
        """Hold this root's lock; LockedError after `timeout` seconds or when `give_up` says so."""
        os.makedirs(self.path, mode=0o755, exist_ok=True)
        lock = os.path.join(self.path, _LOCK)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            files.lock(descriptor, timeout, "this machine", give_up)
            with files.directory(self.path) as directory:
                files.remove_unfinished(directory)
            yield
        finally:
            os.close(descriptor)

    def _observed(self, name: str) -> Observed:
        return _decode_observed(self._read(name), os.path.join(self.path, name))

    def _read(self, name: str) -> Any:  # noqa: ANN401 - JSON
        path = os.path.join(self.path, name)
        content, _mode = files.read_path(path, _LIMIT)
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise _corrupt(path) from error

    def _write(self, name: str, document: Any) -> None:  # noqa: ANN401 - JSON
        content = json.dumps(document, separators=(",", ":")).encode()
        try:
            os.makedirs(self.path, mode=0o755, exist_ok=True)
            with files.directory(self.path) as directory:
                files.write_atomically(directory, name, content)
        except OSError as error:
            raise unwritable(os.path.join(self.path, name), error) from error


def unwritable(path: str, error: OSError) -> StoreUnavailableError:
    """The error for a file of the state directory that can't be written."""
    return StoreUnavailableError(
        f"{path} can't be written: {error.strerror}",
        details="aptkeep can't note what this root is; nothing more was done",
        resolution="make room there, or make it writable, and try again",
    )


def _corrupt(path: str) -> CorruptError:
    return CorruptError(
        f"{path} is damaged",
        details="aptkeep no longer knows what this root was before",
        resolution="stop and start the machine: a fresh root gets a new one",
    )


# On disk an observation is lists, not objects: 700 packages are read at every hook.


def _encode_observed(observed: Observed) -> dict[str, Any]:
    observation = observed.observation
    platform = observation.platform
    return {
        "platform": [platform.distribution, platform.codename, platform.architecture],
        "packages": {
            name: [p.selection.value, p.status, p.version, int(p.auto), p.architecture]
            for name, p in observation.packages.items()
        },
        "architectures": sorted(observation.architectures),
        "files": {
            path: [kept.kind.value, kept.sha256, kept.mode, kept.package]
            for path, kept in observation.files.items()
        },
        "history": [observed.history.inode, observed.history.offset],
        "unkept": [[entry.subject, entry.reason] for entry in observed.unkept],
        "anchor": [observed.anchor.number, observed.anchor.sha256] if observed.anchor else None,
    }


def _decode_observed(document: Any, path: str) -> Observed:  # noqa: ANN401 - JSON
    selections = {selection.value: selection for selection in Selection}
    try:
        observation = Observation(
            platform=Platform(*document["platform"]),
            packages={
                name: Package(selections[selection], status, version, bool(auto), architecture)
                for name, (
                    selection,
                    status,
                    version,
                    auto,
                    architecture,
                ) in document["packages"].items()
            },
            architectures=frozenset(document["architectures"]),
            files={
                name: KeptFile(FileKind(kind), sha256, mode, package)
                for name, (kind, sha256, mode, package) in document["files"].items()
            },
        )
        unkept = tuple(Pending(*entry) for entry in document["unkept"])
        anchor = Anchor(*document["anchor"]) if document["anchor"] else None
        return Observed(observation, Position(*document["history"]), unkept, anchor)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _corrupt(path) from error

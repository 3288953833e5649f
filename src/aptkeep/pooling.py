"""Pooling: the .deb files that were handed to dpkg go into the store.

A local file, which may exist nowhere else, goes in while dpkg's or apt's hook still waits; what apt
fetched goes in when apt has returned.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from aptkeep.at_home import find_home, open_store
from aptkeep.errors import AptkeepError, LockedError, StoreFullError, StoreUnavailableError
from aptkeep.machine import incoming
from aptkeep.machine.apt import debfile
from aptkeep.machine.dpkg import package_name
from aptkeep.machine.state import State, Troubles
from aptkeep.model import OwnDeb
from aptkeep.store import log, pool
from aptkeep.store.pool import Origin, Pool, PooledDeb
from aptkeep.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from aptkeep.machine.apt.config import Configuration
    from aptkeep.machine.incoming import Waiting

    Listed = Callable[[PooledDeb], frozenset[str]]
    """The SHA-256s that signed indexes give for a package, version and architecture."""

_BATCH, _BATCH_FILES = 64 << 20, 200
"""Bytes and files after which what was copied enters the index: who dies loses no more work."""


@dataclass(frozen=True, slots=True)
class OpenDeb:
    """A .deb that waits to be pooled, open for reading."""

    waiting: Waiting
    descriptor: int
    control: str
    name: str
    """The package, as apt prints its name."""
    version: str


@dataclass(frozen=True, slots=True)
class Pooled:
    """What came of pooling."""

    added: tuple[PooledDeb, ...] = ()
    troubles: tuple[str, ...] = ()
    """What could not be pooled, and what that means."""


@contextlib.contextmanager
def local_debs(
    configuration: Configuration, settled: Callable[[], bool], *, of_root: bool = False
) -> Iterator[list[OpenDeb]]:
    """The local files that dpkg unpacked, open: who deletes one now doesn't delete the last copy.

    What is none of ours is dropped. So are files that dpkg didn't unpack, if no dpkg is at work
    that might yet do so (`settled`): one whose installation failed must not replace a good one.
    `of_root`: the command that installed them is over, and they count only if they're root's.
    """
    paths, dpkg_directory = configuration.paths, configuration.paths.dpkg_directory
    with contextlib.ExitStack() as stack:
        found: dict[tuple[str, str], OpenDeb] = {}
        local = [f for f in incoming.waiting(paths.state, paths.archives) if not f.fetched]
        over = bool(local) and settled()
        for waiting in local:
            with contextlib.suppress(OSError):  # it can't be read now: it waits
                deb = _opened(configuration, waiting, stack, of_root=of_root)
                if deb is not None and _unpacked(deb, dpkg_directory):
                    earlier = found.pop((deb.name, deb.version), None)
                    if earlier is not None:
                        incoming.done(earlier.waiting)
                    found[deb.name, deb.version] = deb
                elif deb is None or over:
                    incoming.done(waiting)
        yield list(found.values())


def _unpacked(deb: OpenDeb, dpkg_directory: str) -> bool:
    name, _version, architecture = pool.identity(deb.control)
    try:
        return debfile.unpacked(deb.descriptor, dpkg_directory, name, architecture)
    except ValueError:
        return False


def take_in(
    debs: Iterable[OpenDeb], otherwise: Callable[[OpenDeb], bool] = lambda _deb: False
) -> list[str]:
    """Copy local files that wait on, where only root can change them; what can't be kept so.

    `otherwise` keeps one elsewhere, if it can.
    """
    troubles = []
    for deb in debs:
        if os.path.lexists(deb.waiting.entry):
            try:
                incoming.take_in(deb.waiting, deb.descriptor)
            except OSError as error:
                if error.errno == errno.EROFS:
                    continue  # nothing is recorded either, and that's said
                if otherwise(deb):
                    continue
                incoming.done(deb.waiting)
                troubles.append(
                    f"{deb.waiting.path} is not kept, neither in the home nor on this machine: "
                    f"{error.strerror}; make room and install it again"
                )
    return troubles


def own_debs(debs: Iterable[OpenDeb]) -> dict[tuple[str, str], OwnDeb]:
    """For the manifest: these packages, by name and version, came from no repository."""
    return {(deb.name, deb.version): OwnDeb.LOCAL for deb in debs}


def pool_local(configuration: Configuration, debs: Iterable[OpenDeb]) -> Pooled:
    """Pool local files. Where others are at work on the pool, they wait."""
    dpkg_directory = configuration.paths.dpkg_directory

    def still_unpacked(deb: OpenDeb, copy: int) -> bool:
        taken = replace(deb, descriptor=copy)
        return debfile.control(copy) == deb.control and _unpacked(taken, dpkg_directory)

    try:
        return _pool(configuration, debs, lambda _deb: Origin.LOCAL, still_unpacked)
    except LockedError:
        return Pooled()


def pool_fetched(configuration: Configuration, listed: Listed) -> Pooled:
    """Pool what apt fetched, if it's what a signed index lists, where one lists it at all."""
    paths = configuration.paths
    waiting = [file for file in incoming.waiting(paths.state, paths.archives) if file.fetched]
    if configuration.settings.pool_keep != "all":
        for file in waiting:
            incoming.done(file)
        return Pooled()

    def origin(deb: PooledDeb) -> Origin | None:
        hashes = listed(deb)
        return Origin.ARCHIVE if not hashes or deb.sha256 in hashes else None

    added: list[PooledDeb] = []
    troubles: dict[str, None] = {}
    for batch in _batches(waiting):
        with contextlib.ExitStack() as stack:
            debs = []
            for file in batch:
                with contextlib.suppress(OSError):  # it can't be read now: it waits
                    deb = _opened(configuration, file, stack)
                    if deb is None:
                        incoming.done(file)
                    else:
                        debs.append(deb)
            pooled = _pool(configuration, debs, origin)
        added += pooled.added
        troubles.update(dict.fromkeys(pooled.troubles))
        if len(pooled.added) < len(debs) and pooled.troubles:
            break
    return Pooled(tuple(added), tuple(troubles))


def pool_rebuilt(configuration: Configuration, paths: Iterable[str]) -> Pooled:
    """Pool what dpkg-repack(1) made."""
    with contextlib.ExitStack() as stack:
        made = (incoming.Waiting(path, path, fetched=False) for path in paths)
        debs = [deb for deb in (_opened(configuration, file, stack) for file in made) if deb]
        return _pool(configuration, debs, lambda _deb: Origin.REBUILT)


def news(state: State, troubles: Iterable[str]) -> list[str]:
    """What nobody was told of yet, of these troubles and of those found when nobody listened."""
    known = state.troubles()
    fresh = [text for text in dict.fromkeys((*known.unsaid, *troubles)) if text not in known.said]
    with contextlib.suppress(StoreUnavailableError):  # then it's said again
        state.save_troubles(Troubles((*known.said, *fresh)))
    return fresh


def all_said(state: State, troubles: Iterable[str]) -> None:
    """Somebody was told of these troubles, which are all that there are now."""
    with contextlib.suppress(StoreUnavailableError):  # then it's said again
        state.save_troubles(Troubles(tuple(dict.fromkeys(troubles))))


def leave_for_later(state: State, troubles: Iterable[str]) -> None:
    """Let a later hook tell of `troubles`, which are all that there are now."""
    found = tuple(dict.fromkeys(troubles))
    said = tuple(text for text in state.troubles().said if text in found)
    state.save_troubles(Troubles(said, tuple(text for text in found if text not in said)))


def _opened(
    configuration: Configuration,
    file: Waiting,
    stack: contextlib.ExitStack,
    *,
    of_root: bool = False,
) -> OpenDeb | None:
    descriptor = incoming.open_deb(file, of_root=of_root)
    if descriptor is None:
        return None
    stack.callback(os.close, descriptor)
    try:
        control = debfile.control(descriptor)
        name, version, architecture = pool.identity(control)
    except ValueError:
        return None  # dpkg didn't take it either
    name = package_name(name, architecture, configuration.architecture)
    if configuration.settings.excluded(name):
        return None
    return OpenDeb(file, descriptor, control, name, version)


def _batches(waiting: Iterable[Waiting]) -> Iterator[list[Waiting]]:
    batch: list[Waiting] = []
    size = 0
    for file in waiting:
        with contextlib.suppress(OSError):
            size += os.stat(file.path).st_size
        batch.append(file)
        if size > _BATCH or len(batch) == _BATCH_FILES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _pool(
    configuration: Configuration,
    debs: Iterable[OpenDeb],
    origin: Callable[[PooledDeb], Origin | None],
    as_checked: Callable[[OpenDeb, int], bool] = lambda _deb, _copy: True,
) -> Pooled:
    """Copy or link files into the pool, and then write its index once.

    `origin` None: it isn't what it should be, and is dropped. `as_checked` looks at the copy of a
    file that others than root could change between a look and the copying.
    """
    debs = list(debs)
    if not debs:
        return Pooled()
    home = find_home(configuration)
    work = _Work()
    with (
        open_store(configuration, create=True) as store,
        store.subdirectory(pool.SUBDIRECTORY, create=True) as directory,
        contextlib.ExitStack() as received,
    ):
        try:
            for deb in debs:
                with work.trying(deb):
                    taken = directory.received(deb.descriptor, linked=_is_apts_own(deb))
                    name, sha256, size = received.enter_context(taken)
                    if not _is_roots(deb):
                        with directory.opened(name) as copy:
                            if not as_checked(deb, copy):
                                raise ValueError("its file was changed while it was read")
                    work.receive(deb, (name, sha256, size), origin)
        except StoreFullError:
            work.troubles[_full(home)] = None
        if work.received:
            # From here on nobody else changes the pool; the copying needed no such thing.
            directory.lock(configuration.settings.lock_timeout)
            try:
                work.enter(Pool(directory, debfile.control))
            except StoreFullError:
                work.troubles[_full(home)] = None
            else:
                log.append(store, f"pooled {counted(len(work.added), 'package')}")
    for waiting in work.finished:
        incoming.done(waiting)
    return Pooled(tuple(work.added), tuple(work.troubles))


@dataclass
class _Work:
    """One batch on its way into the pool."""

    received: list[tuple[OpenDeb, str, PooledDeb]] = field(default_factory=list)
    """With the temporary name of each."""
    added: list[PooledDeb] = field(default_factory=list)
    finished: list[Waiting] = field(default_factory=list)
    """What waits no longer, for better or worse."""
    troubles: dict[str, None] = field(default_factory=dict)

    @contextlib.contextmanager
    def trying(self, deb: OpenDeb) -> Iterator[None]:
        """One bad file costs no other; a full disk ends it all."""
        try:
            yield
        except StoreFullError:
            raise
        except ValueError as error:
            self._trouble(deb, f"{error}; install it again from a good file")
            self.finished.append(deb.waiting)
        except AptkeepError as error:  # which may pass, as may the next
            self._trouble(deb, error.one_line())
        except OSError as error:
            self._trouble(deb, f"{error.strerror}; 'aptkeep record' tries again")

    def _trouble(self, deb: OpenDeb, why: str) -> None:
        self.troubles[f"{deb.name} {deb.version} is not kept: {why}"] = None

    def receive(
        self,
        deb: OpenDeb,
        taken: tuple[str, str, int],
        origin: Callable[[PooledDeb], Origin | None],
    ) -> None:
        temporary, sha256, size = taken
        original = deb.waiting.path != deb.waiting.entry and not deb.waiting.fetched
        came_from = deb.waiting.path if original else ""
        unplaced = pool.describe(deb.control, sha256, size, Origin.LOCAL, came_from)
        where = origin(unplaced)
        if where is None:
            self.troubles[_altered(unplaced)] = None
            self.finished.append(deb.waiting)
        else:
            described = pool.describe(deb.control, sha256, size, where, came_from)
            self.received.append((deb, temporary, described))

    def enter(self, into: Pool) -> None:
        """Give what was received its names in the pool, and write the index."""
        debs = into.debs(indexed_only=True)
        entered = []
        for deb, temporary, described in self.received:
            with self.trying(deb):
                rivals = [d for d in debs if d.key == described.key and d != described]
                if rivals and not debfile.intact(deb.descriptor):
                    raise ValueError("its file is damaged")  # dpkg left the other one in place
                debs = into.add(described, temporary, debs)
                entered.append((deb, described))
        into.write_index(debs)
        self.added += [described for _deb, described in entered]
        self.finished += [deb.waiting for deb, _described in entered]


def _is_apts_own(deb: OpenDeb) -> bool:
    """Whether a link will do: apt never writes into an archive that it has fetched."""
    return deb.waiting.fetched and _is_roots(deb)


def _is_roots(deb: OpenDeb) -> bool:
    found = os.fstat(deb.descriptor)
    return found.st_uid == 0 and not found.st_mode & 0o022


def _altered(deb: PooledDeb) -> str:
    return (
        f"the archive of {deb.name} {deb.version} that was installed is not the one that its "
        f"repository lists, and is not kept; 'apt-get install --reinstall {deb.name}' after "
        "'apt-get clean' fetches that one"
    )


def _full(home: str) -> str:
    return (
        f"there is no room left in {home}: .deb files are not kept until there is. What was "
        "installed from local files will be missing at the next start, unless you make room and "
        "run 'aptkeep record' before that"
    )

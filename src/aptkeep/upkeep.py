"""What is done for the pool when nobody waits for it: after apt has returned, and at stop.

Off the hook path, though a hook's child goes on with it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import tempfile
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from aptkeep import files
from aptkeep.at_home import open_existing
from aptkeep.collect import keep_paths_within_bounds, keep_within_bounds
from aptkeep.errors import AptkeepError
from aptkeep.machine import incoming
from aptkeep.machine.apt import debfile
from aptkeep.machine.apt.archive import Archive
from aptkeep.machine.dpkg import is_free, package_name, read_packages
from aptkeep.machine.run import run
from aptkeep.machine.state import State
from aptkeep.model import OwnDeb
from aptkeep.pooling import leave_for_later, local_debs, pool_fetched, pool_local, pool_rebuilt
from aptkeep.record import record
from aptkeep.store import generations
from aptkeep.store.pool import open_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aptkeep.machine.apt.config import Configuration
    from aptkeep.store.pool import PooledDeb

_PATIENCE = 600.0
"""Seconds to wait for another aptkeep, where nobody waits for this one."""


def keep_pool(configuration: Configuration) -> list[str]:
    """Pool all that waits, rebuild what nobody has, stay within bounds. What there is to say.

    The caller holds no lock. Raises AptkeepError where the store can't be used.
    """
    paths = configuration.paths
    if configuration.settings.keep:
        keep_paths_within_bounds(configuration, offering(configuration))
    if configuration.settings.pool_keep == "none":
        for file in incoming.waiting(paths.state, paths.archives):
            incoming.done(file)
        return []
    archive = _archive(configuration)
    with _alone(configuration):
        free = partial(is_free, paths.lock_frontend)
        with local_debs(configuration, free, of_root=True) as debs:
            troubles = list(pool_local(configuration, debs).troubles)
        troubles += pool_fetched(configuration, lambda deb: archive().listed(deb.key)).troubles
        keep_within_bounds(configuration, offering(configuration, archive))
        if _have_lists(paths.lists) and not incoming.count(paths.state):
            troubles += _rebuild(configuration, archive)
    return list(dict.fromkeys(troubles))


def offering(
    configuration: Configuration, archive: Callable[[], Archive] | None = None
) -> Callable[[PooledDeb], bool]:
    """Whether a repository still offers a .deb; apt's cache is opened when it's asked first."""
    archive = archive or _archive(configuration)
    return lambda deb: deb.sha256 in archive().listed(deb.key)


def _archive(configuration: Configuration) -> Callable[[], Archive]:
    return cache(lambda: Archive(configuration.architecture, write_caches=False))


def go_on(configuration: Configuration) -> None:
    """Keep the pool in this process, which nobody waits for, and leave what to say for later."""
    state = State(configuration.paths.state)
    settings = replace(configuration.settings, lock_timeout=_PATIENCE)
    configuration = replace(configuration, settings=settings)
    with contextlib.suppress(AptkeepError, OSError):
        os.setsid()
        os.nice(10)
        _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))  # a hook's child has less
        leave_for_later(state, keep_pool(configuration))


def in_background(configuration: Configuration) -> None:
    """Keep the pool in a process of its own, where there is anything to pool."""
    if not incoming.count(configuration.paths.state) or os.fork():
        return
    try:
        files.detach()
        go_on(configuration)
    finally:
        os._exit(0)


@contextlib.contextmanager
def _alone(configuration: Configuration) -> Iterator[None]:
    """One process at a time does this on a root."""
    place = os.path.join(configuration.paths.state, incoming.DIRECTORY)
    with contextlib.suppress(FileExistsError):
        os.mkdir(place, 0o700)  # not what's above: aptkeep may have been purged meanwhile
    with files.directory(place) as directory:
        files.lock(directory, configuration.settings.lock_timeout, "the pool")
        yield


def unobtainable(
    configuration: Configuration, archive: Callable[[], Archive] | None = None
) -> list[str]:
    """The wanted packages that neither the pool nor a repository has, as far as lists tell."""
    lost = _without_deb(configuration)
    if not lost or not _have_lists(configuration.paths.lists):
        return []
    offered = (archive or _archive(configuration))().offered(lost)
    return [name for name in lost if not offered.get(name)]


def _rebuild(configuration: Configuration, archive: Callable[[], Archive]) -> list[str]:
    """Rebuild, with dpkg-repack(1), the wanted packages that nobody has a .deb of."""
    lost = unobtainable(configuration, archive)
    if not lost:
        return []
    if shutil.which("dpkg-repack") is None:
        without = "no repository offers it, and its .deb was not seen"
        remedy = "install dpkg-repack and run 'aptkeep record'"
        return [f"{name} will be missing at the next start: {without}; {remedy}" for name in lost]
    troubles = []
    with tempfile.TemporaryDirectory(prefix="aptkeep-") as place:
        for name in lost:
            completed = run(["dpkg-repack", name], directory=place)
            if not completed.ok:
                troubles.append(f"{name} can't be rebuilt: {completed.last_words()}")
        paths = [os.path.join(place, name) for name in sorted(os.listdir(place))]
        pooled = pool_rebuilt(configuration, paths)
    native = configuration.architecture
    own = {
        (package_name(deb.name, deb.architecture, native), deb.version): OwnDeb.REBUILT
        for deb in pooled.added
    }
    if own:
        with State(configuration.paths.state).locked(configuration.settings.lock_timeout):
            record(configuration, "dpkg-repack", own=own)
    return [*troubles, *pooled.troubles]


def _have_lists(directory: str) -> bool:
    """Whether apt knows what repositories offer."""
    try:
        return any("_Packages" in name for name in os.listdir(directory))
    except FileNotFoundError:
        return False


def _without_deb(configuration: Configuration) -> list[str]:
    """What is wanted, here as it's wanted, and not in the pool."""
    paths = configuration.paths
    with open_existing(configuration) as store:
        if store is None:
            return []
        wanted = generations.newest(store).manifest.packages
        with open_pool(store, debfile.control) as pool:
            pooled = {(deb.name, deb.version) for deb in pool.debs()} if pool else set()
    here = read_packages(paths.dpkg_status, paths.extended_states, configuration.architecture)
    return [
        name
        for name, wish in wanted.items()
        if wish.version is not None
        and (name.partition(":")[0], wish.version) not in pooled
        and name in here
        and here[name].whole
        and here[name].version == wish.version
    ]

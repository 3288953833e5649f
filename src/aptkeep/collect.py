"""What leaves the store: pooled files over the pool's bound, and what nothing names any more.

Off the hook path.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aptkeep.at_home import open_existing
from aptkeep.errors import AptkeepError, CorruptError
from aptkeep.machine.apt import debfile
from aptkeep.model import KeptFile
from aptkeep.store import generations, kept, log, trees
from aptkeep.store.pool import SUBDIRECTORY, Origin, open_pool
from aptkeep.words import counted, size

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from aptkeep.machine.apt.config import Configuration
    from aptkeep.model import Manifest
    from aptkeep.store.pool import Pool, PooledDeb
    from aptkeep.store.tree import Directory

KEPT_GENERATIONS = 100


@dataclass(frozen=True, slots=True)
class Collected:
    """What was, or would be, deleted."""

    generations: tuple[int, ...] = ()
    files: tuple[str, ...] = ()
    """Below the store: `files/…`, `keyrings/…`, `pool/…`."""
    freed: int = 0
    """Bytes."""


def over_the_bound(
    debs: Iterable[PooledDeb],
    bound: int,
    *,
    wanted: Collection[tuple[str, str]],
    offered: Callable[[PooledDeb], bool],
) -> list[PooledDeb]:
    """What of a pool, oldest first, goes so that it takes no more than `bound` bytes. Pure.

    First what no generation wants, then what a repository still offers. A local file never goes,
    nor does what can't be had again, even if the pool stays larger than it should be.

    `wanted`: name and version of what some generation wants.
    """
    debs = list(debs)
    excess = sum(deb.size for deb in debs) - bound
    idle = [deb for deb in debs if not _is_wanted(deb, wanted)]
    needed = [deb for deb in debs if _is_wanted(deb, wanted)]
    going = []
    for deb in (*idle, *needed):
        if excess > 0 and deb.origin is not Origin.LOCAL and (deb in idle or offered(deb)):
            going.append(deb)
            excess -= deb.size
    return going


def keep_within_bounds(configuration: Configuration, offered: Callable[[PooledDeb], bool]) -> None:
    """Mend the pool's index where it's damaged; delete what is over `Aptkeep::Pool::Max-Size`."""
    bound, timeout = configuration.settings.pool_limit, configuration.settings.lock_timeout
    with open_existing(configuration) as store:
        if store is None:
            return
        with _locked_pool(store, timeout, mend=True) as (pool, debs):
            if pool is None or sum(deb.size for deb in debs) <= bound:
                return
            wanted = _wanted(_whole(store))
            going = over_the_bound(debs, bound, wanted=wanted, offered=offered)
            if going:
                pool.remove(going, [deb for deb in debs if deb not in going])
                log.append(
                    store, f"the pool was over its bound: {counted(len(going), 'file')} went"
                )


def keep_paths_within_bounds(
    configuration: Configuration, offered: Callable[[PooledDeb], bool]
) -> None:
    """Delete the oldest generations where kept files take over `Aptkeep::Keep::Max-Size`."""
    with open_existing(configuration) as store:
        over = store is not None and trees.size(store) > configuration.settings.keep_limit
    if over:
        collect(configuration, offered, dry_run=False)


def collect(
    configuration: Configuration, offered: Callable[[PooledDeb], bool], *, dry_run: bool
) -> Collected:
    """Delete old generations, what none of those that stay names, what is over the pool's bound.

    As many whole generations stay as should, however many damaged ones there are beside them; of
    those whose files below `Aptkeep::Keep` are over their bound together, the oldest go. A
    damaged one among those that stay may name anything: then no file goes. Nor does one where
    there are no generations at all. Raises UntrustedError for a generation that isn't root's.
    """
    timeout = configuration.settings.lock_timeout
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(open_existing(configuration))
        if store is None:
            return Collected()
        if store.has(trees.CONTENTS):
            stack.enter_context(trees.locked(store, timeout))
        store.lock(timeout)
        numbers = generations.numbers(store)
        whole, ended = _staying(store, numbers, configuration.settings.keep_limit)
        first = min(whole) if ended else 0
        old = [number for number in numbers if number < first]
        staying = [number for number in numbers if number >= first]
        manifests = list(whole.values())
        all_whole = bool(staying) and len(manifests) == len(staying)
        named = _named_files(store, manifests) if all_whole else None
        all_whole = named is not None
        unnamed = _unnamed_files(store, named) if named is not None else []
        freed = sum(generations.size(store, number) for number in old)
        freed += sum(length for *_place, length in unnamed)
        with _locked_pool(store, timeout, mend=not dry_run) as (pool, debs):
            wanted = _wanted(manifests)
            going = [deb for deb in debs if all_whole and not _is_wanted(deb, wanted)]
            rest = [deb for deb in debs if deb not in going]
            bound = configuration.settings.pool_limit
            if all_whole:
                going += over_the_bound(rest, bound, wanted=wanted, offered=offered)
            freed += sum(deb.size for deb in going)
            if old and not dry_run:
                generations.remove(store, old)  # none of them may outlive what it names
            if not dry_run and pool is not None and going:
                pool.remove(going, [deb for deb in debs if deb not in going])
        if not dry_run:
            for subdirectory, name, _size in unnamed:
                with store.subdirectory(subdirectory) as directory:
                    directory.remove(name)
            if old or unnamed or going:
                log.append(store, f"gc: {size(freed)} freed")
    names = [f"{subdirectory}/{name}" for subdirectory, name, _size in unnamed]
    names += [f"{SUBDIRECTORY}/{deb.filename}" for deb in going]
    return Collected(tuple(old), tuple(names), freed)


@contextlib.contextmanager
def _locked_pool(
    store: Directory, timeout: float, *, mend: bool
) -> Iterator[tuple[Pool | None, list[PooledDeb]]]:
    """The pool, and what is in it, with nobody else at work on it."""
    with open_pool(store, debfile.control) as pool:
        if pool is None:
            yield None, []
            return
        pool.directory.lock(timeout)
        yield pool, pool.mended() if mend else pool.debs()


def _staying(store: Directory, numbers: list[int], bound: int) -> tuple[dict[int, Manifest], bool]:
    """The newest whole generations, which stay, by number; and whether older ones go.

    At most so many that the files below `Aptkeep::Keep` of all of them take `bound` bytes; but for
    the newest, which stays whatever it takes.
    """
    found: dict[int, Manifest] = {}
    sizes: dict[str | None, int] = {}
    for number in reversed(numbers):
        if len(found) == KEPT_GENERATIONS:
            return found, True
        with contextlib.suppress(CorruptError):
            manifest = generations.load(store, number).manifest
            contents = {n.sha256: n.size for n in trees.read(store, manifest.tree).values()}
            if found and sum({**sizes, **contents}.values()) > bound:
                return found, True
            sizes.update(contents)
            found[number] = manifest
    return found, False


def _whole(store: Directory) -> Iterator[Manifest]:
    """The manifests of all generations that are whole."""
    for number in generations.numbers(store):
        with contextlib.suppress(CorruptError):
            yield generations.load(store, number).manifest


def _wanted(manifests: Iterable[Manifest]) -> frozenset[tuple[str, str]]:
    return frozenset(
        (name.partition(":")[0], wish.version)
        for manifest in manifests
        for name, wish in manifest.packages.items()
        if wish.version is not None
    )


def _is_wanted(deb: PooledDeb, wanted: Collection[tuple[str, str]]) -> bool:
    return (deb.name, deb.version) in wanted


def _named_files(store: Directory, manifests: Iterable[Manifest]) -> set[tuple[str, str]] | None:
    """Subdirectory and name of all that the manifests name; None where that can't be known."""
    named = set()
    for tree in {manifest.tree for manifest in manifests if manifest.tree is not None}:
        named.add(trees.location(tree))
        try:
            nodes = trees.read(store, tree)
        except AptkeepError:
            return None
        named |= {(trees.CONTENTS, node.sha256) for node in nodes.values() if node.sha256}
    for manifest in manifests:
        for path, wish in manifest.files.items():
            if isinstance(wish, KeptFile):
                named.add(kept.location(path, wish))
    return named


def _unnamed_files(
    store: Directory, named: Collection[tuple[str, str]]
) -> list[tuple[str, str, int]]:
    """Subdirectory, name and bytes of the kept files that are not among those named."""
    found = []
    for subdirectory in (*kept.SUBDIRECTORIES, trees.SUBDIRECTORY):
        with contextlib.suppress(FileNotFoundError), store.subdirectory(subdirectory) as directory:
            for name in directory.names():
                status = directory.stat(name)
                if (subdirectory, name) not in named and status is not None:
                    found.append((subdirectory, name, status.st_size))
    return found

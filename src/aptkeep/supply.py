"""What a restore has at hand of what is wanted, before it asks any repository.

Every file is copied out of the home, and checked while it's copied: only the copy is used.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aptkeep.errors import AptkeepError, CorruptError
from aptkeep.machine.apt import debfile
from aptkeep.machine.dpkg import package_name
from aptkeep.store.pool import Origin, open_pool

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from aptkeep.machine.apt.archive import Archive
    from aptkeep.machine.apt.staging import Staging
    from aptkeep.machine.transaction import Reporter
    from aptkeep.store.pool import Pool, PooledDeb
    from aptkeep.store.tree import Directory


@dataclass
class Supply:
    """What was staged, and what could not be."""

    damaged: dict[str, str] = field(default_factory=dict)
    """What is wrong with the pooled file of a package, by name."""
    staged: set[str] = field(default_factory=set)
    """What apt gets to see."""
    own: dict[str, PooledDeb] = field(default_factory=dict)
    """What came from no repository, by name."""


def pooled_versions(store: Directory, native: str) -> dict[str, tuple[str, ...]]:
    """The versions in the pool of each package, by name, as far as its index tells."""
    found: dict[str, tuple[str, ...]] = {}
    with open_pool(store, debfile.control) as pool:
        for deb in pool.debs() if pool is not None else ():
            name = package_name(deb.name, deb.architecture, native)
            found[name] = (*found.get(name, ()), deb.version)
    return found


def stage_pooled(
    store: Directory,
    staging: Staging,
    wanted: Collection[tuple[str, str]],
    native: str,
    reporter: Reporter,
) -> Supply:
    """Stage what the pool has of `wanted` (name and version)."""
    supply = Supply()
    chosen: dict[str, PooledDeb] = {}
    with open_pool(store, debfile.control) as pool:
        for deb in pool.debs() if pool is not None else ():
            name = package_name(deb.name, deb.architecture, native)
            if (name, deb.version) in wanted:
                chosen[name] = deb
        if chosen:
            reporter.step("Checking the packages in the pool")
        for name, deb in chosen.items():
            assert pool is not None  # noqa: S101 - or nothing was chosen
            if deb.origin is not Origin.ARCHIVE:
                supply.own[name] = deb
            try:
                _copy(pool, deb, staging)
            except CorruptError:
                supply.damaged[name] = "its file in the pool is damaged"
            except AptkeepError as error:
                supply.damaged[name] = error.brief
            except OSError as error:
                supply.damaged[name] = f"its file in the pool can't be used: {error.strerror}"
            else:
                staging.add(name, deb.version, deb.paragraph)
                supply.staged.add(name)
    return supply


def stage_listed(
    archive: Archive, staging: Staging, wanted: Iterable[tuple[str, str]], directory: str
) -> list[str]:
    """Stage what a directory of apt's archives has of `wanted` (name and version); their paths.

    Only what is just what apt's lists say: apt itself would look at its size.
    """
    staged = []
    for name, version in wanted:
        listed = archive.listing(name, version)
        if listed is None or name in staging.versions:
            continue
        path = os.path.join(staging.debs, listed.filename)
        try:
            with open(os.path.join(directory, listed.filename), "rb") as stream:
                content = stream.read()
            if hashlib.sha256(content).hexdigest() != listed.sha256:
                continue
            if directory != staging.debs:
                with open(path, "wb") as copy:
                    copy.write(content)
        except OSError:
            continue  # it isn't there, or there's no room for a copy
        here = f"Filename: ./{listed.filename}"
        paragraph = re.sub(r"(?m)^Filename:.*$", here, listed.paragraph, count=1)
        staging.add(name, version, paragraph)
        staged.append(path)
    return staged


def _copy(pool: Pool, deb: PooledDeb, staging: Staging) -> None:
    path = os.path.join(staging.debs, deb.filename)
    try:
        with open(path, "xb") as copy:
            copy.writelines(pool.verified(deb))
    except BaseException:
        os.unlink(path)
        raise

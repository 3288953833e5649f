"""Recorded versions that repositories have no more, from a snapshot service that apt knows of.

apt's `APT::Snapshot` (since 2.7, apt.conf(5)) puts the service in the place of a source's archive,
as it was at one moment: so what is wanted is downloaded moment by moment, and staged. apt checks
it by the signed index of that moment, as it does any archive. Off the hook path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aptkeep.errors import AptkeepError
from aptkeep.machine import incoming
from aptkeep.machine.apt import archive
from aptkeep.machine.apt.archive import Archive
from aptkeep.machine.apt.commands import AptGet
from aptkeep.machine.run import run
from aptkeep.store import generations
from aptkeep.supply import stage_listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aptkeep.machine.apt.config import Configuration
    from aptkeep.machine.apt.staging import Staging
    from aptkeep.machine.transaction import Reporter
    from aptkeep.store.tree import Directory

_MOST = 8
"""Moments that are asked for: each takes an update of all package lists."""


def stage_from_snapshots(
    configuration: Configuration,
    store: Directory,
    staging: Staging,
    wanted: Mapping[str, str],
    reporter: Reporter,
) -> None:
    """Stage what a snapshot service has of `wanted` (name to version), and let it be pooled.

    Each version is looked for as of the time at which it was first recorded. Where apt knows of
    no service, or the service has it not, or doesn't answer, nothing is staged.
    """
    for at, versions in _by_time(store, wanted)[:_MOST]:
        options = staging.of_snapshot(at.replace("-", "").replace(":", ""))
        if archive.sources_in_use(options) == archive.sources_in_use({}):
            return
        reporter.step(f"Looking for recorded versions in the archive as it was at {at}")
        apt_get = AptGet(configuration.options, configuration.settings.lock_timeout, options)
        run(apt_get.update())  # whatever fails of it: the lists say what there is
        try:
            listed = Archive(configuration.architecture, sources=options)
        except AptkeepError:
            return  # apt's own sources were readable before
        offered = listed.offered(versions)
        found = {name: v for name, v in versions.items() if v in offered.get(name, ())}
        if not found:
            continue
        run(apt_get.download(f"{n}={v}" for n, v in found.items()), directory=staging.debs)
        staged = stage_listed(listed, staging, found.items(), staging.debs)
        incoming.catch(configuration.paths.state, staged, archives=staging.debs)


def _by_time(store: Directory, wanted: Mapping[str, str]) -> list[tuple[str, dict[str, str]]]:
    """When each of `wanted` was first recorded in that version, the latest first."""
    times: dict[str, dict[str, str]] = {}
    left = dict(wanted)
    for number in generations.numbers(store):
        if not left:
            break
        try:
            generation = generations.load(store, number)
        except AptkeepError:
            continue
        for name, version in list(left.items()):
            wish = generation.manifest.packages.get(name)
            if wish is not None and wish.version == version:
                times.setdefault(generation.occasion.at, {})[name] = left.pop(name)
    return sorted(times.items(), reverse=True)

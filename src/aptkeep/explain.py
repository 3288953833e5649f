"""Why repositories failed, in a person's words. Off the hook path."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from aptkeep import files
from aptkeep.at_home import find_home
from aptkeep.machine import keys, observe, openpgp, sources
from aptkeep.model import FileKind
from aptkeep.repositories import Keyring, diagnose
from aptkeep.review import review_days, source_reports

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aptkeep.machine.apt.config import Configuration
    from aptkeep.machine.apt.output import FailedRepository
    from aptkeep.model import Manifest
    from aptkeep.store.tree import Directory


def explained(
    configuration: Configuration,
    store: Directory,
    manifest: Manifest,
    failures: Iterable[FailedRepository],
) -> list[FailedRepository]:
    """The failures with reasons that name keys, where apt speaks in gpg's status words."""
    today, _soon = review_days()
    reports = source_reports(store, manifest)
    found = []
    for failed in failures:
        rings = [ring for r in reports if failed.name in r.repositories for ring in r.keyrings]
        rings = rings or _of_image(configuration, failed.name)
        present = [_as_it_is(configuration, ring) for ring in rings]
        reason = diagnose(failed.reason, present, today) or failed.reason
        found.append(replace(failed, reason=reason))
    return found


def _of_image(configuration: Configuration, repository: str) -> list[Keyring]:
    """The keyrings that sources on this root name for a repository."""
    named: list[str] = []
    for path, kind in sources.configuration_files(configuration.paths):
        if kind is FileKind.SOURCE:
            with contextlib.suppress(OSError):
                content, _mode = files.read_path(path, observe.FILE_LIMIT)
                for entry in sources.entries(path, content):
                    if repository in entry.repositories:
                        named += entry.keyrings
    return [Keyring(path, (), kept=False) for path in dict.fromkeys(named)]


def _as_it_is(configuration: Configuration, keyring: Keyring) -> Keyring:
    """A keyring with the keys that are in the file now, which need not be the recorded ones."""
    home = find_home(configuration).rstrip("/") + "/"
    try:
        if keyring.path.startswith(home):
            below = keyring.path.removeprefix(home)
            content, _mode = files.read_beneath(home, below, keys.LIMIT)
        else:
            content, _mode = files.read_path(keyring.path, keys.LIMIT)
    except OSError:
        return replace(keyring, keys=(), kept=False)
    return replace(keyring, keys=openpgp.show(content) or keyring.keys)

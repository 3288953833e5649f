"""Where tools would put installations now, and whether they survive there: advice, no loss."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aptkeep.doctor.doomed import is_below
from aptkeep.machine.tools import destinations
from aptkeep.machine.tools.destination import inside

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from aptkeep.machine.mounts import Mounts
    from aptkeep.machine.tools import Destination


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tool would install something, asked by one user."""

    destination: Destination
    survives: bool | None
    """None where the tool would install nothing."""


def users(home: str) -> list[str]:
    """As whom to ask: the home's owner, and root where we are; just us where we are neither."""
    found = []
    for uid in dict.fromkeys((os.stat(home).st_uid, 0) if os.geteuid() == 0 else (os.geteuid(),)):
        try:
            found.append(pwd.getpwuid(uid).pw_name)
        except KeyError:
            continue  # an owner without an account installs nothing
    return found


def look(home: str, mounts: Mounts, kept: Collection[str]) -> list[Place]:
    """Ask every tool on this machine."""
    found = [answer for user in users(home) for answer in destinations(home, user)]
    return list(judged(found, home, mounts, kept))


def judged(
    found: Iterable[Destination], home: str, mounts: Mounts, kept: Collection[str]
) -> Iterable[Place]:
    """Whether each place outlives the root file system."""
    for answer in found:
        if answer.path is None:
            yield Place(answer, None)
            continue
        real = os.path.realpath(answer.path)
        stays = inside(real, home) and mounts.of(os.path.realpath(home)).survives
        yield Place(answer, stays or is_below(real, kept) or mounts.of(real).survives)

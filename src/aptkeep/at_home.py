"""The home and the store in it, as a configuration says. On the hook path."""

from __future__ import annotations

import contextlib
import os
import pwd
from typing import TYPE_CHECKING

from aptkeep.store import home, tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aptkeep.machine.apt.config import Configuration
    from aptkeep.store.seal import Seal
    from aptkeep.store.tree import Directory


def find_home(configuration: Configuration) -> str:
    """The home. Raises UsageError where there is none, or where several could be meant."""
    return home.find(configuration.settings.home)


@contextlib.contextmanager
def open_store(configuration: Configuration, *, create: bool = False) -> Iterator[Directory]:
    """The store; FileNotFoundError where there is none and it's not to be made.

    Raises UntrustedError where it isn't what it should be, StoreUnavailableError where it can't be
    reached, UsageError where no home or no key can be found.
    """
    place = find_home(configuration)
    seal = _seal(configuration, place)
    with tree.open_store(place, configuration.settings.store, create=create, seal=seal) as store:
        yield store


@contextlib.contextmanager
def open_existing(configuration: Configuration) -> Iterator[Directory | None]:
    """The store; None where nothing was ever kept."""
    with contextlib.ExitStack() as opened:
        try:
            store = opened.enter_context(open_store(configuration))
        except FileNotFoundError:
            yield None
        else:
            yield store


def _seal(configuration: Configuration, place: str) -> Seal | None:
    settings = configuration.settings
    if not settings.signed:
        return None
    from aptkeep.store import seal  # noqa: PLC0415 - only where the store is signed

    public = list(settings.trust_keys)
    if settings.trust_key is not None and os.path.exists(f"{settings.trust_key}.pub"):
        public.append(
            f"{settings.trust_key}.pub"
        )  # who may not read the private one checks with it
    return seal.load(settings.identity or _identity(place), settings.trust_key, public, place)


def _identity(place: str) -> str:
    """Whose home it is, where nobody says: its owner's name, and where it is."""
    uid, _gid = home.owner_of(place)
    try:
        owner = pwd.getpwuid(uid).pw_name
    except KeyError:
        owner = str(uid)
    return f"{owner}:{place}"

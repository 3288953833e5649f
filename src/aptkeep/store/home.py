"""Finding the home: the one directory that stays. On the hook path."""

from __future__ import annotations

import os
import pwd
import stat
from typing import TYPE_CHECKING

from aptkeep.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FIRST_UID, LAST_UID = 1000, 59999
"""The uids that Debian policy (9.2.2) leaves to people."""

_SETTING = 'name it in /etc/apt/apt.conf.d, for example: Aptkeep::Home "/home/user";'


def find(
    configured: str | None,
    accounts: Iterable[pwd.struct_passwd] | None = None,
    mountpoint: Callable[[str], str] | None = None,
) -> str:
    """The home: as configured, else the one on a mount of its own, else the only one.

    `accounts` and `mountpoint` stand in for passwd and the mount table in tests. Raises UsageError
    where there is none, or where several could be meant; it names them.
    """
    if configured is not None:
        if not os.path.isabs(configured):
            raise UsageError(
                f"Aptkeep::Home is '{configured}', which is no absolute path",
                details="nothing was kept",
                resolution=_SETTING,
            )
        if not _is_directory(configured):
            raise UsageError(
                f"the home {configured} is not there",
                details="Aptkeep::Home names a directory that doesn't exist; nothing was kept",
                resolution="mount the volume there, or correct Aptkeep::Home",
            )
        return configured.rstrip("/") or "/"
    accounts = pwd.getpwall() if accounts is None else accounts
    mountpoint = _mountpoint if mountpoint is None else mountpoint
    homes = sorted(
        {
            account.pw_dir.rstrip("/")
            for account in accounts
            if FIRST_UID <= account.pw_uid <= LAST_UID and _is_directory(account.pw_dir)
        }
        - {""}
    )
    if not homes:
        raise UsageError(
            f"no account with a uid from {FIRST_UID} to {LAST_UID} has a home",
            details="there is nowhere to keep anything",
            resolution=_SETTING,
        )
    mounts = {home: mountpoint(home) for home in homes}
    own = [home for home in homes if mounts[home] == home]
    elsewhere = [home for home in homes if mounts[home] != "/"]
    candidates = own or elsewhere or homes
    if len(candidates) > 1:
        raise UsageError(
            f"several homes could be meant: {', '.join(candidates)}",
            details="aptkeep keeps what is installed on a machine in one of them",
            resolution=_SETTING,
        )
    return candidates[0]


def owner_of(home: str) -> tuple[int, int]:
    """uid and gid of whose home it is; where root may not look, of the account that has it."""
    try:
        found = os.stat(home)
    except PermissionError:
        for account in pwd.getpwall():
            if account.pw_dir.rstrip("/") == home:
                return account.pw_uid, account.pw_gid
        raise
    return found.st_uid, found.st_gid


def _is_directory(path: str) -> bool:
    """Whether it's a directory, or, on a volume that root may not look into, could be."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def _mountpoint(path: str) -> str:
    path = os.path.realpath(path)
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path

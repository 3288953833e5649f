"""The files of the root file system that were changed since a moment: one run of find(1)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aptkeep.machine.run import capture

if TYPE_CHECKING:
    from collections.abc import Iterable

_FINE = 1_000_000_000
"""Nanoseconds in a second."""

# What programs and the system itself write down in passing, and make again when it's not there:
# file-hierarchy(7), FHS 5. Nobody misses it on the next root.
PASSING = (
    "/dev",
    "/lost+found",
    "/proc",
    "/root/.cache",
    "/root/.npm",
    "/run",
    "/sys",
    "/tmp",  # noqa: S108 - not to be written to
    "/var/backups",
    "/var/cache",
    "/var/lib/AccountsService",
    "/var/lib/NetworkManager",
    "/var/lib/PackageKit",
    "/var/lib/app-info",
    "/var/lib/apt",
    "/var/lib/aptkeep",
    "/var/lib/chrony",
    "/var/lib/cloud",
    "/var/lib/command-not-found",
    "/var/lib/dbus",
    "/var/lib/dhcp",
    "/var/lib/dpkg",
    "/var/lib/fwupd",
    "/var/lib/logrotate",
    "/var/lib/man-db",
    "/var/lib/misc",
    "/var/lib/mlocate",
    "/var/lib/pam",
    "/var/lib/plocate",
    "/var/lib/polkit-1",
    "/var/lib/private",
    "/var/lib/sudo",
    "/var/lib/swcatalog",
    "/var/lib/systemd",
    "/var/lib/ucf",
    "/var/lib/unattended-upgrades",
    "/var/lib/update-notifier",
    "/var/lib/upower",
    "/var/lib/urandom",
    "/var/lock",
    "/var/log",
    "/var/run",
    "/var/tmp",  # noqa: S108 - not to be written to
)
_KEPT_SPOOL = "/var/spool/cron"
"""Of all that is spooled, crontab(1) alone is written by people."""

_PASSING_FILES = frozenset(
    (
        "/.dockerenv",
        "/etc/.pwd.lock",
        "/etc/.updated",
        "/etc/adjtime",
        "/etc/group-",
        "/etc/gshadow-",
        "/etc/hostname",
        "/etc/ld.so.cache",
        "/etc/machine-id",
        "/etc/mtab",
        "/etc/passwd-",
        "/etc/resolv.conf",
        "/etc/shadow-",
        "/etc/subgid-",
        "/etc/subuid-",
        "/root/.Xauthority",
        "/root/.bash_history",
        "/root/.gnupg/.#lk",
        "/root/.gnupg/random_seed",
        "/root/.gnupg/trustdb.gpg",
        "/root/.lesshst",
        "/root/.python_history",
        "/root/.rnd",
        "/root/.ssh/known_hosts",
        "/root/.ssh/known_hosts.old",
        "/root/.sudo_as_admin_successful",
        "/root/.viminfo",
        "/root/.wget-hsts",
        "/var/.updated",
    )
)
_PASSING_NAMES = ("__pycache__",)


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file or symbolic link. What of its name is no UTF-8 is in surrogates (os.fsdecode)."""

    path: str
    size: int
    """Bytes."""
    changed: float
    """Seconds since 1970: contents, mode, owner or name (ctime)."""
    modified: float
    """Seconds since 1970: contents, as whoever wrote them says (mtime)."""
    link: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """What find saw, and the directories that it could not look into."""

    files: tuple[ChangedFile, ...]
    unseen: tuple[str, ...] = ()


def find(
    since: int, *, root: str = "/", elsewhere: Iterable[str] = (), mounted: Iterable[str] = ()
) -> Changed:
    """The files changed at `since` (nanoseconds since 1970) or later, on the root's file system.

    `elsewhere` are directories to pass over, as the home; `mounted` what is mounted, single files
    included: what is bound to a place need not be on another file system. What the system writes
    in passing is left out. Paths are relative to `root`, which is another directory in tests.
    """
    argv = _command(since, root.rstrip("/"), {*PASSING, *elsewhere, *mounted})
    found = capture(argv)
    mounted = set(mounted)
    cut = len(root.rstrip("/"))
    entries = []
    pieces = found.output.split(b"\0")
    for kind, size, changed, modified, name in zip(*(pieces[n::5] for n in range(5)), strict=False):
        path = os.fsdecode(name)[cut:]
        if path not in _PASSING_FILES and path not in mounted:
            entries.append(
                ChangedFile(path, int(size), float(changed), float(modified), kind == b"l")
            )
    return Changed(tuple(sorted(entries, key=lambda file: file.path)), _unseen(found.complaints))


def _command(since: int, root: str, passed_over: Iterable[str]) -> list[str]:
    # Strictly newer is what find compares; and the kernel's clock ticks some times a second only,
    # so that what was written right after may bear the same time.
    before = since - 1
    pruned: list[str] = []
    for path in sorted(passed_over):
        pruned += ["-path", _literal(root + path), "-o"]
    for name in _PASSING_NAMES:
        pruned += ["-name", name, "-o"]
    spool = _literal(f"{root}/var/spool")
    pruned += ["-path", f"{spool}/*", "!", "-path", f"{_literal(root + _KEPT_SPOOL)}*"]
    return [
        *("find", root or "/", "-xdev"),
        # Of directories alone: comparing every path with each of these takes longer than all else.
        *("-type", "d", "(", *pruned, ")", "-prune", "-o"),
        *("(", "-type", "f", "-o", "-type", "l", ")"),
        *("-newerct", f"@{before // _FINE}.{before % _FINE:09}"),
        *("-printf", r"%y\0%s\0%C@\0%T@\0%p\0"),
    ]


def _literal(path: str) -> str:
    """A path as find's -path takes it for just itself: fnmatch(3)."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", path)


def _unseen(complaints: bytes) -> tuple[str, ...]:
    """The directories that find names as closed to it; what vanished meanwhile is no trouble."""
    quoted = rb"^find: (?:\xe2\x80\x98|')(.*)(?:\xe2\x80\x99|'): Permission denied$"
    return tuple(sorted(os.fsdecode(name) for name in re.findall(quoted, complaints, re.MULTILINE)))

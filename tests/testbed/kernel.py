"""System calls that Python's library lacks: mounts, pivot_root, openat2.

Imports little, because PID 1 of every root pays for it.
"""

from __future__ import annotations

import ctypes
import os

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MNT_DETACH = 2

RESOLVE_IN_ROOT = 0x10
O_PATH: int = os.O_PATH

# openat2 came after the tables of system calls were unified, so it has one number everywhere.
_OPENAT2 = 437
_PIVOT_ROOT = {"x86_64": 155, "i686": 217, "ppc64le": 203, "s390x": 217, "armv7l": 218}
_PIVOT_ROOT_GENERIC = 41  # aarch64, riscv64, loongarch64

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _OpenHow(ctypes.Structure):
    """`struct open_how` of openat2(2)."""

    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def _check(returned: int, what: str) -> int:
    if returned < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return returned


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount. Raises OSError that names the target, as all of these do."""
    _check(
        _libc.mount(
            source.encode(),
            target.encode(),
            kind.encode() or None,
            ctypes.c_ulong(flags),
            options.encode() or None,
        ),
        target,
    )


def unmount(target: str, flags: int = 0) -> None:
    """Take a mount away; with MNT_DETACH also one that is in use."""
    _check(_libc.umount2(target.encode(), flags), target)


def pivot_root(new: str, old: str) -> None:
    """Put the mount `new` in place of the root, and the root at `old`."""
    number = _PIVOT_ROOT.get(os.uname().machine, _PIVOT_ROOT_GENERIC)
    _check(_libc.syscall(ctypes.c_long(number), new.encode(), old.encode()), new)


def set_host_name(name: str) -> None:
    """Name the machine, or the uts namespace."""
    text = name.encode()
    _check(_libc.sethostname(text, ctypes.c_size_t(len(text))), name)


def open_in_root(root: int, path: str, flags: int, mode: int = 0) -> int:
    """Open `path` as a process would whose root directory is the open directory `root`.

    openat2(2) with RESOLVE_IN_ROOT: absolute symlinks and `..` stay below `root`, and magic links
    such as those in /proc are refused with ELOOP. Raises OSError.
    """
    # The kernel refuses a mode where no file is made, and ignores O_CLOEXEC nowhere.
    how = _OpenHow(flags | os.O_CLOEXEC, mode if flags & os.O_CREAT else 0, RESOLVE_IN_ROOT)
    returned = _libc.syscall(
        ctypes.c_long(_OPENAT2),
        ctypes.c_int(root),
        (path.lstrip("/") or ".").encode(),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    return _check(int(returned), path)

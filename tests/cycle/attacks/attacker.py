"""What an attacker has at hand besides the shell. Copied into the root; runs as whoever attacks.

usage: attacker TRICK ARGUMENT...
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import os
import signal
import socket
import struct
import sys
import time

_LIBC = ctypes.CDLL(None, use_errno=True)
_AT_FDCWD, _EXCHANGE = -100, 2
_IN_OPEN = 0x20
_ATTACH = 16


def forge(genuine: str, forged: str, number: str, package: str = "evil") -> None:
    """A generation that wishes for one package more, with the right checksum."""
    with open(genuine, encoding="utf-8") as stream:
        document = json.load(stream)
    del document["checksum"]
    document["generation"] = int(number)
    document["packages"][package] = {"selection": "install", "version": "1.0", "auto": False}
    _write(document, forged)


def newer(genuine: str, forged: str, number: str) -> None:
    """A generation of a schema that nobody knows yet."""
    with open(genuine, encoding="utf-8") as stream:
        document = json.load(stream)
    del document["checksum"]
    document |= {"generation": int(number), "schema": 1000}
    _write(document, forged)


def _write(document: dict[str, object], path: str) -> None:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    document["checksum"] = "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(document, stream)


def swap(*paths: str) -> None:
    """Exchange two names over and over, with a pause that grows and shrinks, until killed."""
    first, second = (os.fsencode(path) for path in paths)
    pauses = (0.0, 0.0, 0.0002, 0.0, 0.001, 0.0, 0.003, 0.0)
    _ready()
    while True:
        for pause in pauses:
            _LIBC.renameat2(_AT_FDCWD, first, _AT_FDCWD, second, _EXCHANGE)
            time.sleep(pause)


def default_acl(path: str, user: str) -> None:
    """Let `user` write to whatever is made in a directory from now on (acl(5))."""
    os.setxattr(path, "system.posix_acl_default", _acl(7, int(user)))


def acl(path: str, user: str) -> None:
    """Let `user` write to a file (acl(5)); the mode's group bits are the mask then."""
    os.setxattr(path, "system.posix_acl_access", _acl(6, int(user)))


def _acl(all_that: int, user: int) -> bytes:
    nobody = 0xFFFFFFFF
    entries = [(0x01, all_that, nobody), (0x02, all_that, user), (0x04, 5 & all_that, nobody)]
    entries += [(0x10, all_that, nobody), (0x20, 5 & all_that, nobody)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def listen(path: str) -> None:
    """Leave a socket."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path)


def lock(*paths: str) -> None:
    """Hold the lock of each for ever."""
    for path in paths:
        fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX)
    _ready()
    signal.pause()


def lock_whatever_is_new(directory: str) -> None:
    """Hold the lock of every file that appears in a directory, as soon as it does."""
    held: dict[str, int] = {}
    _ready()
    while True:
        for name in os.listdir(directory):
            if name not in held:
                try:
                    descriptor = os.open(os.path.join(directory, name), os.O_RDONLY)
                    held[name] = descriptor
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    pass


def hunt(name: str) -> None:
    """Send signals to every process of that name, and attach to it as a debugger does."""
    _ready()
    while True:
        for entry in os.listdir("/proc"):
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as stream:
                    found = name.encode() in stream.read() and int(entry) != os.getpid()
                if found:
                    _LIBC.ptrace(_ATTACH, int(entry), 0, 0)
                    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGUSR1):
                        os.kill(int(entry), number)
            except (OSError, ValueError):
                continue


def rewrite_when_read(path: str, other: str, unpacked: str) -> None:
    """Replace what a file holds, in place, once it's unpacked and somebody opens it again."""
    with open(other, "rb") as stream:
        content = stream.read()
    watch = _LIBC.inotify_init()
    _LIBC.inotify_add_watch(watch, os.fsencode(path), _IN_OPEN)
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    os.read(watch, 4096)
    _ready()
    while os.read(watch, 4096):
        if os.path.exists(unpacked):
            time.sleep(0.01)
            os.pwrite(descriptor, content, 0)
            os.ftruncate(descriptor, len(content))


def fill(directory: str) -> None:
    """Use up a file system, inodes first."""
    try:
        for number in range(1 << 20):
            os.close(os.open(f"{directory}/full{number}", os.O_WRONLY | os.O_CREAT))
    except OSError:
        pass
    try:
        with open(f"{directory}/full0", "wb") as stream:
            while True:
                stream.write(b"\1" * 65536)
                stream.flush()
    except OSError:
        pass


def _ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])

"""PID 1 of a booted root: builds the mounts, then reaps children until it is told to end.

Started by `testbed.root` in new mount, pid, ipc and uts namespaces (net, too, if the root has no
network). It takes one argument, the `Layout` as JSON, and says `ready` on standard output, or a
sentence that tells what went wrong. It lives until standard input reports end of file, which also
happens when the process that booted the root is killed; the kernel then kills everything in the
pid namespace and drops its mounts.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from testbed import kernel

_NODES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
    "core": "/proc/kcore",
}
_READ_ONLY_IN_PROC = ("sys", "sysrq-trigger", "irq", "bus")


def main() -> None:
    """Build the root that argv[1] describes and hold it."""
    layout = json.loads(sys.argv[1])
    try:
        _build(layout)
    except OSError as error:
        _say(f"{error.strerror}: {error.filename}")
        sys.exit(1)
    signal.signal(signal.SIGCHLD, _reap)
    # A reader that went away must not take the whole root with it.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _say("ready")
    while os.read(0, 1):
        pass


def _build(layout: dict[str, object]) -> None:
    if not layout["network"]:
        _loopback_up()
    root = str(layout["mount_point"])
    os.umask(0)
    lower = ":".join(str(layer) for layer in _list(layout["layers"]))
    options = f"lowerdir={lower},upperdir={layout['upper']},workdir={layout['work']}"
    if layout["volatile"]:
        options += ",volatile"
    kernel.mount("overlay", root, "overlay", 0, options)
    _mount_dev(f"{root}/dev")
    plain = kernel.MS_NOSUID | kernel.MS_NODEV
    hardened = plain | kernel.MS_NOEXEC
    kernel.mount("tmpfs", f"{root}/run", "tmpfs", plain, "mode=755")
    os.mkdir(f"{root}/run/lock", 0o1777)
    kernel.mount("tmpfs", f"{root}/tmp", "tmpfs", plain, "mode=1777")  # noqa: S108  (its own)
    kernel.mount("proc", f"{root}/proc", "proc", hardened)
    for name in _READ_ONLY_IN_PROC:
        path = f"{root}/proc/{name}"
        if os.path.exists(path):
            # Settings of the kernel are this machine's, not the root's: maintainer scripts that
            # write them (procps runs sysctl) meet what they meet in a container.
            kernel.mount(path, path, "", kernel.MS_BIND)
            flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | hardened
            kernel.mount(path, path, "", flags)
    kernel.mount("sysfs", f"{root}/sys", "sysfs", hardened | kernel.MS_RDONLY)
    for source, target in _pairs(layout["binds"]):
        kernel.mount(source, root + target, "", kernel.MS_BIND)
    # The working directory is the way back to the new root after the old one is stacked on it.
    os.chdir(root)
    kernel.pivot_root(".", ".")
    kernel.unmount(".", kernel.MNT_DETACH)
    os.chdir("/")
    os.umask(0o022)
    for path, content in _pairs(layout["files"]):
        _replace_file(path, content)
    kernel.set_host_name(str(layout["host_name"]))


def _mount_dev(dev: str) -> None:
    kernel.mount("tmpfs", dev, "tmpfs", kernel.MS_NOSUID, "mode=755,size=1m")
    for name, (major, minor) in _NODES.items():
        os.mknod(f"{dev}/{name}", 0o020666, os.makedev(major, minor))
    for name, target in _LINKS.items():
        os.symlink(target, f"{dev}/{name}")
    os.mkdir(f"{dev}/pts")
    flags = kernel.MS_NOSUID | kernel.MS_NOEXEC
    # gid 5 is `tty` in every Debian (base-passwd).
    options = "newinstance,ptmxmode=0666,mode=620,gid=5"
    kernel.mount("devpts", f"{dev}/pts", "devpts", flags, options)
    os.mkdir(f"{dev}/shm")
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("tmpfs", f"{dev}/shm", "tmpfs", flags, "mode=1777")


def _replace_file(path: str, content: str) -> None:
    # A symlink, such as systemd-resolved's for resolv.conf, would point at nothing here.
    if os.path.lexists(path):
        os.unlink(path)
    with open(path, "x", encoding="utf-8") as file:
        file.write(content)


def _loopback_up() -> None:
    # They cost time that a root with network doesn't need to spend.
    import fcntl  # noqa: PLC0415
    import socket  # noqa: PLC0415
    import struct  # noqa: PLC0415

    get_flags, set_flags, up = 0x8913, 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sh22x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(handle, get_flags, request), 16)
        fcntl.ioctl(handle, set_flags, struct.pack("16sh22x", b"lo", flags | up))


def _reap(_signal: int, _frame: object) -> None:
    while True:
        try:
            pid, _status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


def _say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def _pairs(value: object) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        raise TypeError(value)
    return list(value.items())

"""What is mounted where: whether a place goes with the root file system."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

_VOLATILE = ("tmpfs", "ramfs", "devtmpfs", "proc", "sysfs")
"""Kinds of file systems that no stop survives."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount: of a directory, or of a single file."""

    point: str
    kind: str
    """`ext4`, `overlay`, `tmpfs`…"""

    @property
    def survives(self) -> bool:
        """Whether what lies there outlives the root file system."""
        return self.point != "/" and self.kind not in _VOLATILE


class Mounts:
    """The mount table of this process."""

    def __init__(self, table: str) -> None:
        """`table` has the form of /proc/PID/mountinfo: proc_pid_mountinfo(5)."""
        self._by_point: dict[str, Mount] = {"/": Mount("/", "rootfs")}
        for line in table.splitlines():
            before, _dash, after = line.partition(" - ")
            if len(before.split()) > 4 and after:  # noqa: PLR2004 - the fifth is the mount point
                point = re.sub(r"\\([0-3][0-7]{2})", lambda m: chr(int(m[1], 8)), before.split()[4])
                point = os.fsdecode(point.encode("latin-1"))
                self._by_point[point] = Mount(point, after.split()[0])

    @property
    def points(self) -> list[str]:
        """Where something is mounted, but for `/` itself."""
        return sorted(set(self._by_point) - {"/"})

    def of(self, path: str) -> Mount:
        """The mount on which a path lies, or would lie."""
        while path not in self._by_point:
            path = os.path.dirname(path) or "/"
        return self._by_point[path]


def read() -> Mounts:
    """The mounts as they are now; just the root file system where that can't be seen."""
    try:
        with open("/proc/self/mountinfo", encoding="latin-1") as stream:
            return Mounts(stream.read())
    except OSError:
        return Mounts("")

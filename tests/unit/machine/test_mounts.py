"""What is mounted where."""

from __future__ import annotations

import os

import pytest

from aptkeep.machine import mounts
from aptkeep.machine.mounts import Mounts

TABLE = r"""
24 1 0:22 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/a
25 24 0:5 / /dev rw - devtmpfs devtmpfs rw
26 24 8:1 /v /home/bench-user rw,nosuid master:3 propagate_from:1 - ext4 /dev/sda1 rw
27 24 0:30 / /home/in\040memory\011x rw - tmpfs tmpfs rw,size=64k
28 24 8:1 /hosts /etc/hosts rw - ext4 /dev/sda1 rw
29 24 8:1 /j /home/j\303\274rgen rw - ext4 /dev/sda1 rw
nonsense
"""


@pytest.mark.parametrize(
    ("path", "point", "survives"),
    [
        ("/", "/", False),
        ("/usr/local/bin", "/", False),
        ("/home", "/", False),
        ("/home/bench-userx", "/", False),
        ("/home/bench-user", "/home/bench-user", True),
        ("/home/bench-user/.local/bin/not-there", "/home/bench-user", True),
        ("/home/in memory\tx/store", "/home/in memory\tx", False),
        ("/home/jürgen/x", "/home/jürgen", True),
    ],
)
def test_on_which_mount_a_path_lies(path: str, point: str, *, survives: bool) -> None:
    found = Mounts(TABLE).of(path)
    assert (found.point, found.survives) == (point, survives)


def test_single_files_are_mounts_too() -> None:
    assert "/etc/hosts" in Mounts(TABLE).points
    assert "/" not in Mounts(TABLE).points


def test_without_a_table_all_is_the_root_file_system() -> None:
    assert Mounts("").of("/home/x").point == "/"


def test_this_machines_own_table() -> None:
    assert mounts.read().of("/proc/self").point == "/proc"
    assert all(os.path.isabs(point) for point in mounts.read().points)

"""What stands in a .deb, and whether it's the one that dpkg unpacked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aptkeep.machine.apt import debfile
from unit.debs import archive, control, deb, tarball
from unit.machine.fake_root import FakeRoot

PREINST = "#!/bin/sh\nexit 0\n"
SUMS = "0123  usr/bin/tool\n"


@contextlib.contextmanager
def opened(directory: Path, content: bytes) -> Iterator[int]:
    """A descriptor of a file."""
    path = directory / "x.deb"
    path.write_bytes(content)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def test_the_control_file_of_a_deb(tmp_path: Path) -> None:
    with opened(tmp_path, deb(control("tool"))) as descriptor:
        os.lseek(descriptor, 0, os.SEEK_END)  # somebody has read it
        assert debfile.control(descriptor) == control("tool")
        assert debfile.control(descriptor) == control("tool")


def test_a_control_file_that_is_no_utf_8_is_read_all_the_same(tmp_path: Path) -> None:
    latin = control().encode() + "Comment: für alle\n".encode("latin-1")
    with opened(tmp_path, deb(latin)) as descriptor:
        assert debfile.control(descriptor) == f"{control()}Comment: f\ufffdr alle\n"


WHOLE = deb(members={"md5sums": SUMS, "preinst": PREINST})
NO_DEBS = {
    "empty": b"",
    "text": b"hello\n",
    "only the magic": b"!<arch>\n",
    "another archive": archive({"x": b"x"}),
    "no control archive": archive({"debian-binary": b"2.0\n", "data.tar.gz": tarball({})}),
    **{f"cut off at {size}": WHOLE[:size] for size in (8, 60, 72, 100, 150, 200, 250)},
}


@pytest.mark.parametrize("name", NO_DEBS)
def test_what_is_no_deb_is_said_in_one_way(tmp_path: Path, root: FakeRoot, name: str) -> None:
    """dpkg may have been handed anything."""
    root.write("var/lib/dpkg/info/tool.list", "")
    with opened(tmp_path, NO_DEBS[name]) as descriptor:
        with pytest.raises(ValueError, match=r"no Debian package|damaged"):
            debfile.control(descriptor)
        with pytest.raises(ValueError, match=r"no Debian package|damaged"):
            debfile.unpacked(descriptor, root.paths.dpkg_directory, "tool", "all")


@pytest.mark.parametrize("control_archive", [tarball({"md5sums": SUMS}), b"x" * 100])
def test_a_deb_without_a_control_file_has_an_empty_one(
    tmp_path: Path, control_archive: bytes
) -> None:
    content = archive(
        {
            "debian-binary": b"2.0\n",
            "control.tar.gz": control_archive,
            "data.tar.gz": tarball({}),
        }
    )
    with opened(tmp_path, content) as descriptor:
        assert debfile.control(descriptor) == ""


def unpacked(
    root: FakeRoot, members: dict[str, str], info: dict[str, str], architecture: str = "all"
) -> bool:
    """Whether a .deb of `tool` with these members is the one that left these files of dpkg's."""
    for name, content in info.items():
        root.write(f"var/lib/dpkg/info/{name}", content)
    with opened(root.path, deb(members=members)) as descriptor:
        return debfile.unpacked(descriptor, root.paths.dpkg_directory, "tool", architecture)


_LISTED = {"tool.list": "/.\n"}
BEFORE = {
    "the very one": ({"md5sums": SUMS, "preinst": PREINST}, True),
    "nothing of it": ({}, False),
    "other files": ({"md5sums": SUMS.upper(), "preinst": PREINST}, False),
    "another script": ({"md5sums": SUMS, "preinst": "#!/bin/sh\n"}, False),
    "a script less": ({"md5sums": SUMS}, False),
    "a script more": ({"md5sums": SUMS, "preinst": PREINST, "postinst": PREINST}, False),
}


@pytest.mark.parametrize("name", BEFORE)
def test_what_dpkg_unpacked_is_known_by_its_sums_and_scripts(root: FakeRoot, name: str) -> None:
    left, whether = BEFORE[name]
    info = _LISTED | {f"tool.{member}": content for member, content in left.items()}
    assert unpacked(root, {"md5sums": SUMS, "preinst": PREINST}, info) is whether


def test_what_is_not_on_the_root_was_not_unpacked(root: FakeRoot) -> None:
    assert not unpacked(root, {}, {})
    assert not unpacked(root, {}, {"tool.md5sums": SUMS, "tools.list": ""})


def test_the_sums_that_dpkg_makes_itself_are_no_difference(root: FakeRoot) -> None:
    assert unpacked(
        root, {"preinst": PREINST}, {**_LISTED, "tool.md5sums": SUMS, "tool.preinst": PREINST}
    )


def test_what_dpkg_keeps_besides_is_no_difference(root: FakeRoot) -> None:
    members = {"md5sums": SUMS, "config": PREINST, "conffiles": "/etc/tool\n"}
    assert unpacked(root, members, {**_LISTED, "tool.md5sums": SUMS, "tool.triggers": "x"})


def test_the_architecture_that_may_stand_beside_another(root: FakeRoot) -> None:
    """`Multi-Arch: same`: each of them has files of its own."""
    info = {
        "tool:amd64.list": "",
        "tool:amd64.md5sums": SUMS,
        "tool:i386.list": "",
        "tool:i386.md5sums": SUMS.upper(),
    }
    members = {"md5sums": SUMS}
    assert unpacked(root, members, info, "amd64")
    assert not unpacked(root, members, {}, "i386")
    assert not unpacked(root, members, {}, "arm64")


_DATA = {"/usr/bin/tool": "".join(f"{number * number:x}" for number in range(5000))}


@pytest.mark.parametrize("compression", ["gz", "xz", ""])
@pytest.mark.parametrize("damage", ["none", "cut off", "cut off in the middle", "another byte"])
def test_whether_a_deb_can_be_unpacked(tmp_path: Path, compression: str, damage: str) -> None:
    """Without compression there are no checksums."""
    content = bytearray(
        archive(
            {
                "debian-binary": b"2.0\n",
                f"control.tar.{compression}".rstrip("."): tarball({"control": control()}),
                f"data.tar.{compression}".rstrip("."): tarball(_DATA, compression),
            }
        )
    )
    if damage == "cut off":
        del content[-2:]
    elif damage == "cut off in the middle":
        del content[-len(content) // 3 :]
    elif damage == "another byte":
        content[-len(content) // 3] ^= 1
    with opened(tmp_path, bytes(content)) as descriptor:
        good = damage == "none" or (damage == "another byte" and not compression)
        assert debfile.intact(descriptor) is good


@pytest.mark.parametrize("name", ["empty", "text", "only the magic", "another archive"])
def test_what_is_no_deb_is_not_intact(tmp_path: Path, name: str) -> None:
    with opened(tmp_path, NO_DEBS[name]) as descriptor:
        assert not debfile.intact(descriptor)


def test_a_damaged_file_costs_the_next_one_nothing(root: FakeRoot) -> None:
    """apt's library keeps an error for whoever comes next."""
    content = archive(
        {
            "debian-binary": b"2.0\n",
            "control.tar.gz": tarball({"control": control(), "md5sums": os.urandom(200_000)})[
                :-9999
            ],
            "data.tar.gz": tarball({}),
        }
    )
    root.write("var/lib/dpkg/info/tool.list", "")
    with opened(root.path, content) as descriptor, contextlib.suppress(ValueError):
        debfile.control(descriptor)
        assert not debfile.unpacked(descriptor, root.paths.dpkg_directory, "tool", "all")
    with opened(root.path, deb()) as descriptor:
        assert debfile.control(descriptor) == control()

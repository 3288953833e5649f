"""Which files are just what a package brought."""

from __future__ import annotations

import hashlib
import os

import pytest

from aptkeep.machine.shipped import Shipped, shipped
from unit.machine.fake_root import FakeRoot
from unit.machine.test_dpkg import paragraph


def md5(content: str) -> str:
    """As dpkg notes it."""
    return hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()


@pytest.fixture
def web(root: FakeRoot) -> FakeRoot:
    """`web` with a file, a conffile, a link and a directory; `lib` on two architectures."""
    conffiles = (
        f"Conffiles:\n /etc/web/web.conf {md5('conf')}\n /etc/web/old.conf {md5('old')} obsolete\n"
        f" /etc/web/new.conf newconffile\n"
    )
    info = "var/lib/dpkg/info"
    listed = "/.\n/etc\n/etc/web\n/etc/web/web.conf\n/opt/web\n/opt/web/tool\n/opt/web/link\n"
    root.write(f"{info}/web.list", listed)
    root.write(f"{info}/web.md5sums", f"{md5('tool')}  opt/web/tool\n")
    root.write(f"{info}/lib:amd64.list", "/.\n/usr/lib/lib.so\n/lib/udev/rules\n")
    root.write(f"{info}/lib:amd64.md5sums", f"{md5('lib')}  usr/lib/lib.so\n")
    root.write(f"{info}/lib:i386.list", "/.\n/usr/lib/lib.so\n")
    root.write("var/lib/ucf/registry", "web /etc/web/made.conf\n")
    root.write("var/lib/ucf/hashfile", f"{md5('made')}  /etc/web/made.conf\n")
    status = paragraph("web", "install ok installed", "1", more=conffiles)
    root.write("var/lib/dpkg/status", status)
    return root


def known(root: FakeRoot, *paths: str) -> Shipped:
    """What dpkg knows of paths."""
    return shipped(root.paths.dpkg_directory, root.paths.dpkg_status, paths)


def test_nobody_asks(root: FakeRoot) -> None:
    assert known(root) == Shipped()


@pytest.mark.parametrize(
    ("path", "owner", "content"),
    [
        ("/opt/web/tool", "web", "tool"),
        ("/etc/web/web.conf", "web", "conf"),
        ("/etc/web/made.conf", "web", "made"),
        ("/usr/lib/lib.so", "lib", "lib"),
    ],
)
def test_files(web: FakeRoot, path: str, owner: str, content: str) -> None:
    found = known(web, path, "/other")
    assert found.owners == {path: owner}
    assert found.is_own(path, [content[:1].encode(), content[1:].encode()])
    assert not found.is_own(path, [b"changed"])
    assert not found.is_own("/other", [b"anything"])


@pytest.mark.parametrize("path", ["/opt/web/link", "/opt/web", "/etc/web", "/usr/lib/udev/rules"])
def test_what_has_no_sum_is_known_by_its_time(web: FakeRoot, path: str) -> None:
    """`/usr/lib/udev/rules` is listed as `/lib/udev/rules`: usrmerge."""
    found = known(web, path)
    assert found.is_own(path, None)
    assert found.is_own(path, None, found.unpacked[path])
    assert not found.is_own(path, None, found.unpacked[path] + 1)


def test_unpacked_is_when_the_list_was_written(web: FakeRoot) -> None:
    info = web.path / "var/lib/dpkg/info"
    os.utime(info / "web.list", ns=(5, 5))
    os.utime(info / "lib:amd64.list", ns=(6, 6))
    os.utime(info / "lib:i386.list", ns=(7, 7))
    found = known(web, "/opt/web", "/usr/lib/lib.so")
    assert found.unpacked == {"/opt/web": 5, "/usr/lib/lib.so": 7}


def test_a_root_without_dpkg(root: FakeRoot) -> None:
    assert known(root, "/opt/web").owners == {}

"""Files that dpkg put elsewhere than their packages say: dpkg-divert(1)."""

from __future__ import annotations

import hashlib

from aptkeep.machine.shipped import Shipped, shipped
from unit.machine.fake_root import FakeRoot
from unit.machine.test_dpkg import paragraph

TOOL, MOVED = "/usr/bin/tool", "/usr/bin/tool.distrib"
CONTENT = b"as shipped"
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


def look(root: FakeRoot, diversions: str) -> Shipped:
    """What is known of both places where a package ships the first."""
    root.write("var/lib/dpkg/info/tools.list", f"/.\n/usr\n{TOOL}\n")
    root.write("var/lib/dpkg/info/tools.md5sums", f"{MD5}  usr/bin/tool\n")
    root.write("var/lib/dpkg/diversions", diversions)
    return shipped(root.paths.dpkg_directory, root.paths.dpkg_status, [TOOL, MOVED])


def test_no_diversion(root: FakeRoot) -> None:
    found = look(root, "")
    assert found.owners == {TOOL: "tools"}
    assert found.is_own(TOOL, [CONTENT])
    assert not found.is_own(TOOL, [b"altered"])


def test_the_administrators_own_file_is_no_packages(root: FakeRoot) -> None:
    found = look(root, f"{TOOL}\n{MOVED}\n:\n")
    assert found.owners == {MOVED: "tools"}
    assert found.is_own(MOVED, [CONTENT])
    assert not found.is_own(MOVED, [b"altered"])


def test_another_packages_file(root: FakeRoot) -> None:
    """Both names are packages', and which of the two contents is whose nobody looks into."""
    found = look(root, f"{TOOL}\n{MOVED}\nbetter-tools\n")
    assert found.owners == {TOOL: "better-tools", MOVED: "better-tools"}
    assert found.is_own(TOOL, [b"whatever"])
    assert found.is_own(MOVED, [b"whatever"])


def test_conffiles_that_are_not_there_yet_or_not_any_more_have_no_digest(root: FakeRoot) -> None:
    conffiles = (
        "Conffiles:\n"
        f" /etc/here.conf {MD5}\n"
        f" /etc/new.conf newconffile\n"
        " /etc/going.conf newconffile remove-on-upgrade\n"
        f" /etc/old.conf {MD5} obsolete\n"
    )
    root.write(
        "var/lib/dpkg/status", paragraph("tools", "install ok installed", "1", more=conffiles)
    )
    names = [f"/etc/{name}.conf" for name in ("here", "new", "going", "old")]
    root.write("var/lib/dpkg/info/tools.list", "\n".join(["/.", *names, ""]))
    found = shipped(root.paths.dpkg_directory, root.paths.dpkg_status, names)
    assert found.conffiles == {"/etc/here.conf"}
    assert found.digests == {"/etc/here.conf": MD5}

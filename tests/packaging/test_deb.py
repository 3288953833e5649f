"""The built .deb, looked into: what it brings, and what it promises to dpkg."""

from __future__ import annotations

import ast
import email
import os
import re
import stat
import sys
from pathlib import Path

import pytest

from testbed import source
from testbed.deb import Deb

HOOK = "/usr/libexec/aptkeep/hook"
CONFFILES = ["/etc/apt/apt.conf.d/80aptkeep", "/etc/dpkg/dpkg.cfg.d/aptkeep"]
PROGRAM = "/usr/libexec/aptkeep/aptkeep"
COMMAND = "/usr/bin/aptkeep"
DIST_PACKAGES = "/usr/lib/python3/dist-packages/"

# What is run and not imported: keys and signatures are looked at with GnuPG.
RUN = {"gpg", "gpgv"}
# The Debian package that brings each module which isn't Python's own.
BRINGS = {
    **dict.fromkeys(("apt_pkg", "apt_inst"), "python3-apt"),
    "click": "python3-click",
    "cryptography": "python3-cryptography",
    "jsonschema": "python3-jsonschema",
}


@pytest.fixture(scope="module")
def deb(aptkeep_deb: Path) -> Deb:
    return Deb(aptkeep_deb)


@pytest.fixture(scope="module")
def control(deb: Deb, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return deb.control(tmp_path_factory.mktemp("control") / "DEBIAN")


def test_everything_belongs_to_root_and_only_programs_are_executable(deb: Deb) -> None:
    programs = {PROGRAM, HOOK}
    for path, member in deb.members.items():
        assert (member.uid, member.gid) == (0, 0), path
        if path == COMMAND:
            continue
        assert member.isfile() or member.isdir(), f"{path} is neither a file nor a directory"
        expected = 0o755 if member.isdir() or path in programs else 0o644
        assert stat.S_IMODE(member.mode) == expected, path
    assert programs <= deb.members.keys()


def test_all_of_src_is_packaged_for_every_python(deb: Deb) -> None:
    top = source.top() / "src"
    files = [path for path in (top / "aptkeep").rglob("*") if path.is_file()]
    expected = {
        DIST_PACKAGES + str(path.relative_to(top)) for path in files if path.suffix != ".pyc"
    }
    packaged = {path for path in deb.members if path.startswith(f"{DIST_PACKAGES}aptkeep/")}
    assert {path for path in packaged if not path.endswith("/")} == expected


def test_nothing_lands_where_nobody_looks_for_it(deb: Deb) -> None:
    others = [
        path
        for path in deb.members
        if not path.endswith("/")
        and not path.startswith((f"{DIST_PACKAGES}aptkeep", "/usr/share/doc/aptkeep/"))
    ]
    assert sorted(others) == [
        *CONFFILES,
        COMMAND,
        PROGRAM,
        HOOK,
        "/usr/share/bash-completion/completions/aptkeep",
        "/usr/share/man/man8/aptkeep.8.gz",
    ]


def test_the_hook_is_isolated_and_does_not_run_the_site_module(deb: Deb) -> None:
    # apt starts hooks in /tmp; dh_python3 drops -I from shebangs in some directories.
    assert deb.read(HOOK).splitlines()[0] == b"#!/usr/bin/python3 -IS"


def test_the_command_is_isolated(deb: Deb) -> None:
    # Its user's ~/.local and PYTHONPATH are not root's.
    link = deb.members[COMMAND]
    assert link.issym()
    assert os.path.normpath(os.path.join("/usr/bin", link.linkname)) == PROGRAM
    assert deb.read(PROGRAM).splitlines()[0] == b"#!/usr/bin/python3 -I"


def test_the_hooks_are_conffiles(control: dict[str, str]) -> None:
    assert sorted(control["conffiles"].split()) == CONFFILES


def test_dpkg_reads_our_configuration_despite_its_rule_about_names() -> None:
    # dpkg(1): names in dpkg.cfg.d consist of alphanumerics, dashes and underscores.
    for path in CONFFILES:
        assert re.fullmatch(r"[A-Za-z0-9_-]+", Path(path).name)


def test_one_version_everywhere(deb: Deb) -> None:
    changelog = (source.top() / "debian/changelog").read_text().splitlines()[0]
    version = deb.field("Version")
    assert changelog.startswith(f"aptkeep ({version}) ")
    init = deb.read(f"{DIST_PACKAGES}aptkeep/__init__.py").decode()
    assert f'__version__ = "{version}"' in init.splitlines()
    (metadata,) = [path for path in deb.members if path.endswith(".dist-info/METADATA")]
    assert email.message_from_bytes(deb.read(metadata))["Version"] == version


def test_it_depends_on_what_it_imports_and_on_nothing_else(deb: Deb) -> None:
    foreign: set[str] = set()
    for path in deb.members:
        if path.endswith(".py"):
            foreign |= _foreign_imports(deb.read(path))
    needed = {BRINGS[name] for name in foreign}
    names = {relation.split()[0] for relation in deb.field("Depends").split(",")}
    assert names == {"apt", "python3:any", *RUN, *needed}


def test_it_asks_for_the_python_that_it_is_written_for(deb: Deb) -> None:
    (metadata,) = [path for path in deb.members if path.endswith(".dist-info/METADATA")]
    floor = email.message_from_bytes(deb.read(metadata))["Requires-Python"]
    assert floor == ">=3.10"
    assert "python3:any (>= 3.10~)" in deb.field("Depends")


def test_maintainer_scripts_leave_homes_and_services_alone(control: dict[str, str]) -> None:
    scripts = {"preinst", "postinst", "prerm", "postrm"} & control.keys()
    assert "postrm" in scripts
    for name in scripts:
        for word in ("/home", "/root", "$HOME", "~", "systemctl", ".local"):
            assert word not in _without_comments(control[name]), f"{word} in {name}"


def test_debian_describes_it_as_it_is(deb: Deb) -> None:
    assert deb.field("Architecture") == "all"
    assert deb.field("Section") == "admin"
    assert "License: MIT" in deb.read("/usr/share/doc/aptkeep/copyright").decode()


def _foreign_imports(code: bytes) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"aptkeep"}


def _without_comments(script: str) -> str:
    return "\n".join(line for line in script.splitlines() if not line.lstrip().startswith("#"))

"""aptkeep-home's .deb, looked into, and its table held against it."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from testbed import source
from testbed.deb import Deb

CONFFILES = [
    "/etc/aptkeep-home/npmrc",
    "/etc/aptkeep-home/pip.conf",
    "/etc/conda/condarc.d/aptkeep-home.yml",
    "/etc/default/aptkeep-home",
    "/etc/profile.d/aptkeep-home.sh",
]
# Somebody else's path: that this package diverts it is for tests/cycle/home to see.
DIVERTED = ["/usr/lib/R/etc/Rprofile.site"]
# What maintainer scripts make, once.
MADE = ["/etc/bash.bashrc", "/etc/npmrc", "/etc/xdg/pip/pip.conf"]
SHARE = "/usr/share/aptkeep-home"
OTHERS = [
    "/usr/lib/ruby/vendor_ruby/rubygems_plugin.rb",
    *(f"{SHARE}/{name}" for name in ("config.site", "environment.sh")),
    *(f"{SHARE}/npm/home", f"{SHARE}/npm/root/.local", f"{SHARE}/npmrc", f"{SHARE}/pip.conf"),
    "/usr/share/fish/vendor_conf.d/aptkeep-home.fish",
]
DOCUMENT = (source.top() / "docs/home.md").read_text()


@pytest.fixture(scope="module")
def deb(aptkeep_home_deb: Path) -> Deb:
    return Deb(aptkeep_home_deb)


@pytest.fixture(scope="module")
def control(deb: Deb, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return deb.control(tmp_path_factory.mktemp("control") / "DEBIAN")


def table() -> list[list[str]]:
    """The rows of the table in docs/home.md, each as its six cells."""
    rows = [line for line in DOCUMENT.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_nothing_lands_where_nobody_looks_for_it(deb: Deb) -> None:
    found = [
        path
        for path in deb.members
        if not path.endswith("/") and not path.startswith("/usr/share/doc/aptkeep-home/")
    ]
    assert sorted(found) == sorted([*CONFFILES, *DIVERTED, *OTHERS])
    assert "/usr/share/doc/aptkeep-home/home.md.gz" in deb.members


def test_everything_belongs_to_root_and_nothing_is_a_program(deb: Deb) -> None:
    for path, member in deb.members.items():
        assert (member.uid, member.gid) == (0, 0), path
        if not member.issym():
            expected = 0o755 if member.isdir() else 0o644
            assert stat.S_IMODE(member.mode) == expected, path


def test_links_lead_where_they_should(deb: Deb) -> None:
    links = {path: member.linkname for path, member in deb.members.items() if member.issym()}
    assert links == {
        f"{SHARE}/npm/home": "/home",
        f"{SHARE}/npmrc": "/etc/aptkeep-home/npmrc",
        f"{SHARE}/pip.conf": "/etc/aptkeep-home/pip.conf",
        f"{SHARE}/npm/root/.local": "../../../../local",
    }


def test_what_can_be_changed_is_a_conffile(control: dict[str, str]) -> None:
    assert sorted(control["conffiles"].split()) == CONFFILES


def test_what_makes_bashs_file_and_what_tells_if_it_was_changed_have_one_text(
    control: dict[str, str],
) -> None:
    text = f"<<'EOF'\n{(source.top() / 'hooks/home/bash.bashrc').read_text()}EOF\n"
    assert text in control["preinst"]
    assert text in control["postrm"]


def test_it_needs_nothing_and_not_aptkeep_either(deb: Deb) -> None:
    assert deb.field("Architecture") == "all"
    assert not deb.field("Depends")
    assert not deb.field("Recommends")


def test_maintainer_scripts_leave_homes_alone(control: dict[str, str]) -> None:
    scripts = {"preinst", "postinst", "prerm", "postrm"}
    assert scripts <= control.keys()
    for name in scripts:
        for word in ("/home", "/root", "$HOME", "~", ".local"):
            code = [line for line in control[name].splitlines() if not line.startswith("#")]
            assert word not in "\n".join(code).replace("aptkeep-home", ""), f"{word} in {name}"


class TestTable:
    def test_it_names_every_file_that_does_something(self) -> None:
        named = {path for row in table() for path in re.findall(r"`(/[^`]+)`", row[3])}
        unnamed = {
            # What leads to the others, or is named in the text.
            "/etc/default/aptkeep-home",
            *(f"{SHARE}/npm/home", f"{SHARE}/npm/root/.local"),
            *(f"{SHARE}/npmrc", f"{SHARE}/pip.conf"),
        }
        others = {"/etc/R/Rprofile.site"}
        assert named - others == {*CONFFILES, *DIVERTED, *MADE, *OTHERS} - unnamed

    def test_each_part_has_its_switch(self) -> None:
        switches = {name for row in table() for name in re.findall(r"`(APTKEEP_\w+)=no`", row[4])}
        settings = (source.top() / "hooks/home/etc/default/aptkeep-home").read_text()
        assert switches == set(re.findall(r"^(\w+)=yes$", settings, re.MULTILINE))
        for tool, _, _, file, switch, wins in table():
            assert bool(file) == bool(switch), tool
            assert wins or "into base" in tool, tool

    def test_each_tool_has_its_row(self) -> None:
        tools = " ".join(row[0] for row in table())
        for name in ("pip", "R:", "BiocManager", "Julia", "conda", "mamba", "npm", "cargo", "go "):
            assert name in tools, name
        for name in ("gem", "./configure", "PATH"):
            assert name in tools, name

"""cargo install, go install, and ./configure && make install."""

from __future__ import annotations

import pytest

from cycle.home.conftest import MakeMachine
from cycle.home.living import login
from testbed import languages
from testbed.fixtures import only_on
from testbed.images import HOME
from testbed.workstation import Workstation

_CRATE = """
mkdir -p tiny/src
printf '[package]\nname = "tiny-say"\nversion = "1.0.0"\n' > tiny/Cargo.toml
echo 'fn main() { println!("cargo says hello"); }' > tiny/src/main.rs
cargo install --quiet --offline --path tiny
"""
_MODULE = """
mkdir tiny
cd tiny
printf 'module example.org/tiny-say\ngo 1.19\n' > go.mod
printf 'package main\nfunc main() { println("go says hello") }\n' > main.go
go install .
"""
_PROJECT = r"""
mkdir tiny
cd tiny
printf 'AC_INIT([tiny-say], [1.0])\nAC_CONFIG_FILES([Makefile])\nAC_OUTPUT\n' > configure.ac
printf 'prefix = @prefix@\ninstall:\n\tinstall -D tiny-say $(DESTDIR)$(prefix)/bin/tiny-say\n' \
    > Makefile.in
printf '#!/bin/sh\necho make says hello\n' > tiny-say
autoconf
"""
TOLD = "configure: no --prefix was given, so 'make install' writes to"


@only_on("trixie")
def test_what_cargo_installs_is_there_after_a_stop(make_machine: MakeMachine) -> None:
    machine = make_machine(languages.rust())
    login(machine, _CRATE)
    machine.stop()
    machine.boot(network=False)
    assert login(machine, "tiny-say").stdout == "cargo says hello\n"
    assert (machine.home / ".cargo/bin/tiny-say").exists()
    # The user's own place is on PATH instead, if the environment names it.
    own = {"CARGO_INSTALL_ROOT": f"{HOME}/mine"}
    login(machine, "cargo install --quiet --offline --path tiny; rm .cargo/bin/tiny-say", env=own)
    assert login(machine, "tiny-say", env=own).stdout == "cargo says hello\n"


@only_on("bookworm")
def test_what_go_installs_is_there_after_a_stop(make_machine: MakeMachine) -> None:
    machine = make_machine(languages.go())
    login(machine, _MODULE)
    machine.stop()
    machine.boot(network=False)
    assert login(machine, "tiny-say").stderr == "go says hello\n"
    assert (machine.home / "go/bin/tiny-say").exists()
    own = {"GOPATH": f"{HOME}/mine:{HOME}/go"}
    login(machine, "cd tiny; go install .; rm ~/go/bin/tiny-say", env=own)
    assert login(machine, "tiny-say", env=own).stderr == "go says hello\n"


@pytest.fixture
def project(make_machine: MakeMachine) -> Workstation:
    """A project with a ./configure script in the user's home."""
    machine = make_machine(languages.shells())
    login(machine, _PROJECT)
    return machine


@only_on("trixie")
def test_what_make_installs_is_there_after_a_stop(project: Workstation) -> None:
    configured = login(project, "cd tiny; ./configure; make install")
    assert configured.stderr == f"{TOLD} {HOME}/.local, in the home, which is kept (aptkeep-home)\n"
    project.stop()
    project.boot(network=False)
    assert login(project, "tiny-say").stdout == "make says hello\n"
    assert login(project, "cd tiny; ./configure --quiet").output == ""


@only_on("trixie")
def test_who_names_a_prefix_gets_it(project: Workstation) -> None:
    said = login(project, "cd tiny; ./configure --prefix=$HOME/mine; make install")
    assert TOLD not in said.output
    assert (project.home / "mine/bin/tiny-say").exists()
    for own in ({"CONFIG_SITE": ""}, {"CONFIG_SITE": "/srv/config.site"}):
        login(project, "cd tiny; ./configure; grep -x 'prefix = /usr/local' Makefile", env=own)


@only_on("trixie")
def test_the_machines_own_configuration_is_read_as_before(project: Workstation) -> None:
    project.write("/usr/local/share/config.site", "echo 'site says hello'\n")
    said = login(project, "cd tiny; ./configure --quiet; grep ^prefix Makefile")
    assert said.lines == ["site says hello", f"prefix = {HOME}/.local"]
    # A package build names a prefix; then autoconf reads what belongs to that.
    assert login(project, "cd tiny; ./configure --quiet --prefix=/usr").output == ""
    project.write("/usr/local/share/config.site", "prefix=/opt/site\n")
    login(project, "cd tiny; ./configure --quiet; grep -x 'prefix = /opt/site' Makefile")


@only_on("trixie")
def test_root_configures_as_before(project: Workstation) -> None:
    argv = ("sh", "-lc", f"cd {HOME}/tiny; ./configure; grep -x 'prefix = /usr/local' Makefile")
    assert TOLD not in project.run(*argv).output
    # Nor does it where the user's environment came along.
    carried = {"CONFIG_SITE": "/usr/share/aptkeep-home/config.site"}
    assert TOLD not in project.run(*argv, env=carried).output

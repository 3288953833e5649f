"""`restore --dry-run` says what would be done and changes nothing at all."""

from __future__ import annotations

from cycle.conftest import MakeImage
from cycle.keeping import add_source, aptkeep, document, install, newest, start
from testbed.fixtures import MakeWorkstation
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

ALPHA, BETA = TinyPackage("alpha", depends="beta"), TinyPackage("beta")
TOOL, TOY = TinyPackage("tool"), TinyPackage("toy")


def everything(machine: Workstation) -> set[str]:
    """Every file of root and home: kind, mode, owner, size, times of content and inode."""
    form = r"%p %y %m %U:%G %s %T@ %C@ %l\n"
    walk = ("find", "/", "/home/bench-user", "-xdev", "-printf", form)
    return set(machine.run(*walk).lines)


def test_dry_run_changes_nothing(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    repository.publish(ALPHA, BETA, TOOL.at("2.0"))
    machine = make_workstation(make_image(TOOL, TOY)).boot()
    start(machine)
    machine.run("dpkg", "--add-architecture", "i386")
    add_source(machine, repository)
    install(machine, "alpha", "tool")
    machine.run("apt-get", "purge", "-qy", "toy")
    machine.run("apt-mark", "hold", "beta", "bash")
    machine.run("rm", "/etc/apt/keyrings/local.asc")
    repository.install_source(machine, "local", key_path="/usr/share/keyrings/local.gpg")
    machine.run("aptkeep", "record")
    machine.stop()

    machine.boot()
    expected = [
        *("add architecture i386", "put back /etc/apt/sources.list.d/local.list"),
        *("put back /usr/share/keyrings/local.gpg", "purge toy"),
        *("install alpha 1.0", "install beta 1.0", "install tool 2.0 (over 1.0)"),
        *("hold bash", "hold beta", "mark beta automatic"),
    ]
    asked = len(repository.requests)
    before = everything(machine)
    assert sorted(aptkeep(machine, "restore", "--dry-run").stdout.splitlines()) == sorted(expected)
    shown = document(machine, "restore", "--dry-run")
    assert everything(machine) - before == set()
    assert len(repository.requests) == asked
    assert shown["dry_run"] is True
    assert len(shown["steps"]) == len(expected)
    assert {"step": "install", "name": "alpha", "version": "1.0"} in shown["steps"]
    assert {"step": "remove", "name": "toy", "purge": True} in shown["steps"]
    assert not machine.exists("/var/lib/aptkeep")

    # After the start, with lists and all: nothing to do, and still nothing changes.
    start(machine)
    wanted = newest(machine)["generation"]
    machine.run("apt-get", "purge", "-qy", "alpha")
    repository.publish(ALPHA.at("2.0"), BETA)
    machine.run("apt-get", "update", "-q")
    machine.run("apt-get", "clean")
    before = everything(machine)
    assert aptkeep(machine, "restore", "--dry-run").stdout == "Nothing to do.\n"
    assert "install alpha 2.0 (recorded: 1.0)" in (
        aptkeep(machine, "restore", "--dry-run", "--generation", str(wanted)).stdout
    )
    assert everything(machine) - before == set()

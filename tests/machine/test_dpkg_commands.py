"""Changing a root with dpkg."""

from __future__ import annotations

import fcntl
import textwrap

import pytest

from machine.probe import ask
from testbed.workstation import Workstation

_BEGIN = """\
from aptkeep.errors import AptkeepError
from aptkeep.machine.apt.archive import Archive
from aptkeep.machine.transaction import Transaction
from aptkeep.model import Selection
paths = configuration.paths
commands = Transaction(configuration, None).dpkg
"""
AVAILABLE = "/var/lib/dpkg/available"
FOUND = {
    "absent": None,
    "empty": b"",
    "with content": b"Package: something\nVersion: 1\nArchitecture: all\nDescription: x\n\n",
}


def selections(machine: Workstation) -> dict[str, str]:
    lines = machine.run("dpkg", "--get-selections", "*").lines  # without *: of what is there
    return {line.split()[0]: line.split()[1] for line in lines}


def prepare_available(machine: Workstation, found: str) -> bytes | None:
    content = FOUND[found]
    machine.run("rm", "-f", AVAILABLE)
    if content is not None:
        machine.write(AVAILABLE, content)
    return content


def assert_available(machine: Workstation, content: bytes | None) -> None:
    """As it was; dpkg itself makes no difference between an empty file and none."""
    if content:
        assert machine.read_bytes(AVAILABLE) == content
        assert machine.stat(AVAILABLE).st_mode & 0o777 == 0o644
    else:
        assert not machine.exists(AVAILABLE) or machine.read_bytes(AVAILABLE) == b""


@pytest.mark.parametrize("found", FOUND)
def test_set_selections_leaves_available_as_it_was(machine: Workstation, found: str) -> None:
    content = prepare_available(machine, found)
    script = """
        wanted = {"many:all": Selection.INSTALL, "loose:all": Selection.PURGE}
        archive = Archive(configuration.architecture)
        commands.set_selections(wanted, archive.paragraphs({"many": "2.0"}))
        answer = None
    """
    ask(machine, _BEGIN + textwrap.dedent(script))
    assert_available(machine, content)
    assert selections(machine)["many"] == "install"
    assert selections(machine)["loose"] == "purge"
    assert not machine.exists("/var/lib/aptkeep/available")


def test_dpkg_ignores_what_it_does_not_know(machine: Workstation) -> None:
    """The fact that all this is for: it exits 0 and does nothing."""
    machine.run("dpkg", "--set-selections", input="many install\n")
    assert "many" not in selections(machine)


@pytest.mark.parametrize("found", FOUND)
def test_available_is_put_back_where_dpkg_fails(machine: Workstation, found: str) -> None:
    content = prepare_available(machine, found)
    script = """
        try:
            commands.set_selections({"many:all": Selection.INSTALL}, "no paragraph at all")
            answer = "no error"
        except AptkeepError as error:
            answer = error.one_line()
    """
    said = ask(machine, _BEGIN + textwrap.dedent(script))
    assert "dpkg --merge-avail failed" in said
    assert_available(machine, content)


@pytest.mark.parametrize("found", FOUND)
def test_available_is_put_back_after_a_crash(machine: Workstation, found: str) -> None:
    """The next restore does it, before anything else."""
    content = prepare_available(machine, found)
    machine.write("/var/lib/aptkeep/available", content or b"")
    machine.write(AVAILABLE, "Package: ours\nVersion: 1\n")
    ask(machine, _BEGIN + "commands.recover_available()\nanswer = None")
    assert_available(machine, content)
    assert not machine.exists("/var/lib/aptkeep/available")


def test_hold_and_unhold(machine: Workstation) -> None:
    script = """
        known = Transaction(configuration, None).packages()
        commands.hold({"lib": True, "nobody": True}, known, configuration.architecture)
        answer = None
    """
    ask(machine, _BEGIN + textwrap.dedent(script))
    assert machine.run("apt-mark", "showhold").lines == ["lib", "nobody"]
    script = script.replace("True", "False")
    ask(machine, _BEGIN + textwrap.dedent(script))
    assert machine.run("apt-mark", "showhold").lines == []
    assert selections(machine)["lib"] == "install"
    assert "nobody" not in machine.run("dpkg-query", "-W").stdout


def test_apt_sees_a_hold_at_once(machine: Workstation) -> None:
    """apt takes its cache for good by size and second of the status file: a swap keeps both."""
    machine.run("apt-mark", "hold", "lib")
    script = """
        known = Transaction(configuration, None).packages()
        swap = {"lib": False, "exim": True, "held": False}
        commands.hold(swap, known, configuration.architecture)
        answer = None
    """
    machine.run("apt-mark", "showhold")
    ask(machine, _BEGIN + textwrap.dedent(script))
    assert machine.run("apt-mark", "showhold").lines == ["exim"]


def test_architectures(machine: Workstation) -> None:
    script = """
        commands.add_architecture("arm64")
        commands.add_architecture("armhf")
        commands.remove_architecture("arm64")
        try:
            commands.remove_architecture("i386")
            answer = "no error"
        except AptkeepError as error:
            answer = error.one_line()
    """
    machine.run("apt-get", "install", "-qy", "foreign:i386")
    said = ask(machine, _BEGIN + textwrap.dedent(script))
    assert "the architecture i386 was not removed" in said
    assert machine.run("dpkg", "--print-foreign-architectures").lines == ["i386", "armhf"]


@pytest.mark.parametrize("lock", ["lock-frontend", "lock"])
def test_lock_of_another_dpkg_is_waited_for(machine: Workstation, lock: str) -> None:
    script = """
        from dataclasses import replace
        commands = replace(commands, lock_timeout=given["seconds"])
        try:
            commands.wait_until_free()
            answer = "free"
        except AptkeepError as error:
            answer = [error.exit_code, error.brief]
    """
    with (machine.root / f"var/lib/dpkg/{lock}").open("r+") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        locked = ask(machine, _BEGIN + textwrap.dedent(script), seconds=0.2)
        assert locked == [4, "apt or dpkg is at work"]
    assert ask(machine, _BEGIN + textwrap.dedent(script), seconds=0.2) == "free"

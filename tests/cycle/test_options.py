"""Options, where the home is, what is never kept, and the exit codes."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from cycle.keeping import (
    add_source,
    aptkeep,
    document,
    generations,
    install,
    installed,
    newest,
    next_boot,
    put_deb,
    said,
    start,
    wishes,
)
from testbed.fixtures import MakeWorkstation
from testbed.images import Image
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

ALPHA = TinyPackage("alpha")


@pytest.mark.parametrize("place", ["before the command", "after the command"])
def test_home_given_with_an_option(machine: Workstation, place: str) -> None:
    option = ["-o", "Aptkeep::Home=/srv/elsewhere"]
    machine.run("mkdir", "/srv/elsewhere")
    machine.run("dpkg", "-i", put_deb(machine, ALPHA))
    machine.run("apt-mark", "hold", "alpha")

    def there(command: str, *more: str) -> str:
        words = (
            [*option, command, *more] if place.startswith("before") else [command, *more, *option]
        )
        return aptkeep(machine, *words).stdout

    there("record")
    assert machine.exists("/srv/elsewhere/.local/share/aptkeep/generations/000001.json")
    assert json.loads(there("status", "--json"))["home"] == "/srv/elsewhere"
    assert "alpha  hold 1.0, manual" in there("show")
    assert newest(machine)["packages"]["alpha"]["selection"] == "install"


def test_home_and_store_from_the_configuration(machine: Workstation) -> None:
    settings = 'Aptkeep::Home "/srv/elsewhere";\nAptkeep::Store "kept/by aptkeep";\n'
    machine.write("/etc/apt/apt.conf.d/90home", settings)
    machine.run("install", "-d", "-o", "bench-user", "/srv/elsewhere")
    machine.run("dpkg", "-i", put_deb(machine, ALPHA))
    assert machine.exists("/srv/elsewhere/kept/by aptkeep/generations/000001.json")
    assert machine.stat("/srv/elsewhere/kept").st_uid == 1000
    assert machine.stat("/srv/elsewhere/kept/by aptkeep").st_uid == 0
    assert generations(machine) == []


def test_home_that_is_not_there(machine: Workstation) -> None:
    refused = aptkeep(machine, "start", "-o", "Aptkeep::Home=/srv/missing", code=2)
    assert "the home /srv/missing is not there" in refused.stderr


def test_several_homes(make_workstation: MakeWorkstation, local_image: Image) -> None:
    """The one that is a mount of its own is meant; without one, it has to be named."""
    machine = make_workstation(local_image).boot()
    machine.run("useradd", "--create-home", "second")
    start(machine)
    machine.run("dpkg", "-i", put_deb(machine, ALPHA))
    assert wishes(machine).keys() == {"alpha"}
    machine.run("umount", "/home/bench-user")
    refused = aptkeep(machine, "status", code=2)
    assert "/home/bench-user, /home/second" in refused.stderr
    assert "Aptkeep::Home" in refused.stderr
    # apt works, and says it in one line.
    (line,) = said(machine.run("dpkg", "-P", "alpha"))
    assert "several homes could be meant" in line


def test_home_of_mode_0700(
    make_workstation: MakeWorkstation, local_image: Image, repository: Repository, scratch: Path
) -> None:
    repository.publish(ALPHA)
    machine = make_workstation(local_image).boot()
    machine.home.chmod(0o700)
    start(machine)
    add_source(machine, repository)
    install(machine, "alpha")
    next_boot(machine)
    assert "alpha" in installed(machine)
    assert machine.home.stat().st_mode & 0o777 == 0o700
    made = [machine.home / ".local", machine.home / ".local/share"]
    assert {path.stat().st_uid for path in made} == {1000}
    assert (machine.home / ".local/share/aptkeep").stat().st_uid == 0


def test_strict_umask_keeps_the_store_readable(machine: Workstation) -> None:
    """Its user looks at it with `aptkeep status`, whatever root's umask was."""
    machine.sh(f"umask 077; dpkg -i {put_deb(machine, ALPHA)}; aptkeep record")
    assert "alpha" in aptkeep(machine, "show", user="bench-user").stdout
    found = machine.run("find", "/home/bench-user", "!", "-perm", "-444").lines
    assert found == []


def test_excluded_packages_are_neither_kept_nor_restored(
    machine: Workstation, repository: Repository
) -> None:
    secret, secretive = TinyPackage("secret-tool"), TinyPackage("not-secret", depends="secret-tool")
    repository.publish(secret, secretive, ALPHA)
    machine.write(
        "/etc/apt/apt.conf.d/90exclude", 'Aptkeep::Exclude { "^secret-"; "^b[a]sh$"; };\n'
    )
    add_source(machine, repository)
    install(machine, "secret-tool", "alpha")
    machine.run("apt-mark", "hold", "bash", "dash")
    aptkeep(machine, "record")
    assert wishes(machine).keys() == {"alpha", "dash"}
    machine.run("rm", "/etc/apt/apt.conf.d/90exclude")
    machine.run("apt-mark", "unhold", "bash")
    install(machine, "not-secret")
    assert wishes(machine).keys() == {"alpha", "dash", "not-secret"}
    # Wanted from before, excluded by now: it stays wanted, and is left alone.
    machine.stop()
    machine.boot()
    machine.write("/etc/apt/apt.conf.d/90exclude", 'Aptkeep::Exclude { "^alpha$"; };\n')
    start(machine)
    assert "alpha" not in installed(machine)
    assert "not-secret" in installed(machine)
    machine.stop(record=True)
    assert wishes(machine).keys() == {"alpha", "dash", "not-secret"}


# -- exit codes -------------------------------------------------------------------------------


def test_exit_codes_0_and_1(used: Workstation, repository: Repository) -> None:
    for command in ("start", "restore", "status", "record", "history", "show", "diff"):
        aptkeep(used, command, code=0)
    repository.publish()
    next_boot(used, code=1)
    for command in ("restore", "status"):
        aptkeep(used, command, code=1)
    for command in ("record", "history"):
        aptkeep(used, command, code=0)


WRONG = [
    *(["unknown"], ["start", "--unknown"], ["show", "none"]),
    ["-o", "nonsense", "status"],
    ["-o", "Aptkeep::Trust=nobody", "status"],
    ["-o", "Aptkeep::Restore::Versions=oldest", "status"],
    ["-o", "Aptkeep::Store=/etc", "status"],
    ["-o", "Aptkeep::Store=../x", "status"],
    ["-o", "Aptkeep::Hook::Timeout=soon", "status"],
    ["-o", "Aptkeep::Exclude::=(", "status"],
]


def test_exit_code_2_for_wrong_usage(machine: Workstation) -> None:
    for arguments in WRONG:
        result = aptkeep(machine, *arguments, code=2)
        assert result.stdout == ""
        assert "Traceback" not in result.stderr


def test_exit_code_2_is_never_apts(machine: Workstation) -> None:
    """A setting that can't be costs nobody an apt run."""
    machine.write("/etc/apt/apt.conf.d/90wrong", 'Aptkeep::Trust "nobody";\n')
    result = machine.run("apt-get", "install", "-qy", put_deb(machine, ALPHA))
    (line,) = said(result)
    assert 'Aptkeep::Trust is "nobody"' in line


def test_exit_code_3_for_a_store_that_is_not_trusted(machine: Workstation) -> None:
    machine.run("dpkg", "-i", put_deb(machine, ALPHA))
    machine.run("chmod", "777", "/home/bench-user/.local/share/aptkeep")
    for command in (
        ["start"],
        ["restore"],
        ["record"],
        ["status"],
        ["history"],
        ["forget", "alpha"],
    ):
        result = aptkeep(machine, *command, code=3)
        assert "is not trusted" in result.stderr


@pytest.mark.parametrize(
    "lock",
    ["var/lib/aptkeep/lock", "home/bench-user/.local/share/aptkeep", "var/lib/dpkg/lock-frontend"],
)
def test_exit_code_4_where_a_lock_is_not_free_in_time(used: Workstation, lock: str) -> None:
    """Another aptkeep on this machine, one on another machine with this home, apt or dpkg."""
    used.run("apt-mark", "hold", "alpha")
    recorded = newest(used)
    if "dpkg" in lock:
        aptkeep(used, "record")
        recorded = newest(used)
        used.stop()
        used.boot()
    patience = ("-o", "DPkg::Lock::Timeout=0")
    held = os.open(used.root / lock, os.O_RDONLY)
    try:
        if "dpkg" in lock:
            fcntl.lockf(held, fcntl.LOCK_SH)
        else:
            fcntl.flock(held, fcntl.LOCK_EX)
        result = aptkeep(used, "start", *patience, code=4)
        assert "0 seconds" in result.stderr
        if "dpkg" not in lock:
            aptkeep(used, "record", *patience, code=4)
    finally:
        os.close(held)
    assert newest(used) == recorded
    start(used)
    assert "alpha" in installed(used)


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "2>&-", "2>/dev/full"])
def test_start_where_nobody_can_be_told(fresh: Workstation, closed: str) -> None:
    """Whatever starts a machine may have closed what a terminal would be."""
    result = fresh.sh(f"aptkeep start {closed}", check=False)
    assert result.returncode == 0
    assert document(fresh, "status")["pending"] == []

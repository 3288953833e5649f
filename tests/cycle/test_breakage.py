"""However broken aptkeep or its store is, apt works; what must be said is said in one line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from cycle.conftest import Prepare
from cycle.keeping import (
    aptkeep,
    document,
    installed,
    newest,
    put_deb,
    said,
    start,
    store,
    wishes,
)
from testbed.packages import TinyPackage
from testbed.workstation import Workstation

ALPHA, BETA, GAMMA = (TinyPackage(name) for name in ("alpha", "beta", "gamma"))
HOME = "/home/bench-user"
IN_HOME = f"{HOME}/.local/share/aptkeep"
NEWEST = f"$(ls {IN_HOME}/generations/*.json | tail -n 1)"
LIBRARY = "/usr/lib/python3/dist-packages/aptkeep"


def install_deb(machine: Workstation, package: TinyPackage) -> list[str]:
    """`apt-get install` of a file, which has to exit 0; what aptkeep said, line by line."""
    result = machine.run("apt-get", "install", "-qy", put_deb(machine, package))
    assert package.name in installed(machine)
    return said(result)


PAST = ["apt-get install -qy alpha", "apt-get install -qy beta"]


@pytest.fixture
def used(prepare: Prepare) -> Workstation:
    """alpha is wanted in the last but one generation, beta in the last, too."""
    return prepare(ALPHA, BETA, commands=PAST)


@pytest.fixture
def restorable(prepare: Prepare) -> Workstation:
    """The same, on a fresh root."""
    return prepare(ALPHA, BETA, commands=PAST, fresh=True)


# -- the package ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ("apt-get", "remove", "-qy", "aptkeep"),
        ("apt-get", "purge", "-qy", "aptkeep"),
        ("dpkg", "--remove", "aptkeep"),
        ("dpkg", "--purge", "aptkeep"),
    ],
    ids=" ".join,
)
def test_aptkeep_is_removed(used: Workstation, command: tuple[str, ...]) -> None:
    kept = newest(used)
    assert said(used.run(*command)) == []
    assert "aptkeep" not in installed(used)
    assert install_deb(used, GAMMA) == []
    for more in (["dpkg", "-P", "gamma"], ["apt-get", "update"]):
        assert used.run(*more).stderr == ""
    # The home is its user's, and what was kept stays there.
    assert newest(used) == kept
    purged = "purge" in command[0] + command[1]
    assert used.exists("/var/lib/aptkeep") != purged
    assert used.exists("/etc/apt/apt.conf.d/80aptkeep") != purged
    assert used.exists("/etc/dpkg/dpkg.cfg.d/aptkeep") != purged


def test_removing_aptkeep_is_not_recorded(used: Workstation) -> None:
    used.run("apt-get", "remove", "-qy", "aptkeep")
    used.stop()
    used.boot()
    assert "aptkeep" in installed(used)
    assert wishes(used).keys() == {"alpha", "beta"}


@dataclass(frozen=True)
class Breakage:
    """How something breaks, and what a hook says then; None: nothing."""

    script: str
    says: str | None
    kept: bool = False
    """Whether a change is kept all the same."""


PROGRAM = {
    "its Python package is gone": Breakage(f"rm -r {LIBRARY}", "No module named 'aptkeep'"),
    "half of its Python package is gone": Breakage(
        f"rm -r {LIBRARY}/machine", "No module named 'aptkeep.machine'"
    ),
    "a module of it is garbage": Breakage(f"echo '(' > {LIBRARY}/record.py", "SyntaxError"),
    "apt_pkg is gone": Breakage(
        "rm /usr/lib/python3/dist-packages/apt_pkg.*", "No module named 'apt_pkg'"
    ),
    "the hook is gone": Breakage("rm -r /usr/libexec/aptkeep", None),
    "the hook can't be run": Breakage("chmod -x /usr/libexec/aptkeep/hook", None),
    "Python is gone": Breakage("rm /usr/bin/python3*", None),
}


@pytest.mark.parametrize("broken", PROGRAM)
def test_program_is_broken(used: Workstation, broken: str) -> None:
    used.run("sh", "-ec", PROGRAM[broken].script)
    lines = install_deb(used, GAMMA)
    expected = PROGRAM[broken].says
    assert len(lines) == (1 if expected else 0)
    assert expected is None or expected in lines[0]
    used.run("dpkg", "-P", "gamma")
    assert wishes(used).keys() == {"alpha", "beta"}


# -- the store --------------------------------------------------------------------------------

STORES = {
    "the newest generation is torn": Breakage(
        f"truncate -s 100 {NEWEST}", "json is damaged", kept=True
    ),
    "the newest generation is empty": Breakage(f": > {NEWEST}", "json is damaged", kept=True),
    "the newest generation is garbage": Breakage(
        f"head -c 4096 /dev/urandom > {NEWEST}",
        "json is damaged",
        kept=True,
    ),
    "a word of the newest generation was altered": Breakage(
        f"sed -i s/alpha/omega/ {NEWEST}",
        "json is damaged: its checksum does not match",
        kept=True,
    ),
    "all generations are torn": Breakage(
        f"truncate -s 100 {IN_HOME}/generations/*.json", "no generation in .* is whole"
    ),
    "a generation of the future": Breakage(
        f'sed -i \'s/"schema": 1/"schema": 2/\' {NEWEST}',
        "has schema 2; this aptkeep knows 1",
    ),
    "the home is read-only": Breakage(f"mount -o remount,bind,ro {HOME}", "Read-only file system"),
    "the home is gone": Breakage(f"umount {HOME} && rmdir {HOME}", "has a home"),
    "the store is a link": Breakage(
        f"mv {IN_HOME} /srv/store && ln -s /srv/store {IN_HOME}", "it is a link or a file"
    ),
    "the store is a file": Breakage(
        f"rm -r {IN_HOME} && touch {IN_HOME}", "it is a link or a file"
    ),
    "the store is the user's": Breakage(f"chown 1000:1000 {IN_HOME}", "it belongs to uid 1000"),
    "others may write to the store": Breakage(f"chmod 777 {IN_HOME}", "others may write to it"),
    "a generation is the user's": Breakage(f"chown 1000:1000 {NEWEST}", "it belongs to uid 1000"),
    "its generations are a file": Breakage(
        f"rm -r {IN_HOME}/generations && touch {IN_HOME}/generations", "it is a link or a file"
    ),
}


@pytest.mark.parametrize("broken", STORES)
def test_store_is_broken(used: Workstation, broken: str) -> None:
    breakage = STORES[broken]
    used.run("sh", "-ec", breakage.script)
    lines = install_deb(used, GAMMA)
    assert len(lines) == 1
    assert breakage.says is not None
    assert re.search(breakage.says, lines[0]), lines[0]
    if breakage.kept:
        # What the damaged generation held and this root still has is not lost with it.
        assert wishes(used).keys() == {"alpha", "beta", "gamma"}
    # Nothing is left to be recorded once it's gone again.
    assert said(used.run("dpkg", "-P", "gamma")) == []


def test_home_is_not_mounted(used: Workstation) -> None:
    """Its directory is there, but it's the root's."""
    used.run("umount", HOME)
    install_deb(used, GAMMA)
    assert wishes(used).keys() == {"alpha", "beta"}


def test_change_is_kept_once_the_home_can_be_written_again(used: Workstation) -> None:
    used.run("mount", "-o", "remount,bind,ro", HOME)
    (line,) = install_deb(used, GAMMA)
    assert "this change was not recorded" in line
    assert "aptkeep record" in line
    used.run("mount", "-o", "remount,bind,rw", HOME)
    aptkeep(used, "record")
    assert wishes(used).keys() == {"alpha", "beta", "gamma"}


@pytest.mark.parametrize("lost", ["observation.json", "baseline.json"])
def test_what_aptkeep_knows_of_this_root_is_torn(used: Workstation, lost: str) -> None:
    used.run("truncate", "-s", "100", f"/var/lib/aptkeep/{lost}")
    assert len(install_deb(used, GAMMA)) <= 1
    assert {"alpha", "beta"} <= wishes(used).keys()


# -- at start ---------------------------------------------------------------------------------

REFUSED = (
    "all generations are torn",
    "a generation of the future",
    "the store is a link",
    "the store is a file",
    "the store is the user's",
    "others may write to the store",
    "a generation is the user's",
    "its generations are a file",
)


@pytest.mark.parametrize("broken", REFUSED)
def test_start_refuses_a_store_that_is_not_trusted_or_not_whole(
    restorable: Workstation, broken: str
) -> None:
    before = installed(restorable)
    restorable.run("sh", "-ec", STORES[broken].script)
    kept = tree(store(restorable))
    result = start(restorable, code=3)
    assert result.stdout == ""
    assert re.search(STORES[broken].says or "", result.stderr)
    assert installed(restorable) == before
    assert not restorable.exists("/etc/apt/sources.list.d/local.list")
    assert tree(store(restorable)) == kept
    for command in (["status"], ["record"]):
        aptkeep(restorable, *command, code=3)
    assert tree(store(restorable)) == kept


def tree(path: Path) -> list[tuple[str, int, int, int]]:
    found = sorted([path, *path.rglob("*")]) if path.exists() else []
    status = [(str(each), each.lstat()) for each in found]
    return [(name, s.st_mode, s.st_size, s.st_mtime_ns) for name, s in status]


def test_start_passes_over_a_torn_newest_generation(restorable: Workstation) -> None:
    torn = newest(restorable)["generation"]
    restorable.run("sh", "-ec", STORES["the newest generation is torn"].script)
    result = start(restorable)
    assert f"{torn:06}.json is damaged" in result.stderr
    assert f"generation {torn - 1} is restored" in result.stdout
    assert "alpha" in installed(restorable)
    assert "beta" not in installed(restorable)
    history = document(restorable, "history")["generations"]
    assert [entry["generation"] for entry in history] == list(range(1, torn + 1))
    assert f"{torn:06}.json is damaged" in history[-1]["damaged"]


def test_start_restores_from_a_read_only_home(restorable: Workstation) -> None:
    restorable.run("mount", "-o", "remount,bind,ro", HOME)
    start(restorable)
    assert {"alpha", "beta"} <= installed(restorable).keys()
    start(restorable)

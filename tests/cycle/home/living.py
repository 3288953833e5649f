"""What the tests of aptkeep-home do again and again: log in, ask, install, purge, compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from testbed import files
from testbed.commands import Result
from testbed.images import HOME, USER
from testbed.workstation import Workstation

DEB = "/root/aptkeep-home.deb"

# All that is in /etc, byte for byte, and who diverts what: kinds, modes, owners, links, contents.
_STATE = r"""
cd /
find etc usr/lib/R/etc usr/share/aptkeep-home -printf '%p %y %m %u %g %l\n' 2>/dev/null | sort
find etc -type f -exec sha256sum {} + | sort -k 2
dpkg-divert --list | sort
"""


def login(
    machine: Workstation,
    script: str,
    *,
    check: bool = True,
    env: Mapping[str, str] | None = None,
) -> Result:
    """What the user types after a login, in the home; it ends at the first failure."""
    return machine.run(
        *("bash", "-lc", f"set -e\n{script}"), user=USER, cwd=HOME, check=check, env=env
    )


def install(machine: Workstation, deb: Path) -> Result:
    """aptkeep-home, as an image build installs it: nobody is there to answer."""
    machine.copy_in(deb, DEB)
    return machine.run("dpkg", "-i", DEB, input="")


def state(machine: Workstation) -> list[str]:
    """The lines of all that aptkeep-home could have changed."""
    return machine.run("sh", "-c", _STATE).lines


def assert_purge_leaves_no_trace(
    machine: Workstation, deb: Path, ask: Callable[[Workstation], object]
) -> None:
    """What the tool says and what /etc holds is after a purge as it was before the installation.

    `ask` answers otherwise while aptkeep-home is there, and after a mere removal as before, too.
    """
    before, answer = state(machine), ask(machine)
    install(machine, deb)
    assert ask(machine) != answer
    machine.run("dpkg", "--remove", "aptkeep-home")
    assert ask(machine) == answer
    install(machine, deb)
    machine.run("dpkg", "--purge", "aptkeep-home")
    assert ask(machine) == answer
    assert state(machine) == before


def empty_home(machine: Workstation) -> None:
    """Nothing of the user is left."""
    for each in machine.home.iterdir():
        files.remove_tree(each)

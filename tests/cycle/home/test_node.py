"""npm install -g."""

from __future__ import annotations

from pathlib import Path

import pytest

from cycle.home.conftest import MakeMachine
from cycle.home.living import assert_purge_leaves_no_trace, login
from testbed import languages
from testbed.fixtures import MakeWorkstation, only_on
from testbed.images import HOME, USER
from testbed.workstation import Workstation

pytestmark = only_on("bookworm")

ARCHIVE = "/srv/tiny-say-1.0.0.tgz"
_PACK = """
mkdir /tmp/tiny-say
cd /tmp/tiny-say
echo '{"name": "tiny-say", "version": "1.0.0", "bin": "say.js"}' > package.json
printf '#!/usr/bin/env node\nconsole.log("npm says hello")\n' > say.js
npm pack --silent --pack-destination /srv
"""
INSTALL = f"npm install --silent -g {ARCHIVE}"


@pytest.fixture
def machine(make_machine: MakeMachine) -> Workstation:
    """npm, aptkeep-home and a package to install."""
    made = make_machine(languages.node())
    made.sh(_PACK)
    return made


def test_what_npm_installs_is_there_after_a_stop(machine: Workstation) -> None:
    login(machine, INSTALL)
    assert (machine.home / ".local/bin/tiny-say").is_symlink()
    machine.stop()
    machine.boot(network=False)
    said = login(machine, "tiny-say; npx --no-install tiny-say; npm ls -g --parseable")
    assert said.lines[:2] == ["npm says hello", "npm says hello"]
    assert said.lines[-1].endswith(f"{HOME}/.local/lib/node_modules/tiny-say")
    login(machine, "npm rm --silent -g tiny-say")
    assert list((machine.home / ".local/bin").iterdir()) == []


def test_no_shell_is_needed(machine: Workstation) -> None:
    machine.run(*INSTALL.split(), user=USER)
    assert (machine.home / ".local/bin/tiny-say").exists()


def test_root_installs_where_it_always_did(machine: Workstation) -> None:
    login(machine, f"sudo {INSTALL}; tiny-say")
    assert machine.exists("/usr/local/lib/node_modules/tiny-say/say.js")
    assert machine.run("ls", "-A", "/root/.local", check=False).returncode != 0
    machine.run("npm", "rm", "--silent", "-g", "tiny-say")
    assert not machine.exists("/usr/local/bin/tiny-say")


@pytest.mark.parametrize(
    "own",
    [
        f"echo prefix={HOME}/mine > .npmrc; {INSTALL}",
        f"npm config set prefix {HOME}/mine; {INSTALL}",
        f"export npm_config_prefix={HOME}/mine; {INSTALL}",
        f"{INSTALL} --prefix {HOME}/mine",
    ],
)
def test_the_users_own_prefix_wins(machine: Workstation, own: str) -> None:
    login(machine, own)
    assert login(machine, "mine/bin/tiny-say").stdout == "npm says hello\n"
    assert not (machine.home / ".local").exists()


def test_purged_it_leaves_npm_as_it_was(
    make_workstation: MakeWorkstation, aptkeep_home_deb: Path
) -> None:
    machine = make_workstation(languages.node()).boot(network=False)

    def ask(machine: Workstation) -> object:
        return login(machine, "npm config get prefix; npm config get globalconfig").output

    assert_purge_leaves_no_trace(machine, aptkeep_home_deb, ask)

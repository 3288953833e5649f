"""What somebody planted in the home is neither followed nor waited for."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from cycle.conftest import Prepare
from cycle.keeping import aptkeep, generations, installed, put_deb, said, start
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

ALPHA, BETA = TinyPackage("alpha"), TinyPackage("beta")
SHARE = "/home/bench-user/.local/share"
STORE = f"{SHARE}/aptkeep"


@dataclass(frozen=True)
class Trap:
    script: str
    code: int = 3
    """How the next start ends."""
    user: str | None = None
    kept: bool = False
    """Whether recording works all the same."""


TRAPS = {
    "a link for a generation": Trap(f"ln -s /srv/victim {STORE}/generations/000009.json"),
    "a fifo for a generation": Trap(f"mkfifo {STORE}/generations/000009.json"),
    "a directory for a generation": Trap(f"mkdir {STORE}/generations/000009.json"),
    "a second link to a generation": Trap(
        f"ln {STORE}/generations/000001.json {STORE}/generations/000009.json"
    ),
    "an endless generation": Trap(
        f"truncate -s 1T {STORE}/generations/000009.json || "
        f"truncate -s 10G {STORE}/generations/000009.json"
    ),
    "a link for the log": Trap(
        f"rm {STORE}/log && ln -s /srv/victim {STORE}/log", code=0, kept=True
    ),
    "a fifo for the log": Trap(f"rm {STORE}/log && mkfifo {STORE}/log", code=0, kept=True),
    "a link for the generations": Trap(
        f"mv {STORE}/generations /srv/g && ln -s /srv/g {STORE}/generations"
    ),
    "a link for .local": Trap("mv .local other && ln -s /srv/victims .local", user="bench-user"),
    "a link for the store": Trap(
        f"mv {STORE} {SHARE}/other && ln -s /srv/victims {STORE}", user="bench-user"
    ),
    "a store of the user's own": Trap(
        f"mv {STORE} {SHARE}/other && cp -r {SHARE}/other {STORE}", user="bench-user"
    ),
    "a store of the user's own with the real generations in it": Trap(
        f"mv {STORE} {SHARE}/other && mkdir {STORE} && ln -s ../other/generations {STORE}/",
        user="bench-user",
    ),
    "a fifo for the store": Trap(f"mv {STORE} {SHARE}/other && mkfifo {STORE}", user="bench-user"),
}


@pytest.fixture
def used(prepare: Prepare) -> Workstation:
    """On a fresh root."""
    return prepare(ALPHA, BETA, commands=["apt-get install -qy alpha"], fresh=True)


@pytest.mark.parametrize("trap", TRAPS)
def test_trap_is_not_stepped_into(used: Workstation, trap: str) -> None:
    planted = TRAPS[trap]
    victims(used)
    before = used.run("sh", "-c", "ls -lR --time-style=full-iso /srv").stdout
    used.run("sh", "-ec", planted.script, user=planted.user, cwd="/home/bench-user")
    if "/srv/g " in planted.script:
        before = used.run("sh", "-c", "ls -lR --time-style=full-iso /srv").stdout
    result = start(used, code=planted.code)
    if planted.code:
        assert "is not trusted" in result.stderr
        assert "alpha" not in installed(used)
    lines = said(used.run("apt-get", "install", "-qy", put_deb(used, BETA), timeout=20))
    assert len(lines) <= 1 if planted.kept else len(lines) == 1
    if planted.kept:
        assert "beta" in generations(used)[-1]["packages"]
    used.run("dpkg", "-P", "beta", timeout=20)
    assert used.run("sh", "-c", "ls -lR --time-style=full-iso /srv").stdout == before
    assert used.read_text("/srv/victim") == "untouched\n"


def victims(machine: Workstation) -> None:
    """Root's files, to which links will lead; the directory would pass for a store."""
    machine.write("/srv/victim", "untouched\n")
    machine.sh(
        "mkdir -p /srv/victims/generations /srv/victims/share/aptkeep/generations; "
        "touch /srv/victims/log"
    )


def test_link_for_the_keyrings_is_not_followed(used: Workstation, repository: Repository) -> None:
    victims(used)
    used.sh(f"mv {STORE}/keyrings /srv/k && ln -s /srv/k {STORE}/keyrings")
    start(used, code=1)
    assert not used.exists("/etc/apt/keyrings/local.asc")
    repository.install_source(used, "more", key_path="/etc/apt/keyrings/more.asc")
    assert "is not trusted" in aptkeep(used, "record", code=3).stderr
    assert len(used.run("ls", "/srv/k").lines) == 1


def test_kept_file_that_is_the_users_is_not_put_back(used: Workstation) -> None:
    used.sh(f"chown bench-user {STORE}/keyrings/*")
    result = start(used, code=1)
    assert "is not trusted" in result.stderr
    assert not used.exists("/etc/apt/keyrings/local.asc")
    assert "alpha" not in installed(used)


def test_store_that_was_moved_away_is_written_anew(used: Workstation) -> None:
    """What is on this root and not of the image is wanted: nothing else is known."""
    start(used)
    used.run("mv", STORE, f"{SHARE}/old", user="bench-user")
    assert said(used.run("apt-get", "install", "-qy", "beta")) == []
    (made,) = generations(used)
    assert made["packages"].keys() == {"alpha", "beta"}
    assert "/etc/apt/sources.list.d/local.list" in made["files"]
    assert aptkeep(used, "record").stdout == "aptkeep: nothing new.\n"


def test_source_signed_by_a_fifo_in_the_home_is_not_waited_for(
    used: Workstation, repository: Repository
) -> None:
    start(used)
    used.run("mkfifo", "/home/bench-user/key.asc", user="bench-user")
    line = repository.source_line("/home/bench-user/key.asc")
    used.write("/etc/apt/sources.list.d/fifo.list", line)
    recorded = aptkeep(used, "record", timeout=20)
    assert "/home/bench-user/key.asc is not kept: it is no regular file" in recorded.stderr


def test_key_in_the_home_that_is_a_link_to_a_secret_is_not_kept(
    used: Workstation, repository: Repository
) -> None:
    """Else its owner could read, in the store, what only root may read."""
    assert repository.key is not None
    start(used)
    used.write("/root/secret.asc", repository.key.public(), 0o600)
    used.run("ln", "-s", "/root/secret.asc", "/home/bench-user/key.asc", user="bench-user")
    line = repository.source_line("/home/bench-user/key.asc")
    used.write("/etc/apt/sources.list.d/link.list", line)
    recorded = aptkeep(used, "record")
    assert "/home/bench-user/key.asc is not kept" in recorded.stderr
    assert "/home/bench-user/key.asc" not in generations(used)[-1]["files"]


def test_control_characters_reach_no_terminal(used: Workstation) -> None:
    start(used)
    used.run("apt-get", "install", "-qy", "-o", "Test::Colour=\x1b[31mred\x07", "beta")
    for command in ("history", "show"):
        shown = aptkeep(used, command).output
        assert "\\x1b[31mred\\x07" in shown
        assert "\x1b" not in shown
    log = (used.home / ".local/share/aptkeep/log").read_text()
    assert "\\x1b[31mred" in log
    assert "\x1b" not in log

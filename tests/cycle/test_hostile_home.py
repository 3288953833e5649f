"""What somebody planted in the home is neither followed nor waited for."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from cycle.keeping import aptkeep, generations, installed, put_deb, said, start
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

NEW = TinyPackage("new")
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


@pytest.mark.parametrize("trap", TRAPS)
def test_trap_is_not_stepped_into(fresh: Workstation, trap: str) -> None:
    planted = TRAPS[trap]
    victims(fresh)
    before = fresh.run("sh", "-c", "ls -lR --time-style=full-iso /srv").stdout
    fresh.run("sh", "-ec", planted.script, user=planted.user, cwd="/home/bench-user")
    if "/srv/g " in planted.script:
        before = fresh.run("sh", "-c", "ls -lR --time-style=full-iso /srv").stdout
    result = start(fresh, code=planted.code)
    if planted.code:
        assert "is not trusted" in result.stderr
        assert "alpha" not in installed(fresh)
    lines = said(fresh.run("apt-get", "install", "-qy", put_deb(fresh, NEW), timeout=20))
    assert len(lines) <= 1 if planted.kept else len(lines) == 1
    if planted.kept:
        assert "new" in generations(fresh)[-1]["packages"]
    fresh.run("dpkg", "-P", "new", timeout=20)
    assert fresh.run("sh", "-c", "ls -lR --time-style=full-iso /srv").stdout == before
    assert fresh.read_text("/srv/victim") == "untouched\n"


def victims(machine: Workstation) -> None:
    """Root's files, to which links will lead; the directory would pass for a store."""
    machine.write("/srv/victim", "untouched\n")
    machine.sh(
        "mkdir -p /srv/victims/generations /srv/victims/share/aptkeep/generations; "
        "touch /srv/victims/log"
    )


def test_link_for_the_keyrings_is_not_followed(fresh: Workstation, repository: Repository) -> None:
    victims(fresh)
    fresh.sh(f"mv {STORE}/keyrings /srv/k && ln -s /srv/k {STORE}/keyrings")
    start(fresh, code=1)
    assert not fresh.exists("/etc/apt/keyrings/local.asc")
    repository.install_source(fresh, "more", key_path="/etc/apt/keyrings/more.asc")
    assert "is not trusted" in aptkeep(fresh, "record", code=3).stderr
    assert len(fresh.run("ls", "/srv/k").lines) == 1


def test_kept_file_that_is_the_users_is_not_put_back(fresh: Workstation) -> None:
    fresh.sh(f"chown bench-user {STORE}/keyrings/*")
    result = start(fresh, code=1)
    assert "is not trusted" in result.stderr
    assert not fresh.exists("/etc/apt/keyrings/local.asc")
    assert "alpha" not in installed(fresh)


def test_store_that_was_moved_away_is_written_anew(fresh: Workstation) -> None:
    """What is on this root and not of the image is wanted: nothing else is known."""
    start(fresh)
    fresh.run("mv", STORE, f"{SHARE}/old", user="bench-user")
    assert said(fresh.run("apt-get", "install", "-qy", put_deb(fresh, NEW))) == []
    (made,) = generations(fresh)
    assert made["packages"].keys() == {"alpha", "beta", "new"}
    assert "/etc/apt/sources.list.d/local.list" in made["files"]
    assert aptkeep(fresh, "record").stdout == "aptkeep: nothing new.\n"


def test_source_signed_by_a_fifo_in_the_home_is_not_waited_for(
    fresh: Workstation, repository: Repository
) -> None:
    start(fresh)
    fresh.run("mkfifo", "/home/bench-user/key.asc", user="bench-user")
    line = repository.source_line("/home/bench-user/key.asc")
    fresh.write("/etc/apt/sources.list.d/fifo.list", line)
    recorded = aptkeep(fresh, "record", code=1, timeout=20)
    assert "/home/bench-user/key.asc is not kept: it is no regular file" in recorded.stderr


def test_key_in_the_home_that_is_a_link_to_a_secret_is_not_kept(
    fresh: Workstation, repository: Repository
) -> None:
    """Else its owner could read, in the store, what only root may read."""
    assert repository.key is not None
    start(fresh)
    fresh.write("/root/secret.asc", repository.key.public(), 0o600)
    fresh.run("ln", "-s", "/root/secret.asc", "/home/bench-user/key.asc", user="bench-user")
    line = repository.source_line("/home/bench-user/key.asc")
    fresh.write("/etc/apt/sources.list.d/link.list", line)
    recorded = aptkeep(fresh, "record", code=1)
    assert "/home/bench-user/key.asc is not kept" in recorded.stderr
    assert "/home/bench-user/key.asc" not in generations(fresh)[-1]["files"]


def test_control_characters_reach_no_terminal(fresh: Workstation) -> None:
    start(fresh)
    fresh.run("apt-get", "install", "-qy", "-o", "Test::Colour=\x1b[31mred\x07", "beta")
    for command in ("history", "show"):
        shown = aptkeep(fresh, command).output
        assert "\\x1b[31mred\\x07" in shown
        assert "\x1b" not in shown
    log = (fresh.home / ".local/share/aptkeep/log").read_text()
    assert "\\x1b[31mred" in log
    assert "\x1b" not in log

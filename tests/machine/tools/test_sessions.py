"""Whose programs are asked, by whom they are run, and what a bad one costs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine.tools.asking import ask, put_aptkeep
from testbed import languages
from testbed.images import HOME, USER
from testbed.workstation import Workstation


@pytest.fixture
def machine(able: None, scratch: Path) -> Iterator[Workstation]:
    """A machine with one tool that answers: pipx."""
    with Workstation(languages.python("trixie"), scratch=scratch) as made:
        yield put_aptkeep(made.boot(network=False))


def test_the_programs_are_the_users_own_and_never_run_as_root(machine: Workstation) -> None:
    """What is in the home, on the user's PATH, by every kind of login; root has its own."""
    fake = '#!/bin/sh\nid -u >> /tmp/ran\necho "$HOME/x/lib/node_modules"\n'
    machine.write(f"{HOME}/bin/npm", fake, 0o755, user=USER)
    machine.write(f"{HOME}/.bashrc", "PATH=~/bin:$PATH\n", user=USER)
    machine.write(f"{HOME}/.bash_profile", "echo hello; . ~/.bashrc\n", user=USER)
    machine.run("sh", "-c", "touch /tmp/ran; chmod 666 /tmp/ran")
    told = ask(machine)
    assert told["npm"].path == f"{HOME}/x/lib/node_modules"
    assert set(machine.read_text("/tmp/ran").split()) == {"1000"}  # noqa: S108

    # A shell in which mamba is a function.
    machine.write(f"{HOME}/bin/mine/micromamba", "#!/bin/sh\necho '{}'\n", 0o755, user=USER)
    machine.write(f"{HOME}/.bash_profile", "export MAMBA_EXE=~/bin/mine/micromamba\n", user=USER)
    assert ask(machine)["micromamba"].trouble == "micromamba can't be asked: {}"

    # A login that leads away from the image's PATH, which other terminals still have.
    machine.write(f"{HOME}/.bash_profile", "PATH=~/bin\n", user=USER)
    told = ask(machine)
    assert told["npm"].path == f"{HOME}/x/lib/node_modules"
    assert told["pipx"].path is not None

    # On root's PATH, and root's own link, but anybody can change what it leads to.
    machine.run("ln", "-s", f"{HOME}/bin/npm", "/usr/local/bin/npm")
    machine.write("/usr/local/bin/conda", f"#!{HOME}/bin/python\n", 0o755)
    told = ask(machine, "root")
    assert told["npm"].path is None
    assert told["npm"].trouble.startswith("others than root can change /usr/local/bin/npm")
    assert told["conda"].trouble.startswith("others than root can change /usr/local/bin/conda")
    assert set(machine.read_text("/tmp/ran").split()) == {"1000"}  # noqa: S108


def test_what_hangs_or_breaks_costs_its_own_answer(machine: Workstation) -> None:
    machine.write("/usr/local/bin/npm", "#!/bin/sh\nsleep 1000 & exec sleep 1000\n", 0o755)
    machine.write("/usr/local/bin/go", "#!/bin/sh\nyes | tr -d '\\n'\n", 0o755)
    machine.write("/usr/local/bin/cargo", "#!/bin/sh\necho no toolchain >&2; exit 1\n", 0o755)
    machine.write(f"{HOME}/.bash_profile", "sleep 1000 &\nexport PIPX_HOME=~/px\n", user=USER)
    before = machine.pids()
    told = ask(machine, seconds=3.0)
    assert told["npm"].trouble == "npm didn't answer in time"
    assert told["go"].trouble == "go didn't answer in time"
    assert told["cargo"].trouble == "cargo can't be asked: no toolchain"
    assert told["pipx"].path == f"{HOME}/px/venvs"
    deadline = time.monotonic() + 10
    while machine.pids() != before:  # nothing is left running, once PID 1 has seen their end
        assert time.monotonic() < deadline
        time.sleep(0.05)

    # A login that never ends, or isn't to be had: then it's asked without.
    machine.run("rm", "/usr/local/bin/npm", "/usr/local/bin/go")
    machine.write(f"{HOME}/.bash_profile", "exec sleep 1000\n", user=USER)
    assert ask(machine, seconds=3.0)["pipx"].path is not None
    machine.write(f"{HOME}/.bash_profile", "exit 7\n", user=USER)
    assert ask(machine)["pipx"].path == f"{HOME}/.local/share/pipx/venvs"
    machine.run("usermod", "--shell", "/usr/sbin/nologin", USER)
    assert ask(machine)["pipx"].path is not None

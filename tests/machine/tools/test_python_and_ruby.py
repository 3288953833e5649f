"""pip, pipx and gem, which decide otherwise in each release of Debian."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aptkeep.machine.tools import Destination
from machine.tools.asking import ask, ask_and_look, login, put, put_aptkeep
from testbed import languages, tiny
from testbed.images import HOME, USER
from testbed.tiny import NAME, SAYS
from testbed.workstation import Workstation

_WHEEL = f"/usr/src/{NAME}-1.0-py3-none-any.whl"
_PIP_INSTALL = f"pip install --no-index {_WHEEL}"


@pytest.fixture
def machine(suite: str, able: None, scratch: Path) -> Iterator[Workstation]:
    """A machine with pip and pipx."""
    with Workstation(languages.python(suite), scratch=scratch) as made:
        put_aptkeep(made.boot(network=False)).write(_WHEEL, tiny.wheel())
        yield made


@pytest.fixture
def rubies(suite: str, able: None, scratch: Path) -> Iterator[Workstation]:
    """A machine with gem, and a gem."""
    with Workstation(languages.ruby(suite), scratch=scratch) as made:
        put(put_aptkeep(made.boot(network=False)), tiny.gem(), "/usr/src/tiny", "root")
        made.run("gem", "build", "-q", f"{NAME}.gemspec", cwd="/usr/src/tiny")
        yield made


def pip_puts(machine: Workstation, told: Destination, command: str = _PIP_INSTALL) -> None:
    assert told.path is not None, told
    module = f"{told.path}/{NAME}.py"
    assert not machine.exists(module)
    login(machine, command, told.user)
    assert machine.exists(module), told


def test_pip_refuses_on_debian_and_a_virtual_environment_mends_it(machine: Workstation) -> None:
    told = ask_and_look(machine)["pip"]
    assert (told.path, told.trouble) == (None, "pip refuses: externally-managed-environment")
    assert "externally-managed-environment" in login(machine, _PIP_INSTALL, check=False)

    inside = f"{told.remedy.partition('  #')[0]} && python3 -m site && "
    login(machine, f"{inside} true")
    activated = {
        "VIRTUAL_ENV": f"{HOME}/.venv",
        "PATH": f"{HOME}/.venv/bin:/usr/local/bin:/usr/bin:/bin",
    }
    # Somebody who isn't root asks in the environment that they have: activated or not.
    told = ask(machine, caller=USER, env=activated)["pip"]
    assert told.path is not None
    assert told.path.startswith(f"{HOME}/.venv/lib/python3")
    pip_puts(machine, told, f". ~/.venv/bin/activate && {_PIP_INSTALL}")
    assert ask(machine, caller=USER)["pip"].path is None


def test_pip_falls_back_to_the_user_site_where_it_may(machine: Workstation) -> None:
    login(machine, "echo 'export PIP_BREAK_SYSTEM_PACKAGES=1' > ~/.profile")
    told = ask(machine)["pip"]
    assert told.path is not None
    assert told.path.startswith(f"{HOME}/.local/lib/python3")
    assert told.remedy == ""
    pip_puts(machine, told)

    machine.write("/etc/pip.conf", "[global]\nbreak-system-packages = true\n")
    told = ask(machine, "root")["pip"]
    assert told.path is not None
    assert told.path.startswith("/usr/local/lib/python3")
    assert told.remedy == "echo 'Aptkeep::Keep { \"/usr/local\"; };' >> /etc/apt/apt.conf.d/90keep"
    pip_puts(machine, told)

    login(machine, "mkdir -p ~/.config/pip; echo '[install]\ntarget = t' > ~/.config/pip/pip.conf")
    told = ask(machine)["pip"]
    assert told.path == f"{HOME}/t"
    pip_puts(machine, told)
    # What refuses, and what can't be had together.
    login(machine, "echo '[install]\nrequire-virtualenv = yes' > ~/.config/pip/pip.conf")
    assert ask(machine)["pip"].trouble == "pip is told to install into virtual environments only"
    assert "virtualenv (required)" in login(machine, _PIP_INSTALL, check=False)
    login(machine, "echo '[install]\nuser = yes\nprefix = p' > ~/.config/pip/pip.conf")
    assert "--user" in ask(machine)["pip"].trouble
    assert "--user" in login(machine, _PIP_INSTALL, check=False)


def test_pip_with_aptkeep_home(machine: Workstation, aptkeep_home_deb: Path) -> None:
    machine.copy_in(aptkeep_home_deb, "/root/home.deb")
    machine.run("dpkg", "-i", "/root/home.deb")
    told = ask(machine)["pip"]
    assert told.path is not None
    assert told.path.startswith(f"{HOME}/.local/lib/python3")
    assert (told.trouble, told.remedy) == ("", "")
    pip_puts(machine, told)


def test_pipx_is_at_home_in_the_home(machine: Workstation) -> None:
    told = ask_and_look(machine)["pipx"]
    assert told.path is not None
    assert told.path.startswith(f"{HOME}/.local/")
    login(machine, f"mkdir -p {told.path}")  # an environment that pipx lists without any network
    login(machine, f"python3 -m venv --without-pip {told.path}/{NAME}")
    assert NAME in login(machine, "pipx list --json", check=False)

    login(machine, "echo 'export PIPX_HOME=/opt/pipx' > ~/.profile")
    told = ask(machine)["pipx"]
    assert (told.path, told.trouble) == (None, f"{USER} can't write in /opt/pipx/venvs")
    login(machine, told.remedy)
    assert ask(machine)["pipx"].path == f"{HOME}/.local/share/pipx/venvs"
    assert ask(machine, "root")["pipx"].path.startswith("/root/.local/")  # type: ignore[union-attr]


def test_gem_goes_where_this_release_lets_it(
    rubies: Workstation, suite: str, aptkeep_home_deb: Path
) -> None:
    install = f"gem install --local --no-document /usr/src/tiny/{NAME}-1.0.gem"
    told = ask_and_look(rubies)["gem"]
    if suite == "bookworm":  # the RubyGems of later releases do of themselves what the remedy says
        assert told.path is None
        assert "/var/lib/gems" in told.trouble
        assert "write permissions" in login(rubies, install, check=False)
        login(rubies, told.remedy)
        told = ask(rubies)["gem"]
    assert told.path is not None
    assert told.path.startswith(f"{HOME}/.local/share/gem/ruby/")
    assert told.remedy == ""
    login(rubies, install)
    assert rubies.exists(f"{told.path}/gems/{NAME}-1.0/bin/{NAME}")

    told = ask(rubies, "root")["gem"]
    assert told.path is not None
    assert told.path.startswith("/var/lib/gems/")
    assert f'Keep {{ "{told.path}"; "/usr/local"; }}' in told.remedy
    login(rubies, install, "root")
    assert rubies.exists(f"{told.path}/gems/{NAME}-1.0/bin/{NAME}")
    assert rubies.run(f"/usr/local/bin/{NAME}").stdout.strip() == SAYS

    login(rubies, "rm -f ~/.gemrc; echo 'export GEM_HOME=/opt/gems' > ~/.profile")
    told = ask(rubies)["gem"]
    assert told.path is None
    login(rubies, told.remedy)
    told = ask(rubies)["gem"]
    assert told.path is not None
    assert told.path.startswith(f"{HOME}/.local/share/gem/ruby/")

    login(rubies, "rm ~/.profile")
    rubies.copy_in(aptkeep_home_deb, "/root/home.deb")
    rubies.run("dpkg", "-i", "/root/home.deb")
    assert ask(rubies)["gem"] == told

"""pip in a virtual environment, through pipx and plain."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from cycle.home.conftest import MakeMachine
from cycle.home.living import assert_purge_leaves_no_trace, empty_home, install, login
from testbed import languages, source
from testbed.fixtures import MakeWorkstation
from testbed.images import HOME, USER
from testbed.workstation import Workstation

REFUSED = "externally-managed-environment"
WHEELS = "/srv/wheels"
# What pip would ask the network for is in Debian's own wheels, with which it makes environments.
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"{WHEELS} /usr/share/python-wheels"}


def wheel(name: str) -> bytes:
    """A wheel with one module and one program, both called NAME."""
    path = Path(f"{name}-1.0.dist-info")
    members = {
        f"{name}.py": f"def main():\n    print('{name} says hello')\n",
        f"{path}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{path}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{path}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
        f"{path}/RECORD": "",
    }
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for member, text in members.items():
            archive.writestr(member, text)
    return content.getvalue()


def put_wheels(machine: Workstation) -> None:
    for name in ("plain", "isolated", "boxed"):
        machine.write(f"{WHEELS}/{name}-1.0-py3-none-any.whl", wheel(name))


@pytest.fixture
def machine(make_machine: MakeMachine, suite: str) -> Workstation:
    """pip, venv and pipx, and aptkeep-home."""
    made = make_machine(languages.python(suite))
    put_wheels(made)
    return made


def test_what_pip_installs_is_there_after_a_stop(machine: Workstation) -> None:
    login(
        machine,
        "pip install plain; python3 -m venv env; env/bin/pip install isolated; pipx install boxed",
        env=OFFLINE,
    )
    machine.stop()
    machine.boot(network=False)
    said = login(machine, "plain; boxed; env/bin/isolated; python3 -c 'import plain; plain.main()'")
    assert said.lines == [
        *("plain says hello", "boxed says hello", "isolated says hello", "plain says hello")
    ]
    # A virtual environment has what was installed there, and nothing else.
    inside = login(machine, "env/bin/python -c 'import plain'", check=False)
    assert "ModuleNotFoundError" in inside.stderr
    login(machine, "pip uninstall -y plain; pipx uninstall boxed", env=OFFLINE)
    assert list((machine.home / ".local/bin").iterdir()) == []


def test_what_is_in_a_users_home_is_not_roots(machine: Workstation) -> None:
    login(machine, "pip install plain", env=OFFLINE)
    for program in (("python3",), ("sudo", "-u", USER, "python3", "-s")):
        run = machine.run(*program, "-c", "import plain", check=False)
        assert "ModuleNotFoundError" in run.stderr, program


def test_the_users_own_setting_wins(machine: Workstation) -> None:
    own = "[global]\nbreak-system-packages = false\n"
    for path in (f"{HOME}/.config/pip/pip.conf", "/etc/pip.conf"):
        machine.write(path, own, user=USER if path.startswith(HOME) else None)
        refused = login(machine, "pip install plain", env=OFFLINE, check=False)
        assert REFUSED in refused.stderr, path
        machine.run("rm", path)
    environment = {**OFFLINE, "PIP_BREAK_SYSTEM_PACKAGES": "0"}
    assert REFUSED in login(machine, "pip install plain", env=environment, check=False).stderr
    login(machine, "pip install --target elsewhere plain", env=OFFLINE)
    assert (machine.home / "elsewhere/plain.py").exists()


def test_root_is_not_refused_either_and_can_have_that_back(machine: Workstation) -> None:
    machine.run("pip", "install", "plain", env=OFFLINE)
    assert machine.run("/usr/local/bin/plain").stdout == "plain says hello\n"
    machine.run("pip", "uninstall", "-y", "plain", env=OFFLINE)
    document = (source.top() / "docs/home.md").read_text()
    (line,) = [line for line in document.splitlines() if "/root/.config/pip/pip.conf" in line]
    machine.sh(line.split("RUN ")[1])
    assert REFUSED in machine.run("pip", "install", "plain", env=OFFLINE, check=False).stderr
    login(machine, "pip install plain", env=OFFLINE)


def test_purged_it_leaves_pip_as_it_was(
    make_workstation: MakeWorkstation, suite: str, aptkeep_home_deb: Path
) -> None:
    machine = make_workstation(languages.python(suite)).boot(network=False)
    put_wheels(machine)

    def ask(machine: Workstation) -> object:
        empty_home(machine)
        tried = login(machine, "pip install plain", env=OFFLINE, check=False)
        return login(machine, "pip config list; echo $PATH").output, tried.returncode

    assert_purge_leaves_no_trace(machine, aptkeep_home_deb, ask)


def test_the_link_is_not_made_anew_once_it_was_removed(
    machine: Workstation, aptkeep_home_deb: Path
) -> None:
    machine.run("rm", "/etc/xdg/pip/pip.conf")
    install(machine, aptkeep_home_deb)
    assert REFUSED in login(machine, "pip install plain", env=OFFLINE, check=False).stderr

"""Where each tool says it would install is where it then does; each remedy does what it says.

With Debian's own packages of the tools. conda and Julia are in `cycle/home`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aptkeep.machine.tools import Destination
from machine.tools.asking import ask, ask_and_look, login, put, put_aptkeep
from testbed import images, languages, tiny
from testbed.images import HOME, USER, Image
from testbed.tiny import NAME
from testbed.workstation import Workstation

_AT = "/usr/src/tiny"


@dataclass(frozen=True)
class Tool:
    """A tool: in which image it is, what it installs with which command, and what comes of it."""

    name: str
    image: Callable[[], Image]
    command: str
    product: str
    """What appears below the destination."""
    files: Mapping[str, str] = field(default_factory=dict)
    archives: Mapping[str, bytes] = field(default_factory=dict)
    refused: str | None = None
    """What the tool itself says to a user on a plain image; None where it installs."""
    remedied: str = ""
    """Where it goes, relative to the home, after the remedy."""
    of_root: str | None = ""
    """Where root's installations go; None where they are refused."""


def _autoconf() -> Image:
    return images.extend(languages.r(), "autoconf", packages=["autoconf"])


TOOLS = (
    Tool(
        "R",
        languages.r,
        f"""Rscript -e 'install.packages("R6", repos = "file://{languages.CRAN}")'""",
        "R6/DESCRIPTION",
        refused="is not writable",
        remedied="R/",
        of_root="/usr/local/lib/R/site-library",
    ),
    Tool(
        "npm",
        languages.node,
        f"npm install --offline --global {_AT}/{NAME}-1.0.0.tgz",
        f"{NAME}/package.json",
        archives={f"{NAME}-1.0.0.tgz": tiny.npm_package()},
        refused="EACCES",
        remedied=".local/lib/node_modules",
        of_root="/usr/local/lib/node_modules",
    ),
    Tool(
        "cargo",
        languages.rust,
        f"cp -r {_AT} /tmp/build && cargo install --offline --path /tmp/build",
        NAME,
        files=tiny.crate(),
        of_root="/root/.cargo/bin",
    ),
    Tool(
        "go",
        languages.go,
        f"cd {_AT} && go install .",
        NAME,
        files=tiny.go_module(),
        of_root="/root/go/bin",
    ),
    Tool(
        "make install",
        _autoconf,
        f"cp -r {_AT} build && cd build && autoconf && ./configure && make install",
        f"bin/{NAME}",
        files=tiny.autoconf_source(),
        refused="Permission denied",
        of_root="/usr/local",
    ),
)


@pytest.fixture(params=TOOLS, ids=lambda tool: tool.name)
def tool(request: pytest.FixtureRequest) -> Tool:
    found = request.param
    assert isinstance(found, Tool)
    return found


@pytest.fixture
def machine(tool: Tool, able: None, scratch: Path) -> Iterator[Workstation]:
    """A booted machine with the tool, aptkeep, and what there is to install."""
    with Workstation(tool.image(), scratch=scratch) as made:
        put_aptkeep(made.boot(network=False))
        put(made, tool.files, _AT, "root")
        for name, content in tool.archives.items():
            made.write(f"{_AT}/{name}", content)
        yield made


def test_where_a_user_installs(machine: Workstation, tool: Tool) -> None:
    told = ask_and_look(machine)[tool.name]
    assert told.user == USER
    if tool.refused is not None:
        assert told.path is None
        assert USER in told.trouble
        assert tool.refused in login(machine, tool.command, check=False)
    else:
        installs_there(machine, tool, told)
        assert told.remedy == ""


def installs_there(
    machine: Workstation, tool: Tool, told: Destination, user: str = USER, command: str = ""
) -> None:
    """A real installation makes the product at the destination that was told."""
    assert told.path is not None, told
    product = f"{told.path}/{tool.product}"
    assert not machine.exists(product)
    login(machine, command or tool.command, user)
    assert machine.exists(product), f"{told} but it isn't there"


BY_NAME = {tool.name: tool for tool in TOOLS}
REFUSED = [tool for tool in TOOLS if tool.refused is not None]


@pytest.mark.parametrize("tool", REFUSED, ids=lambda tool: tool.name)
def test_the_remedy_brings_it_into_the_home(machine: Workstation, tool: Tool) -> None:
    remedy = ask(machine)[tool.name].remedy
    assert remedy.endswith("  # or, for everybody: the package aptkeep-home")
    if tool.name == "make install":  # the remedy takes the place of one command of several
        login(machine, tool.command.replace("./configure", remedy.partition("  #")[0]))
        assert machine.exists(f"{HOME}/.local/{tool.product}")
        return
    login(machine, remedy)
    told = ask(machine)[tool.name]
    assert told.path is not None
    assert told.path.startswith(f"{HOME}/{tool.remedied}")
    assert (told.trouble, told.remedy) == ("", "")
    installs_there(machine, tool, told)


def test_with_aptkeep_home_it_is_the_home(
    machine: Workstation, tool: Tool, aptkeep_home_deb: Path
) -> None:
    machine.copy_in(aptkeep_home_deb, "/root/home.deb")
    machine.run("dpkg", "-i", "/root/home.deb")
    told = ask_and_look(machine)[tool.name]
    assert told.path is not None, told
    assert told.path.startswith(f"{HOME}/")
    assert (told.trouble, told.remedy) == ("", "")
    installs_there(machine, tool, told)
    # It does nothing to root.
    assert ask(machine, "root")[tool.name].path == tool.of_root


def test_where_root_installs(machine: Workstation, tool: Tool) -> None:
    told = ask_and_look(machine, "root")[tool.name]
    assert (told.user, told.path) == ("root", tool.of_root)
    assert told.remedy.startswith("echo 'Aptkeep::Keep {")
    installs_there(machine, tool, told, "root")


# -- what users set, and the programs that they bring


SETTINGS = (
    ("npm", "echo prefix=/home/bench-user/n > ~/.npmrc", f"{HOME}/n/lib/node_modules"),
    (
        "cargo",
        "mkdir ~/.cargo; printf '[install]\\nroot = \"c\"\\n' > ~/.cargo/config.toml",
        "c/bin",
    ),
    ("cargo", "echo 'export CARGO_INSTALL_ROOT=~/i' > ~/.profile", f"{HOME}/i/bin"),
    ("cargo", "echo 'export CARGO_HOME=~/h' > ~/.bash_profile", f"{HOME}/h/bin"),
    ("go", "go env -w GOBIN=/home/bench-user/b", f"{HOME}/b"),
    ("go", "echo 'export GOPATH=~/g:/usr/share/gocode' > ~/.profile", f"{HOME}/g/bin"),
    ("R", "mkdir ~/lib; echo R_LIBS_USER=~/lib > ~/.Renviron", f"{HOME}/lib"),
    ("R", "mkdir ~/lib; echo '.libPaths(\"~/lib\")' > ~/.Rprofile", f"{HOME}/lib"),
    (
        "make install",
        "echo 'prefix=$HOME/p' > ~/site; echo 'export CONFIG_SITE=~/site' > ~/.profile",
        f"{HOME}/p",
    ),
)


@pytest.mark.parametrize(
    ("tool", "setting", "path"),
    [(BY_NAME[name], setting, path) for name, setting, path in SETTINGS],
    ids=[f"{name}: {setting}" for name, setting, _path in SETTINGS],
)
def test_what_users_set_counts(machine: Workstation, tool: Tool, setting: str, path: str) -> None:
    login(machine, setting)
    told = ask(machine)[tool.name]
    assert told.path == (path if path.startswith("/") else f"{HOME}/{path}")
    installs_there(machine, tool, told)


OF_IMAGES = (
    ("npm", "npm_config_prefix=/opt/npm", f"{HOME}/.local/lib/node_modules"),
    ("cargo", "CARGO_INSTALL_ROOT=/opt/cargo", f"{HOME}/.cargo/bin"),
    ("cargo", "CARGO_HOME=/opt/cargo", f"{HOME}/.cargo/bin"),
    ("go", "GOPATH=/opt/go", f"{HOME}/go/bin"),
    ("R", "R_LIBS=/usr/local/lib/R/site-library", f"{HOME}/R/library"),
    ("R", "R_LIBS_USER=/usr/local/lib/R/site-library", f"{HOME}/R/library"),
)


@pytest.mark.parametrize(
    ("tool", "setting", "path"),
    [(BY_NAME[name], setting, path) for name, setting, path in OF_IMAGES],
    ids=[setting for _name, setting, _path in OF_IMAGES],
)
def test_the_remedy_wins_over_what_an_image_sets(
    machine: Workstation, tool: Tool, setting: str, path: str
) -> None:
    machine.write("/etc/profile.d/image.sh", f"export {setting}\n")
    told = ask(machine)[tool.name]
    assert told.path is None
    login(machine, told.remedy)
    assert ask(machine)[tool.name].path == path

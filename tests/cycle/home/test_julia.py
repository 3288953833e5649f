"""Julia: what `Pkg.add` installed is there after a stop, and doctor's words about it are true.

Julia 1.5 of Debian 11, the last release that had it, among the packages of Debian 12.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from machine.tools.asking import ask, ask_and_look, login, put, put_aptkeep
from testbed import commands as host
from testbed import languages
from testbed.images import HOME, USER
from testbed.workstation import Workstation

_SAYS = "a tiny thing says hello"
_UUID = "7876af07-990d-54b4-ab0e-23690620f79a"
_REPOSITORY = "/usr/src/TinyThing.jl"
_PACKAGE = {
    "Project.toml": f'name = "TinyThing"\nuuid = "{_UUID}"\nversion = "1.0.0"\n',
    "src/TinyThing.jl": f'module TinyThing\nhello() = "{_SAYS}"\nend\n',
}
_HELLO = "using TinyThing; println(TinyThing.hello()); println(pathof(TinyThing))"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The package as a repository of git, which is what a registry names."""
    directory = tmp_path / "TinyThing.jl"
    for name, content in _PACKAGE.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    host.run("git", "init", "--quiet", directory)
    host.run("git", "-C", directory, "add", ".")
    me = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    host.run("git", "-C", directory, *me, "commit", "--quiet", "--message", "All of it")
    return directory


def registry(repository: Path) -> dict[str, str]:
    """A registry with the package in it; where there is one, Pkg fetches no other."""
    tree = host.run("git", "-C", repository, "rev-parse", "HEAD^{tree}").stdout.strip()
    return {
        "Registry.toml": (
            'name = "Local"\nuuid = "23338594-aafe-5451-b93e-139f81909106"\nrepo = "none"\n'
            f'[packages]\n{_UUID} = {{ name = "TinyThing", path = "TinyThing" }}\n'
        ),
        "TinyThing/Package.toml": (
            f'name = "TinyThing"\nuuid = "{_UUID}"\nrepo = "{_REPOSITORY}"\n'
        ),
        "TinyThing/Versions.toml": f'["1.0.0"]\ngit-tree-sha1 = "{tree}"\n',
    }


@pytest.fixture
def machine(able: None, scratch: Path, repository: Path) -> Iterator[Workstation]:
    """A machine with Julia, and a package that Pkg can add by name without any network."""
    with Workstation(languages.julia(), scratch=scratch) as made:
        put_aptkeep(made.boot(network=False))
        made.copy_in(repository, _REPOSITORY)
        yield made


def julia(machine: Workstation, script: str, user: str = USER, *, check: bool = True) -> str:
    command = f"JULIA_PKG_SERVER= julia -e '{script}'"
    return login(machine, command, user, check=check)


def test_what_a_user_added_is_there_after_a_stop(machine: Workstation, repository: Path) -> None:
    told = ask_and_look(machine)["Julia"]
    assert (told.path, told.remedy) == (f"{HOME}/.julia", "")
    put(machine, registry(repository), f"{told.path}/registries/Local")
    julia(machine, 'using Pkg; Pkg.add("TinyThing"); using TinyThing')
    assert machine.exists(f"{told.path}/packages/TinyThing")
    asked_again = ask(machine)["Julia"]
    assert asked_again == told

    machine.stop()
    machine.boot(network=False)
    said = julia(machine, _HELLO)
    assert _SAYS in said
    assert f"{told.path}/packages/TinyThing/" in said


def test_what_root_added_is_lost_and_doctor_said_so(machine: Workstation, repository: Path) -> None:
    told = ask(machine, "root")["Julia"]
    assert told.path == "/root/.julia"
    assert told.remedy == (
        "echo 'Aptkeep::Keep { \"/root/.julia\"; };' >> /etc/apt/apt.conf.d/90keep"
    )
    put(machine, registry(repository), f"{told.path}/registries/Local", "root")
    julia(machine, 'using Pkg; Pkg.add("TinyThing")', "root")
    assert machine.exists(f"{told.path}/packages/TinyThing")
    # A depot that an image names, and that its user can't write to.
    login(machine, "echo 'export JULIA_DEPOT_PATH=/opt/depot' > ~/.profile")
    told = ask(machine)["Julia"]
    assert (told.path, told.trouble) == (None, f"{USER} can't write in /opt/depot")
    login(machine, told.remedy)
    assert ask(machine)["Julia"].path == f"{HOME}/.julia"

    machine.stop()
    machine.boot(network=False)
    assert "not found" in julia(machine, _HELLO, "root", check=False)

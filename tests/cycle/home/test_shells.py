"""PATH and CONFIG_SITE in every kind of shell, and what is left alone."""

from __future__ import annotations

import pytest

from cycle.home.conftest import MakeMachine
from testbed import images, languages, source
from testbed.fixtures import only_on
from testbed.images import HOME, USER
from testbed.workstation import Workstation

OURS = [f"{HOME}/.local/bin", f"{HOME}/.cargo/bin", f"{HOME}/go/bin"]
SCRIPT = "/usr/share/aptkeep-home/environment.sh"
SITE = "/usr/share/aptkeep-home/config.site"
SYSTEM = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/games", "/usr/games"]
SWITCHES = "/etc/default/aptkeep-home"
ASK = 'printf \'%s\\n\' "$PATH" "$CONFIG_SITE"'


@pytest.fixture
def machine(make_machine: MakeMachine, suite: str) -> Workstation:
    """Nothing but bash, dash and aptkeep-home."""
    return make_machine(images.base(suite))


def switch_off(machine: Workstation, name: str) -> None:
    machine.sh(f"sed -i 's/^APTKEEP_HOME_{name}=yes$/APTKEEP_HOME_{name}=no/' {SWITCHES}")


def path_of(said: str) -> list[str]:
    """The directories of the first line."""
    return said.splitlines()[0].split(":")


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_login_shell_has_them(machine: Workstation, shell: str) -> None:
    said = machine.run(shell, "-lc", ASK, user=USER)
    assert path_of(said.stdout) == [*OURS, *SYSTEM]
    assert said.lines[1] == SITE
    assert said.stderr == ""


def test_interactive_bash_has_them_without_a_login(machine: Workstation) -> None:
    said = machine.run_tty("bash", "-ic", ASK, user=USER)
    assert path_of(said.stdout)[:4] == [*OURS, "/usr/local/sbin"]
    assert said.stdout.splitlines()[1] == SITE
    # bash's own settings are read, too: it has this prompt from there.
    prompt = machine.run_tty("bash", "-ic", "echo $PS1", user=USER).stdout
    assert r"\u@\h:\w\$" in prompt


def test_shell_in_a_shell_adds_nothing(machine: Workstation) -> None:
    nested = machine.run_tty("bash", "-ic", f"PATH=/opt/mine:$PATH bash -ic '{ASK}'", user=USER)
    directories = path_of(nested.stdout)
    assert directories[0] == "/opt/mine"
    assert all(directories.count(each) == 1 for each in OURS)


def test_nothing_of_it_stays_in_the_shell(machine: Workstation) -> None:
    ours = "compgen -A variable -A function | grep -i aptkeep || true"
    assert machine.run_tty("bash", "-ic", ours, user=USER).stdout == ""


def test_root_has_what_it_had(machine: Workstation) -> None:
    for argv in (("bash", "-lc"), ("sh", "-lc"), ("bash", "-ic"), ("sudo", "-i", "sh", "-c")):
        said = machine.run_tty(*argv, ASK).stdout
        assert ".local" not in said, argv
        assert SITE not in said, argv


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_strict_script_may_read_it(machine: Workstation, shell: str) -> None:
    strict = f". {SCRIPT}; {ASK.replace('$CONFIG_SITE', '${CONFIG_SITE-unset}')}"
    said = machine.run(shell, "-euc", strict, user=USER)
    assert path_of(said.stdout)[:3] == OURS
    homeless = machine.run("env", "-u", "HOME", shell, "-euc", strict, user=USER)
    assert homeless.lines[1:] == ["unset"]
    assert homeless.stderr == ""
    pathless = f"unset PATH; . {SCRIPT}; echo ${{PATH-unset}}"
    assert machine.run(shell, "-euc", pathless, user=USER).stdout == "unset\n"


def test_it_starts_no_process(machine: Workstation) -> None:
    """The user may not have another one: dash's `ulimit -p`."""
    said = machine.run("sh", "-ec", f"ulimit -p 1; . {SCRIPT}; {ASK}", user=USER)
    assert path_of(said.stdout)[:3] == OURS
    assert said.stderr == ""
    refused = machine.run("sh", "-ec", "ulimit -p 1; true | true", user=USER, check=False)
    assert "fork" in refused.stderr


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"CARGO_HOME": "/opt/c"}, [OURS[0], "/opt/c/bin", OURS[2]]),
        (
            {"CARGO_INSTALL_ROOT": "/opt/r", "CARGO_HOME": "/opt/c"},
            [OURS[0], "/opt/r/bin", OURS[2]],
        ),
        ({"GOPATH": "/opt/g:/opt/h"}, [*OURS[:2], "/opt/g/bin"]),
        ({"GOBIN": "/opt/b", "GOPATH": "/opt/g"}, [*OURS[:2], "/opt/b"]),
    ],
)
def test_own_places_are_on_path_instead(
    machine: Workstation, own: dict[str, str], expected: list[str]
) -> None:
    said = machine.run("sh", "-lc", ASK, user=USER, env=own)
    assert path_of(said.stdout)[:3] == expected


def test_own_settings_win(machine: Workstation) -> None:
    machine.write(f"{HOME}/.bashrc", "PATH=/opt/mine CONFIG_SITE=/opt/site\n", user=USER)
    said = machine.run_tty("bash", "-ic", ASK, user=USER).stdout
    assert said.split() == ["/opt/mine", "/opt/site"]
    for site in ("", "/opt/site"):
        said = machine.run("sh", "-lc", ASK, user=USER, env={"CONFIG_SITE": site}).stdout
        assert said.endswith(f"\n{site}\n")


def test_parts_can_be_switched_off(machine: Workstation) -> None:
    switch_off(machine, "PATH")
    said = machine.run("sh", "-lc", ASK, user=USER)
    assert path_of(said.stdout)[0] == "/usr/local/bin"
    assert said.lines[1] == SITE
    switch_off(machine, "CONFIGURE")
    assert machine.run("sh", "-lc", ASK, user=USER).stdout.endswith("\n\n")
    machine.run("rm", SWITCHES)
    assert path_of(machine.run("sh", "-lc", ASK, user=USER).stdout)[:3] == OURS


@only_on("trixie")
class TestOtherShells:
    @pytest.fixture
    def machine(self, make_machine: MakeMachine) -> Workstation:
        """fish and zsh."""
        return make_machine(languages.shells())

    def _fish(self, machine: Workstation, **own: str) -> list[str]:
        ask = "string join : $PATH; echo $CONFIG_SITE"
        said = machine.run("fish", "-c", ask, user=USER, env=own)
        assert said.stderr == ""
        return said.stdout.splitlines()

    def test_fish_has_them(self, machine: Workstation) -> None:
        path, site = self._fish(machine)
        assert path.split(":")[:4] == [*OURS, "/usr/local/sbin"]
        assert site == SITE
        own, _ = self._fish(machine, PATH=path, GOPATH="/opt/g:/opt/h", CARGO_HOME="/opt/c")
        assert own.split(":")[:3] == ["/opt/c/bin", "/opt/g/bin", OURS[0]]
        assert self._fish(machine, CONFIG_SITE="")[1] == ""

    def test_fish_obeys_the_switches_and_leaves_root_alone(self, machine: Workstation) -> None:
        assert ".local" not in machine.run("fish", "-c", "echo $PATH").stdout
        switch_off(machine, "PATH")
        switch_off(machine, "CONFIGURE")
        path, site = self._fish(machine)
        assert ".local" not in path
        assert site == ""

    def test_zsh_has_them_with_the_documented_line(self, machine: Workstation) -> None:
        document = (source.top() / "docs/home.md").read_text()
        (line,) = [line for line in document.splitlines() if "/etc/zsh/zshenv" in line]
        machine.sh(line.strip(" `").partition("RUN ")[2])
        said = machine.run("zsh", "-euc", ASK, user=USER)
        assert path_of(said.stdout)[:3] == OURS
        assert said.lines[1] == SITE
        assert said.stderr == ""
        assert ".local" not in machine.run("zsh", "-c", ASK).stdout
        machine.run("dpkg", "--purge", "aptkeep-home")
        assert (
            machine.run("zsh", "-euc", "echo ${CONFIG_SITE-unset}", user=USER).output == "unset\n"
        )

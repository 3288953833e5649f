"""dpkg alone is recorded as apt is, and a generation says who asked for what."""

from __future__ import annotations

import pytest

from cycle.conftest import MakeImage, Prepare
from cycle.keeping import (
    add_source,
    aptkeep,
    document,
    generations,
    install,
    installed,
    newest,
    next_boot,
    pending,
    put_deb,
    said,
    start,
    wishes,
)
from testbed.fixtures import MakeWorkstation
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

ALPHA = TinyPackage("alpha", conffiles={"/etc/alpha.conf": "a\n"})
BETA = TinyPackage("beta")


@pytest.fixture
def used(prepare: Prepare) -> Workstation:
    """alpha and beta can be had."""
    return prepare(ALPHA, BETA)


def requests(machine: Workstation) -> list[tuple[str, str | None]]:
    recorded = newest(machine)["recorded"]["requests"]
    return [(request["command"], request["user"]) for request in recorded]


def test_dpkg_alone_is_recorded(machine: Workstation) -> None:
    deb = put_deb(machine, ALPHA)
    assert said(machine.run("dpkg", "-i", deb)) == []
    assert wishes(machine)["alpha"] == {"selection": "install", "version": "1.0", "auto": False}
    assert newest(machine)["recorded"]["door"] == "dpkg-post-invoke"
    assert requests(machine) == [(f"dpkg -i {deb}", None)]

    assert said(machine.run("dpkg", "-r", "alpha")) == []
    assert wishes(machine) == {}
    assert requests(machine) == [("dpkg -r alpha", None)]
    machine.run("dpkg", "-P", "alpha")  # nothing of the user's wishes changes any more
    assert len(generations(machine)) == 2
    machine.run("dpkg", "--unpack", deb)
    machine.run("dpkg", "--configure", "-a")
    assert wishes(machine)["alpha"]["version"] == "1.0"
    machine.run("dpkg", "-P", "alpha")
    assert wishes(machine) == {}


def test_dpkg_alone_removes_a_package_of_the_image(
    make_workstation: MakeWorkstation, make_image: MakeImage
) -> None:
    machine = make_workstation(make_image(BETA)).boot()
    start(machine)
    machine.run("dpkg", "-P", "beta")
    assert wishes(machine)["beta"]["selection"] == "purge"
    next_boot(machine)
    assert "beta" not in installed(machine)


def test_package_from_a_file_comes_back_where_a_repository_has_it(
    machine: Workstation, repository: Repository
) -> None:
    machine.run("dpkg", "-i", put_deb(machine, ALPHA), put_deb(machine, BETA))
    repository.publish(ALPHA)
    add_source(machine, repository)
    next_boot(machine, code=1)
    assert installed(machine)["alpha"] == "1.0"
    assert pending(machine) == {"beta": "no repository that answers offers it"}


def test_selections_set_with_dpkg_are_kept_at_the_next_door(machine: Workstation) -> None:
    machine.run("dpkg", "-i", put_deb(machine, ALPHA))
    machine.run("dpkg", "--set-selections", input="alpha hold\ntzdata hold\n")
    aptkeep(machine, "record")
    assert {name: wish["selection"] for name, wish in wishes(machine).items()} == {
        "alpha": "hold",
        "tzdata": "hold",
    }


def test_command_line_and_user_are_in_the_generation(used: Workstation) -> None:
    command = "apt-get install -qy alpha"
    used.run("sudo", *command.split(), user="bench-user")
    assert requests(used) == [(command, "bench-user")]
    assert "apt-get install -qy alpha (bench-user)" in aptkeep(used, "history").stdout
    shown = aptkeep(used, "show").stdout
    assert "apt-get install -qy alpha (bench-user)" in shown

    deb = put_deb(used, BETA)
    used.run("sudo", "dpkg", "-i", deb, user="bench-user")
    assert requests(used) == [(f"dpkg -i {deb}", "bench-user")]
    used.run("sudo", "apt", "purge", "-qy", "beta", user="bench-user")
    assert requests(used) == [("apt purge -qy beta", "bench-user")]
    used.run("sudo", "apt-mark", "hold", "alpha", user="bench-user")
    used.run("sudo", "aptkeep", "record", user="bench-user")
    assert wishes(used)["alpha"]["selection"] == "hold"

    log = (used.home / ".local/share/aptkeep/log").read_text().splitlines()
    assert any(line.endswith(f"at DPkg::Post-Invoke: {command} (bench-user)") for line in log)
    listed = document(used, "history")["generations"]
    assert {"command": command, "user": "bench-user"} in listed[-4]["requests"]


def test_old_requests_are_told_only_once(used: Workstation) -> None:
    install(used, "alpha")
    install(used, "beta")
    assert requests(used) == [("apt-get install -qy beta", None)]
    # Nor does the next root tell what a restore ran.
    next_boot(used)
    used.run("apt-get", "purge", "-qy", "beta")
    assert requests(used) == [("apt-get purge -qy beta", None)]


def test_aptitude_like_frontends_are_recorded(used: Workstation) -> None:
    """Whatever drives libapt ends in the same hooks: here python3-apt, as PackageKit's kin do."""
    used.run("mkdir", "-p", "/var/cache/apt/archives/partial")  # apt-get would make it
    script = "import apt; cache = apt.Cache(); cache['alpha'].mark_install(); cache.commit()\n"
    used.run("/usr/bin/python3", "-c", script)
    assert wishes(used)["alpha"]["version"] == "1.0"

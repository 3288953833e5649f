"""Real packages of Debian's archive: services, triggers, alternatives, debconf."""

from __future__ import annotations

from cycle.keeping import install, next_boot, package_state, pending, said, start, update, wishes
from testbed.workstation import Workstation

# redis-server: a service with a user of its own. vim, nano: alternatives. tzdata: debconf.
# man-db: triggers, debconf. cowsay: perl and its modules. openssh-client: recommends.
PACKAGES = ("redis-server", "vim", "tzdata", "cowsay", "man-db", "nano", "openssh-client")


def test_real_packages_come_back_as_they_were(workstation: Workstation) -> None:
    machine = workstation
    image = package_state(machine)
    start(machine)
    update(machine)
    said_by_hooks = said(install(machine, *PACKAGES))
    machine.run("apt-get", "purge", "-qy", "nano")
    machine.run("apt-mark", "hold", "cowsay")
    machine.run("aptkeep", "record")
    before = package_state(machine)
    assert said_by_hooks == []
    assert len(before.selections) > len(image.selections) + 20
    assert wishes(machine)["xauth"]["auto"]  # recommended by openssh-client

    # From the pool: there's no network now.
    result = next_boot(machine, network=False)
    assert package_state(machine) == before
    assert pending(machine) == {}
    assert result.stderr.splitlines()[0] == "aptkeep: Checking the packages in the pool"

    # What was installed works, and apt has nothing left to do.
    assert machine.run("/usr/games/cowsay", "moo").stdout.count("moo") == 1
    assert machine.run("readlink", "/etc/alternatives/editor").stdout.strip().endswith("vim.basic")
    assert machine.run("id", "-un", "redis").stdout == "redis\n"
    assert machine.run("dpkg", "--audit").stdout == ""
    assert machine.run("apt-get", "check", "-q").returncode == 0
    assert "0 to remove" in machine.run("apt-get", "-s", "autoremove").stdout

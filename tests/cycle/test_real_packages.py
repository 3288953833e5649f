"""Real packages of Debian's archive: services, triggers, alternatives, debconf."""

from __future__ import annotations

import json

from cycle.keeping import (
    document,
    install,
    next_boot,
    package_state,
    pending,
    said,
    start,
    update,
    wishes,
)
from testbed.workstation import Workstation

# redis-server: a service with a user of its own. vim, nano: alternatives. tzdata: debconf.
# man-db: triggers, debconf. cowsay: perl and its modules. openssh-client: recommends.
PACKAGES = ("redis-server", "vim", "tzdata", "cowsay", "man-db", "nano", "openssh-client")
# What their scripts make: configuration through ucf, links to certificates, caches of fonts and of
# types, byte code, accounts and keys.
MAKERS = (
    *("ca-certificates", "fontconfig", "shared-mime-info", "nginx-light", "openssh-server"),
    *("python3-six", "dbus", "make"),
)
PROGRAM = """
#!/bin/sh
echo works
"""
MAKEFILE = """
prefix = /usr/local
install:
\tinstall -D hello.sh $(DESTDIR)$(prefix)/bin/hello
\tinstall -D -m 644 hello.1 $(DESTDIR)$(prefix)/share/man/man1/hello.1
"""


def test_real_packages_come_back_as_they_were(workstation: Workstation) -> None:
    machine = workstation
    image = package_state(machine)
    start(machine)
    update(machine)
    said_by_hooks = said(install(machine, *PACKAGES))
    said_by_hooks += said(install(machine, "--no-install-recommends", *MAKERS))
    machine.run("apt-get", "purge", "-qy", "nano")
    machine.run("apt-mark", "hold", "cowsay")
    machine.run("aptkeep", "record")
    before = package_state(machine)
    assert said_by_hooks == []
    assert len(before.selections) > len(image.selections) + 40
    assert lost(machine) == []
    assert wishes(machine)["xauth"]["auto"]  # recommended by openssh-client

    # From the pool: there's no network now.
    result = next_boot(machine, network=False)
    assert package_state(machine) == before
    assert pending(machine) == {}
    assert lost(machine) == []
    assert result.stderr.splitlines()[0] == "aptkeep: Checking the packages in the pool"

    # What was installed works, and apt has nothing left to do.
    assert machine.run("/usr/games/cowsay", "moo").stdout.count("moo") == 1
    assert machine.run("readlink", "/etc/alternatives/editor").stdout.strip().endswith("vim.basic")
    assert machine.run("id", "-un", "redis").stdout == "redis\n"
    assert machine.run("dpkg", "--audit").stdout == ""
    assert machine.run("apt-get", "check", "-q").returncode == 0
    assert "0 to remove" in machine.run("apt-get", "-s", "autoremove").stdout

    # But nothing brings back what was built here.
    machine.write("/root/hello/Makefile", MAKEFILE)
    machine.write("/root/hello/hello.sh", PROGRAM.lstrip(), 0o755)
    machine.write("/root/hello/hello.1", ".TH HELLO 1\n")
    machine.run("make", "-C", "/root/hello", "install")
    assert machine.run("hello").stdout == "works\n"
    machine.run("rm", "-r", "/root/hello")
    assert lost(machine) == ["/usr/local/bin/hello", "/usr/local/share/man/man1/hello.1"]
    assert make_survives(machine) is False
    machine.write("/etc/apt/apt.conf.d/90keep", 'Aptkeep::Keep { "/usr/local"; };')
    machine.run("aptkeep", "record")
    assert lost(machine) == []
    assert make_survives(machine) is True


def make_survives(machine: Workstation) -> bool:
    """Whether what root installs with make(1) survives, as doctor tells."""
    tools = document(machine, "doctor", code=0 if not lost(machine) else 1)["tools"]
    (make,) = [t for t in tools if t["tool"] == "make install" and t["user"] == "root"]
    assert make["path"] == "/usr/local"
    survives: bool = make["survives"]
    return survives


def lost(machine: Workstation) -> list[str]:
    """What doctor says would be lost: these few files, or whatever else there is."""
    result = machine.run("aptkeep", "doctor", "--json", check=False)
    found = json.loads(result.stdout)["findings"]
    assert {finding["kind"] for finding in found} <= {"files"}, found
    assert result.returncode == (1 if found else 0)
    return sorted(path for finding in found for path in finding["examples"])

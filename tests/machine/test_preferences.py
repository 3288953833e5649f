"""The pins of one run: nothing moves but what is to, and the user's own pins count."""

from __future__ import annotations

from machine.probe import ask
from testbed.workstation import Workstation

_WRITE = """\
import os
from aptkeep.machine.apt import preferences
os.mkdir("/run/pins")
preferences.write("/run/pins", configuration.paths, given["pins"], configuration.architecture)
answer = sorted(os.listdir("/run/pins"))
"""
OPTIONS = ("-o", "Dir::Etc::Preferences=/dev/null", "-o", "Dir::Etc::PreferencesParts=/run/pins")


def candidate(machine: Workstation, name: str, *options: str) -> str:
    lines = machine.run("apt-cache", *options, "policy", name).lines
    return next(line.split()[1] for line in lines if "Candidate:" in line)


def simulated(machine: Workstation, *arguments: str) -> list[str]:
    lines = machine.run("apt-get", *OPTIONS, "-s", "-y", *arguments).lines
    return sorted(line.split()[1] for line in lines if line.startswith("Inst "))


def test_pinned_packages_stay_where_they_are(machine: Workstation) -> None:
    assert simulated(machine, "dist-upgrade") == ["held", "lib"]  # no pins there yet
    ask(machine, _WRITE, pins={"lib": "1.0", "held": "1.0"})
    assert candidate(machine, "lib") == "2.0"
    assert candidate(machine, "lib", *OPTIONS) == "1.0"
    assert simulated(machine, "dist-upgrade") == []
    assert simulated(machine, "install", "plain") == ["plain"]


def test_dependency_that_is_not_pinned_is_upgraded(machine: Workstation) -> None:
    ask(machine, _WRITE, pins={"held": "1.0"})
    assert simulated(machine, "install", "needs-new-lib") == ["lib", "needs-new-lib"]


def test_version_to_install_is_chosen_by_its_pin(machine: Workstation) -> None:
    """An older one than the candidate, and of a foreign architecture, too."""
    ask(machine, _WRITE, pins={"many": "1.0", "foreign:i386": "1.0"})
    assert candidate(machine, "many", *OPTIONS) == "1.0"
    assert candidate(machine, "foreign:i386", *OPTIONS) == "1.0"


def test_pins_of_the_user_are_taken_along(machine: Workstation) -> None:
    machine.write("/etc/apt/preferences", "Package: many\nPin: version 2.0\nPin-Priority: 1001\n")
    machine.write(
        "/etc/apt/preferences.d/plain.pref", "Package: plain\nPin: version *\nPin-Priority: -1\n"
    )
    machine.write(
        "/etc/apt/preferences.d/lib", "Package: lib\nPin: version 2.0\nPin-Priority: 999\n"
    )
    machine.write("/etc/apt/preferences.d/none.bak", "apt does not read it\n")
    machine.run("mkdir", "/etc/apt/preferences.d/directory.pref")
    names = ask(machine, _WRITE, pins={"lib": "1.0"})
    assert names[0] == "00aptkeep"
    assert candidate(machine, "many", *OPTIONS) == "2.0"
    assert candidate(machine, "plain", *OPTIONS) == "(none)"
    # Ours come first: what must not move doesn't, whatever the user's pin says of it.
    assert candidate(machine, "lib", *OPTIONS) == "1.0"
    assert machine.read_text("/run/pins/10user").startswith("Package: many\n")

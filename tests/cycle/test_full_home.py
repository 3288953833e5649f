"""No room in the home: apt works, it's said in one line, and kept once there is room."""

from __future__ import annotations

import pytest

from cycle.keeping import aptkeep, document, installed, put_deb, said
from testbed.packages import TinyPackage
from testbed.workstation import Workstation

ALPHA, BETA = TinyPackage("alpha"), TinyPackage("beta")
HOME = "/home/bench-user"

FULL = {
    "of bytes": ("size=64k", "head -c 1M /dev/zero > filler || true"),
    "of files": ("nr_inodes=16", "n=0; while true > filler$n; do n=$((n+1)); done || true"),
}


@pytest.mark.parametrize("full", FULL)
def test_home_is_full(machine: Workstation, full: str) -> None:
    size, fill = FULL[full]
    options = f"{size},uid=1000,gid=1000,mode=755"
    machine.run("mount", "-t", "tmpfs", "-o", options, "tmpfs", HOME)
    machine.run("dpkg", "-i", put_deb(machine, ALPHA))
    machine.run("bash", "-c", fill, user="bench-user", cwd=HOME)
    result = machine.run("apt-get", "install", "-qy", put_deb(machine, BETA))
    assert "beta" in installed(machine)
    (line,) = said(result)
    assert "this change was not recorded" in line
    assert "there is no room left for" in line
    assert len(said(machine.run("apt-get", "update", "-q"))) <= 1

    # What was kept before is whole, and nothing half written lies beside it.
    kept = machine.run("ls", "-A", f"{HOME}/.local/share/aptkeep/generations").stdout
    assert kept == "000001.json\n"
    assert document(machine, "show")["manifest"]["packages"].keys() == {"alpha"}
    refused = aptkeep(machine, "record", code=3)
    assert "Traceback" not in refused.stderr
    assert "there is no room left for" in refused.stderr

    machine.sh(f"rm {HOME}/filler*")
    aptkeep(machine, "record")
    assert document(machine, "show")["manifest"]["packages"].keys() == {"alpha", "beta"}


def test_kept_by_the_next_door_once_there_is_room(machine: Workstation) -> None:
    size, fill = FULL["of bytes"]
    options = f"{size},uid=1000,gid=1000,mode=755"
    machine.run("mount", "-t", "tmpfs", "-o", options, "tmpfs", HOME)
    machine.run("dpkg", "-i", put_deb(machine, ALPHA))
    machine.run("bash", "-c", fill, user="bench-user", cwd=HOME)
    machine.run("dpkg", "-i", put_deb(machine, BETA))
    machine.run("rm", f"{HOME}/filler")
    machine.run("apt-get", "update", "-q")
    assert document(machine, "show")["manifest"]["packages"].keys() == {"alpha", "beta"}

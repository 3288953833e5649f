"""What would surprise a user: lost copies, wrong settings, growth, going back too far."""

from __future__ import annotations

import json
import shutil
import time

import pytest

from cycle.conftest import MakeImage
from cycle.keep.paths import wanted
from cycle.keeping import aptkeep, generations, next_boot, pending, put_deb, start, store
from testbed.fixtures import MakeWorkstation
from testbed.packages import TinyPackage
from testbed.workstation import Workstation

WEB = TinyPackage(
    "web", "1.0", conffiles={"etc/site/web.conf": "shipped\n", "etc/site/other.conf": "other\n"}
)


def keeping(machine: Workstation, *paths: str, more: str = "") -> None:
    """Have these paths kept, and no others."""
    listed = " ".join(f'"{path}";' for path in paths)
    text = f"#clear Aptkeep::Keep;\nAptkeep::Keep {{ {listed} {more} }};\n"
    machine.write("/etc/apt/apt.conf.d/91keep", text.encode())


def doctor(machine: Workstation, *, code: int) -> str:
    return aptkeep(machine, "doctor", code=code).output


def test_lost_copies_are_told_and_taken_anew(machine: Workstation) -> None:
    machine.write("/opt/vendor/tool", b"1\n")
    machine.write("/opt/vendor/other", b"22\n")
    aptkeep(machine, "record")
    assert "Nothing would be lost" in doctor(machine, code=0)
    for directory in ("files", "trees"):
        shutil.rmtree(store(machine) / directory)
        assert "can't come back" in doctor(machine, code=1)
        aptkeep(machine, "record")
        assert "Nothing would be lost" in doctor(machine, code=0)
    next_boot(machine)
    assert machine.read_text("/opt/vendor/other") == "22\n"


def test_a_path_that_can_not_be_kept_costs_only_itself(machine: Workstation) -> None:
    """Where it's written, everybody is told; packages and the other paths are recorded."""
    machine.run("ln", "-s", "vendor", "/opt/link")
    keeping(machine, "usr/local", "/boot", "/etc/apt", "/opt/*", "/opt/link", "/opt/vendor")
    machine.write("/opt/vendor/tool", b"1\n")
    said = machine.run("apt-get", "install", "-qy", put_deb(machine, TinyPackage("tool")))
    told = ("usr/local", "/boot", "/opt/*", "/opt/link")
    lines = [line.partition(": not kept: ")[0] for line in said.stderr.splitlines()]
    named = {path for line in lines for path in line.removeprefix("aptkeep: ").split(", ")}
    assert named >= set(told)
    assert "/opt/vendor/tool" in wanted(machine)
    again = aptkeep(machine, "record", code=1)
    assert "/boot" in again.output, "who stops a machine can tell, every time"
    assert "/boot" in doctor(machine, code=1)
    next_boot(machine, code=1)
    assert pending(machine).keys() == {"tool"}, "this image keeps no pool"
    assert machine.read_text("/opt/vendor/tool") == "1\n"


def test_a_path_that_is_no_longer_kept_comes_back_as_recorded(machine: Workstation) -> None:
    machine.write("/opt/vendor/tool", b"1\n")
    aptkeep(machine, "record")
    keeping(machine)
    aptkeep(machine, "record")
    assert "/opt/vendor" not in doctor(machine, code=0)
    machine.write("/opt/vendor/tool", b"changed\n")
    assert "/opt/vendor" in doctor(machine, code=1)
    aptkeep(machine, "record")
    next_boot(machine)
    assert machine.read_text("/opt/vendor/tool") == "1\n"


def test_going_back_takes_nothing_of_a_package(machine: Workstation) -> None:
    """What a package brought, and the user edited or deleted, isn't the user's to take away."""
    machine.run("apt-get", "install", "-qy", put_deb(machine, WEB))
    aptkeep(machine, "record")
    number = len(generations(machine))
    machine.sh("echo mine >> /etc/site/web.conf; rm /etc/site/other.conf; echo new > /etc/site/new")
    aptkeep(machine, "record")
    aptkeep(machine, "rollback", str(number), code=1)
    assert machine.read_text("/etc/site/web.conf") == "shipped\nmine\n"
    assert not machine.exists("/etc/site/new")
    reasons = pending(machine)
    assert reasons.keys() == {"/etc/site/web.conf", "/etc/site/other.conf"}
    assert all("next fresh root" in reason for reason in reasons.values())
    next_boot(machine, code=1)  # its .deb is nowhere: this image keeps no pool
    assert pending(machine).keys() == {"web"}


@pytest.mark.parametrize("door", ["record", "apt"])
def test_the_store_does_not_grow_without_bounds(machine: Workstation, door: str) -> None:
    """The oldest generations go when all contents together are over the bound."""
    keeping(machine, "/opt/vendor", more='Max-Size "1M";')
    for number in range(5):
        machine.write("/opt/vendor/large", bytes([number]) * 300_000)
        if door == "record":
            aptkeep(machine, "record")
        else:
            machine.run("apt-get", "install", "-qy", put_deb(machine, TinyPackage(f"t{number}")))
    deadline = time.monotonic() + 60  # after apt has returned
    while _size_of_files(machine) > 1 << 20:
        assert door == "apt"
        assert time.monotonic() < deadline
        time.sleep(0.1)
    aptkeep(machine, "verify")
    newest = generations(machine)[-1]["tree"]
    assert newest["size"] == 300_000
    assert json.dumps(newest) in json.dumps(generations(machine))


def _size_of_files(machine: Workstation) -> int:
    return sum(path.stat().st_size for path in (store(machine) / "files").iterdir())


def test_what_a_killed_restore_left_half_made_goes(
    make_workstation: MakeWorkstation, make_image: MakeImage
) -> None:
    machine = make_workstation(make_image()).boot()
    start(machine)
    machine.sh("mkdir -p /opt/vendor/d; for i in $(seq 300); do echo $i > /opt/vendor/d/$i; done")
    aptkeep(machine, "record")
    machine.stop()
    machine.boot()
    start(machine, "--offline")
    # As if it had been killed: the note that it's at work, and a file that isn't finished.
    machine.write("/opt/vendor/d/.aptkeep-0123456789abcdef", b"half")
    machine.write("/var/lib/aptkeep/restoring.json", b'{"nodes": ["/opt/vendor/d/7"]}')
    machine.run("rm", "/opt/vendor/d/7")
    start(machine)
    assert machine.read_text("/opt/vendor/d/7") == "7\n"
    assert machine.sh("ls -A /opt/vendor/d").stdout.count("\n") == 300

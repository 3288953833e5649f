"""No input makes a hook take more than its time or its memory; past that apt goes on.

| what | how |
| --- | --- |
| a home that doesn't answer at all | FUSE, with nobody behind it |
| a source of 1 GB, a generation of 10 MB | written by root, as only root could |
| 100,000 files in the store | the same |
"""

from __future__ import annotations

import json
import time

import pytest

from cycle.keeping import aptkeep, installed, put_deb, said, start, wishes
from testbed.commands import CommandTimedOut, Result
from testbed.fixtures import only_on
from testbed.packages import TinyPackage
from testbed.workstation import Workstation

pytestmark = only_on("trixie")

HOME = "/home/bench-user"
STORE = f"{HOME}/.local/share/aptkeep"
PATIENCE = 10.0
"""Seconds, the default; the busy machine of the tests has as much again."""
ALPHA, BETA, GAMMA = TinyPackage("alpha"), TinyPackage("beta"), TinyPackage("gamma")

# Mounts a file system that never answers: the kernel asks, and nobody reads the question.
SILENT = """
import ctypes, os, signal
os.mknod("/dev/fuse", 0o020666, os.makedev(10, 229))
descriptor = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={descriptor},rootmode=40000,user_id=0,group_id=0,allow_other"
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"silent", b"/home/bench-user", b"fuse", 0, options.encode()):
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
print("ready", flush=True)
signal.pause()
"""


@pytest.fixture
def used(machine: Workstation) -> Workstation:
    """A workstation whose user installed something."""
    machine.run("dpkg", "-i", put_deb(machine, BETA))
    return machine


def timed(machine: Workstation, *command: str) -> tuple[Result, float]:
    begun = time.monotonic()
    return machine.run(*command, timeout=60), time.monotonic() - begun


def test_home_that_does_not_answer_stops_nobody(used: Workstation) -> None:
    used.write("/etc/apt/apt.conf.d/90timeout", 'Aptkeep::Hook::Timeout "2";\n')
    alpha, gamma = put_deb(used, ALPHA), put_deb(used, GAMMA)
    silent = used.popen("/usr/bin/python3", "-I", "-c", SILENT)
    assert silent.stdout is not None
    assert silent.stdout.readline() == b"ready\n"
    result, took = timed(used, "apt-get", "install", "-qy", alpha)
    assert took < 2 + PATIENCE
    (line,) = said(result)
    assert "this change was not recorded: the home did not answer within 2 seconds" in line
    result, took = timed(used, "dpkg", "-i", gamma)
    assert took < 2 + PATIENCE
    assert "this change was not recorded" in result.stderr
    assert {"alpha", "gamma"} <= installed(used).keys()
    # Who asks for it waits for it, as for any file there, and can be stopped.
    for command in ("status", "verify"):
        with pytest.raises(CommandTimedOut):
            used.run("aptkeep", command, timeout=1)
    silent.kill_group()
    silent.communicate()
    used.run("umount", "--lazy", HOME)
    aptkeep(used, "record")
    assert {"alpha", "beta", "gamma"} <= shown(used)


def shown(machine: Workstation) -> set[str]:
    return set(json.loads(aptkeep(machine, "show", "--json").stdout)["manifest"]["packages"])


def test_huge_source_is_not_read(used: Workstation) -> None:
    used.run("truncate", "-s", "1G", "/etc/apt/sources.list.d/x.list")
    result, took = timed(used, "dpkg", "-i", put_deb(used, ALPHA))
    assert took < 2 * PATIENCE
    (line,) = said(result)
    assert "x.list is not kept: it is larger than" in line
    assert "alpha" in shown(used)


def test_huge_generation_is_read_or_given_up(used: Workstation) -> None:
    """Either way the hook stays within its bounds, and the commands have none."""
    used.run("/usr/bin/python3", "-I", "-c", HUGE, cwd=f"{STORE}/generations")
    result, took = timed(used, "dpkg", "-i", put_deb(used, ALPHA))
    assert took < 2 * PATIENCE
    assert "Traceback" not in result.stderr
    if not said(result):
        assert "alpha" in wishes(used)
    aptkeep(used, "record")
    assert {"alpha", "wish0", "wish99999"} <= wishes(used).keys()


HUGE = """
import hashlib, json
document = json.load(open("000001.json"))
del document["checksum"]
document["generation"] = 2
for number in range(100000):
    document["packages"][f"wish{number}"] = {
        "selection": "install", "version": f"1.0-{number}", "auto": True, "release": "elsewhere"
    }
canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
document["checksum"] = "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()
text = json.dumps(document, indent=1)
assert len(text) > 10 << 20
open("000002.json", "w").write(text)
"""


def test_very_many_files_in_the_store_cost_little(used: Workstation) -> None:
    used.sh(f"mkdir {STORE}/files && mount -t tmpfs -o mode=755 files {STORE}/files")
    used.run("/usr/bin/python3", "-I", "-c", MANY, cwd=f"{STORE}/files")
    result, took = timed(used, "dpkg", "-i", put_deb(used, ALPHA))
    assert took < 2 * PATIENCE
    assert said(result) == []
    assert "alpha" in shown(used)
    start(used)


MANY = "for number in range(100000): open(f'{number:064x}', 'w').close()"


def test_hook_has_so_much_memory_and_no_more(used: Workstation) -> None:
    """What is over it ends in a sentence, and apt goes on."""
    script = (
        "import resource, runpy, sys\n"
        "import aptkeep.hook as hook\n"
        "def record(*_arguments, **_options):\n"
        "    assert resource.getrlimit(resource.RLIMIT_AS)[0] == 200 << 20\n"
        "    bytearray(300 << 20)\n"
        "hook.record = record\n"
        "sys.argv = ['hook', 'DPkg::Post-Invoke']; hook.main('DPkg::Post-Invoke')\n"
    )
    result = used.run("/usr/bin/python3", "-c", script)
    assert "this change was not recorded: MemoryError()" in result.stderr

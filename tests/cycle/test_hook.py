"""The hook of the installed `.deb`: what it imports, where from, and how long it may take."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path

import pytest

from cycle.keeping import aptkeep, document, installed, put_deb, said, start, store, wishes
from testbed import commands as host
from testbed.commands import CommandFailed
from testbed.fixtures import MakeWorkstation
from testbed.images import HOME, Image
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

ALPHA, BETA = TinyPackage("alpha"), TinyPackage("beta")
HOOK = "/usr/libexec/aptkeep/hook"
LONG = 8.0
"""Seconds for what should take two: other tests may be running. The default timeout is 10."""
DOORS = ("DPkg::Post-Invoke", "APT::Update::Pre-Invoke", "dpkg-post-invoke")


def test_shebang_is_isolated_and_without_site(machine: Workstation) -> None:
    """dh_python3 strips -I in most places; without it, apt's /tmp is on the import path."""
    assert machine.read_text(HOOK).splitlines()[0] == "#!/usr/bin/python3 -IS"
    assert machine.stat(HOOK).st_mode & 0o777 == 0o755


def test_hook_imports_standard_library_and_apt_pkg_only(machine: Workstation) -> None:
    machine.run("dpkg", "--unpack", "--no-triggers", put_deb(machine, ALPHA))
    for door in DOORS:
        command = ("/usr/bin/python3", "-IS", "-X", "importtime", HOOK, door)
        lines = machine.run(*command).stderr.splitlines()
        timed = [line for line in lines if line.startswith("import time:")][1:]  # less the heading
        names = {line.rpartition("|")[2].strip() for line in timed}
        assert "aptkeep.hook" in names
        assert foreign(machine, names) == set()


def test_child_of_the_hook_imports_nothing_else_either(
    machine: Workstation, repository: Repository
) -> None:
    """It does the work, out of sight: so it's done in the hook's own process, and asked at the end.

    Something changes before, so that all of recording is seen.
    """
    machine.run("apt-mark", "hold", "bash")
    repository.install_source(machine, "local")
    script = (
        "import json, os, runpy, sys\n"
        "def end(code, end=os._exit):\n"
        "    with open('/run/modules', 'w') as stream: json.dump(sorted(sys.modules), stream)\n"
        "    end(code)\n"
        "os._exit, os.fork = end, lambda: 0\n"
        f"sys.argv = ['hook', 'DPkg::Post-Invoke']; runpy.run_path({HOOK!r})\n"
    )
    known = set(sys_modules(machine, "import json, os, runpy, sys"))
    machine.run("/usr/bin/python3", "-IS", "-c", script)
    assert wishes(machine)["bash"]["selection"] == "hold"  # the work was done
    modules = set(json.loads(machine.read_text("/run/modules"))) - known
    assert "aptkeep.store.generations" in modules
    assert foreign(machine, modules) == set()


def sys_modules(machine: Workstation, statement: str) -> list[str]:
    script = f"{statement}\nprint(json.dumps(sorted(sys.modules)))"
    found: list[str] = json.loads(machine.run("/usr/bin/python3", "-IS", "-c", script).stdout)
    return found


def foreign(machine: Workstation, names: set[str]) -> set[str]:
    script = "import json, sys; print(json.dumps(sorted(sys.stdlib_module_names)))"
    listed = json.loads(machine.run("/usr/bin/python3", "-IS", "-c", script).stdout)
    # `org`: what the standard library's copy would import under Jython.
    allowed = {*listed, "apt_pkg", "aptkeep", "<run_path>", "org"}
    return {name for name in names if name.partition(".")[0] not in allowed}


def test_hook_is_not_fooled_by_where_it_runs(machine: Workstation) -> None:
    """apt changes to /tmp before it runs hooks, and anybody may write there."""
    trap = "open('/run/fooled', 'a').write(__file__ + '\\n')\n"
    for name in ("json", "apt_pkg", "select", "dataclasses", "sitecustomize", "usercustomize"):
        machine.write(f"/tmp/{name}.py", trap)  # noqa: S108 - the root's own
    for name in ("aptkeep", "os"):
        machine.write(f"/tmp/{name}/__init__.py", trap)  # noqa: S108
    machine.run("cp", "-r", "/tmp/json.py", "/root/")  # noqa: S108
    here = {"PYTHONPATH": "/tmp", "PYTHONSTARTUP": "/tmp/json.py", "PYTHONHOME": "/tmp"}  # noqa: S108
    deb = put_deb(machine, ALPHA)
    assert said(machine.run("apt-get", "install", "-qy", deb, cwd="/tmp", env=here)) == []  # noqa: S108
    assert wishes(machine).keys() == {"alpha"}
    assert said(machine.run("dpkg", "-i", put_deb(machine, BETA), cwd="/tmp", env=here)) == []  # noqa: S108
    assert wishes(machine).keys() == {"alpha", "beta"}
    aptkeep_there = machine.run("aptkeep", "status", cwd="/tmp")  # noqa: S108
    assert aptkeep_there.returncode == 0
    assert not machine.exists("/run/fooled")


@pytest.mark.parametrize("closed", ["0<&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_hook_works_with_closed_descriptors(machine: Workstation, closed: str) -> None:
    machine.sh(f"dpkg -i {put_deb(machine, ALPHA)} {closed}")
    assert wishes(machine).keys() == {"alpha"}


def test_hook_leaves_no_bytecode_behind(machine: Workstation) -> None:
    find = "find /usr/lib/python3/dist-packages/aptkeep /usr/libexec -newer /var/lib/aptkeep/lock"
    machine.run("dpkg", "-i", put_deb(machine, ALPHA))
    assert machine.sh(find).lines == []


# -- a home that does not answer ---------------------------------------------------------------


def set_timeout(machine: Workstation, seconds: int) -> None:
    machine.write("/etc/apt/apt.conf.d/90timeout", f'Aptkeep::Hook::Timeout "{seconds}";\n')


@pytest.mark.parametrize("lock", ["of this machine", "of the store"])
def test_lock_that_is_held_costs_no_more_than_the_timeout(machine: Workstation, lock: str) -> None:
    machine.run("dpkg", "-i", put_deb(machine, BETA))
    set_timeout(machine, 1)
    path = machine.root / "var/lib/aptkeep/lock" if "machine" in lock else store(machine)
    held = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        started = time.monotonic()
        result = machine.run("apt-get", "install", "-qy", put_deb(machine, ALPHA))
        assert time.monotonic() - started < LONG
    finally:
        os.close(held)
    (line,) = said(result)
    assert "this change was not recorded: another aptkeep is at work" in line
    assert wishes(machine).keys() == {"beta"}
    aptkeep(machine, "record")
    assert wishes(machine).keys() == {"alpha", "beta"}


def mount_ext4(machine: Workstation, image: Path) -> None:
    """Mount a file system of its own over the home, in the root's namespace only."""
    host.run("truncate", "-s", "8M", image)
    host.run("mkfs.ext4", "-q", image)
    device = host.run("losetup", "--find", "--show", image, check=False)
    if device.returncode != 0:
        if os.environ.get("APTKEEP_TESTBED_REQUIRED"):
            raise CommandFailed(device)
        pytest.skip("a home that hangs needs loop devices")
    path = device.stdout.strip()
    try:
        machine.run("mknod", "/dev/home", "b", "7", path.removeprefix("/dev/loop"))
        machine.run("mount", "-t", "ext4", "/dev/home", HOME)
    finally:
        host.run("losetup", "--detach", path)  # when nobody uses it any more
    machine.run("chown", "bench-user:", HOME)


def test_home_that_hangs_costs_no_more_than_the_timeout(
    make_workstation: MakeWorkstation, local_image: Image, scratch: Path
) -> None:
    """As a lost NFS server makes it: whoever writes waits, and no signal reaches him."""
    machine = make_workstation(local_image).boot()
    mount_ext4(machine, scratch / "home.ext4")
    start(machine)
    machine.run("dpkg", "-i", put_deb(machine, BETA))
    set_timeout(machine, 1)
    alpha = put_deb(machine, ALPHA)
    machine.run("fsfreeze", "--freeze", HOME)
    try:
        started = time.monotonic()
        result = machine.run("apt-get", "install", "-qy", alpha)
        took = time.monotonic() - started
    finally:
        machine.run("fsfreeze", "--unfreeze", HOME)
    assert took < LONG
    assert "alpha" in installed(machine)
    (line,) = said(result)
    assert "the home did not answer within 1 seconds" in line
    aptkeep(machine, "record")
    assert document(machine, "show")["manifest"]["packages"].keys() == {"alpha", "beta"}

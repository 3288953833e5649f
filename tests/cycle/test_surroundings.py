"""Whatever environment root's commands and hooks are called in, nothing of the caller's is run.

As `sudo -E`, su without a dash or the ENV of an image hand it on.
"""

from __future__ import annotations

import stat

import pytest

from cycle.keeping import aptkeep, put_deb, said, start, store, wishes
from testbed.fixtures import only_on
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

pytestmark = only_on("trixie")

TRAP = "/home/bench-user/trap"
PASSWORD = "password-7d20"  # noqa: S105 - not one
PROGRAMS = ("gpg", "gpgv", "dpkg", "dpkg-query", "apt-get", "apt-mark", "dpkg-repack", "python3")
HOSTILE = {
    "PATH": f"{TRAP}:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": TRAP,
    "GNUPGHOME": TRAP,
    "XDG_CONFIG_HOME": TRAP,
    "TMPDIR": TRAP,
    "IFS": "/ae",
    "ENV": f"{TRAP}/gpg",
    "BASH_ENV": f"{TRAP}/gpg",
    "PYTHONPATH": TRAP,
    "PYTHONHOME": TRAP,
    "PYTHONSTARTUP": f"{TRAP}/json.py",
    "PYTHONIOENCODING": "ascii",
    "PERL5LIB": TRAP,
    "PERL5OPT": "-Mtrap",
    "LC_ALL": "C",
    "LANG": "xx_XX",
}


@pytest.fixture
def trapped(machine: Workstation) -> Workstation:
    """Programs and modules of the user's that would note who runs them."""
    for name in PROGRAMS:
        machine.write(
            f"{TRAP}/{name}", f'#!/bin/sh\nid -u >> {TRAP}/run\nexec "/usr/bin/$0" "$@"\n', 0o755
        )
    for name in ("json.py", "click.py", "apt_pkg.py", "aptkeep.py"):
        machine.write(f"{TRAP}/{name}", f"open('{TRAP}/run', 'a').write(__file__)\n")
    machine.run("chown", "-R", "bench-user:", TRAP)
    return machine


def test_hostile_environment_leads_nowhere(trapped: Workstation, repository: Repository) -> None:
    """Keys are looked at, packages are restored: all that starts programs of others."""
    machine = trapped
    repository.publish(TinyPackage("alpha"))
    repository.install_source(machine, "local")
    machine.run("apt-get", "update", "-q")  # whose own children get this environment from apt
    before = (machine.home / "trap").stat().st_mtime_ns
    caught = machine.sh("umask 0; aptkeep record", env=HOSTILE)
    assert said(caught) == []
    machine.sh(f"umask 0; /usr/bin/dpkg -i {put_deb(machine, TinyPackage('beta'))}", env=HOSTILE)
    assert "beta" in wishes(machine)
    for command in ("record", "status", "show", "verify", "history", "gc", "start"):
        shown = machine.sh(f"umask 0; aptkeep {command}", env=HOSTILE, check=False)
        assert shown.returncode in (0, 1), shown.output
    assert not machine.exists(f"{TRAP}/run")
    assert (machine.home / "trap").stat().st_mtime_ns == before, "a temporary file was there"
    for top in (store(machine), machine.root / "var/lib/aptkeep"):
        for path in (top, *top.rglob("*")):
            if not path.is_symlink():
                assert not stat.S_IMODE(path.stat().st_mode) & 0o022, path


def test_credentials_are_never_shown(machine: Workstation) -> None:
    """Neither those of a file nor those in an address or on a command line."""
    machine.write("/etc/apt/auth.conf.d/x.conf", f"machine x login y password {PASSWORD}\n", 0o600)
    line = f"deb [trusted=yes] http://user:{PASSWORD}@127.0.0.1:9/x stable main\n"
    machine.write("/etc/apt/sources.list.d/x.list", line)
    deb = put_deb(machine, TinyPackage("alpha"))
    proxy = f"Acquire::http::Proxy=http://user:{PASSWORD}@127.0.0.1:9/"
    machine.run("apt-get", "-o", proxy, "install", "-qy", deb)
    start(machine)
    machine.write("/etc/apt/sources.list.d/x.list", line.replace("stable", "testing"))
    words = ["status", "show", "show --json", "status --json", "history", "history --json", "diff"]
    words += ["diff --json", "verify", "verify --json", "record", "record --json", "start"]
    words += ["restore --dry-run", "restore --dry-run --json", "gc --dry-run --json"]
    for command in words:
        shown = machine.run("aptkeep", *command.split(), check=False)
        assert shown.returncode in (0, 1), shown.output
        assert PASSWORD not in shown.output, command
    for path in store(machine).rglob("*"):
        if path.is_file() and PASSWORD.encode() in path.read_bytes():
            assert path.parent.name == "files"
            assert not path.stat().st_mode & 0o044 or path.read_text() in (
                line,
                line.replace("stable", "testing"),
            )


def test_nothing_has_a_name_that_can_be_foreseen(machine: Workstation) -> None:
    """In directories that others may write to."""
    machine.run("apt-get", "install", "-qy", put_deb(machine, TinyPackage("alpha")))
    watch = (
        "import ctypes, os, struct, sys\n"
        "libc = ctypes.CDLL(None); fd = libc.inotify_init()\n"
        "for place in ('/tmp', '/var/tmp', '/dev/shm', '/run/lock'):\n"
        "    libc.inotify_add_watch(fd, os.fsencode(place), 0x180)\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    found = os.read(fd, 65536)\n"
        "    while found:\n"
        "        length = struct.unpack_from('I', found, 12)[0]\n"
        "        print(found[16:16 + length].rstrip(b'\\0').decode(), flush=True)\n"
        "        found = found[16 + length:]\n"
    )
    watching = machine.popen("/usr/bin/python3", "-I", "-c", watch)
    assert watching.stdout is not None
    assert watching.stdout.readline() == b"ready\n"
    for command in ("start", "record", "status", "verify", "gc"):
        aptkeep(machine, command)
    machine.write("/etc/apt/sources.list.d/y.list", "deb [trusted=yes] http://127.0.0.1:9 s m\n")
    machine.run("apt-get", "update", "-q")
    machine.write("/tmp/end", "")  # noqa: S108 - the root's own
    names = []
    for line in watching.stdout:
        names.append(line.decode().strip())
        if names[-1] == "end":
            break
    watching.kill_group()
    watching.communicate()
    ours = [name for name in names[:-1] if "aptkeep" in name]
    assert [name for name in ours if not name.startswith("aptkeep-")] == []

"""Whatever somebody puts below a kept path: it's kept, or skipped and said; apt goes on.

And nothing outside is read, written or given away.
"""

from __future__ import annotations

import hashlib
import json
import os

from cycle.conftest import Experienced
from cycle.keep.paths import look, wanted
from cycle.keeping import aptkeep, generations, next_boot, put_deb, said, store
from testbed.packages import TinyPackage
from testbed.workstation import Workstation

USER = "bench-user"
ALONE = "root's alone\n"
NASTY = r"""
mkdir -p /opt/vendor/open; chown bench-user /opt/vendor/open; cd /opt/vendor
mkfifo fifo; mknod null c 1 3; mknod disk b 7 0
python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('socket')"
ln /etc/shadow hard
mkdir mounted bound 'bound too'; echo mine > file
mount -t tmpfs tmpfs mounted; mount --bind /etc/passwd file
mount --bind /etc bound; mount --bind /etc 'bound too'
echo x > mounted/x
truncate -s 1T huge
cd open
for name in $(seq 250); do mkdir deep; cd deep; done; echo x > bottom
"""
USERS = r"""
cd /opt/vendor/open
cp /bin/true setuid; chmod 6755 setuid
ln -s /root/secret secret; ln -s /proc/self/root root; ln -s loop loop; ln -s /dev/zero zero
mkfifo fifo
mkdir closed; echo x > closed/x; chmod 000 closed
"""
GROWS = "while true; do echo more >> /opt/vendor/open/log; done"


def stored(machine: Workstation) -> dict[str, int]:
    """SHA-256 and mode of every content in the store."""
    found = {}
    for path in (store(machine) / "files").iterdir():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        found[digest] = path.stat().st_mode & 0o777
    return found


def test_everything_that_there_is(used: Experienced) -> None:
    used.write("/root/secret", ALONE, 0o600)
    used.sh(NASTY)
    used.sh(USERS, user=USER)
    outside = used.sh("stat -c '%n %a %U %Z' /root /root/secret /etc/shadow /dev/null").stdout
    growing = used.popen("sh", "-c", GROWS, user=USER)
    result = used.run("apt-get", "install", "-qy", put_deb(used, TinyPackage("tiny")))
    growing.kill_group()
    growing.wait()
    texts = "\n".join(said(result))
    reasons = {
        "it is a device, a fifo or a socket": ("disk", "fifo", "null", "and 2 more"),
        "Aptkeep::Keep::Max-Size": ("huge",),
        "it is over 200 directories deep": ("deep/deep/deep",),
    }
    for reason, names in reasons.items():
        (line,) = [line for line in said(result) if reason in line]
        assert [name for name in names if name not in line] == [], line
    assert "Traceback" not in texts
    assert set(said(result)) == set(said(result)), "each is said once"

    kept = wanted(used)
    assert kept["/opt/vendor/open/setuid"].startswith("file (mode 6755, bench-user:bench-user")
    assert kept["/opt/vendor/open/secret"] == "link to /root/secret (bench-user:bench-user)"
    assert kept["/opt/vendor/open/closed"] == "directory (mode 0000, bench-user:bench-user)"
    assert {"/opt/vendor/open/closed/x", "/opt/vendor/open/loop"} <= kept.keys()
    absent = (
        "fifo",
        "null",
        "disk",
        "socket",
        "huge",
        "mounted/x",
        "file",
        "bound/passwd",
        "bound too/passwd",
        "root/etc",
    )
    assert {f"/opt/vendor/{name}" for name in absent} & kept.keys() == set()
    shadow = hashlib.sha256(used.read_bytes("/etc/shadow")).hexdigest()
    assert hashlib.sha256(ALONE.encode()).hexdigest() not in stored(used)
    assert stored(used)[shadow] == 0o600
    assert (
        used.sh("stat -c '%n %a %U %Z' /root /root/secret /etc/shadow /dev/null").stdout == outside
    )

    # What is said once is in the log and in the status for good.
    log = (store(used) / "log").read_text()
    status = aptkeep(used, "status")
    for reason in reasons:
        assert reason in log
        assert reason in status.stderr
    again = used.run("apt-get", "install", "-qy", "--reinstall", put_deb(used, TinyPackage("tiny")))
    assert [line for line in said(again) if "log" not in line] == []

    used.run("dpkg", "--purge", "tiny")
    used.run("rm", "/opt/vendor/huge")
    before = look(used)
    next_boot(used)
    after = look(used)
    for path in kept.keys() & before.keys() - {"/opt/vendor/open/log"}:
        assert after[path] == before[path], path
    assert used.stat("/opt/vendor/open/setuid").st_uid == 1000
    assert used.stat("/etc/shadow").st_nlink == 1


SWAP = """
import os, time
os.chdir("/opt/vendor/swapped")
os.symlink("/root/outside", "link")
end = time.monotonic() + 8
while time.monotonic() < end:
    for old, new in (("d", "real"), ("link", "d"), ("d", "link"), ("real", "d")):
        try:
            os.rename(old, new)
        except OSError:
            pass
"""


def test_directories_swapped_for_links(used: Experienced) -> None:
    """By their owner, all the time, while root looks and puts back."""
    used.sh(
        "mkdir -p /root/outside/sub; chmod 711 /root; cd /root/outside;"
        " for n in $(seq 20); do echo outside > $n; echo outside > sub/$n; done"
    )
    used.sh(
        "mkdir -p /opt/vendor/swapped/d/sub; cd /opt/vendor/swapped/d;"
        " for n in $(seq 20); do echo inside > $n; echo inside > sub/$n; ln -s x l$n; done;"
        " chown -Rh bench-user:bench-user /opt/vendor/swapped"
    )
    aptkeep(used, "record")
    full = len(generations(used))
    used.run("rm", "-r", "/opt/vendor/swapped/d/sub")
    used.sh("rm /opt/vendor/swapped/d/*")
    aptkeep(used, "record")
    empty = len(generations(used))
    outside = "cd /root; find outside -exec stat -c '%n %a %U %s %Z %h' {} + | sort"
    before = used.sh(outside).stdout
    swapper = used.popen("python3", "-c", SWAP, user=USER)
    rounds = 0
    while swapper.poll() is None:
        for number in (full, empty):
            used.run("aptkeep", "rollback", str(number), check=False)
            rounds += 1
    assert rounds > 2
    swapper.wait()
    assert used.sh(outside).stdout == before
    assert hashlib.sha256(b"outside\n").hexdigest() not in stored(used)
    listed = json.dumps(wanted(used))
    assert "/root/outside/" not in listed


def test_owners_and_the_store_stay_theirs(used: Experienced) -> None:
    """Who owns a directory below a kept path can't make root write or give away anything else."""
    used.sh(
        "mkdir -p /opt/vendor/theirs/d; cd /opt/vendor/theirs; echo 1 > d/f; ln -s a d/l;"
        " chown -Rh bench-user:bench-user ."
    )
    aptkeep(used, "record")
    used.sh(
        "cd /opt/vendor/theirs; rm -r d; ln -s /etc d; ln -s /etc/passwd l; touch -h l", user=USER
    )
    passwd = os.fspath(used.root / "etc/passwd")
    before = os.stat(passwd)
    used.run("aptkeep", "rollback", str(len(generations(used))), check=False)
    aptkeep(used, "start", code=0)
    after = os.stat(passwd)
    assert (before.st_ino, before.st_uid, before.st_mode) == (
        after.st_ino,
        after.st_uid,
        after.st_mode,
    )
    assert not used.exists("/etc/f")

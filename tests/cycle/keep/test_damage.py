"""A store or a restore of kept paths that something happens to."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

from cycle.conftest import Experienced
from cycle.keep.paths import bytes_of_store, look, seen, wanted
from cycle.keeping import aptkeep, document, generations, next_boot, pending, put_deb, said, start
from cycle.keeping import store as store_of
from testbed.packages import TinyPackage
from testbed.workstation import Workstation

HOME = "/home/bench-user"


def content_of(machine: Workstation, path: str) -> Path:
    """The file in the store that has what was kept of a path."""
    tree = generations(machine)[-1]["tree"]["sha256"]
    listing = gzip.decompress((store_of(machine) / f"trees/{tree}.json.gz").read_bytes())
    found: str = json.loads(listing)["nodes"][path]["sha256"]
    return store_of(machine) / "files" / found


def flip(path: Path) -> None:
    """Another byte, the same size."""
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


def test_flipped_byte_in_a_content(fresh: Experienced) -> None:
    damaged = content_of(fresh, "/usr/local/bin/hello")
    flip(damaged)
    (text,) = document(fresh, "verify", code=3)["troubles"]
    assert "/usr/local/bin/" in text
    assert damaged.name in text
    start(fresh, code=1)
    reasons = pending(fresh)
    names = {f"/usr/local/bin/{name}" for name in ("hello", "hard", "setuid")}
    assert reasons.keys() == names
    assert all("kept copy" in reason for reason in reasons.values())
    before = {path: found for path, found in seen(fresh).items() if path not in names}
    assert look(fresh) == before

    # Written again, it's kept again.
    kept = wanted(fresh)
    fresh.write("/usr/local/bin/hello", "#!/bin/sh\necho hello\n", 0o755)
    aptkeep(fresh, "record")
    assert document(fresh, "verify")["troubles"] == []
    start(fresh)
    assert wanted(fresh).keys() == kept.keys()
    assert fresh.stat("/usr/local/bin/setuid").st_mode & 0o7777 == 0o4755


def test_flipped_byte_in_a_listing(fresh: Experienced) -> None:
    (store_of(fresh) / "aside").mkdir()
    (listing,) = (store_of(fresh) / "trees").iterdir()
    whole = listing.read_bytes()
    flip(listing)
    (text,) = document(fresh, "verify", code=3)["troubles"]
    assert listing.name in text
    start(fresh, code=1)
    assert pending(fresh).keys() == {"Aptkeep::Keep"}
    assert not fresh.exists("/usr/local/bin/hello")
    assert aptkeep(fresh, "gc").returncode == 0
    aptkeep(fresh, "show", code=3)
    listing.write_bytes(whole)
    start(fresh)
    assert look(fresh) == seen(fresh)


def test_gc_keeps_what_generations_name(used: Experienced) -> None:
    used.write("/usr/local/bin/once", "only once\n")
    aptkeep(used, "record")
    once = content_of(used, "/usr/local/bin/once")
    before = bytes_of_store(used)
    aptkeep(used, "gc")
    assert bytes_of_store(used).keys() == before.keys()
    used.run("rm", "/usr/local/bin/once")
    aptkeep(used, "record")
    aptkeep(used, "gc")
    assert once.exists(), "an older generation names it"

    sorted((store_of(used) / "generations").iterdir())[-2].unlink()
    assert "freed" in aptkeep(used, "gc").stdout
    assert not once.exists()
    assert len(list((store_of(used) / "trees").iterdir())) == 1
    assert document(used, "verify")["troubles"] == []
    next_boot(used)
    assert {p: s for p, s in look(used).items() if p in seen(used)} == seen(used)


MANY = """
import os
for number in range(3000):
    os.makedirs(f"/opt/vendor/many/{number % 50}", exist_ok=True)
    with open(f"/opt/vendor/many/{number % 50}/{number}", "w") as made:
        made.write(str(number))
"""
SUM = "cd /opt/vendor/many; find . -type f ! -name '.aptkeep-*' | sort | xargs cat | sha256sum"


def test_killed_while_many_files_are_put_back(used: Experienced) -> None:
    used.run("python3", "-c", MANY)
    aptkeep(used, "record")
    before, number, kept = used.sh(SUM).stdout, len(generations(used)), wanted(used)
    used.stop()
    used.boot()
    for _ in range(3):
        process = used.popen("aptkeep", "start")
        many = used.root / "opt/vendor/many"
        deadline = time.monotonic() + 20
        there = len(list(many.rglob("*")))
        while len(list(many.rglob("*"))) < there + 150 and process.poll() is None:
            assert time.monotonic() < deadline
        process.kill_group()
        process.wait()
    assert used.exists("/var/lib/aptkeep/restoring.json"), "it was not killed in the middle"
    aptkeep(used, "record")
    assert wanted(used) == kept
    start(used)
    assert used.sh(SUM).stdout == before
    aptkeep(used, "record")
    assert wanted(used) == kept
    assert len(generations(used)) == number


def test_full_home(used: Experienced) -> None:
    """What finds no room is said, apt goes on, and it's kept once there is room."""
    used.sh(
        f"cp -a {HOME} /root/home; head -c 9M /dev/urandom > /root/random;"
        f" mount -t tmpfs -o size=24M,mode=755,uid=1000,gid=1000 tmpfs {HOME};"
        f" cp -a /root/home/. {HOME}"
    )
    aptkeep(used, "record")
    used.run("cp", "/root/random", "/opt/vendor/random")
    used.write("/opt/vendor/small", "small\n")
    used.sh("rm /opt/vendor/sparse")
    used.sh(f"head -c 100M /dev/zero > {HOME}/filler || true", user="bench-user")
    result = used.run("apt-get", "install", "-qy", put_deb(used, TinyPackage("tiny")))
    assert any("there is no room left for" in line for line in said(result))
    assert "Traceback" not in result.output
    before = wanted(used)
    used.run("rm", f"{HOME}/filler")
    aptkeep(used, "record")
    assert wanted(used).keys() == (before.keys() | {"/opt/vendor/random", "/opt/vendor/small"}) - {
        "/opt/vendor/sparse"
    }

"""A workstation under attack: what it had to lose, and whether anything of it was lost."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cycle.attacks.table import Attack
from cycle.keeping import STORE, installed
from testbed.commands import Result, run
from testbed.images import HOME
from testbed.packages import TinyPackage
from testbed.workstation import Workstation

CANARY = "canary-e5b1"
"""Stands in files of root's that nobody may find anywhere else."""
EVIL = TinyPackage("evil")
"""In the repository; nobody ever wanted it."""
ALPHA = TinyPackage("alpha")
MARK = b"mark-9c41"
"""Stands in the .deb that takes the place of another one."""
TOOL = "/usr/local/bin/attacker"
_LISTED = ("/tmp", "/var/lib/aptkeep")  # noqa: S108 - the root's own
"""Directories of which only the names count: apt and aptkeep work in them."""
_WATCHED = ("/etc", "/root", "/srv", "/usr/local", "/var/tmp", "/boot")  # noqa: S108
_STATE = ("var/lib/dpkg/status", "var/lib/apt/extended_states")
_OURS = "var/lib/aptkeep"

_FILES = "sources.list.d/local.list keyrings/local.asc auth.conf.d/local.conf"
# The root as a fresh one would be, and everything put back after that.
_FRESH = f"""
cd /etc/apt; rm -rf /dev/shm/*; cp -a --parents {_FILES} /dev/shm; rm -f {_FILES}
mv /var/lib/aptkeep /dev/shm/state; aptkeep start; code=$?
for file in {_FILES}; do [ ! -e $file ] || cmp $file /dev/shm/$file || echo PLANTED; done
rm -rf /var/lib/aptkeep; mv /dev/shm/state /var/lib/aptkeep; cp -a /dev/shm/* .; exit $code"""
_FRESH_OWN = """
rm -rf /dev/shm/*; mv /var/lib/aptkeep /dev/shm/state; dpkg -P own; aptkeep start; code=$?
! dpkg -s own || echo PLANTED
rm -rf /var/lib/aptkeep; dpkg -i /root/own_1.0_all.deb
mv /dev/shm/state /var/lib/aptkeep; exit $code"""

RUNS = {
    "fresh": _FRESH,
    "fresh own": _FRESH_OWN,
    "hook": "echo alpha hold | dpkg --set-selections; apt-get update -q",
    "dpkg": "dpkg -i /root/own_1.0_all.deb",
    "install theirs": "dpkg -i /home/bench-user/theirs_1.0_all.deb",
    "forget": "aptkeep forget alpha",
    "rollback": "aptkeep rollback 1",
    **{
        word: f"aptkeep {word}"
        for word in ("start", "record", "restore", "gc", "verify", "status", "history", "show")
    },
}
"""What root runs, by the name that the table has for it."""
HOOKS = ("hook", "dpkg", "install theirs")


@dataclass(frozen=True)
class Outcome:
    """What a run said and how it ended."""

    name: str
    result: Result

    @property
    def said(self) -> str:
        """All of it."""
        return self.result.output


@dataclass
class Siege:
    """The machine, what it was before, and what is left of it."""

    machine: Workstation
    saved: Path
    """The genuine home, and aptkeep's state, as they were before the first attack."""
    genuine: Mapping[str, tuple[object, ...]] = field(default_factory=dict)

    def save(self) -> None:
        """From now on, this is what was genuine."""
        root = self.machine.root
        run("cp", "-a", self.machine.home, self.saved / "home")
        run("cp", "-a", root / _OURS, self.saved / "state")
        for path in _STATE:
            shutil.copy2(root / path, self.saved / Path(path).name)
        store = _described(self.machine.home / STORE)
        self.genuine = {path: what[:4] for path, what in store if path not in _REWRITTEN}

    def reset(self) -> None:
        """Everything as it was saved."""
        root, home = self.machine.root, self.machine.home
        run("find", home, root / _OURS, "-mindepth", "1", "-delete")
        run("cp", "-a", f"{self.saved}/home/.", home)
        run("cp", "-a", f"{self.saved}/state/.", root / _OURS)
        for path in _STATE:
            shutil.copy2(self.saved / Path(path).name, root / path)

    def outside(self) -> dict[str, tuple[object, ...]]:
        """What is outside the home: owners, modes, times, contents; of some only the names."""
        root = self.machine.root
        found: dict[str, tuple[object, ...]] = {}
        for top in _WATCHED:
            found.update((top + path, what) for path, what in _described(root / top[1:]))
        for top in _LISTED:
            names = tuple(sorted(os.listdir(root / top[1:])))
            found[top] = tuple(name for name in names if name not in _COME_AND_GO)
        return found

    def plant(self, attack: Attack) -> None:
        """Do what the attacker does beforehand."""
        self.machine.run("sh", "-ec", attack.plant, cwd=HOME, user=attack.by)

    @contextmanager
    def meanwhile(self, attack: Attack) -> Iterator[None]:
        """Let the attacker go on."""
        if not attack.meanwhile:
            yield
            return
        process = self.machine.popen("sh", "-ec", attack.meanwhile, cwd=HOME, user=attack.by)
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.kill_group()
            process.communicate()

    def run(self, name: str) -> Outcome:
        """Let root do one of `RUNS`."""
        return Outcome(name, self.machine.run("sh", "-c", RUNS[name], check=False, timeout=30))

    # -- what must hold after each attack ----------------------------------------------------------

    def lost(self, planted: frozenset[object]) -> list[str]:
        """What the attacker left of the genuine store, and isn't anywhere in the home any more."""
        left = self.files_of_home()
        return [path for path, what in self.genuine.items() if what in planted - left]

    def files_of_home(self) -> frozenset[object]:
        """Mode, owner and content of all the files in the home."""
        return frozenset(what[:4] for _path, what in _described(self.machine.home))

    def leaked(self, outcomes: list[Outcome]) -> list[str]:
        """Where root's secrets came to stand."""
        found = [outcome.name for outcome in outcomes if CANARY in outcome.said]
        for top in (self.machine.home, self.machine.root / _OURS):
            for path, content in _files(top):
                if CANARY.encode() in content and path.stat().st_mode & 0o077:
                    found.append(str(path))
        return found

    def believed(self) -> bool:
        """Whether anything came, or is to come, that was only planted."""
        pooled = _files(self.machine.home / STORE / "pool")
        return "evil" in installed(self.machine) or any(MARK in text for _path, text in pooled)


_REWRITTEN = ("/log", "/pool/Packages")
_COME_AND_GO = frozenset({"tried", "restoring.json", "report.json", "pooling.json", "incoming"})


def _described(top: Path) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Mode, owner, kind or content, and times of everything below `top`, no link followed."""
    places = [top]
    while places:
        place = places.pop()
        try:
            found = place.lstat()
        except OSError:
            continue
        what: object = "other"
        if stat.S_ISDIR(found.st_mode):
            what = "directory"
            places.extend(place / name for name in os.listdir(place))
        elif stat.S_ISLNK(found.st_mode):
            what = os.readlink(place)
        elif stat.S_ISREG(found.st_mode) and found.st_size < 1 << 24:
            what = hashlib.sha256(place.read_bytes()).hexdigest()
        times = (found.st_mtime_ns, found.st_nlink) if what != "directory" else ()
        yield str(place)[len(str(top)) :], (found.st_mode, found.st_uid, found.st_gid, what, *times)


def _files(top: Path) -> Iterator[tuple[Path, bytes]]:
    for directory, _directories, names in os.walk(os.fsencode(top)):
        for name in names:
            path = Path(os.fsdecode(os.path.join(directory, name)))
            found = path.lstat()
            if stat.S_ISREG(found.st_mode) and found.st_size < 1 << 24:
                yield path, path.read_bytes()

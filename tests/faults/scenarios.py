"""The operations that meet faults, and the moments at which they do.

One workstation is used as a user would use it; before each operation that counts, all that it may
change is put aside, so that it can be done over and over.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cycle.keeping import aptkeep, start
from testbed.packages import TinyPackage, build
from testbed.repository import Repository
from testbed.workstation import Workstation

HOME, STATE, KEPT = "/home/bench-user", "/var/lib/aptkeep", "/opt/kept"
WORK = "/var/tmp/faults"  # noqa: S108 - the root's own
HOOK = "/usr/libexec/aptkeep/hook"
CONFIGURATION = f'Aptkeep::Keep {{ "{KEPT}"; }};\n'

ALPHA, BETA = TinyPackage("alpha", depends="beta"), TinyPackage("beta")
LOCAL, FURTHER = TinyPackage("local"), TinyPackage("further")
PROGRAM = Path(__file__).parent / "inside"

_PROGRAM = f"""
import sys
sys.path.insert(0, "{WORK}")
from faults.inside.driver import main
main()
"""

_RECORD = (HOME, STATE, "/var/cache/apt/archives")
_ROOT = (*_RECORD, "/etc/apt", "/opt")
_EVERYTHING = (*_ROOT, "/var/lib/dpkg", "/var/lib/apt", "/var/log/apt")

# Only what catches .deb files works; the rest is what we want to see done under our eyes.
_DEAF = (
    f"[ -e {HOOK}.real ] || mv {HOOK} {HOOK}.real; "
    f'printf \'#!/bin/sh\\n[ "$1" != DPkg::Pre-Install-Pkgs ] || exec {HOOK}.real "$@"\\n\' '
    f"> {HOOK}; chmod 755 {HOOK}"
)
_KEPT_FIRST = f"""
mkdir -p {KEPT}/bin {KEPT}/empty
echo one > {KEPT}/bin/program; chmod 755 {KEPT}/bin/program
echo secret > {KEPT}/secret; chmod 600 {KEPT}/secret
head -c 5000 /dev/urandom > {KEPT}/noise
ln -s bin/program {KEPT}/link
chown -R bench-user: {KEPT}/empty
"""
_KEPT_THEN = f"""
echo two >> {KEPT}/bin/program
rm {KEPT}/link {KEPT}/secret
mkdir {KEPT}/more; echo more > {KEPT}/more/file
echo 'APT::Periodic::Enable "0";' > /etc/apt/apt.conf.d/50user
printf 'Package: alpha\\nPin: version 1.0\\nPin-Priority: 900\\n' > /etc/apt/preferences.d/alpha
"""


class Prepared:
    """A workstation, and the scenarios that can be played on it."""

    def __init__(self, machine: Workstation, repository: Repository) -> None:
        self.machine = machine
        self._scenarios: dict[str, Mapping[str, Any]] = {}
        self._prepare(repository)

    def _prepare(self, repository: Repository) -> None:
        machine = self.machine
        repository.publish(ALPHA, BETA)
        machine.run("mkdir", "-p", WORK, "/opt")
        # Where fsync costs nothing: it's the journal that says what would be lost.
        machine.run("mount", "-t", "tmpfs", "-o", "uid=1000,gid=1000,mode=755", "tmpfs", HOME)
        machine.run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", WORK)
        machine.write("/etc/apt/apt.conf.d/90keep", CONFIGURATION)
        for package in (LOCAL, FURTHER):
            deb = build(package, machine.home.parent / "debs")
            machine.copy_in(deb, f"/var/tmp/{package.name}.deb")  # noqa: S108 - the root's own
        for path in sorted(PROGRAM.glob("*.py")):
            machine.write(f"{WORK}/faults/inside/{path.name}", path.read_bytes())
        self._save("image")
        machine.run("cp", "-a", "/var/lib/dpkg", f"{WORK}/dpkg")
        start(machine)
        machine.sh(_DEAF)

        repository.install_source(machine, "local")
        machine.sh(f"apt-get update -qq; apt-get install -qy alpha; {_KEPT_FIRST} sleep 0.1")
        self._scenario("first record", ["aptkeep", "record"], _RECORD)
        aptkeep(machine, "record")
        machine.sh(f"{_KEPT_THEN} sleep 0.1")
        self._scenario("hook", ["hook", "APT::Update::Post-Invoke-Success"], _RECORD)
        aptkeep(machine, "record")
        self._scenario(
            "rollback",
            ["aptkeep", "rollback", "1"],
            _ROOT,
            repair=[["aptkeep", "start"]],
            outcomes=("before", "after"),
            restores=True,
        )
        protocol = "VERSION 3\nDir=/\n\nlocal - - none < 1.0 all none /var/tmp/local.deb\n"
        self._scenario("catch", ["hook", "DPkg::Pre-Install-Pkgs"], _RECORD, stdin=protocol)
        machine.sh("apt-get install -qy /var/tmp/local.deb; sleep 0.1")
        self._scenario("hook with a local file", ["hook", "DPkg::Post-Invoke"], _RECORD)
        aptkeep(machine, "record")
        self._scenario(
            "forget",
            ["aptkeep", "forget", "alpha", f"{KEPT}/noise", "local.list"],
            _RECORD,
            outcomes=("before", "after"),
        )
        self._put_aside_for_restore()
        self._put_aside_for_gc()
        machine.sh(f"mv {HOOK}.real {HOOK}")

    def _put_aside_for_gc(self) -> None:
        """A hundred generations more, and files that none of them names."""
        store = f"{HOME}/.local/share/aptkeep"
        script = f"""
from dataclasses import replace
from aptkeep.store import generations
from aptkeep.store.tree import open_store
with open_store("{HOME}", ".local/share/aptkeep") as store:
    newest = generations.newest(store).generation
    packages = {{n: wish for n, wish in newest.manifest.packages.items() if n != "local"}}
    manifest = replace(newest.manifest, packages=packages)
    for _number in range(4):
        generations.write(store, newest.occasion, newest.platform, manifest)
for place in ("files", "keyrings", "trees"):
    open(f"{store}/{{place}}/unnamed", "w").write("x")
"""
        self.machine.run("python3", "-I", "-c", script)
        aptkeep(self.machine, "record")
        self._scenario("gc", ["aptkeep", "gc"], _RECORD, repair=[["aptkeep", "record"]])

    def _put_aside_for_restore(self) -> None:
        state, work = STATE, f"{WORK}/restore"
        self._save("restore")
        # As on a root that has just come from its image: nothing of all that is there.
        self.machine.sh(
            f"rm -rf {work}{state}/* {work}/opt/* {work}/var/cache/apt/archives/*; "
            f"rm -rf {work}/etc/apt; cp -a {WORK}/image/etc/apt {work}/etc/apt"
        )
        scenario = {
            "argv": ["aptkeep", "start"],
            "roots": _ROOT,
            "snapshot": work,
            "everything": _EVERYTHING,
            "repair": [["aptkeep", "start"]],
            "restores": True,
        }
        self._scenarios["restore of files"] = {**scenario, "name": "restore of files"}
        self._scenarios["restore of packages"] = {
            **scenario,
            "name": "restore of packages",
            "also": (
                "cd /var/lib; rm -rf dpkg; "
                f"cp -a {WORK}/image/var/lib/dpkg dpkg; "
                f"cp -a {WORK}/image/var/lib/apt/. apt/; rm -f apt/extended_states"
            ),
            "watched": ["/var/lib/dpkg", "/var/cache/apt"],
            "status": ["/var/lib/dpkg/status", "/var/lib/apt/extended_states"],
        }

    def _save(self, name: str, roots: Sequence[str] = _EVERYTHING) -> str:
        place = f"{WORK}/{name}"
        for root in roots:
            quoted = shlex.quote(f"{place}{root}")
            self.machine.sh(f"mkdir -p {quoted} {root}; cp -a {root}/. {quoted}/")
        return place

    def _scenario(
        self, name: str, argv: Sequence[str], roots: Sequence[str], **more: object
    ) -> None:
        place = self._save(name.replace(" ", "-"))
        found = {
            "name": name,
            "argv": argv,
            "roots": roots,
            "snapshot": place,
            "everything": _EVERYTHING,
            "repair": [["aptkeep", "record"], ["aptkeep", "start"]],
        }
        self._scenarios[name] = {**found, **more}

    @property
    def names(self) -> list[str]:
        """All scenarios."""
        return list(self._scenarios)

    def scopes(self, name: str) -> list[str]:
        """The directories that a scenario may change anything in."""
        found = self._scenarios[name]
        return [*found["roots"], *found.get("watched", ())]

    def play(
        self,
        name: str,
        share: Mapping[str, int] | None = None,
        *,
        under: Sequence[str] = (),
        interrupted: bool = False,
    ) -> dict[str, Any]:
        """Let one meet a share of all faults (see `inside.driver.Share`), or none; its report.

        `under`: what runs the program, strace(1) say. `interrupted`: its calls are, by signals.
        """
        scenario = self._scenarios[name]
        wanted = json.dumps({"scenario": scenario, "share": share, "interrupted": interrupted})
        program = ["/usr/bin/python3", "-I", "-c", _PROGRAM]
        ended = self.machine.run(*under, *program, input=wanted, timeout=7200)
        report: dict[str, Any] = json.loads(ended.stdout)
        return report

"""Tiny packages that are made on the workstation itself, and a look into its pool."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cycle.keeping import installed, store
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

HOME = "/home/bench-user"
INCOMING = "/var/lib/aptkeep/incoming"
STOCK = {"alpha": "1.0", "beta": "1.0", "gamma": "1.0", "local": "1.0", "plain": "1.0"}
"""What the fixture `stocked` installed."""
_INFO = "/var/lib/dpkg/info"
SUM = (
    f"cd {_INFO}; cat {' '.join(f'{name}.list' for name in STOCK)} | sort -u | "
    f"while read -r path; do [ -d $path ] || sha256sum $path; done > {HOME}/sums; "
    f"sha256sum {' '.join(f'{_INFO}/{name}.md5sums' for name in STOCK)} >> {HOME}/sums"
)
"""A shell command that notes what is in every file of those packages."""
SETTLE = (
    "n=0; while grep -qs -e 'aptkeep/hoo[k]' -e 'bin/aptkee[p]' /proc/[0-9]*/cmdline; do "
    "n=$((n+1)); [ $n -lt 500 ] || exit 9; sleep 0.02; done; "
    f'[ ! -d {INCOMING} ] || [ -z "$(ls -A {INCOMING})" ]'
)
"""A shell command that waits until nobody is at work for the pool; it fails if files still wait."""

ALPHA = TinyPackage("alpha", depends="beta", files={"/usr/share/alpha": "a\n"})
BETA = TinyPackage("beta", files={"/usr/share/beta": "b\n"})
GAMMA = TinyPackage("gamma", files={"/usr/share/gamma": "c\n"})


@dataclass(frozen=True)
class Local:
    """A package that is built on the workstation, in no time and by dpkg-deb alone."""

    name: str
    version: str = "1.0"
    depends: str = ""
    content: str = "as it was\n"
    directory: str = "/var/tmp"  # noqa: S108 - the root's own
    preinst: str = ""
    kilobytes: int = 0
    """How much of nothing it holds besides."""

    @property
    def path(self) -> str:
        """Where the .deb lies."""
        return f"{self.directory}/{self.name}.deb"


LOCAL = Local("local", depends="gamma", directory=HOME)
PLAIN = Local("plain")


def make_deb(package: Local) -> str:
    """A shell command that builds it."""
    tree = f"/run/build-{package.name}"
    depends = f"Depends: {package.depends}\\n" if package.depends else ""
    control = (
        f"Package: {package.name}\\nVersion: {package.version}\\nArchitecture: all\\n"
        f"Maintainer: m <m@example.org>\\n{depends}Description: local\\n"
    )
    file = f"usr/share/{package.name}"
    commands = [
        f"rm -rf {tree}",
        f"mkdir -p {package.directory} {tree}/DEBIAN {tree}/usr/share",
        f"printf '{control}' > {tree}/DEBIAN/control",
        f"echo '{package.content.strip()}' > {tree}/{file}",
        f"(cd {tree}; md5sum {file} > DEBIAN/md5sums)",
    ]
    if package.kilobytes:
        commands.append(f"truncate -s {package.kilobytes}K {tree}/{file}.zeros")
    if package.preinst:
        at = f"{tree}/DEBIAN/preinst"
        commands.append(f"printf '#!/bin/sh\\n{package.preinst}\\n' > {at}; chmod 755 {at}")
    commands.append(f"dpkg-deb --root-owner-group -Znone -b {tree} {package.path} > /run/built")
    return "; ".join(commands)


def make_debs(machine: Workstation, *packages: Local) -> None:
    """Build them all."""
    machine.sh("; ".join(make_deb(package) for package in packages))


def settle(machine: Workstation) -> None:
    """Wait until what was caught has gone into the pool."""
    machine.sh(SETTLE)


def has(machine: Workstation, packages: dict[str, str]) -> bool:
    """Whether these packages are installed in these versions; AssertionError says what is else."""
    found = installed(machine)
    here = {name: found.get(name) for name in packages}
    if here != packages:
        wrong = [f"{n}: {here[n]} instead of {packages[n]}" for n in here if here[n] != packages[n]]
        raise AssertionError("; ".join(wrong))
    return True


def same_files(machine: Workstation) -> bool:
    """Whether every file of the fixture `stocked` is what it was."""
    machine.sh(f"[ $(wc -l < {HOME}/sums) = 10 ]; sha256sum --quiet -c {HOME}/sums")
    return True


# -- the pool, as this machine sees it ------------------------------------------------------------


def pool(machine: Workstation) -> Path:
    """The pool's directory."""
    return store(machine) / "pool"


def index(machine: Workstation) -> list[dict[str, str]]:
    """The fields of each paragraph of the pool's index, by their names in lower case."""
    path = pool(machine) / "Packages"
    if not path.exists():
        return []
    paragraphs = [text for text in path.read_text().split("\n\n") if text.strip()]
    found = []
    for text in paragraphs:
        lines = [line.split(":", 1) for line in text.splitlines() if line[0] not in " \t"]
        found.append({name.lower(): value.strip() for name, value in lines})
    return found


def pooled(machine: Workstation) -> dict[str, str]:
    """Names and versions in the pool; the index has to be true."""
    check(machine)
    return {entry["package"]: entry["version"] for entry in index(machine)}


def origins(machine: Workstation) -> dict[str, str]:
    """Names and origins in the pool."""
    return {entry["package"]: entry["aptkeep-origin"] for entry in index(machine)}


def check(machine: Workstation) -> None:
    """What the index says of each file is true, and there is nothing else in the pool."""
    entries = index(machine)
    for entry in entries:
        content = (pool(machine) / entry["filename"]).read_bytes()
        if (str(len(content)), hashlib.sha256(content).hexdigest()) != (
            entry["size"],
            entry["sha256"],
        ):
            raise AssertionError(f"this isn't true: {entry}")
    if pool(machine).exists():
        named = [entry["filename"].removeprefix("./") for entry in entries]
        found = [name for name in os.listdir(pool(machine)) if name != "Packages"]
        if sorted(found) != sorted(named):
            raise AssertionError(f"{sorted(found)} in the pool, not {sorted(named)}")


def file_of(machine: Workstation, name: str) -> Path:
    """The one file of a package in the pool."""
    (found,) = pool(machine).glob(f"{name}_*.deb")
    return found


def downloads(repository: Repository) -> list[str]:
    """The packages that were asked for, by the names of their files."""
    return [Path(path).name for path in repository.requests if path.endswith(".deb")]


@contextmanager
def locked(machine: Workstation, directory: str) -> Iterator[None]:
    """Hold the lock of a directory, as another aptkeep does that is at work there."""
    machine.run("mkdir", "-p", directory)
    holder = machine.popen("flock", "--close", directory, "sh", "-c", "echo held; sleep 100")
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        yield
    finally:
        holder.kill_group()
        holder.communicate()


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it never came to that")
        time.sleep(0.002)

"""A workstation with aptkeep on it, in few words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.commands import Result
from testbed.images import Image
from testbed.packages import TinyPackage, build
from testbed.repository import Repository
from testbed.workstation import Workstation

STORE = ".local/share/aptkeep"


def aptkeep(
    machine: Workstation,
    *arguments: str,
    code: int = 0,
    user: str | None = None,
    timeout: float = 120.0,
) -> Result:
    """Run `aptkeep`; an AssertionError with all that it said where it doesn't exit with `code`."""
    result = machine.run("aptkeep", *arguments, check=False, user=user, timeout=timeout)
    if result.returncode != code:
        raise AssertionError(
            f"aptkeep {' '.join(arguments)}: exit code {result.returncode}, not {code}\n"
            f"{result.output}"
        )
    return result


def start(machine: Workstation, *options: str, code: int = 0) -> Result:
    """`aptkeep start`, as a machine does when it starts."""
    return aptkeep(machine, "start", *options, code=code)


def next_boot(
    machine: Workstation, *, image: Image | None = None, network: bool = True, code: int = 0
) -> Result:
    """Throw the root away, boot the image (from now on `image`) and start."""
    if machine.booted:
        machine.stop()
    machine.boot(image, network=network)
    return start(machine, code=code)


def document(machine: Workstation, *arguments: str, code: int = 0) -> dict[str, Any]:
    """What `aptkeep … --json` prints."""
    parsed = json.loads(aptkeep(machine, *arguments, "--json", code=code).stdout)
    if not isinstance(parsed, dict) or parsed.pop("version") != 1:
        raise AssertionError(f"aptkeep {' '.join(arguments)} --json printed {parsed}")
    return parsed


def pending(machine: Workstation) -> dict[str, str]:
    """What `aptkeep status` calls pending: name to reason. Its exit code has to agree."""
    result = machine.run("aptkeep", "status", "--json", check=False)
    found = {entry["name"]: entry["reason"] for entry in json.loads(result.stdout)["pending"]}
    if result.returncode != (1 if found else 0):
        raise AssertionError(f"exit code {result.returncode} with pending: {found}")
    return found


# -- the store, as this machine sees it ----------------------------------------------------------


def store(machine: Workstation) -> Path:
    """The store's directory; it needn't be there."""
    return machine.home / STORE


def generations(machine: Workstation) -> list[dict[str, Any]]:
    """The generations in the store that are JSON, oldest first."""
    found = []
    for path in sorted(store(machine).glob("generations/[0-9]*.json")):
        with suppress(ValueError):
            found.append(json.loads(path.read_bytes()))
    return found


def newest(machine: Workstation) -> dict[str, Any]:
    """The newest generation in the store."""
    return generations(machine)[-1]


def wishes(machine: Workstation) -> dict[str, dict[str, Any]]:
    """The packages of the newest generation; none where there is no generation."""
    found = generations(machine)
    packages: dict[str, dict[str, Any]] = found[-1]["packages"] if found else {}
    return packages


# -- the root, as dpkg and apt see it --------------------------------------------------------------


@dataclass(frozen=True)
class PackageState:
    """All that dpkg and apt know of what is installed and why."""

    selections: tuple[str, ...]
    versions: tuple[str, ...]
    manual: tuple[str, ...]
    automatic: tuple[str, ...]
    held: tuple[str, ...]


def package_state(machine: Workstation) -> PackageState:
    """The state now, in the words of dpkg and apt-mark."""

    def lines(*command: str) -> tuple[str, ...]:
        return tuple(machine.run(*command).lines)

    return PackageState(
        selections=lines("dpkg", "--get-selections"),
        versions=lines("dpkg-query", "-W"),
        manual=lines("apt-mark", "showmanual"),
        automatic=lines("apt-mark", "showauto"),
        held=lines("apt-mark", "showhold"),
    )


def installed(machine: Workstation) -> dict[str, str]:
    """The packages that are installed and whole, with their versions."""
    form = "${db:Status-Status}\t${binary:Package}\t${Version}\n"
    lines = [line.split("\t") for line in machine.run("dpkg-query", "-W", "-f", form).lines]
    return {name: version for status, name, version in lines if status == "installed"}


def marked_automatic(machine: Workstation) -> set[str]:
    """What `apt-mark showauto` lists."""
    return set(machine.run("apt-mark", "showauto").lines)


def on_hold(machine: Workstation) -> set[str]:
    """What `apt-mark showhold` lists."""
    return set(machine.run("apt-mark", "showhold").lines)


# -- what a user does ------------------------------------------------------------------------------


def add_source(machine: Workstation, repository: Repository, name: str = "local") -> str:
    """Add the repository with its key, and update. Returns the path of the source."""
    path = repository.install_source(machine, name)
    update(machine)
    return path


def update(machine: Workstation) -> Result:
    """`apt-get update`."""
    return machine.run("apt-get", "update", "-q", "--error-on=any")


def install(machine: Workstation, *names: str) -> Result:
    """`apt-get install`."""
    return machine.run("apt-get", "install", "-qy", *names)


def put_deb(machine: Workstation, package: TinyPackage) -> str:
    """Build a package and put it into the root, where no repository knows it; its path there."""
    deb = build(package, machine.home.parent / "debs")
    path = f"/var/tmp/{deb.name}"  # noqa: S108 - the root's own
    machine.copy_in(deb, path)
    return path


def said(result: Result) -> list[str]:
    """The lines of standard error that come from aptkeep."""
    return [line for line in result.stderr.splitlines() if line.startswith("aptkeep:")]


@contextmanager
def replaced(machine: Workstation, commands: Sequence[str]) -> Iterator[Path]:
    """Put in the place of `commands` what does nothing but note how it was called.

    Yields the file, on this machine, with a line for each call; empty where there was none.
    """
    notes = "/run/called"
    machine.write(notes, "")
    for command in commands:
        path = machine.run("sh", "-c", f"command -v {command}").stdout.strip()
        machine.run("mv", path, f"{path}.real")
        machine.write(path, f'#!/bin/sh\necho "$0 $*" >> {notes}\n', 0o755)
    yield machine.root / notes[1:]
    for command in commands:
        path = machine.run("sh", "-c", f"command -v {command}").stdout.strip()
        machine.run("mv", f"{path}.real", path)

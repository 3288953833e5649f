"""dpkg's view of a root: packages, selections and architectures. On the hook path."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from aptkeep.machine.apt import paragraphs
from aptkeep.model import Package, Selection

if TYPE_CHECKING:
    from collections.abc import Iterable

_SELECTIONS = {selection.value: selection for selection in Selection}


def package_name(name: str, architecture: str, native: str) -> str:
    """The name under which apt prints a package: with its architecture where that's foreign."""
    return name if architecture in (native, "all", "") else f"{name}:{architecture}"


def qualified(name: str, native: str) -> str:
    """The same name with its architecture always there, as apt takes it anywhere."""
    return name if ":" in name else f"{name}:{native}"


def spelled(name: str, architecture: str) -> str:
    """The name as dpkg finds it beyond doubt: `cowsay:all`, where apt says `cowsay:amd64`."""
    bare = name.partition(":")[0]
    return f"{bare}:{architecture}" if architecture else bare


def read_packages(status_file: str, extended_states: str, native: str) -> dict[str, Package]:
    """Every package that dpkg(1) knows something about, with apt's auto marks.

    Left out are those with nothing on the root and nothing selected: dpkg forgets them too.
    """
    auto = {
        (name, architecture)
        for name, architecture, mark in paragraphs.fields(
            extended_states, ("Package", "Architecture", "Auto-Installed")
        )
        if mark == "1"
    }
    packages = {}
    wanted_fields = ("Package", "Status", "Version", "Architecture")
    for name, state, version, architecture in paragraphs.fields(status_file, wanted_fields):
        words = state.split()
        if len(words) != 3:  # noqa: PLR2004 - want, flag, status: deb-control(5)
            continue
        want, _flag, status = words
        selection = _SELECTIONS.get(want)
        gone = status in ("not-installed", "config-files")
        if selection is None or (status == "not-installed" and not selection.keeps):
            continue
        packages[package_name(name, architecture, native)] = Package(
            selection=selection,
            status=status,
            version=None if gone or not version else version,
            auto=not gone and (name, native if architecture == "all" else architecture) in auto,
            architecture=architecture,
        )
    return packages


def read_architectures(dpkg_directory: str, native: str) -> frozenset[str]:
    """The foreign architectures, from the file in which dpkg keeps them."""
    try:
        with open(
            os.path.join(dpkg_directory, "arch"), encoding="ascii", errors="replace"
        ) as stream:
            return frozenset(line.strip() for line in stream) - {native, ""}
    except FileNotFoundError:
        return frozenset()


def owners(dpkg_directory: str, paths: Iterable[str]) -> dict[str, str]:
    """Which package ships each of `paths`, or made it through ucf(1), for those that one did.

    Reads the lists of all packages, once.
    """
    wanted = {os.fsencode(path): path for path in paths}
    info = os.path.join(dpkg_directory, "info")
    found = _made_through_ucf(os.path.join(os.path.dirname(dpkg_directory), "ucf/registry"))
    found = {path: package for path, package in found.items() if os.fsencode(path) in wanted}
    try:
        names = [name for name in os.listdir(info) if name.endswith(".list")]
    except FileNotFoundError:
        return found
    for name in names:
        try:
            with open(os.path.join(info, name), "rb") as stream:
                listed = stream.read().split(b"\n")
        except FileNotFoundError:
            continue  # a package that is being removed right now
        for path in wanted.keys() & listed:
            found[wanted[path]] = name.removesuffix(".list").partition(":")[0]
    return found


def _made_through_ucf(registry: str) -> dict[str, str]:
    """Configuration files that maintainer scripts made, by path (ucfr(1))."""
    try:
        with open(registry, encoding="utf-8", errors="replace") as stream:
            entries = [line.split() for line in stream]
    except FileNotFoundError:
        return {}
    return {entry[1]: entry[0] for entry in entries if len(entry) == 2}  # noqa: PLR2004


def interrupted(dpkg_directory: str) -> bool:
    """Whether dpkg was killed: its journal of status changes was not folded in (libdpkg)."""
    try:
        return any(name.isdigit() for name in os.listdir(os.path.join(dpkg_directory, "updates")))
    except FileNotFoundError:
        return False


def is_free(lock_frontend: str) -> bool:
    """Whether nobody has dpkg's frontend lock, as far as this root can see (proc(5), locks)."""
    try:
        inode = str(os.stat(lock_frontend).st_ino)
        with open("/proc/locks", encoding="ascii") as stream:
            return not any(f":{inode} " in line for line in stream)
    except OSError:
        return False


def available_file(dpkg_directory: str) -> str:
    """The database of what dselect(1) found available; apt doesn't use it."""
    return os.path.join(dpkg_directory, "available")

"""Whether apt and dpkg still call us: our hooks as their configuration has them in the end."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import apt_pkg

from aptkeep.machine import sources
from aptkeep.model import FileKind

if TYPE_CHECKING:
    from aptkeep.machine.apt.config import Paths

PROGRAM = "/usr/libexec/aptkeep/hook"
CONFIGURATION = "/etc/apt/apt.conf.d/80aptkeep"
DPKG_CONFIGURATION = "/etc/dpkg/dpkg.cfg.d/aptkeep"

# Each list of hooks with our entry in it, and what that has to say.
_HOOKS = {
    "DPkg::Pre-Invoke": f"{PROGRAM} DPkg::Pre-Invoke",
    "DPkg::Post-Invoke": f"{PROGRAM} DPkg::Post-Invoke",
    "APT::Update::Pre-Invoke": f"{PROGRAM} APT::Update::Pre-Invoke",
    "APT::Update::Post-Invoke-Success": f"{PROGRAM} APT::Update::Post-Invoke-Success",
    "APT::Install::Post-Invoke-Success": f"{PROGRAM} APT::Install::Post-Invoke-Success",
    "DPkg::Pre-Install-Pkgs": f"{PROGRAM} DPkg::Pre-Install-Pkgs",
}
_VERSION = f"DPkg::Tools::Options::{PROGRAM}::Version"
_DPKG_HOOKS = ("pre-invoke", "post-invoke")


@dataclass(frozen=True, slots=True)
class Silenced:
    """A hook of ours that isn't called."""

    name: str
    """In apt's words, or dpkg's."""
    where: str
    """The file that takes it away, or that is gone or damaged itself."""
    gone: bool = False
    """Whether that file is ours and not there."""
    ours: bool = False
    """Whether that file is ours."""


def of_apt(paths: Paths) -> list[Silenced]:
    """The hooks of apt that aren't as aptkeep's package sets them, in all that apt reads."""
    missing = [option for option in (*_HOOKS, _VERSION) if not _works(apt_pkg.config, option)]
    if not missing:
        return []
    # Read again, file by file: the one after which a hook is gone took it away.
    culprits: dict[str, str] = {}
    configuration = apt_pkg.Configuration()
    working: set[str] = set()
    for path in _in_apts_order(paths):
        try:
            apt_pkg.read_config_file(configuration, path)
        except (apt_pkg.Error, SystemError):
            continue  # apt itself fails there, and says so
        for option in missing:
            if _works(configuration, option):
                working.add(option)
            elif option in working:
                working.discard(option)
                culprits[option] = path
    own = os.path.join(paths.root, CONFIGURATION.lstrip("/"))
    gone = not os.path.exists(own)
    return [
        Silenced(option, culprits[option])
        if option in culprits
        else Silenced(option, own, gone=gone, ours=True)
        for option in missing
    ]


def _works(configuration: apt_pkg.Configuration, option: str) -> bool:
    if option == _VERSION:
        return configuration.find(option) == "3"
    return _HOOKS[option] in configuration.find(f"{option}::aptkeep")


def _in_apts_order(paths: Paths) -> list[str]:
    """The files of apt.conf(5), as apt reads them."""
    found = [
        path
        for path, kind in sources.configuration_files(paths)
        if kind is FileKind.CONFIGURATION and os.path.exists(path)
    ]
    named = os.environ.get("APT_CONFIG")
    main = [path for path in found if path == paths.configuration]
    parts = [path for path in found if path != paths.configuration]
    return [*([named] if named else []), *parts, *main]


def of_dpkg(root: str) -> list[Silenced]:
    """The hooks of dpkg that its configuration doesn't have."""
    path = os.path.join(root, DPKG_CONFIGURATION.lstrip("/"))
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return [Silenced(f"dpkg's {hook}", path, gone=True, ours=True) for hook in _DPKG_HOOKS]
    there = {
        match[1]
        for line in lines
        if (match := re.match(r"\s*([a-z-]+)[\s=]", line)) and f"{PROGRAM} dpkg-{match[1]}" in line
    }
    return [
        Silenced(f"dpkg's {hook}", path, ours=True) for hook in _DPKG_HOOKS if hook not in there
    ]


def program_trouble(root: str) -> str | None:
    """What keeps the program behind the hooks from being run; None: nothing."""
    try:
        mode = os.stat(os.path.join(root, PROGRAM.lstrip("/"))).st_mode
    except OSError:
        return "it is not there"
    return None if mode & 0o100 else "it is not executable"

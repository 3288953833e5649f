"""A conda channel made on the spot, and py-rattler, which installs from it into genuine prefixes.

There is no conda, mamba or micromamba to be had from Debian, PyPI or npm; py-rattler, from PyPI, is
pixi's implementation of the same formats: it solves, downloads, links and writes `conda-meta`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from testbed import commands, tiny
from testbed.files import remove_tree
from testbed.images import cache_directory

_REQUIREMENT = "py-rattler==0.28.0"
_PLACEHOLDER = "/opt/placeholder_" + "placehold_" * 10
SAYS = "a tiny thing in"

# To be given: the channel, where packages are kept, a prefix, a name. Even for a channel of files
# it wants to find certificates on the machine.
INSTALL = """\
import asyncio, sys
import rattler
async def install(channel, packages, prefix, name):
    gateway = rattler.Gateway(cache_dir=packages + "/repodata")
    records = await rattler.solve(
        [channel], [name], gateway=gateway, platforms=["linux-64", "noarch"])
    await rattler.install(
        records, prefix, cache_dir=packages, platform=rattler.Subdir("linux-64"),
        show_progress=False)
asyncio.run(install(*sys.argv[1:]))
"""


def rattler() -> Path:
    """A directory for sys.path with py-rattler in it, fetched once into the cache."""
    python = cache_directory() / "python"
    python.mkdir(parents=True, exist_ok=True)
    found = python / _REQUIREMENT.replace("==", "-")
    with (python / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            making = python / "making"
            remove_tree(making)
            own = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
            environment = commands.environment(own)
            commands.run("/usr/bin/python3", "-m", "venv", making / "venv", env=environment)
            pip = (making / "venv/bin/python", "-m", "pip", "install", "--quiet", "--no-compile")
            target = making / "packages"
            commands.run(*pip, "--target", target, _REQUIREMENT, env=environment)
            target.rename(found)
            remove_tree(making)
    return found


def write_channel(directory: Path) -> None:
    """A channel with `tinything`, a program for linux-64 that needs `tinylib`, which is noarch."""
    program = f'#!/bin/sh\necho "{SAYS} {_PLACEHOLDER}: $(cat "{_PLACEHOLDER}/share/tinylib")"\n'
    packages = {
        "linux-64": ("tinything", ["tinylib >=1.0"], {"bin/tinything": program}),
        "noarch": ("tinylib", [], {"share/tinylib": "and its library\n"}),
    }
    for subdir, (name, depends, files) in packages.items():
        index = {
            "name": name,
            "version": "1.0",
            "build": "0",
            "build_number": 0,
            "depends": depends,
            "subdir": subdir,
            **({"noarch": "generic", "arch": None} if subdir == "noarch" else {"arch": "x86_64"}),
        }
        package = _package(index, files)
        file_name = f"{name}-1.0-0.tar.bz2"
        record = {
            **index,
            "size": len(package),
            "md5": hashlib.md5(package, usedforsecurity=False).hexdigest(),
            "sha256": hashlib.sha256(package).hexdigest(),
        }
        place = directory / subdir
        place.mkdir(parents=True)
        (place / file_name).write_bytes(package)
        repodata = {
            "info": {"subdir": subdir},
            "packages": {file_name: record},
            "repodata_version": 1,
        }
        (place / "repodata.json").write_text(json.dumps(repodata))


def _package(index: Mapping[str, object], files: Mapping[str, str]) -> bytes:
    """A package in conda's first format: the files, and what there is to know of them in `info`."""
    paths = [
        {
            "_path": path,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(content.encode()).hexdigest(),
            "size_in_bytes": len(content.encode()),
            **(
                {"prefix_placeholder": _PLACEHOLDER, "file_mode": "text"}
                if _PLACEHOLDER in content
                else {}
            ),
        }
        for path, content in files.items()
    ]
    members = {
        "info/index.json": json.dumps(index),
        "info/paths.json": json.dumps({"paths": paths, "paths_version": 1}),
        "info/files": "".join(f"{path}\n" for path in files),
        **files,
    }
    return tiny.tarball(members, "w:bz2")

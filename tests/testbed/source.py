"""aptkeep's own `.deb` files, built from this work tree."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from pathlib import Path

from testbed import commands
from testbed.images import cache_directory

_PACKAGE = "aptkeep"
_KEPT_SECONDS = 24 * 3600


def top() -> Path:
    """The work tree that this file belongs to."""
    return Path(__file__).resolve().parents[2]


def build_deb(tree: Path, directory: Path, package: str = _PACKAGE) -> Path:
    """A `.deb` of the source package in `tree`, built with dpkg-buildpackage on this machine.

    Built from a clean copy below `directory`: what git tracks, and what is new and not ignored.
    A tree with equal content is built once a day. Raises `CommandFailed`.
    """
    copy = directory / _PACKAGE
    _copy_work_tree(tree, copy)
    kept = cache_directory() / "debs" / _digest(copy)
    kept.mkdir(parents=True, exist_ok=True)
    with (kept / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not list(kept.glob(f"{_PACKAGE}_*.deb")):
            # The tests are what is running already.
            environment = commands.environment({"DEB_BUILD_OPTIONS": "nocheck"})
            argv = ("dpkg-buildpackage", "--no-sign", "--build=binary")
            commands.run(*argv, cwd=copy, env=environment, timeout=1800)
            building = kept / "building"
            building.mkdir(exist_ok=True)
            for built in directory.glob("*.deb"):
                shutil.copyfile(built, building / built.name)
            # The one that is looked for comes last, so that all are there.
            for built in sorted(building.iterdir()):
                built.rename(kept / built.name)
        (found,) = kept.glob(f"{package}_*.deb")
        deb = Path(shutil.copyfile(found, directory / found.name))
    _forget_old(kept)
    return deb


def _copy_work_tree(tree: Path, copy: Path) -> None:
    argv = ("git", "-c", f"safe.directory={tree}", "ls-files", "-z", "--cached", "--others")
    listed = commands.run(*argv, "--exclude-standard", cwd=tree)
    for name in filter(None, listed.stdout.split("\0")):
        source, target = tree / name, copy / name
        if source.is_symlink() or source.is_file():  # else tracked, but deleted in the work tree
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


def _digest(tree: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(tree.rglob("*")):
        if path.is_symlink():
            content = os.fsencode(path.readlink())
        elif path.is_file():
            content = path.read_bytes()
        else:
            continue
        executable = bool(path.lstat().st_mode & 0o100)
        header = f"{path.relative_to(tree)}\0{executable}\0{len(content)}\0"
        digest.update(header.encode(errors="surrogateescape") + content)
    return digest.hexdigest()[:16]


def _forget_old(kept: Path) -> None:
    for directory in kept.parent.iterdir():
        if directory != kept and time.time() - directory.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(directory, ignore_errors=True)

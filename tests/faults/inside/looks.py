"""What is there: in the store, as aptkeep itself reads it, and on the disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from aptkeep import review
from aptkeep.at_home import open_existing
from aptkeep.errors import AptkeepError
from aptkeep.machine.apt import config
from aptkeep.model import KeptFile, Manifest, Node, NodeKind
from aptkeep.store import generations, kept, trees
from aptkeep.store.tree import Directory
from faults.inside.calls import Inode, inode
from faults.inside.power import Tree
from faults.inside.processes import in_child, reap

HOME, STATE = "/home/bench-user", "/var/lib/aptkeep"
_OF_THE_ROOT = ("/etc/apt", "/opt")


@dataclass(frozen=True)
class Wishes:
    """What the newest whole generation wants."""

    number: int
    of: Mapping[str, str]


def _asked(question: Callable[[], Any]) -> Any:  # noqa: ANN401 - JSON
    """Ask in a child, as apt's configuration is read anew there."""

    def work() -> None:
        sys.stdout.write(json.dumps(question()))

    ended = in_child(work)
    if ended.code != 0:
        raise RuntimeError(ended.output)
    return json.loads(ended.output)


@dataclass(frozen=True)
class Look:
    """What a store holds."""

    wishes: Wishes
    missing: Sequence[str]
    """What the newest whole generation names, and isn't there or is another one."""
    troubles: Sequence[str] = ()
    """What `aptkeep verify` finds."""


def look(*, verify: bool = False) -> Look:
    """Look at the store; RuntimeError where no generation is whole."""
    (number, found), missing, troubles = _asked(lambda: _look(verify=verify))
    return Look(Wishes(number, found), missing, troubles)


def _look(*, verify: bool) -> tuple[tuple[int, dict[str, str]], list[str], list[str]]:
    configuration = config.load()
    with open_existing(configuration) as store:
        newest = generations.newest(store) if store is not None else generations.Newest()
        number = newest.generation.number if newest.generation else 0
        found, missing = ({}, []) if store is None else _wanted(store, newest.manifest)
    troubles = list(review.verify(configuration).troubles) if verify else []
    return (number, found), missing, troubles


def _wanted(store: Directory, manifest: Manifest) -> tuple[dict[str, str], list[str]]:
    """All that a manifest wants, and what of it the store hasn't got."""
    missing: list[str] = []

    def check(action: Callable[[], object]) -> None:
        try:
            action()
        except AptkeepError as error:
            missing.append(error.brief)

    found = {f"package {name}": repr(wish) for name, wish in manifest.packages.items()}
    found.update((f"architecture {name}", repr(w)) for name, w in manifest.architectures.items())
    for path, file in manifest.files.items():
        found[f"file {path}"] = repr(file)
        if isinstance(file, KeptFile):
            found[f"file {path}"] = repr(replace(file, proven=None))  # a day, not a wish
            check(partial(kept.get, store, path, file))
    nodes: dict[str, Node] = {}
    check(lambda: nodes.update(trees.read(store, manifest.tree)))
    for path, node in nodes.items():
        found[f"kept {path}"] = repr(node)
        if node.kind is NodeKind.FILE:
            check(partial(trees.verify, store, path, node))
    return found, missing


def apt_works() -> list[str]:
    ended = subprocess.run(["apt-get", "check", "-q"], capture_output=True, text=True, check=False)
    audit = subprocess.run(["dpkg", "--audit"], capture_output=True, text=True, check=False)
    problems = []
    if ended.returncode != 0:
        problems.append(f"apt-get check: {ended.stdout}{ended.stderr}")
    if audit.returncode != 0 or audit.stdout:
        problems.append(f"dpkg --audit: {audit.stdout}{audit.stderr}")
    return problems


def further_installation() -> list[str]:
    """One more package, by apt and with the hooks: it's recorded."""
    install = "apt-get install -qy /var/tmp/further.deb"
    done = subprocess.run(install.split(), capture_output=True, text=True, check=False)
    problems = []
    if done.returncode != 0 or "aptkeep:" in done.stderr:
        problems.append(f"{install}: {done.stdout[-2000:]}{done.stderr}")
    reap(None)
    if "package further" not in look().wishes.of:
        problems.append(f"{install}: it's not recorded: {done.stderr}")
    subprocess.run(["dpkg", "-P", "further"], capture_output=True, check=True)
    reap(None)
    return problems


def tree_of(roots: Sequence[str]) -> dict[str, Inode]:
    """All paths below some directories."""
    found = {}
    for root in roots:
        found[root] = inode(root)
        for place, directories, names in os.walk(root):
            for name in (*directories, *names):
                with contextlib.suppress(FileNotFoundError):
                    found[f"{place}/{name}"] = inode(f"{place}/{name}")
    return found


def digest(tree: Tree) -> str:
    """The same for two trees between which no run of aptkeep could tell."""
    total = hashlib.sha256()
    plain = [(_plain(path), found) for path, found in tree.items()]
    for path, found in sorted(plain, key=lambda pair: pair[0]):
        content = b"" if path.endswith("/log") else found.content
        total.update(repr((path, found.mode, found.uid, found.gid, content)).encode())
    return total.hexdigest()


def _plain(path: str) -> str:
    """Without what is another one in each run: numbers of processes, moments, and by chance."""
    above, name = os.path.split(path)
    if name.startswith((".new-", ".aptkeep-")):
        name = name.partition("-")[0]
    if above.endswith("/incoming"):
        name = "".join("0" if c.isdigit() else c for c in name)
    if name.startswith("preferences-"):
        name = "preferences-"
    return f"{_plain(above)}/{name}" if above not in ("", "/") else path


def of_root(roots: Sequence[str]) -> dict[str, str]:
    """What an operation makes of the root, below `roots` and of packages."""
    found = {}
    for path, there in tree_of([root for root in roots if root in _OF_THE_ROOT]).items():
        text = (oct(there.mode), there.uid, there.gid, there.content, there.capabilities)
        found[path] = repr(text)
    for command in ("dpkg-query -W", "apt-mark showauto", "dpkg --get-selections"):
        found[command] = subprocess.run(
            command.split(), capture_output=True, text=True, check=True
        ).stdout
    return found


def left_over(roots: Sequence[str]) -> Iterator[str]:
    for path in tree_of(roots):
        above, name = os.path.split(path)
        if (
            name.startswith(
                (".new-", ".aptkeep-", "preferences-", "restoring.json", "staged", "undoing")
            )
            or above == f"{STATE}/incoming"
        ):
            yield path


def lay_out(tree: Tree, roots: Sequence[str]) -> None:
    for root in roots:
        for entry in os.scandir(root):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
    for path in sorted(tree):
        found = tree[path]
        if stat.S_ISDIR(found.mode):
            if path not in roots:
                os.mkdir(path)
        elif stat.S_ISLNK(found.mode):
            os.symlink(os.fsdecode(found.content), path)
        else:
            with open(path, "xb") as stream:
                stream.write(found.content)
        os.chown(path, found.uid, found.gid, follow_symlinks=False)
        if not stat.S_ISLNK(found.mode):
            os.chmod(path, stat.S_IMODE(found.mode))
            if found.capabilities:
                os.setxattr(path, "security.capability", found.capabilities)
            os.utime(path, ns=(found.mtime_ns, found.mtime_ns))


def difference(left: Mapping[str, str], right: Mapping[str, str]) -> str:
    lines = [
        f"{key}: {str(left.get(key))[:60]}, not {str(right.get(key))[:60]}"
        for key in sorted(left.keys() | right.keys())
        if left.get(key) != right.get(key)
    ]
    return "; ".join(lines)

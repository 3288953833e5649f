"""A machine whose packages come from real .deb files, which wait, and are pooled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from aptkeep.machine import incoming
from aptkeep.machine.apt import debfile
from aptkeep.pooling import Pooled, local_debs, pool_fetched, pool_local, take_in
from aptkeep.store.pool import SUBDIRECTORY, PooledDeb, open_pool
from aptkeep.store.tree import open_store
from unit.debs import control, deb
from unit.machines import STORE, Machine


def made(name: str, version: str = "1", *, sums: str = "", size: int = 0) -> bytes:
    """A .deb; `sums` tells one of a version from another, `size` makes it larger."""
    noise = "".join(f"{i * i:x}" for i in range(size))
    return deb(control(name, version, "amd64"), members={"md5sums": sums}, files={"/f": noise})


def unpack(machine: Machine, name: str, version: str = "1", *, sums: str = "") -> None:
    """What dpkg leaves of an installation, its checksums among it."""
    machine.install(name, version)
    machine.root.write(f"var/lib/dpkg/info/{name}.list", "/.\n")
    machine.root.write(f"var/lib/dpkg/info/{name}.md5sums", sums)


def hand_over(machine: Machine, content: bytes, place: str) -> str:
    """Put a file somewhere on the root and let it wait, as apt's hook does; its path."""
    path = machine.root.write(place, content)
    paths = machine.root.paths
    incoming.catch(paths.state, [path], archives=paths.archives)
    return path


def install_file(machine: Machine, name: str, version: str = "1", *, sums: str = "") -> str:
    """`dpkg -i` of a local file, as far as the hook; its path."""
    content = made(name, version, sums=sums)
    path = hand_over(machine, content, f"home/{name}_{version}.deb")
    unpack(machine, name, version, sums=sums)
    return path


def waiting(machine: Machine) -> list[str]:
    """The paths that wait."""
    paths = machine.root.paths
    return [file.path for file in incoming.waiting(paths.state, paths.archives)]


def pool_what_is_local(machine: Machine) -> Pooled:
    """As the hook does."""
    with local_debs(machine.configuration, lambda: False, of_root=False) as debs:
        pooled = pool_local(machine.configuration, debs)
        return replace(pooled, troubles=(*pooled.troubles, *take_in(debs)))


def in_pool(machine: Machine) -> list[PooledDeb]:
    """What the pool has."""
    if not machine.store_path.exists():
        return []
    with (
        open_store(str(machine.home), STORE) as store,
        open_pool(store, debfile.control) as pool,
    ):
        return pool.debs() if pool is not None else []


def pool_path(machine: Machine) -> Path:
    """Where the pool lies."""
    return machine.store_path / SUBDIRECTORY


def fetch(machine: Machine, name: str, version: str = "1", *, size: int = 0) -> Pooled:
    """Pool what apt fetched from a repository, without any lists at hand."""
    place = f"var/cache/apt/archives/{name}_{version}_amd64.deb"
    hand_over(machine, made(name, version, size=size), place)
    return pool_fetched(machine.configuration, lambda _deb: frozenset())

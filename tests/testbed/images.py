"""Images: roots made by mmdebstrap, and layers on top of them, each cached under its recipe.

The cache is `$APTKEEP_TESTBED_CACHE`, by default /var/cache/aptkeep-testbed:

    layers/SUITE-NAME-KEY/   one overlayfs layer; KEY is a hash of all that went into it
    locks/SUITE-NAME-KEY     held while the layer is made, touched whenever it is used
    building/                layers that aren't whole yet

Layers are never changed in place: a new recipe is a new key, and layers that nobody used for two
weeks are removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed import mirror
from testbed.commands import run
from testbed.files import opened_root, remove_tree, write
from testbed.root import PROXY_FILE, Layout, Root

USER = "bench-user"
HOME = f"/home/{USER}"

DEPENDENCIES = (
    "gpg",
    "gpgv",
    "python3",
    "python3-apt",
    "python3-click",
    "python3-cryptography",
    "python3-debian",
    "python3-jsonschema",
)
BUILD_DEPENDENCIES = (
    "build-essential",
    "debhelper",
    "dh-python",
    "lintian",
    "pybuild-plugin-pyproject",
    "python3-all",
    "python3-setuptools",
)

# What images for containers add to apt, in the words of the `debian` images' build script.
CONTAINER_APT_FILES: Mapping[str, bytes] = {
    "/etc/apt/apt.conf.d/docker-clean": b"""\
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb \
/var/cache/apt/*.bin || true"; };
APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb \
/var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
""",
    "/etc/apt/apt.conf.d/docker-gzip-indexes": b"""\
Acquire::GzipIndexes "true";
Acquire::CompressionTypes::Order:: "gz";
""",
    "/etc/apt/apt.conf.d/docker-autoremove-suggests": b"""\
Apt::AutoRemove::SuggestsImportant "false";
""",
}

_FORGET_LISTS = "rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/* /var/cache/apt/*.bin"
_UNUSED_SECONDS = 14 * 24 * 3600
_UNUSED_WORKSTATION_SECONDS = 6 * 3600


@dataclass(frozen=True)
class Image:
    """What a root is before anybody touched it: overlayfs lower directories, topmost first."""

    suite: str
    layers: tuple[Path, ...]

    @property
    def key(self) -> str:
        """Names this image among all others."""
        return self.layers[0].name


def cache_directory() -> Path:
    """Where layers are kept. Needs a file system that overlayfs accepts as upper directory."""
    return Path(os.environ.get("APTKEEP_TESTBED_CACHE", "/var/cache/aptkeep-testbed"))


def base(suite: str) -> Image:
    """Minbase with sudo and `bench-user`, without apt lists, as an image has it."""
    argv = _mmdebstrap()
    settings = _base_settings(suite)
    recipe = [
        argv,
        _FORGET_LISTS,
        mirror.mirror(),
        sorted((path, *made) for path, made in settings.items()),
    ]
    with _layer(f"{suite}-base-{_digest(recipe)}") as (layer, building):
        if building is not None:
            tree = building / "upper"
            # In namespaces of its own, so that its mounts end with it even when it is killed, and
            # it is killed when this process is: nobody else may write to a layer that is unlocked.
            alone = (
                "setpriv",
                "--pdeathsig",
                "KILL",
                "--",
                "unshare",
                "--mount",
                "--propagation",
                "private",
                "--pid",
                "--fork",
            )
            proxy = [f"--aptopt={line}" for line in mirror.proxy_configuration().splitlines()]
            argv = (*alone, "--kill-child=KILL", "--", *argv, *proxy)
            run(*argv, suite, tree, mirror.mirror(), timeout=1800, fronted=True)
            run("chroot", tree, "sh", "-c", _FORGET_LISTS)
            with opened_root(tree) as root:
                for path, (text, mode) in settings.items():
                    write(root, path, text.encode(), mode, (0, 0))
    return Image(suite, (layer,))


def extend(
    image: Image,
    name: str,
    commands: Sequence[Sequence[str]] = (),
    *,
    files: Mapping[str, Path | bytes] | None = None,
    packages: Sequence[str] = (),
    cache: bool = True,
    directory: Path | None = None,
) -> Image:
    """A further layer: `files` are written, then `packages` installed, then `commands` run as root.

    With network. Packages come without their recommendations, and the lists they needed are
    removed afterwards. A file from a `Path` keeps its mode, one from bytes gets 0644. With
    `cache=False` the layer is made in `directory`, which the caller removes. Raises
    `CommandFailed`, then no layer is kept.
    """
    contents = {path: _content(source) for path, source in (files or {}).items()}
    digests = sorted((path, _sha256(text), mode) for path, (text, mode) in contents.items())
    steps = [list(command) for command in commands]
    if packages:
        install = ["apt-get", "install", "-qy", "--no-install-recommends", *packages]
        steps = [["apt-get", "update", "-q"], install, ["sh", "-c", _FORGET_LISTS], *steps]
    layers = [layer.name for layer in image.layers]
    layer_name = f"{image.suite}-{name}-{_digest([layers, name, steps, digests])}"
    if not cache:
        if directory is None:
            raise ValueError("a layer that isn't cached needs a directory")
        own = directory / layer_name
        building = own.with_suffix(".building")
        try:
            _make_layer(image, building, steps, contents)
            (building / "upper").rename(own)
        finally:
            remove_tree(building)
        return Image(image.suite, (own, *image.layers))
    with _layer(layer_name) as (layer, making):
        if making is not None:
            _make_layer(image, making, steps, contents)
    return Image(image.suite, (layer, *image.layers))


def with_dependencies(suite: str) -> Image:
    """The base and what aptkeep depends on, so that its package installs without network."""
    return extend(base(suite), "dependencies", packages=DEPENDENCIES)


def builder(suite: str) -> Image:
    """What builds aptkeep's package in that suite and runs lintian on it."""
    return extend(with_dependencies(suite), "builder", packages=BUILD_DEPENDENCIES)


def workstation(suite: str, deb: Path) -> Image:
    """The image that a platform would ship: aptkeep's package installed, lists removed."""
    at = f"/root/{deb.name}"
    install = f"apt-get install -qy --no-install-recommends {at}"
    # The dependencies are there, so apt needs lists only for a package that wants more than them.
    script = f"{install} || (apt-get update -q && {install}); rm {at}; {_FORGET_LISTS}"
    return extend(
        with_dependencies(suite), "aptkeep", [["sh", "-ec", script]], files={at: deb.read_bytes()}
    )


def container_like(image: Image) -> Image:
    """The image with what images for containers add to apt: docker-clean and its companions."""
    return extend(image, "container", files=CONTAINER_APT_FILES)


def without_archive(image: Image) -> Image:
    """The image without its source for the Debian archive: `apt-get update` is quick and local."""
    return extend(image, "no-archive", [["rm", "/etc/apt/sources.list.d/debian.sources"]])


def without_pool(image: Image) -> Image:
    """The image with aptkeep's pool off: what is missing at a start comes from repositories."""
    return extend(
        image, "no-pool", files={"/etc/apt/apt.conf.d/88no-pool": b'Aptkeep::Pool::Keep "none";\n'}
    )


def prune() -> None:
    """Remove layers that nobody used for a long time: two weeks, or six hours if made for one .deb.

    A layer that another process is making or looking up is locked, and stays. The lock files stay,
    too: one that is removed while another process waits for it locks nothing.
    """
    for layer in (cache_directory() / "layers").iterdir():
        of_one_deb = layer.name.split("-")[1] == "aptkeep"
        limit = _UNUSED_WORKSTATION_SECONDS if of_one_deb else _UNUSED_SECONDS
        with _lock_file(layer.name).open("ab") as lock, contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - os.fstat(lock.fileno()).st_mtime > limit:
                remove_tree(layer)


@contextlib.contextmanager
def _layer(name: str) -> Iterator[tuple[Path, Path | None]]:
    """The finished layer's path, and a directory to make it in (`upper`) if it is to be made."""
    cache = cache_directory()
    layer, building = cache / "layers" / name, cache / "building" / name
    for path in (layer, building, _lock_file(name)):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _lock_file(name).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.utime(lock.fileno())
        if layer.is_dir():
            yield layer, None
            return
        remove_tree(building)
        building.mkdir()
        try:
            yield layer, building
            (building / "upper").rename(layer)
        finally:
            remove_tree(building)
    prune()


def _lock_file(name: str) -> Path:
    return cache_directory() / "locks" / name


def _make_layer(
    image: Image,
    directory: Path,
    steps: Sequence[Sequence[str]],
    contents: Mapping[str, tuple[bytes, int]],
) -> None:
    upper = directory / "upper"
    booted = Root.boot(Layout(image.layers, upper, directory / "work", directory / "root"))
    try:
        with opened_root(booted.path) as root:
            for path, (text, mode) in contents.items():
                write(root, path, text, mode, (0, 0))
        for step in steps:
            booted.run(*step, timeout=1800)
        # It belongs to this machine, not to the image; every boot writes it anew.
        booted.run("rm", "-f", PROXY_FILE)
    finally:
        booted.stop()


def _mmdebstrap() -> tuple[str, ...]:
    secure = ",ca-certificates" if mirror.mirror().startswith("https:") else ""
    add_user = f"useradd --uid 1000 --user-group --no-create-home --shell /bin/bash {USER}"
    return (
        "mmdebstrap",
        "--mode=root",
        "--format=directory",
        "--variant=minbase",
        "--components=main",
        f"--include=sudo{secure}",
        # The mirror of a test machine may be a frozen one, whose Release files have expired.
        '--aptopt=Acquire::Check-Valid-Until "false"',
        '--aptopt=Acquire::Check-Date "false"',
        '--aptopt=Acquire::Languages "none"',
        f'--customize-hook=chroot "$1" {add_user}',
        f'--customize-hook=chroot "$1" install -d -o {USER} -g {USER} -m 755 {HOME}',
        # The settings below say the same again under names of their own.
        '--customize-hook=rm "$1/etc/apt/apt.conf.d/99mmdebstrap" "$1/etc/apt/sources.list"',
    )


def _base_settings(suite: str) -> dict[str, tuple[str, int]]:
    """Files of a base image: path → text and mode."""
    source = (
        "Types: deb\n"
        f"URIs: {mirror.mirror()}\n"
        f"Suites: {suite}\n"
        "Components: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )
    options = (
        'Acquire::Check-Valid-Until "false";\n'
        'Acquire::Check-Date "false";\n'
        'Acquire::Languages "none";\n'
        # Three more attempts at a repository that is down, as apt makes them, but at once: apt
        # waits 1, 2 and 4 seconds before them.
        'Acquire::Retries::Delay "false";\n'
    )
    return {
        "/etc/apt/sources.list.d/debian.sources": (source, 0o644),
        "/etc/apt/apt.conf.d/80testbed": (options, 0o644),
        "/etc/hostname": ("workstation\n", 0o644),
        "/etc/hosts": ("127.0.0.1 localhost workstation\n::1 localhost\n", 0o644),
        f"/etc/sudoers.d/{USER}": (f"{USER} ALL=(ALL:ALL) NOPASSWD: ALL\n", 0o440),
        # As in images for containers: maintainer scripts start no services.
        "/usr/sbin/policy-rc.d": ("#!/bin/sh\nexit 101\n", 0o755),
    }


def _content(source: Path | bytes) -> tuple[bytes, int]:
    if isinstance(source, bytes):
        return source, 0o644
    return source.read_bytes(), source.stat().st_mode & 0o777


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest(recipe: object) -> str:
    return _sha256(json.dumps(recipe).encode())[:12]

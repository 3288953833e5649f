"""Workstations that start over and over with the installed `.deb`.

| what must be true | where |
| --- | --- |
| real packages come back as they were | `test_real_packages` |
| what the user removed is gone | `test_removal` |
| holds and marks without a dpkg run are kept | `test_marks` |
| foreign architectures and their packages come back | `test_architectures` |
| a restore upgrades nothing that nobody asked for | `test_pending_upgrades` |
| the image changes: wishes hold, nothing of it suffers | `test_image_changes` |
| a repository is down: the others' packages come, nothing is lost | `test_repository_down` |
| an image build records nothing | `test_image_build` |
| aptkeep is removed or broken: apt works | `test_breakage` |
| nothing is wanted: no network, no apt, no dpkg | `test_empty_manifest` |
| the hook imports standard library and apt_pkg only, from nowhere else | `test_hook` |
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from cycle.keeping import start
from testbed import commands as host
from testbed import images, packages
from testbed.files import remove_tree
from testbed.fixtures import MakeWorkstation
from testbed.images import HOME, Image
from testbed.packages import TinyPackage
from testbed.repository import Repository, SigningKey
from testbed.workstation import Workstation

KEY = "/etc/apt/keyrings/local.asc"
SOURCE = "/etc/apt/sources.list.d/local.list"


class MakeImage(Protocol):
    """What `make_image` is: the image with aptkeep, and more in it."""

    def __call__(
        self,
        *contents: TinyPackage,
        commands: Sequence[Sequence[str]] = (),
        files: Mapping[str, bytes] | None = None,
    ) -> Image:
        """`contents` are installed with `dpkg -i`, all at once, before `commands` run."""


class Prepare(Protocol):
    """What `prepare` is: a workstation on which a good deal has happened already."""

    def __call__(
        self,
        *published: TinyPackage,
        commands: Sequence[str] = (),
        contents: Sequence[TinyPackage] = (),
        fresh: bool = False,
    ) -> Experienced:
        """A booted workstation on an image with `contents`.

        After the first start its user added the source of `repository`, which holds `published`,
        updated, and gave `commands`. With `fresh`, the root was lost since: it's a new one that
        has not been started. What was prepared once is copied after that.
        """


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here meets whole workstations."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cycle)


@pytest.fixture(scope="session")
def local_image(workstation_image: Image) -> Image:
    """The image with aptkeep that knows no repository but those of the tests, and keeps no pool.

    What the tests of `pool` hold isn't held here once more.
    """
    return images.without_pool(images.without_archive(workstation_image))


@pytest.fixture
def make_image(local_image: Image, scratch: Path) -> MakeImage:
    """A factory of images that go after the test."""

    def make(
        *contents: TinyPackage,
        commands: Sequence[Sequence[str]] = (),
        files: Mapping[str, bytes] | None = None,
    ) -> Image:
        return extended(local_image, scratch, contents, commands, files)

    return make


def extended(
    image: Image,
    directory: Path,
    contents: Sequence[TinyPackage],
    commands: Sequence[Sequence[str]],
    files: Mapping[str, bytes] | None = None,
) -> Image:
    """An image with packages and files in it, which is not cached but lies in `directory`."""
    built = [packages.build(content, directory / "debs") for content in contents]
    at = [f"/root/{deb.name}" for deb in built]
    steps = [["dpkg", "-i", *at], ["rm", *at]] if at else []
    placed: dict[str, Path | bytes] = {**dict(zip(at, built, strict=True)), **(files or {})}
    return images.extend(
        image, "test", [*steps, *commands], files=placed, cache=False, directory=directory
    )


@pytest.fixture
def machine(make_workstation: MakeWorkstation, local_image: Image) -> Workstation:
    """A workstation that has booted and started for the first time."""
    made = make_workstation(local_image).boot()
    start(made)
    return made


# -- what is made once for the whole run ---------------------------------------------------------


@pytest.fixture(scope="session")
def shelf(session_scratch: Path, signing_key: SigningKey) -> Iterator[Repository]:
    """The one repository behind `repository`: what is prepared knows its address."""
    with Repository(session_scratch / "shelf", signing_key) as made:
        yield made


@pytest.fixture
def repository(shelf: Repository, signing_key: SigningKey) -> Repository:
    """A signed repository that is up and holds nothing."""
    as_new(shelf, signing_key)
    return shelf


def as_new(repository: Repository, key: SigningKey) -> None:
    """Whatever a test did to it: up, quick, empty."""
    repository.key = key
    repository.delay = 0.0
    repository.failures.clear()
    repository.publish()
    repository.up()
    repository.requests.clear()


@dataclass(frozen=True)
class Prepared:
    """The same root in three states, and the home."""

    image: Image
    used: Image
    home: Path


@pytest.fixture(scope="session")
def preparations() -> dict[object, Prepared]:
    """What was prepared so far."""
    return {}


class Experienced(Workstation):
    """A workstation whose first root has a past; all further ones come from its image."""

    def __init__(self, found: Prepared, *, home: Path, scratch: Path, fresh: bool) -> None:
        super().__init__(found.image if fresh else found.used, home=home, scratch=scratch)
        self.next_image = found.image
        """What comes after a stop."""

    def stop(self, *, record: bool = False) -> None:
        """As any other."""
        super().stop(record=record)
        self.image = self.next_image

    def kill(self) -> None:
        """As any other; the first boot makes sure of it, too."""
        if self.booted:
            self.image = self.next_image
        super().kill()


@pytest.fixture
def prepare(
    local_image: Image,
    repository: Repository,
    preparations: dict[object, Prepared],
    session_scratch: Path,
    scratch: Path,
) -> Iterator[Prepare]:
    """A factory of workstations with a past."""
    opened = contextlib.ExitStack()

    def make(
        *published: TinyPackage,
        commands: Sequence[str] = (),
        contents: Sequence[TinyPackage] = (),
        fresh: bool = False,
    ) -> Experienced:
        repository.publish(*published)
        key = repr((local_image.key, published, commands, contents))
        if key not in preparations:
            directory = session_scratch / f"prepared{len(preparations)}"
            directory.mkdir()
            preparations[key] = prepared(local_image, directory, repository, contents, commands)
        found = preparations[key]
        number = len(list(scratch.glob("home*")))
        home = scratch / f"home{number}"
        host.run("cp", "-a", found.home, home)
        directory = scratch / f"experienced{number}"
        made = Experienced(found, home=home, scratch=directory, fresh=fresh)
        opened.enter_context(made).boot()
        return made

    with opened:
        yield make


def prepared(
    image: Image,
    directory: Path,
    repository: Repository,
    contents: Sequence[TinyPackage],
    commands: Sequence[str],
) -> Prepared:
    """Let it all happen, with the home as a part of the root, and keep both."""
    assert repository.key is not None
    if contents:
        image = extended(image, directory, contents, ())
    source = repository.source_line(KEY)
    steps = [
        "aptkeep start",
        f"install -D -m 644 /root/key {KEY}",
        f"echo '{source.strip()}' > {SOURCE}",
        "apt-get update -q --error-on=any",
        *commands,
    ]
    used = images.extend(
        image,
        "used",
        [["sh", "-ec", step] for step in steps],
        files={"/root/key": repository.key.public()},
        cache=False,
        directory=directory,
    )
    # Out of the root with it: a root whose home isn't mounted has an empty directory there.
    inside, home = used.layers[0] / HOME[1:], directory / "home"
    host.run("cp", "-a", inside, home)
    for each in inside.iterdir():
        remove_tree(each)
    return Prepared(image, used, home)


ALPHA, BETA = TinyPackage("alpha", depends="beta"), TinyPackage("beta")


@pytest.fixture
def used(prepare: Prepare) -> Workstation:
    """The user installed alpha, and beta came with it."""
    return prepare(ALPHA, BETA, commands=["apt-get install -qy alpha"])


@pytest.fixture
def fresh(prepare: Prepare) -> Workstation:
    """The same, with its root lost: a new one is booted and not started."""
    return prepare(ALPHA, BETA, commands=["apt-get install -qy alpha"], fresh=True)

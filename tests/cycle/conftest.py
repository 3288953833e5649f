"""Workstations that start over and over with the installed `.deb`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from cycle.keeping import start
from testbed import images, packages
from testbed.fixtures import MakeWorkstation
from testbed.images import Image
from testbed.packages import TinyPackage
from testbed.workstation import Workstation


class MakeImage(Protocol):
    """What `make_image` is: the image with aptkeep, and more in it."""

    def __call__(
        self,
        *contents: TinyPackage,
        commands: Sequence[Sequence[str]] = (),
        files: Mapping[str, bytes] | None = None,
    ) -> Image:
        """`contents` are installed with `dpkg -i`, all at once, before `commands` run."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here meets whole workstations."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cycle)


@pytest.fixture(scope="session")
def local_image(workstation_image: Image) -> Image:
    """The image with aptkeep that knows no repository but those of the tests."""
    return images.without_archive(workstation_image)


@pytest.fixture
def make_image(local_image: Image, scratch: Path) -> MakeImage:
    """A factory of images that go after the test."""

    def make(
        *contents: TinyPackage,
        commands: Sequence[Sequence[str]] = (),
        files: Mapping[str, bytes] | None = None,
    ) -> Image:
        built = [packages.build(content, scratch / "debs") for content in contents]
        at = [f"/root/{deb.name}" for deb in built]
        steps = [["dpkg", "-i", *at], ["rm", *at]] if at else []
        placed: dict[str, Path | bytes] = {**dict(zip(at, built, strict=True)), **(files or {})}
        return images.extend(
            local_image,
            "test",
            [*steps, *commands],
            files=placed,
            cache=False,
            directory=scratch,
        )

    return make


@pytest.fixture
def machine(make_workstation: MakeWorkstation, local_image: Image) -> Workstation:
    """A workstation that has booted and started for the first time."""
    made = make_workstation(local_image).boot()
    start(made)
    return made

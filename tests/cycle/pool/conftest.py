"""Machines whose apt deletes every downloaded archive, as images for containers make it do."""

from __future__ import annotations

from pathlib import Path

import pytest

from cycle.conftest import Prepare
from cycle.pool.stock import ALPHA, BETA, GAMMA, LOCAL, PLAIN, SETTLE, SUM, make_deb
from testbed import images
from testbed.images import Image
from testbed.workstation import Workstation


@pytest.fixture(scope="session")
def local_image(workstation_image: Image) -> Image:
    """As elsewhere, and with docker-clean."""
    return images.container_like(images.without_archive(workstation_image))


@pytest.fixture(scope="session")
def repacking_image(suite: str, aptkeep_deb: Path, session_scratch: Path) -> Image:
    """The same, and dpkg-repack is installed."""
    # Below aptkeep, so that it needs to be fetched only once in two weeks.
    below = images.extend(
        images.with_dependencies(suite), "repack", packages=["dpkg-repack", "fakeroot"]
    )
    at = f"/root/{aptkeep_deb.name}"
    made = images.extend(
        images.without_archive(below),
        "repacking",
        [["dpkg", "-i", at], ["rm", at]],
        files={at: aptkeep_deb},
        cache=False,
        directory=session_scratch,
    )
    return images.container_like(made)


@pytest.fixture
def stocked(prepare: Prepare) -> Workstation:
    """A fresh root, not started, and a home whose pool holds all that was installed before.

    `alpha` (which depends on `beta`) and `gamma` are in `repository`; `local`, which came with
    `apt install ./…` and depends on `gamma`, and `plain`, which came with `dpkg -i`, are not.
    """
    return prepare(
        *(ALPHA, BETA, GAMMA),
        commands=[
            "apt-get install -qy alpha",
            f"{make_deb(LOCAL)}; apt-get install -qy {LOCAL.path}; rm {LOCAL.path}",
            f"{make_deb(PLAIN)}; dpkg -i {PLAIN.path}",
            SETTLE,
            SUM,
        ],
        fresh=True,
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """apt knows snapshots since 2.7.0: what wants them to be known isn't for bookworm's."""
    of_old_apt = [
        item
        for item in items
        if isinstance(item, pytest.Function)
        and "knowing" in item.fixturenames
        and item.callspec.params.get("suite") == "bookworm"
    ]
    config.hook.pytest_deselected(items=of_old_apt)
    items[:] = [item for item in items if item not in of_old_apt]

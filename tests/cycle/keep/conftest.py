"""Machines that keep paths outside the home."""

from __future__ import annotations

from pathlib import Path

import pytest

from cycle.conftest import Experienced, Prepare, extended
from cycle.keep.paths import ACCOUNTS, CONFIGURATION, IMAGE, LOOK, MADE, SEEN
from testbed import images
from testbed.images import Image


@pytest.fixture(scope="session")
def local_image(workstation_image: Image, session_scratch: Path) -> Image:
    """As elsewhere, with `Aptkeep::Keep`, accounts, and files below the kept paths."""
    plain = images.without_pool(images.without_archive(workstation_image))
    directory = session_scratch / f"keep-{plain.suite}"
    directory.mkdir()
    return extended(
        plain,
        directory,
        (),
        [["sh", "-ec", ACCOUNTS], ["sh", "-ec", IMAGE]],
        {"/etc/apt/apt.conf.d/90keep": CONFIGURATION.encode(), "/root/look.py": LOOK.encode()},
    )


@pytest.fixture
def used(prepare: Prepare) -> Experienced:
    """Much was changed below the kept paths, and recorded; it's listed in the home."""
    return prepare(commands=[MADE, SEEN, "aptkeep record"])


@pytest.fixture
def fresh(prepare: Prepare) -> Experienced:
    """The same, with its root lost: a new one is booted and not started."""
    return prepare(commands=[MADE, SEEN, "aptkeep record"], fresh=True)

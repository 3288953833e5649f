"""The testbed as pytest fixtures: `pytest_plugins = ["testbed.fixtures"]`.

| variable | meaning |
| --- | --- |
| APTKEEP_DEB | the `.deb` to test; by default it is built from this work tree |
| APTKEEP_HOME_DEB | the same of aptkeep-home |
| APTKEEP_TESTBED_SUITES | suites to run on, separated by blanks; by default bookworm and trixie |
| APTKEEP_TESTBED_REQUIRED | if set, a machine that can't boot a root fails the tests |
| APTKEEP_TESTBED_CACHE, APTKEEP_TESTBED_MIRROR | see `images` and `mirror` |
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from testbed import images, source
from testbed.files import remove_tree
from testbed.images import Image
from testbed.repository import Repository, SigningKey
from testbed.scratch import session_directory
from testbed.snapshots import Snapshots
from testbed.workstation import Workstation

DEFAULT_SUITES = ("bookworm", "trixie")
_TOOLS = ("mmdebstrap", "unshare", "nsenter", "dpkg-deb", "apt-ftparchive", "gpg")


def suites() -> list[str]:
    """The suites to run on."""
    return os.environ.get("APTKEEP_TESTBED_SUITES", " ".join(DEFAULT_SUITES)).split()


def only_on(name: str) -> pytest.MarkDecorator:
    """For what runs on one suite only, because it is heavy; not at all where that is left out."""
    chosen = [name] if name in suites() else []
    return pytest.mark.parametrize("suite", chosen, indirect=True, scope="session")


class MakeRepository(Protocol):
    """What `make_repository` is: makes a repository that is up and empty."""

    def __call__(self, name: str = "stable", *, key: SigningKey | None = ...) -> Repository:
        """`name` is its suite. Without `key` the session's signs; None leaves it unsigned."""


class MakeWorkstation(Protocol):
    """What `make_workstation` is: makes a workstation that is not booted yet."""

    def __call__(self, image: Image | None = None, *, home: Path | None = None) -> Workstation:
        """Without `image`, the one with aptkeep. Without `home`, a new one."""


@pytest.fixture(scope="session")
def able() -> None:
    """Skip, or fail if APTKEEP_TESTBED_REQUIRED is set, where no root can be booted."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if os.geteuid() != 0:
        missing.insert(0, "root")
    if missing:
        reason = f"a throwaway root needs {', '.join(missing)}"
        if os.environ.get("APTKEEP_TESTBED_REQUIRED"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session", params=suites())
def suite(request: pytest.FixtureRequest) -> str:
    """The suite that the test runs on: whatever uses it runs once for each."""
    return str(request.param)


@pytest.fixture(scope="session")
def session_scratch(able: None) -> Iterator[Path]:
    """One directory for the whole run, on the disk of the cache."""
    with session_directory() as directory:
        yield directory


@pytest.fixture
def scratch(session_scratch: Path) -> Iterator[Path]:
    """An empty directory on the disk of the cache, removed after the test."""
    number = len(list(session_scratch.glob("test*")))
    while (session_scratch / f"test{number}").exists():
        number += 1
    directory = session_scratch / f"test{number}"
    directory.mkdir()
    yield directory
    remove_tree(directory)


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    """A key for the whole run."""
    return SigningKey.generate(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def make_repository(tmp_path: Path, signing_key: SigningKey) -> Iterator[MakeRepository]:
    """A factory of repositories, which are closed after the test."""
    with contextlib.ExitStack() as stack:
        made: list[Repository] = []

        def make(name: str = "stable", *, key: SigningKey | None = signing_key) -> Repository:
            directory = tmp_path / f"repository{len(made)}"
            made.append(stack.enter_context(Repository(directory, key, name=name)))
            return made[-1]

        yield make


@pytest.fixture
def repository(make_repository: MakeRepository) -> Repository:
    """A signed repository that is up and holds nothing."""
    made = make_repository()
    made.publish()
    return made


@pytest.fixture
def snapshots(tmp_path: Path) -> Iterator[Snapshots]:
    """A snapshot service that is up and has kept nothing."""
    with Snapshots(tmp_path / "snapshots") as made:
        yield made


@pytest.fixture(scope="session")
def aptkeep_deb(session_scratch: Path) -> Path:
    """The package to test: $APTKEEP_DEB, or built from this work tree once for the whole run."""
    named = os.environ.get("APTKEEP_DEB")
    if named:
        return Path(named).resolve(strict=True)
    directory = session_scratch / "aptkeep"
    directory.mkdir()
    return source.build_deb(source.top(), directory)


@pytest.fixture(scope="session")
def aptkeep_home_deb(session_scratch: Path) -> Path:
    """The other package to test: $APTKEEP_HOME_DEB, or built as `aptkeep_deb`."""
    named = os.environ.get("APTKEEP_HOME_DEB")
    if named:
        return Path(named).resolve(strict=True)
    directory = session_scratch / "aptkeep-home"
    directory.mkdir()
    return source.build_deb(source.top(), directory, "aptkeep-home")


@pytest.fixture(scope="session")
def base_image(able: None, suite: str) -> Image:
    """Minbase of the suite."""
    return images.base(suite)


@pytest.fixture(scope="session")
def workstation_image(able: None, suite: str, aptkeep_deb: Path) -> Image:
    """The image of the suite that has aptkeep installed."""
    return images.workstation(suite, aptkeep_deb)


@pytest.fixture
def make_workstation(
    request: pytest.FixtureRequest, suite: str, scratch: Path
) -> Iterator[MakeWorkstation]:
    """A factory of workstations, which are closed after the test."""
    with contextlib.ExitStack() as stack:
        made: list[Workstation] = []

        def make(image: Image | None = None, *, home: Path | None = None) -> Workstation:
            # Asked for only here: a test on the base image doesn't wait for aptkeep's build.
            image = image or request.getfixturevalue("workstation_image")
            directory = scratch / f"workstation{len(made)}"
            made.append(stack.enter_context(Workstation(image, home=home, scratch=directory)))
            return made[-1]

        yield make


@pytest.fixture
def workstation(make_workstation: MakeWorkstation) -> Workstation:
    """A workstation with aptkeep, booted for the first time."""
    return make_workstation().boot()

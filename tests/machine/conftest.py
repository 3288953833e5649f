"""Real apt and dpkg on roots that have aptkeep, but where it was never started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed import images, packages
from testbed.fixtures import MakeWorkstation
from testbed.images import Image
from testbed.packages import TinyPackage
from testbed.repository import Repository, SigningKey
from testbed.workstation import Workstation

# What there is to install, and what of it is there. The names say what is peculiar about them.
OFFERED = (
    *(TinyPackage("lib", version) for version in ("1.0", "2.0")),
    *(TinyPackage("held", version) for version in ("1.0", "2.0")),
    *(TinyPackage("many", version) for version in ("1.0", "2.0", "3.0")),
    TinyPackage("plain"),
    TinyPackage("needs-lib", depends="lib"),
    TinyPackage("needs-new-lib", depends="lib (>= 2.0)"),
    TinyPackage("needs-old-lib", depends="lib (<< 2.0)"),
    TinyPackage("needs-new-held", depends="held (>= 2.0)"),
    TinyPackage("needs-nobody", depends="nobody (>= 7)"),
    TinyPackage("needs-either", depends="nobody | plain"),
    TinyPackage("outgrown", "1.0", depends="nobody"),
    TinyPackage("outgrown", "2.0"),
    TinyPackage("chain1", depends="chain2"),
    TinyPackage("chain2", depends="chain3"),
    TinyPackage("chain3"),
    TinyPackage("recommends-plain", recommends="plain", fields={"Suggests": "chain3"}),
    TinyPackage("rival", conflicts="other-rival"),
    TinyPackage("other-rival"),
    TinyPackage("hates-essence", conflicts="essence"),
    TinyPackage("postman", provides="mail", conflicts="mail"),
    TinyPackage("needs-mail", depends="mail"),
    TinyPackage("foreign", architecture="i386"),
)
INSTALLED = (
    TinyPackage("lib"),
    TinyPackage("held"),
    TinyPackage("essence", depends="lib", conffiles={"/etc/essence.conf": "e\n"}),
    TinyPackage("loose", conffiles={"/etc/loose.conf": "l\n"}),
    TinyPackage("exim", provides="mail", conflicts="mail"),
    TinyPackage("reader", depends="mail"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here meets real roots."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.machine)


@pytest.fixture(scope="session")
def shelf(session_scratch: Path, signing_key: SigningKey) -> Iterator[Repository]:
    """A repository with all that is offered."""
    with Repository(session_scratch / "machine-shelf", signing_key) as made:
        made.publish(*OFFERED)
        yield made


@pytest.fixture(scope="session")
def furnished_image(workstation_image: Image, shelf: Repository, session_scratch: Path) -> Image:
    """With INSTALLED, a foreign architecture, and the lists of the shelf."""
    assert shelf.key is not None
    directory = session_scratch / f"machine-{workstation_image.suite}"
    debs = [packages.build(package, directory / "debs") for package in INSTALLED]
    at = [f"/root/{deb.name}" for deb in debs]
    placed: dict[str, Path | bytes] = {
        **dict(zip(at, debs, strict=True)),
        "/etc/apt/keyrings/local.asc": shelf.key.public(),
        "/etc/apt/sources.list.d/local.list": shelf.source_line(
            "/etc/apt/keyrings/local.asc"
        ).encode(),
    }
    return images.extend(
        images.without_archive(workstation_image),
        "furnished",
        [
            *(["dpkg", "-i", *at], ["rm", *at]),
            ["dpkg", "--add-architecture", "i386"],
            ["apt-get", "update", "-q", "--error-on=any"],
            ["mkdir", "-p", "/var/lib/aptkeep"],  # the state directory, as the first start makes it
        ],
        files=placed,
        cache=False,
        directory=directory,
    )


@pytest.fixture(scope="session")
def furnished(furnished_image: Image, session_scratch: Path) -> Iterator[Workstation]:
    """One for the tests that only look."""
    with Workstation(furnished_image, scratch=session_scratch / "furnished") as made:
        yield made.boot()


@pytest.fixture
def machine(make_workstation: MakeWorkstation, furnished_image: Image) -> Workstation:
    """One of a test's own."""
    return make_workstation(furnished_image).boot()

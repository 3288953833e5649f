"""While an image is built nothing is recorded, and what the image brings is nobody's wish."""

from __future__ import annotations

from pathlib import Path

from cycle.conftest import MakeImage
from cycle.keeping import (
    add_source,
    aptkeep,
    generations,
    install,
    next_boot,
    package_state,
    said,
    start,
    wishes,
)
from testbed.fixtures import MakeWorkstation
from testbed.images import CONTAINER_APT_FILES, Image
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

ALPHA, BETA, GAMMA = TinyPackage("alpha", depends="beta"), TinyPackage("beta"), TinyPackage("gamma")


def build_image(make_image: MakeImage, repository: Repository) -> Image:
    """What an image builder writes, with every door of apt and dpkg used."""
    assert repository.key is not None
    return make_image(
        files={
            "/etc/apt/keyrings/local.asc": repository.key.public(),
            "/etc/apt/sources.list.d/local.list": repository.source_line(
                "/etc/apt/keyrings/local.asc"
            ).encode(),
        },
        commands=[
            ["dpkg", "--add-architecture", "i386"],
            ["apt-get", "update", "-q"],
            ["apt-get", "install", "-qy", "alpha", "gamma"],
            ["apt-get", "install", "-qy", "beta"],
            ["apt-get", "purge", "-qy", "gamma"],
            ["apt-mark", "hold", "alpha"],
        ],
    )


def test_installing_in_an_image_build_records_nothing(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    repository.publish(ALPHA, BETA, GAMMA)
    image = build_image(make_image, repository)
    layer = image.layers[0]
    assert not (layer / "var/lib/aptkeep").exists()
    assert [path for path in layer.glob("home/**/*") if path.is_file()] == []

    machine = make_workstation(image).boot()
    before = package_state(machine)
    start(machine)
    assert not (machine.home / ".local").exists()
    assert package_state(machine) == before

    # The image's packages never enter the manifest, whatever the user does beside them.
    install(machine, "gamma")
    machine.stop(record=True)
    assert wishes(machine).keys() == {"gamma"}
    assert generations(machine)[-1]["architectures"] == {}
    assert generations(machine)[-1]["files"] == {}


def test_nothing_is_recorded_before_the_first_start(
    make_workstation: MakeWorkstation, local_image: Image, repository: Repository, scratch: Path
) -> None:
    repository.publish(ALPHA, BETA, GAMMA)
    machine: Workstation = make_workstation(local_image).boot()
    add_source(machine, repository)
    assert said(install(machine, "alpha")) == []
    assert not machine.exists("/var/lib/aptkeep")
    assert list(machine.home.iterdir()) == []
    refused = aptkeep(machine, "record", code=2)
    assert "was not started on this machine" in refused.stderr
    shown = aptkeep(machine, "status")
    assert "'aptkeep start' has not run on this machine" in shown.stdout
    assert list(machine.home.iterdir()) == []
    # What was there at the first start is the image.
    start(machine)
    install(machine, "gamma")
    assert wishes(machine).keys() == {"gamma"}


def test_image_for_containers(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    """Its apt deletes archives and caches at once, in hooks beside ours, and zips its lists."""
    repository.publish(ALPHA, BETA)
    image = make_image(
        files={**CONTAINER_APT_FILES, "/etc/dpkg/dpkg.cfg.d/unsafe": b"force-unsafe-io\n"}
    )
    machine = make_workstation(image).boot()
    start(machine)
    add_source(machine, repository)
    assert said(install(machine, "alpha")) == []
    before = package_state(machine)
    next_boot(machine)
    assert package_state(machine) == before
    assert machine.run("find", "/var/cache/apt", "-name", "*.deb").stdout == ""

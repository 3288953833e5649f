"""A home that moves to an image of another release: what names the old one is set aside."""

from __future__ import annotations

from pathlib import Path

import pytest

from cycle.keeping import (
    aptkeep,
    document,
    install,
    installed,
    newest,
    next_boot,
    pending,
    start,
)
from cycle.sources.vendor import KEYRINGS, SOURCES, complaints, one_line, reports, update, verified
from testbed import images
from testbed.fixtures import MakeRepository, MakeWorkstation
from testbed.images import Image
from testbed.packages import TinyPackage
from testbed.repository import SigningKey
from testbed.workstation import Workstation


@pytest.fixture
def new_suite(suite: str) -> str:
    """From Debian 12 to 13, and back."""
    return "trixie" if suite == "bookworm" else "bookworm"


@pytest.fixture
def new_image(new_suite: str, aptkeep_deb: Path) -> Image:
    """An image of the other release."""
    workstation = images.workstation(new_suite, aptkeep_deb)
    return images.without_pool(images.without_archive(workstation))


def test_sources_of_the_old_release_are_set_aside(  # noqa: PLR0917 - fixtures
    suite: str,
    new_suite: str,
    local_image: Image,
    new_image: Image,
    make_workstation: MakeWorkstation,
    make_repository: MakeRepository,
    vendor_key: SigningKey,
    other_key: SigningKey,
) -> None:
    of_release = make_repository(suite, key=vendor_key)
    of_release.publish(TinyPackage("of-release"))
    backports = make_repository(f"{suite}-backports", key=vendor_key)
    backports.publish(TinyPackage("of-backports"))
    of_any = make_repository("stable", key=other_key)
    of_any.publish(TinyPackage("of-any"))
    machine = make_workstation(local_image).boot()
    start(machine)
    of_release.install_source(machine, "release")
    backports.install_source(machine, "backports", style="deb822")
    any_path = of_any.install_source(machine, "any")
    machine.write(
        f"{SOURCES}/off.sources",
        of_release.deb822(f"{KEYRINGS}/release.asc", fields={"Enabled": "no"}),
    )
    update(machine)
    install(machine, "of-release", "of-backports", "of-any")
    recorded = newest(machine)["files"].keys()

    result = next_boot(machine, image=new_image, code=1)
    reasons = pending(machine)
    for path, named in (
        (f"{SOURCES}/release.list", suite),
        (f"{SOURCES}/backports.sources", f"{suite}-backports"),
    ):
        assert not machine.exists(path)
        assert named in reasons[path]
        assert f"debian {new_suite}" in reasons[path]
        assert path in one_line(result, path)
    assert machine.exists(any_path)
    assert machine.exists(f"{SOURCES}/off.sources"), "it's off: there's nothing to set aside"
    assert "of-any" in installed(machine)
    assert verified(machine, of_any)
    assert complaints(update(machine)) == set()
    # Named, and no key of theirs with it: that's no fault of anybody's.
    assert reasons.keys() == {
        f"{SOURCES}/release.list",
        f"{SOURCES}/backports.sources",
        "of-release",
        "of-backports",
    }
    # They stay wanted: back on the old release, all is as it was.
    assert newest(machine)["files"].keys() == recorded
    assert reports(machine, "show").keys() >= {f"{SOURCES}/release.list"}
    next_boot(machine, image=local_image)
    assert installed(machine).keys() >= {"of-release", "of-backports", "of-any"}
    assert pending(machine) == {}


def test_user_writes_the_source_for_the_new_release(  # noqa: PLR0917 - fixtures
    suite: str,
    new_suite: str,
    local_image: Image,
    new_image: Image,
    make_workstation: MakeWorkstation,
    make_repository: MakeRepository,
    vendor_key: SigningKey,
) -> None:
    """The vendor's page once more, on the new machine: it replaces what was set aside."""
    machine = make_workstation(local_image).boot()
    start(machine)
    before = make_repository(suite, key=vendor_key)
    before.publish(TinyPackage("tool", "1.0"))
    path = before.install_source(machine, "vendor")
    update(machine)
    install(machine, "tool")
    next_boot(machine, image=new_image, code=1)
    after = make_repository(new_suite, key=vendor_key)
    after.publish(TinyPackage("tool", "2.0"))
    after.install_source(machine, "vendor")
    update(machine)
    start(machine)
    assert installed(machine)["tool"] == "2.0"
    next_boot(machine)
    assert installed(machine)["tool"] == "2.0"
    assert new_suite in machine.read_text(path)
    assert document(machine, "status")["pending"] == []


def test_forgetting_what_was_set_aside(  # noqa: PLR0917 - fixtures
    suite: str,
    new_suite: str,
    local_image: Image,
    new_image: Image,
    make_workstation: MakeWorkstation,
    make_repository: MakeRepository,
    vendor_key: SigningKey,
) -> None:
    machine = make_workstation(local_image).boot()
    start(machine)
    repository = make_repository(suite, key=vendor_key)
    repository.publish()
    path = repository.install_source(machine, "vendor")
    update(machine)
    next_boot(machine, image=new_image, code=1)
    aptkeep(machine, "forget", path)
    assert newest(machine)["files"] == {}
    start(machine)
    next_boot(machine)


def test_suite_that_is_no_more(
    machine: Workstation, make_repository: MakeRepository, vendor_key: SigningKey
) -> None:
    """The vendor dropped the suite: it's named, and the others go on."""
    gone, good = (make_repository(name, key=vendor_key) for name in ("gone", "good"))
    gone.publish(TinyPackage("of-gone"))
    good.publish(TinyPackage("of-good"))
    for name, repository in (("gone", gone), ("good", good)):
        repository.install_source(machine, name)
    update(machine)
    install(machine, "of-gone", "of-good")
    gone.suite = "next"
    gone.publish(TinyPackage("of-gone"))
    result = next_boot(machine, code=1)
    line = one_line(result, f"note: the repository {gone.uri} gone")
    assert "Release" in line
    assert "of-good" in installed(machine)
    assert pending(machine).keys() == {"of-gone"}

"""Sources that the image brings and the user changed, and files that apt doesn't read."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from cycle.conftest import MakeImage
from cycle.keeping import aptkeep, generations, install, installed, newest, next_boot, start
from cycle.sources.vendor import (
    SOURCES,
    TRUSTED,
    complaints,
    contents,
    key_of,
    reports,
    troubles,
    update,
    verified,
)
from testbed.fixtures import MakeRepository, MakeWorkstation
from testbed.packages import TinyPackage
from testbed.repository import Repository, SigningKey
from testbed.workstation import Workstation

IMAGE_KEY = "/usr/share/keyrings/image.asc"
OFF = "http://127.0.0.1:9"


@pytest.fixture
def vendor(make_repository: MakeRepository, vendor_key: SigningKey) -> Repository:
    made = make_repository("stable", key=vendor_key)
    made.publish(TinyPackage("wanted"))
    for name in ("a", "b"):
        place = made.served / name
        place.mkdir()
        for part in ("dists", "pool"):
            (place / part).symlink_to(f"../{part}")
    return made


def image_files(vendor: Repository) -> Mapping[str, bytes]:
    stanza = f"Types: deb\nURIs: {vendor.uri}\nSuites: stable\nComponents: main\n"
    off = f"deb [signed-by={IMAGE_KEY}] {OFF} stable main\n".encode()
    return {
        IMAGE_KEY: key_of(vendor).public(),
        "/etc/apt/sources.list": b"# the image's\n",
        f"{SOURCES}/vendor.sources": f"# of the image\n{stanza}Signed-By: {IMAGE_KEY}\n".encode(),
        **{f"{SOURCES}/{name}.list": off for name in ("edited", "deleted", "renamed", "same")},
        f"{SOURCES}/disabled.sources": f"{stanza}Signed-By: {IMAGE_KEY}\n".replace(
            vendor.uri, OFF
        ).encode(),
    }


def test_sources_of_the_image(
    make_workstation: MakeWorkstation, make_image: MakeImage, vendor: Repository
) -> None:
    shipped = image_files(vendor)
    image = make_image(files=shipped)
    machine = make_workstation(image).boot()
    start(machine)
    machine.sh(
        f"""
        cd {SOURCES}
        echo 'deb [signed-by={IMAGE_KEY}] {vendor.uri}/a stable main' >> /etc/apt/sources.list
        echo '# mine' > edited.list
        rm deleted.list
        mv renamed.list another-name.list
        sed -i 's,{OFF},{vendor.uri}/b,' another-name.list
        sed -i '1i Enabled: no' disabled.sources
        mv same.list same.list.disabled
        """
    )
    changed = [
        "/etc/apt/sources.list",
        *(f"{SOURCES}/{name}.list" for name in ("edited", "deleted", "renamed", "same")),
        *(f"{SOURCES}/{name}" for name in ("another-name.list", "disabled.sources")),
    ]
    first = update(machine)
    assert complaints(first) == set()
    # The image's key, and its source that nobody touched, are the image's.
    assert newest(machine)["files"].keys() == set(changed)
    before = contents(machine, [*shipped, *changed])

    back = next_boot(machine)
    assert troubles(back) == []
    assert contents(machine, before) == before
    assert not machine.exists(f"{SOURCES}/same.list.disabled"), "apt doesn't read it, nor do we"
    again = update(machine)
    assert complaints(again) == set()
    assert all(verified(machine, vendor, below) for below in ("", "/a", "/b"))
    told = reports(machine)
    assert told["/etc/apt/sources.list"]["keyrings"] == [
        {"path": IMAGE_KEY, "kept": False, "keys": []}
    ] or IMAGE_KEY in str(told["/etc/apt/sources.list"])
    assert told[f"{SOURCES}/disabled.sources"]["unproven"] == ""
    # Back to what the image has: nothing is wished any more.
    for path, content in shipped.items():
        machine.write(path, content)
    machine.run("rm", f"{SOURCES}/another-name.list")
    aptkeep(machine, "record")
    assert newest(machine)["files"] == {}


def test_image_moves_on(
    make_workstation: MakeWorkstation, make_image: MakeImage, vendor: Repository
) -> None:
    """A new image brings another version of a source: what the user made of it stays the user's."""
    shipped = dict(image_files(vendor))
    machine = make_workstation(make_image(files=shipped)).boot()
    start(machine)
    mine = b"# mine\n"
    machine.write(f"{SOURCES}/edited.list", mine)
    machine.run("rm", f"{SOURCES}/deleted.list")
    update(machine)
    newer = b"# of the new image\n"
    for name in ("edited", "deleted", "same"):
        shipped[f"{SOURCES}/{name}.list"] = newer
    next_boot(machine, image=make_image(files=shipped))
    assert machine.read_bytes(f"{SOURCES}/edited.list") == mine
    assert not machine.exists(f"{SOURCES}/deleted.list")
    assert machine.read_bytes(f"{SOURCES}/same.list") == newer


LEFT_ALONE = ("vendor.list.save", "vendor.list.disabled", "vendor.list.distUpgrade", "vendor.list~")


def test_files_that_apt_does_not_read_are_left_alone(
    machine: Workstation, vendor: Repository
) -> None:
    """What release upgrades and editors leave behind: not kept, not restored, not touched."""
    path = vendor.install_source(machine, "vendor")
    for name in (*LEFT_ALONE, ".hidden.list", "vendor.lst", "with blank.list", "umlaut-ä.list"):
        machine.write(f"{SOURCES}/{name}", "deb http://127.0.0.1:9 x main\n")
    first = update(machine)
    assert newest(machine)["files"].keys() == {path, "/etc/apt/keyrings/vendor.asc"}
    number = len(generations(machine))
    machine.run("rm", f"{SOURCES}/vendor.list.save")
    update(machine)
    assert len(generations(machine)) == number
    start(machine)
    assert machine.exists(f"{SOURCES}/vendor.list.disabled")
    next_boot(machine)
    assert machine.run("ls", "-A", SOURCES).lines == ["vendor.list"]
    assert complaints(update(machine)) == complaints(first) == set()


def test_renamed_disabled_and_enabled_again(machine: Workstation, vendor: Repository) -> None:
    old = vendor.install_source(machine, "vendor")
    new = f"{SOURCES}/other-name.list"
    update(machine)
    machine.run("mv", old, new)
    update(machine)
    next_boot(machine)
    assert not machine.exists(old)
    assert verified_after_update(machine, vendor)
    machine.run("mv", new, f"{new}.disabled")
    update(machine)
    next_boot(machine)
    assert machine.run("ls", "-A", SOURCES).lines == []
    # The older generations still know it.
    aptkeep(machine, "rollback", "2")
    assert machine.exists(old) or machine.exists(new)
    assert verified_after_update(machine, vendor)


def verified_after_update(machine: Workstation, repository: Repository) -> bool:
    update(machine)
    return verified(machine, repository)


def ppa_of_today(ppa: Repository, suite: str) -> dict[str, str | bytes]:
    """As add-apt-repository writes it since Ubuntu 23.10."""
    lines = key_of(ppa).public().decode().splitlines()
    block = "".join(f" {line or '.'}\n" for line in lines)
    stanza = f"Types: deb\nURIs: {ppa.uri}/\nSuites: {suite}\nComponents: main\n"
    return {f"{SOURCES}/user-ubuntu-ppa-{suite}.sources": f"{stanza}Signed-By: \n{block}"}


def ppa_of_old(ppa: Repository, suite: str) -> dict[str, str | bytes]:
    """As add-apt-repository wrote it before, with a backup of the keyring as gpg leaves it."""
    line = f"deb {ppa.uri}/ {suite} main\n"
    key = key_of(ppa).public(armored=False)
    return {
        f"{SOURCES}/user-ubuntu-ppa-{suite}.list": f"{line}# deb-src {ppa.uri}/ {suite} main\n",
        f"{TRUSTED}/user-ubuntu-ppa.gpg": key,
    }


@pytest.mark.parametrize("write", [ppa_of_today, ppa_of_old], ids=["sources", "list"])
def test_ppa_as_add_apt_repository_writes_it(
    machine: Workstation,
    make_repository: MakeRepository,
    other_key: SigningKey,
    suite: str,
    write: object,
) -> None:
    """A local stand-in for ppa.launchpadcontent.net."""
    assert callable(write)
    ppa = make_repository(suite, key=other_key)
    ppa.publish(TinyPackage("of-a-ppa"))
    files = write(ppa, suite)
    for path, content in files.items():
        machine.write(path, content)
    if write is ppa_of_old:
        machine.write(f"{TRUSTED}/user-ubuntu-ppa.gpg~", b"")
    first = update(machine)
    install(machine, "of-a-ppa")
    before = contents(machine, files)
    assert newest(machine)["files"].keys() == files.keys()
    next_boot(machine)
    assert contents(machine, files) == before
    assert "of-a-ppa" in installed(machine)
    assert complaints(update(machine)) == complaints(first) == set()
    (report,) = reports(machine).values()
    assert report["proven"] is not None
    assert report["repositories"] == [f"{ppa.uri} {suite}"]
    # Whatever way the key came, it's named.
    fingerprints = {key["fingerprint"] for ring in report["keyrings"] for key in ring["keys"]}
    assert other_key.fingerprint in fingerprints
    assert other_key.user_id in aptkeep(machine, "show").stdout

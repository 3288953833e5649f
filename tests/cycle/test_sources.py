"""Sources, preferences and keys come back as they were, mode included."""

from __future__ import annotations

import stat

import pytest

from cycle.conftest import KEY, SOURCE, MakeImage
from cycle.keeping import (
    add_source,
    aptkeep,
    install,
    installed,
    newest,
    next_boot,
    pending,
    said,
    start,
    store,
    update,
)
from testbed.fixtures import MakeRepository, MakeWorkstation
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

ALPHA = TinyPackage("alpha")
SOURCES = "/etc/apt/sources.list.d"
HOME_KEY = "/home/bench-user/keys/mine.asc"


def content_and_mode(machine: Workstation, path: str) -> tuple[bytes, int]:
    return machine.read_bytes(path), stat.S_IMODE(machine.stat(path).st_mode)


def test_sources_of_both_formats_and_their_keys_come_back_with_their_modes(
    machine: Workstation, make_repository: MakeRepository
) -> None:
    names = ("list", "deb822", "embedded", "main")
    one, two, three, four = (make_repository(name) for name in names)
    for repository, name in zip((one, two, three, four), names, strict=True):
        repository.publish(TinyPackage(f"from-{name}"))
    one.install_source(machine, "one", key_path="/etc/apt/keyrings/one.asc")
    two.install_source(machine, "two", style="deb822", key_path="/usr/share/keyrings/two.gpg")
    machine.write(f"{SOURCES}/three.sources", three.deb822("embedded"))
    # A source in the main file, with two keys in a directory of somebody's own making.
    assert four.key is not None
    keys = "/opt/vendor/keys"
    machine.write(f"{keys}/four.asc", four.key.public(), 0o444)
    machine.write(f"{keys}/more.asc", four.key.public())
    line = four.source_line(f"{keys}/four.asc,{keys}/more.asc")
    machine.write("/etc/apt/sources.list", f"# mine\n{line}", 0o664)
    machine.run("chmod", "640", f"{SOURCES}/two.sources")
    update(machine)
    install(machine, *(f"from-{name}" for name in names))
    paths = (
        *("/etc/apt/sources.list", "/etc/apt/keyrings/one.asc", "/usr/share/keyrings/two.gpg"),
        *(f"{SOURCES}/one.list", f"{SOURCES}/two.sources", f"{SOURCES}/three.sources"),
        *(f"{keys}/four.asc", f"{keys}/more.asc"),
    )
    before = [content_and_mode(machine, path) for path in paths]
    assert newest(machine)["files"].keys() == set(paths)

    next_boot(machine)
    assert [content_and_mode(machine, path) for path in paths] == before
    assert {f"from-{name}" for name in names} <= installed(machine).keys()
    update(machine)


def test_source_is_kept_before_it_is_used(machine: Workstation, repository: Repository) -> None:
    """Even where the update then fails: the user would have to type it again."""
    repository.install_source(machine, "local")
    repository.down()
    machine.run("apt-get", "update", "-q")
    assert f"{SOURCES}/local.list" in newest(machine)["files"]
    assert "/etc/apt/keyrings/local.asc" in newest(machine)["files"]
    assert newest(machine)["recorded"]["door"] == "APT::Update::Pre-Invoke"


def test_edited_source_comes_back_as_it_was_last(used: Workstation, repository: Repository) -> None:
    edited = f"# once more\n{repository.source_line(KEY)}"
    used.write(SOURCE, edited)
    update(used)
    used.run("chmod", "600", SOURCE)
    aptkeep(used, "record")
    next_boot(used)
    assert content_and_mode(used, SOURCE) == (edited.encode(), 0o600)


def test_deleted_source_stays_deleted(used: Workstation, repository: Repository) -> None:
    used.run("rm", SOURCE, KEY)
    used.run("apt-get", "autoremove", "--purge", "-qy", "alpha")
    assert newest(used)["files"] == {}
    next_boot(used)
    assert not used.exists(SOURCE)
    assert not used.exists(KEY)


def test_source_that_is_switched_off_by_its_name(used: Workstation, repository: Repository) -> None:
    """`x.list.disabled`, as release upgrades leave it: apt reads it no more, nor do we."""
    used.run("mv", SOURCE, f"{SOURCE}.disabled")
    used.run("apt-get", "autoremove", "--purge", "-qy", "alpha")
    next_boot(used)
    assert not used.exists(SOURCE)


def test_sources_of_the_image_edited_and_deleted(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    assert repository.key is not None
    own = repository.source_line("/usr/share/keyrings/image.asc").encode()
    image = make_image(
        files={
            f"{SOURCES}/edited.list": own,
            f"{SOURCES}/deleted.list": b"# nothing in it\n",
            "/usr/share/keyrings/image.asc": repository.key.public(),
            "/etc/apt/preferences.d/deleted": b"# nothing in it\n",
        }
    )
    machine = make_workstation(image).boot()
    start(machine)
    machine.write(f"{SOURCES}/edited.list", b"# mine\n" + own)
    machine.run("rm", f"{SOURCES}/deleted.list", "/etc/apt/preferences.d/deleted")
    update(machine)
    assert newest(machine)["files"].keys() == {
        *(f"{SOURCES}/edited.list", f"{SOURCES}/deleted.list", "/etc/apt/preferences.d/deleted")
    }
    next_boot(machine)
    assert machine.read_bytes(f"{SOURCES}/edited.list") == b"# mine\n" + own
    assert not machine.exists(f"{SOURCES}/deleted.list")
    assert not machine.exists("/etc/apt/preferences.d/deleted")
    # Back to what the image has: nothing is wished any more.
    machine.write(f"{SOURCES}/edited.list", own)
    aptkeep(machine, "record")
    assert f"{SOURCES}/edited.list" not in newest(machine)["files"]


def test_preferences_come_back(machine: Workstation, repository: Repository) -> None:
    repository.publish(TinyPackage("alpha", "1.0"), TinyPackage("alpha", "2.0"))
    add_source(machine, repository)
    pin = "Package: alpha\nPin: version 1.0\nPin-Priority: 1001\n"
    machine.write("/etc/apt/preferences", pin)
    machine.write("/etc/apt/preferences.d/none", "# nothing in it\n", 0o640)
    machine.write("/etc/apt/preferences.d/no.backup", "# apt does not read it\n")
    install(machine, "alpha")
    next_boot(machine)
    assert content_and_mode(machine, "/etc/apt/preferences") == (pin.encode(), 0o644)
    assert content_and_mode(machine, "/etc/apt/preferences.d/none")[1] == 0o640
    assert not machine.exists("/etc/apt/preferences.d/no.backup")
    assert installed(machine)["alpha"] == "1.0"


@pytest.mark.parametrize("meanwhile", ["edited", "deleted"])
def test_key_in_the_home_is_never_written(
    machine: Workstation, repository: Repository, meanwhile: str
) -> None:
    """It stays by itself. What its owner does to it between two starts is final."""
    assert repository.key is not None
    repository.publish(ALPHA)
    machine.write(HOME_KEY, repository.key.public(), user="bench-user")
    machine.write(f"{SOURCES}/mine.list", repository.source_line(HOME_KEY))
    update(machine)
    install(machine, "alpha")
    kept = machine.home / "keys/mine.asc"
    if meanwhile == "edited":
        # Text before the armour is allowed (RFC 9580, 6.2): the key is as good as before.
        edited = b"a comment\n" + kept.read_bytes()
        kept.write_bytes(edited)
        next_boot(machine)
        assert kept.read_bytes() == edited
        assert kept.stat().st_uid == 1000
        assert "alpha" in installed(machine)
    else:
        kept.unlink()
        next_boot(machine, code=1)
        assert not kept.exists()
        assert pending(machine).keys() == {"alpha"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"<html>404</html>\n", "it is a web page"),
        (b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n", "it holds a secret key"),
    ],
    ids=["empty", "an error page", "a secret key"],
)
def test_what_is_no_public_key_is_not_kept_and_said_once(
    machine: Workstation, repository: Repository, content: bytes, reason: str
) -> None:
    repository.install_source(machine, "local")
    machine.write("/etc/apt/keyrings/local.asc", content)
    first = machine.run("apt-get", "update", "-q", check=False)
    (line,) = said(first)
    assert f"/etc/apt/keyrings/local.asc is not kept: {reason}" in line
    assert said(machine.run("apt-get", "update", "-q", check=False)) == []
    assert newest(machine)["files"].keys() == {f"{SOURCES}/local.list"}
    assert not (store(machine) / "keyrings").exists()


def test_key_of_a_package_comes_with_its_package(
    machine: Workstation, repository: Repository
) -> None:
    """A vendor's keyring package: the kept copy serves until the package is there."""
    assert repository.key is not None
    keyring = "/usr/share/keyrings/vendor.asc"
    package = TinyPackage("vendor-keyring", files={keyring: repository.key.public().decode()})
    repository.publish(package, ALPHA)
    repository.install_source(machine, "vendor", key_path=keyring)
    update(machine)
    install(machine, "vendor-keyring", "alpha")
    machine.run("aptkeep", "record")
    next_boot(machine)
    assert {"vendor-keyring", "alpha"} <= installed(machine).keys()
    assert machine.read_bytes(keyring) == repository.key.public()
    assert pending(machine) == {}


def test_key_that_changed_is_kept_beside_the_old_one(
    used: Workstation, repository: Repository, make_repository: MakeRepository
) -> None:
    more = repository.source_line(KEY)
    assert repository.key is not None
    used.write(KEY, b"new\n" + repository.key.public())
    used.write(f"{SOURCES}/more.list", more)
    aptkeep(used, "record")
    assert len(list((store(used) / "keyrings").iterdir())) == 2
    next_boot(used)
    assert used.read_bytes(KEY).startswith(b"new\n")


def test_damaged_copy_is_pending_and_never_put_back(
    used: Workstation, repository: Repository
) -> None:
    (kept,) = (store(used) / "keyrings").iterdir()
    kept.write_bytes(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
    next_boot(used, code=1)
    reasons = pending(used)
    assert reasons.keys() == {KEY, SOURCE, "alpha", "beta"}
    assert "was altered" in reasons[KEY]
    assert not used.exists(KEY)
    assert not used.exists(SOURCE)  # a source is nothing without its key

"""What a person is told when a repository can't be verified: whose key, since when, what to do.

Never a log of gpg's, nor of sqv's.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cycle.conftest import MakeImage
from cycle.keeping import aptkeep, install, installed, next_boot, pending, start
from cycle.sources.vendor import KEYRINGS, SOURCES, in_days, one_line, reports, troubles, update
from testbed.fixtures import MakeRepository, MakeWorkstation
from testbed.packages import TinyPackage
from testbed.repository import Repository, SigningKey
from testbed.workstation import Workstation

PATH = f"{SOURCES}/vendor.list"
KEY = f"{KEYRINGS}/vendor.asc"
JARGON = ("NO_PUBKEY", "EXPKEYSIG", "GPG error", "sqv", "Sub-process", "gpgv", "BADSIG", "policy")


@pytest.fixture
def vendor(make_repository: MakeRepository, vendor_key: SigningKey) -> Repository:
    """A vendor, from whom the user has a package that has to come back."""
    made = make_repository("stable", key=vendor_key)
    made.publish(TinyPackage("wanted"))
    return made


@pytest.fixture
def used(machine: Workstation, vendor: Repository) -> Workstation:
    vendor.install_source(machine, "vendor")
    update(machine)
    install(machine, "wanted")
    machine.stop()
    return machine


def assert_plain(text: str) -> None:
    assert [word for word in JARGON if word in text] == []


def test_vendor_signs_with_another_key_now(
    used: Workstation, vendor: Repository, vendor_key: SigningKey, other_key: SigningKey
) -> None:
    vendor.key = other_key
    vendor.publish(TinyPackage("wanted"))
    result = next_boot(used, code=1)
    line = one_line(result, f"note: the repository {vendor.uri} stable")
    assert f"not signed by what {KEY} holds" in line
    assert f"{vendor_key.fingerprint} of {vendor_key.user_id}" in line
    assert f"get the new one from the vendor and put it into {KEY}" in line
    assert_plain(result.output)
    assert pending(used).keys() == {"wanted"}
    assert_plain(aptkeep(used, "status", code=1).output)
    assert KEY in pending(used)["wanted"]
    # What it says helps.
    used.write(KEY, other_key.public())
    start(used)
    assert "wanted" in installed(used)


def test_vendor_signs_with_an_expired_key(
    machine: Workstation, make_repository: MakeRepository, expired_key: SigningKey, suite: str
) -> None:
    """sqv takes what was signed before the key expired, gpgv doesn't."""
    old = make_repository("stable", key=expired_key)
    old.publish(TinyPackage("wanted"))
    source, key = old.install_source(machine, "vendor"), KEY
    result = update(machine, check=False)
    assert (result.returncode == 0) is (suite != "bookworm")
    if suite == "bookworm":
        # As it was when the key was good.
        machine.write(source, old.source_line(key, options="trusted=yes"))
        update(machine)
        install(machine, "wanted")
        machine.write(source, old.source_line(key))
        aptkeep(machine, "record")
    else:
        install(machine, "wanted")
    expected = (
        f"the key {expired_key.fingerprint} of {expired_key.user_id} expired on 2025-01-01; "
        f"get the new one from the vendor and put it into {key}"
    )
    if suite == "bookworm":
        result = next_boot(machine, code=1)
        assert expected in one_line(result, f"note: the repository {old.uri} stable")
        assert_plain(result.output)
        assert expected in pending(machine)["wanted"]
    else:
        result = next_boot(machine)
        assert "wanted" in installed(machine)
    # The warning stands in status either way.
    status = machine.run("aptkeep", "status", check=False)
    assert expected in one_line(status, f"{source}: ")
    (report,) = reports(machine, code=1 if suite == "bookworm" else 0).values()
    assert report["troubles"] == [expected]
    shown = aptkeep(machine, "show").stdout
    assert f"warning   {expected}" in shown
    assert expected in aptkeep(machine, "verify").output


def test_key_expires_soon(
    machine: Workstation, make_repository: MakeRepository, key_directory: Path
) -> None:
    """30 days before."""
    later = {}
    for days in (5, 29, 33):
        user_id = f"In {days} <in{days}@vendor.example>"
        key = SigningKey.generate(key_directory, user_id, expires=f"{days}d")
        repository = make_repository(f"in{days}", key=key)
        repository.publish()
        later[days] = key, repository.install_source(machine, f"in{days}")
    update(machine)
    result = next_boot(machine)
    told = reports(machine)
    for days in (5, 29):
        key, path = later[days]
        (trouble,) = told[path]["troubles"]
        assert f"the key {key.fingerprint} of {key.user_id} expires on {in_days(days)}" in trouble
        assert "get the new one from" in trouble
        one_line(aptkeep(machine, "status"), f"{path}: the key {key.fingerprint}")
    assert told[later[33][1]]["troubles"] == []
    # The day is told in any case.
    assert f"expires {in_days(33)}" in aptkeep(machine, "show").stdout
    assert [line for line in troubles(result) if "pending" in line] == []


def test_key_is_not_there(
    used: Workstation, vendor: Repository, make_repository: MakeRepository, vendor_key: SigningKey
) -> None:
    """A source that names a key which nobody ever put there."""
    used.boot()
    start(used)
    second = make_repository("second", key=vendor_key)
    second.publish(TinyPackage("more"))
    missing = f"{KEYRINGS}/missing.asc"
    used.write(f"{SOURCES}/second.list", second.source_line(missing))
    failed = update(used, check=False)
    assert missing in one_line(failed, "is not kept")
    used.write(f"{SOURCES}/second.list", second.source_line(options="trusted=yes"))
    update(used)
    install(used, "more")
    used.write(f"{SOURCES}/second.list", second.source_line(missing))
    aptkeep(used, "record", code=1)
    result = next_boot(used, code=1)
    line = one_line(result, f"note: the repository {second.uri} second")
    assert f"its key {missing} is not there; get it from the vendor and put it there" in line
    assert_plain(result.output)
    assert pending(used).keys() == {"more"}
    assert "wanted" in installed(used)


def test_release_was_tampered_with(
    used: Workstation, vendor: Repository, vendor_key: SigningKey
) -> None:
    """Not the key's fault: nobody should go and fetch another one."""
    inline = vendor.served / "dists/stable/InRelease"
    inline.write_bytes(inline.read_bytes().replace(b"Origin: testbed", b"Origin: testbeb"))
    for name in ("Release", "Release.gpg"):
        (inline.parent / name).unlink()
    result = next_boot(used, code=1)
    line = one_line(result, f"note: the repository {vendor.uri} stable")
    assert_plain(result.output)
    assert "chang" in line or "tampered" in line
    assert "get the new one" not in line
    assert pending(used).keys() == {"wanted"}


def test_unsigned_by_now(used: Workstation, vendor: Repository, vendor_key: SigningKey) -> None:
    vendor.key = None
    vendor.publish(TinyPackage("wanted"))
    result = next_boot(used, code=1)
    line = one_line(result, f"note: the repository {vendor.uri} stable")
    assert "not signed" in line
    assert "get the new one" not in line
    assert_plain(result.output)
    assert "wanted" not in installed(used)


def test_repository_of_the_image_cannot_be_verified(  # noqa: PLR0917 - fixtures
    make_workstation: MakeWorkstation,
    make_image: MakeImage,
    make_repository: MakeRepository,
    vendor: Repository,
    vendor_key: SigningKey,
    other_key: SigningKey,
) -> None:
    """The same words for what the image brings: its key is named."""
    own = make_repository("own", key=vendor_key)
    own.publish(TinyPackage("of-image"))
    keyring = "/usr/share/keyrings/own.asc"
    files = {
        keyring: vendor_key.public(),
        f"{SOURCES}/own.list": own.source_line(keyring).encode(),
    }
    machine = make_workstation(make_image(files=files)).boot()
    start(machine)
    vendor.install_source(machine, "vendor")
    update(machine)
    install(machine, "wanted", "of-image")
    own.key = other_key
    own.publish(TinyPackage("of-image"))
    result = next_boot(machine, code=1)
    line = one_line(result, f"note: the repository {own.uri} own")
    assert keyring in line
    assert_plain(result.output)
    assert pending(machine).keys() == {"of-image"}
    assert "wanted" in installed(machine)


def test_key_that_only_some_sources_lack(
    machine: Workstation,
    vendor: Repository,
    make_repository: MakeRepository,
    vendor_key: SigningKey,
    other_key: SigningKey,
) -> None:
    """Each repository that can't be verified is named with its own key, and no other."""
    sources = {}
    for name in ("one", "two"):
        sources[name] = make_repository(name, key=vendor_key)
        sources[name].publish(TinyPackage(f"of-{name}"))
        sources[name].install_source(machine, name)
    vendor.install_source(machine, "good")
    update(machine)
    install(machine, "of-one", "of-two", "wanted")
    for repository in sources.values():
        repository.key = other_key
        repository.publish(TinyPackage(f"of-{repository.suite}"))
    result = next_boot(machine, code=1)
    for name, repository in sources.items():
        line = one_line(result, f"note: the repository {repository.uri}")
        assert f"{KEYRINGS}/{name}.asc" in line
        assert f"{KEYRINGS}/{'two' if name == 'one' else 'one'}.asc" not in line
    assert pending(machine).keys() == {"of-one", "of-two"}
    assert "wanted" in installed(machine)
    assert f"{KEYRINGS}/good.asc" not in result.output

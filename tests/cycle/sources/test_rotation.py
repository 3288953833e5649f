"""A vendor's new key replaces the old one in the next generation; the older ones keep the old."""

from __future__ import annotations

import pytest

from cycle.keeping import (
    aptkeep,
    document,
    generations,
    install,
    installed,
    next_boot,
    pending,
    start,
    store,
)
from cycle.sources.vendor import KEYRINGS, SOURCES, complaints, reports, troubles, update, verified
from testbed.fixtures import MakeRepository
from testbed.packages import TinyPackage
from testbed.repository import Repository, SigningKey
from testbed.workstation import Workstation

KEY = f"{KEYRINGS}/vendor.asc"
PATH = f"{SOURCES}/vendor.list"
SHIPPED = "/usr/share/keyrings/vendor.asc"


@pytest.fixture
def vendor(make_repository: MakeRepository, vendor_key: SigningKey) -> Repository:
    made = make_repository("stable", key=vendor_key)
    made.publish(TinyPackage("wanted"))
    return made


def fingerprints(source: dict[str, object]) -> list[str]:
    rings = source["keyrings"]
    assert isinstance(rings, list)
    return [key["fingerprint"] for ring in rings for key in ring["keys"]]


def shown(machine: Workstation, number: int, path: str = PATH) -> list[str]:
    """The fingerprints of a source's keys in a generation."""
    sources = document(machine, "show", str(number))["sources"]
    return fingerprints(next(source for source in sources if source["path"] == path))


def test_user_puts_the_new_key_in_the_place_of_the_old(
    machine: Workstation, vendor: Repository, vendor_key: SigningKey, other_key: SigningKey
) -> None:
    vendor.install_source(machine, "vendor")
    update(machine)
    install(machine, "wanted")
    old = len(generations(machine))
    vendor.key = other_key
    vendor.publish(TinyPackage("wanted"))
    machine.write(KEY, other_key.public())
    update(machine)
    new = len(generations(machine))
    assert new > old
    assert shown(machine, old) == [vendor_key.fingerprint]
    assert shown(machine, new) == [other_key.fingerprint]
    # `diff` tells that it's another key.
    (difference,) = [
        d for d in document(machine, "diff", str(old), str(new))["differences"] if d["name"] == KEY
    ]
    assert difference["old"] != difference["new"]
    assert {path.name[:7] for path in (store(machine) / "keyrings").iterdir()} == {"vendor."}
    assert len(list((store(machine) / "keyrings").iterdir())) == 2

    next_boot(machine)
    assert machine.read_bytes(KEY) == other_key.public()
    assert complaints(update(machine)) == set()
    assert reports(machine)[PATH]["proven"] is not None
    # The old key comes back with the old generation, and the new one with another rollback.
    aptkeep(machine, "rollback", str(old))
    assert machine.read_bytes(KEY) == vendor_key.public()
    assert fingerprints(reports_of(machine)[PATH]) == [vendor_key.fingerprint]
    aptkeep(machine, "rollback", str(new))
    assert machine.read_bytes(KEY) == other_key.public()
    next_boot(machine)
    assert machine.read_bytes(KEY) == other_key.public()
    assert verified_again(machine, vendor)


def reports_of(machine: Workstation) -> dict[str, dict[str, object]]:
    result = document(machine, "show")["sources"]
    return {source["path"]: source for source in result}


def verified_again(machine: Workstation, repository: Repository) -> bool:
    update(machine)
    return verified(machine, repository)


def test_ring_with_both_keys_while_the_vendor_changes_over(
    machine: Workstation, vendor: Repository, vendor_key: SigningKey, other_key: SigningKey
) -> None:
    vendor.install_source(machine, "vendor", key_path=f"{KEYRINGS}/vendor.gpg")
    update(machine)
    both = vendor_key.public(armored=False) + other_key.public(armored=False)
    machine.write(f"{KEYRINGS}/vendor.gpg", both)
    update(machine)
    install(machine, "wanted")
    vendor.key = other_key
    vendor.publish(TinyPackage("wanted", "2.0"))
    assert "pending" not in "".join(troubles(next_boot(machine)))
    assert "wanted" in installed(machine)
    assert machine.read_bytes(f"{KEYRINGS}/vendor.gpg") == both
    assert verified_again(machine, vendor)
    assert fingerprints(reports(machine)[PATH]) == [vendor_key.fingerprint, other_key.fingerprint]


def test_keyring_package_brings_the_new_key(
    machine: Workstation, vendor: Repository, vendor_key: SigningKey, other_key: SigningKey
) -> None:
    """Both keys for a while, as archive-keyring packages do; then the new one alone signs."""
    first = TinyPackage("vendor-keyring", files={SHIPPED: vendor_key.public().decode()})
    # apt on Debian 12 reads no more than the first armored block.
    second = TinyPackage("vendor-keyring", "2.0", files={SHIPPED: other_key.public().decode()})
    vendor.publish(first, TinyPackage("wanted"))
    vendor.install_source(machine, "vendor", key_path=SHIPPED)
    update(machine)
    install(machine, "vendor-keyring", "wanted")
    old = len(generations(machine))
    vendor.publish(second, TinyPackage("wanted"))
    update(machine)
    machine.run("apt-get", "-qy", "upgrade")
    assert machine.read_bytes(SHIPPED) == other_key.public()
    vendor.key = other_key
    vendor.publish(second, TinyPackage("wanted", "3.0"))
    new = len(generations(machine))
    assert shown(machine, old) == [vendor_key.fingerprint]
    assert shown(machine, new) == [other_key.fingerprint]
    next_boot(machine)
    assert installed(machine).keys() >= {"vendor-keyring", "wanted"}
    assert installed(machine)["vendor-keyring"] == "2.0"
    assert machine.read_bytes(SHIPPED) == other_key.public()
    assert verified_again(machine, vendor)
    assert pending(machine) == {}


def test_key_moves_to_another_place(
    machine: Workstation, vendor: Repository, vendor_key: SigningKey
) -> None:
    """The old keyring isn't named any more; it goes from the next generation or stays harmless."""
    vendor.install_source(machine, "vendor")
    update(machine)
    machine.run("mv", KEY, SHIPPED)
    machine.write(PATH, vendor.source_line(SHIPPED))
    update(machine)
    next_boot(machine)
    assert machine.read_bytes(SHIPPED) == vendor_key.public()
    assert not machine.exists(KEY)
    assert verified_again(machine, vendor)
    assert pending(machine) == {}
    start(machine)

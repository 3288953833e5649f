"""When a source was proven: its signatures verified with just the keys that it names."""

from __future__ import annotations

import pytest

from cycle.keeping import aptkeep, document, install, installed, newest, next_boot, said, store
from cycle.sources.vendor import (
    KEYRINGS,
    SOURCES,
    TRUSTED,
    complaints,
    in_days,
    reports,
    update,
    verified,
)
from testbed.fixtures import MakeRepository
from testbed.packages import TinyPackage
from testbed.repository import Repository, SigningKey
from testbed.workstation import Workstation

PATH = f"{SOURCES}/vendor.list"
KEY = f"{KEYRINGS}/vendor.asc"


@pytest.fixture
def vendor(make_repository: MakeRepository, vendor_key: SigningKey) -> Repository:
    made = make_repository("stable", key=vendor_key)
    made.publish(TinyPackage("alpha"))
    return made


def test_update_proves_what_was_kept_before_it(machine: Workstation, vendor: Repository) -> None:
    """Kept at Pre-Invoke, when nothing can be proven yet; proven at Post-Invoke-Success."""
    vendor.install_source(machine, "vendor")
    aptkeep(machine, "record")
    report = reports(machine)[PATH]
    assert report["proven"] is None
    assert "apt-get update" in report["unproven"]
    kept = newest(machine)["files"]
    assert {PATH, KEY} == kept.keys()
    update(machine)
    assert newest(machine)["recorded"]["door"] == "APT::Update::Post-Invoke-Success"
    assert newest(machine)["files"][PATH]["proven"] == in_days(0)
    for command in ("status", "show", "verify"):
        report = reports(machine, command)[PATH]
        assert (report["proven"], report["unproven"]) == (in_days(0), "")
    assert f"proven    {in_days(0)}" in aptkeep(machine, "show").stdout


def test_source_that_was_never_updated_comes_back_and_can_be_proven_there(
    machine: Workstation, vendor: Repository
) -> None:
    vendor.install_source(machine, "vendor")
    aptkeep(machine, "record")
    next_boot(machine)
    assert machine.exists(PATH)
    assert reports(machine)[PATH]["proven"] is None
    update(machine)
    assert verified(machine, vendor)
    assert reports(machine)[PATH]["proven"] == in_days(0)


def test_trusted_yes_is_never_proven(machine: Workstation, make_repository: MakeRepository) -> None:
    unsigned = make_repository("plain", key=None)
    unsigned.publish(TinyPackage("alpha"))
    unsigned.install_source(machine, "plain")
    unsigned.install_source(machine, "stanza", style="deb822")
    machine.run("rm", f"{SOURCES}/plain.list")
    unsigned.install_source(machine, "other")
    machine.run("rm", f"{SOURCES}/stanza.sources")
    update(machine)
    install(machine, "alpha")
    result = next_boot(machine)
    assert "alpha" in installed(machine)
    report = reports(machine)[f"{SOURCES}/other.list"]
    assert report["proven"] is None
    assert "trusted=yes" in report["unproven"]
    assert not [line for line in said(result) if "trusted=yes" in line]


@pytest.mark.parametrize("place", ["named", "named, and the right one trusted for any"])
def test_wrong_key_is_kept_and_marked_unproven(
    machine: Workstation,
    vendor: Repository,
    vendor_key: SigningKey,
    other_key: SigningKey,
    place: str,
) -> None:
    """Only the keys that the source names count, as they do for apt."""
    machine.write(PATH, vendor.source_line(KEY))
    machine.write(KEY, other_key.public())
    if "," in place:
        machine.write(f"{TRUSTED}/any.asc", vendor_key.public())
    failed = update(machine, check=False)
    assert failed.returncode == 100
    aptkeep(machine, "record")
    report = reports(machine)[PATH]
    assert report["proven"] is None
    assert report["unproven"]
    assert [key["fingerprint"] for key in report["keyrings"][0]["keys"]] == [other_key.fingerprint]
    # The right key, put in its place, proves it.
    machine.write(KEY, vendor_key.public())
    update(machine)
    assert reports(machine)[PATH]["proven"] == in_days(0)


def test_tampered_release_proves_nothing(machine: Workstation, vendor: Repository) -> None:
    inline = vendor.served / "dists/stable/InRelease"
    inline.write_bytes(inline.read_bytes().replace(b"Origin: testbed", b"Origin: testbeb"))
    for name in ("Release", "Release.gpg"):
        (vendor.served / "dists/stable" / name).unlink()
    vendor.install_source(machine, "vendor")
    assert update(machine, check=False).returncode == 100
    aptkeep(machine, "record")
    assert reports(machine)[PATH]["proven"] is None
    # Even if it stood in apt's lists, as after a break-in.
    name = f"{vendor.address}:{vendor.port}_dists_stable_InRelease"
    machine.write(f"/var/lib/apt/lists/{name}", inline.read_bytes())
    aptkeep(machine, "record")
    assert reports(machine)[PATH]["proven"] is None


def test_detached_signature_proves_as_well(machine: Workstation, vendor: Repository) -> None:
    """Repositories of the old kind: Release and Release.gpg."""
    (vendor.served / "dists/stable/InRelease").unlink()
    vendor.install_source(machine, "vendor")
    update(machine)
    assert reports(machine)[PATH]["proven"] == in_days(0)


def test_flat_repository_is_proven(machine: Workstation, vendor: Repository) -> None:
    """A suite that ends in a slash, as small vendors have it."""
    flat = vendor.served / "flat"
    flat.mkdir()
    source = vendor.served / "dists/stable"
    index = next(source.rglob("Packages")).read_bytes()
    (flat / "Packages").write_bytes(index)
    import hashlib  # noqa: PLC0415

    digest = hashlib.sha256(index).hexdigest()
    (flat / "Release").write_text(f"SHA256:\n {digest} {len(index)} Packages\n")
    assert vendor.key is not None
    vendor.key.sign(flat / "Release")
    machine.write(KEY, vendor.key.public())
    machine.write(PATH, f"deb [signed-by={KEY}] {vendor.uri}/flat ./\n")
    machine.write(f"{SOURCES}/two.list", f"deb [signed-by={KEY}] {vendor.uri} flat/\n")
    update(machine)
    told = reports(machine)
    assert told[f"{SOURCES}/two.list"]["proven"] == in_days(0)
    assert told[PATH]["proven"] == in_days(0)


def test_edited_source_is_proven_anew(
    machine: Workstation, vendor: Repository, make_repository: MakeRepository, other_key: SigningKey
) -> None:
    """The proof was of what it named before."""
    vendor.install_source(machine, "vendor")
    update(machine)
    second = make_repository("next", key=other_key)
    second.publish(TinyPackage("beta"))
    machine.write(PATH, machine.read_text(PATH) + second.source_line(KEY))
    aptkeep(machine, "record")
    assert update(machine, check=False).returncode == 100
    assert reports(machine)[PATH]["proven"] is None
    machine.write(PATH, vendor.source_line(KEY))
    update(machine)
    assert reports(machine)[PATH]["proven"] == in_days(0)


def test_proof_is_of_the_key_that_is_there(
    machine: Workstation, vendor: Repository, other_key: SigningKey
) -> None:
    """Another key at the same path has proven nothing."""
    vendor.install_source(machine, "vendor")
    update(machine)
    assert reports(machine)[PATH]["proven"] == in_days(0)
    machine.write(KEY, other_key.public())
    aptkeep(machine, "record")
    assert reports(machine)[PATH]["proven"] is None


def test_never_verified_source_comes_back_and_costs_the_others_nothing(
    machine: Workstation,
    vendor: Repository,
    make_repository: MakeRepository,
    other_key: SigningKey,
    vendor_key: SigningKey,
) -> None:
    vendor.install_source(machine, "vendor")
    wrong = make_repository("wrong", key=other_key)
    wrong.publish(TinyPackage("beta"))
    machine.write(f"{SOURCES}/wrong.list", wrong.source_line(f"{KEYRINGS}/wrong.asc"))
    machine.write(f"{KEYRINGS}/wrong.asc", vendor_key.public())
    first = update(machine, check=False)
    install(machine, "alpha")
    next_boot(machine)
    assert installed(machine).keys() >= {"alpha"}
    told = reports(machine)
    assert told[f"{SOURCES}/wrong.list"]["proven"] is None
    assert told[PATH]["proven"] == in_days(0)
    assert complaints(update(machine, check=False)) == complaints(first)
    assert document(machine, "status")["pending"] == []
    assert (store(machine) / "keyrings").is_dir()

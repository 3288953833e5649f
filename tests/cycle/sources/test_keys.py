"""Keys of every kind that GnuPG makes, and what is told of them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cycle.conftest import MakeImage
from cycle.keeping import (
    aptkeep,
    install,
    installed,
    newest,
    next_boot,
    pending,
    said,
    start,
    store,
)
from cycle.sources.vendor import (
    HOME,
    KEYRINGS,
    SOURCES,
    TRUSTED,
    USER,
    below,
    complaints,
    content_and_mode,
    exported,
    gpg,
    key_of,
    one_line,
    reports,
    revoke,
    troubles,
    update,
    verified,
)
from testbed.fixtures import MakeRepository, MakeWorkstation
from testbed.packages import TinyPackage
from testbed.repository import Repository, SigningKey
from testbed.workstation import Workstation

PATH = f"{SOURCES}/vendor.list"
KEY = f"{KEYRINGS}/vendor.asc"

# GnuPG of Debian 12 and 13 can't make version 6 keys: the sample of RFC 9580, appendix A.3.
V6 = b"""-----BEGIN PGP PUBLIC KEY BLOCK-----

xioGY4d/4xsAAAAg+U2nu0jWCmHlZ3BqZYfQMxmZu52JGggkLq2EVD34laPCsQYf
GwoAAABCBYJjh3/jAwsJBwUVCg4IDAIWAAKbAwIeCSIhBssYbE8GCaaX5NUt+mxy
KwwfHifBilZwj2Ul7Ce62azJBScJAgcCAAAAAK0oIBA+LX0ifsDm185Ecds2v8lw
gyU2kCcUmKfvBXbAf6rhRYWzuQOwEn7E/aLwIwRaLsdry0+VcallHhSu4RN6HWaE
QsiPlR4zxP/TP7mhfVEe7XWPxtnMUMtf15OyA51YBM4qBmOHf+MZAAAAIIaTJINn
+eUBXbki+PSAld2nhJh/LVmFsS+60WyvXkQ1wpsGGBsKAAAALAWCY4d/4wKbDCIh
BssYbE8GCaaX5NUt+mxyKwwfHifBilZwj2Ul7Ce62azJAAAAAAQBIKbpGG2dWTX8
j+VjFM21J0hqWlEg+bdiojWnKfA5AQpWUWtnNwDEM0g12vYxoWM8Y81W+bHBw805
I8kWVkXU6vFOi+HWvv/ira7ofJu16NnoUkhclkUrk0mXubZvyl4GBg==
-----END PGP PUBLIC KEY BLOCK-----
"""


@pytest.fixture
def vendor(make_repository: MakeRepository, vendor_key: SigningKey) -> Repository:
    made = make_repository("stable", key=vendor_key)
    made.publish(TinyPackage("wanted"))
    return made


@pytest.fixture(scope="session")
def subkeyed(key_directory: Path) -> SigningKey:
    """A primary key that certifies, and two subkeys that sign; gpg takes the newer one."""
    key = SigningKey.generate(key_directory, "Sub <sub@vendor.example>")
    for algorithm in ("rsa3072", "ed25519"):
        gpg(key, "--quick-add-key", key.fingerprint, algorithm, "sign", "never")
    return key


def test_subkeys(
    machine: Workstation, make_repository: MakeRepository, subkeyed: SigningKey
) -> None:
    repository = make_repository("sub", key=subkeyed)
    repository.publish(TinyPackage("wanted"))
    path = repository.install_source(machine, "vendor")
    # A fingerprint in Signed-By may be the primary's, as apt-secure(8) has it.
    machine.write(f"{TRUSTED}/sub.asc", subkeyed.public())
    other = repository.served / "by-print"
    other.mkdir()
    (other / "dists").symlink_to("../dists")
    by_print = f"deb [signed-by={subkeyed.fingerprint}] {repository.uri}/by-print sub main\n"
    machine.write(f"{SOURCES}/by-print.list", by_print)
    update(machine)
    install(machine, "wanted")
    key = content_and_mode(machine, KEY)
    next_boot(machine)
    assert content_and_mode(machine, KEY) == key
    assert complaints(update(machine)) == set()
    told = reports(machine)
    assert told[path]["proven"] is not None
    assert told[f"{SOURCES}/by-print.list"]["proven"] is not None
    assert told[path]["keyrings"][0]["keys"] == [
        {
            "fingerprint": subkeyed.fingerprint,
            "user_id": subkeyed.user_id,
            "expires": None,
            "revoked": False,
        }
    ]


def test_several_keys_in_one_ring_are_all_named(
    machine: Workstation, vendor: Repository, vendor_key: SigningKey, other_key: SigningKey
) -> None:
    both = other_key.public(armored=False) + vendor_key.public(armored=False)
    machine.write(f"{KEYRINGS}/both.gpg", both)
    machine.write(PATH, vendor.source_line(f"{KEYRINGS}/both.gpg"))
    update(machine)
    (ring,) = reports(machine)[PATH]["keyrings"]
    assert [(key["fingerprint"], key["user_id"]) for key in ring["keys"]] == [
        (other_key.fingerprint, other_key.user_id),
        (vendor_key.fingerprint, vendor_key.user_id),
    ]
    shown = aptkeep(machine, "show").stdout
    for key in (vendor_key, other_key):
        assert f"{key.fingerprint} {key.user_id}" in shown
    (copy,) = (store(machine) / "keyrings").iterdir()
    assert copy.name.startswith("both.")
    assert copy.name.endswith(".gpg")


def test_user_id_that_a_terminal_would_obey(
    machine: Workstation, make_repository: MakeRepository, key_directory: Path
) -> None:
    odd = SigningKey.generate(key_directory, "Jörg: \\x1b \x1b[31m ünïcode <o@odd.example>")
    repository = make_repository("odd", key=odd)
    repository.publish()
    repository.install_source(machine, "odd")
    update(machine)
    for command in ("show", "verify"):
        shown = aptkeep(machine, command).stdout
        assert "\x1b" not in shown
        assert "Jörg:" in shown
        assert "ünïcode <o@odd.example>" in shown
    next_boot(machine)


def test_expired_and_revoked_keys_come_back_and_are_told(
    machine: Workstation,
    vendor: Repository,
    vendor_key: SigningKey,
    expired_key: SigningKey,
    key_directory: Path,
) -> None:
    """They are the user's files; that they are of no use is said, with the remedy."""
    revoked = SigningKey.generate(key_directory, "Revoked <keys@revoked.example>")
    revoke(revoked)
    rings = {
        "expired": expired_key.public(),
        "revoked": exported(revoked, "revoked.asc"),
    }
    vendor.install_source(machine, "good")
    update(machine)
    install(machine, "wanted")
    for name, content in rings.items():
        machine.write(f"{KEYRINGS}/{name}.asc", content)
        line = f"deb [signed-by={KEYRINGS}/{name}.asc] {vendor.uri}/{name} stable main\n"
        machine.write(f"{SOURCES}/{name}.list", line)
    machine.write(f"{KEYRINGS}/mixed.gpg", _binary(expired_key) + _binary(vendor_key))
    mixed = f"deb [signed-by={KEYRINGS}/mixed.gpg] {vendor.uri}/mixed stable main\n"
    machine.write(f"{SOURCES}/mixed.list", mixed)
    aptkeep(machine, "record")
    next_boot(machine)
    assert "wanted" in installed(machine)
    for name, content in rings.items():
        assert machine.read_bytes(f"{KEYRINGS}/{name}.asc") == content
    status = aptkeep(machine, "status")
    one_line(status, f"{SOURCES}/expired.list: the key {expired_key.fingerprint}")
    one_line(status, f"{SOURCES}/revoked.list: the key {revoked.fingerprint}")
    told = reports(machine)
    (trouble,) = told[f"{SOURCES}/expired.list"]["troubles"]
    assert "expired on 2025-01-01" in trouble
    assert "get the new one from" in trouble
    assert f"{KEYRINGS}/expired.asc" in trouble
    (trouble,) = told[f"{SOURCES}/revoked.list"]["troubles"]
    assert f"{revoked.fingerprint} of {revoked.user_id} was revoked" in trouble
    assert "get the new one from" in trouble
    # One of two has expired: nobody has to do anything.
    assert all("get the new one" not in text for text in told[f"{SOURCES}/mixed.list"]["troubles"])
    assert told[f"{SOURCES}/good.list"]["troubles"] == []


def _binary(key: SigningKey) -> bytes:
    return key.public(armored=False)


def test_trusted_gpg_of_old(
    machine: Workstation, vendor: Repository, vendor_key: SigningKey, suite: str
) -> None:
    """What `apt-key add` wrote to. apt of Debian 13 doesn't read it any more."""
    machine.write("/etc/apt/trusted.gpg", vendor_key.public(armored=False), 0o644)
    machine.write(PATH, vendor.source_line())
    first = update(machine, check=False)
    aptkeep(machine, "record")
    read = suite == "bookworm"
    assert (first.returncode == 0) is read
    assert ("/etc/apt/trusted.gpg" in newest(machine)["files"]) is read
    before = content_and_mode(machine, "/etc/apt/trusted.gpg")
    next_boot(machine)
    if read:
        assert content_and_mode(machine, "/etc/apt/trusted.gpg") == before
        assert complaints(update(machine)) <= complaints(first)


def test_keyring_of_the_image_is_named_and_not_copied(
    make_workstation: MakeWorkstation, make_image: MakeImage, vendor: Repository
) -> None:
    """The user writes a source that names it: a new image brings the vendor's newer key."""
    shipped = "/usr/share/keyrings/vendor-archive-keyring.asc"
    text = key_of(vendor).public().decode()
    image = make_image(TinyPackage("vendor-archive-keyring", files={shipped: text}))
    machine = make_workstation(image).boot()
    start(machine)
    machine.write(PATH, vendor.source_line(shipped))
    update(machine)
    assert newest(machine)["files"].keys() == {PATH}
    assert not (store(machine) / "keyrings").exists()
    report = reports(machine)[PATH]
    assert report["proven"] is not None
    assert [(ring["path"], ring["kept"]) for ring in report["keyrings"]] == [(shipped, False)]
    assert shipped in aptkeep(machine, "show").stdout
    newer = make_image(
        TinyPackage("vendor-archive-keyring", "2.0", files={shipped: f"newer\n{text}"})
    )
    next_boot(machine, image=newer)
    assert machine.read_text(shipped) == f"newer\n{text}"
    assert complaints(update(machine)) == set()


def test_version_6_key_beside_another(
    machine: Workstation, vendor: Repository, vendor_key: SigningKey
) -> None:
    """What GnuPG can't read is kept byte for byte all the same."""
    machine.write(KEY, vendor_key.public() + V6)
    machine.write(PATH, vendor.source_line(KEY))
    machine.write(f"{KEYRINGS}/six.asc", V6)
    six = f"deb [signed-by={KEYRINGS}/six.asc] {vendor.uri}/six stable main\n"
    machine.write(f"{SOURCES}/six.list", six)
    first = aptkeep(machine, "record")
    assert said(first) == []
    update(machine, check=False)
    machine.run("rm", f"{SOURCES}/six.list")
    works = update(machine, check=False)
    machine.write(f"{SOURCES}/six.list", six)
    aptkeep(machine, "record")
    next_boot(machine)
    assert machine.read_bytes(f"{KEYRINGS}/six.asc") == V6
    assert machine.read_bytes(KEY) == vendor_key.public() + V6
    machine.run("rm", f"{SOURCES}/six.list")
    assert update(machine, check=False).returncode == works.returncode
    keys = reports(machine)[PATH]["keyrings"][0]["keys"]
    assert vendor_key.fingerprint in [key["fingerprint"] for key in keys]


def test_key_that_apt_could_not_read_comes_back_readable(
    machine: Workstation, vendor: Repository, vendor_key: SigningKey
) -> None:
    """Written under umask 077: of no use to apt's `_apt` user, and public anyway."""
    machine.write(KEY, vendor_key.public(), 0o600)
    machine.write(PATH, vendor.source_line(KEY), 0o640)
    update(machine, check=False)
    aptkeep(machine, "record")
    next_boot(machine)
    found = machine.stat(KEY)
    assert stat.S_IMODE(found.st_mode) == 0o644
    assert (found.st_uid, found.st_gid) == (0, 0)
    assert complaints(update(machine)) == set()
    assert verified(machine, vendor)


def test_key_in_the_home_is_verified_but_never_written(
    machine: Workstation, vendor: Repository, vendor_key: SigningKey, other_key: SigningKey
) -> None:
    """Its owner may change it. That it is another key now is told, since root installs by it."""
    path = f"{HOME}/.local/share/vendor.asc"
    machine.write(path, vendor_key.public(), user=USER)
    machine.write(PATH, vendor.source_line(path))
    update(machine)
    install(machine, "wanted")
    at_home = machine.home / ".local/share/vendor.asc"
    at_home.write_bytes(other_key.public())
    result = next_boot(machine, code=1)
    assert at_home.read_bytes() == other_key.public()
    assert pending(machine).keys() >= {"wanted"}
    line = "\n".join(troubles(result))
    assert path in line
    assert other_key.fingerprint in line
    at_home.unlink()
    result = next_boot(machine, code=1)
    line = "\n".join(troubles(result))
    assert f"its key {path} is not there" in line
    at_home.write_bytes(vendor_key.public())
    start(machine)
    assert "wanted" in installed(machine)


def test_nothing_secret_is_ever_in_the_store(
    machine: Workstation, vendor: Repository, vendor_key: SigningKey
) -> None:
    vendor.install_source(machine, "vendor")
    update(machine)
    kept = below(store(machine))
    assert b"PRIVATE" not in kept
    assert vendor_key.fingerprint.encode() in kept

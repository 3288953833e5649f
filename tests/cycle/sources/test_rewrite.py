"""`Aptkeep::Keys::Relocate "rewrite"`: sources name the copies of their keys in the home."""

from __future__ import annotations

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
    complaints,
    contents,
    key_of,
    one_line,
    reports,
    troubles,
    update,
    verified,
)
from testbed.fixtures import MakeRepository, MakeWorkstation
from testbed.images import Image
from testbed.packages import TinyPackage
from testbed.repository import Repository, SigningKey
from testbed.workstation import Workstation

COPIES = f"{HOME}/.local/share/aptkeep/keyrings"
SETTING = {"/etc/apt/apt.conf.d/50rewrite": b'Aptkeep::Keys::Relocate "rewrite";\n'}
IMAGE_KEY = "/usr/share/keyrings/image.asc"
IMAGE_OWN = f"{KEYRINGS}/image-own.asc"


@pytest.fixture
def vendor(make_repository: MakeRepository, vendor_key: SigningKey) -> Repository:
    made = make_repository("stable", key=vendor_key)
    made.publish(TinyPackage("wanted"))
    return made


def places(vendor: Repository, *names: str) -> None:
    """Addresses below the repository's that hold the same."""
    for name in names:
        (vendor.served / name).mkdir()
        for part in ("dists", "pool"):
            (vendor.served / name / part).symlink_to(f"../{part}")


def republish(vendor: Repository, key: SigningKey, version: str, *names: str) -> None:
    """Another version, signed by another key."""
    vendor.key = key
    vendor.publish(TinyPackage("wanted", version))
    places(vendor, "image", "image-own", *names)


@pytest.fixture
def image(make_image: MakeImage, vendor: Repository) -> Image:
    """It asks for rewriting, and has sources of its own, one with a key that no package owns."""
    places(vendor, "image", "image-own")
    text = key_of(vendor).public().decode()
    own = f"deb [signed-by={IMAGE_OWN}] {vendor.uri}/image-own stable main\n"
    packaged = f"deb [signed-by={IMAGE_KEY}] {vendor.uri}/image stable main\n"
    return make_image(
        TinyPackage("image-keyring", files={IMAGE_KEY: text}),
        files={
            **SETTING,
            IMAGE_OWN: text.encode(),
            f"{SOURCES}/image-own.list": own.encode(),
            f"{SOURCES}/image.list": packaged.encode(),
        },
    )


@pytest.fixture
def workstation(make_workstation: MakeWorkstation, image: Image) -> Workstation:
    made = make_workstation(image).boot()
    start(made)
    return made


def copy_of(machine: Workstation, name: str) -> Path:
    (found,) = (store(machine) / "keyrings").glob(f"{name}.*")
    return found


def test_both_formats_and_nothing_else_in_the_file(
    workstation: Workstation, vendor: Repository, other_key: SigningKey
) -> None:
    machine = workstation
    key = key_of(vendor)
    keys = {
        f"{KEYRINGS}/vendor.asc": key.public(),
        "/usr/share/keyrings/vendor.gpg": key.public(armored=False),
        f"{TRUSTED}/vendor.gpg": key.public(armored=False),
        f"{KEYRINGS}/more.gpg": other_key.public(armored=False),
        f"{HOME}/keys/mine.asc": key.public(),
    }
    one, share, trusted, more, mine = keys
    for path, content in keys.items():
        machine.write(path, content, user=USER if HOME in path else None)
    places(vendor, "a", "b", "c", "d", "e", "f")
    stanza = "Types: deb\nURIs: {}\nSuites: stable\nComponents: main\n"
    arch = machine.run("dpkg", "--print-architecture").stdout.strip()
    written = {
        "a.list": (
            f"# signed-by={one}, says the manual\n"
            f"deb [ arch={arch}  signed-by={one},{more} ]\t{vendor.uri}/a stable main # {one}\n"
            f"#deb [signed-by={one}] {vendor.uri}/old stable main"
        ),
        "b.sources": (
            f"# Signed-By: {share}\n{stanza.format(vendor.uri + '/b')}"
            f"SIGNED-BY:\n# the key\n {more}\n  {share} \n# {share}\nX-Note: {share}\n\n"
        ),
        "c.list": f"deb [signed-by={trusted}] {vendor.uri}/c stable main\n",
        "d.list": f"deb [signed-by={mine}] {vendor.uri}/d stable main\n",
        "e.list": f"deb [signed-by={IMAGE_KEY}] {vendor.uri}/e stable main\n",
        "f.list": f"deb [signed-by=/etc/apt//keyrings/./vendor.asc] {vendor.uri}/f stable main\n",
    }
    for name, text in written.items():
        machine.write(f"{SOURCES}/{name}", text, 0o640)
    first = update(machine)
    assert complaints(first) == set()
    assert said(first) == []
    assert all(verified(machine, vendor, f"/{n}") for n in ("a", "b", "c", "e", "f", "image"))

    def copied(path: str) -> str:
        stem = path.rpartition("/")[2]
        kind = "vendor.*.asc" if path == one else f"{stem.split('.')[0]}.*.gpg"
        (found,) = (store(machine) / "keyrings").glob(kind)
        return f"{COPIES}/{found.name}"

    expected = dict(written)
    expected["a.list"] = written["a.list"].replace(
        f"signed-by={one},{more} ]", f"signed-by={copied(one)},{copied(more)} ]"
    )
    expected["b.sources"] = (
        written["b.sources"]
        .replace(f"\n {more}\n", f"\n {copied(more)}\n")
        .replace(f"\n  {share} \n", f"\n  {copied(share)} \n")
    )
    expected["f.list"] = written["f.list"].replace("/etc/apt//keyrings/./vendor.asc", copied(one))
    expected["c.list"] = written["c.list"].replace(trusted, copied(trusted))
    found = {name: machine.read_text(f"{SOURCES}/{name}") for name in written}
    # A key that is trusted for any source besides may stay where it is.
    assert found["c.list"] in (written["c.list"], expected["c.list"])
    expected["c.list"] = found["c.list"]
    assert found == expected
    assert {machine.stat(f"{SOURCES}/{name}").st_mode & 0o777 for name in written} == {0o640}
    for name in ("image", "image-own"):
        assert COPIES not in machine.read_text(f"{SOURCES}/{name}.list")

    install(machine, "wanted")
    before = contents(machine, [f"{SOURCES}/{name}" for name in written])
    back = next_boot(machine)
    assert troubles(back) == []
    assert contents(machine, before) == before
    assert "wanted" in installed(machine)
    # The keys need be nowhere else.
    assert not machine.exists(one)
    assert not machine.exists(share)
    assert complaints(update(machine)) == set()
    assert all(verified(machine, vendor, f"/{n}") for n in ("a", "b", "c", "d", "e", "f"))
    assert pending(machine) == {}
    told = reports(machine)
    assert told[f"{SOURCES}/a.list"]["proven"] is not None
    names = [key["fingerprint"] for r in told[f"{SOURCES}/f.list"]["keyrings"] for key in r["keys"]]
    assert names == [key.fingerprint]


def test_copy_that_was_altered_is_moved_aside_before_apt_uses_it(
    workstation: Workstation, vendor: Repository, vendor_key: SigningKey, other_key: SigningKey
) -> None:
    """Whoever got to write there would else decide what root installs."""
    machine = workstation
    vendor.install_source(machine, "vendor")
    places(vendor, "good")
    machine.write(f"{KEYRINGS}/good.gpg", vendor_key.public(armored=False))
    good = f"deb [signed-by={KEYRINGS}/good.gpg] {vendor.uri}/good stable main\n"
    machine.write(f"{SOURCES}/good.list", good)
    update(machine)
    copy = copy_of(machine, "vendor")
    content = copy.read_bytes()
    assert str(copy.name) in machine.read_text(f"{SOURCES}/vendor.list")
    copy.write_bytes(other_key.public())
    # The vendor's repository as the attacker would sign it.
    republish(vendor, other_key, "6.66", "good")
    result = update(machine, check=False)
    assert any("vendor" in line or vendor.uri in line for line in complaints(result))
    line = one_line(result, f"{copy.name} is not what was recorded")
    assert "apt can't use it" in line
    assert "vendor's key" in line
    assert not copy.exists()
    aside = copy.with_name(f"{copy.name}.altered")
    assert aside.read_bytes() == other_key.public()
    policy = machine.run("apt-cache", "policy", "wanted").stdout
    assert "6.66" not in policy
    # Nothing of it is taken for the user's wish.
    status = machine.run("aptkeep", "status", check=False).output
    assert "Traceback" not in status
    # And at the next start it's set aside as any key that was altered.
    republish(vendor, vendor_key, "1.0", "good")
    start_result = next_boot(machine, code=1)
    assert f"{COPIES}/{copy.name}" in start_result.output
    update(machine, check=False)
    assert verified(machine, vendor, "/good")
    assert not verified(machine, vendor)
    # The remedy: the vendor's key again, as it was.
    copy.write_bytes(content)
    start(machine)
    update(machine)
    assert verified(machine, vendor)


def test_copy_that_was_altered_while_the_machine_was_off(
    workstation: Workstation, vendor: Repository, other_key: SigningKey
) -> None:
    machine = workstation
    vendor.install_source(machine, "vendor")
    update(machine)
    install(machine, "wanted")
    copy = copy_of(machine, "vendor")
    machine.stop()
    copy.write_bytes(other_key.public())
    republish(vendor, other_key, "6.66")
    machine.boot()
    result = start(machine, code=1)
    assert installed(machine).get("wanted") != "6.66"
    assert copy.name in result.output
    update(machine, check=False)
    assert "6.66" not in machine.run("apt-cache", "policy", "wanted").stdout


def test_home_that_apt_cannot_look_into(workstation: Workstation, vendor: Repository) -> None:
    """0700, as many have it: apt's `_apt` user could not read the key there."""
    machine = workstation
    machine.home.chmod(0o700)
    path = vendor.install_source(machine, "vendor")
    text = machine.read_text(path)
    first = update(machine)
    line = one_line(first, HOME)
    assert "apt can't look into it" in line
    assert complaints(first) == set()
    assert machine.read_text(path) == text
    # Once, not at each run.
    assert said(update(machine)) == []
    install(machine, "wanted")
    back = next_boot(machine)
    assert machine.read_text(path) == text
    assert machine.exists(f"{KEYRINGS}/vendor.asc")
    assert "wanted" in installed(machine)
    assert verified_again(machine, vendor)
    assert [line for line in troubles(back) if "pending" in line] == []


def test_home_is_closed_after_sources_were_rewritten(
    workstation: Workstation, vendor: Repository
) -> None:
    """The source names what apt can't read any more: that has to be said, with the remedy."""
    machine = workstation
    vendor.install_source(machine, "vendor")
    update(machine)
    install(machine, "wanted")
    machine.stop()
    machine.home.chmod(0o700)
    machine.boot()
    result = machine.run("aptkeep", "start", check=False)
    if result.returncode == 0:
        # Handled: apt can verify it all the same.
        assert "wanted" in installed(machine)
        assert verified_again(machine, vendor)
    else:
        assert result.returncode == 1
        assert any(HOME in line and "apt can't" in line for line in said(result)), result.output


def verified_again(machine: Workstation, repository: Repository) -> bool:
    update(machine)
    return verified(machine, repository)


def test_setting_may_come_later_and_go_again(
    machine: Workstation, vendor: Repository, vendor_key: SigningKey
) -> None:
    """On a machine with sources already; and back to "copy" without losing anything."""
    path = vendor.install_source(machine, "vendor")
    update(machine)
    for setting, content in SETTING.items():
        machine.write(setting, content)
    update(machine)
    assert COPIES in machine.read_text(path)
    next_boot(machine)
    assert COPIES in machine.read_text(path)
    assert verified_again(machine, vendor)
    machine.run("rm", *SETTING)
    aptkeep(machine, "record")
    next_boot(machine)
    assert not machine.exists(next(iter(SETTING)))
    assert verified_again(machine, vendor)
    assert newest(machine)["files"][path]["proven"]


def test_new_key_of_the_vendor_in_the_old_place(
    workstation: Workstation, vendor: Repository, other_key: SigningKey
) -> None:
    """The vendor's instructions once more, with the new key: another copy, and it's named."""
    machine = workstation
    path = vendor.install_source(machine, "vendor")
    update(machine)
    old = machine.read_text(path)
    republish(vendor, other_key, "2.0")
    # The image's own keyrings are not the matter here.
    machine.run("rm", f"{SOURCES}/image.list", f"{SOURCES}/image-own.list")
    vendor.install_source(machine, "vendor")
    update(machine)
    assert machine.read_text(path) not in (old, vendor.source_line(f"{KEYRINGS}/vendor.asc"))
    assert len(list((store(machine) / "keyrings").glob("vendor.*"))) == 2
    install(machine, "wanted")
    next_boot(machine)
    assert installed(machine)["wanted"] == "2.0"
    assert verified_again(machine, vendor)

"""Taking an observation: everything about a root that a manifest can speak of."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from aptkeep.machine.observe import Snapshot, observe, read_platform
from aptkeep.model import FileKind, KeptFile, Manifest, Observation, Package, Platform
from aptkeep.store.format import codec
from unit.machine.fake_root import FakeRoot
from unit.machine.test_keys import KEY, armored
from unit.made import INSTALL
from unit.store.format.documents import GENERATION

OS_RELEASE = """\
PRETTY_NAME="Debian GNU/Linux 13 (trixie)"
NAME="Debian GNU/Linux"
# a comment = "with a sign"
VERSION_ID="13"
VERSION_CODENAME=trixie
ID=debian
"""
STATUS = """\
Package: vim
Status: install ok installed
Architecture: amd64
Version: 2:9.1

"""
ARMORED = armored(KEY)


def sha256(content: str | bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def seen(root: FakeRoot, home: Path | None = None, known: Observation | None = None) -> Snapshot:
    """What is observed of a root."""
    return observe(root.configuration, home=str(home) if home else None, known=known)


def unkept(snapshot: Snapshot) -> dict[str, str]:
    """What can't be kept, and why."""
    return {entry.subject: entry.reason for entry in snapshot.unkept}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home outside the root."""
    directory = tmp_path / "home"
    directory.mkdir()
    return directory


# -- the whole


def test_an_observation_of_everything(root: FakeRoot) -> None:
    root.write("etc/os-release", OS_RELEASE)
    root.write("var/lib/dpkg/status", STATUS)
    root.write("var/lib/dpkg/arch", "amd64\ni386\n")
    root.write(
        "var/lib/apt/extended_states", "Package: vim\nArchitecture: amd64\nAuto-Installed: 1\n"
    )
    key = root.write("etc/apt/keyrings/vendor.asc", ARMORED)
    line = f"deb [signed-by={key}] http://h trixie main\n"
    source = root.write("etc/apt/sources.list.d/vendor.list", line)
    pins = root.write("etc/apt/preferences.d/pins", "Package: *\nPin: release a=sid\n", 0o600)
    snapshot = seen(root)
    assert snapshot.observation == Observation(
        Platform("debian", "trixie", "amd64"),
        {"vim": Package(INSTALL, "installed", "2:9.1", auto=True, architecture="amd64")},
        frozenset({"i386"}),
        {
            source: KeptFile(FileKind.SOURCE, sha256(line), 0o644),
            key: KeptFile(FileKind.KEY, sha256(ARMORED), 0o644),
            pins: KeptFile(FileKind.PREFERENCES, sha256("Package: *\nPin: release a=sid\n"), 0o600),
        },
    )
    assert snapshot.contents[sha256(ARMORED)] == ARMORED
    assert set(snapshot.contents) == {k.sha256 for k in snapshot.observation.files.values()}
    assert snapshot.unkept == ()


def test_an_empty_root(root: FakeRoot) -> None:
    snapshot = seen(root)
    assert snapshot.observation == Observation(Platform("linux", "unknown", "amd64"))
    assert (snapshot.contents, snapshot.unkept) == ({}, ())


def test_looking_twice_sees_the_same(root: FakeRoot) -> None:
    root.write("var/lib/dpkg/status", STATUS)
    key = root.write("etc/apt/keyrings/vendor.asc", ARMORED)
    root.write("etc/apt/sources.list", f"deb [signed-by={key}] http://h trixie main\n")
    first = seen(root)
    assert seen(root) == first
    assert seen(root, known=first.observation) == first


# -- the platform


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        (OS_RELEASE, Platform("debian", "trixie", "amd64")),
        (
            "ID=ubuntu\nVERSION_ID='22.04'\nVERSION_CODENAME='jammy'\n",
            Platform("ubuntu", "jammy", "amd64"),
        ),
        ("ID=linuxmint\nVERSION_ID=22\n", Platform("linuxmint", "22", "amd64")),
        ("ID=debian\n", Platform("debian", "unknown", "amd64")),
        ("", Platform("linux", "unknown", "amd64")),
    ],
)
def test_the_platform(root: FakeRoot, text: str, platform: Platform) -> None:
    assert read_platform(root.write("etc/os-release", text), "amd64") == platform


def test_a_root_that_does_not_say_what_it_is(root: FakeRoot) -> None:
    assert read_platform(root.paths.os_release, "amd64") == Platform("linux", "unknown", "amd64")


# -- files that can't be kept


def test_a_source_that_is_no_file_is_named(root: FakeRoot) -> None:
    fifo = root.path / "etc/apt/sources.list.d/fifo.list"
    fifo.parent.mkdir(parents=True)
    os.mkfifo(fifo)
    assert "no regular file" in unkept(seen(root))[str(fifo)]


def test_a_source_that_leads_nowhere_is_not_there(root: FakeRoot) -> None:
    link = root.path / "etc/apt/sources.list"
    link.parent.mkdir(parents=True)
    link.symlink_to("nowhere")
    assert seen(root).observation.files == {}


def test_a_source_of_absurd_size_is_named(root: FakeRoot) -> None:
    path = root.write("etc/apt/sources.list", b"#" * (5 << 20))
    assert "larger than" in unkept(seen(root))[path]


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "empty"), (b"<html>", "web page"), (b"hello", "no OpenPGP key")]
)
def test_a_keyring_that_is_none_is_named_with_its_source(
    root: FakeRoot, content: bytes, reason: str
) -> None:
    key = root.write("etc/apt/keyrings/vendor.asc", content)
    source = root.write("etc/apt/sources.list", f"deb [signed-by={key}] http://h trixie main\n")
    snapshot = seen(root)
    assert list(snapshot.observation.files) == [source]
    assert reason in unkept(snapshot)[key]
    assert source in unkept(snapshot)[key]


def test_a_keyring_that_is_not_there_is_named(root: FakeRoot) -> None:
    key = str(root.path / "etc/apt/keyrings/gone.asc")
    root.write("etc/apt/sources.list", f"deb [signed-by={key}] http://h trixie main\n")
    assert "No such file" in unkept(seen(root))[key]


def test_an_embedded_key_is_no_path(root: FakeRoot) -> None:
    lines = "".join(f" {line}\n" for line in ARMORED.decode().splitlines() if line)
    lines += " /9j4AAQSkZJRgABAQEASABIAAD\n"
    root.write(
        "etc/apt/sources.list.d/vendor.sources",
        f"Types: deb\nURIs: http://h\nSuites: trixie\nComponents: main\nSigned-By:\n{lines}",
    )
    assert seen(root).unkept == ()


@pytest.mark.parametrize("name", ["a\0b.gpg", "a\x1bb.gpg"])
def test_no_name_of_a_keyring_stops_an_observation(root: FakeRoot, name: str) -> None:
    path = root.write("etc/apt/sources.list", f"deb [signed-by=/k/{name}] http://h trixie main\n")
    assert list(seen(root).observation.files) == [path]


# -- whatever is observed can be stored


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o755, 0o1644, 0o2644, 0o4755, 0o7777])
def test_every_mode_can_be_stored(root: FakeRoot, mode: int) -> None:
    root.write("etc/apt/sources.list", "", mode)
    _stored(seen(root).observation)


def test_every_path_can_be_stored(root: FakeRoot) -> None:
    key = root.write("etc/apt/keyrings/vendor.asc", ARMORED)
    crooked = key.replace("/keyrings/", "/keyrings/../keyrings/./")
    root.write("etc/apt/sources.list", f"deb [signed-by={crooked}] http://h trixie main\n")
    observation = seen(root).observation
    assert key in observation.files
    _stored(observation)


def _stored(observation: Observation) -> None:
    generation = GENERATION.__class__(
        1, GENERATION.occasion, observation.platform, Manifest(files=observation.files)
    )
    decoded = codec.decode(codec.encode(generation), "generation")
    assert decoded.manifest.files.keys() == observation.files.keys()


# -- keyrings


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_a_keyring_is_kept_so_that_apt_can_read_it(root: FakeRoot, mode: int) -> None:
    """apt reads keyrings as its user `_apt`."""
    key = root.write("etc/apt/keyrings/vendor.asc", ARMORED, mode)
    root.write("etc/apt/sources.list", f"deb [signed-by={key}] http://h trixie main\n")
    assert seen(root).observation.files[key].mode & 0o444 == 0o444


def test_a_keyring_that_two_sources_name_is_one(root: FakeRoot) -> None:
    key = root.write("etc/apt/keyrings/vendor.asc", ARMORED)
    for name in "ab":
        root.write(
            f"etc/apt/sources.list.d/{name}.list", f"deb [signed-by={key}] http://{name} sid main\n"
        )
    assert len(seen(root).observation.files) == 3


def test_the_package_that_ships_a_keyring(root: FakeRoot) -> None:
    key = root.write("usr/share/keyrings/vendor.gpg", KEY)
    root.write("etc/apt/sources.list", f"deb [signed-by={key}] http://h trixie main\n")
    root.write("var/lib/dpkg/info/vendor-keyring.list", f"/.\n{key}\n")
    assert seen(root).observation.files[key].package == "vendor-keyring"


def test_the_owner_of_a_keyring_that_is_known_is_not_looked_up_again(root: FakeRoot) -> None:
    key = root.write("usr/share/keyrings/vendor.gpg", KEY)
    root.write("etc/apt/sources.list", f"deb [signed-by={key}] http://h trixie main\n")
    listed = root.write("var/lib/dpkg/info/vendor-keyring.list", f"/.\n{key}\n")
    first = seen(root).observation
    os.unlink(listed)
    assert seen(root, known=first).observation == first


# -- keyrings in the home, which are its owner's to change


def test_a_keyring_in_the_home(root: FakeRoot, home: Path) -> None:
    key = home / "keys/mine.asc"
    key.parent.mkdir()
    key.write_bytes(ARMORED)
    root.write("etc/apt/sources.list", f"deb [signed-by={key}] http://h trixie main\n")
    assert seen(root, home).observation.files[str(key)].kind is FileKind.HOME_KEY


@pytest.mark.parametrize("spelled", ["{home}/./mine.asc", "{home}//mine.asc", "/{home}/mine.asc"])
def test_no_spelling_hides_that_it_is_in_the_home(root: FakeRoot, home: Path, spelled: str) -> None:
    (home / "mine.asc").write_bytes(ARMORED)
    path = spelled.format(home=home)
    root.write("etc/apt/sources.list", f"deb [signed-by={path}] http://h trixie main\n")
    (kind,) = {
        kept.kind
        for kept in seen(root, home).observation.files.values()
        if kept.kind is not FileKind.SOURCE
    }
    assert kind is FileKind.HOME_KEY


@pytest.mark.parametrize("link", ["keys", "keys/mine.asc"])
def test_no_link_in_the_home_is_followed(
    root: FakeRoot, home: Path, tmp_path: Path, link: str
) -> None:
    """The home's owner could have root copy a file that only root may read into the store."""
    secret = tmp_path / "secret/keys"
    secret.mkdir(parents=True)
    (secret / "mine.asc").write_bytes(ARMORED)
    (home / link).parent.mkdir(exist_ok=True)
    (home / link).symlink_to(tmp_path / "secret" / link)
    key = str(home / "keys/mine.asc")
    root.write("etc/apt/sources.list", f"deb [signed-by={key}] http://h trixie main\n")
    snapshot = seen(root, home)
    assert key not in snapshot.observation.files
    assert key in unkept(snapshot)


def test_a_fifo_in_the_home_is_not_waited_for(root: FakeRoot, home: Path) -> None:
    os.mkfifo(home / "mine.asc")
    root.write("etc/apt/sources.list", f"deb [signed-by={home}/mine.asc] http://h trixie main\n")
    assert str(home / "mine.asc") in unkept(seen(root, home))


def test_a_directory_whose_name_begins_like_the_home_is_not_in_it(
    root: FakeRoot, home: Path
) -> None:
    beside = Path(f"{home}-2")
    beside.mkdir()
    (beside / "key.asc").write_bytes(ARMORED)
    root.write("etc/apt/sources.list", f"deb [signed-by={beside}/key.asc] http://h sid main\n")
    assert seen(root, home).observation.files[f"{beside}/key.asc"].kind is FileKind.KEY

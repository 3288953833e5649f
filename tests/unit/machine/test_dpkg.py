"""dpkg's view of a root, read from its files as dpkg and apt write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from aptkeep.machine import dpkg
from aptkeep.model import Package, Selection
from unit.machine.fake_root import FakeRoot
from unit.made import DEINSTALL, HOLD, INSTALL, PURGE


def paragraph(
    name: str, status: str, version: str = "", architecture: str = "amd64", more: str = ""
) -> str:
    """A paragraph of /var/lib/dpkg/status."""
    version_field = f"Version: {version}\n" if version else ""
    return (
        f"Package: {name}\nStatus: {status}\nPriority: optional\nSection: misc\n"
        f"Maintainer: Nobody <nobody@example.org>\nArchitecture: {architecture}\n{version_field}"
        f"{more}Description: something\n longer, with: colons\n .\n and more\n\n"
    )


def auto(name: str, architecture: str = "amd64", mark: str = "1") -> str:
    """A paragraph of apt's extended_states."""
    return f"Package: {name}\nArchitecture: {architecture}\nAuto-Installed: {mark}\n\n"


def read(root: FakeRoot, status: str, extended: str | None = None) -> dict[str, Package]:
    """The packages of a root with these files."""
    root.write("var/lib/dpkg/status", status)
    if extended is not None:
        root.write("var/lib/apt/extended_states", extended)
    return dpkg.read_packages(root.paths.dpkg_status, root.paths.extended_states, "amd64")


# -- packages


@pytest.mark.parametrize(
    ("status", "version", "package"),
    [
        ("install ok installed", "1:2-3", Package(INSTALL, "installed", "1:2-3")),
        ("hold ok installed", "1", Package(HOLD, "installed", "1")),
        ("deinstall ok installed", "1", Package(DEINSTALL, "installed", "1")),
        ("purge ok installed", "1", Package(PURGE, "installed", "1")),
        ("install ok unpacked", "1", Package(INSTALL, "unpacked", "1")),
        ("install ok half-configured", "1", Package(INSTALL, "half-configured", "1")),
        ("install ok triggers-awaited", "1", Package(INSTALL, "triggers-awaited", "1")),
        ("install ok triggers-pending", "1", Package(INSTALL, "triggers-pending", "1")),
        ("install reinstreq half-installed", "1", Package(INSTALL, "half-installed", "1")),
        ("install reinstreq half-installed", "", Package(INSTALL, "half-installed", None)),
        ("deinstall ok half-installed", "1", Package(DEINSTALL, "half-installed", "1")),
        ("deinstall ok config-files", "1", Package(DEINSTALL, "config-files", None)),
        ("purge ok config-files", "1", Package(PURGE, "config-files", None)),
        ("install ok config-files", "1", Package(INSTALL, "config-files", None)),
        ("hold ok config-files", "1", Package(HOLD, "config-files", None)),
        ("hold ok not-installed", "", Package(HOLD, "not-installed", None)),
        ("install ok not-installed", "", Package(INSTALL, "not-installed", None)),
    ],
)
def test_every_state(root: FakeRoot, status: str, version: str, package: Package) -> None:
    (found,) = read(root, paragraph("pkg", status, version)).values()
    assert (found.selection, found.status, found.version) == (
        package.selection,
        package.status,
        package.version,
    )
    assert found.architecture == "amd64"
    assert not found.auto


@pytest.mark.parametrize(
    "status",
    [
        "unknown ok not-installed",
        "deinstall ok not-installed",
        "purge ok not-installed",
        "unknown ok config-files",
    ],
)
def test_what_dpkg_itself_forgets_is_left_out(root: FakeRoot, status: str) -> None:
    assert read(root, paragraph("pkg", status)) == {}


def test_states_tell_what_is_there_and_what_is_whole(root: FakeRoot) -> None:
    states = {
        "installed": (True, True),
        "triggers-awaited": (True, True),
        "triggers-pending": (True, True),
        "unpacked": (True, False),
        "half-configured": (True, False),
        "half-installed": (True, False),
        "config-files": (False, False),
    }
    for state, (present, whole) in states.items():
        (found,) = read(root, paragraph("pkg", f"install ok {state}", "1")).values()
        assert (found.present, found.whole) == (present, whole)


def test_names_are_those_that_apt_prints(root: FakeRoot) -> None:
    found = read(
        root,
        paragraph("libc6", "install ok installed", "2", more="Multi-Arch: same\n")
        + paragraph("libc6", "install ok installed", "3", "i386", "Multi-Arch: same\n")
        + paragraph("cowsay", "install ok installed", "4", "all")
        + paragraph("my_tool", "install ok installed", "5")
        + paragraph("g++", "install ok installed", "6"),
    )
    assert {name: package.version for name, package in found.items()} == {
        "libc6": "2",
        "libc6:i386": "3",
        "cowsay": "4",
        "my_tool": "5",
        "g++": "6",
    }
    assert found["cowsay"].architecture == "all"
    assert found["libc6:i386"].architecture == "i386"


def test_a_hold_on_what_was_never_there(root: FakeRoot) -> None:
    """As `apt-mark hold` leaves it; the second, as selections of other machines may."""
    found = read(
        root,
        "Package: snapd\nStatus: hold ok not-installed\nArchitecture: all\n\n"
        "Package: nano\nStatus: hold ok not-installed\n\n",
    )
    assert found == {
        "snapd": Package(HOLD, "not-installed", architecture="all"),
        "nano": Package(HOLD, "not-installed"),
    }


def test_auto_marks_are_apts(root: FakeRoot) -> None:
    installed = "".join(
        paragraph(name, "install ok installed", "1", architecture)
        for name, architecture in [
            ("manual", "amd64"),
            ("auto", "amd64"),
            ("for-all", "all"),
            ("lib", "amd64"),
            ("lib", "i386"),
            ("said-no", "amd64"),
        ]
    )
    extended = (
        auto("auto")
        + auto("for-all")  # apt files what is for all under the native architecture
        + auto("lib", "i386")
        + auto("said-no", mark="0")
        + auto("not-here")
    )
    found = read(root, installed, extended)
    assert {name for name, package in found.items() if package.auto} == {
        "auto",
        "for-all",
        "lib:i386",
    }


def test_a_mark_outlives_its_package_but_does_not_count(root: FakeRoot) -> None:
    status = paragraph("removed", "deinstall ok config-files", "1")
    assert not read(root, status, auto("removed"))["removed"].auto


def test_a_root_without_marks(root: FakeRoot) -> None:
    assert not read(root, paragraph("pkg", "install ok installed", "1"))["pkg"].auto


@pytest.mark.parametrize("status", ["", "\n", "\n\n\n"])
def test_a_root_without_packages(root: FakeRoot, status: str) -> None:
    assert read(root, status) == {}


def test_a_root_without_a_status_file(root: FakeRoot) -> None:
    paths = root.paths
    assert dpkg.read_packages(paths.dpkg_status, paths.extended_states, "amd64") == {}


def test_what_else_stands_in_a_paragraph_does_not_matter(root: FakeRoot) -> None:
    status = (
        b"Package: latin\nStatus: install ok installed\nMaintainer: J\xfcrgen <j@example.org>\n"
        b"Architecture: amd64\nVersion: 1\nConffiles:\n /etc/a 0123 obsolete\n /etc/b newconffile\n"
        b"Description: Status: deinstall ok config-files\n Status: purge ok config-files\n\n"
    )
    root.write("var/lib/dpkg/status", status)
    found = dpkg.read_packages(root.paths.dpkg_status, root.paths.extended_states, "amd64")
    assert found == {"latin": Package(INSTALL, "installed", "1", architecture="amd64")}


def test_the_last_paragraph_needs_no_empty_line(root: FakeRoot) -> None:
    status = paragraph("one", "install ok installed", "1") + paragraph(
        "two", "install ok installed", "2"
    )
    assert list(read(root, status.rstrip("\n"))) == ["one", "two"]


def test_many_packages_are_read(root: FakeRoot) -> None:
    status = "".join(paragraph(f"p{n}", "install ok installed", str(n)) for n in range(3000))
    assert len(read(root, status)) == 3000


# -- architectures


@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        ("amd64\ni386\narm64\n", {"i386", "arm64"}),
        ("amd64\n", set()),
        ("", set()),
        ("amd64\n\ni386", {"i386"}),
    ],
)
def test_foreign_architectures(root: FakeRoot, text: str, foreign: set[str]) -> None:
    root.write("var/lib/dpkg/arch", text)
    assert dpkg.read_architectures(root.paths.dpkg_directory, "amd64") == foreign


def test_dpkg_writes_no_architectures_where_there_was_never_a_foreign_one(root: FakeRoot) -> None:
    assert dpkg.read_architectures(root.paths.dpkg_directory, "amd64") == frozenset()


# -- owners of files


@pytest.fixture
def lists(root: FakeRoot) -> str:
    """dpkg's directory, with the lists of files of three packages."""
    info = "var/lib/dpkg/info"
    root.write(f"{info}/vendor-keyring.list", "/.\n/usr\n/usr/share/keyrings/vendor.gpg\n")
    root.write(f"{info}/libfoo:amd64.list", "/.\n/usr/lib/foo\n")
    root.write(f"{info}/base.list", "/.\n/etc/apt/apt.conf.d/01base\n")
    root.write(f"{info}/other.md5sums", "/usr/share/keyrings/mine.gpg\n")
    root.write(f"{info}/empty.list", "")
    return root.paths.dpkg_directory


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/usr/share/keyrings/vendor.gpg", "vendor-keyring"),
        ("/usr/lib/foo", "libfoo"),
        ("/etc/apt/apt.conf.d/01base", "base"),
        ("/usr/share/keyrings/mine.gpg", None),
        ("/usr/share/keyrings/vendor", None),
        ("/share/keyrings/vendor.gpg", None),
        ("/usr/share/keyrings/vendor.gpg.bak", None),
    ],
)
def test_the_owner_of_a_file(lists: str, path: str, owner: str | None) -> None:
    assert dpkg.owners(lists, [path]).get(path) == owner


def test_several_owners_at_once(lists: str) -> None:
    paths = ["/usr/lib/foo", "/usr/share/keyrings/vendor.gpg", "/nobody/owns/this"]
    assert dpkg.owners(lists, paths) == {
        "/usr/lib/foo": "libfoo",
        "/usr/share/keyrings/vendor.gpg": "vendor-keyring",
    }


def test_a_root_without_lists(root: FakeRoot) -> None:
    assert dpkg.owners(root.paths.dpkg_directory, ["/usr/lib/foo"]) == {}


# -- names, and a dpkg that was killed


@pytest.mark.parametrize(
    ("name", "architecture", "shown", "apts", "dpkgs"),
    [
        ("vim", "amd64", "vim", "vim:amd64", "vim:amd64"),
        ("cowsay", "all", "cowsay", "cowsay:amd64", "cowsay:all"),
        ("libc6", "i386", "libc6:i386", "libc6:i386", "libc6:i386"),
        ("snapd", "", "snapd", "snapd:amd64", "snapd"),
    ],
)
def test_names(name: str, architecture: str, shown: str, apts: str, dpkgs: str) -> None:
    assert dpkg.package_name(name, architecture, "amd64") == shown
    assert dpkg.qualified(shown, "amd64") == apts
    assert dpkg.spelled(shown, architecture) == dpkgs


@pytest.mark.parametrize(("left", "was"), [([], False), (["tmp.i"], False), (["0003"], True)])
def test_a_dpkg_that_was_killed_leaves_its_journal(
    root: FakeRoot, left: list[str], *, was: bool
) -> None:
    for name in left:
        root.write(f"var/lib/dpkg/updates/{name}", "")
    assert dpkg.interrupted(root.paths.dpkg_directory) is was


def test_selections_are_dpkgs_words() -> None:
    assert {s.value for s in Selection} == {"install", "hold", "deinstall", "purge"}


def test_available_is_dpkgs_file(tmp_path: Path) -> None:
    assert dpkg.available_file(str(tmp_path)) == str(tmp_path / "available")

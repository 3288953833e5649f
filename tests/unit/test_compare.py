"""What two manifests wish differently, and a wish in words."""

from __future__ import annotations

import pytest
from hypothesis import given

from aptkeep.compare import Difference, Wish, differences, wishes
from aptkeep.model import FileKind, Manifest, Node, NodeKind, OwnDeb, PackageWish
from unit import strategies
from unit.made import (
    BOOKWORM,
    DEINSTALL,
    HOLD,
    INSTALL,
    PURGE,
    TRIXIE,
    file,
    gone,
    wish,
)
from unit.strategies import KEY, PREFERENCES, SOURCE, USER_SOURCE


@pytest.mark.parametrize(
    ("recorded", "text"),
    [
        (wish(INSTALL, "1.2-3", auto=True), "install 1.2-3, automatic"),
        (wish(INSTALL, "1.2-3", auto=False), "install 1.2-3, manual"),
        (wish(INSTALL, auto=False), "install, manual"),
        (wish(INSTALL, image="1"), "install"),
        (wish(HOLD), "hold"),
        (wish(HOLD, "1.2-3", auto=False), "hold 1.2-3, manual"),
        (
            wish(INSTALL, "1.2", auto=False, deb=OwnDeb.LOCAL),
            "install 1.2, manual, from a local file",
        ),
        (wish(None, "1.2", image="1", deb=OwnDeb.REBUILT), "version 1.2, rebuilt by dpkg-repack"),
        (wish(None, "1.2-3", image="1"), "version 1.2-3"),
        (wish(None, "1.2-3", auto=True, image="1"), "version 1.2-3, automatic"),
        (wish(auto=True, image="1"), "marked automatic"),
        (wish(auto=False, image="1"), "marked manual"),
        (wish(DEINSTALL, image="1"), "deinstall"),
        (wish(PURGE, image="1"), "purge"),
    ],
)
def test_a_package_in_words(recorded: PackageWish, text: str) -> None:
    assert list(wishes(Manifest({"pkg": recorded}))) == [Wish("package", "pkg", text)]


def test_everything_in_words_and_in_order() -> None:
    manifest = Manifest(
        {"vim": wish(HOLD, image="1"), "cowsay": wish(INSTALL, "3", auto=False)},
        {"i386": True, "arm64": False},
        {
            USER_SOURCE: file("b", mode=0o600, on=TRIXIE),
            SOURCE: gone(),
            PREFERENCES: file("c", FileKind.PREFERENCES, on=TRIXIE),
            KEY: file("d", FileKind.KEY, on=TRIXIE),
        },
    )
    assert list(wishes(manifest)) == [
        Wish("architecture", "arm64", "removed"),
        Wish("architecture", "i386", "added"),
        Wish("key", KEY, "kept (mode 0644, sha256 dddddddddddd)"),
        Wish("preferences", PREFERENCES, "kept (mode 0644, sha256 cccccccccccc)"),
        Wish("file", SOURCE, "deleted"),
        Wish("source", USER_SOURCE, "kept (mode 0600, sha256 bbbbbbbbbbbb)"),
        Wish("package", "cowsay", "install 3, manual"),
        Wish("package", "vim", "hold"),
    ]


def test_what_was_added_changed_and_dropped() -> None:
    old = Manifest(
        {"cowsay": wish(INSTALL, "1", auto=False), "vim": wish(HOLD, image="1")}, {"i386": True}
    )
    new = Manifest(
        {"cowsay": wish(INSTALL, "2", auto=False), "redis": wish(INSTALL, "7", auto=True)}
    )
    assert differences(old, new) == [
        Difference("architecture", "i386", "added", None),
        Difference("package", "cowsay", "install 1, manual", "install 2, manual"),
        Difference("package", "redis", None, "install 7, automatic"),
        Difference("package", "vim", "hold", None),
    ]


def test_where_it_was_recorded_is_no_difference() -> None:
    one = Manifest({"vim": wish(HOLD, image="1")}, files={SOURCE: gone()})
    other = Manifest({"vim": wish(HOLD, image="2", on=BOOKWORM)}, files={SOURCE: gone(BOOKWORM)})
    assert differences(one, other) == []


def test_a_kept_file_that_is_deleted_instead_is_one_difference() -> None:
    old = Manifest(files={SOURCE: file("a", on=TRIXIE)})
    new = Manifest(files={SOURCE: gone()})
    (difference,) = differences(old, new)
    assert difference.name == SOURCE
    assert difference.old == "kept (mode 0644, sha256 aaaaaaaaaaaa)"
    assert difference.new == "deleted"


@given(strategies.manifests())
def test_a_manifest_does_not_differ_from_itself(manifest: Manifest) -> None:
    assert differences(manifest, manifest) == []


@given(strategies.manifests(), strategies.manifests())
def test_the_way_back_is_the_same_turned_round(one: Manifest, other: Manifest) -> None:
    there, back = differences(one, other), differences(other, one)
    assert {(d.name, d.old, d.new) for d in there} == {(d.name, d.new, d.old) for d in back}


@given(strategies.manifests(), strategies.manifests())
def test_each_difference_is_one(one: Manifest, other: Manifest) -> None:
    found = differences(one, other)
    assert all(difference.old != difference.new for difference in found)
    packages = [d.name for d in found if d.kind == "package"]
    paths = [d.name for d in found if d.name.startswith("/")]
    assert len(packages) == len(set(packages))
    assert len(paths) == len(set(paths))


@given(strategies.manifests())
def test_every_entry_is_a_wish(manifest: Manifest) -> None:
    names = {wish.name for wish in wishes(manifest)}
    assert names == {*manifest.packages, *manifest.architectures, *manifest.files}


NODES = {
    "/opt/d": Node(NodeKind.DIRECTORY, 0o2750, "root", "adm"),
    "/opt/f": Node(NodeKind.FILE, 0o4755, "root", "root", "ab" * 32, None, "01", 2048),
    "/opt/g": Node(NodeKind.GONE),
    "/opt/l": Node(NodeKind.LINK, 0, "4711", "root", target="a\nb"),
}


def test_kept_paths_in_words() -> None:
    assert list(wishes(Manifest(), NODES)) == [
        Wish("kept-path", "/opt/d", "directory (mode 2750, root:adm)"),
        Wish(
            "kept-path",
            "/opt/f",
            "file (mode 4755, root:root, 2.0 kB, sha256 abababababab, with capabilities)",
        ),
        Wish("kept-path", "/opt/g", "deleted"),
        Wish("kept-path", "/opt/l", "link to a\nb (4711:root)"),
    ]


def test_differences_of_kept_paths() -> None:
    old = {path: node for path, node in NODES.items() if path != "/opt/l"}
    new = {**NODES, "/opt/f": NODES["/opt/g"]}
    del new["/opt/g"]
    found = differences(Manifest(), Manifest(), old, new)
    assert [(e.name, e.old is None, e.new is None) for e in found] == [
        ("/opt/f", False, False),
        ("/opt/g", False, True),
        ("/opt/l", True, False),
    ]
    assert differences(Manifest(), Manifest(), NODES, NODES) == []


def test_a_kept_path_that_is_a_source_as_well_is_two_things() -> None:
    source = Manifest(files={SOURCE: file()})
    found = differences(source, source, {}, {SOURCE: NODES["/opt/f"]})
    assert [(e.kind, e.name, e.old) for e in found] == [("kept-path", SOURCE, None)]

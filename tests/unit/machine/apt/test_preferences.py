"""The pins of one run: the user's own, and before them what must not move."""

from __future__ import annotations

import os

from aptkeep.machine.apt import preferences
from unit.machine.fake_root import FakeRoot


def written(root: FakeRoot, versions: dict[str, str]) -> dict[str, str]:
    """The files of the directory, in the order in which apt reads them."""
    directory = root.path / "pins"
    directory.mkdir()
    preferences.write(str(directory), root.paths, versions, "amd64")
    return {
        name: (directory / name).read_text(encoding="utf-8")
        for name in sorted(os.listdir(directory))
    }


def test_each_package_is_pinned_to_its_version_above_everything(root: FakeRoot) -> None:
    pins = written(root, {"vim": "2:9.1-1~x+b1", "libc6:i386": "2.41"})
    assert pins == {
        "00aptkeep": (
            "Package: libc6:i386\nPin: version 2.41\nPin-Priority: 1001\n\n"
            "Package: vim:amd64\nPin: version 2:9.1-1~x+b1\nPin-Priority: 1001\n\n"
        )
    }


def test_the_users_own_pins_come_after(root: FakeRoot) -> None:
    root.write("etc/apt/preferences", "main")
    root.write("etc/apt/preferences.d/99pins", "99")
    root.write("etc/apt/preferences.d/a.pref", "a")
    root.write("etc/apt/preferences.d/b.pref.disabled", "b")
    (root.path / "etc/apt/preferences.d/directory").mkdir()
    pins = written(root, {"vim": "1"})
    first, *others = pins
    assert first == "00aptkeep"
    assert [pins[name] for name in others[:3]] == ["main", "99", "a"]
    assert all(name.endswith(".disabled") for name in others[3:])  # and apt ignores that


def test_no_name_of_the_users_comes_before_ours(root: FakeRoot) -> None:
    for name in ("00", "-first", "0000.pref"):
        root.write(f"etc/apt/preferences.d/{name}", name)
    assert next(iter(written(root, {"vim": "1"}))) == "00aptkeep"


def test_a_root_without_pins(root: FakeRoot) -> None:
    assert written(root, {}) == {"00aptkeep": ""}


def test_what_is_staged_is_pinned_before_the_same_version_elsewhere(root: FakeRoot) -> None:
    directory = root.path / "pins"
    directory.mkdir()
    versions = {"vim": "1", "nano": "2"}
    preferences.write(str(directory), root.paths, versions, "amd64", staged={"vim", "absent"})
    assert (directory / "00aptkeep").read_text(encoding="ascii") == (
        "Package: nano:amd64\nPin: version 2\nPin-Priority: 1001\n\n"
        "Package: vim:amd64\nPin: release o=aptkeep\nPin-Priority: 1002\n\n"
        "Package: vim:amd64\nPin: version 1\nPin-Priority: 1001\n\n"
    )

"""Local files of what the image has, of a foreign architecture, on hold; removed again."""

from __future__ import annotations

from cycle.conftest import MakeImage
from cycle.keeping import (
    aptkeep,
    document,
    installed,
    next_boot,
    on_hold,
    pending,
    put_deb,
    said,
    start,
    wishes,
)
from cycle.pool.stock import Local, has, make_debs, pooled, settle
from testbed.fixtures import MakeWorkstation
from testbed.packages import TinyPackage

UP, DOWN = TinyPackage("up"), TinyPackage("down", "2.0")
FOREIGN = TinyPackage("foreign", architecture="i386")
BOTH = [
    TinyPackage("both", architecture=architecture, fields={"Multi-Arch": "same"})
    for architecture in ("amd64", "i386")
]


def test_local_versions_of_what_the_image_has(
    make_workstation: MakeWorkstation, make_image: MakeImage
) -> None:
    machine = make_workstation(make_image(UP, DOWN)).boot()
    start(machine)
    machine.run("dpkg", "--add-architecture", "i386")
    mine = (UP.at("2.0"), DOWN.at("1.0"), FOREIGN, *BOTH, TinyPackage("held"))
    assert said(machine.run("dpkg", "-i", *(put_deb(machine, each) for each in mine))) == []
    machine.run("apt-mark", "hold", "held")
    make_debs(machine, Local("gone"))
    machine.run("dpkg", "-i", Local("gone").path)
    machine.run("dpkg", "-P", "gone")
    aptkeep(machine, "record")
    settle(machine)
    expected = {
        "up": "2.0",
        "down": "1.0",
        "foreign:i386": "1.0",
        "both:amd64": "1.0",
        "both:i386": "1.0",
        "held": "1.0",
    }
    assert has(machine, expected)
    assert {name: wish["deb"] for name, wish in wishes(machine).items()} == dict.fromkeys(
        (name.removesuffix(":amd64") for name in expected), "local"
    )
    result = next_boot(machine, network=False)
    assert "note" not in result.output
    assert has(machine, expected)
    assert on_hold(machine) == {"held"}
    assert pending(machine) == {}
    assert "gone" not in installed(machine)
    assert pooled(machine)["gone"] == "1.0"  # an older generation wants it
    assert document(machine, "gc", "--dry-run")["freed"] == 0


def test_same_version_as_the_image_has(
    make_workstation: MakeWorkstation, make_image: MakeImage
) -> None:
    """With other content: what a version is can't be told from another one, so it's said."""
    machine = make_workstation(make_image(TinyPackage("tool"))).boot()
    start(machine)
    mine = Local("tool", content="my own")
    make_debs(machine, mine)
    (line,) = said(machine.run("dpkg", "-i", mine.path))
    assert "tool" in line
    assert "image" in line
    settle(machine)
    next_boot(machine, network=False)
    assert installed(machine)["tool"] == "1.0"
    assert "tool" not in wishes(machine)

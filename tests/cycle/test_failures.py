"""What can't be restored costs itself only, is named with its reason, and stays wanted."""

from __future__ import annotations

from cycle.conftest import MakeImage
from cycle.keeping import (
    add_source,
    install,
    installed,
    newest,
    next_boot,
    on_hold,
    pending,
    put_deb,
    start,
    wishes,
)
from testbed.fixtures import MakeWorkstation
from testbed.images import Image
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

FIRST, LAST = TinyPackage("aaa-first", depends="zzz-last"), TinyPackage("zzz-last")
# A script that fails on images with the file in its name.
BROKEN = TinyPackage("broken", scripts={"postinst": "[ ! -e /etc/fail-postinst ]"})
STUBBORN = TinyPackage("stubborn", scripts={"preinst": "[ ! -e /etc/fail-preinst ]"})
NEEDS_BROKEN = TinyPackage("needs-broken", depends="broken")
NEW = TinyPackage("new")


def used(machine: Workstation, repository: Repository, *packages: TinyPackage) -> Workstation:
    repository.publish(FIRST, LAST, *packages)
    start(machine)
    add_source(machine, repository)
    install(machine, "aaa-first", *(package.name for package in packages))
    return machine


def assert_apt_works(machine: Workstation) -> None:
    assert machine.run("dpkg", "--audit").stdout == ""
    machine.run("apt-get", "check", "-q")
    machine.run("apt-get", "install", "-qy", put_deb(machine, NEW))
    assert "new" in installed(machine)
    machine.run("dpkg", "-P", "new")


def test_failing_postinst_costs_its_own_package(
    make_workstation: MakeWorkstation,
    make_image: MakeImage,
    local_image: Image,
    repository: Repository,
) -> None:
    machine = used(
        make_workstation(local_image).boot(), repository, BROKEN, STUBBORN, NEEDS_BROKEN
    )
    before, recorded = installed(machine), newest(machine)
    failing = make_image(files={"/etc/fail-postinst": b"", "/etc/fail-preinst": b""})
    result = next_boot(machine, image=failing, code=1)
    assert {"aaa-first", "zzz-last"} <= installed(machine).keys()
    reasons = pending(machine)
    assert reasons.keys() == {"broken", "stubborn", "needs-broken"}
    assert "postinst" in reasons["broken"] or "post-installation" in reasons["broken"]
    assert "preinst" in reasons["stubborn"] or "pre-installation" in reasons["stubborn"]
    assert "broken" in reasons["needs-broken"]
    assert "generation 2 is restored, but for 3 pending" in result.stdout
    assert_apt_works(machine)
    # They stay wanted, and come once their scripts succeed: on the same root or the next.
    assert wishes(machine).keys() == recorded["packages"].keys()
    machine.run("rm", "/etc/fail-preinst")
    start(machine, code=1)
    assert pending(machine).keys() == {"broken", "needs-broken"}
    next_boot(machine, image=local_image)
    assert installed(machine) == before


def test_dependency_conflict_costs_only_that_package(
    make_workstation: MakeWorkstation,
    make_image: MakeImage,
    local_image: Image,
    repository: Repository,
) -> None:
    rival, orphan = TinyPackage("rival"), TinyPackage("orphan", depends="aaa-first")
    machine = used(make_workstation(local_image).boot(), repository, rival, orphan)
    recorded = newest(machine)
    # The new image has what `rival` can't live with, and what `orphan` needs is gone.
    image = make_image(TinyPackage("blocker", conflicts="rival"))
    repository.publish(
        *(FIRST, LAST, rival), TinyPackage("orphan", "1.0", depends="aaa-first, vanished (>= 2)")
    )
    next_boot(machine, image=image, code=1)
    assert {"aaa-first", "zzz-last", "blocker"} <= installed(machine).keys()
    reasons = pending(machine)
    assert reasons.keys() == {"rival", "orphan"}
    assert "blocker" in reasons["rival"]
    assert "vanished (>= 2)" in reasons["orphan"]
    assert newest(machine) == recorded
    assert_apt_works(machine)


def test_held_package_of_the_image_is_not_upgraded_for_it(
    make_workstation: MakeWorkstation,
    make_image: MakeImage,
    repository: Repository,
) -> None:
    library, tool = TinyPackage("library"), TinyPackage("tool", depends="library")
    machine = make_workstation(make_image(library, commands=[["apt-mark", "hold", "library"]]))
    used(machine.boot(), repository, tool)
    newer = TinyPackage("tool", "2.0", depends="library (>= 2.0)")
    repository.publish(FIRST, LAST, library.at("2.0"), newer)
    next_boot(machine, code=1)
    assert installed(machine)["library"] == "1.0"
    assert "library" in on_hold(machine)
    assert "aaa-first" in installed(machine)
    reasons = pending(machine)
    assert reasons.keys() == {"tool"}
    assert "library (>= 2.0)" in reasons["tool"]
    # The user lets go of it, and the next start brings both.
    machine.run("apt-mark", "unhold", "library")
    start(machine)
    assert installed(machine)["tool"] == "2.0"
    assert installed(machine)["library"] == "2.0"


def test_two_wanted_packages_that_conflict_by_now(
    machine: Workstation, repository: Repository
) -> None:
    one, other = TinyPackage("one"), TinyPackage("other")
    used(machine, repository, one, other)
    repository.publish(
        FIRST, LAST, TinyPackage("one", "2.0", conflicts="other"), other.at("2.0")
    )
    next_boot(machine, code=1)
    came = {"one", "other"} & installed(machine).keys()
    assert len(came) == 1
    (left,) = {"one", "other"} - came
    reasons = pending(machine)
    assert reasons.keys() == {left}
    assert "conflict" in reasons[left]
    assert came.pop() in reasons[left]
    assert {"aaa-first", "zzz-last"} <= installed(machine).keys()
    assert wishes(machine).keys() == {"one", "other", "aaa-first", "zzz-last"}


def test_nothing_of_the_image_is_removed_for_a_wish(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    """apt would rather remove `precious` than leave out what was asked for."""
    greedy = TinyPackage("greedy")
    machine = make_workstation(make_image(TinyPackage("plain"))).boot()
    used(machine, repository, greedy)
    repository.publish(FIRST, LAST, greedy.at("2.0"))
    machine.stop()
    repository.publish(FIRST, LAST, TinyPackage("greedy", "2.0", conflicts="precious"))
    next_boot(machine, image=make_image(TinyPackage("precious")), code=1)
    assert "precious" in installed(machine)
    assert pending(machine).keys() == {"greedy"}
    assert "precious" in pending(machine)["greedy"]


def test_package_of_the_image_that_others_need_now_stays(
    make_workstation: MakeWorkstation, make_image: MakeImage
) -> None:
    """The user removed it; on the new image something of the image needs it."""
    tool = TinyPackage("tool")
    machine = make_workstation(make_image(tool)).boot()
    start(machine)
    machine.run("apt-get", "purge", "-qy", "tool")
    image = make_image(tool.at("2.0"), TinyPackage("needs-tool", depends="tool"))
    next_boot(machine, image=image, code=1)
    assert {"tool", "needs-tool"} <= installed(machine).keys()
    assert pending(machine).keys() == {"tool"}
    assert "needs-tool" in pending(machine)["tool"]


def test_failing_removal_costs_only_that_removal(
    make_workstation: MakeWorkstation, make_image: MakeImage, repository: Repository
) -> None:
    clinging = TinyPackage("clinging", scripts={"prerm": "[ ! -e /etc/fail-prerm ]"})
    machine = make_workstation(make_image(clinging)).boot()
    used(machine, repository)
    machine.run("apt-get", "purge", "-qy", "clinging")
    image = make_image(clinging, files={"/etc/fail-prerm": b""})
    next_boot(machine, image=image, code=1)
    assert {"aaa-first", "zzz-last"} <= installed(machine).keys()
    assert pending(machine).keys() == {"clinging"}
    assert "prerm" in pending(machine)["clinging"] or "pre-removal" in pending(machine)["clinging"]
    assert_apt_works(machine)
    assert wishes(machine)["clinging"]["selection"] == "purge"


def test_conffile_that_the_new_image_has_already_is_left_as_it_is(
    make_workstation: MakeWorkstation,
    make_image: MakeImage,
    local_image: Image,
    repository: Repository,
) -> None:
    """No question is asked, and the file that is there stays."""
    talker = TinyPackage("talker", conffiles={"/etc/talker.conf": "of the package\n"})
    machine = used(make_workstation(local_image).boot(), repository, talker)
    image = make_image(files={"/etc/talker.conf": b"of the image\n"})
    next_boot(machine, image=image)
    assert machine.read_text("/etc/talker.conf") == "of the image\n"
    assert "talker" in installed(machine)

"""What can't be restored costs itself only, is named with its reason, and stays wanted."""

from __future__ import annotations

import pytest

from cycle.conftest import MakeImage, Prepare
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


RIVAL, ORPHAN, ONE, OTHER, GREEDY = (
    TinyPackage(name) for name in ("rival", "orphan", "one", "other", "greedy")
)
TALKER = TinyPackage("talker", conffiles={"/etc/talker.conf": "of the package\n"})


@pytest.fixture
def used(prepare: Prepare) -> Workstation:
    """There is a good deal to install; aaa-first and zzz-last are."""
    return prepare(
        *(FIRST, LAST, BROKEN, STUBBORN, NEEDS_BROKEN, RIVAL, ORPHAN, ONE, OTHER, GREEDY, TALKER),
        commands=["apt-get install -qy aaa-first"],
    )


def assert_apt_works(machine: Workstation) -> None:
    assert machine.run("dpkg", "--audit").stdout == ""
    machine.run("apt-get", "check", "-q")
    machine.run("apt-get", "install", "-qy", put_deb(machine, NEW))
    assert "new" in installed(machine)
    machine.run("dpkg", "-P", "new")


def test_failing_postinst_costs_its_own_package(
    used: Workstation, make_image: MakeImage, local_image: Image
) -> None:
    install(used, "broken", "stubborn", "needs-broken")
    before, recorded = installed(used), newest(used)
    failing = make_image(files={"/etc/fail-postinst": b"", "/etc/fail-preinst": b""})
    result = next_boot(used, image=failing, code=1)
    assert {"aaa-first", "zzz-last"} <= installed(used).keys()
    reasons = pending(used)
    assert reasons.keys() == {"broken", "stubborn", "needs-broken"}
    assert "postinst" in reasons["broken"] or "post-installation" in reasons["broken"]
    assert "preinst" in reasons["stubborn"] or "pre-installation" in reasons["stubborn"]
    assert "broken" in reasons["needs-broken"]
    assert "is restored, but for 3 pending" in result.stdout
    assert_apt_works(used)
    # They stay wanted, and come once their scripts succeed: on the same root or the next.
    assert wishes(used).keys() == recorded["packages"].keys()
    used.run("rm", "/etc/fail-preinst")
    start(used, code=1)
    assert pending(used).keys() == {"broken", "needs-broken"}
    next_boot(used, image=local_image)
    assert installed(used) == before


def test_package_that_failed_while_the_user_installed_it(
    prepare: Prepare, make_image: MakeImage
) -> None:
    """It's wanted; it's tried again at every start, and costs nothing else."""
    sick = TinyPackage("sick", scripts={"postinst": "[ -e /etc/mended ]"})
    machine = prepare(sick, NEW)
    machine.run("apt-get", "install", "-qy", "sick", "new", check=False)
    assert wishes(machine).keys() == {"sick", "new"}
    next_boot(machine, code=1)
    assert "new" in installed(machine)
    assert pending(machine).keys() == {"sick"}
    assert machine.run("dpkg", "--audit").stdout == ""
    machine.write("/etc/mended", "")
    start(machine)
    assert "sick" in installed(machine)


def test_no_room_on_the_root_costs_only_what_does_not_fit(prepare: Prepare) -> None:
    big = TinyPackage("big", files={"/opt/small/big": "x" * 200_000})
    command = "apt-get install -qy big aaa-first"
    machine = prepare(big, FIRST, LAST, commands=[command], fresh=True)
    machine.sh("mkdir -p /opt/small; mount -t tmpfs -o size=16k tmpfs /opt/small")
    start(machine, code=1)
    assert {"aaa-first", "zzz-last"} <= installed(machine).keys()
    assert pending(machine).keys() == {"big"}
    assert "No space left on device" in pending(machine)["big"]
    assert_apt_works(machine)
    machine.run("umount", "/opt/small")
    start(machine)
    assert "big" in installed(machine)


def test_dependency_conflict_costs_only_that_package(
    used: Workstation, make_image: MakeImage, repository: Repository
) -> None:
    install(used, "rival", "orphan")
    recorded = newest(used)
    # The new image has what `rival` can't live with, and what `orphan` needs is gone.
    image = make_image(TinyPackage("blocker", conflicts="rival"))
    orphan = TinyPackage("orphan", depends="aaa-first, vanished (>= 2)")
    repository.publish(FIRST, LAST, RIVAL, orphan)
    next_boot(used, image=image, code=1)
    assert {"aaa-first", "zzz-last", "blocker"} <= installed(used).keys()
    reasons = pending(used)
    assert reasons.keys() == {"rival", "orphan"}
    assert "blocker" in reasons["rival"]
    assert "vanished (>= 2)" in reasons["orphan"]
    assert newest(used) == recorded
    assert_apt_works(used)


def test_held_package_of_the_image_is_not_upgraded_for_it(
    make_workstation: MakeWorkstation,
    make_image: MakeImage,
    repository: Repository,
) -> None:
    library, tool = TinyPackage("library"), TinyPackage("tool", depends="library")
    machine = make_workstation(make_image(library, commands=[["apt-mark", "hold", "library"]]))
    start(machine.boot())
    repository.publish(FIRST, LAST, tool)
    add_source(machine, repository)
    install(machine, "aaa-first", "tool")
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
    used: Workstation, repository: Repository
) -> None:
    install(used, "one", "other")
    one = TinyPackage("one", "2.0", conflicts="other")
    repository.publish(FIRST, LAST, one, OTHER.at("2.0"))
    next_boot(used, code=1)
    came = {"one", "other"} & installed(used).keys()
    assert len(came) == 1
    (left,) = {"one", "other"} - came
    reasons = pending(used)
    assert reasons.keys() == {left}
    assert "conflict" in reasons[left]
    assert came.pop() in reasons[left]
    assert {"aaa-first", "zzz-last"} <= installed(used).keys()
    assert wishes(used).keys() == {"one", "other", "aaa-first", "zzz-last"}


def test_nothing_of_the_image_is_removed_for_a_wish(
    used: Workstation, make_image: MakeImage, repository: Repository
) -> None:
    """apt would rather remove `precious` than leave out what was asked for."""
    install(used, "greedy")
    repository.publish(FIRST, LAST, TinyPackage("greedy", "2.0", conflicts="precious"))
    next_boot(used, image=make_image(TinyPackage("precious")), code=1)
    assert "precious" in installed(used)
    assert pending(used).keys() == {"greedy"}
    assert "precious" in pending(used)["greedy"]


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
    start(machine)
    repository.publish(FIRST, LAST)
    add_source(machine, repository)
    install(machine, "aaa-first")
    machine.run("apt-get", "purge", "-qy", "clinging")
    image = make_image(clinging, files={"/etc/fail-prerm": b""})
    next_boot(machine, image=image, code=1)
    assert {"aaa-first", "zzz-last"} <= installed(machine).keys()
    assert pending(machine).keys() == {"clinging"}
    assert "prerm" in pending(machine)["clinging"] or "pre-removal" in pending(machine)["clinging"]
    assert_apt_works(machine)
    assert wishes(machine)["clinging"]["selection"] == "purge"


def test_conffile_that_the_new_image_has_already_is_left_as_it_is(
    used: Workstation, make_image: MakeImage
) -> None:
    """No question is asked, and the file that is there stays."""
    install(used, "talker")
    image = make_image(files={"/etc/talker.conf": b"of the image\n"})
    next_boot(used, image=image)
    assert used.read_text("/etc/talker.conf") == "of the image\n"
    assert "talker" in installed(used)

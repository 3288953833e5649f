"""Nothing is wanted: a start costs nothing."""

from __future__ import annotations

import pytest

from cycle.keeping import aptkeep, installed, newest, put_deb, replaced, start, store, wishes
from testbed.fixtures import MakeWorkstation
from testbed.images import Image
from testbed.packages import TinyPackage
from testbed.workstation import Workstation

# Whatever changes packages or could reach the network in their name.
RECORDED = (
    *("apt", "apt-get", "apt-cache", "apt-mark", "apt-config"),
    *("dpkg", "dpkg-query", "dpkg-deb", "dpkg-divert"),
)


@pytest.mark.parametrize("store_is", ["not there", "there and wants nothing"])
def test_start_uses_no_network_and_runs_neither_apt_nor_dpkg(
    make_workstation: MakeWorkstation, local_image: Image, store_is: str
) -> None:
    machine: Workstation = make_workstation(local_image).boot()
    if store_is != "not there":
        start(machine)
        machine.run("dpkg", "-i", put_deb(machine, TinyPackage("alpha")))
        machine.run("dpkg", "-P", "alpha")
        assert wishes(machine) == {}
        assert newest(machine)["generation"] == 2
    machine.stop()

    machine.boot(network=False)
    before = installed(machine)
    with replaced(machine, RECORDED) as called:
        assert start(machine).output == ""
        assert called.read_text() == ""
        assert start(machine).output == ""
        assert aptkeep(machine, "status").stdout.splitlines()[2:] == [
            "wanted      nothing",
            "present     0 of 0",
        ]
        assert called.read_text() == ""
    assert installed(machine) == before
    assert store(machine).exists() == (store_is != "not there")
    machine.run("dpkg", "--audit")


def test_start_with_a_root_that_matches_runs_nothing_either(machine: Workstation) -> None:
    machine.run("dpkg", "-i", put_deb(machine, TinyPackage("alpha")))
    machine.reboot(network=False)
    with replaced(machine, RECORDED) as called:
        assert start(machine).output == ""
        assert called.read_text() == ""

"""What nobody has a .deb of is rebuilt by dpkg-repack, and the manifest says so."""

from __future__ import annotations

from cycle.keeping import (
    add_source,
    aptkeep,
    install,
    installed,
    next_boot,
    pending,
    said,
    start,
    update,
    wishes,
)
from cycle.pool.stock import ALPHA, BETA, GAMMA, Local, has, make_debs, origins, pooled, settle
from testbed.fixtures import MakeWorkstation
from testbed.images import Image
from testbed.repository import Repository
from testbed.workstation import Workstation

KEEP = "/etc/apt/apt.conf.d/90keep"
UNSEEN, OTHER = Local("unseen", content="of my own"), Local("other")


def use(machine: Workstation, repository: Repository) -> None:
    """Three packages whose files nobody saw: a local one, one offered no more, one moved on."""
    repository.publish(ALPHA, BETA, GAMMA)
    add_source(machine, repository)
    make_debs(machine, UNSEEN)
    machine.write(KEEP, 'Aptkeep::Pool::Keep "none";\n')
    machine.run("dpkg", "-i", UNSEEN.path)
    install(machine, "alpha", "gamma")
    repository.publish(ALPHA.at("2.0"), BETA)
    machine.run("rm", KEEP, UNSEEN.path)
    update(machine)
    settle(machine)


def test_rebuilt_by_dpkg_repack(
    make_workstation: MakeWorkstation, repacking_image: Image, repository: Repository
) -> None:
    """Not what is still offered in another version: that comes instead."""
    machine = make_workstation(repacking_image).boot()
    start(machine)
    use(machine, repository)
    aptkeep(machine, "record")
    rebuilt = {"gamma": "rebuilt", "unseen": "rebuilt"}
    assert origins(machine) == rebuilt
    assert {n: wish["deb"] for n, wish in wishes(machine).items() if "deb" in wish} == rebuilt
    files = "/usr/share/gamma /usr/share/unseen"
    before = machine.sh(f"sha256sum {files}; stat -c '%n %a %U:%G' {files}").stdout
    next_boot(machine)
    assert has(machine, {"alpha": "2.0", "beta": "1.0", "gamma": "1.0", "unseen": "1.0"})
    assert machine.sh(f"sha256sum {files}; stat -c '%n %a %U:%G' {files}").stdout == before
    # The file itself takes the place of the rebuild.
    make_debs(machine, UNSEEN)
    machine.run("dpkg", "-i", UNSEEN.path)
    settle(machine)
    assert origins(machine)["unseen"] == wishes(machine)["unseen"]["deb"] == "local"
    assert pooled(machine)["unseen"] == "1.0"


def test_without_dpkg_repack_it_is_said(machine: Workstation, repository: Repository) -> None:
    """The hooks say it once; afterwards it's pending."""
    use(machine, repository)
    make_debs(machine, OTHER)
    heard = []
    for _ in range(5):
        heard += said(machine.run("dpkg", "-i", OTHER.path))
        settle(machine)
    assert len(heard) == 2
    for name in ("gamma", "unseen"):
        assert [line for line in heard if f" {name} " in line and "dpkg-repack" in line]
    result = next_boot(machine, code=1)
    assert "unseen" in result.stderr
    assert pending(machine).keys() == {"gamma", "unseen"}
    assert installed(machine)["alpha"] == "2.0"

"""Carrying a solution out with dselect-upgrade, and seeing what came of it."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from machine.probe import ask
from testbed.fixtures import MakeRepository
from testbed.packages import TinyPackage
from testbed.repository import Repository
from testbed.workstation import Workstation

_CARRY_OUT = """\
from aptkeep.machine.apt.archive import Archive, Wanted
from aptkeep.machine.transaction import Transaction

class Reporter:
    steps, percents, texts = [], [], []
    def step(self, text): self.steps.append(text)
    def progress(self, percent, text): self.percents.append(percent); self.texts.append(text)

reporter = Reporter()
transaction = Transaction(configuration, reporter)
if given.get("update"):
    transaction.update_lists()
archive = Archive(configuration.architecture)
solution = archive.solve([Wanted(*each) for each in given["wanted"]])
transaction.carry_out(archive, solution)
answer = {
    "rejected": solution.rejected,
    "reasons": transaction.reasons,
    "unfetched": sorted(transaction.unfetched),
    "repositories": [str(each) for each in transaction.failed_repositories],
    "steps": reporter.steps,
    "percents": reporter.percents,
    "texts": reporter.texts,
}
"""


def carry_out(machine: Workstation, *wanted: tuple[Any, ...], **given: bool) -> dict[str, Any]:
    found: dict[str, Any] = ask(machine, _CARRY_OUT, wanted=wanted, **given)
    return found


def installed(machine: Workstation) -> dict[str, str]:
    form = "${db:Status-Status}\t${binary:Package}\t${Version}\n"
    lines = [line.split("\t") for line in machine.run("dpkg-query", "-W", "-f", form).lines]
    return {name: version for status, name, version in lines if status == "installed"}


def test_installs_removes_and_moves_nothing_else(machine: Workstation) -> None:
    before = installed(machine)
    found = carry_out(
        machine,
        *(("many", "2.0"), ("chain1", "1.0"), ("foreign:i386", "1.0")),
        *(("loose", None, True), ("essence", None, False)),
    )
    assert found["reasons"] == {}
    after = installed(machine)
    assert after.items() - before.items() == {
        *(("many", "2.0"), ("chain1", "1.0"), ("chain2", "1.0"), ("chain3", "1.0")),
        ("foreign:i386", "1.0"),
    }
    assert before.keys() - after.keys() == {"loose", "essence"}
    assert machine.exists("/etc/essence.conf")
    assert not machine.exists("/etc/loose.conf")
    assert found["steps"] == ["Installing 5 packages and removing 2 packages"]
    assert max(found["percents"]) > 50
    assert any("many" in text for text in found["texts"])
    # Of the means nothing is left: no pins, no selections, no available.
    assert machine.run("ls", "/var/lib/aptkeep").stdout == ""
    assert not machine.exists("/var/lib/dpkg/available")
    assert "3 upgraded" in machine.run("apt-get", "-s", "upgrade").stdout


def test_forced_dependency_is_upgraded_alone(machine: Workstation) -> None:
    carry_out(machine, ("needs-new-lib", "1.0"))
    assert installed(machine)["lib"] == "2.0"
    assert installed(machine)["held"] == "1.0"


_FROM_THE_CACHE = """\
from aptkeep.machine.apt.archive import Archive, Wanted
from aptkeep.machine.apt.staging import Staging
from aptkeep.machine.transaction import Transaction
from aptkeep.supply import stage_listed

class Reporter:
    def step(self, text): pass
    def progress(self, percent, text): pass

wanted = [(name, "1.0") for name in given["names"]]
with Staging(configuration.paths) as staging:
    native = configuration.architecture
    stage_listed(Archive(native), staging, wanted, configuration.paths.archives)
    transaction = Transaction(configuration, Reporter(), staging.alone(), staging.versions)
    archive = Archive(native, sources=transaction.sources)
    solution = archive.solve([Wanted(*each) for each in wanted])
    transaction.carry_out(archive, solution)
answer = {"rejected": solution.rejected, "reasons": transaction.reasons}
"""


def test_what_apt_has_in_its_cache_comes_without_any_repository(
    machine: Workstation, shelf: Repository
) -> None:
    """One of them was replaced by a file of the same size, which apt itself would take."""
    machine.run("apt-get", "install", "-qy", "--download-only", "plain", "many=1.0")
    machine.sh("cd /var/cache/apt/archives && tr a b <many_1.0_all.deb >x && mv x many_1.0_all.deb")
    asked = len(shelf.requests)
    found = ask(machine, _FROM_THE_CACHE, names=["plain", "many", "chain3"])
    assert "plain" in installed(machine)
    assert found["reasons"] == {}
    assert found["rejected"].keys() == {"many", "chain3"}
    assert len(shelf.requests) == asked
    assert machine.run("ls", "/var/lib/aptkeep").stdout == ""


def test_marks(machine: Workstation) -> None:
    script = """
        from aptkeep.machine.transaction import Transaction
        Transaction(configuration, None).set_marks(given["marks"])
        answer = None
    """
    machine.run("apt-mark", "auto", "lib")
    marks = {"lib": False, "loose": True, "exim": True}
    ask(machine, textwrap.dedent(script), marks=marks)
    automatic = machine.run("apt-mark", "showauto").lines
    assert {"loose", "exim"} <= set(automatic)
    assert "lib" not in automatic


# -- what goes wrong --------------------------------------------------------------------------

BROKEN = {
    "postinst": TinyPackage("broken", scripts={"postinst": "exit 7"}),
    "preinst": TinyPackage("broken", scripts={"preinst": "exit 7"}),
    "a file of another package": TinyPackage("broken", files={"/etc/loose.conf": "mine\n"}),
}
WAITS = TinyPackage("waits", depends="broken")
FINE = TinyPackage("fine", depends="fine-lib")


@pytest.mark.parametrize("broken", BROKEN)
def test_package_that_fails_costs_itself_and_those_that_need_it(
    machine: Workstation, make_repository: MakeRepository, broken: str
) -> None:
    repository = make_repository("more")
    repository.publish(BROKEN[broken], WAITS, FINE, TinyPackage("fine-lib"))
    repository.install_source(machine, "more")
    wanted = [(name, "1.0") for name in ("broken", "waits", "fine", "fine-lib")]
    found = carry_out(machine, *wanted, update=True)
    after = installed(machine)
    assert {"fine", "fine-lib"} <= after.keys()
    assert not {"broken", "waits"} & after.keys()
    assert found["reasons"].keys() >= {"broken", "waits"}
    assert "broken" in found["reasons"]["waits"]
    assert machine.run("dpkg", "--audit").stdout == ""
    assert "broken" not in machine.run("dpkg", "--get-selections").stdout
    machine.run("apt-get", "install", "-qy", "plain")


def test_archive_that_can_not_be_fetched(
    machine: Workstation, make_repository: MakeRepository
) -> None:
    repository = make_repository("more")
    repository.publish(TinyPackage("lost"), TinyPackage("gone"), FINE, TinyPackage("fine-lib"))
    repository.install_source(machine, "more")
    machine.run("apt-get", "update", "-q")
    repository.failures["lost_1.0_all.deb"] = 404
    found = carry_out(machine, ("lost", "1.0"), ("fine", "1.0"))
    assert found["unfetched"] == ["lost"]
    assert "404" in found["reasons"]["lost"]
    assert machine.run("dpkg", "--audit").stdout == ""


def test_archive_that_was_tampered_with(
    machine: Workstation, make_repository: MakeRepository
) -> None:
    repository = make_repository("more")
    repository.publish(TinyPackage("evil"))
    repository.install_source(machine, "more")
    machine.run("apt-get", "update", "-q")
    (deb,) = repository.served.glob("pool/**/*.deb")
    content = bytearray(deb.read_bytes())
    content[-1] ^= 1
    deb.write_bytes(content)
    found = carry_out(machine, ("evil", "1.0"))
    assert "evil" not in installed(machine)
    assert "Hash Sum mismatch" in found["reasons"]["evil"]


def test_interrupted_dpkg_is_finished(machine: Workstation) -> None:
    machine.run("apt-get", "install", "-qy", "--download-only", "chain1")
    machine.sh("dpkg --unpack /var/cache/apt/archives/chain*.deb")
    script = """
        from aptkeep.machine.transaction import Transaction
        class Reporter:
            def step(self, text): print(text)
        Transaction(configuration, Reporter()).finish_interrupted(())
        answer = None
    """
    assert "chain1" not in installed(machine)
    ask(machine, textwrap.dedent(script))
    assert {"chain1", "chain2", "chain3"} <= installed(machine).keys()


def test_scripts_are_asked_nothing_and_restart_nothing(
    machine: Workstation, make_repository: MakeRepository
) -> None:
    """They run with no terminal, no input, and the words that keep other tools quiet."""
    curious = TinyPackage(
        "curious",
        scripts={
            "postinst": "env > /srv/env; cat > /srv/input; umask > /srv/umask; pwd > /srv/cwd\n"
            "readlink /proc/self/fd/0 > /srv/stdin"
        },
    )
    repository = make_repository("more")
    repository.publish(curious)
    repository.install_source(machine, "more")
    carry_out(machine, ("curious", "1.0"), update=True)
    environment = dict(line.split("=", 1) for line in machine.read_text("/srv/env").splitlines())
    assert environment["DEBIAN_FRONTEND"] == "noninteractive"
    assert environment["NEEDRESTART_SUSPEND"] == "1"
    assert environment["UCF_FORCE_CONFFOLD"] == "1"
    assert environment["APT_LISTCHANGES_FRONTEND"] == "none"
    assert environment["HOME"] == "/root"
    assert environment["PATH"].endswith("/usr/bin:/sbin:/bin")
    assert machine.read_text("/srv/input") == ""
    assert machine.read_text("/srv/umask") == "0022\n"


def test_changed_conffile_is_kept(machine: Workstation, make_repository: MakeRepository) -> None:
    newer = TinyPackage("loose", "2.0", conffiles={"/etc/loose.conf": "new\n"})
    repository = make_repository("more")
    repository.publish(newer)
    repository.install_source(machine, "more")
    machine.write("/etc/loose.conf", "mine\n")
    carry_out(machine, ("loose", "2.0"), update=True)
    assert installed(machine)["loose"] == "2.0"
    assert machine.read_text("/etc/loose.conf") == "mine\n"


def test_repository_that_fails_is_named_and_the_others_go_on(
    machine: Workstation, make_repository: MakeRepository
) -> None:
    down = make_repository("down")
    down.install_source(machine, "down")
    down.down()
    found = carry_out(machine, ("plain", "1.0"), update=True)
    assert "plain" in installed(machine)
    (said,) = found["repositories"]
    assert said.startswith(f"{down.uri} down: ")

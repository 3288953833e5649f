"""What apt offers, and the largest part of what is wanted that goes together."""

from __future__ import annotations

from typing import Any

import pytest

from machine.probe import ask
from testbed.workstation import Workstation

_SOLVE = """\
from dataclasses import asdict
from aptkeep.machine.apt.archive import Archive, Wanted
archive = Archive(configuration.architecture, recommends=given["recommends"])
solution = archive.solve([Wanted(*each) for each in given["wanted"]])
answer = asdict(solution)
"""


def solve(
    machine: Workstation,
    *installs: tuple[str, str],
    remove: tuple[str, ...] = (),
    purge: tuple[str, ...] = (),
    recommends: bool = False,
) -> dict[str, Any]:
    wanted: list[tuple[str, str | None, bool]] = [(name, None, False) for name in remove]
    wanted += [(name, None, True) for name in purge]
    wanted += [(name, version, False) for name, version in installs]
    found: dict[str, Any] = ask(machine, _SOLVE, wanted=wanted, recommends=recommends)
    return found


def test_offered_versions_candidate_first(furnished: Workstation) -> None:
    script = """
        from aptkeep.machine.apt.archive import Archive
        answer = Archive(configuration.architecture).offered(given["names"])
    """
    names = ["many", "lib", "plain", "foreign:i386", "essence", "mail", "unheard-of"]
    assert ask(furnished, script, names=names) == {
        "many": ["3.0", "2.0", "1.0"],
        "lib": ["2.0", "1.0"],
        "plain": ["1.0"],
        "foreign:i386": ["1.0"],
        "essence": [],  # installed, and in no repository
        "mail": [],  # only provided
    }


def test_offered_obeys_the_pins_of_the_user(machine: Workstation) -> None:
    script = """
        from aptkeep.machine.apt.archive import Archive
        archive = Archive(configuration.architecture)
        names = ["many", "plain"]
        answer = [archive.offered(names), {name: archive.forbidden(name) for name in names}]
    """
    pins = (
        "Package: many\nPin: version 2.0\nPin-Priority: 1001\n\n"
        "Package: plain\nPin: version *\nPin-Priority: -1\n"
    )
    machine.write("/etc/apt/preferences.d/mine", pins)
    offered, forbidden = ask(machine, script)
    assert offered == {"many": ["2.0", "3.0", "1.0"], "plain": []}
    assert forbidden == {"many": False, "plain": True}


def test_all_that_goes_together_goes_together(furnished: Workstation) -> None:
    found = solve(
        furnished,
        *(("plain", "1.0"), ("chain1", "1.0"), ("chain2", "1.0"), ("chain3", "1.0")),
        *(("many", "1.0"), ("foreign:i386", "1.0"), ("needs-lib", "1.0")),
        remove=("loose",),
    )
    assert found["installs"].keys() == {
        *("plain", "chain1", "chain2", "chain3", "many", "foreign:i386", "needs-lib")
    }
    assert found["installs"]["many"] == "1.0"
    assert found["removals"] == {"loose": False}
    assert found["rejected"] == {}
    assert found["extra"] == {}
    assert found["architectures"]["foreign:i386"] == "i386"
    assert found["architectures"]["plain"] == "all"


def test_dependencies_nobody_recorded_are_named(furnished: Workstation) -> None:
    found = solve(furnished, ("chain1", "1.0"), ("needs-new-lib", "1.0"))
    assert found["extra"] == {"chain2": "1.0", "chain3": "1.0", "lib": "2.0"}


def test_recommends_are_followed_only_if_asked_for(furnished: Workstation) -> None:
    wanted = ("recommends-plain", "1.0")
    assert solve(furnished, wanted)["extra"] == {}
    assert solve(furnished, wanted, recommends=True)["extra"] == {"plain": "1.0"}


REASONS = {
    "needs-nobody": "it depends on nobody (>= 7), which can't be installed here",
    "hates-essence": "it conflicts with essence 1.0",
}


@pytest.mark.parametrize("bad", REASONS)
def test_one_bad_package_costs_no_other_and_has_its_reason(
    furnished: Workstation, bad: str
) -> None:
    good = [(name, "1.0") for name in ("plain", "chain1", "chain2", "chain3", "needs-lib")]
    for place in range(len(good) + 1):  # wherever it stands
        wanted = [*good[:place], (bad, "1.0"), *good[place:]]
        found = solve(furnished, *wanted)
        assert found["installs"] == dict(good)
        assert found["rejected"] == {bad: REASONS[bad]}
        if place == 2:
            break


def test_several_bad_packages_among_many(furnished: Workstation) -> None:
    good = {"plain", "chain1", "chain2", "chain3", "needs-lib", "needs-either", "many"}
    bad = {"needs-nobody", "hates-essence"}
    found = solve(furnished, *((name, "1.0") for name in sorted(good | bad)))
    assert found["installs"].keys() == good
    assert found["rejected"].keys() == bad


def test_held_package_is_not_moved(machine: Workstation) -> None:
    machine.run("apt-mark", "hold", "held")
    found = solve(machine, ("plain", "1.0"), ("needs-new-held", "1.0"))
    assert found["installs"] == {"plain": "1.0"}
    assert found["extra"] == {}
    assert found["rejected"] == {
        "needs-new-held": "it depends on held (>= 2.0), which can't be installed here"
    }


def test_two_that_exclude_each_other(furnished: Workstation) -> None:
    found = solve(furnished, ("rival", "1.0"), ("other-rival", "1.0"), ("plain", "1.0"))
    assert found["installs"].keys() == {"rival", "plain"}
    assert found["rejected"] == {"other-rival": "it conflicts with rival 1.0"}


def test_libraries_that_need_different_versions(furnished: Workstation) -> None:
    found = solve(furnished, ("needs-old-lib", "1.0"), ("needs-new-lib", "1.0"))
    assert found["installs"].keys() == {"needs-old-lib"}
    assert found["extra"] == {}
    assert found["rejected"].keys() == {"needs-new-lib"}


def test_recorded_version_of_a_dependency_is_the_one_that_comes(furnished: Workstation) -> None:
    """Not its candidate, as apt would have it."""
    found = solve(furnished, ("needs-new-lib", "1.0"), ("lib", "2.0"), ("many", "2.0"))
    assert found["installs"] == {"needs-new-lib": "1.0", "lib": "2.0", "many": "2.0"}
    assert found["extra"] == {}


def test_candidate_where_the_recorded_version_does_not_fit(furnished: Workstation) -> None:
    found = solve(furnished, ("plain", "1.0"), ("outgrown", "1.0"), ("chain3", "1.0"))
    assert found["rejected"] == {}
    assert found["installs"] == {"plain": "1.0", "outgrown": "2.0", "chain3": "1.0"}


def test_removal_of_what_something_else_needs_is_refused(furnished: Workstation) -> None:
    found = solve(furnished, ("plain", "1.0"), purge=("lib", "loose"))
    assert found["removals"] == {"loose": True}
    assert found["installs"] == {"plain": "1.0"}
    assert found["rejected"] == {"lib": "essence needs it"}


def test_removal_together_with_what_needs_it(furnished: Workstation) -> None:
    found = solve(furnished, remove=("lib", "essence"))
    assert found["removals"] == {"lib": False, "essence": False}
    assert found["rejected"] == {}


def test_pair_that_goes_only_together(furnished: Workstation) -> None:
    """One mail server for another: neither can come, nor leave, alone."""
    alone = solve(furnished, ("postman", "1.0"))
    assert alone["installs"] == {}
    assert alone["rejected"] == {"postman": "it conflicts with exim 1.0"}
    found = solve(furnished, ("postman", "1.0"), ("plain", "1.0"), remove=("exim",))
    assert found["installs"].keys() == {"postman", "plain"}
    assert found["removals"] == {"exim": False}
    assert found["rejected"] == {}


def test_removing_what_is_not_there_is_no_trouble(furnished: Workstation) -> None:
    found = solve(furnished, ("plain", "1.0"), purge=("nobody", "chain3"))
    assert found["rejected"] == {}
    assert found["installs"] == {"plain": "1.0"}


def test_version_that_is_not_offered(furnished: Workstation) -> None:
    found = solve(furnished, ("many", "0.5"), ("plain", "1.0"))
    assert found["installs"] in ({"plain": "1.0"}, {"plain": "1.0", "many": "3.0"})
    assert ("many" in found["installs"]) != ("many" in found["rejected"])


def test_upgradable_names_what_would_move(machine: Workstation) -> None:
    script = """
        from aptkeep.machine.apt.archive import Archive
        answer = Archive(configuration.architecture).upgradable()
    """
    assert ask(machine, script) == {"lib": "1.0", "held": "1.0"}


def test_paragraphs_are_what_dpkg_takes(furnished: Workstation) -> None:
    script = """
        from aptkeep.machine.apt.archive import Archive
        archive = Archive(configuration.architecture)
        answer = archive.paragraphs({"many": "2.0", "foreign:i386": "1.0", "nobody": "1.0"})
    """
    text = ask(furnished, script)
    fields = [dict(line.split(": ", 1) for line in p.splitlines()) for p in text.split("\n\n")]
    assert [(f["Package"], f["Version"], f["Architecture"]) for f in fields] == [
        ("many", "2.0", "all"),
        ("foreign", "1.0", "i386"),
    ]
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_versions_are_compared_as_dpkg_does(furnished: Workstation) -> None:
    script = """
        from aptkeep.machine.apt.archive import newer
        answer = [newer(one, other) for one, other in given["pairs"]]
    """
    pairs = [("1.0", "1.0~rc1"), ("1:0.1", "9.9"), ("1.10", "1.9"), ("1.0", "1.0"), ("1", "2")]
    assert ask(furnished, script, pairs=pairs) == [True, True, True, False, False]

"""The command lines of apt that a restore runs."""

from __future__ import annotations

import itertools

import pytest

from aptkeep.machine.apt.commands import FORCE_OLD_CONFFILES, AptGet

PINS = "/var/lib/aptkeep/preferences-x"


def options(command: list[str]) -> dict[str, list[str]]:
    """The `-o X=Y` of a command line: each option with all its values."""
    found: dict[str, list[str]] = {}
    for flag, word in itertools.pairwise(command):
        if flag == "-o":
            name, equals, value = word.partition("=")
            assert equals
            found.setdefault(name.lower(), []).append(value)
    return found


def test_the_lists_are_fetched() -> None:
    command = AptGet(lock_timeout=30).update()
    assert command == ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=30", "update"]


def test_the_lists_of_one_architecture_are_fetched_and_the_others_kept() -> None:
    command = AptGet().update(only="i386")
    assert command[-1] == "update"
    assert options(command)["apt::architectures"] == ["i386"]
    assert options(command)["apt::get::list-cleanup"] == ["false"]


def test_a_restore_as_a_whole() -> None:
    command = AptGet().dselect_upgrade(PINS)
    assert command[:2] == ["apt-get", "-q"]
    assert command[-1] == "dselect-upgrade"
    assert "-y" in command
    assert options(command) == {
        "dpkg::lock::timeout": ["120"],
        "dir::etc::preferences": ["/dev/null"],
        "dir::etc::preferencesparts": [PINS],
        "apt::install-recommends": ["false"],
        "apt::install-suggests": ["false"],
        "dpkg::stoponerror": ["false"],
        "dpkg::options::": list(FORCE_OLD_CONFFILES),
    }


def test_nothing_is_removed_unless_it_is_wished() -> None:
    command = AptGet().dselect_upgrade(PINS)
    assert "--no-remove" in command
    assert not any(word.startswith("--allow-remove") for word in command)
    removing = AptGet().dselect_upgrade(PINS, may_remove=True)
    assert "--no-remove" not in removing


def test_nothing_that_is_not_signed_is_ever_allowed() -> None:
    commands = (
        AptGet().update(),
        AptGet().dselect_upgrade(PINS, may_remove=True, recommends=True),
        AptGet().mark(["vim"], auto=True),
    )
    for command in commands:
        text = " ".join(command).lower()
        assert "unauthenticated" not in text
        assert "insecure" not in text
        assert "trusted" not in text
        assert "--force-yes" not in text
        assert "--reinstall" not in text


def test_what_a_simulation_does_differently_is_only_to_simulate() -> None:
    real = AptGet().dselect_upgrade(PINS, may_remove=True)
    simulated = AptGet().dselect_upgrade(PINS, may_remove=True, simulate=True)
    assert [word for word in simulated if word != "--simulate"] == real


def test_other_sources_hold_for_every_command() -> None:
    """What is marked must be what the cache of these sources knows."""
    apt_get = AptGet(("Dir::State::lists=/user",), sources={"Dir::State::lists": "/staged/lists/"})
    for command in (apt_get.update(), apt_get.dselect_upgrade(PINS), apt_get.mark([], auto=True)):
        assert options(command)["dir::state::lists"][-1] == "/staged/lists/"  # the last one counts


def test_recommends_are_as_apt_is_configured_where_they_may_be_followed() -> None:
    command = AptGet().dselect_upgrade(PINS, recommends=True)
    assert "apt::install-recommends" not in options(command)


@pytest.mark.parametrize(("auto", "word"), [(True, "auto"), (False, "manual")])
def test_marks(*, auto: bool, word: str) -> None:
    command = AptGet(lock_timeout=30).mark(["vim", "libc6:i386"], auto=auto)
    assert command == [
        *("apt-mark", "-o", "DPkg::Lock::Timeout=30", word),
        *("vim", "libc6:i386"),
    ]


def test_our_options_hold_for_apt_too() -> None:
    apt_get = AptGet(("Acquire::Retries=0", "Aptkeep::Home=/home/x"))
    for command in (apt_get.update(), apt_get.dselect_upgrade(PINS), apt_get.mark([], auto=True)):
        assert options(command)["acquire::retries"] == ["0"]
        assert options(command)["aptkeep::home"] == ["/home/x"]


def test_our_options_do_not_undo_what_a_restore_needs() -> None:
    """apt takes the last of several."""
    apt_get = AptGet(
        ("Dir::Etc::PreferencesParts=/x", "APT::Install-Recommends=true", "DPkg::Lock::Timeout=1")
    )
    found = options(apt_get.dselect_upgrade(PINS))
    assert found["dir::etc::preferencesparts"][-1] == PINS
    assert found["apt::install-recommends"][-1] == "false"


def test_waiting_for_ever() -> None:
    assert options(AptGet(lock_timeout=float("inf")).update())["dpkg::lock::timeout"] == ["-1"]

"""What a login says is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from aptkeep.machine.tools import login
from aptkeep.machine.tools.login import Program


def test_environment_and_programs_are_found_in_all_that_a_shell_says() -> None:
    told = login.read(
        "bash: no job control in this shell\nWelcome!\naptkeep-environment\n"
        "PATH=/usr/bin\0TWO=a\nb=c\0_=/usr/bin/env\0APTKEEP_NAMES=pip R\0EMPTY=\0"
        "aptkeep-programs\0pip\0/usr/bin/pip\0#! /usr/bin/python3 -s\0R\0/usr/bin/R\0\0"
        "aptkeep-end\0logout\n"
    )
    assert told == (
        {"PATH": "/usr/bin", "TWO": "a\nb=c", "EMPTY": ""},
        {
            "pip": Program("pip", "/usr/bin/pip", ("/usr/bin/python3", "-s")),
            "R": Program("R", "/usr/bin/R"),
        },
    )


@pytest.mark.parametrize(
    "output",
    ["", "aptkeep-environment\nPATH=/usr/bin\0", "aptkeep-environment\nA=b\0aptkeep-programs\0pip"],
)
def test_a_shell_that_ended_before_is_no_answer(output: str) -> None:
    assert login.read(output) is None


def test_a_first_line_that_is_no_command_is_none() -> None:
    assert login.words("#!'unfinished") == ()
    assert login.words("") == ()


def test_terminals_are_asked_as_terminals_and_others_as_logins() -> None:
    assert login.opening("/bin/bash")[:4] == ["/bin/bash", "-l", "-i", "-c"]
    assert login.opening("/usr/sbin/nologin")[:3] == ["/bin/sh", "-l", "-c"]


def test_of_the_image_only_what_decides_where_things_go(tmp_path: Path) -> None:
    environ = tmp_path / "environ"
    environ.write_bytes(
        b"PATH=/opt/conda/bin:/usr/bin\0TOKEN=secret\0CONDA_ENVS_DIRS=/opt/envs\0GOOGLE=x\0HOME=/\0"
        b"PIP_INDEX_URL=https://user:secret@example.org/\0R_LIBS_USER=/opt/r\0GEM_HOME=\0broken\0"
    )
    assert login.of_the_image(str(environ)) == {
        "PATH": "/opt/conda/bin:/usr/bin",
        "CONDA_ENVS_DIRS": "/opt/envs",
        "R_LIBS_USER": "/opt/r",
    }
    assert "/usr/bin" in login.of_the_image(str(tmp_path / "missing"))["PATH"].split(":")

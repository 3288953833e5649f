"""What tools answer, between all that they say besides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from aptkeep.machine.tools import advice, languages, python
from aptkeep.machine.tools.answers import last_path, marked, placed, whole
from aptkeep.machine.tools.destination import Destination
from aptkeep.machine.tools.login import Program
from aptkeep.machine.tools.session import Session
from unit.machine.tools.fake_session import HOME, FakeSession, session

Probe = Callable[[Session, Program], list[Destination]]

CARGO = Program("cargo", "/usr/bin/cargo")
NO_ANSWERS = ("", "Segmentation fault", 'aptkeep {"pa', "aptkeep 17", 'aptkeep {"path": 17}')


def test_the_last_marked_line_counts() -> None:
    said = 'warning\naptkeep {"path": "/a"}\naptkeep {"path": "/b"}\nDeprecationWarning: aptkeep\n'
    assert marked(said) == {"path": "/b"}


def test_an_object_is_found_between_warnings() -> None:
    assert whole('go: warning\n{\n\t"GOBIN": "",\n\t"GOPATH": "/g"\n}\n') == {
        "GOBIN": "",
        "GOPATH": "/g",
    }
    assert whole("no object") == {}


def test_the_last_absolute_path_counts() -> None:
    assert last_path("npm WARN config\n/usr/lib/node_modules\n/usr/local\nnotice\n") == "/usr/local"
    assert last_path("relative/path\n") == ""


@pytest.mark.parametrize("answer", NO_ANSWERS)
@pytest.mark.parametrize(
    "probe",
    [
        *(python.pip, python.pipx, python.conda, python.mamba, languages.r, languages.julia),
        *(languages.npm, languages.cargo, languages.go, languages.gem, languages.make),
    ],
)
def test_a_tool_that_gives_no_answer_has_no_destination(probe: Probe, answer: str) -> None:
    asked = session(answer, returncode=1)
    (told,) = probe(asked, Program("tool", "/usr/bin/tool"))
    assert told.path is None
    assert "can't be asked" in told.trouble
    assert told.remedy == ""


def test_a_tool_that_hangs_is_said_to() -> None:
    asked = session(timed_out=True, returncode=-9)
    (told,) = languages.npm(asked, Program("npm", "/usr/bin/npm"))
    assert told.trouble == "npm didn't answer in time"


def place(asked: FakeSession, path: str, **more: object) -> Destination:
    return placed(asked, "tool", "tool where", path, "mend it", **more)  # type: ignore[arg-type]


def test_what_is_in_the_home_needs_no_remedy() -> None:
    told = place(session(), f"{HOME}/.tool")
    assert told == Destination("tool", "bench-user", f"{HOME}/.tool", "tool where")


def test_a_place_outside_the_home_has_a_remedy() -> None:
    told = place(session(may_write=("/opt",)), "/opt/tool")
    assert (told.path, told.trouble, told.remedy) == ("/opt/tool", "", "mend it")


def test_a_place_that_cannot_be_written_is_none() -> None:
    told = place(session(), f"{HOME}/.tool", writes=(f"{HOME}/.tool", "/usr/bin"))
    assert (told.path, told.remedy) == (None, "mend it")
    assert told.trouble == f"bench-user can't write in {HOME}/.tool"


def test_a_relative_place_is_in_the_users_own_home() -> None:
    assert place(session(), "t").path == f"{HOME}/t"


@pytest.mark.parametrize(
    ("writes", "kept"),
    [
        (("/usr/local/lib/tool",), '"/usr/local";'),
        (("/root/.tool/lib/x", "/root/.tool/bin"), '"/root/.tool";'),
        (("/var/lib/tool", "/usr/local/bin"), '"/var/lib/tool"; "/usr/local";'),
    ],
)
def test_what_root_installs_is_kept_where_it_is(writes: tuple[str, ...], kept: str) -> None:
    told = place(session(user="root"), writes[0], writes=writes)
    assert told.remedy == f"echo 'Aptkeep::Keep {{ {kept} }};' >> /etc/apt/apt.conf.d/90keep"


def test_what_root_is_refused_is_better_done_by_the_owner() -> None:
    told = place(session(user="root"), "/usr/local", refused="no")
    assert (told.path, told.trouble) == (None, "no")
    assert told.remedy.startswith("install it as ")


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        ("/bin/bash", "echo 'export A=~/b' >> ~/.profile"),
        ("/usr/bin/zsh", "echo 'export A=~/b' >> ~/.zprofile"),
        ("/usr/bin/fish", "set -Ux A ~/b"),
    ],
)
def test_a_variable_is_set_in_the_words_of_the_shell(shell: str, expected: str) -> None:
    assert advice.export("A=~/b", shell) == expected


@pytest.mark.parametrize(
    ("answer", "returncode", "root"),
    [
        ("error: config value `install.root` is not set", 101, f"{HOME}/.cargo"),
        ('warning: unused\n"/x"', 0, "/x"),
        ('"rel"', 0, f"{HOME}/rel"),
    ],
)
def test_cargo_says_its_root_or_that_there_is_none(answer: str, returncode: int, root: str) -> None:
    (told,) = languages.cargo(session(answer, returncode=returncode, may_write=("/x",)), CARGO)
    assert told.path == f"{root}/bin"


CONDA = (
    'aptkeep {"env location": "/opt/conda", "base environment": "/opt/conda", '
    f'"envs directories": ["/opt/conda/envs", "{HOME}/.conda/envs"]}}'
)


def test_conda_goes_to_the_first_directory_that_the_user_may_write() -> None:
    program = Program("conda", "/opt/conda/bin/conda", ("/opt/conda/bin/python",))
    asked = session(CONDA)
    install, create = python.conda(asked, program)
    assert asked.asked[0][:3] == ("/opt/conda/bin/python", "-B", "-c")
    assert (install.tool, install.path) == ("conda", None)
    assert install.trouble == "bench-user can't write in /opt/conda"
    assert install.remedy == (
        "conda create --yes --prefix ~/.conda/envs/work && "
        ". /opt/conda/bin/activate ~/.conda/envs/work"
    )
    assert (create.tool, create.path, create.remedy) == (
        *("conda create", f"{HOME}/.conda/envs", ""),
    )
    # A base that an image gave to its user.
    asked = session(CONDA, may_write=("/opt/conda",), environment={"CONDA_SHLVL": "0"})
    install, create = python.conda(asked, program)
    assert install.path == "/opt/conda"
    assert install.remedy.endswith(" && conda activate ~/.conda/envs/work")
    assert create.path == "/opt/conda/envs"
    assert create.remedy.startswith("conda config --prepend envs_dirs ~/.conda/envs")


def test_mamba_2_is_asked_by_its_own_words() -> None:
    """As libmamba's info.cpp prints them; there is no mamba here to ask."""
    asked = session(CONDA.removeprefix("aptkeep "))
    install, create = python.mamba(asked, Program("micromamba", f"{HOME}/bin/micromamba"))
    assert asked.asked[0] == (f"{HOME}/bin/micromamba", "info", "--json")
    assert install.tool == "micromamba"
    assert install.remedy == (
        "micromamba create --yes --prefix ~/.conda/envs/work && "
        'eval "$(micromamba shell hook --shell bash)" && micromamba activate ~/.conda/envs/work'
    )
    assert create.path == f"{HOME}/.conda/envs"


def test_python_is_asked_by_what_runs_the_program(tmp_path: Path) -> None:
    for interpreter, expected in (
        (("/usr/bin/python3", "-s"), ("/usr/bin/python3", "-s")),
        (("/usr/bin/env", "python3"), ("/usr/bin/env", "python3")),
        (("/bin/sh",), ("python3",)),
    ):
        asked = session()
        python.pip(asked, Program("pip", "/x/bin/pip", interpreter))
        assert asked.asked[0][: len(expected)] == expected
    beside = tmp_path / "python3"
    beside.touch()
    asked = session()
    python.pip(asked, Program("pip", str(tmp_path / "pip"), ("/bin/sh",)))
    assert asked.asked[0][0] == str(beside)

"""install.packages() and BiocManager::install(), with what Debian builds R's packages from."""

from __future__ import annotations

from pathlib import Path

import pytest

from cycle.home.conftest import MakeMachine
from cycle.home.living import assert_purge_leaves_no_trace, empty_home, login
from testbed import languages
from testbed.fixtures import MakeWorkstation, only_on
from testbed.images import HOME, USER
from testbed.workstation import Workstation

pytestmark = only_on("trixie")

REPOSITORY = f'options(repos = c(CRAN = "file://{languages.CRAN}"))'
LIBRARY = "R/x86_64-pc-linux-gnu-library/*"
# What BiocManager asks bioconductor.org for, with which it chooses further repositories.
_BIOCONDUCTOR = """\
release_version: "3.21"
devel_version: "3.22"
r_ver_for_bioc_ver:
  "3.20": "4.4"
  "3.21": "4.5"
  "3.22": "4.5"
"""


def r(code: str, *options: str) -> str:
    """A command line."""
    return f"Rscript {' '.join(options)} -e '{code}'"


@pytest.fixture
def machine(make_machine: MakeMachine) -> Workstation:
    """R and aptkeep-home."""
    return make_machine(languages.r())


def test_what_r_installs_is_there_after_a_stop(machine: Workstation) -> None:
    login(machine, r(f'{REPOSITORY}; install.packages(c("R6", "glue"))'))
    assert len(list(machine.home.glob(f"{LIBRARY}/glue/libs/glue.so"))) == 1, "not compiled"
    machine.stop()
    machine.boot(network=False)
    code = 'library(glue); library(R6); hello <- R6Class("H", list(say = "says hello"));'
    code += ' writeLines(glue("R {hello$new()$say}"))'
    assert login(machine, r(code)).stdout == "R says hello\n"
    # Without the site profile, too, since the directory is there now.
    assert login(machine, r("library(R6)", "--vanilla")).output == ""


def test_bioc_manager_installs_into_the_home(machine: Workstation) -> None:
    machine.write("/srv/config.yaml", _BIOCONDUCTOR)
    environment = {"BIOCONDUCTOR_CONFIG_FILE": "file:///srv/config.yaml"}
    code = f'{REPOSITORY}; install.packages("BiocManager");'
    code += ' BiocManager::install("R6", update = FALSE, ask = FALSE)'
    login(machine, r(code), env=environment)
    assert len(list(machine.home.glob(f"{LIBRARY}/R6/DESCRIPTION"))) == 1


def test_it_says_nothing_and_reads_the_machines_own_profile(machine: Workstation) -> None:
    assert login(machine, r("invisible()")).output == ""
    line = "mine <- environmentName(environment()); .libPaths()[1]"
    machine.sh(f"echo '{line}' >> /etc/R/Rprofile.site")
    said = login(machine, r('cat(mine, getOption("repos"))')).lines
    assert said[0].startswith(f'[1] "{HOME}/R/'), "what it prints, and after the library is there"
    assert said[1] == "R_GlobalEnv https://cloud.r-project.org"


@pytest.mark.parametrize(
    ("own", "first"),
    [
        ("export R_LIBS_USER=NULL", "/usr/local/lib/R/site-library"),
        (f"export R_LIBS_USER={HOME}/mine:{HOME}/other", f"{HOME}/mine"),
        ("export R_LIBS=/srv", "/srv"),
        (f"echo R_LIBS_USER={HOME}/mine > .Renviron", f"{HOME}/mine"),
        ("""echo '.libPaths("/srv", FALSE)' > .Rprofile""", "/srv"),
    ],
)
def test_the_users_own_setting_wins(machine: Workstation, own: str, first: str) -> None:
    said = login(machine, f"{own}\n{r('cat(.libPaths()[1])')}")
    assert said.output == first


def test_without_a_site_profile_nothing_is_made(machine: Workstation) -> None:
    login(machine, f"{r('1', '--vanilla')}; {r('1', '--no-site-file')}")
    machine.sh("sed -i 's/^APTKEEP_HOME_R=yes$/APTKEEP_HOME_R=no/' /etc/default/aptkeep-home")
    login(machine, r("1"))
    assert list(machine.home.iterdir()) == []


def test_root_has_no_library_of_its_own(machine: Workstation) -> None:
    code = f'{REPOSITORY}; install.packages("R6")'
    machine.run("Rscript", "-e", code)
    assert machine.exists("/usr/local/lib/R/site-library/R6/DESCRIPTION")
    assert not machine.exists("/root/R")
    assert machine.run("Rscript", "-e", "library(R6)", user=USER).output == ""


def test_purged_it_leaves_r_as_it_was(
    make_workstation: MakeWorkstation, aptkeep_home_deb: Path
) -> None:
    machine = make_workstation(languages.r()).boot(network=False)

    def ask(machine: Workstation) -> object:
        empty_home(machine)
        tried = login(machine, r(f'{REPOSITORY}; install.packages("R6")'), check=False)
        return tried.returncode, login(machine, r(".libPaths(); options()$repos")).output

    assert_purge_leaves_no_trace(machine, aptkeep_home_deb, ask)

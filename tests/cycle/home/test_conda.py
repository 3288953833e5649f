"""conda's file, by what conda documents, and an environment in the directory that it names.

No conda, mamba or micromamba can be had where these tests run (see `testbed.conda`).

https://docs.conda.io/projects/conda/en/stable/user-guide/configuration/use-condarc.html: a file in
/etc/conda/condarc.d is read if its name ends in .yml or .yaml, before those of the base environment
and of the user.  Lists are joined, those of later files first, unless an entry says `#!top` or a
list `#!final`.  (conda's own `Context`, given this file and a user's, said the same by hand.)

The environment is a genuine one, made by py-rattler.
"""

from __future__ import annotations

import re
from pathlib import Path

from testbed import conda, languages, source
from testbed.images import HOME, USER
from testbed.workstation import Workstation

AT = "/etc/conda/condarc.d/aptkeep-home.yml"
_RATTLER = "/usr/src/rattler"
_CHANNEL = "/usr/src/channel"


def test_it_names_the_home_and_takes_no_precedence() -> None:
    lines = (source.top() / f"hooks/home{AT}").read_text().splitlines()
    settings = [line for line in lines if not line.startswith("#")]
    # One list of one entry each: nothing here that YAML could read otherwise.
    assert settings == [
        *("envs_dirs:", "  - ~/.conda/envs"),
        *("pkgs_dirs:", "  - ~/.conda/pkgs"),
    ]
    assert not re.search("#!", "\n".join(lines))


def test_an_environment_there_survives_a_stop(
    able: None, scratch: Path, tmp_path: Path, aptkeep_home_deb: Path
) -> None:
    conda.write_channel(tmp_path / "channel")
    # Of this image, only the certificates: py-rattler wants some, even for a channel of files.
    with Workstation(languages.python("bookworm"), scratch=scratch) as machine:
        machine.boot(network=False).copy_in(aptkeep_home_deb, "/root/home.deb")
        machine.run("dpkg", "-i", "/root/home.deb")
        machine.copy_in(conda.rattler(), _RATTLER)
        machine.copy_in(tmp_path / "channel", _CHANNEL)
        named = re.findall("^  - ~/(.*)$", machine.read_text(AT), re.MULTILINE)
        environments, packages = (f"{HOME}/{path}" for path in named)
        prefix = f"{environments}/mine"
        command = ("python3", "-c", conda.INSTALL, f"file://{_CHANNEL}", packages, prefix)
        environment = {"PYTHONPATH": _RATTLER}
        machine.run(*command, "tinything", user=USER, env=environment, cwd=HOME)
        hello = f"{conda.SAYS} {prefix}: and its library\n"
        assert machine.run(f"{prefix}/bin/tinything", user=USER).stdout == hello

        machine.stop()
        machine.boot(network=False)
        assert machine.run(f"{prefix}/bin/tinything", user=USER).stdout == hello
        installed = {path.name for path in (machine.home / ".conda/envs/mine/conda-meta").iterdir()}
        assert installed >= {"history", "tinylib-1.0-0.json", "tinything-1.0-0.json"}

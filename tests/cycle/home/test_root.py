"""What root installs isn't in the home: doctor's remedy for it has aptkeep keep it where it is."""

from __future__ import annotations

from pathlib import Path

from cycle.keeping import next_boot, start
from machine.tools.asking import ask, login, put, put_aptkeep
from testbed import languages, tiny
from testbed.tiny import NAME, SAYS
from testbed.workstation import Workstation


def test_what_root_installed_comes_back_by_the_remedy(
    able: None, scratch: Path, aptkeep_deb: Path
) -> None:
    """A gem, which has its library in one place and its program in another."""
    image = languages.with_packages(languages.ruby("trixie"), aptkeep_deb)
    with Workstation(image, scratch=scratch) as machine:
        put_aptkeep(machine.boot(network=False))
        start(machine)
        put(machine, tiny.gem(), "/usr/src/tiny", "root")
        machine.run("gem", "build", "-q", f"{NAME}.gemspec", cwd="/usr/src/tiny")
        told = ask(machine, "root")["gem"]
        assert told.path is not None
        login(machine, told.remedy, "root")
        command = "gem install --local --no-document /usr/src/tiny/*.gem"
        login(machine, command, "root")
        machine.run("aptkeep", "record")

        next_boot(machine, network=False)
        assert machine.exists(f"{told.path}/gems/{NAME}-1.0/bin/{NAME}")
        assert machine.run(f"/usr/local/bin/{NAME}").stdout.strip() == SAYS

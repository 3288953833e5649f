"""gem install."""

from __future__ import annotations

from pathlib import Path

import pytest

from cycle.home.conftest import MakeMachine
from cycle.home.living import assert_purge_leaves_no_trace, empty_home, login
from testbed import languages
from testbed.fixtures import MakeWorkstation
from testbed.images import HOME
from testbed.workstation import Workstation

GEM = "/srv/tiny-1.0.gem"
_BUILD = f"""
mkdir -p /tmp/tiny/lib /tmp/tiny/bin
cd /tmp/tiny
echo 'Tiny = "gem says hello"' > lib/tiny.rb
printf '#!/usr/bin/ruby\nrequire "tiny"\nputs Tiny\n' > bin/tiny-say
cat > tiny.gemspec <<END
Gem::Specification.new do |s|
  s.name, s.version, s.summary, s.authors = 'tiny', '1.0', 'tiny', ['nobody']
  s.files, s.executables = ['lib/tiny.rb', 'bin/tiny-say'], ['tiny-say']
end
END
gem build --silent --output {GEM} tiny.gemspec
"""
INSTALL = f"gem install --silent --local --no-document {GEM}"


@pytest.fixture
def machine(make_machine: MakeMachine, suite: str) -> Workstation:
    """gem, aptkeep-home and a gem to install."""
    made = make_machine(languages.ruby(suite))
    made.sh(_BUILD)
    return made


def test_what_gem_installs_is_there_after_a_stop(machine: Workstation) -> None:
    before = login(machine, "gem list").lines
    login(machine, INSTALL)
    machine.stop()
    machine.boot(network=False)
    # Any Ruby program finds it, not only those that a shell started.
    found = machine.run("ruby", "-e", "require 'tiny'; puts Tiny", user="bench-user", cwd=HOME)
    assert found.stdout == "gem says hello\n"
    assert login(machine, "tiny-say").stdout == "gem says hello\n"
    # What the system has is found as before.
    assert set(login(machine, "gem list").lines) == {*before, "tiny (1.0)"}
    login(machine, "gem uninstall --silent --executables tiny")
    assert list((machine.home / ".local/bin").iterdir()) == []
    assert login(machine, "gem list").lines == before


def test_root_installs_where_it_always_did(machine: Workstation) -> None:
    login(machine, f"sudo {INSTALL}; tiny-say; gem list --exact tiny")
    assert machine.exists("/usr/local/bin/tiny-say")
    assert list(machine.home.glob(".local/**/tiny*")) == []
    machine.run("gem", "uninstall", "--silent", "--executables", "tiny")
    assert not machine.exists("/usr/local/bin/tiny-say")


@pytest.mark.parametrize(
    ("own", "at"),
    [
        (f"export GEM_HOME={HOME}/mine; {INSTALL}", "mine"),
        (f"echo 'gem: --install-dir {HOME}/mine' > .gemrc; {INSTALL}", "mine"),
        (f"{INSTALL} --install-dir mine", "mine"),
        (f"echo 'gem: --no-document' > .gemrc; {INSTALL}", ".local/share/gem/ruby/*"),
    ],
)
def test_the_users_own_setting_wins(machine: Workstation, own: str, at: str) -> None:
    login(machine, own)
    assert len(list(machine.home.glob(f"{at}/gems/tiny-1.0"))) == 1


def test_it_can_be_switched_off(machine: Workstation) -> None:
    ours = login(machine, "gem environment gemdir").stdout
    machine.sh("sed -i 's/^APTKEEP_HOME_GEM=yes$/APTKEEP_HOME_GEM=no/' /etc/default/aptkeep-home")
    assert login(machine, "gem environment gemdir").stdout == ours.replace(
        f"{HOME}/.local/share/gem/ruby", "/var/lib/gems"
    )


def test_purged_it_leaves_gem_as_it_was(
    make_workstation: MakeWorkstation, suite: str, aptkeep_home_deb: Path
) -> None:
    machine = make_workstation(languages.ruby(suite)).boot(network=False)
    machine.sh(_BUILD)

    def ask(machine: Workstation) -> object:
        empty_home(machine)
        tried = login(machine, INSTALL, check=False)
        return tried.returncode, tried.output, login(machine, "gem environment").output

    assert_purge_leaves_no_trace(machine, aptkeep_home_deb, ask)

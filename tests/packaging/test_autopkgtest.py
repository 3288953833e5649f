"""The autopkgtest of the source package, run as autopkgtest would, on a root without network."""

from __future__ import annotations

import pytest

from testbed import source
from testbed.fixtures import MakeWorkstation

pytestmark = pytest.mark.machine


def test_the_cycle_passes_on_the_installed_package(make_workstation: MakeWorkstation) -> None:
    # Without the source for Debian's archive, which could not be reached.
    no_archive = ("rm", "/etc/apt/sources.list.d/debian.sources")
    workstation = make_workstation().boot(network=False, setup=[no_archive])
    workstation.copy_in(source.top() / "debian/tests/cycle", "/root/cycle")
    done = workstation.run("/root/cycle")
    assert "== purge aptkeep" in done.lines

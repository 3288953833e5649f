"""Workstations with aptkeep-home and the tools of languages, the real ones from Debian's packages.

| what must be true | where |
| --- | --- |
| installed, upgraded, failed, removed, purged: /etc is whole, then as before | `test_package` |
| what users install has its programs on PATH, in every shell; root is left alone | `test_shells` |
| what users install is there after a stop, their own settings win | `test_python`, `test_r` … |
| a purge leaves each tool as it was | the same |
| conda's file says what conda's documentation wants said; an environment survives | `test_conda` |
| what `Pkg.add` installed is there after a stop | `test_julia` |
| what root installed comes back where doctor's remedy was followed | `test_root` |
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

from testbed import languages
from testbed.fixtures import MakeWorkstation
from testbed.images import Image
from testbed.workstation import Workstation


class MakeMachine(Protocol):
    """What `make_machine` is: boots a workstation on an image that gets aptkeep-home first."""

    def __call__(self, image: Image) -> Workstation:
        """Without network."""


@pytest.fixture
def make_machine(make_workstation: MakeWorkstation, aptkeep_home_deb: Path) -> MakeMachine:
    """A factory of workstations with aptkeep-home."""

    def make(image: Image) -> Workstation:
        made = make_workstation(languages.with_packages(image, aptkeep_home_deb))
        return made.boot(network=False)

    return make

"""Workstations with aptkeep-home and the tools of languages, the real ones from Debian's packages.

| what must be true | where |
| --- | --- |
| installed, upgraded, failed, removed, purged: /etc is whole, and in the end as before | `test_package` |
| what users install has its programs on PATH, in every shell; root is left alone | `test_shells` |
| installed by a user, it is there after a stop; the user's own setting wins; a purge leaves no trace | `test_python`, `test_r`, `test_node`, `test_ruby`, `test_compiled` |
| conda's file says what conda's documentation wants said | `test_conda` |
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterator
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
def make_machine(
    make_workstation: MakeWorkstation, aptkeep_home_deb: Path
) -> Iterator[MakeMachine]:
    """A factory of workstations with aptkeep-home."""

    def make(image: Image) -> Workstation:
        made = make_workstation(languages.with_packages(image, aptkeep_home_deb))
        return made.boot(network=False)

    yield make

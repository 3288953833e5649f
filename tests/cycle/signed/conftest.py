"""Workstations on whose volume root owns nothing: the store is believed for its signatures.

Stand-in for a volume whose server squashes root: root without the capabilities that let it past
owners and modes. It can't list the home, write there, nor own a file there.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from testbed import images
from testbed.commands import Result
from testbed.images import Image
from testbed.workstation import Workstation

KEY = "/etc/aptkeep.key"
SQUASHED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner,-chown", "--")
_CONFIGURATION = f"""\
Aptkeep::Trust "signed";
Aptkeep::Trust::Key "{KEY}";
Aptkeep::Keep {{ "/usr/local"; }};
APT::Sandbox::User "root";
""".encode()

Squashed = Callable[..., Result]


@pytest.fixture(scope="session")
def local_image(workstation_image: Image) -> Image:
    """The image with aptkeep, a key of the platform's, and homes that only their users enter."""
    return images.extend(
        images.without_archive(workstation_image),
        "signed",
        [("aptkeep", "keygen", KEY)],
        files={"/etc/apt/apt.conf.d/90trust": _CONFIGURATION},
    )


@pytest.fixture
def machine(make_workstation: Callable[[Image], Workstation], local_image: Image) -> Workstation:
    """A workstation that has booted and started for the first time."""
    made = make_workstation(local_image).boot()
    made.home.chmod(0o700)
    squashed(made, "aptkeep", "start")
    return made


def squashed(machine: Workstation, *argv: str, code: int = 0) -> Result:
    """Run a command as a root whom the volume's server squashes."""
    result = machine.run(*SQUASHED, *argv, check=False)
    assert result.returncode == code, result.output
    return result

"""What is known of one tool: where it would put an installation, and what mends that."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Destination:
    """Where one tool would put an installation now, if one user asked it to."""

    tool: str
    """`pip`, `R`, `npm`; `conda create` for new environments, `conda` for the one in use."""
    user: str
    """As whom it was asked."""
    path: str | None
    """Where an installation would go; None where the tool would refuse, or can't be asked."""
    asked: str
    """What people would type to see it for themselves."""
    trouble: str = ""
    """Why there is no path."""
    remedy: str = ""
    """What puts installations into the home, or makes them survive where they are."""


def inside(path: str, directory: str) -> bool:
    """Whether `path` lies in `directory`, links followed as far as they lead."""
    real, above = os.path.realpath(path), os.path.realpath(directory)
    return os.path.commonpath((real, above)) == above

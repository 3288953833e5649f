"""Options of apt that hold in this process for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apt_pkg

if TYPE_CHECKING:
    from collections.abc import Mapping

_configured: dict[str, str] = {}
"""What the configuration itself says, by option."""


def override(options: Mapping[str, str]) -> None:
    """Set these options; what was set so before is undone."""
    for name in options:
        _configured.setdefault(name, apt_pkg.config.find(name))
    for name, value in {**_configured, **options}.items():
        apt_pkg.config.set(name, value)

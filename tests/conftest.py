"""Every test may ask for the throwaway workstation."""

from __future__ import annotations

pytest_plugins = ["testbed.fixtures"]

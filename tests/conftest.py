"""Every test may ask for the throwaway workstation."""

from __future__ import annotations

import pytest

pytest_plugins = ["testbed.fixtures"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several tests at once, all of a suite are one worker's: what it makes, it makes once."""
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            suite = item.callspec.params.get("suite")
            if suite is not None:
                item.add_marker(pytest.mark.xdist_group(str(suite)))

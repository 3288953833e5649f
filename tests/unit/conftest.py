"""What holds for every unit test: it starts no process, and hypothesis behaves.

`HYPOTHESIS_PROFILE=nightly` looks for longer and elsewhere each time. The default profile takes
the same examples every time: a package build must not fail by chance.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from unit.guard import GUARD, ProcessGuard

settings.register_profile(
    "unit", max_examples=100, derandomize=True, database=None, deadline=None, print_blob=True
)
settings.register_profile("nightly", max_examples=3000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "unit"))


@pytest.fixture(autouse=True)
def process_guard() -> Iterator[ProcessGuard]:
    """Fail the test if it starts a process, even where the code under test swallows the error."""
    GUARD.attempts.clear()
    GUARD.on = True
    try:
        yield GUARD
    finally:
        GUARD.on = False
    if GUARD.attempts:
        pytest.fail(f"a unit test started a process: {'; '.join(GUARD.attempts)}")

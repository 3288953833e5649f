"""What holds for every unit test: it starts no process, and hypothesis behaves.

`HYPOTHESIS_PROFILE=nightly` looks for longer and elsewhere each time. The default profile takes
the same examples every time: a package build must not fail by chance.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from aptkeep.record import take_baseline
from aptkeep.store import tree
from unit.guard import GUARD, ProcessGuard
from unit.kept_paths import Keeper, on_this_device
from unit.machines import Machine

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


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Commands of root's throw away most of it."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine on which aptkeep was started: `vim` came with its image."""
    opener = tree.open_store.__wrapped__  # type: ignore[attr-defined]
    monkeypatch.setitem(opener.__kwdefaults__, "owner", os.getuid())
    old = os.umask(0o022)
    made = Machine(tmp_path)
    take_baseline(made.configuration)
    os.umask(old)
    return made


@pytest.fixture
def keeper(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    """A machine that keeps a path, in which the image has nothing."""
    on_this_device(tmp_path, monkeypatch)
    directory = tmp_path / "keeper"
    directory.mkdir()
    made = Keeper(directory)
    made.start({})
    return made

"""The guard against processes works."""

from __future__ import annotations

import os
import subprocess

import pytest

from unit.guard import ProcessGuard, ProcessStarted


def test_a_process_is_refused(process_guard: ProcessGuard) -> None:
    with pytest.raises(ProcessStarted, match=r"subprocess\.Popen"):
        subprocess.run(["true"], check=True)
    process_guard.attempts.clear()


def test_an_attempt_is_remembered_where_its_error_is_swallowed(process_guard: ProcessGuard) -> None:
    with pytest.raises(ProcessStarted):
        os.fork()
    assert len(process_guard.attempts) == 1
    process_guard.attempts.clear()

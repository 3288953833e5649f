"""How a machine starts, and whether that calls aptkeep."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from aptkeep.machine import startup
from aptkeep.machine.state import Start, State
from unit.machine.fake_root import FakeRoot

NOBODY = b"sleep\0infinity\0"
WANTS = "etc/systemd/system/multi-user.target.wants"


def calls(root: FakeRoot, command: bytes = NOBODY) -> bool:
    """Whether this root, with that process 1, is seen to call aptkeep."""
    return startup.calls_aptkeep(str(root.path), command)


def test_this_moment() -> None:
    first, second = startup.now(), startup.now()
    assert first is not None
    assert second is not None
    assert first.machine == second.machine
    assert 0 <= first.after <= second.after < time.clock_gettime(time.CLOCK_BOOTTIME) + 1


def test_nothing_calls(root: FakeRoot) -> None:
    root.write(f"{WANTS}/cron.service", "[Service]\nExecStart=/usr/sbin/cron -f\n")
    root.write(
        "etc/systemd/system/aptkeep.service", "[Service]\nExecStart=/usr/bin/aptkeep start\n"
    )
    root.write("etc/rc2.d/K01aptkeep", "aptkeep record\n")
    root.write("entrypoint", "#!/bin/sh\naptkeep start\n")
    assert not calls(root)
    assert not calls(root, b"")
    assert not calls(root, b"init\0/var/cache/aptkeep-testbed\0start\0")
    assert not calls(root, b"/entrypoint-that-is-not-there\0")


@pytest.mark.parametrize(
    "command",
    [
        b"sh\0-c\0aptkeep start; exec bash\0",
        b"tini\0--\0/entrypoint\0bash\0",
        b"/bin/sh\0/entrypoint\0",
    ],
)
def test_process_1_calls(root: FakeRoot, command: bytes) -> None:
    root.write("entrypoint", '#!/bin/sh\naptkeep start\nexec "$@"\n')
    assert calls(root, command)


def test_a_program_is_no_script(root: FakeRoot) -> None:
    root.write("init", b"\x7fELF aptkeep")
    assert not calls(root, b"/init\0")


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (f"{WANTS}/machine.service", "[Service]\nExecStart=-/usr/bin/aptkeep start\n"),
        (f"{WANTS}/machine.service", "[Service]\nExecStartPre=-+/opt/start --all\n"),
        (f"{WANTS}/aptkeep.service", 'ExecStart="/usr/bin/aptkeep" -o A::B=c start\n'),
        ("etc/rc.local", "#!/bin/sh\naptkeep start --background\n"),
        ("etc/cron.d/start", "@reboot root aptkeep start\n"),
        ("var/spool/cron/crontabs/root", "@reboot aptkeep start\n"),
        ("etc/rc2.d/S01local", "aptkeep start\n"),
    ],
)
def test_what_it_starts_calls(root: FakeRoot, place: str, text: str) -> None:
    root.write("opt/start", "#!/bin/sh\naptkeep start\n")
    root.write(place, text)
    assert calls(root)


def test_a_unit_is_a_link_that_may_lead_nowhere(root: FakeRoot) -> None:
    directory = root.path / WANTS
    directory.mkdir(parents=True)
    (directory / "gone.service").symlink_to("/nowhere")
    (directory / "a-directory").mkdir()
    os.mkfifo(directory / "pipe")
    assert not calls(root)


def test_the_first_start_of_a_machine_is_noted(tmp_path: Path) -> None:
    state = State(str(tmp_path / "aptkeep"))
    assert state.last_start() is None
    state.note_start(Start("boot:1", 3.0))
    state.note_start(Start("boot:1", 900.0))
    assert state.last_start() == Start("boot:1", 3.0)
    state.note_start(Start("boot:2", 7.5))
    assert state.last_start() == Start("boot:2", 7.5)
    (tmp_path / "aptkeep/started.json").write_text("[]")
    assert state.last_start() is None


def test_when_the_baseline_was_taken(tmp_path: Path) -> None:
    state = State(str(tmp_path))
    assert state.baseline_taken() is None
    (tmp_path / "baseline.json").touch()
    os.utime(tmp_path / "baseline.json", ns=(0, 1_234_567_890_123_456_789))
    assert state.baseline_taken() == 1_234_567_890_123_456_789

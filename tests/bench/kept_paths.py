"""What `Aptkeep::Keep` costs: at a hook that finds nothing new, at one that does, at a start.

    make deb && python3 tests/bench/kept_paths.py trixie build/aptkeep_[0-9]*.deb [FILES...]

For each number of files, side by side in one root: the hook without `Aptkeep::Keep`, with it and
all the files the image's, and with all of them the user's; recording and restoring them. Seconds;
of hooks the median of five.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from testbed import images
from testbed.workstation import Workstation

SETTING = "/etc/apt/apt.conf.d/90keep"
KEEP = 'Aptkeep::Keep { "/opt/vendor"; };\n'
MAKE = """
import os, sys
count, top = int(sys.argv[1]), sys.argv[2]
for number in range(count):
    if number % 100 == 0:
        os.makedirs(f"{top}/{number // 10000}/{number // 100}")
    with open(f"{top}/{number // 10000}/{number // 100}/{number}", "w") as made:
        made.write(f"{number}\\n" * 100)
"""
TIME = """
import statistics, subprocess, time
taken = []
for _ in range(5):
    began = time.perf_counter()
    done = subprocess.run(
        ["/usr/libexec/aptkeep/hook", "DPkg::Post-Invoke"], stderr=subprocess.PIPE, check=True
    )
    taken.append(time.perf_counter() - began)
print(statistics.median(taken), done.stderr.decode().strip())
"""


def hook(machine: Workstation, *, kept: bool = True) -> str:
    """Seconds that a hook takes, and what it says."""
    machine.write("/root/off", "#clear Aptkeep::Keep;\n")
    env = {} if kept else {"APT_CONFIG": "/root/off"}
    result = machine.run("python3", "-c", TIME, env=env)
    seconds, _blank, said = result.stdout.strip().partition(" ")
    return f"{float(seconds):.3f} {said}".strip()


def timed(machine: Workstation, *command: str) -> str:
    """Seconds that a command takes, its peak memory and the last line that it says."""
    began = time.perf_counter()
    measured = (
        "import resource, subprocess, sys; "
        "done = subprocess.run(sys.argv[1:], stdout=2); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10)"
    )
    result = machine.run("python3", "-c", measured, *command, check=False)
    seconds = time.perf_counter() - began
    last = (result.stderr.splitlines() or [""])[-1][:160]
    return f"{seconds:.2f} s, {result.stdout.strip()} MiB ({last})"


def measure(machine: Workstation, count: int) -> None:
    """One round."""
    machine.boot()
    machine.run("python3", "-c", MAKE, str(count), "/opt/vendor")
    print(f"{count} files; first start", timed(machine, "aptkeep", "start"))
    machine.run("aptkeep", "record")
    machine.run("aptkeep", "record")
    print("  hook, all the image's     ", hook(machine))
    print("  hook, no Aptkeep::Keep    ", hook(machine, kept=False))
    machine.stop()
    machine.boot()
    machine.run("aptkeep", "start")
    machine.run("python3", "-c", MAKE, str(count), "/opt/vendor")
    print("  record, all the user's    ", timed(machine, "aptkeep", "record"))
    machine.run("aptkeep", "record")
    print("  hook, all the user's      ", hook(machine))
    print("  hook, no Aptkeep::Keep    ", hook(machine, kept=False))
    machine.sh("mkdir -p /opt/vendor; echo 1 > /opt/vendor/new")
    print(
        "  hook, one new file        ",
        timed(machine, "/usr/libexec/aptkeep/hook", "DPkg::Post-Invoke"),
    )
    machine.run("aptkeep", "record")
    home = machine.home / ".local/share/aptkeep"
    total = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
    print(
        f"  store: {total} bytes,",
        machine.run("du", "-s", "/home/bench-user").stdout.split()[0],
        "KiB on disk",
    )
    machine.stop()
    machine.boot()
    print("  start, all put back       ", timed(machine, "aptkeep", "start"))
    print("  start, nothing to do      ", timed(machine, "aptkeep", "start"))
    print("  status                    ", timed(machine, "aptkeep", "status", "--json"))
    machine.stop()


def main() -> None:
    """Measure each of the numbers."""
    suite, deb, *counts = sys.argv[1:]
    image = images.without_pool(images.without_archive(images.workstation(suite, Path(deb))))
    image = images.extend(image, "keep-bench", files={SETTING: KEEP.encode()})
    for count in map(int, counts or ("0", "1000", "5000", "10000", "100000")):
        with (
            tempfile.TemporaryDirectory(prefix="aptkeep-bench-") as scratch,
            Workstation(image, scratch=Path(scratch)) as machine,
        ):
            measure(machine, count)


if __name__ == "__main__":
    main()

"""Hundreds of real packages: installed, stopped, and started again with no network at all.

    make deb && python3 tests/bench/many_packages.py trixie build/aptkeep_*.deb

Prints what was installed, what came back and how long it took beside the installation. Exits 1
where a package, a version, a mark or a hold differs.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from cycle.keeping import package_state
from testbed import images
from testbed.workstation import Workstation

PACKAGES = (
    *("build-essential", "cmake", "gdb", "git", "vim", "tmux", "jq", "r-base-core", "ffmpeg"),
    *("imagemagick", "postgresql", "redis-server", "nginx", "python3-pandas", "graphviz"),
)


def main() -> int:
    """Live through one stop and start of a machine with many packages."""
    suite, deb = sys.argv[1], Path(sys.argv[2])
    with (
        tempfile.TemporaryDirectory(prefix="aptkeep-bench-") as scratch,
        Workstation(images.workstation(suite, deb), scratch=Path(scratch)) as machine,
    ):
        machine.boot()
        machine.run("aptkeep", "start")
        image = package_state(machine)
        machine.run("apt-get", "update", "-q")
        machine.run("apt-get", "install", "-qyd", *PACKAGES)
        began = time.perf_counter()
        machine.run("apt-get", "install", "-qy", *PACKAGES)
        installing = time.perf_counter() - began
        began = time.perf_counter()
        machine.run("aptkeep", "record")
        recording = time.perf_counter() - began
        before = package_state(machine)
        machine.stop()
        machine.boot(network=False)
        began = time.perf_counter()
        result = machine.run("aptkeep", "start", check=False)
        starting = time.perf_counter() - began
        after = package_state(machine)
        pooled = machine.run("aptkeep", "status").lines
        added, same = len(before.selections) - len(image.selections), before == after
        print(result.output, *(line for line in pooled if line.startswith("pool")), sep="\n")
        print(
            f"{suite}: {added} packages, installed from downloaded archives in {installing:.1f} s,"
        )
        print(f"all pooled {recording:.1f} s after that, and back without a network")
        print(f"in {starting:.1f} s: {'the same' if same else 'DIFFERENT'}")
    return 0 if before == after and result.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())

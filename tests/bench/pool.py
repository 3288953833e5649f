"""What the pool costs `apt-get install` of some 50 real packages, and what it saves the next start.

    make deb && python3 tests/bench/pool.py trixie build/aptkeep_*.deb

Side by side, in turn, on roots of one image, the archives already downloaded: so neither the
network nor the mirror is in the figures. Prints medians and the spread, in seconds, as Markdown.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from testbed import images
from testbed.workstation import Workstation

PACKAGES = ("git", "vim", "tmux", "htop", "jq", "rsync", "cowsay")
ROUNDS = 9
KEEP = {"pool on": "all", "pool off": "none"}


def main() -> None:
    """Measure one suite with one package of aptkeep."""
    suite, deb = sys.argv[1], Path(sys.argv[2])
    image = images.workstation(suite, deb)
    with tempfile.TemporaryDirectory(prefix="aptkeep-bench-") as directory:
        scratch = Path(directory)
        count = _download(image, scratch)
        times: dict[str, list[float]] = {name: [] for name in KEEP}
        for _round in range(ROUNDS):
            for name, keep in KEEP.items():
                with _machine(image, scratch, keep) as machine:
                    began = time.perf_counter()
                    machine.run("apt-get", "install", "-qy", "--no-download", *PACKAGES)
                    times[name].append(time.perf_counter() - began)
                    machine.run("aptkeep", "record")  # whatever goes on behind ends before the next
        print(f"| {suite}, {count} packages | median | lowest | highest |")
        print("| --- | --- | --- | --- |")
        for name, found in times.items():
            figures = (statistics.median(found), min(found), max(found))
            print(f"| {name} | {' | '.join(f'{figure:.2f}' for figure in figures)} |")
        on, off = (statistics.median(found) for found in times.values())
        print(f"\nratio of the medians: {on / off:.3f}")


def _download(image: images.Image, scratch: Path) -> int:
    """Fetch lists and archives once; how many packages there are to install."""
    with Workstation(image, scratch=scratch / "download") as machine:
        machine.boot()
        machine.run("apt-get", "update", "-q")
        machine.run("apt-get", "install", "-qyd", *PACKAGES)
        for name, place in (("lists", "var/lib/apt/lists"), ("archives", "var/cache/apt/archives")):
            shutil.copytree(machine.root / place, scratch / name)
    return len(list((scratch / "archives").glob("*.deb")))


@contextmanager
def _machine(image: images.Image, scratch: Path, keep: str) -> Iterator[Workstation]:
    home = Path(tempfile.mkdtemp(dir=scratch))
    with Workstation(image, scratch=home) as machine:
        machine.boot()
        machine.run("aptkeep", "start")
        machine.write("/etc/apt/apt.conf.d/90pool", f'Aptkeep::Pool::Keep "{keep}";\n')
        for name, place in (("lists", "var/lib/apt/lists"), ("archives", "var/cache/apt/archives")):
            shutil.copytree(scratch / name, machine.root / place, dirs_exist_ok=True)
        machine.run("apt-cache", "policy", "git")  # apt's caches are made
        yield machine
    shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()

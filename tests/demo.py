"""`make demo`: a whole workstation life in a throwaway root, shown as it happens.

Everything is real: Debian's own packages from the mirror of this machine, a signed repository over
http, dpkg, apt. The root is an overlay in private namespaces; nothing on this machine changes.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from testbed import images
from testbed.packages import TinyPackage, build
from testbed.repository import Repository, SigningKey
from testbed.workstation import Workstation

SUITE = os.environ.get("DEMO_SUITE", "trixie")
KEEP = {"/etc/apt/apt.conf.d/90keep": b'Aptkeep::Keep { "/usr/local"; };\n'}
SCRIPT = "cd /usr/local/bin; echo 'echo from no package at all' > script; chmod +x script"
OWN_TOOL = TinyPackage("own-tool", "1.0", files={"usr/share/own-tool": "this one, too\n"})
SHOWN = ("dpkg --get-selections", "dpkg-query -W", "apt-mark showmanual", "apt-mark showhold")


def main() -> int:
    """Show it; 0 if everything came back as it was."""
    deb = Path(os.environ["APTKEEP_DEB"])
    say(f"A Debian {SUITE} image with {deb.name} in it (the first time, this takes a minute)")
    image = images.extend(images.workstation(SUITE, deb), "demo", files=KEEP)
    with tempfile.TemporaryDirectory(dir=images.cache_directory()) as place:
        scratch = Path(place)
        key = SigningKey.generate(scratch / "gnupg", "Demo Vendor <vendor@example.org>")
        vendor = Repository(scratch / "vendor", key)
        with vendor, Workstation(image, scratch=scratch / "machine") as machine:
            vendor.publish(
                TinyPackage("vendor-tool", "2.1", files={"usr/share/vendor-tool": "it works\n"})
            )
            return live(machine, vendor, scratch)


def live(machine: Workstation, vendor: Repository, scratch: Path) -> int:
    """Start, use, stop, start again."""
    say("First start. The machine runs one line: aptkeep start")
    machine.boot()
    show(machine, "aptkeep start")

    say("The user works with plain apt: Debian packages, a vendor's repository with its key,")
    print("   a .deb that no repository has, and a program that comes from no package")
    vendor.install_source(machine, "vendor")
    show(machine, "sudo apt-get update", user=True)
    show(machine, "sudo apt-get install -y cowsay tree", user=True)
    show(machine, "sudo apt-mark hold tree", user=True)
    show(machine, "sudo apt-get install -y vendor-tool", user=True)
    machine.copy_in(build(OWN_TOOL, scratch), "/tmp/own-tool.deb")  # noqa: S108 - the root's own
    show(machine, "sudo dpkg -i /tmp/own-tool.deb", user=True)
    show(machine, f'sudo sh -c "{SCRIPT}"', user=True)
    show(machine, "sudo apt-get purge -y mount", user=True)
    show(machine, "/usr/games/cowsay I will be back", user=True, output=True)
    before = state(machine)

    say("aptkeep has seen it all, and spoken not once")
    show(machine, "aptkeep history", output=True)
    show(machine, "aptkeep doctor", output=True)

    say("Stop: the machine runs one line, aptkeep record; then its root file system is destroyed,")
    print("   and /home/bench-user is all that stays")
    show(machine, "aptkeep record", output=True)
    machine.stop()

    say("Start from the fresh image, without any network")
    machine.boot(network=False)
    show(machine, "sh -c 'test -e /usr/games/cowsay || echo there is no cowsay here'", output=True)
    show(machine, "aptkeep start", output=True)
    show(machine, "/usr/games/cowsay I am back", user=True, output=True)
    show(machine, "cat /usr/share/vendor-tool /usr/share/own-tool", output=True)
    show(machine, "script", user=True, output=True)
    show(machine, "aptkeep status", output=True)

    after = state(machine)
    same = before == after
    say(
        "Selections, versions, marks and holds are what they were before the stop"
        if same
        else "Something is not what it was before the stop"
    )
    for command in SHOWN:
        if before[command] != after[command]:
            print(f"  {command}: {sorted(set(before[command]) ^ set(after[command]))}")
    return 0 if same else 1


def state(machine: Workstation) -> dict[str, list[str]]:
    """What the comparison is about, line by line."""
    return {command: machine.run(*command.split()).lines for command in SHOWN}


def show(machine: Workstation, command: str, *, user: bool = False, output: bool = False) -> None:
    """Run a command on the machine as a person would see it."""
    print(f"  {'$' if user else '#'} {command}", flush=True)
    with stopwatch() as seconds:
        result = machine.run(*shlex.split(command), user=machine.user if user else None)
    if output:
        for line in (result.stdout + result.stderr).splitlines():
            print(f"    {line}")
    if seconds():
        print(f"    ({seconds():.1f} s)", flush=True)


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """How many seconds the block took, if that was long enough to be noticed."""
    begun = time.monotonic()
    taken: list[float] = []
    yield lambda: taken[0] if taken and taken[0] >= 0.5 else 0
    taken.append(time.monotonic() - begun)


def say(text: str) -> None:
    """A headline."""
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

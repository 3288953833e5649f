"""A machine for the use cases: a root in a directory, and a home with a store in it.

All is real but two things: apt and dpkg never ran on the root (their files are written by hand),
and the uid that the store must belong to is the test's own instead of root's.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from aptkeep.machine.apt.config import Configuration, Settings
from aptkeep.machine.state import State
from aptkeep.model import Generation, Manifest
from aptkeep.record import Recorded, record
from aptkeep.store import generations
from aptkeep.store.tree import open_store
from unit.machine.fake_root import FakeRoot
from unit.machine.test_dpkg import paragraph

STORE = ".local/share/aptkeep"
SOURCES = "etc/apt/sources.list.d"


class Machine:
    """A root and a home, as a test changes and records them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = directory / "home"
        self.home.mkdir()
        self.settings = Settings(home=str(self.home), lock_timeout=0.01)
        self.packages: dict[str, str] = {}
        self.fresh_root()

    def fresh_root(self) -> None:
        """Throw the root away: the next one has the image's packages only."""
        shutil.rmtree(self.directory / "root", ignore_errors=True)
        (self.directory / "root").mkdir()
        self.root = FakeRoot(self.directory / "root")
        self.root.write("etc/os-release", "ID=debian\nVERSION_CODENAME=trixie\n")
        self.packages = {"vim": paragraph("vim", "install ok installed", "1")}
        self._write_status()

    @property
    def configuration(self) -> Configuration:
        """apt's configuration on this root."""
        return replace(self.root.configuration, settings=self.settings)

    @property
    def state(self) -> State:
        """What aptkeep knows on this root."""
        return State(self.root.paths.state)

    @property
    def store_path(self) -> Path:
        """Where the store is, or would be."""
        return self.home / STORE

    def install(self, name: str, version: str = "1", status: str = "install ok installed") -> None:
        """What dpkg leaves of an installation."""
        self.packages[name] = paragraph(name, status, version)
        self._write_status()

    def purge(self, name: str) -> None:
        """What dpkg leaves of a purge: nothing."""
        del self.packages[name]
        self._write_status()

    def _write_status(self) -> None:
        self.root.write("var/lib/dpkg/status", "".join(self.packages.values()))

    def record(self, door: str = "DPkg::Post-Invoke", *, thorough: bool = False) -> Recorded:
        """What the hook does."""
        return record(self.configuration, door, thorough=thorough)

    def newest(self) -> Manifest:
        """What is wanted by now."""
        with open_store(str(self.home), STORE) as store:
            return generations.newest(store).manifest

    def generation(self, number: int) -> Generation:
        """One generation."""
        with open_store(str(self.home), STORE) as store:
            return generations.load(store, number)

    def numbers(self) -> list[int]:
        """The generations that there are."""
        if not self.store_path.exists():
            return []
        with open_store(str(self.home), STORE) as store:
            return generations.numbers(store)

"""A snapshot service: earlier states of a repository, as apt's snapshot services serve them."""

from __future__ import annotations

import shutil
from pathlib import Path

from testbed.place import Place, inside
from testbed.repository import Repository


class Snapshots(Place):
    """What was kept of a repository, by time.

    `/ID/…` is the newest state that was kept at ID or before; there is none before the first. IDs
    are UTC timestamps such as 20261124T093216Z.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir()
        super().__init__()

    @property
    def template(self) -> str:
        """The value of `Acquire::Snapshots::URI::Host::…`. apt needs the slash at its end."""
        return f"{self.uri}/@SNAPSHOTID@/"

    @property
    def asked(self) -> set[str]:
        """The IDs that were asked for so far."""
        return {path.split("/")[1] for path in self.requests}

    def keep(self, repository: Repository, identifier: str) -> None:
        """Keep what the repository serves now. It replaces what was kept under the same ID."""
        self.discard(identifier)
        shutil.copytree(repository.served, self._directory / identifier)

    def discard(self, identifier: str) -> None:
        """Keep what was kept under that ID no more."""
        shutil.rmtree(self.state(identifier), ignore_errors=True)

    def state(self, identifier: str) -> Path:
        """The tree that is kept under exactly that ID. For tests that damage it."""
        return self._directory / identifier

    def file(self, path: str) -> Path:
        """As the base says."""
        asked, _, below = path[1:].partition("/")
        kept = [tree for tree in self._directory.iterdir() if tree.name <= asked]
        if not kept:
            raise FileNotFoundError(path)
        return inside(max(kept), below)

"""What a restore offers to apt beside, or instead of, the repositories: checked .deb files.

They lie in a directory on the root that is a flat repository to apt: its index is put straight into
a directory of package lists, so that nothing needs to be fetched for it, and apt's own lists,
sources and caches stay as they are. Any apt since 1.1 reads it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from aptkeep.machine.apt.config import Paths

ORIGIN = "aptkeep"
"""The `Origin` of what is staged, for pins and to tell it from what repositories offer."""
DIRECTORY = "staged"
"""Below aptkeep's state directory."""
PREFERENCES = "preferences-"
"""How the name of a directory there begins that holds the pins of one run of apt."""


_INSTALLED_SIZE = re.compile(r"^(Installed-Size:\s*)(\d+)", re.IGNORECASE | re.MULTILINE)


class Staging:
    """The staging area of one restore. Use it as a context manager: it's gone afterwards."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._place = os.path.join(paths.state, DIRECTORY)
        self.debs = os.path.join(self._place, "debs")
        """Where checked .deb files are to be put."""
        self.versions: dict[str, str] = {}
        """What is staged: name to version."""
        self._paragraphs: dict[str, str] = {}

    def __enter__(self) -> Staging:
        self._remove()
        for name in (self.debs, os.path.join(self._place, "sources"), self._lists("partial")):
            os.makedirs(name, mode=0o755)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def add(self, name: str, version: str, paragraph: str) -> None:
        """Offer a file in `debs`, by its paragraph of a Packages index."""
        self.versions[name] = version
        self._paragraphs[name] = paragraph.strip("\n")

    def set_apart(self, name: str) -> None:
        """Let apt see that another archive's package of this version is not the same.

        Before 2.7 it goes by the dependencies and this size, and mixes up their hashes.
        """
        paragraph, changed = _INSTALLED_SIZE.subn(
            lambda match: f"{match[1]}{int(match[2]) + 1}", self._paragraphs[name], count=1
        )
        self._paragraphs[name] = paragraph if changed else f"{paragraph}\nInstalled-Size: 1"

    def alone(self) -> dict[str, str]:
        """apt's options for which there's nothing but what is staged."""
        self._lay_out(sources=[], lists=[])
        return {**self._options(), "Dir::Etc::SourceList": os.devnull}

    def with_repositories(self) -> dict[str, str]:
        """apt's options for what is staged and all that its own sources and lists offer."""
        paths = self._paths
        self._lay_out(sources=_below(paths.sources_parts), lists=_below(paths.lists))
        return {**self._options(), "Dir::Etc::SourceList": paths.sources_list}

    def of_snapshot(self, identifier: str) -> dict[str, str]:
        """apt's options for its own sources as a snapshot service has them of one moment.

        A service that doesn't answer is not waited for; its files have expired long ago.
        """
        lists = os.path.join(self._place, "snapshot")
        shutil.rmtree(lists, ignore_errors=True)
        os.makedirs(os.path.join(lists, "partial"), mode=0o755)
        _link(_below(self._paths.lists), lists)
        return {
            "APT::Snapshot": identifier,
            "Dir::State::lists": os.path.join(lists, ""),
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
            "Acquire::Check-Valid-Until": "false",
            "Acquire::Retries": "0",
            "Acquire::http::Timeout": "10",
            "Acquire::https::Timeout": "10",
        }

    def _options(self) -> dict[str, str]:
        return {
            "Dir::Etc::SourceParts": os.path.join(self._place, "sources"),
            "Dir::State::lists": self._lists(""),
            "Dir::Cache::pkgcache": os.path.join(self._place, "pkgcache.bin"),
            "Dir::Cache::srcpkgcache": os.path.join(self._place, "srcpkgcache.bin"),
        }

    def _lists(self, name: str) -> str:
        return os.path.join(self._place, "lists", name)

    def _lay_out(self, sources: list[str], lists: list[str]) -> None:
        """Links to apt's own files, so that their owners and modes go on counting, and ours."""
        for directory, originals in (("sources", sources), ("lists", lists)):
            for entry in os.scandir(os.path.join(self._place, directory)):
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)
            _link(originals, os.path.join(self._place, directory))
        source = f"deb [trusted=yes] file:{self.debs} ./\n"
        self._write("sources", "aptkeep-staged.list", source)
        # As apt itself names them (URItoFileName).
        listed = f"{self.debs.replace('_', '%5f').replace('/', '_')}_._"
        self._write("lists", f"{listed}Release", f"Origin: {ORIGIN}\nLabel: {ORIGIN}\n")
        packages = "".join(f"{paragraph}\n\n" for paragraph in self._paragraphs.values())
        self._write("lists", f"{listed}Packages", packages)
        for cache in ("pkgcache.bin", "srcpkgcache.bin"):
            if os.path.exists(os.path.join(self._place, cache)):
                os.unlink(os.path.join(self._place, cache))

    def _write(self, directory: str, name: str, content: str) -> None:
        path = os.path.join(self._place, directory, name)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # never through a link to one of apt's own
        with open(path, "x", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(content)

    def _remove(self) -> None:
        shutil.rmtree(self._place, ignore_errors=True)


def remove_leftovers(state: str) -> None:
    """Delete what a restore that was killed had laid out for apt. The caller holds the lock."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(state):
            if name == DIRECTORY or name.startswith(PREFERENCES):
                shutil.rmtree(os.path.join(state, name), ignore_errors=True)


def _link(originals: Iterable[str], directory: str) -> None:
    for original in originals:
        os.symlink(original, os.path.join(directory, os.path.basename(original)))


def _below(directory: str) -> list[str]:
    """The files in a directory of apt's, less its lock, which apt would not take through a link."""
    try:
        entries = [entry for entry in os.scandir(directory) if entry.is_file()]
        return [entry.path for entry in entries if entry.name != "lock"]
    except FileNotFoundError:
        return []

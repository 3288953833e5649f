"""What apt really said, on the releases that we know: `samples/RELEASE.txt`, in parts by name."""

from __future__ import annotations

import functools
from pathlib import Path

RELEASES = ("bookworm", "trixie")


@functools.cache
def _parts(release: str) -> dict[str, str]:
    path = Path(__file__).parent / "samples" / f"{release}.txt"
    _preface, *parts = path.read_text(encoding="utf-8").split("\n=== ")
    return {name: text + "\n" for name, _, text in (part.partition("\n") for part in parts)}


def sample(release: str, name: str) -> str:
    """One thing that apt said."""
    return _parts(release)[name]


def names(release: str, prefix: str) -> list[str]:
    """The samples whose names begin so."""
    return [name for name in _parts(release) if name.startswith(prefix)]

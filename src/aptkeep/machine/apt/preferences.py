"""The pins of one run: the user's own, and before them what must not move (apt_preferences(5))."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from aptkeep.machine.apt.staging import ORIGIN
from aptkeep.machine.dpkg import qualified

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aptkeep.machine.apt.config import Paths

_PRIORITY = 1001
"""Above 1000 a pin holds even where it means to downgrade."""


def write(
    directory: str,
    paths: Paths,
    versions: Mapping[str, str],
    native: str,
    *,
    staged: Collection[str] = (),
) -> None:
    """Fill the empty `directory` with a pin of each package to its version, and the user's pins.

    A package of `staged` is pinned to what is staged of it, should another archive have the same
    version with other content.

    Of several pins for one package, apt takes the first; it reads the files in order of their
    names.
    """
    with open(os.path.join(directory, "00aptkeep"), "w", encoding="ascii") as stream:
        for name, version in sorted(versions.items()):
            pins = [(f"version {version}", _PRIORITY)]
            if name in staged:
                pins.insert(0, (f"release o={ORIGIN}", _PRIORITY + 1))
            stream.writelines(
                f"Package: {qualified(name, native)}\nPin: {pin}\nPin-Priority: {priority}\n\n"
                for pin, priority in pins
            )
    sources = [(paths.preferences, "10user")]
    if os.path.isdir(paths.preferences_parts):
        sources += [
            (os.path.join(paths.preferences_parts, name), f"20{name}")
            for name in sorted(os.listdir(paths.preferences_parts))
        ]
    for source, name in sources:
        if os.path.isfile(source):
            shutil.copyfile(source, os.path.join(directory, name))

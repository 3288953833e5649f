"""The control files of apt and dpkg, paragraph by paragraph, as libapt itself reads them.

On the hook path: 900 paragraphs take 2 ms.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import apt_pkg

from aptkeep.errors import CorruptError

if TYPE_CHECKING:
    from collections.abc import Iterator


def fields(path: str, names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The values of the fields `names` in each paragraph of the file; "" where one is missing.

    What is no UTF-8, as a file's name may be, is decoded as names are. A file that isn't there has
    no paragraphs. Raises CorruptError for one that can't be parsed.
    """
    try:
        stream = open(path, "rb")  # noqa: SIM115 - closed by the with below
    except FileNotFoundError:
        return
    try:
        with stream, apt_pkg.TagFile(stream, bytes=True) as paragraphs:
            for paragraph in paragraphs:
                yield tuple(os.fsdecode(paragraph.get(name) or b"") for name in names)
    except apt_pkg.Error as error:
        raise CorruptError(
            f"{path} can't be read: {error}",
            details="apt can't read it either; nothing was done",
            resolution=f"put a good copy back, such as {path}-old or one of /var/backups",
        ) from error

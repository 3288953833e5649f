"""The control files of apt and dpkg, paragraph by paragraph, as libapt itself reads them.

On the hook path: 900 paragraphs take 2 ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import apt_pkg

if TYPE_CHECKING:
    from collections.abc import Iterator


def fields(path: str, names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The values of the fields `names` in each paragraph of the file; "" where one is missing.

    A file that isn't there has no paragraphs. Raises apt_pkg.Error for one that can't be parsed.
    """
    try:
        stream = open(path, "rb")  # noqa: SIM115 - closed by the with below
    except FileNotFoundError:
        return
    with stream, apt_pkg.TagFile(stream) as paragraphs:
        for paragraph in paragraphs:
            yield tuple(paragraph.get(name, "") for name in names)

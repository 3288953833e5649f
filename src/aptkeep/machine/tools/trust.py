"""What root may run: only what nobody else could have changed."""

from __future__ import annotations

import os
import stat

_STAFF = 50
"""Debian's group for /usr/local, which can become root by it (policy 9.1.2)."""


def only_roots(path: str) -> bool:
    """Whether nobody but root could put another file there, on the way or behind its links."""
    seen = set()
    waiting = [path]
    while waiting:
        path = os.path.normpath(waiting.pop())
        if path in seen:
            continue
        seen.add(path)
        above = os.path.dirname(path)
        if path != "/":
            waiting.append(above)
        try:
            status = os.lstat(path)
            mode = status.st_mode
            if stat.S_ISLNK(mode):
                waiting.append(os.path.join(os.path.realpath(above), os.readlink(path)))
                mode = 0
        except OSError:
            return False
        others = mode & stat.S_IWOTH or (mode & stat.S_IWGRP and status.st_gid not in {0, _STAFF})
        if status.st_uid != 0 or others:
            return False
    return True

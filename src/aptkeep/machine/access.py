"""Whether an account can read a file, as its mode and those on the way say."""

from __future__ import annotations

import os
import pwd
import stat


def closed(path: str, user: str) -> str | None:
    """What keeps `user` from a file, or from going through a directory; None: nothing.

    That's the first of the directories on the way that's closed, or the path itself. What isn't
    there keeps nobody from it, nor does anything keep root or an account that isn't there.
    """
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return None
    if account.pw_uid == 0:
        return None
    current = ""
    for part in path.strip("/").split("/"):
        current = f"{current}/{part}"
        try:
            found = os.stat(current)
        except OSError:
            return None
        wanted = stat.S_IXOTH if stat.S_ISDIR(found.st_mode) else stat.S_IROTH
        if found.st_uid == account.pw_uid:
            wanted <<= 6
        elif found.st_gid == account.pw_gid:
            wanted <<= 3
        if not found.st_mode & wanted:
            return current
    return None

"""What root's commands and hooks take from whoever called them: next to nothing. On the hook path.

sudo -E, su without a dash or an image's ENV hand on what a user chose; a program of root's must
not look for others, or put its temporary files, where that leads.
"""

from __future__ import annotations

import os
import re
import stat

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEPT = re.compile(
    # How to speak to whom, through which proxy, on whose behalf, with which configuration of apt's.
    r"LANG|LANGUAGE|LC_[A-Z]+|TERM|COLUMNS|LINES|NO_COLOR|(https?|ftp|no)_proxy|APT_CONFIG"
    r"|SUDO_UID|PKEXEC_UID|DOAS_USER|DPKG_[A-Z_]+|NOTIFY_SOCKET|APTKEEP_[A-Z_]+"
)


def settle() -> None:
    """Set umask and environment, for root; nobody else is harmed by their own."""
    os.umask(0o022)
    if os.geteuid() != 0:
        return
    temporary = os.environ.get("TMPDIR", "")
    for name in list(os.environ):
        if not _KEPT.fullmatch(name):
            del os.environ[name]
    os.environ |= {"PATH": PATH, "HOME": "/root"}
    if is_roots(temporary):
        os.environ["TMPDIR"] = temporary


def is_roots(path: str) -> bool:
    """Whether nobody but root can put something else in the place of a directory, or in it."""
    if not os.path.isabs(path):
        return False
    current = os.path.realpath(path)
    while True:
        try:
            found = os.lstat(current)
        except OSError:
            return False
        shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or shared:
            return False
        if current == "/":
            return True
        current = os.path.dirname(current)

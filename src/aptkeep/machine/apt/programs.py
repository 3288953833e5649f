"""Whether apt could live with a file of its configuration. Off the hook path.

A file that apt can't parse, or a hook whose program isn't there, makes every apt run fail.
"""

from __future__ import annotations

import os
import re
import tempfile

import apt_pkg

_SETTING = re.compile(r'^(\S+) "(.*)";$', re.MULTILINE)
_RUNS_PROGRAMS = re.compile(r"invoke|pre-install-pkgs|auto-?detect|::hooks::", re.IGNORECASE)


def unusable(content: bytes) -> str | None:
    """Why a file of apt.conf(5) must not be put in place on this root, or None if it may."""
    with tempfile.NamedTemporaryFile(prefix="aptkeep-") as copy:
        copy.write(content)
        copy.flush()
        parsed = apt_pkg.Configuration()
        try:
            apt_pkg.read_config_file(parsed, copy.name)
        except apt_pkg.Error as error:
            return f"apt can't read it: {error}"
        try:
            dumped = parsed.dump()
        except UnicodeDecodeError:
            return "it holds a value that is no UTF-8"
    for name, value in _SETTING.findall(dumped):
        program = value.split()[0] if value.strip() else ""
        if _RUNS_PROGRAMS.search(name) and program.startswith("/") and not os.path.exists(program):
            return f"it runs {program}, which is not on this machine, and apt would fail"
    return None

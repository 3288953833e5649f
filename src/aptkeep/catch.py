"""What apt calls right before dpkg: the .deb files are linked, so that nobody deletes the last one.

Imports next to nothing: this is the one hook that every package of every apt run waits for.
"""

from __future__ import annotations

import os
import sys

from aptkeep.machine import incoming

STATE = "/var/lib/aptkeep"
STAGED = f"{STATE}/staged/"
"""Where a restore lays out for apt what the pool has: it needn't be caught again."""


def main() -> None:
    """Read apt's hook protocol from standard input and make entries of the files that it names."""
    protocol = os.fsdecode(sys.stdin.buffer.read()).split("\n")  # even if it's all for nothing
    if not os.path.exists(f"{STATE}/baseline.json"):
        return
    options = dict(line.partition("=")[::2] for line in protocol[: _end_of_options(protocol)])
    keep = options.get("Aptkeep::Pool::Keep") or "all"
    archives = _archives(options)
    paths = [
        path
        for path in incoming.of_protocol(protocol)
        if not path.startswith(STAGED) and not (keep == "local" and path.startswith(archives))
    ]
    if keep != "none" and paths:
        os.umask(0o022)
        incoming.catch(STATE, paths, archives=archives)


def _end_of_options(protocol: list[str]) -> int:
    return protocol.index("") if "" in protocol else len(protocol)


def _archives(options: dict[str, str]) -> str:
    """`Dir::Cache::archives`, as apt joins it (apt.conf(5)), with a slash at its end."""
    parts = (options.get(name, "") for name in ("Dir", "Dir::Cache", "Dir::Cache::archives"))
    return os.path.join("/", *parts, "")

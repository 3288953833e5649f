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
    end = protocol.index("") if "" in protocol else len(protocol)
    options = {name.lower(): _unquoted(value) for name, value in map(_split, protocol[:end])}
    keep = options.get("aptkeep::pool::keep") or "all"
    archives = _archives(options)
    paths = [
        path
        for path in incoming.of_protocol(protocol)
        if not path.startswith(STAGED)
        and not (keep == "local" and incoming.is_fetched(path, archives))
    ]
    if keep != "none" and paths:
        os.umask(0o022)
        incoming.catch(STATE, paths, archives=archives)


def _split(option: str) -> tuple[str, str]:
    name, _equals, value = option.partition("=")
    return name, value


def _unquoted(value: str) -> str:
    """A value as it was before apt quoted it like a part of a URI."""
    first, *others = os.fsencode(value).split(b"%")
    try:
        quoted = [bytes.fromhex(part[:2].decode("ascii")) + part[2:] for part in others]
    except ValueError:
        return value  # it wasn't quoted
    return os.fsdecode(first + b"".join(quoted))


def _archives(options: dict[str, str]) -> str:
    """`Dir::Cache::archives`, as apt joins it (apt.conf(5)), with a slash at its end."""
    parts = (options.get(name, "") for name in ("dir", "dir::cache", "dir::cache::archives"))
    return os.path.join("/", *parts, "")

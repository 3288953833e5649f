"""What this machine's own apt says about the Debian archive and about proxies."""

from __future__ import annotations

import functools
import os
import platform
import re

from testbed import commands

REPOSITORY_ADDRESSES = tuple(f"127.0.0.{number}" for number in range(2, 34))
"""Where local repositories are."""


class NoMirror(Exception):  # noqa: N818  (reads as the fact that it states)
    """This machine's apt names no Debian archive."""


@functools.lru_cache(maxsize=1)
def mirror() -> str:
    """The site of the Debian archive, without a slash at the end.

    `$APTKEEP_TESTBED_MIRROR`, else the archive of the running release as `apt-get indextargets`
    names it, which reads one-line and deb822 sources alike. Raises `NoMirror`.
    """
    named = os.environ.get("APTKEEP_TESTBED_MIRROR")
    if named:
        return named.rstrip("/")
    release = platform.freedesktop_os_release()
    # Testing and unstable carry no code name of their own in every file, hence the other names.
    plain = {release.get("VERSION_CODENAME", ""), "testing", "unstable", "sid"} - {""}
    template = "$(RELEASE)\t$(COMPONENT)\t$(REPO_URI)"
    targets = commands.run(
        "apt-get", "indextargets", "--format", template, "Created-By: Packages", check=False
    )
    found = [line.split("\t") for line in targets.lines if line.count("\t") == 2]
    for suite, component, uri in found:
        if suite in plain and component == "main" and release.get("ID") == "debian":
            return uri.rstrip("/")
    raise NoMirror(
        "this machine's apt sources name no Debian archive for its own release; "
        "name one in APTKEEP_TESTBED_MIRROR, such as http://MIRROR/debian"
    )


@functools.lru_cache(maxsize=1)
def proxy_configuration() -> str:
    """apt.conf lines that pass this machine's proxies on to a root, empty without a proxy.

    A proxy that a script detects (`Proxy-Auto-Detect`) is not. Local repositories stay reachable:
    loopback addresses are never asked for through it.
    """
    dumped = commands.run("apt-config", "dump", check=False).lines
    lines = [
        line for line in dumped if re.match(r'Acquire::(https?|ftp)::Proxy(::\S+)? "[^"]+";', line)
    ]
    named = {line.split()[0] for line in lines}
    for scheme in ("http", "https"):
        variable = os.environ.get(f"{scheme}_proxy")
        if variable and f"Acquire::{scheme}::Proxy" not in named:
            lines.append(f'Acquire::{scheme}::Proxy "{variable}";')
    if not lines:
        return ""
    local = (*REPOSITORY_ADDRESSES, "localhost")
    lines += [f'Acquire::http::Proxy::{host} "DIRECT";' for host in local]
    return "\n".join(lines) + "\n"


def resolver_configuration() -> str:
    """This machine's resolv.conf, empty if it has none."""
    try:
        with open("/etc/resolv.conf", encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""

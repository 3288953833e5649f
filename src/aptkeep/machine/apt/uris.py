"""URIs as apt's sources and command lines hold them. On the hook path."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"://[^/\s]*@")
_LONGEST = 8000
"""Characters of a command line that are kept: some name a thousand files."""


def without_credentials(text: str) -> str:
    """`text` with every user and password taken out of its URIs; they're never printed or kept."""
    return _CREDENTIALS.sub("://", text)


def command_line(text: str) -> str:
    """A command line as it may be kept and printed."""
    shown = without_credentials(text)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"

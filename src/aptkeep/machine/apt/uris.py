"""URIs as apt's sources and command lines hold them. On the hook path."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"://[^/@\s]*@")


def without_credentials(text: str) -> str:
    """`text` with every user and password taken out of its URIs; they're never printed or kept."""
    return _CREDENTIALS.sub("://", text)

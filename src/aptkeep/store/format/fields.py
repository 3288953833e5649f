"""Holding JSON to what it has to be. On the hook path."""

from __future__ import annotations

import re
from typing import Any

SHA256 = re.compile(r"[0-9a-f]{64}")


def members(document: Any, required: str, optional: str = "") -> None:  # noqa: ANN401 - JSON
    """Hold an object to its members: all of `required`, of others those in `optional` only."""
    found, needed = set(typed(document, dict)), set(required.split())
    if not needed <= found or found - needed - set(optional.split()):
        raise ValueError(f"members {', '.join(sorted(found ^ needed))}")


def without_nothing(**values: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """The members that have a value."""
    return {name: value for name, value in values.items() if value is not None}


def typed(value: Any, kind: type) -> Any:  # noqa: ANN401 - JSON
    """`value`, which must be of that kind; True and False are no numbers."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def matching(value: Any, pattern: re.Pattern[str]) -> str:  # noqa: ANN401 - JSON
    """`value`, which must be text that the pattern matches as a whole."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{value!r}")
    return value


def absolute(path: Any) -> str:  # noqa: ANN401 - JSON
    """`path`, which must be absolute and lead nowhere by `..`."""
    parts = path.split("/")
    if parts[0] or ".." in parts or len(parts) == 1 or "\0" in path:
        raise ValueError(f"{path!r} is no absolute path")
    return str(path)

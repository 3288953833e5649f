"""Words in messages to people. Pure."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """`1 package`, `2 packages`, `0 preferences`."""
    return f"{number} {noun}" + ("" if number == 1 or noun.endswith("s") else "s")


def printable(text: str) -> str:
    """`text` on one line, with everything that a terminal might obey made visible."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)

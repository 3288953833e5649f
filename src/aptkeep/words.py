"""Words in messages to people. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def counted(number: int, noun: str) -> str:
    """`1 package`, `2 packages`, `0 preferences`."""
    return f"{number} {noun}" + ("" if number == 1 or noun.endswith("s") else "s")


def size(number: int) -> str:
    """A number of bytes: `812 bytes`, `20.7 kB`, `1.3 GB`."""
    units = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3))
    for unit, factor in units:
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return counted(number, "byte")


def grouped(reasons: Iterable[tuple[str, str]]) -> list[str]:
    """`a, b: reason` for each reason: the same one is said once, however many it holds for.

    Packages are all named; of many paths only the first ones.
    """
    subjects: dict[str, list[str]] = {}
    for subject, reason in reasons:
        subjects.setdefault(reason, []).append(subject)
    return [f"{', '.join(_without_many(names))}: {reason}" for reason, names in subjects.items()]


def _without_many(names: list[str]) -> list[str]:
    paths = [name for name in names if name.startswith("/")]
    if len(paths) <= _MANY:
        return names
    others = [name for name in names if not name.startswith("/")]
    return [*others, *paths[:_SHOWN], f"{len(paths) - _SHOWN} more files"]


def some(names: Iterable[str], text: str) -> str:
    """`a, b, c and 14 more: text`."""
    shown = [_shortened(name) for name in names]
    more = len(shown) - _SHOWN
    listed = ", ".join(shown[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return f"{listed}: {text}" if listed else text


_SHOWN, _MANY, _LONG = 3, 20, 120


def _shortened(name: str) -> str:
    return name if len(name) <= _LONG else f"{name[: _LONG // 2]}…{name[-_LONG // 2 :]}"


def printable(text: str) -> str:
    """`text` on one line, with everything that a terminal might obey made visible."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)

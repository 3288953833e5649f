"""Words in messages to people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aptkeep.words import counted, printable


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "package", "0 packages"),
        (1, "package", "1 package"),
        (2, "package", "2 packages"),
        (1, "preferences", "1 preferences"),
        (2, "preferences", "2 preferences"),
    ],
)
def test_counting(number: int, noun: str, text: str) -> None:
    assert counted(number, noun) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain and ünïcode", "plain and ünïcode"),
        ("two\nlines", r"two\nlines"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("back\rover", r"back\rover"),
        ("\x9bcsi", r"\x9bcsi"),
        ("turned \u202e round", r"turned \u202e round"),
        ("line\u2028separator", r"line\u2028separator"),
        ("lone \udc80 surrogate", r"lone \udc80 surrogate"),
        ("\0", r"\x00"),
    ],
)
def test_nothing_that_a_terminal_obeys_gets_through(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_what_is_printable_is_one_line_that_can_be_printed(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert printable(shown) == shown


@given(st.text(st.characters(whitelist_categories=["L", "N", "P", "S"])))
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert printable(text) == text

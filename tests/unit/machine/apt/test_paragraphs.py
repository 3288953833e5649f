"""The control files of apt and dpkg, as libapt itself reads them."""

from __future__ import annotations

import pytest

from aptkeep.errors import CorruptError
from aptkeep.machine.apt import paragraphs
from unit.machine.fake_root import FakeRoot

NAMES = ("Package", "Version")


def read(root: FakeRoot, text: str | bytes) -> list[tuple[str, ...]]:
    """The fields of a file with this content."""
    return list(paragraphs.fields(root.write("file", text), NAMES))


def test_fields_in_the_order_that_was_asked_for(root: FakeRoot) -> None:
    text = "Version: 1\nPackage: a\nMore: x\n\nPackage: b\nVersion: 2\n"
    assert read(root, text) == [("a", "1"), ("b", "2")]


def test_a_field_that_is_missing_is_empty(root: FakeRoot) -> None:
    assert read(root, "Package: a\n\nVersion: 2\n") == [("a", ""), ("", "2")]


def test_names_of_fields_in_any_case(root: FakeRoot) -> None:
    assert read(root, "PACKAGE: a\nversion: 1\n") == [("a", "1")]


@pytest.mark.parametrize("text", ["", "\n", "\n\n\n"])
def test_a_file_without_paragraphs(root: FakeRoot, text: str) -> None:
    """libapt may see an empty one in empty lines."""
    assert read(root, text) in ([], [("", "")])


def test_a_file_that_is_not_there(root: FakeRoot) -> None:
    assert list(paragraphs.fields(str(root.path / "gone"), NAMES)) == []


def test_a_file_that_is_none_says_so(root: FakeRoot) -> None:
    with pytest.raises(CorruptError):
        read(root, b"\x7fELF" + b"\0" * 200)

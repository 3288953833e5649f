"""The JSON Schema that ships with aptkeep says what the decoder does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings

from aptkeep.errors import CorruptError
from aptkeep.model import FileKind, Generation, Selection
from aptkeep.store.format import codec
from aptkeep.store.format.codec import encode
from aptkeep.store.format.validate import schema, validate
from unit.store.format import documents
from unit.store.format.documents import BAD, GENERATION, bad, signed

PATH = "generations/000007.json"


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(schema())


def test_something_of_everything_follows_the_schema() -> None:
    validate(encode(GENERATION), PATH)


@given(documents.generations)
@settings(max_examples=30)
def test_whatever_is_encoded_follows_the_schema(generation: Generation) -> None:
    validate(encode(generation), PATH)


@pytest.mark.parametrize("fault", BAD)
def test_what_the_decoder_refuses_the_schema_refuses(fault: str) -> None:
    document = bad(fault, codec.to_document(GENERATION))
    with pytest.raises(CorruptError) as caught:
        validate(signed(document), PATH)
    assert PATH in caught.value.brief
    assert caught.value.resolution


@pytest.mark.parametrize("checksum", [None, "", "sha256:", "sha256:" + "A" * 64, "md5:" + "a" * 32])
def test_a_checksum_has_its_shape(checksum: str | None) -> None:
    document = {**codec.to_document(GENERATION), "checksum": checksum}
    with pytest.raises(CorruptError, match="checksum"):
        validate(json.dumps(document).encode(), PATH)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"null", b"{}"])
def test_what_is_no_document_is_refused(content: bytes) -> None:
    with pytest.raises(CorruptError):
        validate(content, PATH)


def _objects(part: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - JSON
    if isinstance(part, dict):
        if part.get("type") == "object":
            yield part
        for inner in part.values():
            yield from _objects(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _objects(inner)


def test_the_schema_leaves_no_object_open() -> None:
    assert all("additionalProperties" in part for part in _objects(schema()))


def test_the_schema_knows_the_words_of_the_model() -> None:
    text = json.dumps(schema())
    for word in (*Selection, *FileKind):
        assert f'"{word.value}"' in text

"""A generation as JSON, and back; and nothing but a whole generation."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aptkeep.errors import CorruptError
from aptkeep.model import FileKind, Generation, KeptFile, Manifest
from aptkeep.store.format import codec
from aptkeep.store.format.codec import NewerSchemaError, decode, encode
from unit.made import TRIXIE, wish
from unit.store.format import documents
from unit.store.format.documents import BAD, GENERATION, bad, signed

PATH = "generations/000007.json"


def document() -> dict[str, Any]:
    """The document of something of everything."""
    return codec.to_document(GENERATION)


# -- round trips


def test_what_was_encoded_is_decoded() -> None:
    assert decode(encode(GENERATION), PATH) == GENERATION


@given(documents.generations)
def test_whatever_was_encoded_is_decoded(generation: Generation) -> None:
    assert decode(encode(generation), PATH) == generation


@given(documents.generations)
@settings(max_examples=30)
def test_encoding_is_stable(generation: Generation) -> None:
    """The same generation is the same file, so that diff(1) and signatures are of use."""
    content = encode(generation)
    assert encode(decode(content, PATH)) == content
    assert content.isascii()
    assert content.endswith(b"}\n")


def test_the_checksum_is_what_the_schema_says() -> None:
    content = encode(GENERATION)
    assert json.loads(content) == json.loads(signed(json.loads(content)))


def test_each_wish_has_lines_of_its_own() -> None:
    more = {**GENERATION.manifest.packages, "zsh": wish(auto=False, image="5")}
    changed = replace(GENERATION, manifest=replace(GENERATION.manifest, packages=more))
    old, new = (set(encode(g).splitlines()) for g in (GENERATION, changed))
    assert {line for line in old - new if b"checksum" not in line} == set()
    assert any(b'"zsh"' in line for line in new - old)


@pytest.mark.parametrize("name", ["my_tool", "My_Tool", "g++", "libstdc++6:i386", "0ad", "a.b"])
def test_every_name_that_dpkg_takes_is_taken(name: str) -> None:
    generation = replace(GENERATION, manifest=Manifest({name: wish(auto=True, image="1")}))
    assert decode(encode(generation), PATH) == generation


@pytest.mark.parametrize("mode", [0o1644, 0o2644, 0o4755, 0o7777])
def test_what_can_not_be_decoded_is_not_encoded_in_secret(mode: int) -> None:
    """It may be refused at once, or written so that it can be read; never written to be lost."""
    kept = KeptFile(FileKind.SOURCE, "a" * 64, mode, release=TRIXIE.release)
    generation = replace(GENERATION, manifest=Manifest(files={"/etc/apt/sources.list": kept}))
    with pytest.raises((CorruptError, ValueError)):
        assert decode(encode(generation), PATH) != generation


# -- strictness


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_document_is_refused(fault: str) -> None:
    with pytest.raises(CorruptError) as caught:
        decode(signed(bad(fault, document())), PATH)
    assert PATH in caught.value.brief


def test_the_table_is_made_from_a_good_document() -> None:
    assert decode(signed(document()), PATH) == GENERATION


@pytest.mark.parametrize("schema", [2, 3, 10**9, 10**30])
def test_a_schema_of_the_future_is_refused_whatever_else_is_in_it(schema: int) -> None:
    for future in ({**document(), "schema": schema}, {"schema": schema, "all": ["new"]}):
        for content in (signed(future), json.dumps(future).encode()):
            with pytest.raises(NewerSchemaError, match=str(schema)):
                decode(content, PATH)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        b"null",
        b"[]",
        b"{}",
        b'"text"',
        b"1",
        b"NaN",
        b'{"schema": NaN}',
        b'{"schema": 1e400}',
        b'{"schema": 1}',
        b'{"schema": true}',
        b'{"schema": 1, "checksum": "sha256:"}',
        b'{"schema": 1, "checksum": null}',
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"schema":1,"a":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"schema":1,"a":' + b"[" * 980 + b"]" * 980 + b"}",
        b'{"schema": ' + b"1" * 5000 + b"}",
    ],
)
def test_what_is_no_generation_is_refused(content: bytes) -> None:
    with pytest.raises((CorruptError, NewerSchemaError)):
        decode(content, PATH)


def test_a_generation_that_was_cut_off_anywhere_is_refused() -> None:
    content = encode(GENERATION)
    for length in range(len(content) - 2):  # what is left out at the end is white space
        with pytest.raises(CorruptError):
            decode(content[:length], PATH)


@given(st.data())
def test_a_generation_of_which_a_byte_changed_is_refused(data: st.DataObject) -> None:
    content = bytearray(encode(GENERATION))
    where = data.draw(st.integers(0, len(content) - 1))
    content[where] ^= 1 << data.draw(st.integers(0, 7))
    try:
        changed = json.loads(bytes(content))
    except ValueError:
        changed = None
    if changed != json.loads(encode(GENERATION)):  # another blank is no other document
        with pytest.raises((CorruptError, NewerSchemaError)):
            decode(bytes(content), PATH)


@given(st.binary(max_size=200))
def test_only_the_two_errors_escape_from_any_bytes(content: bytes) -> None:
    with pytest.raises((CorruptError, NewerSchemaError)):
        decode(content, PATH)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | documents.texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(documents.texts, inner, max_size=3),
    max_leaves=8,
)


@given(_json)
def test_only_the_two_errors_escape_from_any_json(value: object) -> None:
    with pytest.raises((CorruptError, NewerSchemaError)):
        decode(json.dumps(value).encode(), PATH)


@given(st.data(), _json)
@settings(max_examples=300)
def test_only_the_two_errors_escape_where_anything_stands_in_place_of_anything(
    data: st.DataObject, value: object
) -> None:
    """Somewhere in a good document, signed anew, so that only the content can be refused."""
    changed: Any = document()
    place, key = changed, data.draw(st.sampled_from(sorted(changed)))
    while isinstance(place[key], (dict, list)) and place[key] and data.draw(st.booleans()):
        place = place[key]
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
    place[key] = value
    try:
        generation = decode(signed(changed), PATH)
    except (CorruptError, NewerSchemaError):
        return
    assert decode(encode(generation), PATH) == generation

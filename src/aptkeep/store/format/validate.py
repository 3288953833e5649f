"""Validation of generations against the JSON Schema that ships with aptkeep.

The one room of jsonschema, and never on the hook path: importing it takes 120 ms.
"""

from __future__ import annotations

import json
from importlib import resources

import jsonschema

from aptkeep.errors import CorruptError

SCHEMA_FILE = "schema-v1.json"


def schema() -> dict[str, object]:
    """The JSON Schema (draft-07) of a generation."""
    text = resources.files(__package__).joinpath(SCHEMA_FILE).read_text(encoding="utf-8")
    parsed: dict[str, object] = json.loads(text)
    return parsed


def validate(content: bytes, path: str) -> None:
    """Raise CorruptError where the file of a generation doesn't follow the schema."""
    try:
        jsonschema.validate(json.loads(content), schema(), cls=jsonschema.Draft7Validator)
    except (ValueError, jsonschema.ValidationError) as error:
        where = getattr(error, "json_path", "$")
        message = getattr(error, "message", str(error))
        raise CorruptError(
            f"{path} does not follow the schema: {where}: {message}",
            details="nothing was done",
            resolution="go back to a generation that does: 'aptkeep history', 'aptkeep rollback N'",
        ) from error

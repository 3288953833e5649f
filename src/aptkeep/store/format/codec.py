"""A generation as JSON, and back. On the hook path: standard library only.

Decoding is strict: whatever isn't a whole generation of this schema raises CorruptError. The
JSON Schema beside this module says the same in public, and `validate` holds the two together.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from aptkeep.errors import CorruptError, UntrustedError
from aptkeep.model import (
    FileGone,
    FileKind,
    Generation,
    KeptFile,
    Manifest,
    Occasion,
    PackageWish,
    Platform,
    Request,
    Selection,
)

SCHEMA = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PACKAGE_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*(:[a-z0-9][a-z0-9-]*)?")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*")
_VERSION = re.compile(r"[A-Za-z0-9.+:~-]+")


class NewerSchemaError(UntrustedError):
    """The generation was written by a newer aptkeep; it's left alone."""


def encode(generation: Generation) -> bytes:
    """The file of a generation: one line for each wish, so that diff(1) is of use."""
    document = to_document(generation)
    document["checksum"] = _checksum(document)
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


def decode(content: bytes, path: str) -> Generation:
    """The generation that a file holds.

    Raises CorruptError for anything but a whole one, NewerSchemaError for a schema of the future.
    """
    document = parse(content, path)
    try:
        return _from_document(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _corrupt(path, f"unexpected content: {error}") from error


def parse(content: bytes, path: str) -> dict[str, Any]:
    """The JSON document of a generation, its schema number and checksum verified."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _corrupt(path, "it is cut off or no JSON") from error
    if not isinstance(document, dict) or not isinstance(document.get("schema"), int):
        raise _corrupt(path, "it is no manifest")
    if document["schema"] > SCHEMA:
        raise NewerSchemaError(
            f"{path} has schema {document['schema']}; this aptkeep knows {SCHEMA}",
            details="it was written by a newer aptkeep and is left untouched; nothing was done",
            resolution="install a newer aptkeep in the image",
        )
    checksum = document.pop("checksum", None)
    if checksum != _checksum(document):
        raise _corrupt(path, "its checksum does not match")
    return document


def to_document(generation: Generation) -> dict[str, Any]:
    """The JSON document of a generation, without its checksum."""
    release = generation.platform.release
    manifest = generation.manifest
    return {
        "schema": SCHEMA,
        "generation": generation.number,
        "recorded": {
            "at": generation.occasion.at,
            "door": generation.occasion.door,
            "requests": [
                {"command": request.command, "user": request.user}
                for request in generation.occasion.requests
            ],
        },
        "platform": {
            "distribution": generation.platform.distribution,
            "codename": generation.platform.codename,
            "architecture": generation.platform.architecture,
        },
        "packages": {
            name: _without_nothing(
                selection=wish.selection.value if wish.selection else None,
                version=wish.version,
                auto=wish.auto,
                image_version=wish.image_version,
                release=_unless(wish.release, release),
            )
            for name, wish in manifest.packages.items()
        },
        "architectures": dict(manifest.architectures),
        "files": {path: _encode_file(kept, release) for path, kept in manifest.files.items()},
    }


def _encode_file(kept: KeptFile | FileGone, release: str) -> dict[str, Any]:
    if isinstance(kept, FileGone):
        return _without_nothing(kind="gone", release=_unless(kept.release, release))
    return _without_nothing(
        kind=kept.kind.value,
        sha256=kept.sha256,
        mode=f"{kept.mode:04o}",
        package=kept.package,
        release=_unless(kept.release, release),
    )


def _from_document(document: dict[str, Any]) -> Generation:
    number = _typed(document["generation"], int)
    recorded, platform = document["recorded"], Platform(**document["platform"])
    for value in (platform.distribution, platform.codename, platform.architecture):
        _typed(value, str)
    return Generation(
        number=number,
        occasion=Occasion(
            at=_typed(recorded["at"], str),
            door=_typed(recorded["door"], str),
            requests=tuple(
                Request(_typed(request["command"], str), _optional(request["user"], str))
                for request in recorded["requests"]
            ),
        ),
        platform=platform,
        manifest=Manifest(
            packages={
                _matching(name, _PACKAGE_NAME): _decode_wish(wish, platform.release)
                for name, wish in document["packages"].items()
            },
            architectures={
                _matching(name, _ARCHITECTURE): _typed(wanted, bool)
                for name, wanted in document["architectures"].items()
            },
            files={
                _absolute(path): _decode_file(kept, platform.release)
                for path, kept in document["files"].items()
            },
        ),
    )


def _decode_wish(wish: dict[str, Any], release: str) -> PackageWish:
    selection, version = wish.get("selection"), wish.get("version")
    return PackageWish(
        selection=None if selection is None else Selection(selection),
        version=None if version is None else _matching(version, _VERSION),
        auto=_optional(wish.get("auto"), bool),
        image_version=_optional(wish.get("image_version"), str),
        release=_typed(wish.get("release", release), str),
    )


def _decode_file(kept: dict[str, Any], release: str) -> KeptFile | FileGone:
    recorded_on = _typed(kept.get("release", release), str)
    if kept["kind"] == "gone":
        return FileGone(recorded_on)
    mode = int(_typed(kept["mode"], str), 8)
    if mode & ~0o777:
        raise ValueError(f"mode {mode:o}")
    return KeptFile(
        kind=FileKind(kept["kind"]),
        sha256=_matching(kept["sha256"], _SHA256),
        mode=mode,
        package=_optional(kept.get("package"), str),
        release=recorded_on,
    )


def _checksum(document: dict[str, Any]) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def _without_nothing(**values: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {name: value for name, value in values.items() if value is not None}


def _unless(value: str, default: str) -> str | None:
    return None if value == default else value


def _typed(value: Any, kind: type) -> Any:  # noqa: ANN401 - JSON
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _optional(value: Any, kind: type) -> Any:  # noqa: ANN401 - JSON
    return None if value is None else _typed(value, kind)


def _matching(value: Any, pattern: re.Pattern[str]) -> str:  # noqa: ANN401 - JSON
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{value!r}")
    return value


def _absolute(path: Any) -> str:  # noqa: ANN401 - JSON
    parts = path.split("/")
    if parts[0] or ".." in parts or len(parts) < 2 or "\0" in path:  # noqa: PLR2004
        raise ValueError(f"{path!r} is no absolute path")
    return str(path)


def _corrupt(path: str, reason: str) -> CorruptError:
    return CorruptError(
        f"{path} is damaged: {reason}",
        details="it is passed over; the newest whole generation before it counts",
        resolution="nothing; see 'aptkeep history' for what is there",
    )

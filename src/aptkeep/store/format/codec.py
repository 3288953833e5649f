"""A generation as JSON, and back. On the hook path: standard library only.

Decoding is strict: whatever isn't a whole generation of this schema raises CorruptError. The
JSON Schema beside this module says the same in public, and `validate` holds the two together.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from aptkeep.errors import CorruptError, UntrustedError
from aptkeep.model import (
    FileGone,
    FileKind,
    Generation,
    KeptFile,
    KeptTree,
    Manifest,
    Occasion,
    OwnDeb,
    PackageWish,
    Platform,
    PublicKey,
    Request,
    Selection,
)
from aptkeep.store.format.fields import SHA256, absolute, matching, members, typed, without_nothing

if TYPE_CHECKING:
    from aptkeep.store.seal import Seal

SCHEMA = 1
_PURPOSE = "generation"
# What dpkg takes (pkg_name_is_illegal, parseversion), not only what Debian policy allows.
_PACKAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*(:[a-z0-9][a-z0-9-]*)?")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~_-]*")
_MODE = re.compile(r"0[0-7]{3}")
_FINGERPRINT = re.compile(r"[0-9A-F]{32,64}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


class NewerSchemaError(UntrustedError):
    """The generation was written by a newer aptkeep; it's left alone."""


def encode(generation: Generation, seal: Seal | None = None) -> bytes:
    """The file of a generation: one line for each wish, so that diff(1) is of use."""
    document = to_document(generation)
    if seal is not None:
        document["signature"] = seal.sign(_PURPOSE, _canonical(document))
    document["checksum"] = _checksum(document)
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


def decode(content: bytes, path: str, seal: Seal | None = None) -> Generation:
    """The generation that a file holds.

    Raises CorruptError for anything but a whole one, NewerSchemaError for a schema of the future,
    UntrustedError for one that isn't signed as `seal` demands.
    """
    document = parse(content, path)
    signature = document.pop("signature", None)
    if seal is not None:
        seal.check(_PURPOSE, _canonical(document), signature, path)
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
    schema = document.get("schema") if isinstance(document, dict) else None
    if type(schema) is not int or schema < SCHEMA:
        raise _corrupt(path, "it is no manifest")
    if schema > SCHEMA:
        raise NewerSchemaError(
            f"{path} has schema {schema}; this aptkeep knows {SCHEMA}",
            details="it was written by a newer aptkeep and is left untouched; nothing was done",
            resolution="install a newer aptkeep in the image",
        )
    assert isinstance(document, dict)  # noqa: S101 - it has a schema
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
            name: without_nothing(
                selection=wish.selection.value if wish.selection else None,
                version=wish.version,
                auto=wish.auto,
                image_version=wish.image_version,
                release=_unless(wish.release, release),
                deb=wish.deb.value if wish.deb else None,
                absent=wish.absent or None,
            )
            for name, wish in manifest.packages.items()
        },
        "architectures": dict(manifest.architectures),
        "files": {path: _encode_file(kept, release) for path, kept in manifest.files.items()},
        **without_nothing(tree=_encode_tree(manifest.tree)),
    }


def _encode_file(kept: KeptFile | FileGone, release: str) -> dict[str, Any]:
    if isinstance(kept, FileGone):
        return without_nothing(kind="gone", release=_unless(kept.release, release))
    return without_nothing(
        kind=kept.kind.value,
        sha256=kept.sha256,
        mode=f"{kept.mode:04o}",
        package=kept.package,
        release=_unless(kept.release, release),
        keys=[_encode_key(key) for key in kept.keys] or None,
        proven=kept.proven,
    )


def _encode_tree(tree: KeptTree | None) -> dict[str, Any] | None:
    if tree is None:
        return None
    return {"sha256": tree.sha256, "nodes": tree.nodes, "size": tree.size}


def _encode_key(key: PublicKey) -> dict[str, Any]:
    return without_nothing(
        fingerprint=key.fingerprint,
        user_id=key.user_id,
        expires=key.expires,
        revoked=key.revoked or None,
    )


def _from_document(document: dict[str, Any]) -> Generation:
    members(document, "schema generation recorded platform packages architectures files", "tree")
    platform = _decode_platform(document["platform"])
    return Generation(
        number=_positive(document["generation"]),
        occasion=_decode_occasion(document["recorded"]),
        platform=platform,
        manifest=Manifest(
            packages={
                matching(name, _PACKAGE_NAME): _decode_wish(wish, platform.release)
                for name, wish in document["packages"].items()
            },
            architectures={
                matching(name, _ARCHITECTURE): typed(wanted, bool)
                for name, wanted in document["architectures"].items()
            },
            files={
                absolute(path): _decode_file(kept, platform.release)
                for path, kept in document["files"].items()
            },
            tree=_decode_tree(document["tree"]) if "tree" in document else None,
        ),
    )


def _decode_platform(platform: dict[str, Any]) -> Platform:
    members(platform, "distribution codename architecture")
    return Platform(
        typed(platform["distribution"], str),
        typed(platform["codename"], str),
        matching(platform["architecture"], _ARCHITECTURE),
    )


def _decode_occasion(recorded: dict[str, Any]) -> Occasion:
    members(recorded, "at door requests")
    requests = []
    for request in typed(recorded["requests"], list):
        members(request, "command user")
        user = None if request["user"] is None else typed(request["user"], str)
        requests.append(Request(typed(request["command"], str), user))
    at = matching(recorded["at"], _TIME)
    return Occasion(at, typed(recorded["door"], str), tuple(requests))


def _decode_wish(wish: dict[str, Any], release: str) -> PackageWish:
    members(wish, "", "selection version auto image_version release deb absent")
    return PackageWish(
        selection=Selection(wish["selection"]) if "selection" in wish else None,
        version=matching(wish["version"], _VERSION) if "version" in wish else None,
        auto=typed(wish["auto"], bool) if "auto" in wish else None,
        image_version=typed(wish["image_version"], str) if "image_version" in wish else None,
        release=typed(wish.get("release", release), str),
        deb=OwnDeb(wish["deb"]) if "deb" in wish else None,
        absent=typed(wish.get("absent", False), bool),
    )


def _decode_file(kept: dict[str, Any], release: str) -> KeptFile | FileGone:
    recorded_on = typed(kept.get("release", release), str)
    if kept["kind"] == "gone":
        members(kept, "kind", "release")
        return FileGone(recorded_on)
    members(kept, "kind sha256 mode", "package release keys proven")
    return KeptFile(
        kind=FileKind(kept["kind"]),
        sha256=matching(kept["sha256"], SHA256),
        mode=int(matching(kept["mode"], _MODE), 8),
        package=typed(kept["package"], str) if "package" in kept else None,
        release=recorded_on,
        keys=tuple(_decode_key(key) for key in typed(kept.get("keys", []), list)),
        proven=matching(kept["proven"], _DAY) if "proven" in kept else None,
    )


def _decode_tree(tree: dict[str, Any]) -> KeptTree:
    members(tree, "sha256 nodes size")
    return KeptTree(
        sha256=matching(tree["sha256"], SHA256),
        nodes=typed(tree["nodes"], int),
        size=typed(tree["size"], int),
    )


def _decode_key(key: dict[str, Any]) -> PublicKey:
    members(key, "fingerprint user_id", "expires revoked")
    return PublicKey(
        fingerprint=matching(key["fingerprint"], _FINGERPRINT),
        user_id=typed(key["user_id"], str),
        expires=matching(key["expires"], _DAY) if "expires" in key else None,
        revoked=typed(key.get("revoked", False), bool),
    )


def _checksum(document: dict[str, Any]) -> str:
    return "sha256:" + hashlib.sha256(_canonical(document)).hexdigest()


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _unless(value: str, default: str) -> str | None:
    return None if value == default else value


def _positive(value: Any) -> int:  # noqa: ANN401 - JSON
    number: int = typed(value, int)
    if number < 1:
        raise ValueError(f"{number} is not positive")
    return number


def _corrupt(path: str, reason: str) -> CorruptError:
    return CorruptError(
        f"{path} is damaged: {reason}",
        details="it is passed over; the newest whole generation before it counts",
        resolution="nothing needs to be done; 'aptkeep history' lists what is there",
    )

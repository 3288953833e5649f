"""Generations as JSON documents: good ones, and every way in which one can be bad."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from aptkeep.model import (
    FileGone,
    FileKind,
    Generation,
    KeptFile,
    Manifest,
    Occasion,
    OwnDeb,
    PackageWish,
    Platform,
    PublicKey,
    Request,
    Selection,
)
from unit.made import BOOKWORM, TRIXIE, held_off, wish

Document = dict[str, Any]
_TRUE = json.loads("true")

GENERATION = Generation(
    7,
    Occasion(
        "2026-11-24T06:03:30Z",
        "DPkg::Post-Invoke",
        (Request("apt install vim", "bench-user"), Request("dpkg -i x.deb")),
    ),
    TRIXIE,
    Manifest(
        {
            "vim": wish(Selection.INSTALL, "2:9.1-1+b1~deb13", auto=False),
            "libc6:i386": wish(Selection.HOLD, auto=True, image="2.41", on=BOOKWORM),
            "nano": wish(Selection.PURGE, image="7.2"),
            "snapd": held_off("2.68"),
            "tool": wish(Selection.INSTALL, "1.0", auto=False, deb=OwnDeb.LOCAL),
        },
        {"i386": True, "armhf": False},
        {
            "/etc/apt/sources.list.d/vendor.list": KeptFile(
                FileKind.SOURCE, "a" * 64, 0o644, release=TRIXIE.release, proven="2026-11-24"
            ),
            "/usr/share/keyrings/vendor.gpg": KeptFile(
                FileKind.KEY,
                "b" * 64,
                0o600,
                "vendor-keyring",
                BOOKWORM.release,
                (PublicKey("A" * 40, "Vendor <v@example.org>", "2030-01-01", revoked=True),),
            ),
            "/etc/apt/sources.list": FileGone(TRIXIE.release),
        },
    ),
)
"""Something of everything."""


def signed(document: Document) -> bytes:
    """The file of a document, with the checksum that the schema describes."""
    bare = {name: value for name, value in document.items() if name != "checksum"}
    canonical = json.dumps(bare, sort_keys=True, separators=(",", ":"))
    checksum = "sha256:" + hashlib.sha256(canonical.encode("ascii")).hexdigest()
    return json.dumps({**bare, "checksum": checksum}).encode()


def _delete(*keys: str) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        inner = document
        for key in keys[:-1]:
            inner = inner[key]
        del inner[keys[-1]]

    return change


def _set(value: object, *keys: str | int) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        inner: Any = document
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value

    return change


def _delete_in_key(member: str) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        del document["files"]["/usr/share/keyrings/vendor.gpg"]["keys"][0][member]

    return change


_SOURCE = ("files", "/etc/apt/sources.list.d/vendor.list")
_KEY = ("files", "/usr/share/keyrings/vendor.gpg")
_GONE = ("files", "/etc/apt/sources.list")
_FILE = {"kind": "source", "sha256": "a" * 64, "mode": "0644"}

BAD: dict[str, Callable[[Document], None]] = {
    "an unknown member": _set(1, "comment"),
    "no generation": _delete("generation"),
    "no packages": _delete("packages"),
    "no files": _delete("files"),
    "no architectures": _delete("architectures"),
    "no platform": _delete("platform"),
    "no occasion": _delete("recorded"),
    "schema as a string": _set("1", "schema"),
    "schema 0": _set(0, "schema"),
    "schema -1": _set(-1, "schema"),
    "schema null": _set(None, "schema"),
    "generation 0": _set(0, "generation"),
    "generation -1": _set(-1, "generation"),
    "generation true": _set(_TRUE, "generation"),
    "generation as a string": _set("7", "generation"),
    "generation with a fraction": _set(7.5, "generation"),
    # what, when, who
    "occasion as a list": _set([], "recorded"),
    "no time": _delete("recorded", "at"),
    "no door": _delete("recorded", "door"),
    "no requests": _delete("recorded", "requests"),
    "a local time": _set("2026-11-24 06:03:30", "recorded", "at"),
    "a time with a zone": _set("2026-11-24T06:03:30+00:00", "recorded", "at"),
    "a time in other digits": _set("٢026-11-24T06:03:30Z", "recorded", "at"),
    "a door that is no text": _set(None, "recorded", "door"),
    "a member more in the occasion": _set("x", "recorded", "by"),
    "requests as a text": _set("", "recorded", "requests"),
    "requests as an object": _set({}, "recorded", "requests"),
    "requests null": _set(None, "recorded", "requests"),
    "a request as a text": _set(["apt"], "recorded", "requests"),
    "a request without a user": _set([{"command": "apt"}], "recorded", "requests"),
    "a request without a command": _set([{"user": None}], "recorded", "requests"),
    "a request with more": _set(
        [{"command": "apt", "user": None, "uid": 0}], "recorded", "requests"
    ),
    "a command that is no text": _set([{"command": 1, "user": None}], "recorded", "requests"),
    "a user that is no text": _set([{"command": "apt", "user": 1000}], "recorded", "requests"),
    # where
    "platform as a text": _set("debian", "platform"),
    "no codename": _delete("platform", "codename"),
    "a member more in the platform": _set("13", "platform", "version"),
    "a codename that is no text": _set(13, "platform", "codename"),
    "an architecture in capitals": _set("AMD64", "platform", "architecture"),
    "an architecture of two words": _set("amd64 i386", "platform", "architecture"),
    "an empty architecture": _set("", "platform", "architecture"),
    # packages
    "packages as a list": _set([], "packages"),
    "packages null": _set(None, "packages"),
    "a package name with a blank": _set({}, "packages", "vim nano"),
    "a package name with an option": _set({}, "packages", "-o"),
    "a package name with a path": _set({}, "packages", "../vim"),
    "a package name that is empty": _set({}, "packages", ""),
    "a package name with two architectures": _set({}, "packages", "vim:amd64:i386"),
    "a package name with a foreign letter": _set({}, "packages", "vïm"),
    "a wish as a list": _set([], "packages", "vim"),
    "a wish as a text": _set("install", "packages", "vim"),
    "a wish null": _set(None, "packages", "vim"),
    "a member more in a wish": _set("x", "packages", "vim", "why"),
    "a selection that dpkg doesn't know": _set("keep", "packages", "vim", "selection"),
    "a selection in capitals": _set("INSTALL", "packages", "vim", "selection"),
    "a selection that is no text": _set(["install"], "packages", "vim", "selection"),
    "a selection null": _set(None, "packages", "vim", "selection"),
    "a version null": _set(None, "packages", "vim", "version"),
    "a version with a blank": _set("1 2", "packages", "vim", "version"),
    "a version that is empty": _set("", "packages", "vim", "version"),
    "a version with an option": _set("-1", "packages", "vim", "version"),
    "a version with a path": _set("1/2", "packages", "vim", "version"),
    "a version that is a number": _set(1, "packages", "vim", "version"),
    "a mark as a number": _set(1, "packages", "vim", "auto"),
    "a mark null": _set(None, "packages", "vim", "auto"),
    "an image's version as a number": _set(1, "packages", "vim", "image_version"),
    "an image's version null": _set(None, "packages", "vim", "image_version"),
    "a release null": _set(None, "packages", "vim", "release"),
    "an absence as a number": _set(1, "packages", "snapd", "absent"),
    "an absence null": _set(None, "packages", "snapd", "absent"),
    "a .deb from elsewhere": _set("archive", "packages", "tool", "deb"),
    "a .deb in capitals": _set("LOCAL", "packages", "tool", "deb"),
    "a .deb that is no text": _set(["local"], "packages", "tool", "deb"),
    "a .deb as a truth": _set(_TRUE, "packages", "tool", "deb"),
    "a .deb null": _set(None, "packages", "tool", "deb"),
    # architectures
    "architectures as a list": _set(["i386"], "architectures"),
    "an architecture neither true nor false": _set(1, "architectures", "i386"),
    "an architecture null": _set(None, "architectures", "i386"),
    "an architecture with an option": _set(_TRUE, "architectures", "-i386"),
    "an architecture that is empty": _set(_TRUE, "architectures", ""),
    # files
    "files as a list": _set([], "files"),
    "a relative path": _set(_FILE, "files", "etc/apt/sources.list"),
    "an empty path": _set(_FILE, "files", ""),
    "a path that leads up": _set(_FILE, "files", "/etc/apt/../shadow"),
    "a path that ends upwards": _set(_FILE, "files", "/etc/apt/.."),
    "a path that begins upwards": _set(_FILE, "files", "/../etc/shadow"),
    "a path with a zero": _set(_FILE, "files", "/etc/apt/a\0b"),
    "a file as a text": _set("a" * 64, *_SOURCE),
    "a file null": _set(None, *_SOURCE),
    "a file of no kind": _delete(*_SOURCE, "kind"),
    "a file of an unknown kind": _set("binary", *_SOURCE, "kind"),
    "a file whose kind is no text": _set(1, *_SOURCE, "kind"),
    "a file whose kind is a list": _set(["gone"], *_SOURCE, "kind"),
    "a file without a sum": _delete(*_SOURCE, "sha256"),
    "a file with a short sum": _set("a" * 63, *_SOURCE, "sha256"),
    "a file with a sum in capitals": _set("A" * 64, *_SOURCE, "sha256"),
    "a file with a path for a sum": _set("../" + "a" * 61, *_SOURCE, "sha256"),
    "a file with a sum null": _set(None, *_SOURCE, "sha256"),
    "a file without a mode": _delete(*_SOURCE, "mode"),
    "a mode of three digits": _set("644", *_SOURCE, "mode"),
    "a mode of five digits": _set("00644", *_SOURCE, "mode"),
    "a mode of a set-user-id file": _set("4755", *_SOURCE, "mode"),
    "a mode of a sticky file": _set("1644", *_SOURCE, "mode"),
    "a mode in Python's words": _set("0o644", *_SOURCE, "mode"),
    "a mode with a separator": _set("0_644", *_SOURCE, "mode"),
    "a mode with a blank": _set(" 0644", *_SOURCE, "mode"),
    "a mode with a sign": _set("-644", *_SOURCE, "mode"),
    "a mode that isn't octal": _set("0698", *_SOURCE, "mode"),
    "a mode as a number": _set(0o644, *_SOURCE, "mode"),
    "a member more in a file": _set("root", *_SOURCE, "owner"),
    "a package null": _set(None, *_SOURCE, "package"),
    "a file's release null": _set(None, *_SOURCE, "release"),
    "a proof without a day": _set("yes", *_SOURCE, "proven"),
    "a proof null": _set(None, *_SOURCE, "proven"),
    "keys as an object": _set({}, *_KEY, "keys"),
    "keys null": _set(None, *_KEY, "keys"),
    "a key as a text": _set(["A" * 40], *_KEY, "keys"),
    "a key without a fingerprint": _set([{"user_id": "x"}], *_KEY, "keys"),
    "a key with a short fingerprint": _set("A" * 16, *_KEY, "keys", 0, "fingerprint"),
    "a key with a fingerprint in lower case": _set("a" * 40, *_KEY, "keys", 0, "fingerprint"),
    "a key of nobody": _delete_in_key("user_id"),
    "a key that expires never": _set(None, *_KEY, "keys", 0, "expires"),
    "a key that is revoked perhaps": _set("no", *_KEY, "keys", 0, "revoked"),
    "a member more in a key": _set(1, *_KEY, "keys", 0, "trust"),
    "a deletion with a sum": _set("a" * 64, *_GONE, "sha256"),
    "a deletion with a mode": _set("0644", *_GONE, "mode"),
    "a deletion with a release null": _set(None, *_GONE, "release"),
}
"""Each makes a good document bad; the decoder and the schema are to refuse every one."""


def bad(name: str, good: Document) -> Document:
    """A copy of a good document with the fault of that name."""
    document = copy.deepcopy(good)
    BAD[name](document)
    return document


# -- good ones, made up

texts = st.text(st.characters(blacklist_categories=()), max_size=20)
_names = st.from_regex(r"[a-z0-9][a-z0-9+._-]{0,8}(:[a-z0-9][a-z0-9-]{0,4})?", fullmatch=True)
_architectures = st.from_regex(r"[a-z0-9][a-z0-9-]{0,6}", fullmatch=True)
_versions = st.from_regex(r"([0-9]:)?[A-Za-z0-9][A-Za-z0-9.+~_-]{0,8}", fullmatch=True)
_days = st.dates().map(str)
_wishes = st.builds(
    PackageWish,
    st.none() | st.sampled_from(Selection),
    st.none() | _versions,
    st.none() | st.booleans(),
    st.none() | texts,
    texts | st.just(TRIXIE.release),
    st.none() | st.sampled_from(OwnDeb),
    st.booleans(),
)
_keys = st.builds(
    PublicKey,
    st.from_regex(r"[0-9A-F]{40}([0-9A-F]{24})?", fullmatch=True),
    texts,
    st.none() | _days,
    st.booleans(),
)
_kept = st.builds(
    KeptFile,
    st.sampled_from(FileKind),
    st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    st.integers(0, 0o777),
    st.none() | texts,
    texts | st.just(TRIXIE.release),
    st.lists(_keys, max_size=2).map(tuple),
    st.none() | _days,
)
_paths = (
    st.lists(st.text(st.characters(blacklist_characters="/\0"), min_size=1, max_size=8), min_size=1)
    .filter(lambda parts: ".." not in parts)
    .map(lambda parts: "/" + "/".join(parts))
)
_times = st.datetimes().map(lambda t: t.replace(microsecond=0).isoformat() + "Z")

generations = st.builds(
    Generation,
    st.integers(1, 10**9),
    st.builds(
        Occasion,
        _times,
        texts,
        st.lists(st.builds(Request, texts, st.none() | texts), max_size=2).map(tuple),
    ),
    st.builds(Platform, texts, texts, _architectures) | st.just(TRIXIE),
    st.builds(
        Manifest,
        st.dictionaries(_names, _wishes, max_size=3),
        st.dictionaries(_architectures, st.booleans(), max_size=2),
        st.dictionaries(_paths, _kept | st.builds(FileGone, texts), max_size=3),
    ),
)
"""Every generation that can be recorded, odd names and texts included."""

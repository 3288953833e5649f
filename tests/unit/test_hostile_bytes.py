"""Whatever bytes a parser is given, it understands them or says the error that it documents.

Each is given noise, genuine text that was damaged in a few places, and, where it reads JSON, whole
documents of which single values are others. A traceback in one of them would cost the user what
was to be recorded.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aptkeep import catch
from aptkeep.errors import AptkeepError, CorruptError
from aptkeep.machine import (
    caller,
    dpkg,
    dpkg_runs,
    incoming,
    keys,
    observe,
    openpgp,
    shipped,
    sources,
)
from aptkeep.machine.apt import debfile, history, output, paragraphs, programs
from aptkeep.machine.mounts import Mounts
from aptkeep.machine.run import Completed
from aptkeep.machine.state import State
from aptkeep.machine.tree_state import TreeState
from aptkeep.store import pool, seal
from aptkeep.store.format import codec, listing
from aptkeep.store.pool import Origin, Pool
from aptkeep.store.tree import Directory, Trust
from unit.debs import control, deb
from unit.machine.fake_root import FakeRoot
from unit.store.format.documents import GENERATION

Parse = Callable[[bytes], object]


@dataclass(frozen=True)
class Parser:
    """What reads bytes, some that it understands, and how it may refuse."""

    parse: Parse
    genuine: tuple[bytes, ...]
    errors: tuple[type[Exception], ...] = ()


# -- bytes, and documents --------------------------------------------------------------------------

_TOKENS = st.sampled_from(
    [b"\n", b"\n\n", b"\0", b" ", b":", b"=", b"[", b"]", b"{", b"}", b'"', b",", b"%", b"\\",
     b"\xff", b"\xc3\xa9", b"\x1b[31m", b"-1", b"99999999999999999999", b"1e999", b"NaN", b"null",
     b"\\777", b"\\999", b"<!--", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", b"[" * 20000]
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, genuine: tuple[bytes, ...]) -> bytes:
    """Genuine bytes in which something was deleted, doubled or put in."""
    content = draw(st.sampled_from(genuine))
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(content)))
        end = min(len(content), begin + draw(st.integers(0, 40)))
        between = draw(
            st.sampled_from([b"", content[begin:end] * 2]) | _TOKENS | st.binary(max_size=8)
        )
        content = content[:begin] + between + content[end:]
    return content


def hostile(genuine: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """Noise, and what was genuine once."""
    return st.binary(max_size=60) | damaged(genuine)


_VALUES = st.recursive(
    st.sampled_from([None, True, "", "x", "\ud800", 0, -1, 1 << 70, 0.5, float("nan")]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("x"), inner),
    max_leaves=3,
)


@st.composite
def altered(draw: st.DrawFn, document: Any) -> Any:  # noqa: ANN401 - JSON
    """A document in which one value is another one."""
    if not isinstance(document, (dict, list)) or not document or draw(st.integers(0, 3)) == 0:
        return draw(_VALUES)
    if isinstance(document, list):
        place = draw(st.integers(0, len(document) - 1))
        return [*document[:place], draw(altered(document[place])), *document[place + 1 :]]
    name = draw(st.sampled_from(sorted(document)))
    return {**document, name: draw(altered(document[name]))}


# -- where they stand ------------------------------------------------------------------------------


def in_file(place: str, read: Callable[[FakeRoot], object]) -> Parse:
    """A parser of a file of a root."""

    def parse(content: bytes) -> object:
        with tempfile.TemporaryDirectory() as directory:
            root = FakeRoot(Path(directory))
            root.write(place, content)
            return read(root)

    return parse


def text(read: Callable[[str], object]) -> Parse:
    """A parser of text, as `run` and others decode it."""
    return lambda content: read(content.decode("utf-8", "replace"))


def of_packages(root: FakeRoot) -> object:
    return dpkg.read_packages(root.paths.dpkg_status, root.paths.extended_states, "amd64")


def of_shipped(root: FakeRoot) -> object:
    root.write("var/lib/dpkg/info/tool.list", "/.\n/etc/tool.conf\n")
    paths = ("/etc/tool.conf", "/usr/bin/tool")
    found = shipped.shipped(root.paths.dpkg_directory, root.paths.dpkg_status, paths)
    return [found.is_own(path, [b"x"]) for path in paths]


def of_list(root: FakeRoot) -> object:
    return shipped.shipped(root.paths.dpkg_directory, root.paths.dpkg_status, ("/etc/tool.conf",))


def of_index(root: FakeRoot) -> object:
    descriptor = os.open(f"{root.path}/pool", os.O_RDONLY)
    with Directory(descriptor, "pool", Trust(os.getuid())) as directory:
        return Pool(directory, debfile.control).debs()


def of_open_deb(content: bytes) -> object:
    with tempfile.TemporaryFile() as stream:
        stream.write(content)
        stream.flush()
        return debfile.control(stream.fileno()), debfile.intact(stream.fileno())


def of_gpg(content: bytes) -> object:
    said = Completed(("gpg",), 0, content.decode("utf-8", "replace"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openpgp, "_run", lambda _command: said)
        return openpgp.show(b""), openpgp.verify([b""], "InRelease")


def of_dpkg_log(root: FakeRoot) -> object:
    return list(dpkg_runs.read(root.paths, 0))


def of_protocol(content: bytes) -> object:
    """As the hook reads it, up to where it makes entries."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "baseline.json").touch()
        (Path(directory) / "input").write_bytes(content)
        with open(Path(directory) / "input", encoding="latin-1") as stream:
            patch.setattr(catch, "STATE", directory)
            patch.setattr("sys.stdin", stream)
            patch.setattr(incoming, "catch", lambda *_arguments, **_more: None)
            catch.main()
        return None


def of_user(content: bytes) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUDO_UID", content.replace(b"\0", b"").decode("utf-8", "surrogateescape"))
        return caller.find()


def of_state(name: str, read: Callable[[State], object]) -> Parse:
    return in_file(f"var/lib/aptkeep/{name}", lambda root: read(State(root.paths.state)))


def of_tree_state(name: str, read: Callable[[TreeState], object]) -> Parse:
    return in_file(f"var/lib/aptkeep/{name}", lambda root: read(TreeState(root.paths.state)))


# -- what is read ----------------------------------------------------------------------------------

_STATUS = (
    b"Package: tool\nStatus: install ok installed\nVersion: 1:1.0-1\nArchitecture: amd64\n"
    b"Conffiles:\n /etc/tool.conf d41d8cd98f00b204e9800998ecf8427e\n /etc/x newconffile\n\n"
    b"Package: held\nStatus: hold ok not-installed\nArchitecture: i386\n"
)
_LINE = b"deb [arch=amd64 signed-by=/etc/apt/keyrings/a.gpg,/x.asc] http://h/d stable main # x\n"
_STANZA = (
    b"Types: deb\nURIs: http://h/d\nSuites: stable\nComponents: main\n"
    b"Signed-By:\n -----BEGIN PGP\n .\n x\n"
)
_ARMOR = (
    b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: 1\n\nmQENBF0=\n=abcd\n"
    b"-----END PGP PUBLIC KEY BLOCK-----\n"
)
_KEY = b"\x99\x00\x02xx\xcd\x02xx"
_HISTORY = (
    b"Start-Date: 2026-11-24  06:03:30\nCommandline: apt-get install tool\n"
    b"Requested-By: user (1000)\nInstall: tool:amd64 (1.0)\nEnd-Date: 2026-11-24  06:03:31\n\n"
)
_DPKG_LOG = (
    b"2026-11-24 06:03:30 startup archives unpack\n2026-11-24 06:03:31 status installed tool\n"
)
_PROTOCOL = (
    b"VERSION 3\nAPT::Architecture=amd64\nAptkeep::Pool::Keep=all\nDir::Cache::archives=a%20b\n\n"
    b"tool - - none < 1.0 amd64 none /var/cache/apt/archives/tool_1.0_amd64.deb\n"
)
_COLONS = (
    b"tru::1:1\npub:-:2048:1:0123456789ABCDEF:1500000000:1600000000::-:::scESC::::::23::0:\n"
    b"fpr:::::::::0123456789ABCDEF0123456789ABCDEF01234567:\nuid:-::::1::X::A \\x3a <a@b>::::::0:\n"
    b"[GNUPG:] VALIDSIG 0123 2026-11-24 1 0 4 0 1 8 00 0123\n[GNUPG:] NO_PUBKEY 0123\n"
)
_MOUNTS = b"36 35 98:0 / /mnt\\040x rw,noatime master:1 - ext4 /dev/root rw\n"
_APT = (
    b"E: Failed to fetch http://h/d/dists/stable/InRelease  404\nW: GPG error: http://h/d stable "
    b"InRelease: NO_PUBKEY 1\nInst tool [1.0] (2.0 Debian:13 [amd64])\nRemv old [1]\nConf tool (2)"
    b"\npmstatus:tool:12.5:Unpacking\n"
)
_NODES = {
    "schema": 1,
    "nodes": {
        "/opt/x": {"kind": "file", "sha256": "0" * 64, "mode": "0644", "size": 1, "mtime_ns": 1},
        "/opt/l": {"kind": "link", "target": "x", "capabilities": "00"},
    },
}
_LOOK = {
    "sha256": "x",
    "nodes": {"/x": [1, "file", 420, "", "", "0" * 64, None, "", 1, 1]},
    "shipped": {"/y": [1, 2]},
    "troubles": ["x"],
    "anchor": [1, "x"],
}
_OBSERVED = {
    "platform": ["debian", "trixie", "amd64"],
    "packages": {"tool": ["install", "installed", "1", 0, "amd64"]},
    "architectures": ["i386"],
    "files": {"/etc/apt/x": ["source", "0" * 64, 420, None]},
    "history": [1, 2],
    "unkept": [["x", "y"]],
    "anchor": [1, "x"],
}
_REPORT = {"at": "x", "generation": 1, "pending": [["x", "y"]]}
_TROUBLES = {"said": ["x"], "unsaid": ["y"]}
_RESTORING = {"packages": ["x"], "files": ["/x"], "architectures": []}


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


def _sealed(content: bytes) -> bytes:
    """A document with the right checksum, whatever is in it."""
    document = json.loads(content)
    if isinstance(document, dict):
        document.pop("checksum", None)
        document["checksum"] = codec._checksum(document)  # noqa: SLF001 - to get past it
    return json.dumps(document).encode()


def _looked(content: bytes) -> bytes:
    """A last look as it's kept: in a line what tells whether to read on, then the rest."""
    document = json.loads(content)
    if not isinstance(document, dict):
        return content + b"\n" + content
    rest = {name: document.pop(name) for name in ("nodes", "shipped") if name in document}
    return _json(document) + b"\n" + _json(rest)


def of_paragraph(content: bytes) -> object:
    described = content.decode("utf-8", "surrogateescape")
    return pool._parse(f"{described}\n{pool._CHECKSUM}{pool._sha256(described)}")  # noqa: SLF001


_PARAGRAPH = pool.describe(control(), "0" * 64, 5, Origin.LOCAL, "/x").paragraph.encode()
_DEB = deb(control(), members={"md5sums": "x"}, files={"/f": "x"})


def of_signature(content: bytes) -> None:
    _SEAL.check("x", b"y", content.decode("utf-8", "replace"), "it")


def _pem(kind: str, der: bytes) -> bytes:
    text = base64.encodebytes(der).decode("ascii")
    return f"-----BEGIN {kind} KEY-----\n{text}-----END {kind} KEY-----\n".encode()


_PUBLIC_KEY = bytes.fromhex("302a300506032b6570032100") + bytes(range(32))
_PRIVATE_KEY = bytes.fromhex("302e020100300506032b657004220420") + bytes(range(32))
_OF_A_RARE_CURVE = base64.b64decode(
    "ME4wEAYHKoZIzj0CAQYFK4EEACADOgAElvCyy6dJW0/kq050YUinPE"
    "l0CB0Us3LGWC8zQ7V56HSs1HwnZaJzob9j0fHHFeo5O53FHbvDkWo="
)
_SIGNER = seal._private(_pem("PRIVATE", _PRIVATE_KEY), "x")  # noqa: SLF001 - of a file of root's
_SEAL = seal.Seal("user", {seal.key_id(_SIGNER.public_key()): _SIGNER.public_key()}, _SIGNER)

PARSERS: dict[str, Parser] = {
    "public key": Parser(
        lambda content: seal._public(content, "x"),  # noqa: SLF001
        (_pem("PUBLIC", _PUBLIC_KEY),),
        (AptkeepError,),
    ),
    "public key of another kind": Parser(
        lambda content: seal._public(content, "x"),  # noqa: SLF001
        (_pem("PUBLIC", _OF_A_RARE_CURVE),),
        (AptkeepError,),
    ),
    "private key": Parser(
        lambda content: seal._private(content, "x"),  # noqa: SLF001
        (_pem("PRIVATE", _PRIVATE_KEY),),
        (AptkeepError,),
    ),
    "signature": Parser(of_signature, (_SEAL.sign("x", b"y").encode(),), (AptkeepError,)),
    "generation": Parser(
        partial(codec.decode, path="x"), (codec.encode(GENERATION),), (AptkeepError,)
    ),
    "listing": Parser(listing.decode, (listing.encode({}),), (ValueError,)),
    "listing, unpacked": Parser(
        lambda content: listing.decode(gzip.compress(content)), (_json(_NODES),), (ValueError,)
    ),
    "index of the pool": Parser(in_file("pool/Packages", of_index), (_PARAGRAPH + b"\n\n",)),
    "paragraph of the index": Parser(of_paragraph, (_PARAGRAPH,)),
    "control file": Parser(
        text(lambda said: pool.describe(said, "0" * 64, 5, Origin.LOCAL)),
        (control().encode(), _PARAGRAPH),
        (ValueError,),
    ),
    "deb": Parser(of_open_deb, (_DEB,), (ValueError,)),
    "one-line source": Parser(partial(sources.entries, "x.list"), (_LINE,)),
    "deb822 source": Parser(partial(sources.entries, "x.sources"), (_STANZA,)),
    "keyrings of a source": Parser(partial(sources.keyrings, "x.list"), (_LINE,)),
    "keyring": Parser(keys.unusable, (_ARMOR, _KEY)),
    "keys of a keyring": Parser(keys.primary_keys, (_KEY, _KEY * 2), (ValueError,)),
    "gpg": Parser(of_gpg, (_COLONS,)),
    "status of dpkg": Parser(
        in_file("var/lib/dpkg/status", of_packages), (_STATUS,), (CorruptError,)
    ),
    "extended states": Parser(
        in_file("var/lib/apt/extended_states", of_packages),
        (b"Package: tool\nArchitecture: amd64\nAuto-Installed: 1\n\n",),
        (CorruptError,),
    ),
    "conffiles": Parser(in_file("var/lib/dpkg/status", of_shipped), (_STATUS,), (CorruptError,)),
    "md5sums": Parser(
        in_file("var/lib/dpkg/info/tool.md5sums", of_shipped),
        (b"d41d8cd98f00b204e9800998ecf8427e  etc/tool.conf\n",),
    ),
    "list of files": Parser(
        in_file("var/lib/dpkg/info/x.list", of_list), (b"/.\n/etc/tool.conf\n",)
    ),
    "diversions": Parser(
        in_file("var/lib/dpkg/diversions", of_shipped), (b"/etc/tool.conf\n/etc/x\n:\n",)
    ),
    "ucf's registry": Parser(in_file("var/lib/ucf/registry", of_shipped), (b"tool \t/etc/x\n",)),
    "ucf's hashes": Parser(
        in_file("var/lib/ucf/hashfile", of_shipped),
        (b"d41d8cd98f00b204e9800998ecf8427e  /etc/tool.conf\n",),
    ),
    "architectures": Parser(
        in_file(
            "var/lib/dpkg/arch", lambda r: dpkg.read_architectures(r.paths.dpkg_directory, "amd64")
        ),
        (b"amd64\ni386\n",),
    ),
    "apt's history": Parser(
        in_file(
            "var/log/apt/history.log",
            lambda r: history.requests_since(r.paths.history_log, history.Position()),
        ),
        (_HISTORY,),
    ),
    "runs in apt's history": Parser(in_file("var/log/apt/history.log", of_dpkg_log), (_HISTORY,)),
    "runs in dpkg's log": Parser(in_file("var/log/dpkg.log", of_dpkg_log), (_DPKG_LOG,)),
    "os-release": Parser(
        in_file("etc/os-release", lambda r: observe.read_platform(r.paths.os_release, "amd64")),
        (b'ID=debian\nVERSION_CODENAME="trixie"\n',),
    ),
    "apt's hook protocol": Parser(of_protocol, (_PROTOCOL,)),
    "SUDO_UID": Parser(of_user, (b"1000", b"0")),
    "mount table": Parser(lambda content: Mounts(content.decode("latin-1")), (_MOUNTS,)),
    "what apt says": Parser(
        text(lambda said: (output.failed_repositories(said), output.parse_simulation(said))),
        (_APT,),
    ),
    "apt's progress": Parser(text(output.parse_status), (b"pmstatus:tool:12.5:Unpacking",)),
    "apt.conf": Parser(programs.unusable, (b'DPkg::Post-Invoke { "/bin/true x"; };\n',)),
    "fields": Parser(
        in_file("x", lambda r: list(paragraphs.fields(f"{r.path}/x", ("Package",)))),
        (_STATUS,),
        (CorruptError,),
    ),
    "baseline": Parser(
        of_state("baseline.json", State.baseline), (_json(_OBSERVED),), (CorruptError,)
    ),
    "unfinished restore": Parser(of_state("restoring.json", State.restoring), (_json(_RESTORING),)),
    "unfinished rollback": Parser(of_state("undoing.json", State.undoing), (b'{"generation": 1}',)),
    "last report": Parser(of_state("report.json", State.last_report), (_json(_REPORT),)),
    "troubles": Parser(of_state("pooling.json", State.troubles), (_json(_TROUBLES),)),
    "last start": Parser(
        of_state("started.json", State.last_start), (b'{"machine": "x", "after": 1}',)
    ),
    "last look": Parser(of_tree_state("kept.json", TreeState.last), (_looked(_json(_LOOK)),)),
    "glance": Parser(of_tree_state("kept.json", TreeState.glance), (_looked(_json(_LOOK)),)),
    "kept paths of the image": Parser(
        of_tree_state("kept-image", TreeState.image), (b'["/opt"]\x001 2 3 /opt/x\x00',)
    ),
}


@pytest.mark.parametrize("name", PARSERS)
@given(st.data())
def test_no_bytes_break_a_parser(name: str, data: st.DataObject) -> None:
    parser = PARSERS[name]
    content = data.draw(hostile(parser.genuine))
    with contextlib.suppress(*parser.errors):
        parser.parse(content)


@pytest.mark.parametrize("name", PARSERS)
def test_what_is_genuine_is_understood(name: str) -> None:
    """Else the parsers would refuse all that is above at their doors."""
    for content in PARSERS[name].genuine:
        if "another kind" not in name:
            PARSERS[name].parse(content)


DOCUMENTS: dict[str, tuple[Any, Parse]] = {
    "generation": (
        json.loads(codec.encode(GENERATION)),
        lambda content: codec.decode(_sealed(content), "x"),
    ),
    "listing, unpacked": (_NODES, PARSERS["listing, unpacked"].parse),
    "baseline": (_OBSERVED, PARSERS["baseline"].parse),
    "unfinished restore": (_RESTORING, PARSERS["unfinished restore"].parse),
    "last report": (_REPORT, PARSERS["last report"].parse),
    "troubles": (_TROUBLES, PARSERS["troubles"].parse),
    "last look": (_LOOK, lambda content: PARSERS["last look"].parse(_looked(content))),
}


@pytest.mark.parametrize("name", DOCUMENTS)
@given(st.data())
def test_no_value_breaks_a_parser(name: str, data: st.DataObject) -> None:
    document, parse = DOCUMENTS[name]
    content = json.dumps(data.draw(altered(document))).encode()
    with contextlib.suppress(*PARSERS[name].errors):
        parse(content)

"""The pool: the .deb files that the store keeps, and an apt index of them.

    hello_2.10-3_amd64.0f3ac1b2c3d4.deb …   the name ends in the first digits of its SHA-256
    Packages                                a paragraph for each, as in any flat repository

A file is renamed into the pool when it's whole and on disk, and the index is rewritten after that.
Each paragraph carries a checksum, so a damaged one is never believed: what no whole paragraph
describes, because of a crash or a damaged disk, is read from the files themselves.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from aptkeep.errors import AptkeepError, CorruptError, StoreUnavailableError, UntrustedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from aptkeep.store.seal import Seal
    from aptkeep.store.tree import Directory

SUBDIRECTORY = "pool"
INDEX = "Packages"
_INDEX_LIMIT = 256 << 20
_PIECE = 1 << 20
_NAME = re.compile(r".+\.([0-9a-f]{12})\.deb")
_FIELD = re.compile(r"([!-,.-9;-~][!-9;-~]*)[ \t]*:(.*)")
_CHECKSUM, _SIGNATURE = "Aptkeep-Checksum: ", "Aptkeep-Signature: "
_PURPOSE = "pooled file"
_OURS = re.compile(r"(filename|size|sha\d+|md5sum|aptkeep-.*)", re.IGNORECASE)


class Origin(str, Enum):
    """Where a .deb came from."""

    ARCHIVE = "archive"
    """apt fetched it from a repository."""
    LOCAL = "local"
    """Somebody installed a file; also what nobody knows any more."""
    REBUILT = "rebuilt"
    """dpkg-repack(1) made it of what was installed."""


@dataclass(frozen=True, slots=True)
class PooledDeb:
    """A .deb in the pool."""

    name: str
    version: str
    architecture: str
    filename: str
    size: int
    """Bytes."""
    sha256: str
    origin: Origin
    came_from: str
    """Where it lay when it was installed; empty for what apt fetched."""
    paragraph: str
    """Its paragraph of the index, as apt reads it."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What one .deb of is in the pool: name, version and architecture."""
        return self.name, self.version, self.architecture


class Pool:
    """The pool of one store, opened. Who changes it holds its directory's lock."""

    def __init__(self, directory: Directory, control: Callable[[int], str]) -> None:
        """`control` gives the control file of the .deb in a descriptor, or raises ValueError."""
        self.directory = directory
        self._control = control

    def debs(self, *, indexed_only: bool = False) -> list[PooledDeb]:
        """Everything in the pool, in the order in which it came.

        What the index doesn't describe is read whole, unless it's not wanted (`indexed_only`).
        Of two files of one package, version and architecture, the one that came last counts.
        """
        names = set(self.directory.names())
        found = {deb.filename: deb for deb in self._indexed() if deb.filename in names}
        if not indexed_only:
            for name in sorted(names - found.keys()):
                deb = self._read(name)
                if deb is not None:
                    found[name] = deb
        newest: dict[tuple[str, str, str], PooledDeb] = {}
        for deb in found.values():
            rival = newest.get(deb.key)
            if rival is None or self._came(rival) <= self._came(deb):
                newest.pop(deb.key, None)
                newest[deb.key] = deb
        return list(newest.values())

    def mended(self) -> list[PooledDeb]:
        """Everything in the pool; the index is whole then, and what doesn't count is gone."""
        self.directory.remove_unfinished()
        debs = self.debs()
        files = {deb.filename for deb in debs}
        lost = [name for name in self.directory.names() if _NAME.fullmatch(name)]
        lost = [name for name in lost if name not in files and self._read(name) is not None]
        if lost or [deb.paragraph for deb in self._indexed()] != [deb.paragraph for deb in debs]:
            for name in lost:
                self.directory.remove(name)
            self.write_index(debs)
        return debs

    def gone(self) -> list[str]:
        """The names of files that the index describes and that aren't there."""
        names = set(self.directory.names())
        return [deb.filename for deb in self._indexed() if deb.filename not in names]

    def add(self, deb: PooledDeb, temporary: str, debs: Iterable[PooledDeb]) -> list[PooledDeb]:
        """`debs` with another one, which has its name in the pool then, though not in the index.

        It takes the place of what has the same package name, version and architecture.
        """
        self._clear(deb.filename)
        self.directory.rename(temporary, deb.filename)
        debs = list(debs)
        for other in debs:
            if other.key == deb.key and other.filename != deb.filename:
                with contextlib.suppress(StoreUnavailableError):  # a directory, say
                    self.directory.remove(other.filename)
        return [*(other for other in debs if other.key != deb.key), deb]

    def write_index(self, debs: Iterable[PooledDeb]) -> None:
        """Make `debs` the index."""
        content = "".join(f"{_signed(deb.paragraph, self.directory.seal)}\n\n" for deb in debs)
        self._clear(INDEX)
        self.directory.write(INDEX, content.encode("utf-8", "surrogateescape"))
        self.directory.remove_unfinished()

    def remove(self, debs: Iterable[PooledDeb], rest: Iterable[PooledDeb]) -> None:
        """Delete files; the index is `rest` then."""
        for deb in debs:
            self.directory.remove(deb.filename)
        self.write_index(rest)

    def verified(self, deb: PooledDeb) -> Iterator[bytes]:
        """The file piece by piece; CorruptError at its end where it isn't what was pooled."""
        digest = hashlib.sha256()
        try:
            with self.directory.opened(deb.filename, may_be_linked=True) as descriptor:
                while piece := os.read(descriptor, _PIECE):
                    digest.update(piece)
                    yield piece
        except FileNotFoundError:
            pass  # the digest of nothing is nobody's
        if digest.hexdigest() != deb.sha256:
            raise CorruptError(
                f"{self.directory.path}/{deb.filename} is not what was pooled",
                details="it is not used",
                resolution="nothing needs to be done: it's fetched again where that is possible",
            )

    def _indexed(self) -> Iterator[PooledDeb]:
        try:
            content = self.directory.read(INDEX, _INDEX_LIMIT)
        except (OSError, AptkeepError):
            return  # as good as none
        for paragraph in content.decode("utf-8", "surrogateescape").split("\n\n"):
            deb = _parse(paragraph.strip("\n"), self.directory.seal)
            if deb is not None:
                yield deb

    def _read(self, name: str) -> PooledDeb | None:
        """A file as the index would have it; nobody knows any more where it came from."""
        match = _NAME.fullmatch(name)
        if match is None or self.directory.seal is not None:
            return None  # or, where signatures count, one that nobody signed
        digest, size = hashlib.sha256(), 0
        try:
            with self.directory.opened(name, may_be_linked=True) as descriptor:
                while piece := os.read(descriptor, _PIECE):
                    digest.update(piece)
                    size += len(piece)
                if not digest.hexdigest().startswith(match[1]):
                    return None
                control = self._control(descriptor)
            return describe(control, digest.hexdigest(), size, Origin.LOCAL, filename=name)
        except (OSError, ValueError, AptkeepError):
            return None  # not a .deb that was pooled

    def _clear(self, name: str) -> None:
        """Move aside a directory that is where a file belongs, whoever put it there."""
        found = self.directory.stat(name)
        if found is not None and stat.S_ISDIR(found.st_mode):
            self.directory.rename(name, f"{name}.aside-{time.time_ns()}")

    def _came(self, deb: PooledDeb) -> float:
        found = self.directory.stat(deb.filename)
        return found.st_ctime if found is not None else 0.0


@contextlib.contextmanager
def open_pool(store: Directory, control: Callable[[int], str]) -> Iterator[Pool | None]:
    """The pool of a store; None where nothing was ever pooled."""
    with contextlib.ExitStack() as opened:
        try:
            directory = opened.enter_context(store.subdirectory(SUBDIRECTORY))
        except FileNotFoundError:
            yield None
        else:
            yield Pool(directory, control)


def describe(  # noqa: PLR0917 - each is a field
    control: str, sha256: str, size: int, origin: Origin, came_from: str = "", filename: str = ""
) -> PooledDeb:
    """A .deb as the pool has it, from its control file; ValueError where that isn't one."""
    lines: list[str] = []
    ours = False
    for line in control.strip("\n").split("\n"):
        if not line.startswith((" ", "\t")):
            match = _FIELD.match(line)
            ours = match is None or _OURS.fullmatch(match[1]) is not None
        if not ours and line.strip():
            lines.append(line.rstrip())
    if not filename:
        parts = identity("\n".join(lines))
        quoted = (re.sub(r"[^A-Za-z0-9.+~-]", "%", part) for part in parts)
        filename = f"{'_'.join(quoted)[-200:].lstrip('.')}.{sha256[:12]}.deb"
    lines += [
        f"Filename: ./{filename}",
        f"Size: {size}",
        f"SHA256: {sha256}",
        f"Aptkeep-Origin: {origin.value}",
    ]
    if came_from:
        lines.append(f"Aptkeep-From: {''.join(c if c.isprintable() else '?' for c in came_from)}")
    text = "\n".join(lines)
    deb = _parse(f"{text}\n{_CHECKSUM}{_sha256(text)}")
    if deb is None:
        raise ValueError("its control file can't be kept")
    return deb


def identity(control: str) -> tuple[str, str, str]:
    """Name, version and architecture in a control file; ValueError where one is missing."""
    fields = _fields(control)
    found = [fields.get(name, "") for name in ("package", "version", "architecture")]
    if not all(found):
        raise ValueError("its control file names no package, version or architecture")
    return found[0], found[1], found[2]


def _signed(paragraph: str, seal: Seal | None) -> str:
    """A paragraph, with a signature of the present key where signatures count."""
    unsigned = paragraph.partition(f"\n{_SIGNATURE}")[0]
    if seal is None:
        return unsigned
    text = unsigned.rpartition(f"\n{_CHECKSUM}")[0]
    signature = seal.sign(_PURPOSE, text.encode("utf-8", "surrogateescape"))
    return f"{unsigned}\n{_SIGNATURE}{signature}"


def _parse(paragraph: str, seal: Seal | None = None) -> PooledDeb | None:
    """What a paragraph of the index describes; None for one that isn't what was written."""
    unsigned, _, signature = paragraph.partition(f"\n{_SIGNATURE}")
    text, _, checksum = unsigned.rpartition(f"\n{_CHECKSUM}")
    if checksum != _sha256(text):
        return None
    if seal is not None:
        content = text.encode("utf-8", "surrogateescape")
        try:
            seal.check(_PURPOSE, content, signature or None, "the pool")
        except UntrustedError:
            return None
    fields = _fields(text)
    try:
        return PooledDeb(
            fields["package"],
            fields["version"],
            fields["architecture"],
            fields["filename"].removeprefix("./"),
            int(fields["size"]),
            fields["sha256"],
            Origin(fields["aptkeep-origin"]),
            fields.get("aptkeep-from", ""),
            paragraph,
        )
    except (KeyError, ValueError):
        return None


def _fields(text: str) -> dict[str, str]:
    """The fields by their names in lower case, continuation lines left out."""
    matches = (_FIELD.match(line) for line in text.split("\n"))
    return {match[1].lower(): match[2].strip() for match in matches if match is not None}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

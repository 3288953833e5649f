"""What stands in a .deb, read by apt's own library. On the hook path of local files only."""

from __future__ import annotations

import contextlib
import lzma
import os
import zlib
from typing import TYPE_CHECKING, BinaryIO

import apt_inst

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCRIPTS = ("preinst", "postinst", "prerm", "postrm")


def control(descriptor: int) -> str:
    """The control file of the .deb that a descriptor holds, as text.

    Raises ValueError for anything that is no .deb.
    """
    return _members(descriptor, ("control",)).get("control", b"").decode("utf-8", "replace")


def unpacked(descriptor: int, dpkg_directory: str, name: str, architecture: str) -> bool:
    """Whether it's just such a .deb that dpkg unpacked last, of all with that name.

    dpkg keeps a .deb's maintainer scripts and checksums as they are (`/var/lib/dpkg/info`). One
    whose installation failed early leaves those of the version before.
    """
    info = os.path.join(dpkg_directory, "info")
    prefix = os.path.join(info, f"{name}:{architecture}")
    if not os.path.exists(f"{prefix}.list"):  # only Multi-Arch: same has the architecture
        prefix = os.path.join(info, name)
        if not os.path.exists(f"{prefix}.list"):
            return False
    members = _members(descriptor, ("md5sums", *_SCRIPTS))
    # Where the .deb has no checksums, dpkg makes them.
    compared = _SCRIPTS if "md5sums" not in members else ("md5sums", *_SCRIPTS)
    return all(_content(f"{prefix}.{member}") == members.get(member) for member in compared)


def _members(descriptor: int, names: tuple[str, ...]) -> dict[str, bytes]:
    """Members of the control archive, by name, as far as they're there."""
    found: dict[str, bytes] = {}

    def take(member: apt_inst.TarMember, content: bytes) -> None:
        name = member.name.removeprefix("./")
        if name in names:
            found[name] = content

    with _control_archive(descriptor) as stream:
        try:
            # In one pass: looking for a member that a damage hides leaves an error behind in apt's
            # library, for whoever calls it next.
            apt_inst.DebFile(stream).control.go(take)
        except (SystemError, ValueError) as error:
            raise ValueError(f"it is no Debian package, or damaged: {error}") from error
    return found


def intact(descriptor: int) -> bool:
    """Whether the data of a .deb can be unpacked, by the checksums of its compression.

    Only for what the standard library can unpack (xz and gzip); else it's taken to be so.
    """
    try:
        position, size, name = _member(descriptor, "data.tar")
        if name.endswith(".xz"):
            unpacker: lzma.LZMADecompressor | zlib._Decompress = lzma.LZMADecompressor()
        elif name.endswith(".gz"):
            unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        else:
            return os.fstat(descriptor).st_size >= position + size
        end = position + size
        while position < end and not unpacker.eof:
            piece = os.pread(descriptor, min(1 << 16, end - position), position)
            if not piece:
                return False
            unpacker.decompress(piece)
            position += len(piece)
    except (lzma.LZMAError, zlib.error, OSError, ValueError):
        return False
    return unpacker.eof


@contextlib.contextmanager
def _control_archive(descriptor: int) -> Iterator[BinaryIO]:
    """A .deb in memory with the same control archive and no data (deb(5)).

    apt's library goes through all of a file, however large, and ends the process where it can't.
    """
    position, size, name = _member(descriptor, "control.tar")
    if not 0 < size <= _LARGEST:
        raise ValueError(f"its control archive has {size} bytes")
    content = os.pread(descriptor, size, position)
    if len(content) != size:
        raise ValueError("it is damaged: its end is missing")
    with os.fdopen(os.memfd_create("control"), "w+b") as stream:
        stream.write(_MAGIC + _header("debian-binary", 4) + b"2.0\n")
        stream.write(_header(name, size) + content + b"\n" * (size % 2))
        stream.write(_header("data.tar", 0))
        stream.seek(0)
        yield stream


def _member(descriptor: int, wanted: str) -> tuple[int, int, str]:
    """Position, size in bytes and name of the member whose name begins so; ValueError for none."""
    position = len(_MAGIC)
    for _member in range(_MOST_MEMBERS):
        header = os.pread(descriptor, _HEADER, position)
        try:
            name, size = header[:16].decode("ascii").rstrip(" /"), int(header[48:58])
        except ValueError:
            raise ValueError("it is no Debian package") from None
        position += _HEADER
        if name.startswith(wanted):
            return position, size, name
        position += size + size % 2
    raise ValueError(f"it is no Debian package: it has no {wanted}")


_MAGIC, _HEADER, _MOST_MEMBERS = b"!<arch>\n", 60, 8
_LARGEST = 16 << 20


def _header(name: str, size: int) -> bytes:
    return f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{size:<10}`\n".encode("ascii")


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None

"""Real .deb files (deb(5)), put together in Python: dpkg-deb would be a process."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
from collections.abc import Mapping


def control(name: str = "tool", version: str = "1.0", architecture: str = "all") -> str:
    """A control file."""
    return (
        f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
        "Maintainer: x <x@example.org>\nDescription: a tool\n that does it\n"
    )


def deb(
    control_file: str | bytes | None = None,
    *,
    members: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
) -> bytes:
    """A .deb with this control file, further control members (`preinst`, `md5sums`), and files."""
    if control_file is None:
        control_file = control()
    parts: dict[str, str | bytes] = {"control": control_file, **(members or {})}
    return archive(
        {
            "debian-binary": b"2.0\n",
            "control.tar.gz": tarball(parts),
            "data.tar.gz": tarball(dict(files or {})),
        }
    )


def archive(members: Mapping[str, bytes]) -> bytes:
    """An ar(5) archive."""
    made = bytearray(b"!<arch>\n")
    for name, content in members.items():
        made += f"{name:<16}{0:<12}{0:<6}{0:<6}{0o100644:<8o}{len(content):<10}`\n".encode()
        made += content + b"\n" * (len(content) % 2)
    return bytes(made)


def tarball(contents: Mapping[str, str | bytes], compression: str = "gz") -> bytes:
    """A tar archive of files by their names, compressed (gz, xz) or not; always the same bytes."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in contents.items():
            encoded = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(f"./{name.lstrip('/')}")
            member.size = len(encoded)
            tar.addfile(member, io.BytesIO(encoded))
    content = stream.getvalue()
    if compression == "gz":
        return gzip.compress(content, mtime=0)
    return lzma.compress(content) if compression else content

"""What stands in a .deb, read by apt's own library. On the hook path of local files only."""

from __future__ import annotations

import os

import apt_inst

_SCRIPTS = ("preinst", "postinst", "prerm", "postrm")


def control(descriptor: int) -> str:
    """The control file of the .deb that a descriptor holds, as text.

    Raises ValueError for anything that is no .deb.
    """
    return _members(descriptor, ("control",)).get("control", b"").decode("utf-8", "replace")


def unpacked(descriptor: int, dpkg_directory: str, name: str, architecture: str) -> bool:
    """Whether it's this very .deb that dpkg unpacked last, of all with that name and version.

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
    with os.fdopen(os.dup(descriptor), "rb") as stream:
        stream.seek(0)
        try:
            archive = apt_inst.DebFile(stream).control
        except (SystemError, LookupError, OSError, ValueError) as error:
            raise ValueError(f"it is no Debian package: {error}") from error
        found = {}
        for name in names:
            try:
                found[name] = archive.extractdata(name)
            except LookupError:
                continue
            except (SystemError, OSError, ValueError) as error:
                raise ValueError(f"it is damaged: {error}") from error
        return found


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None

"""What a built `.deb` holds."""

from __future__ import annotations

import tarfile
from io import BytesIO
from pathlib import Path

from testbed import commands


class Deb:
    """The members of a .deb by absolute path; directories end in a slash."""

    def __init__(self, path: Path) -> None:
        self.path = path
        unpacked = commands.start("dpkg-deb", "--fsys-tarfile", path)
        archive, _ = unpacked.communicate()
        assert unpacked.returncode == 0
        self._tar = tarfile.open(fileobj=BytesIO(archive))  # noqa: SIM115 - in memory
        self.members = {
            member.name[1:] + ("/" if member.isdir() and member.name != "./" else ""): member
            for member in self._tar
        }

    def read(self, path: str) -> bytes:
        """The content of a file."""
        file = self._tar.extractfile(self.members[path])
        assert file is not None
        return file.read()

    def field(self, name: str) -> str:
        """A field of the control file."""
        return commands.run("dpkg-deb", "--field", self.path, name).stdout.strip()

    def control(self, directory: Path) -> dict[str, str]:
        """The control archive by file: conffiles, the maintainer scripts, and so on."""
        commands.run("dpkg-deb", "--control", self.path, directory)
        return {path.name: path.read_text() for path in directory.iterdir()}

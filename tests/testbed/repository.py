"""Local signed repositories over http, which go down and come up again."""

from __future__ import annotations

import functools
import gzip
import itertools
import os
import re
import shutil
import socket
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol
from urllib.parse import unquote, urlsplit

from testbed import commands, mirror, packages
from testbed.packages import TinyPackage
from testbed.signing import SigningKey

__all__ = ["Repository", "SigningKey", "Writable"]

# Each repository has a loopback address of its own: apt remembers by address which hosts refuse
# connections, and would set them all aside with one that is down (connect.cc, bad_addr).
_next_address = itertools.cycle(mirror.REPOSITORY_ADDRESSES)


class Writable(Protocol):
    """A machine that a source can be installed on, such as a booted `Workstation`."""

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Write a file."""


class Repository:
    """A repository that a thread of this process serves on a loopback address of its own.

    It is up once it has been made. The port is kept while it is down, so that nobody else answers
    there. `delay` is the time in seconds that each answer takes longer; `failures` maps the end of
    a path, such as `/InRelease` or `.deb`, to the status that is answered instead. `key` may be
    changed before the next `publish`; None publishes unsigned.
    """

    def __init__(
        self,
        directory: Path,
        key: SigningKey | None,
        *,
        name: str = "stable",
        component: str = "main",
        release: Mapping[str, str] | None = None,
    ) -> None:
        self.key = key
        self.suite = name
        self.component = component
        self.release = {"Origin": "testbed", "Label": "testbed", **(release or {})}
        self.delay = 0.0
        self.failures: dict[str, int] = {}
        self.requests: list[str] = []
        self.bytes_served = 0
        self._counting = threading.Lock()
        self._directory = directory
        self._built = directory / "built"
        self._number = 0
        self._served: Path | None = None
        self._server: _Server | None = None
        self._place = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        # Bound, but never listening: the port stays ours, and connections are refused.
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.address = next(_next_address)
        self._place.bind((self.address, 0))
        self.port: int = self._place.getsockname()[1]
        self.up()

    def __enter__(self) -> Repository:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def uri(self) -> str:
        """Where the repository is, without a slash at the end."""
        return f"http://{self.address}:{self.port}"

    @property
    def served(self) -> Path:
        """The published tree: `dists/` and `pool/`. For tests that damage it."""
        if self._served is None:
            raise RuntimeError("nothing has been published yet")
        return self._served

    def publish(self, *contents: TinyPackage | Path) -> None:
        """Replace the whole content. Requests see all of the old or all of the new one."""
        self._number += 1
        tree = self._directory / f"published{self._number}"
        pool = tree / "pool" / self.component
        pool.mkdir(parents=True)
        for content in contents:
            deb = content if isinstance(content, Path) else self._build(content)
            shutil.copyfile(deb, pool / deb.name)
        self._write_indexes(tree)
        old, self._served = self._served, tree
        if old is not None:
            shutil.rmtree(old)

    def count_served(self, count: int) -> None:
        """Add to `bytes_served`; answers come from several threads."""
        with self._counting:
            self.bytes_served += count

    def down(self) -> None:
        """Stop listening: connections are refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def up(self) -> None:
        """Listen again on the same port."""
        if self._server is None:
            self._server = _Server(self, self.port)
            threading.Thread(
                target=self._server.serve_forever, args=(0.01,), name=self.uri, daemon=True
            ).start()

    def close(self) -> None:
        """Go down for good and give the port back. The directory stays."""
        self.down()
        self._place.close()

    def source_line(self, signed_by: str | None = None, *, options: str = "") -> str:
        """The source in one-line style, with a newline. `options` such as `arch=amd64`."""
        words = [f"signed-by={signed_by}"] if signed_by else []
        words += options.split()
        bracket = f"[{' '.join(words)}] " if words else ""
        return f"deb {bracket}{self.uri} {self.suite} {self.component}\n"

    def deb822(
        self, signed_by: str | None = None, *, fields: Mapping[str, str] | None = None
    ) -> str:
        """The source in deb822 style. `signed_by="embedded"` puts the key itself into it."""
        values = {
            "Types": "deb",
            "URIs": self.uri,
            "Suites": self.suite,
            "Components": self.component,
        }
        if signed_by == "embedded":
            lines = self._signer().public(armored=True).decode().splitlines()
            values["Signed-By"] = "".join(f"\n {line or '.'}" for line in lines)
        elif signed_by:
            values["Signed-By"] = signed_by
        values.update(fields or {})
        return "".join(f"{name}:{_spaced(value)}\n" for name, value in values.items())

    def install_source(
        self,
        machine: Writable,
        name: str,
        *,
        style: Literal["list", "deb822"] = "list",
        key_path: str | None = None,
    ) -> str:
        """Write the key and the source as a person would, and return the source's path.

        The key goes to `key_path`, by default /etc/apt/keyrings/NAME.asc: armored in a `.asc`,
        binary in any other file. Without a key, the source is `trusted=yes`.
        """
        if self.key is None:
            line = self.source_line(options="trusted=yes")
            entry = self.deb822(fields={"Trusted": "yes"}) if style == "deb822" else line
        else:
            key_path = key_path or f"/etc/apt/keyrings/{name}.asc"
            machine.write(key_path, self.key.public(armored=key_path.endswith(".asc")))
            entry = self.deb822(key_path) if style == "deb822" else self.source_line(key_path)
        ending = "sources" if style == "deb822" else "list"
        path = f"/etc/apt/sources.list.d/{name}.{ending}"
        machine.write(path, entry)
        return path

    def _signer(self) -> SigningKey:
        if self.key is None:
            raise RuntimeError("this repository is not signed")
        return self.key

    def _build(self, package: TinyPackage) -> Path:
        directory = self._built / package.digest[:16]
        built = directory / package.file_name
        return built if built.exists() else packages.build(package, directory)

    def _write_indexes(self, tree: Path) -> None:
        listed = commands.run("apt-ftparchive", "packages", "pool", cwd=tree).stdout
        stanzas = [stanza + "\n\n" for stanza in listed.split("\n\n") if stanza.strip()]
        of = [(_architecture(stanza), stanza) for stanza in stanzas]
        # apt asks for its own architecture's index even where there is nothing for it.
        named = {_native(), *(architecture for architecture, _ in of)} - {"all"}
        architectures = sorted(named)
        dist = tree / "dists" / self.suite
        for architecture in architectures:
            # As in Debian's own archive, packages for all are in the index of each architecture.
            chosen = [text for which, text in of if which in (architecture, "all")]
            index = dist / self.component / f"binary-{architecture}" / "Packages"
            index.parent.mkdir(parents=True)
            index.write_text("".join(chosen), encoding="utf-8")
            index.with_suffix(".gz").write_bytes(gzip.compress(index.read_bytes(), mtime=0))
        values = {
            "Suite": self.suite,
            "Codename": self.suite,
            "Architectures": " ".join(architectures),
            "Components": self.component,
            **self.release,
        }
        options = [f"-oAPT::FTPArchive::Release::{name}={text}" for name, text in values.items()]
        made = commands.run("apt-ftparchive", *options, "release", dist).stdout
        (dist / "Release").write_text(made, encoding="utf-8")
        if self.key is not None:
            self.key.sign(dist / "Release")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, repository: Repository, port: int) -> None:
        self.repository = repository
        super().__init__((repository.address, port), _Handler)

    def server_bind(self) -> None:
        """Bind without the name lookup of HTTPServer, which may wait for a resolver."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = self.socket.getsockname()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing about a client that was killed; everything else is a fault of ours."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD, one request for each connection.

    A kept connection would go on being served after `down`. There is no Last-Modified: it counts
    in seconds, and what is published twice within one would look unchanged.
    """

    server: _Server
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        """Serve a file."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Say how long a file is."""
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: `Repository.requests` is the log."""

    def _answer(self, *, with_body: bool) -> None:
        repository = self.server.repository
        path = unquote(urlsplit(self.path).path)
        repository.requests.append(path)
        if repository.delay:
            time.sleep(repository.delay)
        status = next((n for end, n in repository.failures.items() if path.endswith(end)), None)
        if status is not None:
            self.send_error(status)
            return
        try:
            content = self._read(repository.served, path)
        except (OSError, RuntimeError):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/octet-stream")
        self.end_headers()
        if with_body:
            repository.count_served(len(content))
            self.wfile.write(content)

    @staticmethod
    def _read(tree: Path, path: str) -> bytes:
        wanted = Path(os.path.normpath(f"{tree}/{path}"))
        if tree not in wanted.parents:
            raise FileNotFoundError(path)
        return wanted.read_bytes()


@functools.lru_cache(maxsize=1)
def _native() -> str:
    return commands.run("dpkg", "--print-architecture").stdout.strip()


def _architecture(stanza: str) -> str:
    found = re.search(r"^Architecture: (\S+)$", stanza, re.MULTILINE)
    if found is None:
        raise ValueError(f"no architecture in {stanza!r}")
    return found[1]


def _spaced(value: str) -> str:
    return value if value.startswith("\n") else f" {value}"

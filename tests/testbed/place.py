"""Places on loopback addresses of their own that serve files over http, go down and come up."""

from __future__ import annotations

import itertools
import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from testbed import mirror

if TYPE_CHECKING:
    from typing_extensions import Self

# Each place has a loopback address of its own: apt remembers by address which hosts refuse
# connections, and would set them all aside with one that is down (connect.cc, bad_addr).
_next_address = itertools.cycle(mirror.REPOSITORY_ADDRESSES)


class Place:
    """A place that a thread of this process serves on a loopback address of its own.

    It is up once it has been made. The port is kept while it is down, so that nobody else answers
    there. `delay` is the time in seconds that each answer takes longer; `failures` maps the end of
    a path, such as `/InRelease` or `.deb`, to the status that is answered instead.
    """

    def __init__(self) -> None:
        self.delay = 0.0
        self.failures: dict[str, int] = {}
        self.requests: list[str] = []
        self.bytes_served = 0
        self._counting = threading.Lock()
        self._server: _Server | None = None
        self._place = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        # Bound, but never listening: the port stays ours, and connections are refused.
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.address = next(_next_address)
        self._place.bind((self.address, 0))
        self.port: int = self._place.getsockname()[1]
        self.up()

    def __enter__(self) -> Self:
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
        """Where it is, without a slash at the end."""
        return f"http://{self.address}:{self.port}"

    def file(self, path: str) -> Path:
        """The file that answers `path`, which begins with a slash. Raises OSError for none."""
        raise NotImplementedError

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


def inside(tree: Path, path: str) -> Path:
    """What `path` names in the tree. Raises FileNotFoundError where it leads out of it."""
    wanted = Path(os.path.normpath(f"{tree}/{path}"))
    if tree not in wanted.parents:
        raise FileNotFoundError(path)
    return wanted


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, place: Place, port: int) -> None:
        self.place = place
        super().__init__((place.address, port), _Handler)

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
        """Say nothing: `Place.requests` is the log."""

    def _answer(self, *, with_body: bool) -> None:
        place = self.server.place
        path = unquote(urlsplit(self.path).path)
        place.requests.append(path)
        if place.delay:
            time.sleep(place.delay)
        status = next((n for end, n in place.failures.items() if path.endswith(end)), None)
        if status is not None:
            self.send_error(status)
            return
        try:
            content = place.file(path).read_bytes()
        except (OSError, RuntimeError):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/octet-stream")
        self.end_headers()
        if with_body:
            place.count_served(len(content))
            self.wfile.write(content)

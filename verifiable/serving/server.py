"""Gives out objects over HTTP: ``GET /objects/ab/cdef...`` and nothing else.

It is the standard library's server: there is one route, no state and no body to read, and a
provider who needs more than a few thousand objects a second exports the folder to a web server or
an object store, which serve the same names. Replies never change, so they may be cached for ever;
none is longer than ``trace.objects.MOST_BYTES``. An object that is not its digest's is not sent.
"""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from verifiable.errors import HostError, OpeningRejectedError
from verifiable.serving.source import Source, digest_of
from verifiable.trace.objects import check_object

MOST_CONNECTIONS: Final = 256
IDLE_SECONDS: Final = 30.0
"""How long a connection may say nothing."""

_YEAR: Final = 31_536_000


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "verifiable", ""
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    wbufsize = -1
    server: "ObjectServer"

    def do_GET(self) -> None:
        self._reply(body=True)

    def do_HEAD(self) -> None:
        self._reply(body=False)

    def _reply(self, *, body: bool) -> None:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            # What follows would be read as the next request.
            self.close_connection = True
        status, data = self._find()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("X-Content-Type-Options", "nosniff")
        lasting = f"public, max-age={_YEAR}, immutable"
        self.send_header("Cache-Control", lasting if status is HTTPStatus.OK else "no-store")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if body:
            self.wfile.write(data)

    def _find(self) -> tuple[HTTPStatus, bytes]:
        digest = digest_of(self.path[1:]) if self.path.startswith("/") else None
        if digest is None:
            return HTTPStatus.NOT_FOUND, b""
        try:
            data = self.server.source.read(digest)
            if data is None:
                return HTTPStatus.NOT_FOUND, b""
            check_object(digest, data)
        except (HostError, OpeningRejectedError):
            return HTTPStatus.INTERNAL_SERVER_ERROR, b""
        return HTTPStatus.OK, data

    def log_message(self, *_: object) -> None:
        """Say nothing: who asks for what is nobody's business."""


class ObjectServer(ThreadingHTTPServer):
    """A server of one source; `server_close` ends open connections and waits for their threads.

    Parameters
    ----------
    source : Source
    host : str
    port : int
        0 for any that is free.
    """

    daemon_threads = False
    request_queue_size = 64

    def __init__(self, source: Source, host: str, port: int) -> None:
        self.source = source
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.server_address[:2]
        name = host.decode() if isinstance(host, bytes | bytearray) else str(host)
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, unless there are too many."""
        with self._lock:
            admitted = len(self._open) < MOST_CONNECTIONS
            if admitted:
                self._open.add(request)
        if admitted:
            super().process_request(request, client_address)
        else:
            super().shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Bear with a client that goes away or is silent; anything else is a bug, and shown."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def server_close(self) -> None:
        """Stop listening and end what is open."""
        with self._lock:
            for request in self._open:
                with suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)
        super().server_close()


def _listen(source: Source, host: str, port: int) -> ObjectServer:
    try:
        return ObjectServer(source, host, port)
    except OSError as e:
        raise HostError(
            f"cannot listen on {host}, port {port}: {e.strerror or e}", hint="choose another port"
        ) from e


def serve(
    source: Source,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    ready: Callable[[str], object] | None = None,
) -> None:
    """Serve until interrupted from the keyboard (``KeyboardInterrupt``), then finish cleanly.

    Parameters
    ----------
    source : Source
    host : str
        This machine alone, unless told otherwise.
    port : int
        0 for any that is free.
    ready : callable, optional
        Is given the address once it is listened on.

    Raises
    ------
    HostError
        If the address cannot be listened on.
    """
    with _listen(source, host, port) as server, suppress(KeyboardInterrupt):
        if ready is not None:
            ready(server.url)
        server.serve_forever()


@contextmanager
def serving(source: Source, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve from another thread while the block runs; gives the address. See `serve`."""
    with _listen(source, host, port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()

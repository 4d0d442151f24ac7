"""Objects from a web server that may lie, stall or send without end.

Nothing is followed, unpacked or believed. One deadline holds for a whole reply, however it
trickles in; of the body no more is read than an object can have.
"""

import io
import queue
import socket
import time
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

from verifiable.errors import InputError
from verifiable.serving.source import UnreachableError, name_of
from verifiable.trace.objects import MOST_BYTES
from verifiable.types import Sha256

_KEPT: Final = 8
"""Idle connections that are kept for the next question."""


class _Timed(io.RawIOBase):
    """What a connection gives until its deadline."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        self._raw, self._sock, self._deadline = raw, sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        found: int | None = self._raw.readinto(buffer)
        return found

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """A reply that must be whole before the time that its connection had left when it began."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        deadline = time.monotonic() + (sock.gettimeout() or 0)
        self.fp = io.BufferedReader(_Timed(self.fp.detach(), sock, deadline))


class HttpSource:
    """A `Source` behind ``GET <url>/objects/ab/cdef...``; several threads may read at once.

    Parameters
    ----------
    url : str
        HTTP or HTTPS; a path is put before ``objects``.
    timeout : float
        Seconds for one object, from the connection to the last byte.

    Raises
    ------
    InputError
        If `url` is none of the web.
    """

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as e:
            raise InputError(f"`{url}` is no http(s) address: {e}") from e
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise InputError(f"`{url}` is no http(s) address of a folder")
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port, self._path = host, port, parts.path.rstrip("/")
        self._url, self._timeout = url, timeout
        self._idle: queue.LifoQueue[HTTPConnection] = queue.LifoQueue(_KEPT)

    def read(self, digest: Sha256, /) -> bytes | None:
        """See ``serving.source.Source``; a redirection is no answer."""
        deadline = time.monotonic() + self._timeout
        with suppress(queue.Empty):
            kept = self._idle.get_nowait()
            # A server may end an idle connection at any time: that says nothing yet.
            with suppress(OSError, HTTPException):
                return self._ask(kept, digest, deadline)
        try:
            connection = self._kind(self._host, self._port, timeout=self._left(deadline))
            connection.response_class = _Response
            return self._ask(connection, digest, deadline)
        except (OSError, HTTPException, ValueError) as e:
            raise UnreachableError(f"`{self._url}` gave no answer: {e or type(e).__name__}") from e

    def close(self) -> None:
        """End the connections that are idle."""
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    def _left(self, deadline: float) -> float:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def _ask(self, connection: HTTPConnection, digest: Sha256, deadline: float) -> bytes | None:
        try:
            if connection.sock is not None:
                connection.sock.settimeout(self._left(deadline))
            connection.request("GET", f"{self._path}/{name_of(digest)}")
            if connection.sock is not None:
                connection.sock.settimeout(self._left(deadline))
            response = connection.getresponse()
            status, data = response.status, response.read(MOST_BYTES + 1)
            done = response.isclosed()
        except BaseException:
            connection.close()
            raise
        self._keep(connection, whole=done)
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            return None
        if status != HTTPStatus.OK:
            raise UnreachableError(f"`{self._url}` answered with status {status}")
        if len(data) > MOST_BYTES:
            raise UnreachableError(
                f"`{self._url}` sent more than the {MOST_BYTES} bytes of an object"
            )
        return data

    def _keep(self, connection: HTTPConnection, *, whole: bool) -> None:
        """Put a connection by for the next question, unless something may still come on it."""
        if whole and connection.sock is not None:
            with suppress(queue.Full):
                self._idle.put_nowait(connection)
                return
        connection.close()

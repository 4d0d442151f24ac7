"""Whatever a server sends, the client gets the truth or an error of ours, in time."""

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from costly import costly
from graph_zoo import passed_on
from hypothesis import strategies as st
from trace_runs import flipped

from verifiable.engines.reference import Reference
from verifiable.errors import HostError, InputError, OpeningRejectedError, VerifiableError
from verifiable.graph.ir import Array, TensorType
from verifiable.graph.vocabulary import DType
from verifiable.serving.client import fetch_leaf, fetch_sections, find_first_difference, walk
from verifiable.serving.source import UnreachableError
from verifiable.serving.stored import StoredSource
from verifiable.serving.web import HttpSource
from verifiable.trace.objects import MOST_BYTES
from verifiable.trace.store import StoredTrace, store_run
from verifiable.trace.walk import WithheldError
from verifiable.types import Sha256

Talk = Callable[[socket.socket], None]
"""What a server does with a connection, once it has read a request."""


@contextmanager
def talking(talk: Talk, heard: list[bytes] | None = None) -> Iterator[str]:
    """A server that may break every rule of HTTP; keeps what it was asked in `heard`."""
    open_ones: list[socket.socket] = []

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            said = connection.recv(65_536)
            if heard is not None:
                heard.append(said)
            talk(connection)

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                open_ones.append(connection)
                thread = threading.Thread(target=answer, args=(connection,))
                threads.append(thread)
                thread.start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads = [threading.Thread(target=accept, args=(listener,))]
        threads[0].start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for each in (listener, *open_ones):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def reply(body: bytes, *, status: str = "200 OK", length: int | None = None) -> bytes:
    said = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {said}\r\n\r\n".encode() + body


def says(data: bytes) -> Talk:
    return lambda connection: connection.sendall(data)


def says_and_waits(data: bytes) -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.sendall(data)
        silent(connection)

    return talk


def endless(start: bytes, piece: bytes, pause: float = 0.0) -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(piece)
            time.sleep(pause)

    return talk


def silent(connection: socket.socket) -> None:
    connection.recv(1)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TRUTH = b"\x00a leaf of a trace"
LEAF = Sha256(hashlib.sha256(TRUTH).digest())

LIES: dict[str, tuple[Talk, type[VerifiableError]]] = {
    "other bytes": (says(reply(b"\x00another leaf")), OpeningRejectedError),
    "nothing": (says(reply(b"")), OpeningRejectedError),
    "short": (says(reply(TRUTH[:-1])), OpeningRejectedError),
    "shorter than said": (says(reply(TRUTH[:-1], length=len(TRUTH))), OpeningRejectedError),
    "longer": (says(reply(TRUTH + b"\0")), OpeningRejectedError),
    "oversized": (says(reply(bytes(MOST_BYTES + 1))), WithheldError),
    "said to be huge": (says_and_waits(reply(TRUTH, length=1 << 60)), WithheldError),
    "of a negative length": (says_and_waits(reply(TRUTH, length=-1)), WithheldError),
    "endless": (endless(b"HTTP/1.1 200 OK\r\n\r\n", bytes(4096)), WithheldError),
    "endless chunks": (endless(CHUNKED, b"100\r\n" + bytes(256) + b"\r\n"), WithheldError),
    "one endless chunk size": (endless(CHUNKED, b"0"), WithheldError),
    "endless headers": (endless(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"), WithheldError),
    "one endless header": (endless(b"HTTP/1.1 200 OK\r\nA: ", b"b" * 4096), WithheldError),
    "endless promises": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.001), WithheldError),
    "silent": (silent, WithheldError),
    "dripping body": (endless(reply(b"", length=2000), b"\0", 0.02), WithheldError),
    "dripping header": (endless(b"HTTP/1.1 200 OK\r\nA: ", b"b", 0.02), WithheldError),
    "gone": (lambda connection: connection.close(), WithheldError),
    "no HTTP": (says(b"\xff\xfe nonsense\r\n\r\n"), WithheldError),
    "a redirection": (
        says(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"),
        WithheldError,
    ),
    "500": (says(reply(TRUTH, status="500 Oh")), WithheldError),
    "404": (says(reply(TRUTH, status="404 Not Found")), WithheldError),
    "206": (says(reply(TRUTH, status="206 Partial Content")), WithheldError),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_an_error_in_time(lie: str) -> None:
    talk, kind = LIES[lie]
    with talking(talk) as url, closing(HttpSource(url, timeout=0.4)) as source:
        started = time.monotonic()
        with pytest.raises(kind):
            fetch_leaf(source, LEAF)
        assert time.monotonic() - started < 2


def test_the_truth_passes() -> None:
    chunk = f"{len(TRUTH):x}\r\n".encode() + TRUTH + b"\r\n0\r\n\r\n"
    for said in (reply(TRUTH), CHUNKED + chunk, b"HTTP/1.0 200 OK\r\n\r\n" + TRUTH):
        with talking(says(said)) as url, closing(HttpSource(url, timeout=2)) as source:
            assert fetch_leaf(source, LEAF) == TRUTH[1:]
            # The server ended the connection, which may have been kept.
            assert fetch_leaf(source, LEAF) == TRUTH[1:]


@costly(said=st.binary(max_size=200) | st.binary(max_size=80).map(reply))
def test_nonsense_is_an_error_of_ours(said: bytes) -> None:
    with (
        talking(says(said)) as url,
        closing(HttpSource(url, timeout=2)) as source,
        pytest.raises((HostError, OpeningRejectedError)),
    ):
        fetch_leaf(source, LEAF)


@pytest.mark.parametrize(
    "url",
    ["", "ftp://a/b", "http://", "a.b", "file:///etc", "http://a:b/", "http://[::1", "http://a?b"],
)
def test_an_address_of_no_server_is_bad_input(url: str) -> None:
    with pytest.raises(InputError, match="no http"):
        HttpSource(url)


def test_an_absent_server_is_said_to_be_so() -> None:
    with pytest.raises(UnreachableError, match="no answer"):
        HttpSource("http://127.0.0.1:9", timeout=2).read(LEAF)


def test_a_path_comes_before_the_objects() -> None:
    asked: list[bytes] = []
    no = says(reply(b"", status="404 No"))
    with talking(no, heard=asked) as url, closing(HttpSource(url + "/traces/1/")) as source:
        assert source.read(LEAF) is None
    assert asked[0].startswith(b"GET /traces/1/objects/" + LEAF.hex()[:2].encode() + b"/")


# A whole search


def run_of(path: Path, x: Array) -> StoredTrace:
    kind = TensorType(DType.I32, x.shape)
    graph = passed_on(kind)
    return store_run(path, graph, Reference().prepare(graph, {}), {"x": x})[0]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[StoredTrace, StoredTrace]:
    folder = tmp_path_factory.mktemp("runs")
    x = np.arange(70 * 300, dtype=np.int32).reshape(70, 300)
    return run_of(folder / "own", x), run_of(folder / "served", flipped(x, 12_345))


def test_a_search_finds_the_lie_or_says_what_to_demand(
    runs: tuple[StoredTrace, StoredTrace],
) -> None:
    own, served = runs
    true = StoredSource(served)
    root = served.trace.root
    asked: list[Sha256] = []

    class Spoilt:
        """Tells the truth but for one question."""

        def __init__(self, at: int, lie: bytes | None) -> None:
            self.at, self.lie = at, lie

        def read(self, digest: Sha256, /) -> bytes | None:
            asked.append(digest)
            return self.lie if len(asked) == self.at else true.read(digest)

    found = find_first_difference(Spoilt(0, None), root, own)
    assert found is not None
    assert found.difference.element == 12_345
    whole = list(asked)
    # A walk that was lied to goes on once it is told the truth, and asks for nothing twice.
    asked.clear()
    again = walk(Spoilt(4, b"\x00lie"), root, own)
    with pytest.raises(WithheldError):
        again.first_difference()
    assert again.first_difference() == found
    assert asked == [*whole[:4], *whole[3:]]
    # Trace, tensor, two objects down 70 rows, one down a row of two leaves, the leaf.
    assert len(whole) == 6
    for at, digest in enumerate(whole, 1):
        for lie in (None, b"", b"\x00lie", true.read(whole[at - 2])):
            asked.clear()
            with pytest.raises(WithheldError) as caught:
                find_first_difference(Spoilt(at, lie), root, own)
            assert caught.value.ask.digest == digest
            assert len(asked) == at


def test_a_false_sections_object_never_passes(runs: tuple[StoredTrace, StoredTrace]) -> None:
    own, served = runs
    said = StoredSource(own).read(own.trace.root)
    assert said is not None
    with talking(says(reply(said))) as url, closing(HttpSource(url, timeout=2)) as source:
        with pytest.raises(OpeningRejectedError):
            fetch_sections(source, served.trace.root)
        assert fetch_sections(source, own.trace.root) == own.trace.sections

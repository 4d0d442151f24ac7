"""Whatever way a trace is served, each digest stands for the same bytes, and all of it is there."""

import _thread
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_zoo import LONG, Case, case, passed_on
from hypothesis import given
from hypothesis import strategies as st
from run_folder import run_folder
from trace_preimages import Preimages
from trace_runs import held, stored, tensors_of

from verifiable.crypto.merkle import PADS, Tag
from verifiable.engines.reference import Reference
from verifiable.errors import HostError, InputError, OpeningRejectedError, StorageError
from verifiable.graph.commitment import Section
from verifiable.graph.ir import Const, Index, TensorType
from verifiable.graph.layout import big_endian, layout
from verifiable.graph.vocabulary import DType
from verifiable.serving.client import (
    fetch_leaf,
    fetch_nodes,
    fetch_row,
    fetch_section_roots,
    fetch_sections,
    fetch_tensor_header,
    find_first_difference,
)
from verifiable.serving.server import serve, serving
from verifiable.serving.source import (
    FolderSource,
    Mirrors,
    Source,
    UnreachableError,
    digest_of,
    export,
    name_of,
)
from verifiable.serving.stored import StoredSource
from verifiable.serving.web import HttpSource
from verifiable.trace.commit import roots_of
from verifiable.trace.objects import MOST_BYTES, SPAN, check_object
from verifiable.trace.store import StoredTrace, store_run
from verifiable.trace.walk import MalformedError, WithheldError
from verifiable.types import Sha256

CASES = [case(seed, steps=5) for seed in range(3)]
CASES += [case(seed, steps=4, extents=LONG, most=1500) for seed in range(3)]


@contextmanager
def static(folder: Path) -> Iterator[str]:
    """A web server that knows nothing of us."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 5

        def log_message(self, *_: object) -> None:
            pass

    handler = partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def all_ways(run: StoredTrace, folder: Path) -> Iterator[list[Source]]:
    source = StoredSource(run)
    export(source.objects(), folder)
    with ExitStack() as stack:
        urls = [stack.enter_context(serving(source)), stack.enter_context(static(folder))]
        webs = [HttpSource(url, timeout=5) for url in urls]
        for web in webs:
            stack.callback(web.close)
        yield [
            source,
            FolderSource(folder),
            *webs,
            Mirrors([FolderSource(folder / "none"), source]),
        ]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_every_message_of_the_definition_is_served_and_nothing_else(
    number: int, tmp_path: Path
) -> None:
    one = CASES[number]
    run = stored(one, tmp_path / "trace")
    defined = Preimages()
    assert defined.trace(one, tensors_of(one)) == run.trace.root
    source = StoredSource(run)
    objects = dict(source.objects())
    # Padding is known to all; a node is served with up to six levels, so its message is folded.
    assert objects.keys() == defined.said.keys() - {bytes(pad) for pad in PADS}
    for digest, data in objects.items():
        assert check_object(digest, data) == defined.said[digest][0]
        assert len(data) <= MOST_BYTES
        assert source.read(digest) == data
        if data[0] != Tag.NODE:
            assert data == defined.said[digest]
    source.check()


@pytest.mark.parametrize("number", [0, 3, 4])
def test_all_ways_of_serving_agree(number: int, tmp_path: Path) -> None:
    one = CASES[number]
    run = stored(one, tmp_path / "trace")
    with all_ways(run, tmp_path / "served") as sources:
        known = list(dict(StoredSource(run).objects()))[:: max(1, number)]
        for digest in [*known[:150], Sha256(bytes(32)), Sha256(known[0][::-1])]:
            said = {source.read(digest) for source in sources}
            assert len(said) == 1
        for source in sources:
            assert find_first_difference(source, run.trace.root, run) is None
            everything_is_fetched(one, run, source)


def everything_is_fetched(one: Case, run: StoredTrace, source: Source) -> None:
    sections = fetch_sections(source, run.trace.root)
    assert sections == run.trace.sections
    for section in (Section.INPUT, Section.BODY, Section.OUTPUT):
        roots = roots_of(run.graph, run.trace.roots, section)
        assert fetch_section_roots(source, sections.roots[section], len(roots)) == roots
    for i, tensor in enumerate(tensors_of(one)):
        if isinstance(one.graph.instructions[i], Const):
            continue
        kind, top = fetch_tensor_header(source, run.trace.roots[i])
        assert kind == one.graph.instructions[i].type
        tree, plan = run.tree(Index(i)), layout(kind)
        assert top == tree.top
        if plan.leaves:
            leaf = plan.leaves // 2
            part = tensor.reshape(-1)[plan.elements(leaf).start : plan.elements(leaf).stop]
            fetched = fetch_leaf(source, tree.node(0, tree.leaf_index(leaf)))
            assert fetched == bytes(big_endian(part))
            down = min(SPAN, tree.room(tree.height))
            below = tree.below(tree.height, 0, down)
            assert np.array_equal(fetch_nodes(source, top, down), below)
            row = plan.rows // 3
            wanted = tensor.reshape(-1)[row * plan.row : (row + 1) * plan.row]
            assert fetch_row(source, run.trace.roots[i], row).tobytes() == wanted.tobytes()
        with pytest.raises(InputError, match="rows, none"):
            fetch_row(source, run.trace.roots[i], plan.rows)


class Messages:
    """Gives the very messages of a trace, one level of nodes at a time."""

    def __init__(self, whole: Preimages) -> None:
        self.whole = whole

    def read(self, digest: Sha256, /) -> bytes | None:
        return self.whole.said.get(digest)


@given(st.integers(0, len(CASES) - 1), st.integers(0, 5))
def test_nodes_come_as_deep_as_asked_from_whoever_gives_them(number: int, down: int) -> None:
    one = CASES[number]

    whole = Preimages()
    whole.trace(one, tensors_of(one))
    own = held(one)
    for i, instruction in enumerate(one.graph.instructions):
        if not isinstance(instruction, Const) and layout(instruction.type).leaves:
            tree = own.tree(Index(i))
            depth = min(down, tree.room(tree.height))
            found = fetch_nodes(Messages(whole), tree.top, depth)
            assert np.array_equal(found, tree.below(tree.height, 0, depth))


def lengthy(path: Path, kind: TensorType) -> StoredTrace:
    graph = passed_on(kind)
    x = np.arange(kind.size, dtype=np.int64).astype(kind.dtype.numpy).reshape(kind.shape)
    return store_run(path, graph, Reference().prepare(graph, {}), {"x": x})[0]


@pytest.mark.parametrize(
    "kind",
    [
        TensorType(DType.I32, (3, 40_000)),  # rows of 157 leaves: several objects deep
        TensorType(DType.I32, (600, 256)),  # many rows of a leaf
        TensorType(DType.U8, (40, 1000)),  # packed, and leaves that are alike
    ],
    ids=str,
)
def test_long_rows_are_put_together(kind: TensorType, tmp_path: Path) -> None:
    run = lengthy(tmp_path / "trace", kind)
    with serving(StoredSource(run)) as url:
        source = HttpSource(url)
        for row in (0, 1, kind.shape[0] - 1):
            found = fetch_row(source, run.trace.roots[0], row)
            assert np.array_equal(found, run.tensor(Index(0))[row])
        source.close()


def test_leaves_that_are_alike_are_kept_once(tmp_path: Path) -> None:
    kind = TensorType(DType.F32, (1 << 16,))
    graph = passed_on(kind)
    runner = Reference().prepare(graph, {})
    zeros = {"x": np.zeros(kind.shape, np.float32)}
    run = store_run(tmp_path / "trace", graph, runner, zeros)[0]
    # One leaf and the eight nodes over it, the tensor, the trace.
    assert len(list(StoredSource(run).objects())) == 1 + 8 + 1 + 1
    assert export(StoredSource(run).objects(), tmp_path / "served") == 11
    assert export(StoredSource(run).objects(), tmp_path / "served") == 0


def test_a_row_that_is_too_long_is_not_fetched(tmp_path: Path) -> None:
    kind = TensorType(DType.F32, ((1 << 22) + 1,))
    nodes = Preimages()
    digest = nodes.put(
        bytes((2, kind.dtype.value, 1)) + kind.shape[0].to_bytes(4, "big") + bytes(32)
    )
    folder = tmp_path / "served"
    export([(Sha256(digest), nodes.said[digest])], folder)
    with pytest.raises(InputError, match="more than"):
        fetch_row(FolderSource(folder), Sha256(digest), 0)


def test_padding_that_is_none_is_rejected_with_the_rest() -> None:
    x = np.arange(3 * 700, dtype=np.int32).reshape(3, 700)
    for pad, fits in ((Preimages().pad, True), (bytes(32), False)):
        nodes = Preimages(pad=pad)
        tensor = Sha256(nodes.tensor(x))
        section = Sha256(nodes.tree([tensor] * 3))
        source = Messages(nodes)
        if fits:
            assert np.array_equal(fetch_row(source, tensor, 1), x[1])
            assert fetch_section_roots(source, section, 3) == [tensor] * 3
            continue
        with pytest.raises(OpeningRejectedError, match="row 1 of"):
            fetch_row(source, tensor, 1)
        with pytest.raises(OpeningRejectedError, match="a section of 3"):
            fetch_section_roots(source, section, 3)


def test_what_is_absent_or_of_another_kind_is_said_to_be_so(tmp_path: Path) -> None:
    run = lengthy(tmp_path / "trace", TensorType(DType.I32, (2, 300)))
    source = StoredSource(run)
    for fetch in (fetch_sections, fetch_tensor_header, fetch_leaf):
        with pytest.raises(WithheldError, match="has not got it"):
            fetch(source, Sha256(bytes(32)))
    with pytest.raises(MalformedError, match="it is a tensor"):
        fetch_leaf(source, run.trace.roots[0])
    with pytest.raises(MalformedError, match="it is a trace"):
        fetch_nodes(source, run.trace.root, 1)


# Folders


def test_names_are_digests_and_nothing_else() -> None:
    digest = Sha256(bytes(range(32)))
    assert digest_of(name_of(digest)) == digest
    for name in (
        "", "objects/", name_of(digest).upper(), name_of(digest) + "0", name_of(digest)[:-1],
        "objects/../" + name_of(digest), name_of(digest) + "\n", "/" + name_of(digest),
        name_of(digest).replace("/00/", "/00//"),
    ):  # fmt: skip
        assert digest_of(name) is None


def test_a_folder_that_cannot_be_read_or_written_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        export([], tmp_path / "file")
    digest = Sha256(bytes(32))
    assert FolderSource(tmp_path / "file").read(digest) is None
    (tmp_path / name_of(digest)).mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot read"):
        FolderSource(tmp_path).read(digest)


def test_mirrors_pass_over_lies_and_failures(tmp_path: Path) -> None:
    run = lengthy(tmp_path / "trace", TensorType(DType.I32, (2, 300)))
    true, digest = StoredSource(run), run.trace.root

    class Fixed:
        def __init__(self, said: bytes | None) -> None:
            self.said = said

        def read(self, _: Sha256, /) -> bytes | None:
            return self.said

    dead = HttpSource("http://127.0.0.1:9", timeout=1)
    assert Mirrors([dead, Fixed(b"lie"), Fixed(None), true]).read(digest) == true.read(digest)
    assert Mirrors([Fixed(b"lie"), Fixed(None)]).read(digest) is None
    with pytest.raises(UnreachableError):
        Mirrors([Fixed(b"lie"), dead, Fixed(None)]).read(digest)


# Server


@pytest.fixture(scope="module")
def small() -> StoredTrace:
    path = run_folder() / f"small-trace-{threading.get_ident()}-{time.time_ns()}"
    return lengthy(path, TensorType(DType.I32, (2, 300)))


def ask(url: str, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=5)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    said = (response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    connection.close()
    return said


def test_replies_last_for_ever_and_nothing_else_is_served(small: StoredTrace) -> None:
    with serving(StoredSource(small)) as url:
        path = "/" + name_of(small.trace.root)
        status, headers, data = ask(url, "GET", path)
        assert (status, len(data)) == (200, 97)
        assert "immutable" in headers["cache-control"]
        assert headers["content-type"] == "application/octet-stream"
        status, headers, data = ask(url, "HEAD", path)
        assert (status, headers["content-length"], data) == (200, "97", b"")
        for other in (
            "/", "/objects/", "/objects/../" + path, "/..%2f..%2fetc/passwd", path + "?x=1",
            path.upper(), "/" + name_of(bytes(32)), "*", path + "/" + "a" * 5000,
        ):  # fmt: skip
            status, headers, data = ask(url, "GET", other)
            assert (status, data) == (404, b"")
            assert headers["cache-control"] == "no-store"
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert ask(url, method, path)[0] == 501
        assert ask(url, "GET", path, **{"Content-Length": "3"})[1]["connection"] == "close"


def test_what_the_disk_spoilt_is_not_sent(tmp_path: Path) -> None:
    run = lengthy(tmp_path / "trace", TensorType(DType.I32, (2, 300)))
    leaf = run.tree(Index(0)).node(0, 0)
    source = StoredSource(run)
    (tmp_path / "trace" / "tensors.bin").write_bytes(bytes(2400))
    with pytest.raises(OpeningRejectedError, match="the object 0x"):
        source.check()
    with serving(source) as url:
        assert ask(url, "GET", "/" + name_of(leaf))[0] == 500
        with closing(HttpSource(url)) as web, pytest.raises(WithheldError, match="status 500"):
            fetch_leaf(web, leaf)


def test_a_server_finishes_though_clients_hang_on(small: StoredTrace) -> None:
    before = threading.active_count()
    with serving(StoredSource(small)) as url:
        host, port = url.removeprefix("http://").split(":")
        idle = [socket.create_connection((host, int(port))) for _ in range(5)]
        idle[0].sendall(b"GET /objects/00")
        with closing(HttpSource(url)) as web:
            assert web.read(small.trace.root) is not None
        started = time.monotonic()
    assert time.monotonic() - started < 5
    assert threading.active_count() == before
    for connection in idle:
        connection.close()


def test_a_server_admits_no_more_than_it_bears(
    small: StoredTrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verifiable.serving.server.MOST_CONNECTIONS", 2)
    with serving(StoredSource(small)) as url:
        host, port = url.removeprefix("http://").split(":")
        idle = [socket.create_connection((host, int(port))) for _ in range(2)]
        time.sleep(0.2)
        with pytest.raises(UnreachableError):
            HttpSource(url, timeout=2).read(small.trace.root)
        for connection in idle:
            connection.close()
        time.sleep(0.2)
        with closing(HttpSource(url, timeout=2)) as web:
            assert web.read(small.trace.root) is not None


@pytest.mark.parametrize("seconds", [0, 0.1])
def test_serving_ends_with_an_interrupt(seconds: float, small: StoredTrace) -> None:
    heard: list[str] = []

    def ready(url: str) -> None:
        heard.append(url)
        if seconds:
            threading.Timer(seconds, _thread.interrupt_main).start()
        else:
            _thread.interrupt_main()

    serve(StoredSource(small), ready=ready)
    assert heard[0].startswith("http://127.0.0.1:")
    with closing(HttpSource(heard[0], timeout=1)) as web, pytest.raises(UnreachableError):
        web.read(small.trace.root)


def test_an_address_in_use_is_said_to_be_so(small: StoredTrace) -> None:
    source: Any = StoredSource(small)
    with serving(source) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(HostError, match="cannot listen"):
            serve(source, port=port)


def test_clients_at_once_all_get_the_truth(small: StoredTrace) -> None:
    source = StoredSource(small)
    digests = [digest for digest, _ in source.objects()]
    with serving(source) as url:
        web = HttpSource(url)
        wrong: list[Sha256] = []

        def read_all() -> None:
            wrong.extend(d for d in digests * 20 if web.read(d) != source.read(d))

        threads = [threading.Thread(target=read_all) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        web.close()
    assert not wrong

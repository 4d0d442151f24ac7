"""Whatever a node answers, the caller gets a value or a ChainError, in time."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from costly import costly
from hypothesis import strategies as st

from verifiable.chain.revert import RevertedError
from verifiable.chain.rpc import RpcChain
from verifiable.crypto.signatures import SigningKey
from verifiable.errors import ChainError, InputError
from verifiable.types import Address

ACCOUNT = Address("0x" + "11" * 20)
HASH = "0x" + "22" * 32
Answer = Callable[[str], Any]


@contextmanager
def node(answer: Answer) -> Iterator[str]:
    """A node that answers each method with what `answer` makes of its name; bytes go out raw."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made = answer(asked["method"])
            if not isinstance(made, bytes):
                made = json.dumps({"jsonrpc": "2.0", "id": asked["id"], **made}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(made)))
            self.end_headers()
            self.wfile.write(made)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def answering(table: dict[str, Any]) -> Answer:
    full = {"eth_chainId": "0x1", "eth_blockNumber": "0x5"} | table
    return lambda method: full[method] if isinstance(full[method], bytes) else shaped(full[method])


def shaped(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) and "error" in value else {"result": value}


RECEIPT = {
    "transactionHash": HASH,
    "blockHash": HASH,
    "blockNumber": "0x5",
    "status": "0x1",
    "gasUsed": "0x5208",
    "logs": [],
    "contractAddress": ACCOUNT,
}
HONEST = {
    "eth_accounts": [ACCOUNT],
    "eth_estimateGas": "0x5208",
    "eth_sendTransaction": HASH,
    "eth_getTransactionReceipt": RECEIPT,
    "eth_getBlockByNumber": {"hash": HASH, "timestamp": "0x10"},
    "eth_getCode": "0x6000",
    "eth_getBalance": "0x7",
    "eth_call": "0x01",
}


def drive(url: str, **options: Any) -> None:
    """Use everything."""
    chain = RpcChain(url, request_timeout=1, wait_timeout=0.5, **options)
    assert chain.block_time() == 16
    assert chain.balance(ACCOUNT) == 7
    assert chain.call(ACCOUNT, b"") == b"\1"
    assert chain.send(ACCOUNT, b"").gas == 21_000
    assert chain.deploy(b"\0").address.lower() == ACCOUNT


def test_an_honest_node_is_understood() -> None:
    with node(answering(HONEST)) as url:
        drive(url)


@pytest.mark.parametrize(
    ("method", "lie"),
    [
        ("eth_chainId", "zzz"),
        ("eth_chainId", None),
        ("eth_chainId", b"not json"),
        ("eth_chainId", b"[]"),
        ("eth_chainId", b"{}"),
        ("eth_accounts", "0x"),
        ("eth_accounts", [1]),
        ("eth_accounts", ["0x1234"]),
        ("eth_estimateGas", "0x" + "f" * 65),
        ("eth_estimateGas", {"error": {"code": -32000, "message": "no"}}),
        ("eth_sendTransaction", "0xzz"),
        ("eth_sendTransaction", {"error": "nonce too low"}),
        ("eth_getTransactionReceipt", None),
        ("eth_getTransactionReceipt", []),
        ("eth_getTransactionReceipt", RECEIPT | {"transactionHash": "0x" + "33" * 32}),
        ("eth_getTransactionReceipt", RECEIPT | {"status": None}),
        ("eth_getTransactionReceipt", RECEIPT | {"status": "0x0"}),
        ("eth_getTransactionReceipt", RECEIPT | {"blockNumber": "0x6"}),
        ("eth_getTransactionReceipt", RECEIPT | {"logs": None}),
        ("eth_getTransactionReceipt", RECEIPT | {"logs": [{"topics": [7]}]}),
        ("eth_getTransactionReceipt", RECEIPT | {"contractAddress": None}),
        ("eth_getBlockByNumber", None),
        ("eth_getBlockByNumber", {"hash": "0x" + "44" * 32, "timestamp": "0x10"}),
        ("eth_getCode", "0x"),
        ("eth_getBalance", 7),
        ("eth_call", {"error": {"code": 3, "message": "execution reverted", "data": "0xzz"}}),
        ("eth_call", {"error": {"code": 3, "message": "execution reverted", "data": {}}}),
    ],
    ids=str,
)
def test_a_lie_is_a_chain_error(method: str, lie: object) -> None:
    with node(answering(HONEST | {method: lie})) as url, pytest.raises(ChainError):
        drive(url)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=8)
    | st.sampled_from(["0x", "0x0", "0x1", HASH, ACCOUNT]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)  # fmt: skip
current: list[Answer] = []


@pytest.fixture(scope="module")
def changing() -> Iterator[str]:
    def answer(method: str) -> Any:
        return current[0](method)

    with node(answer) as url:
        yield url


@costly(method=st.sampled_from(sorted(HONEST)), lie=json_values)
def test_nonsense_is_a_value_or_a_chain_error(changing: str, method: str, lie: object) -> None:
    current[:] = [answering(HONEST | {method: {"result": lie, "error": None}})]
    # A node without accounts is honest: then it is the caller who must bring a key.
    with contextlib.suppress(ChainError, InputError):
        chain = RpcChain(changing, wait_timeout=0.05, sleep=lambda _: None)
        chain.block_time()
        chain.balance(ACCOUNT)
        chain.call(ACCOUNT, b"")
        chain.send(ACCOUNT, b"")
        chain.deploy(b"\0")


def test_a_hanging_node_is_given_up() -> None:
    release = threading.Event()

    def hang(method: str) -> bytes:
        assert method
        release.wait(10)
        return b"{}"

    started = time.monotonic()
    with node(hang) as url:
        try:
            with pytest.raises(ChainError, match="in time"):
                RpcChain(url, request_timeout=0.3)
        finally:
            release.set()
    assert time.monotonic() - started < 5


def test_an_absent_node_is_said_to_be_so() -> None:
    with pytest.raises(ChainError, match="cannot be reached"):
        RpcChain("http://127.0.0.1:9", request_timeout=2)
    with pytest.raises(InputError, match="no http"):
        RpcChain("ws://127.0.0.1:9")


def test_a_revert_carries_its_reason() -> None:
    panic = "0x4e487b71" + "00" * 31 + "11"
    table = {"eth_call": {"error": {"code": 3, "message": "execution reverted", "data": panic}}}
    with node(answering(table)) as url, pytest.raises(RevertedError, match=r"Panic\(code=17\)"):
        RpcChain(url).call(ACCOUNT, b"")


def test_the_signing_key_never_leaves_the_process() -> None:
    seen: list[str] = []
    table = HONEST | {
        "eth_getTransactionCount": "0x0",
        "eth_maxPriorityFeePerGas": "0x1",
        "eth_getBlockByNumber": {"hash": HASH, "timestamp": "0x10", "baseFeePerGas": "0x7"},
        "eth_sendRawTransaction": HASH,
    }
    answer = answering(table)

    def watch(method: str) -> Any:
        seen.append(method)
        return answer(method)

    with node(watch) as url:
        RpcChain(url, keys=[SigningKey(b"\x09" * 32)], wait_timeout=1).send(ACCOUNT, b"")
    assert "eth_sendRawTransaction" in seen
    assert "eth_sendTransaction" not in seen

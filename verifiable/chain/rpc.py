"""A chain behind a JSON-RPC node, through web3.py.

The node is not trusted to be up, quick or truthful: what it says is checked where we can (ids,
shapes, that a receipt's block is still in the chain after the confirmations), and everything it
does wrong becomes a `ChainError`.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from verifiable.chain.protocol import (
    TRANSACTION_GAS_CAP,
    Deployed,
    Event,
    Log,
    Sent,
    Transaction,
    calldata_floor,
)
from verifiable.chain.revert import OutOfGasError, RevertedError
from verifiable.crypto.address import parse_address
from verifiable.crypto.signatures import SigningKey
from verifiable.errors import ChainError, InputError, MissingDependencyError, VerifiableError
from verifiable.types import Address, Gas

GAS_MARGIN: Final = 1.25
"""What is added to a node's estimate: storage may have changed by the time it is mined."""

EVENT_BLOCKS: Final = 5_000
"""Blocks that a node is asked about at once: public ones refuse more than about 10,000."""

_ANSWER_LIMIT: Final = 4 * 1024 * 1024


class RpcChain:
    """A chain behind a node; see `verifiable.chain.protocol.Chain`.

    Parameters
    ----------
    url : str
        HTTP or HTTPS address of the node.
    keys : sequence of SigningKey
        Keys of the accounts to send from. Without any, the node's own accounts are used, which
        only development nodes have.
    chain_id : int, optional
        Id that the node must have.
    confirmations : int
        Blocks that must stand on a transaction's block before it counts.
    request_timeout : float
        Seconds for one answer of the node.
    wait_timeout : float
        Seconds for a transaction to be mined and confirmed.
    clock, sleep : callable
        For tests.

    Raises
    ------
    ChainError
        If the node cannot be reached or is of another chain.
    InputError
        If the URL is not HTTP.
    MissingDependencyError
        If web3 is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        keys: Sequence[SigningKey] = (),
        chain_id: int | None = None,
        confirmations: int = 1,
        request_timeout: float = 30.0,
        wait_timeout: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise InputError(f"`{url}` is no http(s) address of a node")
        try:
            from web3 import Web3
            from web3.providers.rpc import HTTPProvider
        except ImportError as e:
            raise MissingDependencyError(
                "a remote chain needs web3", hint="pip install 'verifiable[evm]'"
            ) from e
        provider = HTTPProvider(
            url,
            request_kwargs={"timeout": request_timeout},
            exception_retry_configuration=None,
        )
        self._web3: Any = Web3(provider)
        self._keys = {key.address: key for key in keys}
        self._confirmations = confirmations
        self._wait_timeout = wait_timeout
        self._clock = clock
        self._sleep = sleep
        self._chain_id = _number(self._ask("eth_chainId", []), "eth_chainId")
        if chain_id is not None and self._chain_id != chain_id:
            raise ChainError(f"the node is of chain {self._chain_id}, wanted {chain_id}")

    @property
    def chain_id(self) -> int:
        """Id that signatures are bound to (EIP-155)."""
        return self._chain_id

    @property
    def accounts(self) -> Sequence[Address]:
        """Accounts of the keys given, else the node's own."""
        if self._keys:
            return tuple(self._keys)
        listed = self._ask("eth_accounts", [])
        if not isinstance(listed, list):
            raise ChainError(f"eth_accounts answered {listed!r:.80}")
        return tuple(_address(entry, "eth_accounts") for entry in listed)

    def block_time(self) -> int:
        """Unix seconds of the latest block."""
        block = _object(self._ask("eth_getBlockByNumber", ["latest", False]), "the latest block")
        return _number(block.get("timestamp"), "the block's timestamp")

    def balance(self, account: Address) -> int:
        """Wei that `account` has."""
        return _number(self._ask("eth_getBalance", [account, "latest"]), "eth_getBalance")

    def code(self, account: Address) -> bytes:
        """Runtime code of `account`; empty if it is no contract."""
        return _bytes(self._ask("eth_getCode", [account, "latest"]), "eth_getCode")

    def deploy(self, initcode: bytes, *, sender: Address | None = None, value: int = 0) -> Deployed:
        """Create a contract, and check that it has code."""
        receipt = self._transact({"data": _hex(initcode), "value": value}, sender, None)
        address = _address(receipt.get("contractAddress"), "the new contract's address")
        if not self.code(address):
            raise ChainError(f"the node says it created {address}, where there is no code")
        return Deployed(address=address, gas=Gas(_number(receipt.get("gasUsed"), "gasUsed")))

    def call(
        self,
        to: Address,
        data: bytes,
        *,
        sender: Address | None = None,
        value: int = 0,
        gas: int | None = None,
    ) -> bytes:
        """Run a call, change nothing, and return what it returns."""
        request: dict[str, Any] = {"to": to, "data": _hex(data)}
        if sender is not None:
            request["from"] = sender
        if value:
            request["value"] = hex(value)
        if gas is not None:
            request["gas"] = hex(gas)
        return _bytes(self._ask("eth_call", [request, "latest"]), "eth_call")

    def send(
        self,
        to: Address,
        data: bytes,
        *,
        sender: Address | None = None,
        value: int = 0,
        gas: int | None = None,
    ) -> Sent:
        """Run a transaction and wait until it has its confirmations."""
        receipt = self._transact({"to": to, "data": _hex(data), "value": value}, sender, gas)
        entries = receipt.get("logs")
        if not isinstance(entries, list):
            raise ChainError("the receipt has no list of logs")
        return Sent(
            gas=Gas(_number(receipt.get("gasUsed"), "gasUsed")),
            logs=tuple(_log(_object(entry, "a log")) for entry in entries),
            transaction=_bytes(receipt.get("transactionHash"), "transactionHash"),
            block=_number(receipt.get("blockNumber"), "blockNumber"),
        )

    def block_number(self) -> int:
        """Number of the latest block."""
        return _number(self._ask("eth_blockNumber", []), "eth_blockNumber")

    def events(self, address: Address, first: int, last: int) -> Sequence[Event]:
        """What a contract logged in the blocks ``first..last``, in its order."""
        found: list[Event] = []
        for start in range(first, last + 1, EVENT_BLOCKS):
            end = min(start + EVENT_BLOCKS - 1, last)
            wanted = {"address": address, "fromBlock": hex(start), "toBlock": hex(end)}
            entries = self._ask("eth_getLogs", [wanted])
            if not isinstance(entries, list):
                raise ChainError(f"eth_getLogs answered {entries!r:.80}")
            found += (_event(_object(entry, "a log")) for entry in entries)
        if any(event.log.address != address for event in found):
            raise ChainError("the node gave logs of another contract")
        return found

    def transaction(self, digest: bytes) -> Transaction:
        """A transaction that was mined."""
        sent = _object(self._ask("eth_getTransactionByHash", [_hex(digest)]), "a transaction")
        number = _number(sent.get("blockNumber"), "blockNumber")
        block = _object(self._ask("eth_getBlockByNumber", [hex(number), False]), "its block")
        to = sent.get("to")
        return Transaction(
            sender=_address(sent.get("from"), "the sender"),
            to=None if to is None else _address(to, "the payee"),
            data=_bytes(sent.get("input"), "the calldata"),
            time=_number(block.get("timestamp"), "the block's timestamp"),
        )

    def _transact(
        self, request: dict[str, Any], sender: Address | None, gas: int | None
    ) -> Mapping[str, Any]:
        account = sender or self._default_sender()
        request = request | {"from": account, "value": hex(request["value"])}
        limit = gas or self._estimate(request)
        floor = calldata_floor(bytes.fromhex(request["data"][2:]))
        if limit < floor:  # nodes take it and never mine it
            raise OutOfGasError(f"{limit} gas do not pay for the calldata, which costs {floor}")
        request["gas"] = hex(limit)
        key = self._keys.get(account)
        if key is None:
            sent = self._ask("eth_sendTransaction", [request])
        else:
            raw = self._sign(request, key)
            sent = self._ask("eth_sendRawTransaction", [_hex(raw)])
        transaction = _bytes(sent, "the transaction's hash")
        receipt = self._wait(transaction)
        if _number(receipt.get("status"), "status") != 1:
            self._explain(request, receipt, limit)
        return receipt

    def _default_sender(self) -> Address:
        accounts = self.accounts
        if not accounts:
            raise InputError("there is no account to send from", hint="give a signing key")
        return accounts[0]

    def _estimate(self, request: Mapping[str, Any]) -> int:
        estimate = _number(self._ask("eth_estimateGas", [dict(request)]), "eth_estimateGas")
        return min(int(estimate * GAS_MARGIN), max(TRANSACTION_GAS_CAP, estimate))

    def _sign(self, request: Mapping[str, Any], key: SigningKey) -> bytes:
        from eth_account import Account

        pending = self._ask("eth_getTransactionCount", [key.address, "pending"])
        block = _object(self._ask("eth_getBlockByNumber", ["latest", False]), "the latest block")
        base = _number(block.get("baseFeePerGas"), "baseFeePerGas")
        tip = _number(self._ask("eth_maxPriorityFeePerGas", []), "eth_maxPriorityFeePerGas")
        fields: dict[str, Any] = {
            "chainId": self._chain_id,
            "nonce": _number(pending, "eth_getTransactionCount"),
            "gas": int(request["gas"], 16),
            "value": int(request["value"], 16),
            "data": request["data"],
            "type": 2,
            # The base fee grows by at most 1/8 a block: this lasts for six full blocks.
            "maxFeePerGas": 2 * base + tip,
            "maxPriorityFeePerGas": tip,
        }
        if "to" in request:
            fields["to"] = request["to"]
        signed = Account.sign_transaction(fields, key.secret)
        return bytes(signed.raw_transaction)

    def _wait(self, transaction: bytes) -> Mapping[str, Any]:
        """Wait for the receipt; ask again after the confirmations, since blocks can be undone."""
        deadline = self._clock() + self._wait_timeout
        while self._clock() < deadline:
            answer = self._ask("eth_getTransactionReceipt", [_hex(transaction)])
            if answer is not None:
                receipt = _object(answer, "the receipt")
                if self._stands(transaction, receipt):
                    return receipt
            self._sleep(0.2)
        raise ChainError(
            f"transaction 0x{transaction.hex()} was not confirmed in {self._wait_timeout:g} s",
            hint="it may still be mined: look it up before sending again",
        )

    def _stands(self, transaction: bytes, receipt: Mapping[str, Any]) -> bool:
        if _bytes(receipt.get("transactionHash"), "transactionHash") != transaction:
            raise ChainError("the node answered with the receipt of another transaction")
        number = _number(receipt.get("blockNumber"), "blockNumber")
        if self.block_number() < number + self._confirmations - 1:
            return False
        block = self._ask("eth_getBlockByNumber", [hex(number), False])
        # After a re-org the block at that height is another: the receipt is stale, wait on.
        return isinstance(block, Mapping) and _bytes(block.get("hash"), "hash") == _bytes(
            receipt.get("blockHash"), "blockHash"
        )

    def _explain(self, request: Mapping[str, Any], receipt: Mapping[str, Any], limit: int) -> None:
        """Say why a mined transaction failed: receipts hold no reason, so it is called again."""
        if _number(receipt.get("gasUsed"), "gasUsed") >= limit:
            raise OutOfGasError(f"the transaction used all its {limit} gas")
        call = {k: v for k, v in request.items() if k in ("to", "data", "from", "value", "gas")}
        self._ask("eth_call", [call, "latest"])  # raises RevertedError with the reason
        raise ChainError("the transaction failed, and calling it again does not")

    def _ask(self, method: str, parameters: list[Any]) -> object:
        with _translated(method):
            answer = self._web3.provider.make_request(method, parameters)
            if not isinstance(answer, Mapping):
                raise ChainError(f"the node answered {method} with no JSON object")
            error = answer.get("error")
            if error is not None:
                raise _failure(method, error)
            if "result" not in answer:
                raise ChainError(f"the node answered {method} with neither result nor error")
            result: object = answer["result"]
            return result


@contextmanager
def _translated(method: str) -> Iterator[None]:
    from requests.exceptions import RequestException, Timeout
    from web3.exceptions import Web3Exception

    try:
        yield
    except VerifiableError:
        raise
    except Timeout as e:
        raise ChainError(f"the node did not answer {method} in time") from e
    except RequestException as e:
        raise ChainError(f"the node cannot be reached for {method}: {e}") from e
    except (Web3Exception, ValueError, TypeError, KeyError) as e:
        raise ChainError(f"the node answered {method} with nonsense: {e!r:.200}") from e


def _failure(method: str, error: object) -> ChainError:
    if not isinstance(error, Mapping):
        return ChainError(f"the node refused {method}: {error!r:.200}")
    message, data = str(error.get("message", "")), error.get("data")
    if isinstance(data, Mapping):  # some nodes wrap it
        data = data.get("data")
    if isinstance(data, str) and data.startswith("0x"):
        return RevertedError(_bytes(data, "the revert's data"))
    if "revert" in message:
        return RevertedError(b"")
    if "out of gas" in message.lower() or "OutOfGas" in message:
        return OutOfGasError(f"{method} ran out of gas")
    return ChainError(f"the node refused {method}: {message[:300]}")


def _log(entry: Mapping[str, Any]) -> Log:
    topics = entry.get("topics")
    if not isinstance(topics, list):
        raise ChainError("a log has no list of topics")
    return Log(
        address=_address(entry.get("address"), "a log's address"),
        topics=tuple(_bytes(topic, "a topic") for topic in topics),
        data=_bytes(entry.get("data"), "a log's data"),
    )


def _event(entry: Mapping[str, Any]) -> Event:
    return Event(
        log=_log(entry),
        block=_number(entry.get("blockNumber"), "blockNumber"),
        transaction=_bytes(entry.get("transactionHash"), "transactionHash"),
    )


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ChainError(f"the node gave {value!r:.80} for {what}")
    return value


def _number(value: object, what: str) -> int:
    if isinstance(value, str) and value.startswith("0x"):
        try:
            number = int(value, 16)
        except ValueError as e:
            raise ChainError(f"the node gave `{value:.80}` for {what}") from e
        if number < 1 << 256:
            return number
    raise ChainError(f"the node gave {value!r:.80} for {what}")


def _bytes(value: object, what: str) -> bytes:
    if isinstance(value, str) and value.startswith("0x") and len(value) <= _ANSWER_LIMIT:
        try:
            return bytes.fromhex(value[2:])
        except ValueError as e:
            raise ChainError(f"the node gave `{value:.80}` for {what}") from e
    raise ChainError(f"the node gave {value!r:.80} for {what}")


def _address(value: object, what: str) -> Address:
    data = _bytes(value, what)
    if len(data) != 20:
        raise ChainError(f"the node gave {len(data)} bytes for {what}")
    return parse_address(_hex(data))


def _hex(data: bytes) -> str:
    return "0x" + data.hex()

"""What every chain can do, be it an EVM in this process or a node behind a URL."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from verifiable.types import Address, Gas

TRANSACTION_GAS_CAP: Final = 16_777_216
"""Most gas of one transaction (EIP-7825)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """One event a transaction left."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A log, and where it stands in the chain."""

    log: Log
    block: int
    transaction: bytes
    """What `Ledger.transaction` is asked by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A transaction that is in the chain."""

    sender: Address
    to: Address | None
    """None if it created a contract."""
    data: bytes
    time: int
    """Unix seconds of its block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A transaction that was carried out; one that reverted raises instead."""

    gas: Gas
    """Gas the transaction was charged, intrinsic gas included."""
    logs: tuple[Log, ...]
    transaction: bytes
    """Hash; empty on the embedded chain."""
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A contract that was created."""

    address: Address
    gas: Gas


class Chain(Protocol):
    """A chain one can read and write.

    Every method raises ``ChainError`` if the node refuses, times out or answers nonsense, and its
    subclass `verifiable.chain.revert.RevertedError` if a contract reverted.
    """

    @property
    def chain_id(self) -> int:
        """Id that signatures are bound to (EIP-155)."""

    @property
    def accounts(self) -> Sequence[Address]:
        """Accounts that this object can send from; the first is the default sender."""

    def block_time(self) -> int:
        """Unix seconds of the latest block."""

    def balance(self, account: Address) -> int:
        """Wei that `account` has."""

    def code(self, account: Address) -> bytes:
        """Runtime code of `account`; empty if it is no contract."""

    def deploy(self, initcode: bytes, *, sender: Address | None = None, value: int = 0) -> Deployed:
        """Create a contract."""

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

    def send(
        self,
        to: Address,
        data: bytes,
        *,
        sender: Address | None = None,
        value: int = 0,
        gas: int | None = None,
    ) -> Sent:
        """Run a transaction and wait until it stands."""


class Ledger(Chain, Protocol):
    """A chain whose past can be read; its methods raise as those of `Chain`."""

    def block_number(self) -> int:
        """Number of the latest block."""

    def events(self, address: Address, first: int, last: int) -> Sequence[Event]:
        """What a contract logged in the blocks ``first..last``, in its order."""

    def transaction(self, digest: bytes) -> Transaction:
        """A transaction, as an event names it."""


def calldata_floor(data: bytes) -> Gas:
    """Least gas that a transaction with this calldata is charged.

    References
    ----------
    EIP-7623: ``21000 + 10 * (zero bytes + 4 * other bytes)``.

    Examples
    --------
    >>> calldata_floor(bytes(1) + b"a")
    21050
    """
    zeros = data.count(0)
    return Gas(21_000 + 10 * (zeros + 4 * (len(data) - zeros)))

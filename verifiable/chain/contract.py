"""Our contracts called by name, with their refusals as our errors and their events by name."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from verifiable.chain.abi import Abi, canonical_type, decode_result, encode_call
from verifiable.chain.protocol import Chain, Event, Sent
from verifiable.chain.revert import OutOfGasError, RevertedError
from verifiable.crypto.address import parse_address
from verifiable.crypto.hashing import keccak256
from verifiable.dispute import errors
from verifiable.dispute.errors import IllegalMoveError
from verifiable.errors import ChainError, OpeningRejectedError, VerifiableError
from verifiable.types import Address

OPENING_ERRORS: Final = frozenset(
    {
        "DataLength", "DescriptorMalformed", "EmptyChunks", "KindGiven", "KindRefused", "NoPieces",
        "NoSuchDot", "NoSuchElement", "NoSuchLeaf", "NoSuchPiece", "NoSuchTensor", "OperandCount",
        "PartialsLength", "PathLength", "ProgramMalformed", "RootMismatch", "TypeAloneWanted",
        "UnknownScalar",
    }
)  # fmt: skip
"""What the step contracts say of proofs that show nothing."""


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract at `address` with the ABI of `interface`; every method raises as `refusal_of`."""

    chain: Chain
    address: Address
    interface: str

    @property
    def abi(self) -> Abi:
        """Functions, errors and events."""
        return abi_of(self.interface)

    def ask(self, name: str, *arguments: object) -> tuple[Any, ...]:
        """What a view returns."""
        data = encode_call(self.abi, name, arguments)
        try:
            returned = self.chain.call(self.address, data)
        except RevertedError as e:
            raise refusal_of(e) from e
        return decode_result(self.abi, name, returned)

    def ask_struct(self, name: str, *arguments: object) -> dict[str, Any]:
        """The one struct that a view returns, by the names of its fields as Python writes them."""
        (values,) = self.ask(name, *arguments)
        (entry,) = (e for e in self.abi if e.get("type") == "function" and e["name"] == name)
        names = (_snake(part["name"]) for part in entry["outputs"][0]["components"])
        return {
            name: parse_address(value) if isinstance(value, str) else value
            for name, value in zip(names, values, strict=True)
        }

    def send(
        self, name: str, *arguments: object, sender: Address | None = None, value: int = 0
    ) -> Sent:
        """Run a transaction; where the chain is remote its gas is estimated, with a margin."""
        data = encode_call(self.abi, name, arguments)
        try:
            return self.chain.send(self.address, data, sender=sender, value=value)
        except RevertedError as e:
            raise refusal_of(e) from e


def _snake(name: str) -> str:
    """Name of a field in Python.

    >>> _snake("windowEnd")
    'window_end'
    """
    return re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), name)


@cache
def abi_of(interface: str) -> Abi:
    """ABI of one of our contracts."""
    from verifiable.solidity.artifacts import load

    return load(interface).abi


def refusal_of(reverted: RevertedError) -> VerifiableError:
    """Say what a revert of the referee, its register or its vault means.

    Returns
    -------
    VerifiableError
        The `IllegalMoveError` of the error's name with its arguments; `OpeningRejectedError` if a
        proof shows nothing; a `ChainError` if nothing was decided.
    """
    error = reverted.error
    if error is None:
        return reverted
    if error.name == "SubcallOutOfGas":
        return OutOfGasError("the referee ran out of gas, which decides nothing")
    if error.name in OPENING_ERRORS:
        return OpeningRejectedError(f"the contract refused the proof: {error}")
    kind = _refusals().get(error.name)
    return reverted if kind is None else kind(*(value for _, value in error.arguments))


@cache
def _refusals() -> Mapping[str, type[IllegalMoveError]]:
    found = (kind for kind in vars(errors).values() if isinstance(kind, type))
    return {
        kind.__name__.removesuffix("Error"): kind
        for kind in found
        if issubclass(kind, IllegalMoveError) and kind is not IllegalMoveError
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedEvent:
    """An event of a known name."""

    name: str
    values: Mapping[str, Any]
    """By the names of its parameters, as the ABI decodes them."""
    event: Event


def named_events(abi: Abi, events: Iterator[Event]) -> Iterator[NamedEvent]:
    """Decode those events that an ABI knows, in their order.

    One with a string that is no UTF-8 is left out: contracts do not look at it, so anyone may open
    a job with one, and it must not hide the jobs of others. No claim can answer it.

    Raises
    ------
    ChainError
        If one of them is not of its types.
    """
    known = {_topic(entry): entry for entry in abi if entry.get("type") == "event"}
    for event in events:
        entry = known.get(event.log.topics[0]) if event.log.topics else None
        if entry is None:
            continue
        with suppress(UnicodeDecodeError):
            yield NamedEvent(name=entry["name"], values=_values(entry, event), event=event)


def _topic(entry: Mapping[str, Any]) -> bytes:
    types = ",".join(canonical_type(i) for i in entry["inputs"])
    return keccak256(f"{entry['name']}({types})".encode())


def _values(entry: Mapping[str, Any], event: Event) -> Mapping[str, Any]:
    from eth_abi.abi import decode
    from eth_abi.exceptions import DecodingError

    indexed = [i for i in entry["inputs"] if i["indexed"]]
    plain = [i for i in entry["inputs"] if not i["indexed"]]
    topics = event.log.topics[1:]
    if len(topics) != len(indexed):
        raise ChainError(f"{entry['name']} has {len(topics)} topics, wanted {len(indexed)}")
    parts = [(indexed, b"".join(topics)), (plain, event.log.data)]
    found: dict[str, Any] = {}
    try:
        for inputs, data in parts:
            values = decode([canonical_type(i) for i in inputs], data)
            found |= zip((i["name"] for i in inputs), values, strict=True)
    except (DecodingError, OverflowError) as e:
        raise ChainError(f"the node gave an event {entry['name']} that is none") from e
    return found

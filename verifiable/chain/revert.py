"""Reverts of contracts: custom errors by name, with their arguments."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from verifiable.chain.abi import canonical_type, selector
from verifiable.crypto.hashing import keccak256
from verifiable.errors import ChainError

_BUILT_IN: Final[tuple[Mapping[str, Any], ...]] = (
    {"type": "error", "name": "Error", "inputs": [{"name": "message", "type": "string"}]},
    {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
)


@dataclass(frozen=True, slots=True)
class ContractError:
    """A decoded custom error."""

    name: str
    arguments: tuple[tuple[str, Any], ...]
    """Name and value of each argument; bytes stay bytes."""

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={_shown(value)}" for name, value in self.arguments)
        return f"{self.name}({shown})"


class RevertedError(ChainError):
    """A contract reverted.

    Parameters
    ----------
    data : bytes
        What it gave as the reason; empty if nothing.
    """

    def __init__(self, data: bytes, *, hint: str | None = None) -> None:
        self.data = data
        self.error = decode_revert(data)
        said = str(self.error) if self.error else (f"0x{data.hex()}" if data else "no reason")
        super().__init__(f"the contract reverted: {said}", hint=hint)

    @property
    def name(self) -> str | None:
        """Name of the custom error, if it is one of ours or built in."""
        return self.error.name if self.error else None


class OutOfGasError(ChainError):
    """A transaction or call ran out of the gas it was given, which decides nothing."""


def decode_revert(data: bytes) -> ContractError | None:
    r"""Decode the reason of a revert.

    Parameters
    ----------
    data : bytes
        Return data of the call that reverted.

    Returns
    -------
    ContractError or None
        None if the selector is unknown or the arguments do not decode.

    Examples
    --------
    >>> print(decode_revert(bytes.fromhex("4e487b71") + bytes(31) + b"\x11"))
    Panic(code=17)
    """
    from eth_abi.abi import decode
    from eth_abi.exceptions import DecodingError

    entry = _known().get(data[:4]) if len(data) >= 4 else None
    if entry is None:
        return None
    inputs = entry["inputs"]
    try:
        values = decode([canonical_type(i) for i in inputs], data[4:])
    except (DecodingError, OverflowError, UnicodeDecodeError):
        return None
    return ContractError(
        entry["name"], tuple((i["name"], v) for i, v in zip(inputs, values, strict=True))
    )


def error_selectors(abi: Iterable[Mapping[str, Any]]) -> dict[bytes, Mapping[str, Any]]:
    """Custom errors of an ABI, by the first four bytes of their data."""
    return {selector(entry): entry for entry in abi if entry.get("type") == "error"}


@cache
def _known() -> dict[bytes, Mapping[str, Any]]:
    from verifiable.solidity.artifacts import SHIPPED, load

    known = error_selectors(_BUILT_IN)
    for name in SHIPPED:
        known |= error_selectors(load(name).abi)
    # Errors of the emitted contract and of libraries whose errors do not surface in an ABI.
    for signature in ("InsecureSrs()", "NotCanonical(uint256)", "SubcallOutOfGas(address)"):
        name, _, types = signature.rstrip(")").partition("(")
        inputs = [{"name": f"a{i}", "type": t} for i, t in enumerate(types.split(",")) if t]
        known.setdefault(keccak256(signature.encode())[:4], {"name": name, "inputs": inputs})
    return known


def _shown(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)

"""The market's contracts compiled once per run, and called by name with decoded reverts."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from compiled import compiled

from verifiable.chain.abi import canonical_type, decode_result, encode_call, encode_constructor
from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.protocol import Sent
from verifiable.chain.revert import RevertedError, error_selectors
from verifiable.solidity.artifacts import sources, with_libraries
from verifiable.solidity.standard import Artifact, Settings
from verifiable.types import Address

HARNESS = Path(__file__).with_name("harness")
ZERO = Address("0x" + "00" * 20)
MARKET = ("market/StakeVault.sol", "market/JobRegister.sol", "market/ModelRegistry.sol")
HARNESSES = ("OddToken", "Actor", "AgenticJobs")


@cache
def artifacts(*more: str) -> Mapping[str, Artifact]:
    """The market, its harnesses and the sources `more`, by contract name."""
    text = dict(sources())
    text |= {f"harness/{n}.sol": (HARNESS / f"{n}.sol").read_text() for n in HARNESSES}
    roots = [*MARKET, *(f"harness/{n}.sol" for n in HARNESSES), *more]
    built = compiled(with_libraries(text), roots, Settings(evm="cancun"))
    for artifact in built.values():
        _KNOWN.update(error_selectors(artifact.abi))
    return built


class RefusedError(Exception):
    """A call reverted with a custom error."""

    def __init__(self, name: str, arguments: tuple[Any, ...]) -> None:
        self.name, self.arguments = name, arguments
        super().__init__(f"{name}{arguments}")


@dataclass(frozen=True, slots=True)
class Contract:
    """A deployed contract; addresses are given and returned in any case."""

    chain: EmbeddedChain
    artifact: Artifact
    address: Address

    def data(self, name: str, *arguments: Any) -> bytes:
        return encode_call(self.artifact.abi, name, arguments)

    def send(
        self, name: str, *arguments: Any, sender: Address | None = None, value: int = 0
    ) -> Sent:
        data = self.data(name, *arguments)
        try:
            return self.chain.send(self.address, data, sender=sender, value=value)
        except RevertedError as e:
            raise refusal(e.data) from e

    def refusal(
        self, name: str, *arguments: Any, sender: Address | None = None
    ) -> RefusedError | None:
        """Send, and say why if it was refused."""
        try:
            self.send(name, *arguments, sender=sender)
        except RefusedError as e:
            return e
        return None

    def call(self, name: str, *arguments: Any, sender: Address | None = None) -> Any:
        """The one value that it returns, or all of them."""
        try:
            raw = self.chain.call(self.address, self.data(name, *arguments), sender=sender)
        except RevertedError as e:
            raise refusal(e.data) from e
        values = decode_result(self.artifact.abi, name, raw)
        return values[0] if len(values) == 1 else values


def deploy(chain: EmbeddedChain, artifact: Artifact, *arguments: Any) -> Contract:
    """Create a contract."""
    tail = encode_constructor(artifact.abi, arguments)
    return Contract(chain, artifact, chain.deploy(artifact.bytecode + tail).address)


_KNOWN: Final[dict[bytes, Mapping[str, Any]]] = {}
"""Errors of all that was compiled: one contract passes on another's."""


def refusal(data: bytes) -> RefusedError:
    """Decode the reason of a revert."""
    from eth_abi.abi import decode

    entry = _KNOWN.get(data[:4])
    if entry is None:
        return RefusedError("0x" + data.hex(), ())
    values = decode([canonical_type(i) for i in entry["inputs"]], data[4:])
    return RefusedError(entry["name"], tuple(values))

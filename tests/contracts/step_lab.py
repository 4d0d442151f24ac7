"""The contracts that recompute one element, compiled once per run, and asked about proofs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from compiled import compiled

from verifiable.chain.abi import decode_result, encode_call, encode_constructor
from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.protocol import Chain
from verifiable.chain.step_values import proof_value, statement_value
from verifiable.chain.venue import KINDS
from verifiable.dispute.step import Statement, StepProof
from verifiable.solidity.artifacts import sources
from verifiable.solidity.standard import Artifact, EvmVersion, Settings
from verifiable.types import Address

HARNESS = Path(__file__).with_name("harness") / "StepHarness.sol"
ROOTS = ("harness/StepHarness.sol", "step/Steps.sol", *(f"step/{name}.sol" for name in KINDS))
GAS = 10**9
"""Of one call: what a proof costs is asked where it matters."""


@cache
def artifacts(evm: EvmVersion = "cancun") -> Mapping[str, Artifact]:
    text = {**sources(evm), "harness/StepHarness.sol": HARNESS.read_text()}
    return compiled(text, ROOTS, Settings(evm=evm))


@dataclass(frozen=True, slots=True)
class Lab:
    """The contracts on a chain."""

    chain: Chain
    steps: Address
    harness: Address

    def data(self, name: str, *arguments: object) -> bytes:
        return encode_call(artifacts()["Steps"].abi, name, arguments)

    def ask(self, name: str, *arguments: object, gas: int = GAS) -> bool:
        answer = self.chain.call(self.steps, self.data(name, *arguments), gas=gas)
        assert answer in (bytes(32), bytes(31) + b"\1")
        return answer[-1] == 1

    def differs(self, statement: Statement, proof: StepProof, *, gas: int = GAS) -> bool:
        return self.ask("differs", statement_value(statement), proof_value(proof), gas=gas)

    def partials_length(self, statement: Statement, proof: StepProof) -> int:
        data = self.data("partialsLength", statement_value(statement), proof_value(proof))
        return int.from_bytes(self.chain.call(self.steps, data, gas=GAS), "big")

    def combines(self, statement: Statement, proof: StepProof, partials: bytes) -> bool:
        return self.ask("combines", statement_value(statement), proof_value(proof), partials)

    def piece_differs(
        self, statement: Statement, proof: StepProof, partials: bytes, piece: int
    ) -> bool:
        values = statement_value(statement), proof_value(proof)
        return self.ask("pieceDiffers", *values, partials, piece)

    def harnessed(self, name: str, *arguments: object) -> bytes:
        abi = artifacts()["StepHarness"].abi
        answer = self.chain.call(self.harness, encode_call(abi, name, arguments), gas=GAS)
        (found,) = decode_result(abi, name, answer)
        assert isinstance(found, bytes)
        return found


def lab_on(chain: Chain, evm: EvmVersion) -> Lab:
    made = artifacts(evm)
    harness = chain.deploy(made["StepHarness"].bytecode).address
    kinds = [chain.deploy(made[kind].bytecode).address for kind in KINDS]
    steps = made["Steps"].bytecode + encode_constructor(made["Steps"].abi, kinds)
    return Lab(chain, chain.deploy(steps).address, harness)


@cache
def lab() -> Lab:
    """One chain for all tests: nothing is stored."""
    return lab_on(EmbeddedChain(), "cancun")

"""What a proof system is, to everything above it.

A proof system turns an ONNX model into a circuit, and runs of it into proofs. Nothing outside
its own package may know more of it than this module says. The stages, in order::

    plan     what would it cost?            nothing is built
    compile  model -> circuit               settings are chosen and fixed
    setup    circuit + SRS -> keys
    prove    keys + input -> proof          checked before it is handed out
    verify   statement + proof -> nothing, or an error
    emit     key -> sources of a verifier contract
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from verifiable.proofs.statement import Layout
from verifiable.types import Felt, Sha256

Tensors = Mapping[str, NDArray[np.float32]]
"""Input tensors by name; calibration data has a leading axis of samples in front."""

InputVisibility = Literal["public", "private", "hashed", "committed"]
WeightVisibility = Literal["fixed", "hashed", "committed"]
OutputVisibility = Literal["public", "hashed"]

HASH_ABOVE = 32
"""Public inputs of more elements than this are hashed by default: every public element is an
instance, which costs about 900 gas in the contract; one Poseidon digest costs one instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """Who sees which tensor.

    Private weights do not exist here: a proof about weights that nothing binds says nothing
    about a model.
    """

    input: InputVisibility
    weights: WeightVisibility = "fixed"
    output: OutputVisibility = "public"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a stage may use."""

    memory: int = 16 << 30
    """Bytes of memory one child process may hold."""
    seconds: float = 3600.0
    """Wall-clock seconds of one stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the tuner may spend, and how wrong the circuit may be."""

    error: float
    """Largest absolute difference to the float model's outputs, on held-out calibration data."""
    visibility: Visibility
    limits: Limits = field(default_factory=Limits)
    deadline: float = 3600.0
    """Seconds a proof may take on this machine."""
    gas: int | None = None
    """Most gas a verification may cost; None when no contract is planned."""
    levers: Mapping[str, int] | None = None
    """Settings chosen earlier, as in `Estimate.settings`; then nothing is swept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What one circuit costs, predicted before anything is built or measured afterwards.

    Bytes, seconds of wall clock on this machine, and gas of the bare verifier contract.
    """

    rows: int
    k: int
    key_bytes: int
    peak_memory: int
    setup_seconds: float
    prove_seconds: float
    proof_bytes: int
    gas: int
    error: float
    settings: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """A compiled circuit and what identifies it."""

    folder: Path
    onnx: Sha256
    settings: Sha256
    layout: Layout
    inputs: tuple[str, ...]
    """Names of the input tensors in the model's order."""
    k: int
    estimate: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a stage took: wall-clock seconds, CPU seconds, and bytes of resident memory."""

    seconds: float
    cpu_seconds: float
    peak_memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A proof and the instances it was made with."""

    instances: tuple[Felt, ...]
    data: bytes
    outputs: Tensors
    """Output tensors as the circuit computed them: multiples of ``2**-scale``."""
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEvent:
    """Something a running stage said."""

    stage: str
    message: str
    seconds: float
    """Since the stage began."""


Observer = Callable[[StageEvent], None]


def ignore(_event: StageEvent, /) -> None:
    """Observe nothing."""


class ProofSystem(Protocol):
    """One proof system; ``verifiable.proofs.ezkl.system`` is the first."""

    @property
    def semantics(self) -> str:
        """Name and version that a claim carries, such as ``ezkl/23.0.5``."""

    def plan(self, model: bytes, data: Tensors, policy: Policy) -> Estimate:
        """Predict the cost of the best settings; nothing is built."""

    def compile(self, model: bytes, data: Tensors, policy: Policy, folder: Path) -> Circuit:
        """Choose settings and write the circuit of `model` into `folder`."""

    def setup(self, circuit: Circuit, srs: Path, limits: Limits) -> Usage:
        """Write proving key, verifying key and verifier sources beside the circuit."""

    def prove(self, circuit: Circuit, srs: Path, tensors: Tensors, limits: Limits) -> Proof:
        """Prove one run, and verify the proof before returning it."""

    def verify(self, circuit: Circuit, instances: Sequence[Felt], proof: bytes) -> None:
        """Return if the proof shows these instances; raise ProofRejectedError if not."""

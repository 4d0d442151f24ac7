"""Small bundles and honest receipts, made once a run when first asked for.

A 4-3-2 network with seeded weights; settings are fixed, so nothing is tuned: k is 10 at most, and
a bundle and its first proof take about two seconds.
"""

import atexit
import functools
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from documents import KEY
from numpy.typing import NDArray
from run_folder import once, value_once

from verifiable.bundle import Bundle, open_bundle
from verifiable.claim import Claim, EzklPart
from verifiable.crypto.address import ZERO_ADDRESS
from verifiable.crypto.signatures import SigningKey
from verifiable.expectation import Expectation
from verifiable.proofs.compile import compile_model
from verifiable.proofs.locked import LockedCircuits, from_lock
from verifiable.proofs.protocol import Policy, Visibility
from verifiable.proofs.prove import Job, Proven, prove
from verifiable.receipt import Receipt, build_receipt, encode_receipt
from verifiable.types import Bytes32

NOW: Final = 1_800_000_000
LEVERS: Final = {
    "scale": 7,
    "scale_rebase_multiplier": 1,
    "decomp_base": 64,
    "decomp_legs": 4,
    "num_inner_cols": 2,
}
KINDS: Final[dict[str, tuple[Visibility, tuple[str, ...]]]] = {
    "public": (Visibility(input="public"), ()),
    "private": (Visibility(input="private"), ()),
    "hashed": (Visibility(input="hashed"), ()),
    "committed": (Visibility(input="committed"), ()),
    "hashed-weights": (Visibility(input="public", weights="hashed"), ()),
    "committed-weights": (Visibility(input="committed", weights="committed"), ()),
    "hashed-all": (Visibility(input="hashed", weights="hashed", output="hashed"), ()),
    "split": (Visibility(input="hashed"), ("hidden",)),
}
"""Each kind of bundle: who sees what, and where the model is cut."""

JOB: Final = Job(
    job_id=Bytes32(b"j" * 32),
    nonce=Bytes32(b"n" * 32),
    chain_id=0,
    verifier=ZERO_ADDRESS,
    expiry=NOW,
)

Tensors = dict[str, NDArray[np.float32]]


@functools.cache
def scratch() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="verifiable-material-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def model(seed: int = 0) -> bytes:
    """ONNX of a network with 4 inputs, 3 hidden and 2 outputs; the seed chooses its weights."""
    from onnx import TensorProto, helper, numpy_helper

    from verifiable.frontend.export import load_model

    rng = np.random.default_rng(seed)
    first = rng.uniform(-1, 1, (4, 3)).astype(np.float32)
    second = rng.uniform(-1, 1, (3, 2)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "first"], ["sums"]),
            helper.make_node("Relu", ["sums"], ["hidden"]),
            helper.make_node("MatMul", ["hidden", "second"], ["y"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return load_model(bytes(made.SerializeToString()))


def calibration(samples: int = 8) -> Tensors:
    """Elements between -1 and 1, both ends included."""
    values = np.random.default_rng(1).uniform(-1, 1, (samples, 1, 4)).astype(np.float32)
    values[0, 0, 0], values[0, 0, 1] = -1, 1
    return {"x": values}


def tensors(index: int = 0) -> Tensors:
    """Inputs that are in no calibration set; equal for equal `index`."""
    values = np.random.default_rng(100 + index).uniform(-1, 1, (1, 4))
    return {"x": values.astype(np.float32)}


def policy(visibility: Visibility, **changes: object) -> Policy:
    made = Policy(error=0.5, visibility=visibility, levers=LEVERS)
    return replace(made, **changes)  # type: ignore[arg-type]


def bundle(kind: str, seed: int = 0) -> Bundle:
    """A bundle opened for proving; callers must not change its files."""
    return _bundle(kind, seed)


@functools.cache
def _bundle(kind: str, seed: int) -> Bundle:
    visibility, cuts = KINDS[kind]

    def make(out: Path) -> None:
        compile_model(
            model(seed), calibration(), policy(visibility), out, at=cuts, allow_insecure_srs=True
        )

    return open_bundle(once(f"bundle-{kind}-{seed}", make), "prove")


def circuits(kind: str) -> LockedCircuits:
    return from_lock(bundle(kind))


def proven(kind: str, index: int = 0, seed: int = 0) -> Proven:
    """An honest receipt about `tensors(index)`."""
    # Default arguments would be cached under keys of their own.
    return _proven(kind, index, seed)


@functools.cache
def _proven(kind: str, index: int, seed: int) -> Proven:
    found = bundle(kind, seed)
    return value_once(
        f"proven-{kind}-{index}-{seed}", lambda: prove(found, tensors(index), JOB, KEY)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What one verification is about."""

    receipt: Receipt
    expectation: Expectation

    @property
    def document(self) -> bytes:
        return encode_receipt(self.receipt)

    @property
    def claim(self) -> Claim:
        return self.receipt.claim


def input_file(index: int = 0) -> Path:
    path = scratch() / f"input-{index}.npz"
    if not path.exists():
        np.savez(path, x=tensors(index)["x"])
    return path


def case(kind: str, index: int = 0) -> Case:
    """An honest receipt, and what a caller expects who knows the input and nothing else."""
    found = bundle(kind)
    return Case(
        receipt=proven(kind, index).receipt,
        expectation=Expectation(
            bundle=found.folder,
            provider=KEY.address,
            job_id=JOB.job_id,
            nonce=JOB.nonce,
            chain_id=JOB.chain_id,
            verifier=JOB.verifier,
            input=None if kind == "private" else input_file(index),
            output=None,
            lock=found.digest,
        ),
    )


def resigned(receipt: Receipt, claim: Claim, key: SigningKey = KEY) -> Receipt:
    """What a cheating provider makes: another claim, the same proofs, good signatures."""
    return build_receipt(claim, receipt.proofs, receipt.versions, key)


def with_parts(claim: Claim, *parts: EzklPart) -> Claim:
    return replace(claim, subject=replace(claim.subject, parts=parts))


def with_instances(claim: Claim, part: int, instances: Mapping[int, int]) -> Claim:
    """The claim with some instances of one part replaced."""
    from verifiable.types import Felt

    parts = list(claim.subject.parts)
    values = list(parts[part].instances)
    for index, value in instances.items():
        values[index] = Felt(value)
    parts[part] = replace(parts[part], instances=tuple(values))
    return with_parts(claim, *parts)


def copied(source: Path, target: Path) -> Path:
    """A copy of a bundle that a test may damage."""
    shutil.copytree(source, target)
    return target


def reopened(folder: Path) -> Bundle:
    return open_bundle(folder, "prove")


def environment(**changes: str) -> dict[str, str]:
    """Environment for child processes: ours, and the repository on the path."""
    root = str(Path(__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root, "PYTHONWARNINGS": "error", **changes}


PYTHON: Final = sys.executable

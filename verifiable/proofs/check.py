"""Verifying a receipt against what the caller expects, offline.

Two verifiers stand behind one call: ezkl's own, in a child process, and ours in
``verifiable.proofs.halo2``, which needs no ezkl. Both are handed instances that were written from
the caller's values; nothing the prover wrote decides what is checked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from verifiable.bundle import Bundle, open_bundle
from verifiable.claim import Claim
from verifiable.crypto.bn254 import G1, compress
from verifiable.crypto.felt import quantize
from verifiable.crypto.kzg import columns_of, commit
from verifiable.crypto.srs import identify_reduced, open_srs, verifier_points
from verifiable.errors import LockError, StatementRejectedError, TensorError
from verifiable.expectation import Expectation, Expected, ExpectedPart
from verifiable.frontend.export import signature_of
from verifiable.frontend.inputs import bind_input, read_arrays
from verifiable.proofs import halo2
from verifiable.proofs.ezkl.files import PLAIN, VERIFYING_KEY, read_circuit
from verifiable.proofs.ezkl.system import Ezkl
from verifiable.proofs.halo2 import VerifyingKey
from verifiable.proofs.instances import check_joints, known_instances, read_outputs
from verifiable.proofs.locked import LockedCircuits, LockedPart, from_lock
from verifiable.proofs.srs_store import locked_srs, srs_of_level
from verifiable.receipt import check_document, parse_receipt
from verifiable.types import Felt

Method = Literal["ezkl", "independent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a verified receipt says."""

    claim: Claim
    """Made of the caller's values wherever the caller had any."""
    outputs: Mapping[str, NDArray[np.float64]]
    """Public outputs of the model."""
    error: float
    """Largest difference to the float model that was found when the circuits were compiled."""


def check(
    receipt: bytes,
    expectation: Expectation,
    *,
    now: int,
    method: Method,
    allow_insecure_srs: bool = False,
    base: Path = Path(),
) -> Checked:
    """Verify a receipt; return what it says, or raise.

    0. The caller's bundle is whole, and is the one the expectation names.
    1. The document is what the caller expects (`verifiable.receipt.check_document`).
    2. Every joint of a split model holds.
    3. Committed inputs are the caller's.
    4. Every part's proof satisfies the key in the caller's bundle.

    Parameters
    ----------
    receipt : bytes
    expectation : Expectation
        The caller's; no part of it may stem from the receipt.
    now : int
        Unix seconds.
    method : "ezkl" or "independent"
        Which verifier checks the proofs.
    allow_insecure_srs : bool
        For development only.
    base : Path
        Where relative paths of the expectation start.

    Raises
    ------
    LockError
        Step 0.
    EncodingError, SignatureRejectedError, StatementRejectedError, InsecureSrsError
        Steps 1 to 3.
    ProofRejectedError
        Step 4.
    MissingDependencyError, OutOfMemoryError, StageTimeoutError, StageFailedError
        If this machine cannot run the verifier that was asked for.
    """
    bundle = open_bundle(base / expectation.bundle, "verify")
    if expectation.lock is not None and bundle.digest != expectation.lock:
        raise LockError(
            f"the bundle's LOCK.json has SHA-256 {bundle.digest.hex()}, "
            f"the expectation names {expectation.lock.hex()}"
        )
    circuits = from_lock(bundle)
    tensors = expected_tensors(bundle, circuits, expectation, base)
    parsed = parse_receipt(receipt)
    expected = expect(circuits, expectation, tensors, allow_insecure_srs=allow_insecure_srs)
    claim = check_document(parsed, expected, now=now)
    instances = [part.instances for part in claim.subject.parts]
    check_joints(circuits.joints, [part.layout for part in circuits.parts], instances)
    for part, stated, proof in zip(circuits.parts, instances, parsed.proofs, strict=True):
        # ezkl itself reads as many bytes as it needs and ignores the rest; this demands the length.
        committed = halo2.commitments(_key(part), proof)
        _check_commitments(circuits, part, committed, tensors)
        if method == "ezkl":
            Ezkl().verify(read_circuit(part.folder, part.layout), stated, proof)
        else:
            _verify_independently(circuits, part, stated, proof)
    last = circuits.parts[-1]
    return Checked(claim=claim, outputs=read_outputs(last.layout, instances[-1]), error=last.error)


def expected_tensors(
    bundle: Bundle, circuits: LockedCircuits, expectation: Expectation, base: Path
) -> dict[str, NDArray[np.floating]]:
    """Input and output tensors that the caller knows, by name.

    Raises
    ------
    TensorError, EncodingError
        If they do not fit the model.
    """
    tensors: dict[str, NDArray[np.floating]] = {}
    if expectation.input is not None:
        signature = signature_of((bundle.folder / "model.onnx").read_bytes())
        tensors |= bind_input(read_arrays(base / expectation.input), signature)
    if expectation.output is not None:
        slots = circuits.parts[-1].layout.of("output")
        if len(slots) != len(expectation.output):
            raise TensorError(
                f"the model has {len(slots)} outputs, the expectation {len(expectation.output)}"
            )
        for slot, values in zip(slots, expectation.output, strict=True):
            tensors[slot.name] = np.array(values, np.float64)
    return tensors


def expect(
    circuits: LockedCircuits,
    expectation: Expectation,
    tensors: Mapping[str, NDArray[np.floating]],
    *,
    allow_insecure_srs: bool,
) -> Expected:
    """Turn an expectation into digests and instances, from the caller's own bundle."""
    # The SRS's own bytes say whether it is the ceremony's; a LOCK could lie.
    insecure = identify_reduced(circuits.srs_verifier.read_bytes()).insecure
    if insecure != circuits.insecure_srs:
        raise LockError(
            f"the LOCK says insecure SRS: {circuits.insecure_srs}, and it is {insecure}"
        )
    return Expected(
        venue="zk",
        semantics=circuits.semantics,
        provider=expectation.provider,
        job_id=expectation.job_id,
        nonce=expectation.nonce,
        chain_id=expectation.chain_id,
        verifier=expectation.verifier,
        model=circuits.model,
        insecure_srs=insecure,
        allow_insecure_srs=allow_insecure_srs,
        parts=tuple(
            ExpectedPart(
                onnx=part.onnx,
                settings=part.settings,
                vk=part.vk,
                instances=known_instances(part.layout, tensors, part.weights),
            )
            for part in circuits.parts
        ),
    )


def _verify_independently(
    circuits: LockedCircuits, part: LockedPart, instances: Sequence[Felt], proof: bytes
) -> None:
    g2, tau_g2 = verifier_points(circuits.srs_verifier.read_bytes())
    halo2.verify(_key(part), instances, proof, g2=g2, tau_g2=tau_g2)


def _key(part: LockedPart) -> VerifyingKey:
    emitted = (part.folder / PLAIN).read_text(encoding="utf-8")
    return halo2.read_key((part.folder / VERIFYING_KEY).read_bytes(), emitted)


def _check_commitments(
    circuits: LockedCircuits,
    part: LockedPart,
    points_of_proof: Sequence[G1],
    tensors: Mapping[str, NDArray[np.floating]],
) -> None:
    """Compare the commitments at the head of a proof with the caller's tensors and weights.

    Committed inputs come first, then committed weights. An input the caller does not know is
    skipped by as many points as a tensor of its size takes.
    """
    points = iter(points_of_proof)
    for slot in part.layout.slots:
        if slot.form != "commitment":
            continue
        if slot.role == "weights":
            got = tuple(compress(point) for point in islice(points, len(part.weights)))
            if got != part.weights:
                raise StatementRejectedError("the proof is about other weights than the bundle's")
            continue
        count = columns_of(prod(slot.shape), part.k)
        points_of_slot = tuple(islice(points, count))
        if slot.name in tensors:
            felts = [quantize(float(x), slot.scale) for x in np.ravel(tensors[slot.name])]
            srs = open_srs(srs_of_level(locked_srs(circuits.srs, circuits.srs_k), part.k))
            if commit(felts, srs, part.k) != points_of_slot:
                raise StatementRejectedError(
                    f"the proof is about another `{slot.name}` than the expected one"
                )

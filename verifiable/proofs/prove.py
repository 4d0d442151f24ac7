"""From a bundle and an input to a signed receipt."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from verifiable import __version__
from verifiable.bundle import Bundle
from verifiable.claim import Claim, EzklPart, EzklSubject, Header
from verifiable.crypto.signatures import SigningKey
from verifiable.errors import InputError
from verifiable.frontend.inputs import check_covers
from verifiable.proofs.ezkl.files import read_circuit
from verifiable.proofs.ezkl.system import Ezkl
from verifiable.proofs.instances import check_joints
from verifiable.proofs.locked import LockedCircuits, from_lock
from verifiable.proofs.protocol import Limits, Observer, Proof, Tensors, Usage, ignore
from verifiable.proofs.srs_store import locked_srs, srs_of_level
from verifiable.receipt import Receipt, build_receipt
from verifiable.types import Address, Bytes32

COVERAGE_MARGIN = 0.12
"""Share of the calibrated range an input may exceed: half of the tuner's headroom, since a range
may reach as far below zero as above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """For whom and until when a proof is made."""

    job_id: Bytes32
    nonce: Bytes32
    chain_id: int
    verifier: Address
    expiry: int
    """Last Unix second at which the claim holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """A receipt, the outputs it is about, and what each part took."""

    receipt: Receipt
    outputs: Tensors
    usages: tuple[Usage, ...]


def prove(
    bundle: Bundle,
    tensors: Tensors,
    job: Job,
    key: SigningKey,
    *,
    limits: Limits | None = None,
    observer: Observer = ignore,
) -> Proven:
    """Prove one run of the bundle's model and sign a receipt for it.

    0. Every input lies in the range the circuits were calibrated on.
    1. Each part is proven, and its proof verified, before the next begins.
    2. The parts join: what one hands on is what the next has read.
    3. The provider signs.

    Parameters
    ----------
    bundle : Bundle
        Opened for proving.
    tensors : mapping of str to float32 array
        One for each input of the model, of its shape.
    job : Job
    key : SigningKey
        The provider's.
    limits : Limits, optional
        For each stage.
    observer : Observer

    Raises
    ------
    TensorError
        If an input leaves the calibrated range.
    LockError
        If the SRS of the keys is absent.
    ProofRejectedError, StatementRejectedError
        If a proof of ours does not verify; nothing is signed then.
    MissingDependencyError, OutOfMemoryError, StageTimeoutError, StageFailedError
        As ``proofs.ezkl.process.run_stage``.
    """
    circuits = from_lock(bundle)
    check_covers(dict(circuits.calibrated), dict(tensors), margin=COVERAGE_MARGIN)
    proofs, outputs = _prove_parts(circuits, tensors, limits or Limits(), observer)
    layouts = [part.layout for part in circuits.parts]
    check_joints(circuits.joints, layouts, [proof.instances for proof in proofs])
    claim = _claim(circuits, proofs, job, key.address)
    versions = [("verifiable", __version__), ("ezkl", circuits.semantics.partition("/")[2])]
    receipt = build_receipt(claim, [proof.data for proof in proofs], versions, key)
    return Proven(receipt=receipt, outputs=outputs, usages=tuple(proof.usage for proof in proofs))


def _prove_parts(
    circuits: LockedCircuits, tensors: Tensors, limits: Limits, observer: Observer
) -> tuple[list[Proof], Tensors]:
    system = Ezkl(observer=observer)
    srs = locked_srs(circuits.srs, circuits.srs_k)
    known: dict[str, NDArray[np.float32]] = dict(tensors)
    proofs: list[Proof] = []
    for part in circuits.parts:
        circuit = read_circuit(part.folder, part.layout)
        missing = [name for name in circuit.inputs if name not in known]
        if missing:
            raise InputError(f"the model needs the input `{missing[0]}`")
        inputs = {name: known[name] for name in circuit.inputs}
        proof = system.prove(circuit, srs_of_level(srs, circuit.k), inputs, limits)
        known |= proof.outputs
        proofs.append(proof)
    return proofs, proofs[-1].outputs


def _claim(circuits: LockedCircuits, proofs: Sequence[Proof], job: Job, provider: Address) -> Claim:
    venue: Literal["zk"] = "zk"
    return Claim(
        header=Header(
            venue=venue,
            semantics=circuits.semantics,
            job_id=job.job_id,
            nonce=job.nonce,
            chain_id=job.chain_id,
            verifier=job.verifier,
            expiry=job.expiry,
            provider=provider,
        ),
        subject=EzklSubject(
            model=circuits.model,
            insecure_srs=circuits.insecure_srs,
            parts=tuple(
                EzklPart(
                    onnx=part.onnx,
                    settings=part.settings,
                    vk=part.vk,
                    instances=proof.instances,
                )
                for part, proof in zip(circuits.parts, proofs, strict=True)
            ),
        ),
    )


def with_claim(receipt: Receipt, claim: Claim, key: SigningKey) -> Receipt:
    """A receipt for another claim with the same evidence, signed anew: what a forger would make."""
    forged = build_receipt(claim, receipt.proofs, receipt.versions, key)
    return replace(forged, proofs=receipt.proofs)

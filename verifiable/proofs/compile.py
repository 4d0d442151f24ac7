"""From a model and calibration data to a bundle with circuits and keys.

A model too large for memory is cut at tensor boundaries (`divide.find_cuts` says where), and what
is too large even so is sliced by channels. Each part becomes a circuit of its own; what crosses a
boundary is hashed on both sides, and the two digests must be equal: the joints. All parts share
one scale, since a digest is over felts, and one tau, so that one verifier checks them all.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verifiable.bundle import Bundle, PartWriter, open_bundle, write_bundle
from verifiable.crypto.hashing import sha256, sha256_file
from verifiable.crypto.srs import identify, reduced
from verifiable.engines.ort import Session
from verifiable.errors import PolicyError
from verifiable.frontend.export import signature_of
from verifiable.frontend.inputs import sample
from verifiable.frontend.slices import cut_and_slice
from verifiable.frontend.split import Part, links
from verifiable.proofs import srs_store
from verifiable.proofs.divide import Cuts
from verifiable.proofs.ezkl import tuner
from verifiable.proofs.ezkl.files import PROVERS_ONLY, VERIFYING_KEY
from verifiable.proofs.ezkl.system import Ezkl
from verifiable.proofs.locked import FOLDER, SRS_VERIFIER, LockedCircuits, LockedPart, to_lock
from verifiable.proofs.protocol import (
    HASH_ABOVE,
    Circuit,
    Estimate,
    Observer,
    Policy,
    Tensors,
    Usage,
    Visibility,
    ignore,
)
from verifiable.proofs.statement import Joint
from verifiable.storage import write_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A new bundle and what making it took."""

    bundle: Bundle
    circuits: tuple[Circuit, ...]
    setups: tuple[Usage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One part to compile: its model, data and policy."""

    part: Part
    data: Tensors
    policy: Policy
    like: int | None = None
    """An earlier slice of the same tensor: its settings are likely to serve this one too."""


def default_visibility(model: bytes) -> Visibility:
    """Public inputs while they are small, hashed ones above `HASH_ABOVE` elements."""
    size = sum(spec.size for spec in signature_of(model).inputs)
    return Visibility(input="hashed" if size > HASH_ABOVE else "public")


def plan_model(
    model: bytes,
    data: Tensors,
    policy: Policy,
    at: Cuts | Sequence[str] = (),
    observer: Observer = ignore,
) -> tuple[Estimate, ...]:
    """Predict what each part would cost; nothing is built.

    Raises
    ------
    PolicyError
        If no settings satisfy the policy, or the parts cannot be joined.
    """
    jobs, system = _jobs(model, data, policy, at, observer)
    return tuple(system.plan(job.part.model, job.data, job.policy) for job in jobs)


def compile_model(
    model: bytes,
    data: Tensors,
    policy: Policy,
    out: Path,
    *,
    at: Cuts | Sequence[str] = (),
    allow_insecure_srs: bool = False,
    also: Mapping[str, PartWriter] | None = None,
    observer: Observer = ignore,
) -> Compiled:
    """Compile `model` into a bundle at `out`, which appears whole or not at all.

    Parameters
    ----------
    model : bytes
        ONNX in the normal form of ``verifiable.frontend``.
    data : mapping of str to float32 array ``[samples, *shape]``
        Calibration data.
    policy : Policy
    out : Path
        Must not exist.
    at : Cuts or sequence of str
        Tensors to cut the model at, or what `find_cuts` found; empty keeps it whole.
    allow_insecure_srs : bool
        Make the keys with a development SRS, marked so everywhere.
    also : mapping of str to PartWriter, optional
        Other parts of the bundle, by their name in the lock.
    observer : Observer

    Raises
    ------
    InputError, PolicyError
        If `out` exists, the policy cannot be met, or no ceremony SRS fits.
    StorageError
        If `out` cannot be written.
    MissingDependencyError, OutOfMemoryError, StageTimeoutError, StageFailedError
        As ``proofs.ezkl.process.run_stage``.
    """
    lock: dict[str, Any] = {}
    jobs, system = _jobs(model, data, policy, at, observer)
    with write_bundle(out, lock, set(PROVERS_ONLY)) as folder:
        write_file(folder / "model.onnx", model)
        circuits: list[Circuit] = []
        for i, job in enumerate(jobs):
            part_folder = folder / FOLDER / f"part-{i}"
            part_folder.mkdir(parents=True)
            circuits.append(_circuit(system, job, circuits, part_folder))
        if len(circuits) > 1:
            circuits = _checked(system, circuits, model, data, policy)
        levels = [circuit.k for circuit in circuits]
        if allow_insecure_srs:
            srs = srs_store.insecure_family(levels, policy.limits, observer)[max(levels)]
        else:
            srs = srs_store.ceremony_srs(max(levels))
        identity = identify(srs)
        write_file(folder / FOLDER / SRS_VERIFIER, reduced(srs))
        files = [srs_store.srs_of_level(srs, k) for k in levels]
        setups = tuple(
            system.setup(circuit, file, policy.limits)
            for circuit, file in zip(circuits, files, strict=True)
        )
        locked = LockedCircuits(
            system="ezkl",
            semantics=system.semantics,
            model=sha256(model),
            visibility=policy.visibility,
            srs=identity.digest,
            srs_k=identity.k,
            insecure_srs=identity.insecure,
            srs_verifier=folder / FOLDER / SRS_VERIFIER,
            parts=tuple(
                _locked(
                    circuit, system.weights(circuit, file, sample(dict(job.data), 0), policy.limits)
                )
                for circuit, job, file in zip(circuits, jobs, files, strict=True)
            ),
            joints=_joints([job.part for job in jobs], circuits),
            ranges={name: (float(a.min()), float(a.max())) for name, a in data.items()},
        )
        lock["zk"] = to_lock(locked)
        lock |= {name: write(folder) for name, write in (also or {}).items()}
        lock["versions"] = {"ezkl": system.semantics.partition("/")[2]}
    moved = [replace(circuit, folder=out / FOLDER / circuit.folder.name) for circuit in circuits]
    return Compiled(bundle=open_bundle(out, "prove"), circuits=tuple(moved), setups=setups)


def _jobs(
    model: bytes, data: Tensors, policy: Policy, at: Cuts | Sequence[str], observer: Observer
) -> tuple[list[_Job], Ezkl]:
    """Parts with the data each of them sees, and the system that will take them."""
    cuts = at if isinstance(at, Cuts) else Cuts(at=tuple(at))
    if not cuts.at:
        signature = signature_of(model)
        whole = Part(
            model=model,
            inputs=tuple(spec.name for spec in signature.inputs),
            outputs=tuple(spec.name for spec in signature.outputs),
        )
        return [_Job(part=whole, data=data, policy=policy)], Ezkl(observer=observer)
    parts = cut_and_slice(model, cuts.at, cuts.slices)
    if cuts.scale is not None:
        scale = cuts.scale
    elif policy.levers is None:
        scale = Ezkl(observer=observer).smallest_scale(model, data, policy)
    else:
        scale = int(policy.levers["scale"])
    # A part alone may be off by more or less than the whole; the whole is held to the policy.
    of_parts = replace(policy, error=math.inf)
    known: dict[str, NDArray[np.float32]] = dict(data)
    jobs = []
    for i, part in enumerate(parts):
        inputs = {name: known[name] for name in part.inputs}
        policy_of_part = replace(of_parts, visibility=_visibility(parts, i, policy.visibility))
        jobs.append(_Job(part=part, data=inputs, policy=policy_of_part, like=_like(parts, i)))
        known |= _outputs(part.model, inputs)
    return jobs, Ezkl(observer=observer, scale=scale)


def _like(parts: Sequence[Part], i: int) -> int | None:
    """The first earlier part that has the same operators on the same inputs: a slice's sibling."""
    for j in range(i):
        if parts[j].inputs == parts[i].inputs and len(parts[j].model) == len(parts[i].model):
            return j
    return None


def _circuit(system: Ezkl, job: _Job, before: Sequence[Circuit], folder: Path) -> Circuit:
    """Compile one part, with the settings of an earlier slice if they serve."""
    if job.like is not None and job.policy.levers is None:
        levers = before[job.like].estimate.settings
        try:
            return system.compile(
                job.part.model, job.data, replace(job.policy, levers=levers), folder
            )
        except PolicyError:
            pass  # its weights are larger: it gets settings of its own
    return system.compile(job.part.model, job.data, job.policy, folder)


def _visibility(parts: Sequence[Part], i: int, whole: Visibility) -> Visibility:
    crossing = {(link.to_part, link.tensor) for link in links(parts)}
    sources = {(link.from_part, link.tensor) for link in links(parts)}
    receives = any((i, name) in crossing for name in parts[i].inputs)
    shared = any((i, name) in sources for name in parts[i].inputs)
    if shared and whole.input in {"private", "committed"}:
        raise PolicyError(
            f"an input that several parts read cannot be {whole.input}: nothing would tie them",
            hint="make the input hashed",
        )
    return Visibility(
        input="hashed" if receives or shared else whole.input,
        weights=whole.weights,
        output=whole.output if i == len(parts) - 1 else "hashed",
    )


def _outputs(model: bytes, data: Tensors) -> dict[str, NDArray[np.float32]]:
    session = Session(model)
    count = len(next(iter(data.values())))
    rows = [session.run({name: array[i] for name, array in data.items()}) for i in range(count)]
    return {name: np.stack([row[name] for row in rows]) for name in session.outputs}


def _checked(
    system: Ezkl, circuits: Sequence[Circuit], model: bytes, data: Tensors, policy: Policy
) -> list[Circuit]:
    """The circuits with the error of the whole chain, which the policy must allow."""
    session = Session(model)
    error = 0.0
    for held_out in tuner.split_samples(data)[1 : 2 * tuner.MAX_SAMPLES : 2]:
        known: dict[str, NDArray[np.float32]] = dict(held_out)
        for circuit in circuits:
            inputs = {slot: known[slot] for slot in circuit.inputs}
            known |= system.run(circuit, inputs, policy.limits)
        for name, wanted in session.run(held_out).items():
            error = max(error, float(np.max(np.abs(known[name] - wanted), initial=0.0)))
    if error > policy.error:
        raise PolicyError(
            f"the parts together are off by {error:.2g}, allowed are {policy.error:.2g}",
            hint="allow a larger error, or cut elsewhere",
        )
    return [
        replace(circuit, estimate=replace(circuit.estimate, error=error)) for circuit in circuits
    ]


def _joints(parts: Sequence[Part], circuits: Sequence[Circuit]) -> tuple[Joint, ...]:
    def slot(part: int, name: str, role: str) -> int:
        slots = circuits[part].layout.slots
        return next(i for i, s in enumerate(slots) if s.name == name and s.role == role)

    return tuple(
        Joint(
            from_part=link.from_part,
            from_slot=slot(
                link.from_part,
                link.tensor,
                "output" if link.tensor in parts[link.from_part].outputs else "input",
            ),
            to_part=link.to_part,
            to_slot=slot(link.to_part, link.tensor, "input"),
        )
        for link in links(parts)
    )


def _locked(circuit: Circuit, weights: tuple[str, ...]) -> LockedPart:
    return LockedPart(
        folder=circuit.folder,
        onnx=circuit.onnx,
        settings=circuit.settings,
        vk=sha256_file(circuit.folder / VERIFYING_KEY),
        k=circuit.k,
        layout=circuit.layout,
        weights=weights,
        error=circuit.estimate.error,
    )

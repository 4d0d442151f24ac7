"""ezkl as a proof system: the stages of one circuit, each in a child process.

A circuit's folder holds::

    model.onnx settings.json circuit.ezkl       after compile
    pk vk verifier.sol reusable.sol vka         after setup

``circuit.ezkl`` differs from build to build; what identifies a circuit are the digests of the
ONNX, of the canonical settings and of the verifying key.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from verifiable.crypto.felt import felt_from_ezkl
from verifiable.crypto.hashing import sha256
from verifiable.errors import (
    MissingDependencyError,
    ModelError,
    PolicyError,
    ProofRejectedError,
    StageFailedError,
    TensorError,
)  # fmt: skip
from verifiable.frontend.export import signature_of
from verifiable.frontend.signature import Signature
from verifiable.proofs.ezkl import tuner
from verifiable.proofs.ezkl.files import (
    COMPILED,
    KEY_MATERIAL,
    MODEL,
    PLAIN,
    PROVING_KEY,
    REUSABLE,
    SETTINGS,
    VERIFYING_KEY,
    proof_json,
    read_outputs,
)  # fmt: skip
from verifiable.proofs.ezkl.measured import sweep_of
from verifiable.proofs.ezkl.process import StageResult, run_stage, stage_path
from verifiable.proofs.ezkl.settings import Candidate, canonical_bytes, layout, parse_settings
from verifiable.proofs.protocol import (
    Circuit,
    Estimate,
    Limits,
    Observer,
    Policy,
    Proof,
    Tensors,
    Usage,
    ignore,
)  # fmt: skip
from verifiable.proofs.statement import Layout
from verifiable.storage import write_file
from verifiable.types import Felt

_VERIFY_LIMITS = Limits(memory=8 << 30, seconds=600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ezkl:
    """The proof system; see `verifiable.proofs.protocol.ProofSystem` for its methods."""

    observer: Observer = ignore
    scale: int | None = None
    """Fixes inputs, weights and outputs to this scale, as parts of a split model need."""

    @property
    def semantics(self) -> str:
        """``ezkl/`` and the installed version.

        Raises
        ------
        MissingDependencyError
            If ezkl is not installed.
        """
        try:
            return f"ezkl/{version('ezkl')}"
        except PackageNotFoundError as e:
            raise MissingDependencyError(
                "ezkl is not installed", hint="pip install 'verifiable[ezkl]'"
            ) from e

    def plan(self, model: bytes, data: Tensors, policy: Policy) -> Estimate:
        """Predict the cost of the best settings for `model`; nothing is built.

        Raises
        ------
        PolicyError
            If no settings satisfy `policy`.
        MissingDependencyError, OutOfMemoryError, StageTimeoutError, StageFailedError
            As `run_stage`.
        """
        return self._choose(model, data, policy).estimate

    def smallest_scale(self, model: bytes, data: Tensors, policy: Policy) -> int:
        """The smallest scale that keeps `model`, laid out whole, within the policy's error.

        Raises
        ------
        PolicyError
            If no scale does.
        """
        with sweep_of(model, data, policy, self.observer) as sweep:
            found = sweep.smallest_scale(1)
            sweep.demand_answer()
        if found is None:
            raise PolicyError(
                f"no scale keeps the error within {policy.error:g}", hint="allow a larger error"
            )
        return found.candidate.scale

    def lay_out(self, model: bytes, data: Tensors, policy: Policy, scale: int) -> dict[str, Any]:
        """Settings of `model` with the fewest digits that hold its magnitudes, in one column.

        Says what the operators take, not what is best: the range table is larger than need be.

        Raises
        ------
        PolicyError
            If ezkl refuses the model at this scale.
        MissingDependencyError, OutOfMemoryError, StageTimeoutError, StageFailedError
            As `run_stage`.
        """
        with sweep_of(model, data, policy, self.observer) as sweep:
            for legs in (1, 2, 4):
                candidate = Candidate(scale=scale, rebase=1, base=1 << 14, legs=legs, columns=1)
                (point,) = sweep.probe([candidate], errors=False)
                if point is not None:
                    return dict(point.settings)
            sweep.demand_answer()
        raise PolicyError(f"ezkl cannot lay out a part of the model at scale {scale}")

    def _choose(self, model: bytes, data: Tensors, policy: Policy) -> tuner.Point:
        with sweep_of(model, data, policy, self.observer) as sweep:
            if policy.levers is not None:
                return tuner.lay_out(sweep, Candidate.of_levers(policy.levers), policy)
            return tuner.tune(sweep, policy, scale=self.scale)

    def compile(self, model: bytes, data: Tensors, policy: Policy, folder: Path) -> Circuit:
        """Choose settings, and write model, settings and circuit into `folder`.

        Parameters
        ----------
        model : bytes
            ONNX in the normal form of ``verifiable.frontend``.
        data : mapping of str to float32 array ``[samples, *shape]``
            Calibration data: half calibrates, half measures the error.
        policy : Policy
        folder : Path
            An existing, empty folder.

        Raises
        ------
        PolicyError, MissingDependencyError, OutOfMemoryError, StageTimeoutError, StageFailedError
            As `plan`.
        """
        point = self._choose(model, data, policy)
        signature = signature_of(model)
        for spec in (*signature.inputs, *signature.outputs):
            if spec.dtype != "float32":
                raise ModelError(f"{spec} crosses a circuit's border, which takes float32 only")
        settings = canonical_bytes(point.settings)
        write_file(folder / MODEL, model)
        write_file(folder / SETTINGS, settings)
        self._run(
            "compile",
            {
                "model": stage_path(folder / MODEL),
                "compiled_circuit": stage_path(folder / COMPILED),
                "settings_path": stage_path(folder / SETTINGS),
            },
            policy.limits,
        )
        return Circuit(
            folder=folder,
            onnx=sha256(model),
            settings=sha256(settings),
            layout=_layout(settings, policy, signature),
            inputs=tuple(spec.name for spec in signature.inputs),
            k=int(point.settings["run_args"]["logrows"]),
            estimate=point.estimate,
        )

    def setup(self, circuit: Circuit, srs: Path, limits: Limits) -> Usage:
        """Make proving and verifying key, and have ezkl emit its verifier contracts.

        Raises
        ------
        MissingDependencyError, OutOfMemoryError, StageTimeoutError, StageFailedError
            As `run_stage`.
        """
        folder = circuit.folder
        made = self._run(
            "setup",
            {
                "model": stage_path(folder / COMPILED),
                "vk_path": stage_path(folder / VERIFYING_KEY),
                "pk_path": stage_path(folder / PROVING_KEY),
                "srs_path": stage_path(srs),
            },
            limits,
            expected_memory=circuit.estimate.peak_memory,
        )
        with tempfile.TemporaryDirectory(prefix="verifiable-emit-") as scratch:
            self._run(
                "emit",
                {
                    "vk": stage_path(folder / VERIFYING_KEY),
                    "settings": stage_path(folder / SETTINGS),
                    "srs": stage_path(srs),
                    "plain": stage_path(folder / PLAIN),
                    "reusable": stage_path(folder / REUSABLE),
                    "vka": stage_path(folder / KEY_MATERIAL),
                    "scratch": f"{scratch}/abi.json",
                },
                limits,
            )
        return _usage(made)

    def prove(self, circuit: Circuit, srs: Path, tensors: Tensors, limits: Limits) -> Proof:
        """Prove one run of the circuit.

        0. The witness is computed; an input outside the circuit's ranges fails here.
        1. The proof is made.
        2. It is verified, since ezkl's prover checks nothing.
        3. Its outputs are those of the witness.

        Raises
        ------
        TensorError
            If the circuit has no witness for this input.
        ProofRejectedError
            If the proof does not verify: the key or the circuit is damaged.
        MissingDependencyError, OutOfMemoryError, StageTimeoutError, StageFailedError
            As `run_stage`.
        """
        folder = circuit.folder
        with tempfile.TemporaryDirectory(prefix="verifiable-prove-") as scratch:
            work = Path(scratch)
            witness, proof_path = work / "witness.json", work / "proof.json"
            self._witness(circuit, tensors, witness, limits, srs=srs)
            made = self._run(
                "prove",
                {
                    "witness": str(witness),
                    "model": stage_path(folder / COMPILED),
                    "pk_path": stage_path(folder / PROVING_KEY),
                    "proof_path": str(proof_path),
                    "srs_path": stage_path(srs),
                },
                limits,
                expected_memory=circuit.estimate.peak_memory,
            )
            written = json.loads(proof_path.read_bytes())
            outputs = json.loads(witness.read_bytes())["outputs"]
        instances = tuple(
            felt_from_ezkl(text) for column in written["instances"] for text in column
        )
        data = bytes(written["proof"])
        self.verify(circuit, instances, data)
        return Proof(
            instances=instances,
            data=data,
            outputs=read_outputs(circuit.layout, outputs),
            usage=_usage(made),
        )

    def run(self, circuit: Circuit, tensors: Tensors, limits: Limits) -> Tensors:
        """Outputs of the circuit for one input, without a proof.

        Raises
        ------
        TensorError
            If the circuit has no witness for this input.
        MissingDependencyError, OutOfMemoryError, StageTimeoutError
            As `run_stage`.
        """
        with tempfile.TemporaryDirectory(prefix="verifiable-run-") as scratch:
            witness = Path(scratch) / "witness.json"
            self._witness(circuit, tensors, witness, limits)
            return read_outputs(circuit.layout, json.loads(witness.read_bytes())["outputs"])

    def weights(
        self, circuit: Circuit, srs: Path, tensors: Tensors, limits: Limits
    ) -> tuple[str, ...]:
        """What pins weights that are not fixed in the key: digest or commitments, as hex."""
        if not circuit.layout.of("weights"):
            return ()
        with tempfile.TemporaryDirectory(prefix="verifiable-run-") as scratch:
            witness = Path(scratch) / "witness.json"
            self._witness(circuit, tensors, witness, limits, srs=srs)
            processed = json.loads(witness.read_bytes())["processed_params"]
        if processed["poseidon_hash"] is not None:
            return tuple(processed["poseidon_hash"])
        return tuple(point for column in processed["polycommit"] for point in column)

    def _witness(
        self,
        circuit: Circuit,
        tensors: Tensors,
        out: Path,
        limits: Limits,
        srs: Path | None = None,
    ) -> None:
        ordered = {name: tensors[name] for name in circuit.inputs}
        try:
            self._run(
                "witness",
                {
                    "data": tuner.write_ezkl_data(out.with_name("input.json"), [ordered]),
                    "model": stage_path(circuit.folder / COMPILED),
                    "output": str(out),
                    "vk_path": None if srs is None else stage_path(circuit.folder / VERIFYING_KEY),
                    "srs_path": None if srs is None else stage_path(srs),
                },
                limits,
            )
        except StageFailedError as e:
            raise TensorError(
                f"the circuit has no witness for this input: {e}",
                hint="is the input like the calibration data?",
            ) from e

    def verify(self, circuit: Circuit, instances: Sequence[Felt], proof: bytes) -> None:
        """Have ezkl verify a proof against the caller's own instances.

        Raises
        ------
        ProofRejectedError
            If ezkl rejects it.
        MissingDependencyError, OutOfMemoryError, StageTimeoutError, StageFailedError
            As `run_stage`.
        """
        if len(instances) != circuit.layout.count:
            raise ProofRejectedError(
                f"the circuit has {circuit.layout.count} instances, got {len(instances)}"
            )
        folder = circuit.folder
        with tempfile.TemporaryDirectory(prefix="verifiable-verify-") as scratch:
            path = Path(scratch) / "proof.json"
            path.write_bytes(proof_json(instances, proof))
            try:
                self._run(
                    "verify",
                    {
                        "proof_path": str(path),
                        "settings_path": stage_path(folder / SETTINGS),
                        "vk_path": stage_path(folder / VERIFYING_KEY),
                        "srs_path": stage_path(folder.parent / "srs.verifier"),
                        "reduced_srs": True,
                    },
                    _VERIFY_LIMITS,
                )
            except StageFailedError as e:
                # Only halo2's own word refutes: a crash, or a key that ezkl cannot load, says
                # nothing about the proof, and a script may slash on a refutation.
                if "[halo2]" not in str(e):
                    raise
                raise ProofRejectedError(f"ezkl rejects the proof: {e}") from e

    def _run(
        self,
        stage: str,
        args: Mapping[str, object],
        limits: Limits,
        expected_memory: int | None = None,
    ) -> StageResult:
        return run_stage(
            stage,
            args,
            limits=limits,
            observer=self.observer,
            expected_memory=expected_memory,
        )


def _layout(settings: bytes, policy: Policy, signature: Signature) -> Layout:
    return layout(
        parse_settings(settings),
        policy.visibility,
        [(spec.name, spec.shape) for spec in signature.inputs],
        [(spec.name, spec.shape) for spec in signature.outputs],
    )


def _usage(result: StageResult) -> Usage:
    return Usage(
        seconds=result.seconds, cpu_seconds=result.cpu_seconds, peak_memory=result.peak_memory
    )

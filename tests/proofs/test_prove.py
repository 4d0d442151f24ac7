"""Proving: nothing is signed that does not verify, and no input that cannot be proven is tried."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from documents import KEY, STRANGER
from numpy.typing import NDArray
from zk_material import (
    JOB,
    KINDS,
    bundle,
    calibration,
    circuits,
    copied,
    model,
    policy,
    proven,
    reopened,
    tensors,
)

from verifiable.bundle import Bundle
from verifiable.crypto.hashing import sha256_file
from verifiable.errors import (
    InputError,
    LockError,
    ModelError,
    PolicyError,
    ProofRejectedError,
    RejectedError,
    TensorError,
    VerifiableError,
)
from verifiable.frontend.export import signature_of
from verifiable.frontend.inputs import bind_input
from verifiable.proofs.compile import compile_model
from verifiable.proofs.ezkl.files import read_circuit
from verifiable.proofs.ezkl.process import run_stage, stage_path
from verifiable.proofs.ezkl.system import Ezkl
from verifiable.proofs.ezkl.tuner import write_ezkl_data
from verifiable.proofs.instances import read_outputs
from verifiable.proofs.protocol import Limits, Policy, StageEvent, Visibility
from verifiable.proofs.prove import prove
from verifiable.proofs.srs_store import locked_srs
from verifiable.types import Felt


def relocked(folder: Path) -> Bundle:
    """Bring a LOCK up to date with files that were swapped, as an attacker could."""
    path = folder / "LOCK.json"
    lock = json.loads(path.read_bytes())
    for name, entry in lock["files"].items():
        entry["bytes"] = (folder / name).stat().st_size
        entry["sha256"] = sha256_file(folder / name).hex()
    path.write_bytes(json.dumps(lock).encode())
    return reopened(folder)


def test_a_proof_of_a_tampered_witness_is_made_and_does_not_verify(tmp_path: Path) -> None:
    # ezkl's prover checks nothing; this is why a proof is verified before it is published.
    part = circuits("public").parts[0]
    srs = locked_srs(circuits("public").srs, circuits("public").srs_k)
    witness, proof = tmp_path / "witness.json", tmp_path / "proof.json"
    common = {"model": stage_path(part.folder / "circuit.ezkl"), "srs_path": stage_path(srs)}
    data = write_ezkl_data(tmp_path / "input.json", [tensors()])
    key = stage_path(part.folder / "vk")
    run_stage(
        "witness", {"data": data, "output": str(witness), "vk_path": key} | common, limits=Limits()
    )
    value = json.loads(witness.read_bytes())
    (output,) = value["outputs"]
    output[0] = (12345).to_bytes(32, "little").hex()
    witness.write_text(json.dumps(value))
    run_stage(
        "prove",
        {
            "witness": str(witness),
            "pk_path": stage_path(part.folder / "pk"),
            "proof_path": str(proof),
        }
        | common,
        limits=Limits(),
    )
    made = json.loads(proof.read_bytes())
    instances = tuple(
        Felt(int.from_bytes(bytes.fromhex(text), "little"))
        for column in made["instances"]
        for text in column
    )
    circuit = read_circuit(part.folder, part.layout)
    with pytest.raises(ProofRejectedError):
        Ezkl().verify(circuit, instances, bytes(made["proof"]))


def test_nothing_is_signed_where_the_proving_key_is_another_circuit_s(tmp_path: Path) -> None:
    folder = copied(bundle("public").folder, tmp_path / "mixed")
    other = bundle("public", 7).folder / "zk" / "part-0" / "pk"
    (folder / "zk" / "part-0" / "pk").write_bytes(other.read_bytes())
    with pytest.raises(LockError, match="zk/part-0/pk"):
        reopened(folder)
    with pytest.raises(RejectedError):
        prove(relocked(folder), tensors(), JOB, KEY)


def test_outputs_are_those_of_the_float_model_within_the_bundle_s_error() -> None:
    first = tensors()["x"][0]
    from onnx import load_from_string, numpy_helper

    graph = load_from_string(model()).graph
    weights = {w.name: numpy_helper.to_array(w) for w in graph.initializer}
    ordered = sorted(weights.values(), key=lambda w: -w.shape[0])
    wanted = np.maximum(first @ ordered[0], 0) @ ordered[1]
    made = proven("public")
    assert np.max(np.abs(made.outputs["y"][0] - wanted)) < 0.05
    # What is handed out is what was proven.
    part = circuits("public").parts[0]
    stated = read_outputs(part.layout, made.receipt.claim.subject.parts[0].instances)
    assert np.array_equal(stated["y"], made.outputs["y"])


@pytest.mark.parametrize("value", [1.5, -1.5, 100.0])
def test_an_input_outside_the_calibrated_range_is_refused_before_proving(value: float) -> None:
    events: list[StageEvent] = []
    wide = tensors()["x"].copy()
    wide[0, 2] = value
    with pytest.raises(TensorError, match=rf"input `x`\[0, 2\] is {value:g}, outside"):
        prove(bundle("public"), {"x": wide}, JOB, KEY, observer=events.append)
    assert events == []


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": tensors()["x"]}, "`x`"),
        ({"x": tensors()["x"], "z": tensors()["x"]}, "`z`"),
        ({}, "`x`"),
        ({"x": tensors()["x"].ravel()}, "shape"),
        ({"x": np.zeros((1, 5), np.float32)}, "shape"),
        ({"x": np.zeros((1, 4), np.complex64)}, "complex64"),
        ({"x": np.full((1, 4), np.nan, np.float32)}, "finite"),
        ({"x": np.array([["a"] * 4])}, "`x`"),
    ],
)
def test_inputs_of_another_name_shape_or_type_are_refused_by_name(
    arrays: Mapping[str, NDArray[np.float32]], message: str
) -> None:
    with pytest.raises(TensorError, match=message):
        bind_input(dict(arrays), signature_of(model()))


@pytest.mark.parametrize(
    "given",
    [{}, {"z": tensors()["x"]}, {"x": np.zeros((1, 3), np.float32)}],
    ids=["nothing", "another name", "another shape"],
)
def test_tensors_that_were_never_bound_are_no_crash(
    given: Mapping[str, NDArray[np.float32]],
) -> None:
    with pytest.raises(VerifiableError):
        prove(bundle("public"), given, JOB, KEY)


def test_the_claim_s_provider_is_who_signs() -> None:
    made = prove(bundle("public"), tensors(), replace(JOB, chain_id=5), STRANGER)
    assert made.receipt.claim.header.provider == STRANGER.address
    assert made.receipt.claim.header.chain_id == 5


def test_a_bundle_whose_srs_is_gone_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = bundle("public")
    monkeypatch.setenv("VERIFIABLE_CACHE", str(tmp_path))
    with pytest.raises(LockError, match=circuits("public").srs.hex()):
        prove(found, tensors(), JOB, KEY)


def test_private_weights_cannot_be_asked_for(tmp_path: Path) -> None:
    from typing import get_args

    from verifiable.proofs.protocol import WeightVisibility

    assert "private" not in get_args(WeightVisibility)
    assert "public" not in get_args(WeightVisibility)
    assert tmp_path


def test_without_a_ceremony_srs_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no ceremony SRS"):
        compile_model(model(), calibration(), policy(KINDS["public"][0]), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_settings_that_miss_the_policy_are_refused_with_what_they_need(tmp_path: Path) -> None:
    visibility = Visibility(input="public")
    for changes, message in (
        ({"error": 1e-12}, r"error 0\.00.* \(allowed 1e-12\)"),
        ({"gas": 100_000}, r"gas \(allowed 100,000\)"),
        ({"deadline": 0.01}, "s to prove"),
    ):
        strict: Policy = policy(visibility, **changes)
        with pytest.raises(PolicyError, match=message):
            compile_model(model(), calibration(), strict, tmp_path / "b", allow_insecure_srs=True)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_cannot_be_cut_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises((ModelError, PolicyError), match="nowhere"):
        compile_model(
            model(),
            calibration(),
            policy(Visibility(input="hashed")),
            tmp_path / "b",
            at=("nowhere",),
            allow_insecure_srs=True,
        )
    assert list(tmp_path.iterdir()) == []

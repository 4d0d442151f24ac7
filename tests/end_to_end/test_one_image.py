"""One input from a model to a contract, and what everyone refuses on the way."""

import json
import os
import secrets
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from documents import KEY, STRANGER
from zk_material import NOW, PYTHON, bundle, case, environment, proven, resigned, with_instances

from verifiable.claim import claim_id
from verifiable.errors import RejectedError, SignatureRejectedError, StatementRejectedError
from verifiable.types import Bytes32

ROOT = Path(__file__).parents[2]


@pytest.mark.evm
@pytest.mark.parametrize("kind", [pytest.param("public", marks=pytest.mark.slow), "split"])
def test_a_contract_upholds_an_honest_claim_once_and_refuses_every_forgery(kind: str) -> None:
    from verifiable.chain.bindings import InferenceVerifier
    from verifiable.chain.build import build
    from verifiable.chain.deployment import deploy_plan
    from verifiable.chain.embedded import EmbeddedChain
    from verifiable.chain.model import emission_spec

    honest = proven(kind).receipt
    chain = EmbeddedChain(time=NOW - 10)
    built = build(emission_spec(bundle(kind), honest, name="Tiny"))
    deployed = deploy_plan(built.plan, chain, accept_insecure_srs=True, adapters=False)
    contract = InferenceVerifier(chain, deployed.verifier)
    header = replace(
        honest.claim.header,
        chain_id=chain.chain_id,
        verifier=deployed.verifier,
        nonce=Bytes32(secrets.token_bytes(32)),
    )
    receipt = resigned(honest, replace(honest.claim, header=header))
    claim = receipt.claim
    contract.verify(claim, receipt.proofs, receipt.signature)
    assert contract.claim_of(KEY.address, header.nonce) == claim_id(claim)

    with pytest.raises(StatementRejectedError, match="NonceUsed"):
        contract.verify(claim, receipt.proofs, receipt.signature)

    fresh = replace(claim, header=replace(header, nonce=Bytes32(secrets.token_bytes(32))))
    last = len(claim.subject.parts) - 1
    changed = with_instances(fresh, last, {len(claim.subject.parts[last].instances) - 1: 1})
    other_chain = replace(fresh, header=replace(fresh.header, chain_id=chain.chain_id + 1))
    late = replace(fresh, header=replace(fresh.header, expiry=NOW - 11))
    for forged in (changed, other_chain, late):
        signed = resigned(receipt, forged)
        with pytest.raises(RejectedError):
            contract.verify(signed.claim, signed.proofs, signed.signature)
    with pytest.raises(SignatureRejectedError):
        contract.verify(fresh, receipt.proofs, STRANGER.sign(claim_id(fresh)))
    for i in range(len(receipt.proofs)):
        proofs = list(receipt.proofs)
        at = secrets.randbelow(len(proofs[i]))
        print(f"part {i}, byte {at}")
        proofs[i] = proofs[i][:at] + bytes([proofs[i][at] ^ 1]) + proofs[i][at + 1 :]
        with pytest.raises(RejectedError):
            contract.verify(fresh, proofs, KEY.sign(claim_id(fresh)))
    # None of this used up the nonce.
    contract.verify(fresh, receipt.proofs, KEY.sign(claim_id(fresh)))


@pytest.mark.evm
def test_a_receipt_for_other_circuits_is_no_vector_of_a_bundle() -> None:
    from verifiable.chain.model import emission_spec

    with pytest.raises(StatementRejectedError, match="other circuits"):
        emission_spec(bundle("public"), case("hashed").receipt)


@pytest.mark.slow
@pytest.mark.evm
def test_the_demo_is_upheld_three_times_refuses_thrice_and_is_never_the_same(
    tmp_path: Path,
) -> None:
    kept = []
    for i in range(2):
        done = subprocess.run(
            [PYTHON, "-m", "verifiable.cli", "demo", "--json", "--keep", str(tmp_path / str(i))],
            cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        told = json.loads(done.stdout)
        assert told["schema"] == "verifiable/demo/1"
        assert len(told["refused"]) == 3
        for refusal in told["refused"]:
            assert set(refusal) == {"forgery", "ezkl", "independent", "contract"}
            assert all(refusal.values())
        assert {row["stage"] for row in told["stages"]} >= {
            "verify: ezkl", "verify: independent Python", "verify: EVM contract",
        }  # fmt: skip
        kept.append((tmp_path / str(i) / "receipt.json").read_bytes())
        assert np.load(tmp_path / str(i) / "image.npz")
    assert kept[0] != kept[1]


@pytest.mark.slow
def test_tuned_settings_hold_their_policy_on_samples_nobody_calibrated_on(tmp_path: Path) -> None:
    import sys

    sys.path.insert(0, str(ROOT))
    from zk_material import JOB

    from circuits import recipe
    from verifiable.engines.ort import Session
    from verifiable.errors import PolicyError
    from verifiable.proofs.compile import compile_model, plan_model
    from verifiable.proofs.protocol import Policy, Visibility
    from verifiable.proofs.prove import prove

    onnx, samples = recipe.model("mlp_tiny"), recipe.load("mlp_tiny").samples()
    policy = Policy(error=0.05, visibility=Visibility(input="public"))
    made = compile_model(
        onnx, samples.calibration, policy, tmp_path / "bundle", allow_insecure_srs=True
    )
    assert made.circuits[0].estimate.error <= policy.error
    sample = {name: values[0] for name, values in samples.test.items()}
    wanted = Session(onnx).run(sample)["logits"]
    got = prove(made.bundle, sample, JOB, KEY).outputs["logits"]
    # Held-out samples may be a little worse than those that measured the error.
    assert np.max(np.abs(got - wanted)) <= 2 * policy.error
    real = (made.circuits[0].folder / "pk").stat().st_size
    assert 0.75 <= made.circuits[0].estimate.key_bytes / real <= 1.25

    for changes, message in (
        ({"error": 1e-12}, "error within 1e-12"),
        ({"gas": 100_000}, r"gas \(allowed 100,000\)"),
    ):
        strict = replace(policy, **changes)
        with pytest.raises(PolicyError, match=message):
            plan_model(onnx, samples.calibration, strict)
    assert os.listdir(tmp_path) == ["bundle"]

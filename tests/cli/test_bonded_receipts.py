"""`verify` of receipts of bonded claims: offline, and with the model."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import Run, called, signing_key
from documents import BOND, KEY, POLICY, STRANGER, VERSIONS
from test_canonical_runs import Liar, folder, onnx_file

from verifiable.bundle import open_bundle
from verifiable.canon import open_canon
from verifiable.claim import CanonClaim, claim_id, parse_canon_claim
from verifiable.engines.reference import Reference
from verifiable.graph.ir import Dot, places
from verifiable.receipt import Bond, build_bonded_receipt, encode_bonded_receipt
from verifiable.trace.commit import output_roots
from verifiable.trace.store import store_run
from verifiable.types import Sha256

__all__ = ["folder", "signing_key"]

BAD_INPUT, REFUTED, CHAIN_FAILED = 2, 3, 5


@pytest.fixture(scope="module")
def claim(folder: Path) -> CanonClaim:
    """What the honest provider claims, of an hour's life."""
    found = parse_canon_claim((folder / "claim").read_bytes())
    return replace(found, header=replace(found.header, provider=KEY.address))


def bond_of(claim: CanonClaim, **changes: Any) -> Bond:
    """A bond of a claim that was posted in the last second."""
    window_end = claim.header.expiry + POLICY.window
    return replace(BOND, **({"window_end": window_end, "outputs": None} | changes))


def receipt_file(path: Path, claim: CanonClaim, bond: Bond | None = None) -> Path:
    receipt = build_bonded_receipt(claim, bond or bond_of(claim), VERSIONS, KEY)
    path.write_bytes(encode_bonded_receipt(receipt))
    return path


def expectation_file(path: Path, claim: CanonClaim, **changes: object) -> Path:
    h, s = claim.header, claim.subject
    value = {
        "schema": "verifiable/expectation/1",
        "venue": "optimistic",
        "semantics": h.semantics,
        "provider": h.provider,
        "job_id": "0x" + h.job_id.hex(),
        "nonce": "0x" + h.nonce.hex(),
        "chain_id": h.chain_id,
        "verifier": h.verifier,
        "model": "0x" + s.model.hex(),
        "input": "0x" + s.input.hex(),
        "output": None,
        "policy": None,
    }
    path.write_text(json.dumps(value | changes))
    return path


def verified(home: Path, claim: CanonClaim, *words: object, **changes: object) -> Run:
    """Verify an honestly signed receipt for `claim`."""
    receipt = receipt_file(home / "receipt.json", claim)
    expect = expectation_file(home / "expect.json", claim, **changes)
    return called("--json", "verify", receipt, "--expect", expect, *words)


def forged(claim: CanonClaim) -> CanonClaim:
    return replace(claim, subject=replace(claim.subject, output=Sha256(b"f" * 32)))


def test_offline_a_receipt_is_signed_and_no_more(claim: CanonClaim, tmp_path: Path) -> None:
    done = verified(tmp_path, claim)
    assert (done.status, done.json["verdict"]) == (0, "signed")
    assert (done.json["run_again"], done.json["referee_says"]) == ("no", "not asked")
    assert done.json["claim"] == "0x" + claim_id(claim).hex()
    assert done.json["bond"] == str(POLICY.bond)
    plain = called("verify", tmp_path / "receipt.json", "--expect", tmp_path / "expect.json")
    assert plain.status == 0
    assert "final" not in plain.out + plain.err
    assert "the referee was not asked" in plain.err


def test_a_forged_output_is_signed_too_until_the_model_is_run_again(
    folder: Path, claim: CanonClaim, tmp_path: Path
) -> None:
    assert verified(tmp_path, forged(claim)).json["verdict"] == "signed"
    words = ("--bundle", folder / "bundle", "--inputs", folder / "input.npz")
    done = verified(tmp_path, forged(claim), *words)
    assert (done.status, done.json["verdict"]) == (REFUTED, "refuted")
    assert done.json["run_again"] == "different"
    assert "66" * 32 in done.json["reason"]


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_a_true_receipt_is_upheld_when_the_model_is_run_again(
    folder: Path, claim: CanonClaim, tmp_path: Path, device: str
) -> None:
    words = ("--bundle", folder / "bundle", "--inputs", folder / "input.npz", "--device", device)
    done = verified(tmp_path, claim, *words)
    assert (done.status, done.json["verdict"], done.json["run_again"]) == (0, "upheld", "equal")
    traced = verified(tmp_path, claim, *words, "--trace", folder / "trace", input=None)
    assert (traced.status, traced.json["verdict"]) == (0, "upheld")


def test_the_providers_trace_names_the_first_element_that_is_wrong(
    folder: Path, claim: CanonClaim, tmp_path: Path
) -> None:
    canon = open_canon(open_bundle(folder / "bundle", "verify"))
    place = places(canon.graph, Dot)[0]
    with np.load(folder / "input.npz") as given:
        inputs = dict(given)
    liar = Liar(Reference().prepare(canon.graph, canon.weights), place)
    store_run(tmp_path / "forged", canon.graph, liar, inputs)
    words = ("--bundle", folder / "bundle", "--inputs", folder / "input.npz")
    done = verified(tmp_path, claim, *words, "--trace", tmp_path / "forged")
    assert (done.status, done.json["verdict"]) == (REFUTED, "refuted")
    assert done.json["instruction"] == place
    assert done.json["element"] == canon.graph.instructions[place].type.size - 1


def test_the_answer_one_was_given_is_the_one_that_is_claimed(
    folder: Path, claim: CanonClaim, tmp_path: Path
) -> None:
    words = ("--bundle", folder / "bundle", "--outputs")
    done = verified(tmp_path, claim, *words, folder / "out.npz")
    assert (done.status, done.json["verdict"], done.json["run_again"]) == (0, "signed", "no")
    with np.load(folder / "out.npz") as given:
        logits = given["logits"].copy()
    logits.reshape(-1).view(np.uint32)[-1] ^= 1
    np.savez(tmp_path / "other.npz", logits=logits)
    done = verified(tmp_path, claim, *words, tmp_path / "other.npz")
    assert done.status == REFUTED
    assert "output root is" in done.error["message"]


def test_outputs_may_be_listed_by_their_roots(
    folder: Path, claim: CanonClaim, tmp_path: Path
) -> None:
    canon = open_canon(open_bundle(folder / "bundle", "verify"))
    with np.load(folder / "out.npz") as given:
        roots = tuple(output_roots(canon.graph, dict(given)))
    receipt_file(tmp_path / "receipt.json", claim, bond_of(claim, outputs=roots))
    expect = expectation_file(tmp_path / "expect.json", claim)
    done = called("--json", "verify", tmp_path / "receipt.json", "--expect", expect)
    assert (done.status, done.json["verdict"]) == (0, "signed")


def test_inputs_that_the_receipt_is_not_about_refute_it_only_if_the_caller_is_of_one_mind(
    folder: Path, claim: CanonClaim, tmp_path: Path
) -> None:
    words = ("--bundle", folder / "bundle", "--inputs", folder / "other.npz")
    done = verified(tmp_path, claim, *words, input=None)
    assert done.status == REFUTED
    assert "input root is" in done.error["message"]
    done = verified(tmp_path, claim, *words)
    assert done.status == BAD_INPUT
    assert "the input you gave has root" in done.error["message"]


def test_a_bundle_of_another_model_than_one_expects_refutes_nothing(
    claim: CanonClaim, tmp_path: Path
) -> None:
    from onnx import helper

    model = onnx_file(tmp_path / "m.onnx", helper.make_node("Relu", ["x"], ["y"]))
    assert called("compile", model, "-o", tmp_path / "b").status == 0
    done = verified(tmp_path, claim, "--bundle", tmp_path / "b")
    assert done.status == BAD_INPUT
    assert "the model you gave has root" in done.error["message"]
    done = verified(tmp_path, claim, "--bundle", tmp_path / "none")
    assert done.status == 4


def test_a_model_of_other_semantics_than_one_expects_refutes_nothing(
    folder: Path, claim: CanonClaim, tmp_path: Path
) -> None:
    later = replace(claim, header=replace(claim.header, semantics="canon/2"))
    assert verified(tmp_path, later).status == 0
    done = verified(tmp_path, later, "--bundle", folder / "bundle")
    assert done.status == BAD_INPUT
    assert "you expect semantics canon/2" in done.error["message"]


def test_a_damaged_bundle_cannot_check(folder: Path, claim: CanonClaim, tmp_path: Path) -> None:
    shutil.copytree(folder / "bundle", tmp_path / "bundle")
    weights = tmp_path / "bundle" / "canon" / "weights.bin"
    weights.write_bytes(b"\xff" + weights.read_bytes()[1:])
    words = ("--bundle", tmp_path / "bundle", "--inputs", folder / "input.npz")
    done = verified(tmp_path, claim, *words)
    assert done.status == 4
    assert "weights.bin" in done.error["message"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"digits": np.zeros((1, 10), np.float32)}, "there is no output `digits`"),
        ({}, "output `logits`"),
        ({"logits": np.zeros((1, 9), np.float32)}, "wanted [1, 10]"),
        ({"logits": np.zeros((1, 10))}, "is float64[1, 10], wanted float32"),
    ],
)
def test_outputs_that_no_run_gives_are_named(
    folder: Path, claim: CanonClaim, tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **arrays)
    (tmp_path / "o.npz").write_bytes(packed.getvalue())
    words = ("--bundle", folder / "bundle", "--outputs", tmp_path / "o.npz")
    done = verified(tmp_path, claim, *words)
    assert done.status == BAD_INPUT
    assert message in done.error["message"]


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "0x" + "00" * 32},
        {"job_id": "0x" + "11" * 32},
        {"chain_id": 5},
        {"verifier": KEY.address},
        {"provider": STRANGER.address},
        {"semantics": "canon/2"},
        {"model": "0x" + "00" * 32},
        {"input": "0x" + "00" * 32},
        {"output": "0x" + "00" * 32},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_receipt_about_something_else_is_refuted(
    claim: CanonClaim, tmp_path: Path, changes: dict[str, object]
) -> None:
    done = verified(tmp_path, claim, **changes)
    assert (done.status, done.out) == (REFUTED, "")
    assert done.error["error"] == "refuted"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--inputs", "x.npz"), "--inputs says nothing without --bundle"),
        (("--outputs", "x.npz"), "--outputs says nothing without --bundle"),
        (("--trace", "x"), "--trace says nothing without --bundle"),
        (("--device", "cpu"), "--device says nothing without --bundle"),
        (("--independent",), "--independent is for the zk venue"),
        (("--allow-insecure-srs",), "--allow-insecure-srs is for the zk venue"),
        (("--rpc", "ftp://x"), "`ftp://x` is no http(s) address"),
    ],
)
def test_options_that_make_no_sense_are_bad_input(
    claim: CanonClaim, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    done = verified(tmp_path, claim, *words)
    assert done.status == BAD_INPUT
    assert message in done.error["message"]


def test_a_trace_says_nothing_without_inputs(
    folder: Path, claim: CanonClaim, tmp_path: Path
) -> None:
    done = verified(tmp_path, claim, "--bundle", folder / "bundle", "--trace", folder / "trace")
    assert done.status == BAD_INPUT
    assert "--trace says nothing without --inputs" in done.error["message"]


def test_what_is_no_receipt_is_bad_input(claim: CanonClaim, tmp_path: Path) -> None:
    expect = expectation_file(tmp_path / "expect.json", claim)
    honest = receipt_file(tmp_path / "receipt.json", claim).read_bytes()
    for content in (b"", b"{}", b"[" * 100_000, b"\xff", honest + b"\n", honest[:-1]):
        (tmp_path / "bad.json").write_bytes(content)
        done = called("--json", "verify", tmp_path / "bad.json", "--expect", expect)
        assert (done.status, done.out) == (BAD_INPUT, ""), done
        assert "Traceback" not in done.err


def test_inspect_says_what_a_bonded_receipt_claims(claim: CanonClaim, tmp_path: Path) -> None:
    done = called("--json", "inspect", receipt_file(tmp_path / "receipt.json", claim))
    assert done.status == 0
    assert done.json["kind"] == "receipt of a bonded claim, unverified"
    assert done.json["id"] == "0x" + claim_id(claim).hex()
    assert done.json["policy"]["bond"] == str(POLICY.bond)


def test_a_node_that_is_not_there_decides_nothing(claim: CanonClaim, tmp_path: Path) -> None:
    done = verified(tmp_path, claim, "--rpc", "http://127.0.0.1:1")
    assert done.status == CHAIN_FAILED

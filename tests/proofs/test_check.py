"""Verifying receipts, by both verifiers: everything a cheating provider can do is refused."""

import base64
import json
import random
import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from documents import KEY, STRANGER
from zk_material import (
    NOW,
    Case,
    bundle,
    case,
    circuits,
    copied,
    input_file,
    proven,
    resigned,
    tensors,
    with_instances,
    with_parts,
)

from verifiable.bundle import open_bundle
from verifiable.crypto.felt import MODULUS, dequantize
from verifiable.crypto.hashing import sha256, sha256_file
from verifiable.crypto.poseidon import poseidon_hash
from verifiable.crypto.srs import rebuild_k1
from verifiable.errors import (
    EncodingError,
    InsecureSrsError,
    LockError,
    ProofRejectedError,
    RejectedError,
    SignatureRejectedError,
    StatementRejectedError,
    TensorError,
)
from verifiable.proofs.check import Checked, Method, check
from verifiable.proofs.ezkl.files import read_circuit
from verifiable.proofs.ezkl.system import Ezkl
from verifiable.proofs.instances import slot_instances
from verifiable.receipt import Receipt
from verifiable.types import Bytes32, Felt

METHODS: Sequence[Method] = ("ezkl", "independent")
KINDS = (
    "public", "private", "hashed", "committed", "hashed-weights", "committed-weights",
    "hashed-all", "split",
)  # fmt: skip


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Method:
    found: Method = request.param
    return found


def verify(given: Case, method: Method, *, now: int = NOW, allow: bool = True) -> Checked:
    return check(
        given.document, given.expectation, now=now, method=method, allow_insecure_srs=allow
    )


def with_proof(given: Case, part: int, proof: bytes) -> Case:
    """The case with another proof, signed by the provider itself."""
    proofs = list(given.receipt.proofs)
    proofs[part] = proof
    changed = replace(given.receipt, proofs=tuple(proofs))
    return replace(given, receipt=resigned(changed, given.claim))


@pytest.mark.parametrize("kind", KINDS)
def test_an_honest_receipt_is_upheld(kind: str, method: Method) -> None:
    given = case(kind)
    checked = verify(given, method)
    assert checked.claim == given.claim
    if kind == "hashed-all":
        assert checked.outputs == {}
        return
    # What was upheld is what the float model says, within the error the bundle states.
    from zk_material import model

    from verifiable.engines.ort import run_samples

    wanted = run_samples(model(), {"x": tensors()["x"][np.newaxis]})["y"][0]
    assert np.max(np.abs(checked.outputs["y"] - wanted)) <= max(2 * checked.error, 0.05)


@pytest.mark.parametrize("kind", ["public", "split"])
def test_a_flipped_bit_anywhere_in_a_proof_is_refused(kind: str, method: Method) -> None:
    given = case(kind)
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    # The independent verifier takes a second; its own tests flip many more.
    for _ in range(4 if method == "ezkl" else 1):
        part = rng.randrange(len(given.receipt.proofs))
        proof = bytearray(given.receipt.proofs[part])
        proof[rng.randrange(len(proof))] ^= 1 << rng.randrange(8)
        with pytest.raises(ProofRejectedError):
            verify(with_proof(given, part, bytes(proof)), method)


@pytest.mark.parametrize(
    "change",
    [
        lambda proof: proof + b"\0",
        lambda proof: proof + proof[:32],
        lambda proof: proof[:-1],
        lambda proof: proof[: len(proof) // 2],
        lambda _: b"",
        lambda proof: b"\xff" * len(proof),
        lambda proof: bytes(len(proof)),
    ],
    ids=["a byte more", "a word more", "a byte less", "half", "empty", "ones", "zeros"],
)
def test_a_proof_has_one_length_and_one_encoding(change: object, method: Method) -> None:
    given = case("public")
    assert callable(change)
    with pytest.raises(ProofRejectedError):
        verify(with_proof(given, 0, change(given.receipt.proofs[0])), method)


@pytest.mark.parametrize("kind", ["public", "hashed", "hashed-all"])
def test_a_changed_output_that_the_provider_signs_is_refused(kind: str, method: Method) -> None:
    given = case(kind)
    (slot,) = circuits(kind).parts[-1].layout.of("output")
    value = given.claim.subject.parts[-1].instances[slot.start]
    claim = with_instances(given.claim, 0, {slot.start: (value + 1) % MODULUS})
    with pytest.raises(ProofRejectedError):
        verify(replace(given, receipt=resigned(given.receipt, claim)), method)


def test_an_instance_plus_the_modulus_cannot_be_written(method: Method) -> None:
    given = case("public")
    part = given.claim.subject.parts[0]
    (slot,) = circuits("public").parts[0].layout.of("output")
    small = slot.start
    value = part.instances[small] + MODULUS
    text = given.document.decode()
    with pytest.raises(EncodingError, match=r"not in 0\.\.r-1"):
        replace(part, instances=(*part.instances[:small], Felt(value)))
    # Nor by hand: the payload is base64, so the felt is replaced inside it.
    envelope = json.loads(text)
    payload = base64.b64decode(envelope["payload"]).decode()
    word = "0x" + part.instances[small].to_bytes(32, "big").hex()
    assert word in payload
    # r is below 2**254, so the sum still fits in the word.
    payload = payload.replace(word, "0x" + value.to_bytes(32, "big").hex())
    envelope["payload"] = base64.b64encode(payload.encode()).decode()
    document = json.dumps(envelope, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(EncodingError, match="not below r"):
        check(document, given.expectation, now=NOW, method=method, allow_insecure_srs=True)


def test_a_claim_about_another_input_is_refused(method: Method) -> None:
    # The proof is honest and about another input than the caller's.
    for kind in ("public", "hashed"):
        given = replace(case(kind), receipt=proven(kind, 1).receipt)
        with pytest.raises(StatementRejectedError, match="part 0: instance 0 is"):
            verify(given, method)


def test_the_caller_s_input_is_substituted_for_the_prover_s(method: Method) -> None:
    # The provider writes the caller's input into the claim and proves another.
    for kind in ("public", "hashed"):
        honest, other = case(kind), proven(kind, 1).receipt
        (slot,) = circuits(kind).parts[0].layout.of("input")
        known = slot_instances(slot, tensors(0)["x"])
        claim = with_instances(
            other.claim, 0, {slot.start + i: value for i, value in enumerate(known)}
        )
        with pytest.raises(ProofRejectedError):
            verify(replace(honest, receipt=resigned(other, claim)), method)


def test_a_hashed_input_is_the_poseidon_digest_of_the_quantised_tensor() -> None:
    (slot,) = circuits("hashed").parts[0].layout.of("input")
    felts = [Felt(round(float(x) * 2**7) % MODULUS) for x in tensors()["x"].ravel()]
    instances = case("hashed").claim.subject.parts[0].instances
    assert instances[slot.start] == poseidon_hash(felts)


def test_an_output_the_caller_expects_otherwise_is_refused(method: Method) -> None:
    given = case("public")
    part = circuits("public").parts[0]
    (slot,) = part.layout.of("output")
    honest = tuple(
        dequantize(x, slot.scale)
        for x in given.claim.subject.parts[0].instances[slot.start : slot.start + slot.count]
    )
    right = replace(given, expectation=replace(given.expectation, output=(honest,)))
    verify(right, method)
    wrong = (honest[0] + 2.0**-slot.scale, *honest[1:])
    with pytest.raises(StatementRejectedError, match="part 0: instance"):
        verify(replace(given, expectation=replace(given.expectation, output=(wrong,))), method)


def test_an_expected_output_that_no_such_model_has_is_the_caller_s_mistake(method: Method) -> None:
    given = case("public")
    for output in ((), ((0.0,),), ((0.0, 0.0), (0.0,)), ((1e300, 0.0),)):
        with pytest.raises(TensorError):
            verify(replace(given, expectation=replace(given.expectation, output=output)), method)


@pytest.mark.parametrize("kind", ["committed", "committed-weights"])
def test_a_committed_input_is_the_caller_s(kind: str, method: Method) -> None:
    given = replace(case(kind), receipt=proven(kind, 1).receipt)
    with pytest.raises(StatementRejectedError, match="about another `x`"):
        verify(given, method)
    # A caller who does not know the input learns that the output belongs to some input.
    verify(replace(given, expectation=replace(given.expectation, input=None)), method)


@pytest.mark.parametrize("kind", ["hashed-weights", "committed-weights", "public"])
def test_a_proof_with_other_weights_is_refused(kind: str, method: Method, tmp_path: Path) -> None:
    # Same settings, same architecture, other weights; the provider signs the caller's digests.
    honest = case(kind)
    other = proven(kind, 0, seed=7).receipt
    claim = replace(
        honest.claim,
        subject=replace(
            honest.claim.subject,
            parts=tuple(
                replace(ours, instances=theirs.instances)
                for ours, theirs in zip(
                    honest.claim.subject.parts, other.claim.subject.parts, strict=True
                )
            ),
        ),
    )
    with pytest.raises(RejectedError):
        verify(replace(honest, receipt=resigned(other, claim)), method)
    assert tmp_path


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"nonce": Bytes32(b"m" * 32)}, StatementRejectedError),
        ({"job_id": Bytes32(b"k" * 32)}, StatementRejectedError),
        ({"chain_id": 1}, StatementRejectedError),
        ({"verifier": KEY.address}, StatementRejectedError),
        ({"provider": STRANGER.address}, SignatureRejectedError),
        ({"lock": sha256(b"")}, LockError),
    ],
)
def test_a_receipt_serves_one_nonce_job_chain_contract_provider_and_bundle(
    changes: dict[str, object], error: type[Exception], method: Method
) -> None:
    given = case("public")
    changed = replace(given.expectation, **changes)  # type: ignore[arg-type]
    with pytest.raises(error):
        verify(replace(given, expectation=changed), method)


def test_a_receipt_signed_by_a_stranger_is_refused(method: Method) -> None:
    given = case("public")
    header = replace(given.claim.header, provider=STRANGER.address)
    forged = resigned(given.receipt, replace(given.claim, header=header), STRANGER)
    with pytest.raises(SignatureRejectedError):
        verify(replace(given, receipt=forged), method)


def test_a_receipt_holds_until_its_last_second(method: Method) -> None:
    given = case("public")
    verify(given, method, now=NOW)
    with pytest.raises(StatementRejectedError, match="expired"):
        verify(given, method, now=NOW + 1)


@pytest.mark.parametrize("field", ["onnx", "settings", "vk"])
def test_a_claim_under_another_circuit_is_refused(field: str, method: Method) -> None:
    given = case("public")
    part = replace(given.claim.subject.parts[0], **{field: sha256(b"other")})  # type: ignore[arg-type]
    forged = resigned(given.receipt, with_parts(given.claim, part))
    with pytest.raises(StatementRejectedError, match=r"part 0: .* digest"):
        verify(replace(given, receipt=forged), method)


def test_a_receipt_for_one_bundle_does_not_serve_another(method: Method) -> None:
    given = case("public")
    other = bundle("hashed")
    with pytest.raises(StatementRejectedError):
        verify(
            replace(
                given,
                expectation=replace(given.expectation, bundle=other.folder, lock=other.digest),
            ),
            method,
        )


def test_a_development_srs_is_refused_unless_it_is_allowed(method: Method) -> None:
    given = case("public")
    with pytest.raises(InsecureSrsError) as refused:
        verify(given, method, allow=False)
    assert "--allow-insecure-srs" in (refused.value.hint or "")


def test_a_receipt_that_hides_a_development_srs_is_refused(method: Method) -> None:
    given = case("public")
    claim = replace(given.claim, subject=replace(given.claim.subject, insecure_srs=False))
    for allow in (False, True):
        with pytest.raises((InsecureSrsError, StatementRejectedError)):
            verify(replace(given, receipt=resigned(given.receipt, claim)), method, allow=allow)


def relocked(folder: Path, change: object) -> None:
    """Apply `change` to the LOCK of a bundle, and bring its digests of files up to date."""
    path = folder / "LOCK.json"
    lock = json.loads(path.read_bytes())
    assert callable(change)
    change(lock)
    for name, entry in lock["files"].items():
        if (folder / name).is_file():
            entry["bytes"] = (folder / name).stat().st_size
            entry["sha256"] = sha256_file(folder / name).hex()
    path.write_bytes(json.dumps(lock).encode())


def test_a_lock_that_calls_a_development_srs_secure_is_refused(
    method: Method, tmp_path: Path
) -> None:
    given = case("public")
    folder = copied(given.expectation.bundle, tmp_path / "lying")
    relocked(folder, lambda lock: lock["zk"]["srs"].update(insecure=False))
    lying = replace(given.expectation, bundle=folder, lock=None)
    for allow in (False, True):
        with pytest.raises(LockError, match="insecure"):
            verify(replace(given, expectation=lying), method, allow=allow)


def test_a_proof_under_a_development_srs_does_not_pass_for_one_under_the_ceremony_s(
    method: Method, tmp_path: Path
) -> None:
    given = case("public")
    folder = copied(given.expectation.bundle, tmp_path / "swapped")
    (folder / "zk" / "srs.verifier").write_bytes(rebuild_k1())
    relocked(folder, lambda lock: lock["zk"]["srs"].update(insecure=False))
    claim = replace(given.claim, subject=replace(given.claim.subject, insecure_srs=False))
    forged = Case(
        receipt=resigned(given.receipt, claim),
        expectation=replace(given.expectation, bundle=folder, lock=None),
    )
    with pytest.raises((ProofRejectedError, EncodingError)):
        verify(forged, method, allow=False)


@pytest.mark.parametrize("file", ["vk", "settings.json", "model.onnx"])
def test_a_lock_that_contradicts_its_own_files_is_refused(
    file: str, method: Method, tmp_path: Path
) -> None:
    # The key of another circuit lies there, and the lock still names the digest of the first.
    given = case("public")
    folder = copied(given.expectation.bundle, tmp_path / "mixed")
    source = bundle("public", 7).folder if file == "model.onnx" else bundle("hashed").folder
    path = f"zk/part-0/{file}"
    (folder / path).write_bytes((source / path).read_bytes())
    relocked(folder, lambda _: None)
    mixed = replace(given.expectation, bundle=folder, lock=None)
    with pytest.raises(LockError, match=path):
        verify(replace(given, expectation=mixed), method)


def test_parts_of_two_honest_runs_do_not_join(method: Method) -> None:
    one, other = proven("split", 0).receipt, proven("split", 1).receipt
    mixed_claim = with_parts(one.claim, one.claim.subject.parts[0], other.claim.subject.parts[1])
    mixed: Receipt = replace(one, proofs=(one.proofs[0], other.proofs[1]))
    given = replace(case("split"), receipt=resigned(mixed, mixed_claim))
    with pytest.raises(StatementRejectedError, match="part 1 reads another `hidden`"):
        verify(given, method)


def test_parts_in_another_order_or_number_are_refused(method: Method) -> None:
    given = case("split")
    first, second = given.claim.subject.parts
    one, two = given.receipt.proofs
    for parts, proofs in (
        ((second, first), (two, one)),
        ((first,), (one,)),
        ((first, second, second), (one, two, two)),
        ((first, second), (two, one)),
    ):
        changed = replace(given.receipt, claim=with_parts(given.claim, *parts), proofs=proofs)
        with pytest.raises(RejectedError):
            verify(replace(given, receipt=resigned(changed, changed.claim)), method)


def test_ezkl_that_cannot_load_a_key_refutes_nothing(tmp_path: Path) -> None:
    # A script may slash on a refutation: only halo2's own word may become one.
    from verifiable.errors import HostError

    given = case("public")
    folder = copied(given.expectation.bundle, tmp_path / "broken")
    part = circuits("public").parts[0]
    circuit = read_circuit(folder / "zk" / "part-0", part.layout)
    instances = given.claim.subject.parts[0].instances
    Ezkl().verify(circuit, instances, given.receipt.proofs[0])
    for damage in (b"no key", b""):
        (circuit.folder / "vk").write_bytes(damage)
        with pytest.raises(HostError):
            Ezkl().verify(circuit, instances, given.receipt.proofs[0])
    (circuit.folder / "vk").unlink()
    with pytest.raises(HostError):
        Ezkl().verify(circuit, instances, given.receipt.proofs[0])


def test_verifying_leaves_the_bundle_as_it_was(method: Method) -> None:
    given = case("hashed")
    before = open_bundle(given.expectation.bundle, "prove").digest
    verify(given, method)
    assert open_bundle(given.expectation.bundle, "prove").digest == before
    assert input_file().is_file()

"""Receipts: one encoding, two signatures, and the caller's word against the provider's."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from costly import costly
from documents import (
    CLAIM,
    KEY,
    NOW,
    PROOFS,
    STRANGER,
    VERSIONS,
    altered,
    expected_of,
    json_values,
    resealed,
    statement_of,
    subjects,
)
from hypothesis import given
from hypothesis import strategies as st

from verifiable.claim import Claim, EzklSubject, claim_id
from verifiable.crypto.address import checksum_address
from verifiable.crypto.dsse import encode_envelope, seal
from verifiable.crypto.hashing import canonical_json
from verifiable.crypto.signatures import ORDER
from verifiable.errors import (
    EncodingError,
    InputError,
    InsecureSrsError,
    SignatureRejectedError,
    StatementRejectedError,
    VerifiableError,
)
from verifiable.expectation import Expected
from verifiable.receipt import (
    PAYLOAD_TYPE,
    Receipt,
    build_receipt,
    check_document,
    encode_receipt,
    parse_receipt,
)
from verifiable.types import Felt

RECEIPT = build_receipt(CLAIM, PROOFS, VERSIONS, KEY)
DATA = encode_receipt(RECEIPT)
EXPECTED = expected_of(CLAIM)


@costly(subjects, st.lists(st.binary(max_size=40), min_size=2, max_size=2))
def test_receipts_are_read_back_and_hold(subject: EzklSubject, proofs: list[bytes]) -> None:
    claim = dataclasses.replace(CLAIM, subject=subject)
    receipt = build_receipt(claim, proofs[: len(subject.parts)], VERSIONS, KEY)
    data = encode_receipt(receipt)
    assert parse_receipt(data) == receipt
    assert encode_receipt(parse_receipt(data)) == data
    expected = expected_of(claim, allow_insecure_srs=True)
    assert check_document(data, expected, now=NOW) == claim


def test_the_encoding_of_a_receipt_is_the_one_of_the_first_release() -> None:
    # Taken of commit c03ef9f, before receipts of another venue were there. Signatures are
    # deterministic (RFC 6979), so that every byte of the document is pinned.
    digest = "d833bb47cf3287cdc9ef2cb211f7aa935bbaff73cf48ea1f03be783de0b23ed5"
    assert (len(DATA), hashlib.sha256(DATA).hexdigest()) == (3514, digest)
    assert check_document(DATA, EXPECTED, now=NOW) == CLAIM


def test_the_document_is_an_in_toto_statement_in_a_dsse_envelope() -> None:
    envelope = json.loads(DATA)
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert envelope["signatures"][0]["keyid"] == KEY.address
    assert statement_of(DATA)["_type"] == "https://in-toto.io/Statement/v1"
    assert statement_of(DATA)["subject"][0] == {
        "name": "model.onnx",
        "digest": {"sha256": "6d" * 32},
    }
    assert [s["name"] for s in statement_of(DATA)["subject"][1:4]] == [
        "parts/0/onnx",
        "parts/0/settings",
        "parts/0/vk",
    ]
    assert statement_of(DATA)["predicate"]["signature"] == "0x" + KEY.sign(claim_id(CLAIM)).hex()


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_no_changed_byte_leaves_a_receipt_standing(at: int, mask: int) -> None:
    changed = bytearray(DATA)
    changed[at] ^= mask
    with pytest.raises((EncodingError, SignatureRejectedError)):
        check_document(bytes(changed), EXPECTED, now=NOW)


@pytest.mark.slow
def test_no_flipped_bit_leaves_a_receipt_standing() -> None:
    for at in range(len(DATA)):
        changed = bytearray(DATA)
        changed[at] ^= 1
        with pytest.raises((EncodingError, SignatureRejectedError)):
            check_document(bytes(changed), EXPECTED, now=NOW)


@given(st.integers(0, len(DATA)), st.sampled_from([b" ", b"\n", b"\0", b"{}"]))
def test_no_inserted_byte_leaves_a_receipt_standing(at: int, inserted: bytes) -> None:
    with pytest.raises((EncodingError, SignatureRejectedError)):
        check_document(DATA[:at] + inserted + DATA[at:], EXPECTED, now=NOW)


@given(st.integers(0, len(DATA) - 1))
def test_no_truncated_receipt_stands(size: int) -> None:
    with pytest.raises(EncodingError):
        parse_receipt(DATA[:size])


def test_only_the_provider_can_build_its_receipt() -> None:
    with pytest.raises(InputError, match="the claim's provider is"):
        build_receipt(CLAIM, PROOFS, VERSIONS, STRANGER)


def test_there_is_one_proof_for_each_part_and_one_version_for_each_program() -> None:
    with pytest.raises(EncodingError, match="1 proofs for 2 parts"):
        build_receipt(CLAIM, PROOFS[:1], VERSIONS, KEY)
    with pytest.raises(EncodingError, match="stands twice"):
        build_receipt(CLAIM, PROOFS, [*VERSIONS, ("ezkl", "1")], KEY)


def test_a_receipt_built_by_hand_without_a_proof_for_a_part_is_refused() -> None:
    with pytest.raises(EncodingError, match="1 proofs for 2 parts"):
        check_document(dataclasses.replace(RECEIPT, proofs=PROOFS[:1]), EXPECTED, now=NOW)


def test_a_stranger_cannot_seal_a_providers_claim() -> None:
    with pytest.raises(EncodingError, match="keyid is not the claim's provider"):
        check_document(resealed(statement_of(DATA), STRANGER), EXPECTED, now=NOW)


def test_a_strangers_receipt_is_not_the_providers() -> None:
    claim = altered(CLAIM, "header", provider=STRANGER.address)
    receipt = build_receipt(claim, PROOFS, VERSIONS, STRANGER)
    check_document(receipt, expected_of(claim), now=NOW)
    with pytest.raises(SignatureRejectedError, match="wanted"):
        check_document(receipt, EXPECTED, now=NOW)


def test_the_envelope_and_the_claim_are_both_signed_by_the_provider() -> None:
    for name in ("signature", "envelope_signature"):
        fields: dict[str, Any] = {name: STRANGER.sign(claim_id(CLAIM))}
        forged = dataclasses.replace(RECEIPT, **fields)
        with pytest.raises(SignatureRejectedError, match="was made by"):
            check_document(forged, EXPECTED, now=NOW)


def test_a_claim_signed_for_another_claim_is_rejected() -> None:
    value = statement_of(DATA)
    value["predicate"]["signature"] = (
        "0x" + KEY.sign(claim_id(altered(CLAIM, "header", chain_id=1))).hex()
    )
    with pytest.raises(SignatureRejectedError, match="the claim's signature"):
        check_document(resealed(value), EXPECTED, now=NOW)


def test_the_malleable_twin_of_either_signature_is_refused() -> None:
    def twin(signature: bytes) -> bytes:
        s = ORDER - int.from_bytes(signature[32:64], "big")
        return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])

    value = statement_of(DATA)
    value["predicate"]["signature"] = "0x" + twin(RECEIPT.signature).hex()
    with pytest.raises(EncodingError, match="malleable"):
        parse_receipt(resealed(value))
    forged = dataclasses.replace(RECEIPT, envelope_signature=twin(RECEIPT.envelope_signature))
    with pytest.raises(EncodingError, match="malleable"):
        parse_receipt(encode_receipt(forged))
    with pytest.raises(EncodingError, match="malleable"):
        check_document(forged, EXPECTED, now=NOW)


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        (altered(CLAIM, "header", job_id=b"J" * 32), "job id is"),
        (altered(CLAIM, "header", nonce=b"N" * 32), "nonce is"),
        (altered(CLAIM, "header", chain_id=1), "chain id is 1, wanted 31337"),
        (altered(CLAIM, "header", verifier=checksum_address(b"V" * 20)), "verifier is"),
        (altered(CLAIM, "header", semantics="ezkl/22.0.0"), "semantics is ezkl/22.0.0"),
        (altered(CLAIM, "header", expiry=NOW - 1), "expired at"),
        (altered(CLAIM, "subject", model=b"M" * 32), "model digest is"),
        (
            altered(CLAIM, "subject", parts=CLAIM.subject.parts[:1]),
            "number of parts is 1, wanted 2",
        ),
        (altered(CLAIM, "subject", parts=CLAIM.subject.parts[::-1]), "part 0: ONNX digest"),
    ],
)
def test_a_receipt_of_another_job_chain_contract_or_model_is_rejected(
    claim: Claim, message: str
) -> None:
    receipt = build_receipt(claim, PROOFS[: len(claim.subject.parts)], VERSIONS, KEY)
    with pytest.raises(StatementRejectedError, match=message):
        check_document(receipt, EXPECTED, now=NOW)


@pytest.mark.parametrize("name", ["onnx", "settings", "vk"])
def test_a_part_of_another_circuit_is_rejected(name: str) -> None:
    first, second = CLAIM.subject.parts
    fields: dict[str, Any] = {name: b"x" * 32}
    claim = altered(CLAIM, "subject", parts=(first, dataclasses.replace(second, **fields)))
    with pytest.raises(StatementRejectedError, match=r"part 1: .* digest is"):
        check_document(build_receipt(claim, PROOFS, VERSIONS, KEY), EXPECTED, now=NOW)


def test_the_last_second_still_holds() -> None:
    check_document(DATA, EXPECTED, now=NOW)
    with pytest.raises(StatementRejectedError, match="1 s ago"):
        check_document(DATA, EXPECTED, now=NOW + 1)


@pytest.mark.parametrize("at", [0, 1])
def test_an_instance_the_caller_knows_cannot_be_another(at: int) -> None:
    first, second = CLAIM.subject.parts
    instances = list(first.instances)
    instances[at] = Felt(77)
    claim = altered(
        CLAIM, "subject", parts=(dataclasses.replace(first, instances=tuple(instances)), second)
    )
    receipt = build_receipt(claim, PROOFS, VERSIONS, KEY)
    with pytest.raises(StatementRejectedError, match=f"part 0: instance {at} is 0x4d, wanted"):
        check_document(receipt, EXPECTED, now=NOW)


def test_an_instance_the_caller_leaves_open_is_learnt() -> None:
    first, second = CLAIM.subject.parts
    instances = (*first.instances[:2], Felt(77))
    claim = altered(
        CLAIM, "subject", parts=(dataclasses.replace(first, instances=instances), second)
    )
    found = check_document(build_receipt(claim, PROOFS, VERSIONS, KEY), EXPECTED, now=NOW)
    assert found.subject.parts[0].instances == instances


@pytest.mark.parametrize("change", [lambda x: x[:-1], lambda x: (*x, Felt(0)), lambda _: ()])
def test_the_number_of_instances_is_the_callers(
    change: Callable[[tuple[Felt, ...]], tuple[Felt, ...]],
) -> None:
    first, second = CLAIM.subject.parts
    changed = dataclasses.replace(first, instances=change(first.instances))
    receipt = build_receipt(
        altered(CLAIM, "subject", parts=(changed, second)), PROOFS, VERSIONS, KEY
    )
    with pytest.raises(StatementRejectedError, match="number of instances"):
        check_document(receipt, EXPECTED, now=NOW)


def test_an_insecure_srs_is_refused_unless_the_caller_allows_it() -> None:
    claim = altered(CLAIM, "subject", insecure_srs=True)
    receipt = build_receipt(claim, PROOFS, VERSIONS, KEY)
    with pytest.raises(InsecureSrsError, match="can prove anything") as e:
        check_document(receipt, expected_of(claim), now=NOW)
    assert "--allow-insecure-srs" in (e.value.hint or "")
    found = check_document(receipt, expected_of(claim, allow_insecure_srs=True), now=NOW)
    assert found.subject.insecure_srs


def test_a_provider_cannot_hide_or_invent_an_insecure_srs() -> None:
    insecure = altered(CLAIM, "subject", insecure_srs=True)
    hiding = build_receipt(CLAIM, PROOFS, VERSIONS, KEY)
    with pytest.raises(InsecureSrsError):
        check_document(hiding, expected_of(insecure), now=NOW)
    with pytest.raises(StatementRejectedError, match="insecure SRS flag is False"):
        check_document(hiding, expected_of(insecure, allow_insecure_srs=True), now=NOW)
    inventing = build_receipt(insecure, PROOFS, VERSIONS, KEY)
    with pytest.raises(InsecureSrsError):
        check_document(inventing, EXPECTED, now=NOW)


def change_subject(value: Any) -> None:
    value["subject"][1]["digest"]["sha256"] = "00" * 32


def drop_subject(value: Any) -> None:
    value["subject"].pop()


def change_flag(value: Any) -> None:
    value["predicate"]["insecure_srs"] = True


def drop_proof(value: Any) -> None:
    value["predicate"]["evidence"]["proofs"].pop()


def add_field(value: Any) -> None:
    value["predicate"]["note"] = "trust me"


def change_schema(value: Any) -> None:
    value["predicate"]["schema"] = "verifiable/receipt/2"


def change_type(value: Any) -> None:
    value["predicateType"] = "urn:verifiable:receipt:2"


def change_system(value: Any) -> None:
    value["predicate"]["evidence"]["system"] = "none"


def upper_proof(value: Any) -> None:
    value["predicate"]["evidence"]["proofs"][0] = "0xAB"


def number_version(value: Any) -> None:
    value["predicate"]["versions"]["ezkl"] = 23


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_subject, "statement.subject does not list the digests"),
        (drop_subject, "statement.subject does not list the digests"),
        (change_flag, "predicate.insecure_srs is not what the claim says"),
        (drop_proof, "evidence has 1 proofs for 2 parts"),
        (add_field, "predicate has an unknown field `note`"),
        (change_schema, "predicate.schema is"),
        (change_type, "statement.predicateType is"),
        (change_system, "predicate.evidence.system is"),
        (upper_proof, r"predicate.evidence.proofs\[0\] is not 0x"),
        (number_version, "predicate.versions.ezkl is not a string"),
    ],
)
def test_a_document_that_contradicts_itself_is_refused_though_signed(
    change: Callable[[Any], None], message: str
) -> None:
    value = statement_of(DATA)
    change(value)
    with pytest.raises(EncodingError, match=message):
        parse_receipt(resealed(value))


def test_a_payload_in_another_form_is_refused_though_signed() -> None:
    loose = json.dumps(statement_of(DATA)).encode()
    with pytest.raises(EncodingError, match="canonical"):
        parse_receipt(encode_envelope(seal(PAYLOAD_TYPE, loose, KEY)))


@costly(st.sampled_from(["_type", "subject", "predicateType", "predicate"]), json_values)
def test_arbitrary_statements_never_give_a_traceback(name: str, value: object) -> None:
    with pytest.raises(EncodingError):
        parse_receipt(resealed(statement_of(DATA) | {name: value}))


@costly(
    st.sampled_from(["schema", "claim", "evidence", "signature", "versions", "insecure_srs"]),
    json_values,
)
def test_arbitrary_predicates_never_give_a_traceback(name: str, value: object) -> None:
    changed = statement_of(DATA)
    changed["predicate"][name] = value
    with suppress(VerifiableError):
        check_document(resealed(changed), EXPECTED, now=NOW)


@costly(st.binary(max_size=80) | json_values.map(canonical_json))
def test_arbitrary_bytes_never_give_a_traceback(data: bytes) -> None:
    for form in (data, encode_envelope(seal(PAYLOAD_TYPE, data, KEY))):
        with pytest.raises(EncodingError):
            parse_receipt(form)


def test_what_is_checked_further_is_the_callers_own_claim() -> None:
    found = check_document(DATA, EXPECTED, now=NOW)
    assert found == CLAIM
    # The caller's values, not copies of the receipt's, stand where the caller had any.
    assert found.header.nonce is EXPECTED.nonce
    assert found.subject.parts[0].vk is EXPECTED.parts[0].vk


def test_nothing_in_what_is_expected_has_a_default() -> None:
    for field in dataclasses.fields(Expected):
        assert field.default is dataclasses.MISSING
        assert field.default_factory is dataclasses.MISSING


def test_a_receipt_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECEIPT.proofs = ()  # type: ignore[misc]
    assert isinstance(hash(RECEIPT), int)
    assert isinstance(RECEIPT, Receipt)

"""Receipts of bonded claims: one encoding, two signatures, and what the caller knows."""

import dataclasses
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from costly import costly
from documents import (
    BOND,
    CANON_CLAIM,
    CLAIM,
    KEY,
    NOW,
    OUTPUTS,
    POLICY,
    PROOFS,
    STRANGER,
    VERSIONS,
    altered,
    bonds,
    canon_claims,
    expected_bond_of,
    expected_of,
    json_values,
    resealed,
    statement_of,
)
from hypothesis import given
from hypothesis import strategies as st
from test_claim import paths, replaced

from verifiable.claim import CanonClaim, claim_id
from verifiable.crypto.address import checksum_address
from verifiable.crypto.dsse import encode_envelope, seal
from verifiable.crypto.hashing import canonical_json
from verifiable.crypto.signatures import ORDER
from verifiable.dispute.terms import Policy
from verifiable.errors import (
    EncodingError,
    InputError,
    SignatureRejectedError,
    StatementRejectedError,
    VerifiableError,
)
from verifiable.expectation import POLICY_FIELDS, ExpectedBond
from verifiable.receipt import (
    PAYLOAD_TYPE,
    Bond,
    BondedReceipt,
    build_bonded_receipt,
    build_receipt,
    check_bonded_document,
    check_document,
    encode_bonded_receipt,
    encode_receipt,
    parse_bonded_receipt,
    parse_receipt,
)

RECEIPT = build_bonded_receipt(CANON_CLAIM, BOND, VERSIONS, KEY)
DATA = encode_bonded_receipt(RECEIPT)
EXPECTED = expected_bond_of(CANON_CLAIM)


def with_bond(**changes: object) -> Bond:
    fields: dict[str, Any] = dict(changes)
    return dataclasses.replace(BOND, **fields)


def with_policy(**changes: object) -> Bond:
    return altered(BOND, "policy", **changes)


@costly(canon_claims, bonds)
def test_receipts_are_read_back_and_hold(claim: CanonClaim, bond: Bond) -> None:
    header = dataclasses.replace(claim.header, provider=KEY.address, expiry=2**53 - 1)
    subject = dataclasses.replace(claim.subject, output=CANON_CLAIM.subject.output)
    claim = CanonClaim(header=header, subject=subject)
    receipt = build_bonded_receipt(claim, bond, VERSIONS, KEY)
    data = encode_bonded_receipt(receipt)
    assert parse_bonded_receipt(data) == receipt
    assert encode_bonded_receipt(parse_bonded_receipt(data)) == data
    assert check_bonded_document(data, expected_bond_of(claim, bond.policy)) == claim


def test_the_document_is_an_in_toto_statement_that_says_where_the_claim_is_bonded() -> None:
    envelope, predicate = json.loads(DATA), statement_of(DATA)["predicate"]
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert envelope["signatures"][0]["keyid"] == KEY.address
    assert [s["name"] for s in statement_of(DATA)["subject"]] == ["model", "input", "output"]
    assert statement_of(DATA)["subject"][0]["digest"] == {"sha256": "6d" * 32}
    assert predicate["signature"] == "0x" + KEY.sign(claim_id(CANON_CLAIM)).hex()
    assert predicate["evidence"] == {
        "system": "optimistic",
        "chain_id": 31337,
        "referee": CANON_CLAIM.header.verifier,
        "claim_id": "0x" + claim_id(CANON_CLAIM).hex(),
        "transaction": "0x" + "74" * 32,
        "block": 123456,
        "window_end": NOW + 86400,
        "policy": {
            "window": 86400,
            "allowance": 3600,
            "bond": "1" + "0" * 30,
            "challenge_bond": "100000000000000000",
            "reveal_fee": "0",
            "burnt_share": 3000,
            "requester_share": 2000,
            "refuter_gas": "1000000000000000",
        },
        "outputs": ["0x" + "78" * 32, "0x" + "79" * 32],
    }


def test_a_policy_has_the_numbers_of_the_game_in_their_order() -> None:
    assert tuple(field.name for field in dataclasses.fields(Policy)) == POLICY_FIELDS


def test_a_receipt_of_one_venue_is_none_of_the_other() -> None:
    other = encode_receipt(build_receipt(CLAIM, PROOFS, VERSIONS, KEY))
    with pytest.raises(EncodingError):
        parse_bonded_receipt(other)
    with pytest.raises(EncodingError):
        check_bonded_document(other, EXPECTED)
    with pytest.raises(EncodingError):
        check_document(DATA, expected_of(CLAIM), now=NOW)
    with pytest.raises(EncodingError):
        parse_receipt(DATA)


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_no_changed_byte_leaves_a_receipt_standing(at: int, mask: int) -> None:
    changed = bytearray(DATA)
    changed[at] ^= mask
    with pytest.raises((EncodingError, SignatureRejectedError)):
        check_bonded_document(bytes(changed), EXPECTED)


@pytest.mark.slow
def test_no_byte_with_a_flipped_bit_leaves_a_receipt_standing() -> None:
    for at in range(len(DATA)):
        changed = bytearray(DATA)
        changed[at] ^= 1 << at % 8
        with pytest.raises((EncodingError, SignatureRejectedError)):
            check_bonded_document(bytes(changed), EXPECTED)


@given(st.integers(0, len(DATA)), st.sampled_from([b" ", b"\n", b"\0", b"{}"]))
def test_no_inserted_byte_leaves_a_receipt_standing(at: int, inserted: bytes) -> None:
    with pytest.raises((EncodingError, SignatureRejectedError)):
        check_bonded_document(DATA[:at] + inserted + DATA[at:], EXPECTED)


@given(st.integers(0, len(DATA) - 1))
def test_no_truncated_receipt_stands(size: int) -> None:
    with pytest.raises(EncodingError):
        parse_bonded_receipt(DATA[:size])


def test_only_the_provider_can_build_its_receipt() -> None:
    with pytest.raises(InputError, match="the claim's provider is"):
        build_bonded_receipt(CANON_CLAIM, BOND, VERSIONS, STRANGER)
    with pytest.raises(EncodingError, match="stands twice"):
        build_bonded_receipt(CANON_CLAIM, BOND, [*VERSIONS, ("ezkl", "1")], KEY)


def test_a_stranger_cannot_seal_a_providers_claim() -> None:
    with pytest.raises(EncodingError, match="keyid is not the claim's provider"):
        check_bonded_document(resealed(statement_of(DATA), STRANGER), EXPECTED)


def test_a_strangers_receipt_is_not_the_providers() -> None:
    claim = altered(CANON_CLAIM, "header", provider=STRANGER.address)
    receipt = build_bonded_receipt(claim, BOND, VERSIONS, STRANGER)
    check_bonded_document(receipt, expected_bond_of(claim))
    with pytest.raises(SignatureRejectedError, match="wanted"):
        check_bonded_document(receipt, EXPECTED)


def test_the_envelope_and_the_claim_are_both_signed_by_the_provider() -> None:
    for name in ("signature", "envelope_signature"):
        fields: dict[str, Any] = {name: STRANGER.sign(claim_id(CANON_CLAIM))}
        forged = dataclasses.replace(RECEIPT, **fields)
        with pytest.raises(SignatureRejectedError, match="was made by"):
            check_bonded_document(forged, EXPECTED)


def test_a_signature_of_another_claim_is_rejected_though_the_document_is_sealed() -> None:
    value = statement_of(DATA)
    value["predicate"]["signature"] = (
        "0x" + KEY.sign(claim_id(altered(CANON_CLAIM, "header", chain_id=1))).hex()
    )
    with pytest.raises(SignatureRejectedError, match="the claim's signature"):
        check_bonded_document(resealed(value), EXPECTED)


def test_the_malleable_twin_of_either_signature_is_refused() -> None:
    def twin(signature: bytes) -> bytes:
        s = ORDER - int.from_bytes(signature[32:64], "big")
        return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])

    value = statement_of(DATA)
    value["predicate"]["signature"] = "0x" + twin(RECEIPT.signature).hex()
    with pytest.raises(EncodingError, match="malleable"):
        parse_bonded_receipt(resealed(value))
    forged = dataclasses.replace(RECEIPT, envelope_signature=twin(RECEIPT.envelope_signature))
    with pytest.raises(EncodingError, match="malleable"):
        check_bonded_document(forged, EXPECTED)


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        (altered(CANON_CLAIM, "header", job_id=b"J" * 32), "job id is"),
        (altered(CANON_CLAIM, "header", nonce=b"N" * 32), "nonce is"),
        (altered(CANON_CLAIM, "header", chain_id=1), "chain id is 1, wanted 31337"),
        (altered(CANON_CLAIM, "header", verifier=checksum_address(b"V" * 20)), "verifier is"),
        (altered(CANON_CLAIM, "header", semantics="canon/2"), "semantics is canon/2"),
        (altered(CANON_CLAIM, "header", expiry=NOW - 1), "1 s after it expired"),
        (altered(CANON_CLAIM, "subject", model=b"M" * 32), "model root is"),
        (altered(CANON_CLAIM, "subject", input=b"I" * 32), "input root is"),
        (altered(CANON_CLAIM, "subject", output=b"O" * 32), "output root is"),
    ],
)
def test_a_receipt_of_another_job_chain_referee_or_run_is_rejected(
    claim: CanonClaim, message: str
) -> None:
    receipt = build_bonded_receipt(claim, with_bond(outputs=None), VERSIONS, KEY)
    with pytest.raises(StatementRejectedError, match=message):
        check_bonded_document(receipt, EXPECTED)


@pytest.mark.parametrize("name", POLICY_FIELDS)
def test_a_receipt_that_relies_on_another_policy_is_rejected(name: str) -> None:
    bond = with_policy(**{name: getattr(POLICY, name) + 1})
    receipt = build_bonded_receipt(
        altered(CANON_CLAIM, "header", expiry=2**53 - 1), bond, VERSIONS, KEY
    )
    expected = expected_bond_of(receipt.claim)
    with pytest.raises(StatementRejectedError, match=f"policy: {name.replace('_', ' ')} is"):
        check_bonded_document(receipt, expected)
    learnt = dataclasses.replace(expected, policy=None)
    assert check_bonded_document(receipt, learnt) == receipt.claim


def test_what_the_caller_does_not_know_is_learnt() -> None:
    open_ = dataclasses.replace(EXPECTED, input=None, output=None, policy=None)
    assert check_bonded_document(DATA, open_) == CANON_CLAIM


def test_what_is_checked_further_is_the_callers_own_claim() -> None:
    found = check_bonded_document(DATA, EXPECTED)
    assert found == CANON_CLAIM
    assert found.header.nonce is EXPECTED.nonce
    assert found.subject.model is EXPECTED.model
    assert found.subject.output is EXPECTED.output


def test_a_claim_may_be_posted_in_the_last_second_of_its_life() -> None:
    # Which is how `BOND` is: it stands when the window is over, years later, or for ever.
    assert BOND.posted_at == CANON_CLAIM.header.expiry
    late = build_bonded_receipt(CANON_CLAIM, with_bond(window_end=BOND.window_end + 1), (), KEY)
    with pytest.raises(StatementRejectedError, match="1 s after it expired"):
        check_bonded_document(late, EXPECTED)


@pytest.mark.parametrize(
    "outputs", [(), OUTPUTS[:1], OUTPUTS[::-1], (*OUTPUTS, OUTPUTS[0]), (b"x" * 32, b"z" * 32)]
)
def test_listed_outputs_are_those_of_the_claim(outputs: tuple[bytes, ...]) -> None:
    bond = with_bond(outputs=outputs)
    with pytest.raises(EncodingError, match="not the tensors of the claim's output root"):
        build_bonded_receipt(CANON_CLAIM, bond, VERSIONS, KEY)
    with pytest.raises(EncodingError, match="not the tensors of the claim's output root"):
        check_bonded_document(dataclasses.replace(RECEIPT, bond=bond), EXPECTED)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"block": -1}, "bond.block is -1"),
        ({"window_end": 2**53}, "bond.window_end"),
        ({"transaction": b"t"}, "bond.transaction has 1 bytes"),
        ({"outputs": (b"o" * 33,)}, "bond.outputs has 33 bytes"),
    ],
)
def test_a_bond_of_impossible_numbers_cannot_be_made(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(EncodingError, match=message):
        with_bond(**changes)


def test_a_window_cannot_end_before_it_began() -> None:
    with pytest.raises(EncodingError, match="before it began"):
        build_bonded_receipt(CANON_CLAIM, with_bond(window_end=POLICY.window - 1), (), KEY)


def evidence(**changes: object) -> Callable[[Any], None]:
    return lambda value: value["predicate"]["evidence"].update(changes)


def policy(**changes: object) -> Callable[[Any], None]:
    return lambda value: value["predicate"]["evidence"]["policy"].update(changes)


def drop_subject(value: Any) -> None:
    value["subject"].pop()


def drop_outputs(value: Any) -> None:
    del value["predicate"]["evidence"]["outputs"]


def add_flag(value: Any) -> None:
    value["predicate"]["insecure_srs"] = False


def other_claim(value: Any) -> None:
    value["predicate"]["claim"]["header"]["chain_id"] = 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_subject, "statement.subject does not list the digests"),
        (drop_outputs, "predicate.evidence lacks the field `outputs`"),
        (add_flag, "predicate has an unknown field `insecure_srs`"),
        (other_claim, "predicate.evidence.chain_id is not the claim's"),
        (evidence(system="ezkl"), "predicate.evidence.system is 'ezkl'"),
        (evidence(chain_id=1), "evidence.chain_id is not the claim's"),
        (evidence(referee=KEY.address), "evidence.referee is not the claim's"),
        (evidence(claim_id="0x" + "00" * 32), "evidence.claim_id is not the claim's"),
        (evidence(transaction="0x00"), "evidence.transaction has 1 bytes"),
        (evidence(block="1"), "evidence.block is not an integer"),
        (evidence(window_end=True), "evidence.window_end is not an integer"),
        (evidence(window_end=0), "before it began"),
        (evidence(outputs=["0x" + "00" * 32]), "not the tensors of the claim's output root"),
        (policy(bond=1), "evidence.policy.bond is not a string of decimal digits"),
        (policy(bond="01"), "evidence.policy.bond is not a string of decimal digits"),
        (policy(bond="1\n"), "evidence.policy.bond is not a string of decimal digits"),
        (policy(bond="\u0661"), "evidence.policy.bond is not a string of decimal digits"),
        (policy(bond=str(2**256)), "evidence.policy.bond is '1157"),
        (policy(window="1"), "evidence.policy.window is not an integer"),
        (policy(more=1), "evidence.policy has an unknown field `more`"),
    ],
)
def test_a_document_that_contradicts_itself_is_refused_though_signed(
    change: Callable[[Any], None], message: str
) -> None:
    value = statement_of(DATA)
    change(value)
    with pytest.raises(EncodingError, match=message):
        parse_bonded_receipt(resealed(value))


@costly(st.sampled_from(paths(statement_of(DATA))), json_values)
def test_arbitrary_fields_never_give_a_traceback(path: tuple[str | int, ...], new: object) -> None:
    with suppress(VerifiableError):
        check_bonded_document(resealed(replaced(statement_of(DATA), path, new)), EXPECTED)


@costly(st.binary(max_size=80) | json_values.map(canonical_json))
def test_arbitrary_bytes_never_give_a_traceback(data: bytes) -> None:
    for form in (data, encode_envelope(seal(PAYLOAD_TYPE, data, KEY))):
        with pytest.raises(EncodingError):
            parse_bonded_receipt(form)


def test_nothing_in_what_is_expected_has_a_default() -> None:
    for field in dataclasses.fields(ExpectedBond):
        assert field.default is dataclasses.MISSING
        assert field.default_factory is dataclasses.MISSING


def test_a_receipt_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECEIPT.bond = BOND  # type: ignore[misc]
    assert isinstance(hash(RECEIPT), int)
    assert isinstance(RECEIPT, BondedReceipt)

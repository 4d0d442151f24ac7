"""Claims of the optimistic venue: one encoding, one id, never one of the other venue."""

import json
from dataclasses import asdict, replace

import pytest
from documents import CLAIM, canon_claims
from hypothesis import given
from test_claim import TYPES, wallet_digest
from test_schemas import CLAIM_SCHEMA

from verifiable.claim import (
    CanonClaim,
    CanonSubject,
    Claim,
    claim_id,
    claim_to_json,
    encode_claim,
    parse_canon_claim,
    parse_claim,
)
from verifiable.errors import EncodingError
from verifiable.types import Sha256

CANON = CanonClaim(
    header=replace(CLAIM.header, venue="optimistic", semantics="canon/1"),
    subject=CanonSubject(
        model=Sha256(b"m" * 32), input=Sha256(b"i" * 32), output=Sha256(b"o" * 32)
    ),
)
CANON_TYPES = {name: TYPES[name] for name in ("EIP712Domain", "Header")} | {
    "CanonClaim": [
        {"name": "header", "type": "Header"},
        {"name": "subject", "type": "CanonSubject"},
    ],
    "CanonSubject": [
        {"name": "model", "type": "bytes32"},
        {"name": "inputRoot", "type": "bytes32"},
        {"name": "outputRoot", "type": "bytes32"},
    ],
}


@given(canon_claims)
def test_a_wallet_computes_the_same_id(claim: CanonClaim) -> None:
    s = claim.subject
    subject = {"model": s.model, "inputRoot": s.input, "outputRoot": s.output}
    digest = wallet_digest(claim.header, subject, primary="CanonClaim", types=CANON_TYPES)
    assert claim_id(claim) == digest


@given(canon_claims)
def test_reading_undoes_writing_and_the_schema_agrees(claim: CanonClaim) -> None:
    assert parse_canon_claim(encode_claim(claim)) == claim
    CLAIM_SCHEMA.validate(claim_to_json(claim))


def test_neither_kind_is_read_as_the_other() -> None:
    with pytest.raises(EncodingError, match="venue is 'optimistic', wanted 'zk'"):
        parse_claim(encode_claim(CANON))
    with pytest.raises(EncodingError, match="venue is 'zk', wanted 'optimistic'"):
        parse_canon_claim(encode_claim(CLAIM))


def test_neither_kind_is_built_with_a_header_of_the_other() -> None:
    with pytest.raises(EncodingError, match="wanted 'optimistic'"):
        CanonClaim(header=CLAIM.header, subject=CANON.subject)
    with pytest.raises(EncodingError, match="wanted 'zk'"):
        Claim(header=CANON.header, subject=CLAIM.subject)


@pytest.mark.parametrize("kind", ["zk", "optimistic"])
def test_the_schema_keeps_the_venues_apart(kind: str) -> None:
    value = claim_to_json(CANON)
    value["header"]["venue"] = kind
    assert CLAIM_SCHEMA.is_valid(value) == (kind == "optimistic")


@pytest.mark.parametrize("name", ["model", "input", "output"])
def test_a_root_of_another_width_is_refused(name: str) -> None:
    with pytest.raises(EncodingError, match=f"subject.{name} has 31 bytes"):
        CanonSubject(**{**asdict(CANON.subject), name: b"x" * 31})
    value = json.loads(encode_claim(CANON))
    value["subject"][name] = "0x" + "00" * 31
    with pytest.raises(EncodingError, match=f"claim.subject.{name} has 31 bytes"):
        parse_canon_claim(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())

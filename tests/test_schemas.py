"""The published schemas accept what we write and refuse nothing that our parsers accept."""

import base64
import json
from contextlib import suppress
from importlib.resources import files
from typing import Any

import pytest
from costly import costly
from documents import BOND, CANON_CLAIM, CLAIM, KEY, PROOFS, VERSIONS, claims, json_values
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from test_claim import VALUE, paths, replaced
from test_expectation import BONDED, FILE

from verifiable.claim import Claim, claim_from_json, claim_to_json
from verifiable.crypto.dsse import encode_envelope, seal
from verifiable.crypto.hashing import canonical_json
from verifiable.errors import EncodingError
from verifiable.expectation import parse_any_expectation
from verifiable.receipt import (
    PAYLOAD_TYPE,
    build_bonded_receipt,
    build_receipt,
    encode_bonded_receipt,
    encode_receipt,
    parse_bonded_receipt,
    parse_receipt,
)


def validator(name: str) -> Any:
    schema = json.loads((files("verifiable") / "schemas" / f"{name}.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


CLAIM_SCHEMA, RECEIPT_SCHEMA, EXPECTATION_SCHEMA = map(
    validator, ("claim-1", "receipt-1", "expectation-1")
)
RECEIPT = encode_receipt(build_receipt(CLAIM, PROOFS, VERSIONS, KEY))
BONDED_RECEIPT = encode_bonded_receipt(build_bonded_receipt(CANON_CLAIM, BOND, VERSIONS, KEY))
STATEMENT, BONDED_STATEMENT = (
    json.loads(base64.b64decode(json.loads(data)["payload"])) for data in (RECEIPT, BONDED_RECEIPT)
)


@costly(claims)
def test_every_claim_is_valid(claim: Claim) -> None:
    CLAIM_SCHEMA.validate(claim_to_json(claim))


@pytest.mark.parametrize("value", [STATEMENT, BONDED_STATEMENT])
def test_a_receipt_is_valid(value: Any) -> None:
    RECEIPT_SCHEMA.validate(value)


@pytest.mark.parametrize("value", [FILE, FILE | {"venue": "zk"}, BONDED])
def test_an_expectation_is_valid(value: dict[str, object]) -> None:
    EXPECTATION_SCHEMA.validate(value)


@pytest.mark.parametrize("value", [STATEMENT, BONDED_STATEMENT])
def test_evidence_of_one_venue_is_none_for_a_claim_of_the_other(value: Any) -> None:
    other = BONDED_STATEMENT if value is STATEMENT else STATEMENT
    for name in ("claim", "evidence"):
        mixed = replaced(value, ("predicate", name), other["predicate"][name])
        assert not RECEIPT_SCHEMA.is_valid(mixed)


@pytest.mark.parametrize("name", ["claim-1", "receipt-1", "expectation-1"])
def test_a_schema_names_itself(name: str) -> None:
    assert validator(name).schema["$id"] == "urn:verifiable:schema:" + name.replace("-", ":")


@given(st.sampled_from(paths(VALUE)), json_values)
def test_a_claim_that_is_read_is_valid(path: tuple[str | int, ...], new: object) -> None:
    changed = replaced(VALUE, path, new)
    with suppress(EncodingError):
        claim_from_json(changed)
        CLAIM_SCHEMA.validate(changed)


@costly(st.sampled_from(paths(STATEMENT)), json_values)
def test_a_receipt_that_is_read_is_valid(path: tuple[str | int, ...], new: object) -> None:
    changed = replaced(STATEMENT, path, new)
    with suppress(EncodingError):
        parse_receipt(encode_envelope(seal(PAYLOAD_TYPE, canonical_json(changed), KEY)))
        RECEIPT_SCHEMA.validate(changed)


@costly(st.sampled_from(paths(BONDED_STATEMENT)), json_values)
def test_a_bonded_receipt_that_is_read_is_valid(path: tuple[str | int, ...], new: object) -> None:
    changed = replaced(BONDED_STATEMENT, path, new)
    with suppress(EncodingError):
        parse_bonded_receipt(encode_envelope(seal(PAYLOAD_TYPE, canonical_json(changed), KEY)))
        RECEIPT_SCHEMA.validate(changed)


@pytest.mark.parametrize("file", [FILE, BONDED], ids=["zk", "optimistic"])
@given(data=st.data(), new=json_values)
def test_an_expectation_that_is_read_is_valid(
    file: dict[str, object], data: st.DataObject, new: object
) -> None:
    changed = replaced(file, data.draw(st.sampled_from(paths(file))), new)
    with suppress(EncodingError):
        parse_any_expectation(json.dumps(changed).encode())
        EXPECTATION_SCHEMA.validate(changed)

"""The published schemas accept what we write and refuse nothing that our parsers accept."""

import base64
import json
from contextlib import suppress
from importlib.resources import files
from typing import Any

import pytest
from costly import costly
from documents import CLAIM, KEY, PROOFS, VERSIONS, claims, json_values
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from test_claim import VALUE, paths, replaced
from test_expectation import FILE

from verifiable.claim import Claim, claim_from_json, claim_to_json
from verifiable.crypto.dsse import encode_envelope, seal
from verifiable.crypto.hashing import canonical_json
from verifiable.errors import EncodingError
from verifiable.expectation import parse_expectation
from verifiable.receipt import PAYLOAD_TYPE, build_receipt, encode_receipt, parse_receipt


def validator(name: str) -> Any:
    schema = json.loads((files("verifiable") / "schemas" / f"{name}.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


CLAIM_SCHEMA, RECEIPT_SCHEMA, EXPECTATION_SCHEMA = map(
    validator, ("claim-1", "receipt-1", "expectation-1")
)
RECEIPT = encode_receipt(build_receipt(CLAIM, PROOFS, VERSIONS, KEY))
STATEMENT = json.loads(base64.b64decode(json.loads(RECEIPT)["payload"]))


@costly(claims)
def test_every_claim_is_valid(claim: Claim) -> None:
    CLAIM_SCHEMA.validate(claim_to_json(claim))


def test_a_receipt_and_an_expectation_are_valid() -> None:
    RECEIPT_SCHEMA.validate(STATEMENT)
    EXPECTATION_SCHEMA.validate(FILE)


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


@given(st.sampled_from(paths(FILE)), json_values)
def test_an_expectation_that_is_read_is_valid(path: tuple[str | int, ...], new: object) -> None:
    changed = replaced(FILE, path, new)
    with suppress(EncodingError):
        parse_expectation(json.dumps(changed).encode())
        EXPECTATION_SCHEMA.validate(changed)

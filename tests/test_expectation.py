"""Expectation files."""

import dataclasses
import json
from contextlib import suppress
from pathlib import Path

import pytest
from documents import CANON_CLAIM, CLAIM, POLICY, expected_bond_of, json_values, policies
from hypothesis import given
from hypothesis import strategies as st

from verifiable.errors import EncodingError
from verifiable.expectation import (
    Expectation,
    RefereePolicy,
    parse_any_expectation,
    parse_expectation,
    parse_expected_bond,
    policy_from_json,
    policy_to_json,
)

FILE: dict[str, object] = {
    "schema": "verifiable/expectation/1",
    "bundle": "digits.bundle",
    "provider": CLAIM.header.provider,
    "job_id": "0x" + CLAIM.header.job_id.hex(),
    "nonce": "0x" + CLAIM.header.nonce.hex(),
    "chain_id": 31337,
    "verifier": CLAIM.header.verifier,
    "input": "image.npz",
    "output": [[0.5, -1, 2]],
    "lock": "0x" + "ab" * 32,
}

BONDED: dict[str, object] = {
    "schema": "verifiable/expectation/1",
    "venue": "optimistic",
    "semantics": "canon/1",
    "provider": CANON_CLAIM.header.provider,
    "job_id": "0x" + CANON_CLAIM.header.job_id.hex(),
    "nonce": "0x" + CANON_CLAIM.header.nonce.hex(),
    "chain_id": 31337,
    "verifier": CANON_CLAIM.header.verifier,
    "model": "0x" + CANON_CLAIM.subject.model.hex(),
    "input": "0x" + CANON_CLAIM.subject.input.hex(),
    "output": "0x" + CANON_CLAIM.subject.output.hex(),
    "policy": {
        "window": 86400, "allowance": 3600, "bond": "1" + "0" * 30,
        "challenge_bond": "1" + "0" * 17, "reveal_fee": "0", "burnt_share": 3000,
        "requester_share": 2000, "refuter_gas": "1" + "0" * 15,
    },
}  # fmt: skip


def test_a_file_says_what_the_caller_knows() -> None:
    found = parse_expectation(json.dumps(FILE, indent=2).encode())
    assert found == Expectation(
        bundle=Path("digits.bundle"),
        provider=CLAIM.header.provider,
        job_id=CLAIM.header.job_id,
        nonce=CLAIM.header.nonce,
        chain_id=31337,
        verifier=CLAIM.header.verifier,
        input=Path("image.npz"),
        output=((0.5, -1.0, 2.0),),
        lock=found.lock,
    )
    assert found.lock == b"\xab" * 32


def test_what_the_caller_does_not_know_is_null_and_the_lock_may_be_left_out() -> None:
    unknown = {name: FILE[name] for name in FILE if name != "lock"} | {
        "input": None,
        "output": None,
    }
    found = parse_expectation(json.dumps(unknown).encode())
    assert (found.input, found.output, found.lock) == (None, None, None)


@pytest.mark.parametrize("name", [name for name in FILE if name != "lock"])
def test_nothing_but_the_lock_may_be_left_out(name: str) -> None:
    # A field that is left out must never come to mean "anything".
    data = json.dumps({key: FILE[key] for key in FILE if key != name}).encode()
    with pytest.raises(EncodingError, match=f"expectation lacks the field `{name}`"):
        parse_expectation(data)


@pytest.mark.parametrize(
    "name", ["bundle", "provider", "job_id", "nonce", "chain_id", "verifier", "lock"]
)
def test_null_never_stands_for_anything(name: str) -> None:
    with pytest.raises(EncodingError, match=f"expectation.{name} is not"):
        parse_expectation(json.dumps(FILE | {name: None}).encode())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"any": 1}, "unknown field `any`"),
        ({"schema": "verifiable/expectation/2"}, "expectation.schema"),
        ({"bundle": ""}, "expectation.bundle has 0 characters"),
        ({"bundle": "a\0b"}, "expectation.bundle holds a zero byte"),
        ({"output": [[True]]}, r"expectation.output\[0\]\[0\] is not a number"),
        ({"output": [1]}, r"expectation.output\[0\] is not a list"),
        ({"output": [[10**400]]}, r"expectation.output\[0\]\[0\] is beyond"),
        ({"job_id": "*"}, "expectation.job_id is not 0x"),
    ],
)
def test_malformed_fields_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(EncodingError, match=message):
        parse_expectation(json.dumps(FILE | changes).encode())


def test_numbers_too_large_for_a_float_are_refused() -> None:
    data = json.dumps(FILE).replace("0.5", "1e999").encode()
    with pytest.raises(EncodingError, match="beyond the range"):
        parse_expectation(data)


@given(st.sampled_from(sorted(FILE)), json_values)
def test_arbitrary_fields_never_give_a_traceback(name: str, value: object) -> None:
    with suppress(EncodingError):
        parse_expectation(json.dumps(FILE | {name: value}).encode())


@given(st.binary(max_size=60))
def test_arbitrary_bytes_never_give_a_traceback(data: bytes) -> None:
    with suppress(EncodingError):
        parse_expectation(data)
        raise AssertionError("no arbitrary bytes are an expectation")


def test_a_file_of_the_optimistic_venue_holds_the_roots_themselves() -> None:
    data = json.dumps(BONDED, indent=2).encode()
    assert parse_expected_bond(data) == expected_bond_of(CANON_CLAIM, POLICY)
    assert parse_any_expectation(data) == expected_bond_of(CANON_CLAIM, POLICY)
    unknown = json.dumps(BONDED | {"input": None, "output": None, "policy": None}).encode()
    found = parse_expected_bond(unknown)
    assert (found.input, found.output, found.policy) == (None, None, None)


def test_a_file_is_of_the_zk_venue_unless_it_names_another() -> None:
    data = json.dumps(FILE).encode()
    named = json.dumps(FILE | {"venue": "zk"}).encode()
    assert parse_any_expectation(data) == parse_any_expectation(named) == parse_expectation(data)


@pytest.mark.parametrize("name", list(BONDED))
def test_nothing_of_a_bonded_claim_may_be_left_out(name: str) -> None:
    data = json.dumps({key: BONDED[key] for key in BONDED if key != name}).encode()
    with pytest.raises(EncodingError, match=f"expectation lacks the field `{name}`"):
        parse_expected_bond(data)


@pytest.mark.parametrize(
    "name", ["venue", "semantics", "provider", "job_id", "nonce", "chain_id", "verifier", "model"]
)
def test_null_never_stands_for_anything_of_a_bonded_claim(name: str) -> None:
    with pytest.raises(EncodingError, match=f"expectation.{name} is"):
        parse_expected_bond(json.dumps(BONDED | {name: None}).encode())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bundle": "b"}, "unknown field `bundle`"),
        ({"venue": "enclave"}, "expectation.venue is 'enclave', wanted 'optimistic'"),
        ({"venue": ["zk"]}, "expectation.venue is"),
        ({"model": "0x00"}, "expectation.model has 1 bytes"),
        ({"input": "input.npz"}, "expectation.input is not 0x"),
        ({"policy": {}}, "expectation.policy lacks the field `window`"),
    ],
)
def test_malformed_fields_of_a_bonded_claim_are_named(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(EncodingError, match=message):
        parse_any_expectation(json.dumps(BONDED | changes).encode())


@given(st.sampled_from(sorted(BONDED)), json_values)
def test_arbitrary_fields_of_a_bonded_claim_never_give_a_traceback(
    name: str, value: object
) -> None:
    with suppress(EncodingError):
        parse_any_expectation(json.dumps(BONDED | {name: value}).encode())


@given(policies)
def test_a_policy_is_read_back(policy: RefereePolicy) -> None:
    assert policy_from_json(json.loads(json.dumps(policy_to_json(policy)))) == policy


@pytest.mark.parametrize(
    ("name", "number"),
    [("bond", -1), ("bond", 2**256), ("refuter_gas", 2**256), ("window", 2**53), ("window", -1)],
)
def test_a_policy_of_impossible_numbers_cannot_be_made(name: str, number: int) -> None:
    with pytest.raises(EncodingError, match=f"policy.{name} is"):
        dataclasses.replace(POLICY, **{name: number})

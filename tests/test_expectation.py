"""Expectation files."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from documents import CLAIM, json_values
from hypothesis import given
from hypothesis import strategies as st

from verifiable.errors import EncodingError
from verifiable.expectation import Expectation, parse_expectation

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

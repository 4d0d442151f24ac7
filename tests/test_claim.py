"""Claims: one encoding, one id, and the id that others compute."""

import dataclasses
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from costly import costly
from documents import CLAIM, claims, headers, json_values, parts, subjects
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from verifiable.claim import (
    Claim,
    EzklPart,
    EzklSubject,
    Header,
    claim_id,
    claim_to_json,
    encode_claim,
    parse_claim,
)
from verifiable.crypto.felt import MODULUS
from verifiable.crypto.hashing import canonical_json
from verifiable.errors import EncodingError

# The types as a wallet is given them; `verifiable.claim` writes them out by hand.
TYPES = {
    "EIP712Domain": [
        {"name": "name", "type": "string"},
        {"name": "version", "type": "string"},
        {"name": "chainId", "type": "uint256"},
        {"name": "verifyingContract", "type": "address"},
    ],
    "EzklClaim": [{"name": "header", "type": "Header"}, {"name": "subject", "type": "EzklSubject"}],
    "Header": [
        {"name": "venue", "type": "string"},
        {"name": "semantics", "type": "string"},
        {"name": "jobId", "type": "bytes32"},
        {"name": "nonce", "type": "bytes32"},
        {"name": "expiry", "type": "uint64"},
        {"name": "provider", "type": "address"},
    ],
    "EzklSubject": [
        {"name": "model", "type": "bytes32"},
        {"name": "insecureSrs", "type": "bool"},
        {"name": "parts", "type": "EzklPart[]"},
    ],
    "EzklPart": [
        {"name": "onnx", "type": "bytes32"},
        {"name": "settings", "type": "bytes32"},
        {"name": "vk", "type": "bytes32"},
        {"name": "instances", "type": "uint256[]"},
    ],
}


def wallet_digest(
    header: Header,
    subject: Mapping[str, object],
    *,
    primary: str = "EzklClaim",
    types: Mapping[str, object] = TYPES,
) -> bytes:
    """Digest that a wallet signs for a claim of one kind or the other."""
    message = {
        "types": types,
        "primaryType": primary,
        "domain": {
            "name": "verifiable",
            "version": "1",
            "chainId": header.chain_id,
            "verifyingContract": header.verifier,
        },
        "message": {
            "header": {
                "venue": header.venue,
                "semantics": header.semantics,
                "jobId": header.job_id,
                "nonce": header.nonce,
                "expiry": header.expiry,
                "provider": header.provider,
            },
            "subject": subject,
        },
    }
    signable = encode_typed_data(full_message=message)
    return keccak(b"\x19" + signable.version + signable.header + signable.body)


@costly(claims)
def test_a_wallet_computes_the_same_id(claim: Claim) -> None:
    s = claim.subject
    subject = {
        "model": s.model,
        "insecureSrs": s.insecure_srs,
        "parts": [
            {"onnx": p.onnx, "settings": p.settings, "vk": p.vk, "instances": list(p.instances)}
            for p in s.parts
        ],
    }
    assert claim_id(claim) == wallet_digest(claim.header, subject)


@given(claims)
def test_claims_are_read_back(claim: Claim) -> None:
    assert parse_claim(encode_claim(claim)) == claim


@costly(claims, claims)
def test_ids_and_encodings_are_injective(one: Claim, other: Claim) -> None:
    same = one == other
    assert (claim_id(one) == claim_id(other)) == same
    assert (encode_claim(one) == encode_claim(other)) == same


@given(headers, st.sampled_from([f.name for f in dataclasses.fields(Header)]), headers)
def test_every_field_of_the_header_is_in_the_id(header: Header, name: str, other: Header) -> None:
    value = getattr(other, name)
    changed = dataclasses.replace(header, **{name: value})
    first, second = (claim_id(Claim(header=h, subject=CLAIM.subject)) for h in (header, changed))
    assert (first == second) == (getattr(header, name) == value)


@given(subjects, st.sampled_from([f.name for f in dataclasses.fields(EzklSubject)]), subjects)
def test_every_field_of_the_subject_is_in_the_id(
    subject: EzklSubject, name: str, other: EzklSubject
) -> None:
    value = getattr(other, name)
    changed = dataclasses.replace(subject, **{name: value})
    first, second = (claim_id(Claim(header=CLAIM.header, subject=s)) for s in (subject, changed))
    assert (first == second) == (getattr(subject, name) == value)


@given(parts, st.sampled_from([f.name for f in dataclasses.fields(EzklPart)]), parts)
def test_every_field_of_a_part_is_in_the_id(part: EzklPart, name: str, other: EzklPart) -> None:
    value = getattr(other, name)
    changed = dataclasses.replace(part, **{name: value})

    def identify(p: EzklPart) -> bytes:
        subject = dataclasses.replace(CLAIM.subject, parts=(p,))
        return claim_id(Claim(header=CLAIM.header, subject=subject))

    assert (identify(part) == identify(changed)) == (getattr(part, name) == value)


def test_instances_cannot_move_from_one_part_to_the_next() -> None:
    first, second = CLAIM.subject.parts
    moved = (
        dataclasses.replace(first, instances=first.instances[:-1]),
        dataclasses.replace(second, instances=first.instances[-1:]),
    )
    changed = dataclasses.replace(CLAIM.subject, parts=moved)
    assert claim_id(Claim(header=CLAIM.header, subject=changed)) != claim_id(CLAIM)


def paths(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a JSON value."""
    found = [at]
    if isinstance(value, dict):
        found += [p for name, inner in value.items() for p in paths(inner, (*at, name))]
    elif isinstance(value, list):
        found += [p for i, inner in enumerate(value) for p in paths(inner, (*at, i))]
    return found


def replaced(value: Any, path: tuple[str | int, ...], new: object) -> Any:
    """A copy of a JSON value with another value at one place."""
    if not path:
        return new
    copy = json.loads(json.dumps(value))
    inner = copy
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = new
    return copy


def named(path: tuple[str | int, ...]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "claim" + "".join(steps)


VALUE = claim_to_json(CLAIM)


@given(st.sampled_from(paths(VALUE)), json_values)
def test_a_changed_place_is_refused_by_name_or_is_another_claim(
    path: tuple[str | int, ...], new: object
) -> None:
    changed = canonical_json(replaced(VALUE, path, new))
    refusal = None
    try:
        assert encode_claim(parse_claim(changed)) == changed
    except EncodingError as e:
        refusal = str(e)
    # Header and parts name their field themselves where the rule is theirs.
    assert refusal is None or named(path) in refusal or str(path[-1]) in refusal


@given(st.sampled_from([p for p in paths(VALUE) if p and isinstance(p[-1], str)]))
def test_a_missing_field_is_named(path: tuple[str, ...]) -> None:
    changed = json.loads(json.dumps(VALUE))
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    with pytest.raises(EncodingError, match=f"lacks the field `{path[-1]}`"):
        parse_claim(canonical_json(changed))


@given(st.sampled_from([(), ("header",), ("subject",), ("subject", "parts", 0)]))
def test_an_unknown_field_is_named(path: tuple[str | int, ...]) -> None:
    changed = replaced(VALUE, (*path, "extra"), 1)
    with pytest.raises(EncodingError, match=r"has an unknown field `extra`"):
        parse_claim(canonical_json(changed))


@pytest.mark.parametrize(
    ("path", "new", "message"),
    [
        (("header", "nonce"), "0x" + "6E" * 32, "claim.header.nonce is not 0x and lower-case"),
        (("header", "nonce"), "6e" * 32, "claim.header.nonce is not 0x and lower-case"),
        (("header", "nonce"), "0x" + "6e" * 31, "claim.header.nonce has 31 bytes, wanted 32"),
        (("header", "nonce"), "0x6" + "6e" * 31, "claim.header.nonce is not 0x and lower-case"),
        (("header", "nonce"), "0x" + "6e" * 32 + "\n", "claim.header.nonce is not 0x"),
        (("header", "provider"), "0x" + "ab" * 20, "claim.header.provider is .* whose EIP-55"),
        (("header", "expiry"), -1, "claim.header.expiry is -1"),
        (("header", "expiry"), True, "claim.header.expiry is not an integer"),
        (("header", "expiry"), 1.5, "claim.header.expiry is not an integer"),
        (("header", "chain_id"), "1", "claim.header.chain_id is not an integer"),
        (("header", "venue"), "optimistic", "claim.header.venue is 'optimistic', wanted 'zk'"),
        (("header", "semantics"), "ezkl", "semantics is 'ezkl', wanted a name"),
        (("header", "semantics"), "ezkl/1\n", "semantics is"),
        (("subject", "kind"), "canon", "claim.subject.kind is 'canon'"),
        (("subject", "parts"), [], "parts is empty"),
        (("subject", "insecure_srs"), 0, "claim.subject.insecure_srs is not true or false"),
        (
            ("subject", "parts", 0, "instances", 1),
            "0x" + MODULUS.to_bytes(32, "big").hex(),
            r"claim.subject.parts\[0\].instances\[1\] is not a field element",
        ),
        (("schema",), "verifiable/claim/2", "claim.schema is 'verifiable/claim/2'"),
    ],
)
def test_loose_values_are_refused_by_path(
    path: tuple[str | int, ...], new: object, message: str
) -> None:
    with pytest.raises(EncodingError, match=message):
        parse_claim(canonical_json(replaced(VALUE, path, new)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("venue", "enclave"),
        ("semantics", "EZKL/1"),
        ("nonce", b"short"),
        ("chain_id", 2**53),
        ("expiry", -1),
        ("provider", "0x" + "ab" * 20),
        ("verifier", "nobody"),
    ],
)
def test_no_malformed_header_can_be_built(name: str, value: object) -> None:
    changes: dict[str, Any] = {name: value}
    with pytest.raises(EncodingError):
        dataclasses.replace(CLAIM.header, **changes)


@given(st.binary(max_size=60) | json_values.map(canonical_json))
def test_arbitrary_bytes_never_give_a_traceback(data: bytes) -> None:
    with suppress(EncodingError):
        parse_claim(data)
        raise AssertionError("no arbitrary bytes are a claim")

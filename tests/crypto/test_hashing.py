"""Digests and the one form of JSON."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from verifiable.crypto.hashing import (
    canonical_json,
    keccak256,
    parse_canonical_json,
    parse_json,
    sha256,
    sha256_file,
)
from verifiable.errors import EncodingError, StorageError

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    # An integral float from 2**53 on is written as an integer that is too large to be read.
    | st.floats(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


def test_a_file_of_several_chunks_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 9000
    (tmp_path / "f").write_bytes(data)
    assert sha256_file(tmp_path / "f") == sha256(data) == hashlib.sha256(data).digest()


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="absent"):
        sha256_file(tmp_path / "absent")


@given(st.binary(max_size=300))
def test_keccak_is_the_one_of_ethereum(data: bytes) -> None:
    assert keccak256(data) == keccak(data)


@given(json_values)
def test_canonical_json_is_read_back_and_is_the_same_for_any_writer(value: object) -> None:
    data = canonical_json(value)
    assert canonical_json(parse_canonical_json(data, what="x")) == data
    assert canonical_json(parse_json(json.dumps(value).encode(), what="x")) == data


@given(json_values)
def test_space_makes_json_another_document(value: object) -> None:
    with pytest.raises(EncodingError, match="not in canonical form"):
        parse_canonical_json(canonical_json(value) + b"\n", what="x")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a":1,"a":1}', "`a` stands twice"),
        (b"NaN", "NaN is not JSON"),
        (b"-Infinity", "-Infinity is not JSON"),
        (b"[" * 100_000, "more than 64 levels"),
        (b'{"a":' * 65, "more than 64 levels"),
        (b"9" * 10_000, "x is not JSON"),
        (b"\xff", "x is not JSON"),
        (b"", "x is not JSON"),
    ],
)
def test_what_parsers_disagree_about_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(EncodingError, match=message):
        parse_json(data, what="x")


@pytest.mark.parametrize("value", [2**53, float("nan"), float("inf"), "\ud800", {1: 2}, object()])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(EncodingError, match="not canonical JSON"):
        canonical_json(value)


def test_nesting_is_bounded_even_where_py_ecc_raised_the_recursion_limit() -> None:
    import py_ecc  # noqa: F401

    for opening in (b"[", b'["[]]]]]", ', b'["\\"", '):
        with pytest.raises(EncodingError, match="more than 64 levels"):
            parse_json(opening * 100_000, what="x")
    deepest = b"[" * 64 + b'"' + b"[" * 1000 + b'"' + b"]" * 64
    assert parse_canonical_json(deepest, what="x")


@given(st.binary(max_size=40))
def test_arbitrary_bytes_are_json_or_an_encoding_error(data: bytes) -> None:
    with suppress(EncodingError):
        parse_canonical_json(data, what="x")

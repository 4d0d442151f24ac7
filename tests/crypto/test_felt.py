"""Felts and their encodings."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiable.crypto import felt as f
from verifiable.crypto.felt import MODULUS
from verifiable.errors import EncodingError, TensorError
from verifiable.types import Felt

felts = st.integers(0, MODULUS - 1).map(Felt)


def test_the_modulus_is_the_order_of_the_group() -> None:
    from py_ecc.optimized_bn128 import curve_order

    assert curve_order == MODULUS


@given(felts)
def test_every_encoding_is_read_back(x: Felt) -> None:
    assert f.felt_from_ezkl(f.felt_to_ezkl(x)) == x
    assert f.felt_from_bytes(f.felt_to_bytes(x)) == x
    assert f.felt_from_signed(f.felt_to_signed(x)) == x


@given(st.integers(MODULUS, 2**256 - 1))
def test_no_felt_has_a_second_encoding(value: int) -> None:
    with pytest.raises(EncodingError, match="not a field element"):
        f.felt_from_bytes(value.to_bytes(32, "big"))
    with pytest.raises(EncodingError, match="not a field element"):
        f.felt_from_ezkl(value.to_bytes(32, "little").hex())


@pytest.mark.parametrize(
    "text", ["", "0x" + "00" * 31, "00" * 31, "00" * 33, "AB" + "00" * 31, "00" * 32 + "\n"]
)
def test_loosely_written_hex_is_refused(text: str) -> None:
    with pytest.raises(EncodingError, match="64 lower-case hex digits"):
        f.felt_from_ezkl(text)


@given(st.one_of(st.integers(max_value=-1), st.integers(min_value=MODULUS)))
def test_integers_beyond_the_field_are_refused(value: int) -> None:
    with pytest.raises(EncodingError, match="not a field element"):
        f.felt(value)


def test_a_sign_that_would_be_lost_is_refused() -> None:
    assert f.felt_to_signed(f.felt_from_signed(MODULUS // 2)) == MODULUS // 2
    for value in (MODULUS // 2 + 1, -MODULUS // 2 - 1):
        with pytest.raises(EncodingError, match="does not fit"):
            f.felt_from_signed(value)


@given(st.floats(-1e9, 1e9), st.integers(0, 30))
def test_fixed_point_rounds_to_the_nearest_and_halves_away_from_zero(x: float, scale: int) -> None:
    exact = abs(Fraction(x)) * 2**scale
    nearest = (exact + Fraction(1, 2)).__floor__()
    assert f.felt_to_signed(f.quantize(x, scale)) == (nearest if x >= 0 else -nearest)


@given(st.integers(-(2**50), 2**50), st.integers(0, 30))
def test_fixed_point_numbers_are_exact_as_floats(value: int, scale: int) -> None:
    x = f.dequantize(f.felt_from_signed(value), scale)
    assert Fraction(x) == Fraction(value, 2**scale)
    assert f.felt_to_signed(f.quantize(x, scale)) == value


@pytest.mark.parametrize(
    "x", [float("nan"), float("inf"), -float("inf"), 2.0**126, -(2.0**126), -1e300]
)
def test_floats_without_fixed_point_are_refused(x: float) -> None:
    with pytest.raises(TensorError):
        f.quantize(x, 1)

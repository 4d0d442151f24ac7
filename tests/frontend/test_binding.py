"""Tensors of others keep their numbers, or are refused: nothing is converted on the way."""

import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from verifiable.errors import TensorError
from verifiable.frontend.binding import bind, bind_sets
from verifiable.frontend.inputs import parse_arrays
from verifiable.graph.ir import TensorType
from verifiable.graph.vocabulary import INTEGERS, DType

LARGEST = 2**128 - 2**104
"""Largest float32; from half a unit in its last place above it on, numbers round to infinity."""


def one_of(dtype: DType, text: str) -> Any:
    """The element that a number of JSON becomes."""
    found = bind(parse_arrays(b'{"x": [%b]}' % text.encode()), {"x": TensorType(dtype, (1,))})
    assert found["x"].dtype == dtype.numpy
    return found["x"][0]


@pytest.mark.parametrize("wanted", list(DType), ids=str)
@pytest.mark.parametrize("given_dtype", ["f2", "f4", "f8", "i1", "u1", "i2", "i4", "i8", "u8", "?"])
def test_an_array_is_taken_only_in_the_dtype_of_the_input(wanted: DType, given_dtype: str) -> None:
    value = np.ones((2, 3), given_dtype)
    types = {"x": TensorType(wanted, (2, 3))}
    for arrays in ({"x": value}, [value]):
        if value.dtype == wanted.numpy:
            assert bind(arrays, types)["x"].tobytes() == value.tobytes()
            assert bind_sets(arrays, types)["x"].tobytes() == value.tobytes()
            continue
        for binds in (bind, bind_sets):
            with pytest.raises(TensorError) as refused:
                binds(arrays, types)
            told = f"input `x` is {value.dtype}[2, 3], wanted {wanted.numpy}"
            assert str(refused.value) == told
            assert refused.value.hint == (
                f"convert it before it is saved: x.astype('{wanted.numpy}')"
            )


@pytest.mark.parametrize("dtype", list(DType), ids=str)
def test_the_other_byte_order_holds_the_same_numbers(dtype: DType) -> None:
    value = np.array([0, 1, 1], dtype.numpy)
    turned = value.astype(value.dtype.newbyteorder(">"))
    found = bind({"x": turned}, {"x": TensorType(dtype, (3,))})["x"]
    assert (found.dtype, found.tobytes()) == (value.dtype, value.tobytes())


def test_a_flag_is_one_of_two_bytes() -> None:
    odd = np.array([0, 7], np.uint8).view(np.bool_)
    with pytest.raises(TensorError, match="bytes that are neither 0 nor 1"):
        bind({"x": odd}, {"x": TensorType(DType.BOOL, (2,))})


@given(st.sampled_from(sorted(INTEGERS, key=str)), st.data())
def test_an_integer_of_json_is_itself_or_refused(dtype: DType, data: st.DataObject) -> None:
    info = np.iinfo(dtype.numpy)
    near = [n + d for n in (info.min, info.max, 2**53, 2**63) for d in (-1, 0, 1)]
    number = data.draw(st.sampled_from(near) | st.integers(-(2**70), 2**70))
    if info.min <= number <= info.max:
        assert int(one_of(dtype, str(number))) == number
        return
    with pytest.raises(TensorError, match=rf"input `x`\[0\] is {number}, beyond {dtype.numpy}"):
        one_of(dtype, str(number))


def test_an_integer_that_no_double_holds_is_run_as_it_is_written() -> None:
    assert int(one_of(DType.I64, "9007199254740993")) == 9007199254740993


@pytest.mark.parametrize("text", ["1.0", "1e3", "0.5", "-0.0", "-0", "1e999", "true", "false"])
@pytest.mark.parametrize("dtype", sorted(INTEGERS, key=str), ids=str)
def test_only_an_integer_is_an_integer(dtype: DType, text: str) -> None:
    with pytest.raises(TensorError, match="wanted an integer") as refused:
        one_of(dtype, text)
    assert refused.value.hint == "write integers without a point or an exponent"


def test_flags_are_bools_and_only_they() -> None:
    assert one_of(DType.BOOL, "true")
    assert not one_of(DType.BOOL, "false")
    for text in ("0", "1", "1.0"):
        with pytest.raises(TensorError, match=f"is {text}, wanted true or false"):
            one_of(DType.BOOL, text)
    with pytest.raises(TensorError, match="is true, wanted a number"):
        one_of(DType.F32, "true")


def after(x: np.float32, towards: float) -> np.float32:
    with np.errstate(over="ignore"):  # of the largest it is infinity
        return np.float32(np.nextafter(x, np.float32(towards)))


def nearest(exact: Fraction) -> Any:
    """The float32 nearest to a number, ties to even, by comparing it with its neighbours."""
    start = np.float32(min(max(float(exact), -LARGEST), LARGEST))
    around = (after(start, -np.inf), start, after(start, np.inf))
    known = [x for x in around if np.isfinite(x)]
    # An element's last bit is that of its bit pattern.
    return min(known, key=lambda x: (abs(Fraction(float(x)) - exact), x.view(np.uint32) & 1))


floats = st.integers(0, 0x7F7FFFFF).map(lambda bits: float(np.uint32(bits).view(np.float32)))


@st.composite
def near_ties(draw: st.DrawFn) -> Fraction:
    """Numbers on, or a very little off, the middle between two float32."""
    low = draw(floats)
    high = float(after(np.float32(low), np.inf))
    high = high if math.isfinite(high) else float(2**128)
    step = Fraction(draw(st.integers(-3, 3)), 10 ** draw(st.sampled_from([60, 100, 400])))
    sign = draw(st.sampled_from([-1, 1]))
    return sign * ((Fraction(low) + Fraction(high)) / 2 + step)


def decimal_text(exact: Fraction) -> str:
    """A decimal without end would be a third; these end."""
    digits = 600
    whole = exact * 10**digits
    assert whole.denominator == 1
    return f"{whole.numerator}e-{digits}"


@given(near_ties() | floats.map(Fraction))
def test_a_decimal_is_rounded_once_to_the_nearest_float32(exact: Fraction) -> None:
    if abs(exact) >= LARGEST + 2**103:
        with pytest.raises(TensorError, match="beyond float32"):
            one_of(DType.F32, decimal_text(exact))
        return
    found = one_of(DType.F32, decimal_text(exact))
    assert Fraction(float(found)) == Fraction(float(nearest(exact)))


@given(st.integers(-(2**130), 2**130) | st.integers(2**24 - 3, 2**24 + 9))
def test_an_integer_is_rounded_once_to_the_nearest_float32(number: int) -> None:
    if abs(number) >= LARGEST + 2**103:
        with pytest.raises(TensorError, match="beyond float32"):
            one_of(DType.F32, str(number))
        return
    assert one_of(DType.F32, str(number)) == nearest(Fraction(number))


@pytest.mark.parametrize(
    "text", ["1e999", "-1e999", "1" + "0" * 400, "3.5e38", "1e9999999999999999999"]
)
def test_what_would_be_infinite_is_refused(text: str) -> None:
    with pytest.raises(TensorError, match=r"input `x`\[0\] is beyond float32") as refused:
        one_of(DType.F32, text)
    assert refused.value.hint


@pytest.mark.parametrize("text", ["-0.0", "-0", "-1e-50", "-1e-9999999999999999999"])
def test_a_negative_nothing_keeps_its_sign(text: str) -> None:
    assert math.copysign(1, one_of(DType.F32, text)) == -1
    assert one_of(DType.F32, text) == 0


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_what_python_writes_of_float32_is_read_back(values: list[float]) -> None:
    data = json.dumps({"x": values}).encode()
    found = bind(parse_arrays(data), {"x": TensorType(DType.F32, (len(values),))})["x"]
    assert found.tobytes() == np.array(values, np.float32).tobytes()


X: NDArray[np.float32] = np.zeros((1, 3), np.float32)
WANTED = {"x": TensorType(DType.F32, (1, 3)), "n": TensorType(DType.I64, ())}
N = np.array(3, np.int64)
ALL = "the inputs are `x` float32[1, 3], `n` int64[]"


@pytest.mark.parametrize(
    ("arrays", "told", "hint"),
    [
        ({"x": X, "z": N}, "there is no input `z`, wanted `x`, `n`", ALL),
        ({"x": X}, "input `n` int64[] is missing; got `x`", ALL),
        ({}, "input `x` float32[1, 3] is missing; got nothing", ALL),
        ([X], "1 arrays without names, wanted 2", ALL),
        (
            {"x": X[0], "n": N},
            "input `x` has shape [3], wanted [1, 3]",
            "reshape it: x.reshape([1, 3])",
        ),
        ({"x": X[:, :2], "n": N}, "input `x` has shape [1, 2], wanted [1, 3]", ALL),
        (
            {"x": X, "n": np.array(3.0)},
            "input `n` is float64[], wanted int64",
            "convert it before it is saved: x.astype('int64')",
        ),
    ],
)
def test_what_does_not_fit_is_named_and_so_is_what_would(arrays: Any, told: str, hint: str) -> None:
    with pytest.raises(TensorError) as refused:
        bind(arrays, WANTED)
    assert (str(refused.value), refused.value.hint) == (told, hint)


def test_a_flat_array_without_a_name_is_given_its_shape() -> None:
    flat = np.arange(3, dtype=np.float32)
    assert bind([flat, N], WANTED)["x"].tolist() == [[0, 1, 2]]

"""Each scalar function gives the exact result, rounded once; checked with rational numbers."""

import math
from fractions import Fraction

import numpy as np
import pytest
from exact_floats import CANONICAL, anything, bits_of, exact, finite, nearest
from hypothesis import example, given
from hypothesis import strategies as st

from verifiable.graph.ir import Array
from verifiable.graph.vocabulary import CASTS, SIGNATURES, DType, Scalar, scalar_result
from verifiable.ops.scalar import FUNCTIONS, apply

INTEGER_TYPES = (DType.I8, DType.U8, DType.I32, DType.I64)
SHORT = st.sampled_from([DType.I32, DType.I64])
any_i64 = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.integers(-9, 70), st.sampled_from([-(2**31), 2**31 - 1])
)
any_i32 = st.one_of(st.integers(-(2**31), 2**31 - 1), st.integers(-300, 300))


def of_floats(function: Scalar, *operands: np.float32) -> np.float32:
    found: np.float32 = apply(function, [np.array([x], np.float32) for x in operands])[0]
    return found


def of_integers(function: Scalar, dtype: DType, *operands: int) -> int:
    return int(apply(function, [np.array([wrapped(x, dtype)], dtype.numpy) for x in operands])[0])


def wrapped(value: int, dtype: DType) -> int:
    width = 8 * dtype.itemsize
    value &= (1 << width) - 1
    return value - (1 << width) if dtype is not DType.U8 and value >> (width - 1) else value


@given(finite, finite)
def test_sums_products_and_quotients_are_rounded_once(x: np.float32, y: np.float32) -> None:
    a, b = exact(x), exact(y)
    with np.errstate(all="ignore"):
        zeros = float(x) + float(y), float(x) - float(y), float(x) * float(y)
    assert bits_of(of_floats(Scalar.ADD, x, y)) == bits_of(nearest(a + b, zeros[0]))
    assert bits_of(of_floats(Scalar.SUB, x, y)) == bits_of(nearest(a - b, zeros[1]))
    assert bits_of(of_floats(Scalar.MUL, x, y)) == bits_of(nearest(a * b, zeros[2]))
    if b:
        zero = math.copysign(1, x) * math.copysign(0.0, y)
        assert bits_of(of_floats(Scalar.DIV, x, y)) == bits_of(nearest(a / b, zero))


@given(finite, finite, finite)
@example(np.float32(1 + 2.0**-12), np.float32(1 + 2.0**-12), np.float32(-1))
@example(np.float32(2.0**-100), np.float32(2.0**-48), np.float32(2.0**-149))
@example(np.float32(2.0**-75), np.float32(-(2.0**-75)), np.float32(2.0**-126))
def test_fma_is_rounded_once(x: np.float32, y: np.float32, z: np.float32) -> None:
    wanted = nearest(exact(x) * exact(y) + exact(z), float(x) * float(y) + float(z))
    assert bits_of(of_floats(Scalar.FMA, x, y, z)) == bits_of(wanted)


@given(finite, finite, st.integers(-2, 2))
def test_fma_is_rounded_once_where_terms_cancel(x: np.float32, y: np.float32, step: int) -> None:
    with np.errstate(all="ignore"):
        near = np.float32(-(x * y))
    z = near
    for _ in range(abs(step)):
        z = np.nextafter(z, np.float32(math.copysign(math.inf, step)), dtype=np.float32)
    if not np.isfinite(z):
        return
    wanted = nearest(exact(x) * exact(y) + exact(z), float(x) * float(y) + float(z))
    assert bits_of(of_floats(Scalar.FMA, x, y, z)) == bits_of(wanted)


@given(finite)
def test_roots_are_rounded_once(x: np.float32) -> None:
    found = of_floats(Scalar.SQRT, abs(x))
    if not x:
        assert bits_of(of_floats(Scalar.SQRT, x)) == bits_of(x)
        return
    below, above = (exact(np.nextafter(found, np.float32(to))) for to in (-math.inf, math.inf))
    # No root of a float lies half way between two floats: 2 (k + 1/2)^2 is no whole number's.
    assert ((below + exact(found)) / 2) ** 2 < abs(exact(x)) < ((above + exact(found)) / 2) ** 2
    if x < 0:
        assert bits_of(of_floats(Scalar.SQRT, x)) == CANONICAL


@given(finite)
def test_floor_and_round_are_exact_and_keep_the_sign(x: np.float32) -> None:
    floor, nearest_whole = math.floor(exact(x)), round(exact(x))
    assert bits_of(of_floats(Scalar.FLOOR, x)) == bits_of(nearest(Fraction(floor), float(x) * 0))
    zero = math.copysign(0.0, x)
    found = of_floats(Scalar.ROUND, x)
    assert bits_of(found) == bits_of(nearest(Fraction(nearest_whole), zero))


@given(anything)
def test_neg_and_abs_touch_the_sign_alone(x: np.float32) -> None:
    bits = bits_of(x)
    if np.isnan(x):
        assert bits_of(of_floats(Scalar.NEG, x)) == bits_of(of_floats(Scalar.ABS, x)) == CANONICAL
        return
    assert bits_of(of_floats(Scalar.NEG, x)) == bits ^ 1 << 31
    assert bits_of(of_floats(Scalar.ABS, x)) == bits & 0x7FFFFFFF


@given(anything, anything)
def test_min_and_max_know_nan_and_the_sign_of_zero(x: np.float32, y: np.float32) -> None:
    least, most = of_floats(Scalar.MIN, x, y), of_floats(Scalar.MAX, x, y)
    if np.isnan(x) or np.isnan(y):
        assert bits_of(least) == bits_of(most) == CANONICAL
        return
    first, last = sorted([x, y], key=lambda v: (float(v), math.copysign(1, v)))
    assert (bits_of(least), bits_of(most)) == (bits_of(first), bits_of(last))


@given(anything, anything)
def test_comparisons_are_those_of_ieee(x: np.float32, y: np.float32) -> None:
    a, b = float(x), float(y)
    operands = [np.array([x]), np.array([y])]
    for function, wanted in ((Scalar.LT, a < b), (Scalar.LE, a <= b), (Scalar.EQ, a == b)):
        found = apply(function, operands)
        assert found.dtype == np.bool_
        assert found[0] == wanted


@given(anything)
def test_casts_of_floats_truncate_and_saturate(x: np.float32) -> None:
    for dtype in INTEGER_TYPES:
        ends = np.iinfo(dtype.numpy)
        if np.isnan(x):
            wanted = 0
        elif np.isinf(x):
            wanted = int(ends.max if x > 0 else ends.min)
        else:
            wanted = min(max(math.trunc(exact(x)), int(ends.min)), int(ends.max))
        found = apply(CASTS[dtype], [np.array([x])])
        assert found.dtype == np.dtype(dtype.numpy)
        assert int(found[0]) == wanted
    assert apply(Scalar.TO_BOOL, [np.array([x])])[0] == (np.isnan(x) or x != 0)
    assert bits_of(of_floats(Scalar.TO_F32, x)) == bits_of(x)


@given(any_i64, st.sampled_from(INTEGER_TYPES))
def test_casts_of_integers_wrap_or_are_rounded_once(value: int, source: DType) -> None:
    x = np.array([wrapped(value, source)], source.numpy)
    for dtype in INTEGER_TYPES:
        found = apply(CASTS[dtype], [x])
        assert found.dtype == np.dtype(dtype.numpy)
        assert int(found[0]) == wrapped(int(x[0]), dtype)
    assert bits_of(apply(Scalar.TO_F32, [x])[0]) == bits_of(nearest(Fraction(int(x[0]))))
    assert apply(Scalar.TO_BOOL, [x])[0] == bool(x[0])


def test_casts_of_bools_give_zero_and_one() -> None:
    x = np.array([False, True])
    for function in (Scalar.TO_F32, Scalar.TO_I8, Scalar.TO_U8, Scalar.TO_I32, Scalar.TO_I64):
        assert apply(function, [x]).tolist() == [0, 1]


@given(any_i64, any_i64, SHORT)
def test_integer_arithmetic_wraps_and_is_total(x: int, y: int, dtype: DType) -> None:
    x, y = wrapped(x, dtype), wrapped(y, dtype)
    width = 8 * dtype.itemsize
    quotient = 0 if y == 0 else abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
    inside = 0 <= y < width
    wanted = {
        Scalar.ADD: x + y,
        Scalar.SUB: x - y,
        Scalar.MUL: x * y,
        Scalar.DIV: quotient,
        Scalar.REM: x - quotient * y if y else 0,
        Scalar.MIN: min(x, y),
        Scalar.MAX: max(x, y),
        Scalar.AND: x & y,
        Scalar.OR: x | y,
        Scalar.XOR: x ^ y,
        Scalar.SHL: x << y if inside else 0,
        Scalar.SHR: x >> y if inside else 0,
        Scalar.LT: x < y,
        Scalar.LE: x <= y,
        Scalar.EQ: x == y,
    }
    for function, value in wanted.items():
        assert of_integers(function, dtype, x, y) == wrapped(int(value), dtype), function
    assert of_integers(Scalar.NEG, dtype, x) == wrapped(-x, dtype)
    assert of_integers(Scalar.ABS, dtype, x) == wrapped(abs(x), dtype)
    assert of_integers(Scalar.NOT, dtype, x) == ~x


def test_bools_have_logic_and_an_order() -> None:
    x, y = np.array([0, 0, 1, 1], bool), np.array([0, 1, 0, 1], bool)
    wanted = {
        Scalar.AND: [0, 0, 0, 1], Scalar.OR: [0, 1, 1, 1], Scalar.XOR: [0, 1, 1, 0],
        Scalar.MIN: [0, 0, 0, 1], Scalar.MAX: [0, 1, 1, 1], Scalar.LT: [0, 1, 0, 0],
        Scalar.LE: [1, 1, 0, 1], Scalar.EQ: [1, 0, 0, 1],
    }  # fmt: skip
    for function, values in wanted.items():
        found = apply(function, [x, y])
        assert found.dtype == np.bool_
        assert found.tolist() == values
    assert apply(Scalar.NOT, [x]).tolist() == [True, True, False, False]


@given(any_i32, any_i32, any_i32, any_i32)
def test_requantisation_is_integer_arithmetic(acc: int, m: int, s: int, zero: int) -> None:
    shift = s % 32
    scaled = math.floor(Fraction(acc * m, 2**shift) + Fraction(1, 2)) if shift else acc * m
    found = apply(Scalar.REQUANTISE, [np.array([v], np.int32) for v in (acc, m, s, zero)])
    assert found.dtype == np.int8
    assert int(found[0]) == min(max(scaled + zero, -128), 127)


@given(anything, anything)
def test_selection_takes_an_operand_as_it_is(x: np.float32, y: np.float32) -> None:
    condition = np.array([True, False])
    found = apply(Scalar.SELECT, [condition, np.array([x, x]), np.array([y, y])])
    assert [bits_of(v) for v in found] == [bits_of(x), bits_of(y)]


@given(st.integers(0, 2**32 - 1))
def test_bits_become_floats_and_come_back(bits: int) -> None:
    found = apply(Scalar.BITS_TO_F32, [np.array([bits], np.uint32).view(np.int32)])
    is_nan = bits & 0x7FFFFFFF > 0x7F800000
    assert bits_of(found[0]) == (CANONICAL if is_nan else bits)
    assert apply(Scalar.BITS_OF_F32, [found]).view(np.uint32)[0] == bits_of(found[0])


ODD_NANS = np.array([0x7FC00000, 0x7F800001, 0xFFC00000, 0x7FFFFFFF], np.uint32).view(np.float32)


def _invalid(function: Scalar) -> tuple[Array, ...]:
    """Operands without a NaN that give one."""
    inf, one = np.array([np.inf], np.float32), np.array([1], np.float32)
    zero = np.array([0], np.float32)
    return {
        Scalar.ADD: (inf, -inf),
        Scalar.SUB: (inf, inf),
        Scalar.MUL: (inf, zero),
        Scalar.DIV: (zero, zero),
        Scalar.FMA: (inf, zero, one),
        Scalar.SQRT: (-one,),
        Scalar.LOG: (-one,),
        Scalar.SIN: (inf,),
        Scalar.COS: (inf,),
    }[function]


@pytest.mark.parametrize("function", [f for f in Scalar if DType.F32 in SIGNATURES[f].takes])
def test_every_nan_is_the_canonical_one(function: Scalar) -> None:
    arity = SIGNATURES[function].arity
    dtypes = (DType.F32,) * arity
    if function is Scalar.SELECT:
        dtypes = (DType.BOOL, DType.F32, DType.F32)
    if scalar_result(function, dtypes) is not DType.F32:
        return
    for place in range(function is Scalar.SELECT, arity):
        operands = [np.full(len(ODD_NANS), d is DType.F32, d.numpy) for d in dtypes]
        operands[place] = ODD_NANS
        if function is Scalar.SELECT:
            operands[0] = np.full(len(ODD_NANS), place == 1)
        found = apply(function, operands)
        assert set(found.view(np.uint32).tolist()) == {CANONICAL}


@pytest.mark.parametrize(
    "function",
    [
        Scalar.ADD, Scalar.SUB, Scalar.MUL, Scalar.DIV, Scalar.FMA, Scalar.SQRT, Scalar.LOG,
        Scalar.SIN, Scalar.COS,
    ],
)  # fmt: skip
def test_what_is_undefined_is_the_canonical_nan(function: Scalar) -> None:
    assert bits_of(apply(function, _invalid(function))[0]) == CANONICAL


def test_every_function_of_the_vocabulary_is_defined() -> None:
    assert set(FUNCTIONS) == set(Scalar)


@pytest.mark.parametrize("function", list(Scalar))
def test_results_have_the_dtype_the_vocabulary_says(function: Scalar) -> None:
    signature = SIGNATURES[function]
    for dtype in signature.takes:
        dtypes = (dtype,) * signature.arity
        if function is Scalar.SELECT:
            dtypes = (DType.BOOL, dtype, dtype)
        gives = scalar_result(function, dtypes)
        assert gives is not None
        found = apply(function, [np.ones((2, 3), d.numpy) for d in dtypes])
        assert found.dtype == np.dtype(gives.numpy)
        assert found.shape == (2, 3)

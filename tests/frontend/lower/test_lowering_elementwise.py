"""Operators that act on each element alone, against NumPy in double precision."""

from collections.abc import Callable
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_operator import f32, model, run

from verifiable.errors import UnsupportedError
from verifiable.frontend.lower import lower
from verifiable.graph.ir import Const, Map

Doubles = NDArray[Any]

SPECIAL = f32([0.0, -0.0, inf, -inf, nan, 1.0, -1.0, 1e-30, -1e-30, 1e30, -1e30])


def softplus(x: Doubles) -> Doubles:
    return np.logaddexp(0, x)


FUNCTIONS: dict[str, Callable[[Doubles], Doubles]] = {
    "Asin": np.arcsin,
    "Acos": np.arccos,
    "Atan": np.arctan,
    "Sinh": np.sinh,
    "Cosh": np.cosh,
    "Asinh": np.arcsinh,
    "Acosh": np.arccosh,
    "Atanh": np.arctanh,
    "Tan": np.tan,
    "Softplus": softplus,
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Mish": lambda x: x * np.tanh(softplus(x)),
    "Elu": lambda x: np.where(x < 0, np.expm1(x), x),
    "Celu": lambda x: np.where(x < 0, np.expm1(x), x),
}

REACH = {"Asin": 1.0, "Acos": 1.0, "Atanh": 1.0, "Tan": 1.5, "Acosh": 1e10, "Asinh": 1e10}


@pytest.mark.parametrize("op", FUNCTIONS)
def test_a_composite_is_within_a_millionth(op: str) -> None:
    rng = np.random.default_rng(7)
    reach = REACH.get(op, 88.0)
    even = rng.uniform(-reach, reach, 4000)
    small = rng.choice([-1.0, 1.0], 4000) * 10 ** rng.uniform(-8, 0, 4000)
    x = np.concatenate([even, small[np.abs(small) <= reach], 1 + np.abs(small)]).astype(np.float32)
    x = x[np.abs(x) <= reach]
    if op == "Acosh":
        x = np.abs(x)[np.abs(x) >= 1]
    (got,) = run(op, {"x": x})
    with np.errstate(all="ignore"):
        wanted = FUNCTIONS[op](x.astype(np.float64)).astype(np.float32)
    assert np.allclose(got, wanted, rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("op", sorted(set(FUNCTIONS) - {"Tan", "Softsign", "Mish"}))
def test_a_composite_keeps_zeros_infinities_and_nan(op: str) -> None:
    (got,) = run(op, {"x": SPECIAL})
    with np.errstate(all="ignore"):
        wanted = FUNCTIONS[op](SPECIAL.astype(np.float64)).astype(np.float32)
    assert np.allclose(got, wanted, rtol=1e-6, atol=1e-37, equal_nan=True)


floats = st.floats(width=32, allow_nan=True, allow_infinity=True)


@given(st.lists(st.tuples(floats, floats), min_size=1, max_size=20))
def test_a_power_follows_ieee_754(pairs: list[tuple[float, float]]) -> None:
    x, y = (np.array(v, np.float32) for v in zip(*pairs, strict=True))
    (got,) = run("Pow", {"x": x, "y": y})
    with np.errstate(all="ignore"):
        exact = np.power(x.astype(np.float64), y.astype(np.float64))
        wanted = exact.astype(np.float32)
    # Where the result is near the ends of the range the logarithm's error shows most.
    tiny = np.abs(wanted) < 1e-37
    huge = np.abs(wanted) > 1e38
    assert np.allclose(got[~tiny & ~huge], wanted[~tiny & ~huge], rtol=2e-5, equal_nan=True)
    assert (np.abs(got[tiny]) < 1.1e-37).all()
    assert (np.abs(got[huge]) > 0.9e38).all()
    same = ~np.isnan(wanted)
    assert (np.signbit(got[same]) == np.signbit(wanted[same])).all()


@given(st.integers(-9, 9), st.integers(-70, 70), st.sampled_from([np.int32, np.int64]))
def test_a_whole_power_wraps(base: int, exponent: int, dtype: Any) -> None:
    x, y = np.array([base], dtype), np.array([exponent], dtype)
    (got,) = run("Pow", {"x": x, "y": y})
    if exponent >= 64 and abs(base) > 1:
        return  # overflows, which ONNX leaves undefined
    width = 8 * x.itemsize
    if exponent < 0:
        wanted = base if base in {1, -1} and exponent % 2 else int(abs(base) == 1)
    else:
        wanted = (base**exponent + (1 << (width - 1))) % (1 << width) - (1 << (width - 1))
    assert got[0] == wanted


@pytest.mark.parametrize("exponent", [2.0, 3.0, 7.0, -1.0, -2.0, 0.0, 0.5, 1.5, -0.5, 2.5])
def test_a_constant_exponent_gives_what_a_variable_one_gives(exponent: float) -> None:
    x = f32([0.3, 1.7, -2.5, 19.0, 0.0, 1.0])
    y = f32(exponent)
    (constant,) = run("Pow", {"x": x, "y": y}, frozen=["y"])
    (variable,) = run("Pow", {"x": x, "y": y})
    assert np.allclose(constant, variable, rtol=1e-6, equal_nan=True)


@given(st.lists(st.tuples(floats, floats), min_size=1, max_size=20))
def test_the_truncated_remainder_of_floats_is_exact(pairs: list[tuple[float, float]]) -> None:
    x, y = (np.array(v, np.float32) for v in zip(*pairs, strict=True))
    with np.errstate(all="ignore"):
        far = np.isfinite(x) & np.isinf(x / y) & (y != 0)
        wanted = np.fmod(x, y)
    (got,) = run("Mod", {"x": x, "y": y}, fmod=1)
    assert np.array_equal(got[~far], wanted[~far], equal_nan=True)


@given(
    st.lists(st.tuples(st.integers(-128, 127), st.integers(-128, 127)), min_size=1),
    st.sampled_from(["int8", "uint8", "int32", "int64"]),
    st.booleans(),
)
def test_remainders_of_integers(pairs: list[tuple[int, int]], dtype: str, truncated: bool) -> None:
    x, y = (np.array(v).astype(dtype) for v in zip(*pairs, strict=True))
    x, y = x[y != 0], y[y != 0]
    (got,) = run("Mod", {"x": x, "y": y}, fmod=int(truncated))
    with np.errstate(all="ignore"):
        wanted = np.fmod(x, y) if truncated else np.mod(x, y)
    assert got.dtype == wanted.dtype
    assert np.array_equal(got, wanted)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64"])
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
def test_integers_wrap(op: str, dtype: str) -> None:
    info = np.iinfo(dtype)
    x = np.array([info.min, info.max, info.max, 7], dtype)
    y = np.array([info.max, 1, info.max, 3], dtype)
    function = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply}[op]
    with np.errstate(all="ignore"):
        assert np.array_equal(run(op, {"x": x, "y": y})[0], function(x, y))


def test_a_division_by_zero_of_integers_is_zero() -> None:
    x = np.array([5, -5, 0], np.int32)
    assert run("Div", {"x": x, "y": x * 0})[0].tolist() == [0, 0, 0]


def test_two_dtypes_are_refused_by_name() -> None:
    given_ = {"x": np.ones(2, np.float32), "y": np.ones(2, np.int32)}
    with pytest.raises(UnsupportedError, match=r"Add \(node 1 of 1\): does not take \(f32\[2\], i"):
        lower(model("Add", given_))


def test_shapes_that_cannot_be_broadcast_are_refused() -> None:
    given_ = {"x": np.ones(2, np.float32), "y": np.ones(3, np.float32)}
    with pytest.raises(UnsupportedError, match="cannot broadcast"):
        lower(model("Mul", given_))


def test_a_cast_to_double_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="casts to double") as caught:
        lower(model("Cast", {"x": np.ones(2, np.float32)}, to=11))
    assert "float32" in str(caught.value.hint)


def test_a_random_operator_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="draws at random"):
        lower(model("RandomNormalLike", {"x": np.ones(2, np.float32)}))


def test_a_single_constant_becomes_a_literal() -> None:
    given_ = {"x": f32([1, 2]), "y": f32([[3.0]]), "z": f32(4.0)}
    graph, _ = lower(model("Sum", given_), frozen={"z": given_["z"]})
    maps = [i for i in graph.instructions if isinstance(i, Map)]
    assert [len(m.operands) for m in maps] == [2]
    assert not any(isinstance(i, Const) for i in graph.instructions)
    (got,) = run("Sum", given_, frozen=["z"])
    assert np.array_equal(got, [[8, 9]])

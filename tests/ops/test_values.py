"""What counts as an element, and what is refused."""

import numpy as np
import pytest
from graph_zoo import any_bits, f32, odd_values
from hypothesis import given
from hypothesis import strategies as st

from verifiable.errors import TensorError
from verifiable.graph.ir import TensorType
from verifiable.graph.vocabulary import DType
from verifiable.ops import canonical, check_values, dtype_of, value_problem
from verifiable.ops.values import from_order_key, order_key

BITS = st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=20)


@pytest.mark.parametrize("dtype", list(DType), ids=lambda d: d.name)
def test_canonical_elements_pass(dtype: DType) -> None:
    rng = np.random.default_rng(1)
    for draw in (any_bits, odd_values):
        array = draw(rng, TensorType(dtype, (9, 9)))
        check_values("x", array)
        assert dtype_of(array) is dtype


def test_dtypes_the_machine_has_not_are_told() -> None:
    for name in ("float64", "float16", "uint16", "uint32", "uint64", "int16", ">f4", "complex64"):
        assert dtype_of(np.zeros(1, name)) is None


@given(BITS)
def test_the_first_odd_nan_is_named(bits: list[int]) -> None:
    odd = [b & 0x7FFFFFFF > 0x7F800000 and b != 0x7FC00000 for b in bits]
    problem = value_problem(f32(*bits))
    if not any(odd):
        assert problem is None
        return
    first = odd.index(True)
    assert problem is not None
    assert problem.startswith(f"element [{first}] is the NaN {bits[first]:#x},")


@pytest.mark.parametrize("bits", [0x7F800001, 0x7FC00001, 0xFFC00000, 0xFFFFFFFF])
def test_an_odd_nan_is_refused_by_name_and_position(bits: int) -> None:
    x = np.zeros((2, 3), np.float32)
    x.view(np.uint32)[1, 2] = bits
    with pytest.raises(TensorError, match=rf"tensor `pixels`: element \[1, 2\] .*{bits:#x}"):
        check_values("pixels", x)


def test_a_bool_of_2_is_refused() -> None:
    x = np.array([[0, 1], [2, 1]], np.uint8).view(np.bool_)
    with pytest.raises(TensorError, match=r"tensor `mask`: element \[1, 0\] is the bool 0x2"):
        check_values("mask", x)


def test_a_scalar_is_checked_too() -> None:
    assert value_problem(np.array(0xFFC00000, np.uint32).view(np.float32)) is not None
    assert value_problem(np.array(1.5, np.float32)) is None


@given(BITS)
def test_canonical_changes_nans_alone(bits: list[int]) -> None:
    found = canonical(f32(*bits)).view(np.uint32).tolist()
    assert found == [0x7FC00000 if b & 0x7FFFFFFF > 0x7F800000 else b for b in bits]


@given(st.floats(width=32, allow_nan=False), st.floats(width=32, allow_nan=False))
def test_keys_are_in_the_order_of_the_floats(a: float, b: float) -> None:
    x = np.array([a, b], np.float32)
    keys = order_key(x)
    below = (a, np.copysign(1, a)) < (b, np.copysign(1, b))
    assert bool(keys[0] < keys[1]) == below
    assert from_order_key(keys).tobytes() == x.tobytes()

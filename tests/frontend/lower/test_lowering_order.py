"""Sorting, extrema and running totals, against NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_operator import f32, i64, run


def top(x: np.ndarray, k: int, largest: bool) -> tuple[np.ndarray, np.ndarray]:
    """Stable: of equal elements the first one comes first."""
    wide = x.astype(np.float64) if x.dtype == np.float32 else x.astype(object)
    order = np.argsort(-wide if largest else wide, axis=-1, kind="stable")[..., :k]
    return np.take_along_axis(x, order, -1), order


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8", "int32", "int64"])
@pytest.mark.parametrize("extent", [1, 2, 5, 33, 100])
@pytest.mark.parametrize("largest", [True, False])
def test_the_first_k_are_those_of_a_stable_sort(dtype: str, extent: int, largest: bool) -> None:
    rng = np.random.default_rng(extent)
    x = rng.integers(0, 9, (3, extent)).astype(dtype) - np.array(4, dtype)
    for k in {1, 2, extent // 2, extent} - {0}:
        if k > extent:
            continue
        got = run("TopK", {"x": x, "k": i64([k])}, frozen=["k"], outputs=2, largest=int(largest))
        wanted = top(x, k, largest)
        assert np.array_equal(got[0], wanted[0])
        assert np.array_equal(got[1], wanted[1])


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40), st.booleans())
def test_floats_are_sorted_by_value(values: list[float], largest: bool) -> None:
    x = np.array(values, np.float32)
    got = run("TopK", {"x": x, "k": i64([len(x)])}, frozen=["k"], outputs=2, largest=int(largest))
    wanted = top(x, len(x), largest)
    assert np.array_equal(got[0], wanted[0])
    assert np.array_equal(got[1], wanted[1])


def test_a_long_row_is_sorted_by_a_network() -> None:
    x = np.random.default_rng(3).standard_normal((2, 700)).astype(np.float32)
    got = run("TopK", {"x": x, "k": i64([300])}, frozen=["k"], outputs=2)
    wanted = top(x, 300, largest=True)
    assert np.array_equal(got[0], wanted[0])
    assert np.array_equal(got[1], wanted[1])


@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
@pytest.mark.parametrize("shape", [(7,), (2, 5, 3), (1, 16), (3, 0)])
@pytest.mark.parametrize("op", ["CumSum", "CumProd"])
def test_running_totals(
    op: str, shape: tuple[int, ...], dtype: str, reverse: int, exclusive: int
) -> None:
    x = np.random.default_rng(1).integers(-4, 5, shape).astype(dtype)
    function, neutral = (np.cumsum, 0) if op == "CumSum" else (np.cumprod, 1)
    for axis in range(len(shape)):
        turned = np.flip(x, axis) if reverse else x
        if exclusive:
            fill = np.full_like(np.take(x, [0] * min(1, x.shape[axis]), axis), neutral)
            kept = np.take(turned, range(max(x.shape[axis] - 1, 0)), axis)
            turned = np.concatenate([fill, kept], axis)
        wanted = function(turned, axis=axis, dtype=dtype)
        wanted = np.flip(wanted, axis) if reverse else wanted
        (got,) = run(
            op, {"x": x, "axis": i64(axis)}, frozen=["axis"], reverse=reverse,
            exclusive=exclusive,
        )  # fmt: skip
        assert np.array_equal(got, wanted)


@pytest.mark.parametrize("last", [0, 1])
def test_zeros_of_both_signs_are_equal_to_argmax(last: int) -> None:
    x = f32([[-0.0, 0.0, -1.0]])
    (got,) = run("ArgMax", {"x": x}, axis=1, keepdims=0, select_last_index=last)
    assert got.tolist() == [last]

"""Folds of any axes give what NumPy gives."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_node import floats, graph_of, model, near, ours, small_integers

from verifiable.errors import UnsupportedError

Fold = Callable[..., Any]

FOLDS: dict[str, Fold] = {
    "ReduceSum": np.sum,
    "ReduceMean": np.mean,
    "ReduceMax": np.max,
    "ReduceMin": np.min,
    "ReduceProd": np.prod,
    "ReduceL1": lambda x, **how: np.sum(np.abs(x), **how),
    "ReduceL2": lambda x, **how: np.sqrt(np.sum(x * x, **how)),
    "ReduceSumSquare": lambda x, **how: np.sum(x * x, **how),
    "ReduceLogSumExp": lambda x, **how: np.log(np.sum(np.exp(x), **how)),
}
OF_INTEGERS = ["ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceSumSquare"]
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4)


@given(op=st.sampled_from(sorted(FOLDS)), shape=SHAPES, keep=st.booleans(), data=st.data())
def test_folds_of_floats_are_numpys(
    op: str, shape: list[int], keep: bool, data: st.DataObject
) -> None:
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), unique=True))
    x = floats(data.draw(st.integers(0, 2**16)), *shape)
    given_axes = np.array([a - len(shape) * (a % 2) for a in axes], np.int64)
    made = model(op, [x, given_axes], constants={1}, keepdims=int(keep))
    (got,) = ours(made, [x, given_axes])
    over = tuple(axes) or tuple(range(len(shape)))
    wanted = FOLDS[op](x.astype(np.float64), axis=over, keepdims=keep)
    near(got, np.asarray(wanted, np.float32))


@given(
    op=st.sampled_from(OF_INTEGERS),
    dtype=st.sampled_from([np.int32, np.int64]),
    seed=st.integers(0, 2**16),
)
def test_folds_of_integers_are_exact(op: str, dtype: type[np.generic], seed: int) -> None:
    x = small_integers(seed, dtype, 3, 5)
    axes = np.array([1])
    (got,) = ours(model(op, [x, axes], constants={1}, keepdims=0), [x, axes])
    with np.errstate(over="ignore"):
        # Python's integers, wrapped: NumPy would widen int32.
        total = FOLDS[op](x.astype(object), axis=1)
    bits = 8 * x.itemsize
    wrapped = [(int(v) + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1)) for v in total]
    near(got, np.array(wrapped, dtype))


@pytest.mark.parametrize("op", [*sorted(FOLDS), "ReduceLogSum"])
def test_an_empty_set_of_axes_leaves_elements_alone(op: str) -> None:
    x = np.abs(floats(1, 2, 3)) + 0.5
    (got,) = ours(model(op, [x], noop_with_empty_axes=1), [x])
    alone = {"ReduceSumSquare": x * x, "ReduceLogSum": np.log(x)}
    near(got, alone.get(op, x))


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.uint8, np.int32, np.int64, np.bool_])
def test_extremes_of_nothing_are_the_ends_of_the_dtype(dtype: type[np.generic]) -> None:
    x = np.zeros((2, 0), dtype)
    axes = np.array([1])
    ends: tuple[Any, Any]
    if dtype is np.float32:
        ends = (-np.inf, np.inf)
    elif dtype is np.bool_:
        ends = (False, True)
    else:
        info = np.iinfo(dtype)  # type: ignore[type-var]
        ends = (info.min, info.max)
    for op, end in zip(("ReduceMax", "ReduceMin"), ends, strict=True):
        (got,) = ours(model(op, [x, axes], constants={1}, keepdims=0), [x, axes])
        near(got, np.full(2, end, dtype))


def test_log_sum_exp_overflows_only_with_its_result() -> None:
    x = np.array([[1000, 1000], [-np.inf, -np.inf], [np.inf, 0], [-1e4, 3]], np.float32)
    axes = np.array([1])
    (got,) = ours(model("ReduceLogSumExp", [x, axes], constants={1}, keepdims=0), [x, axes])
    near(got, np.array([1000 + np.log(2), -np.inf, np.inf, 3], np.float32))


@pytest.mark.parametrize(
    ("op", "x", "match"),
    [
        ("ReduceSum", np.zeros((2, 2), np.uint8), "does not take"),
        ("ReduceLogSumExp", np.zeros((2, 2), np.int32), "does not take"),
    ],
)
def test_dtypes_without_the_arithmetic_are_refused_by_name(op: str, x: Any, match: str) -> None:
    with pytest.raises(UnsupportedError, match=f"^{op} `it` .*{match}"):
        graph_of(model(op, [x]))


def test_axes_that_depend_on_an_input_are_refused_by_name() -> None:
    inputs = [floats(1, 2, 2), np.array([0])]
    with pytest.raises(UnsupportedError, match="input 1 `x1` depends on the model's input"):
        graph_of(model("ReduceSum", inputs))

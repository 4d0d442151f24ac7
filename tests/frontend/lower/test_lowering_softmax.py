"""Softmax and its kin along any axis."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_node import floats, graph_of, model, near, ours

from verifiable.errors import UnsupportedError
from verifiable.graph.ir import Array

SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4)


def _softmax(x: Array, axis: int) -> Array:
    wide = x.astype(np.float64)
    apart = np.exp(wide - wide.max(axis=axis, keepdims=True))
    return np.asarray(apart / apart.sum(axis=axis, keepdims=True))


@given(shape=SHAPES, scale=st.sampled_from([1.0, 50.0]), data=st.data())
def test_softmax_and_its_logarithm_are_their_formulas(
    shape: list[int], scale: float, data: st.DataObject
) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = floats(data.draw(st.integers(0, 2**16)), *shape) * np.float32(scale)
    (got,) = ours(model("Softmax", [x], axis=axis), [x])
    near(got, _softmax(x, axis).astype(np.float32))
    (got,) = ours(model("LogSoftmax", [x], axis=axis), [x])
    with np.errstate(divide="ignore"):
        wanted = np.log(_softmax(x, axis))
    near(np.exp(got), np.exp(wanted).astype(np.float32))
    near(got[wanted > -80], wanted[wanted > -80].astype(np.float32))


@given(shape=SHAPES, data=st.data())
def test_hardmax_marks_the_first_greatest(shape: list[int], data: st.DataObject) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    x = rng.integers(0, 3, shape).astype(np.float32)
    (got,) = ours(model("Hardmax", [x], axis=axis), [x])
    first = np.expand_dims(np.argmax(x, axis=axis), axis)
    wanted = np.zeros(shape, np.float32)
    np.put_along_axis(wanted, first, 1.0, axis)
    near(got, wanted)


def test_softmax_of_rows_is_two_folds_and_two_maps() -> None:
    graph = graph_of(model("Softmax", [floats(1, 4, 8)]))
    kinds = [type(i).__name__ for i in graph.instructions if type(i).__name__ != "View"]
    assert kinds == ["Input", "Reduce", "Map", "Reduce", "Map"]


def test_softmax_of_nothing_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match=r"^Softmax `it` .*wanted at least one axis"):
        graph_of(model("Softmax", [np.zeros((2, 0), np.float32)]))

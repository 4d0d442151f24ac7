"""Reading and writing at places that an index names, against NumPy."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_operator import f32, i64, model, run

from verifiable.errors import UnsupportedError
from verifiable.frontend.lower import lower

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.integers(0, 2), st.booleans())
def test_gather_is_take(seed: int, axis: int, constant: bool) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((3, 4, 5)).astype(np.float32)
    index = rng.integers(-x.shape[axis], x.shape[axis], rng.integers(0, 4, rng.integers(0, 3)))
    (got,) = run(
        "Gather", {"x": x, "i": np.asarray(index, np.int64)}, axis=axis,
        frozen=["i"] if constant else [],
    )  # fmt: skip
    assert np.array_equal(got, np.take(x, index, axis))


@given(seeds, st.integers(-3, 2))
def test_gather_elements_is_take_along_axis(seed: int, axis: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((3, 4, 5)).astype(np.float32)
    shape = list(x.shape)
    shape[axis] = int(rng.integers(1, 7))
    index = rng.integers(-x.shape[axis], x.shape[axis], shape)
    (got,) = run("GatherElements", {"x": x, "i": index}, axis=axis)
    assert np.array_equal(got, np.take_along_axis(x, index % x.shape[axis], axis))


@given(seeds, st.integers(0, 2), st.integers(1, 2))
def test_gather_nd_reads_each_row_of_coordinates(seed: int, batch: int, depth: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 3, 4, 2)).astype(np.float32)
    named = x.shape[batch : batch + depth]
    lead = (*x.shape[:batch], 3)
    index = np.stack([rng.integers(-e, e, lead) for e in named], -1)
    (got,) = run("GatherND", {"x": x, "i": index}, batch_dims=batch)
    for where in np.ndindex(*lead):
        wanted = x[(*where[:batch], *index[where])]
        assert np.array_equal(got[where], wanted)


UPDATES: dict[str, Any] = {
    "none": lambda _, new: new,
    "add": lambda old, new: old + new,
    "mul": lambda old, new: old * new,
    "max": max,
    "min": min,
}


@given(seeds, st.sampled_from(sorted(UPDATES)), st.sampled_from(["float32", "int8", "int64"]))
def test_scatter_elements_writes_one_after_the_other(seed: int, how: str, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    axis = int(rng.integers(0, 3))
    x = rng.integers(-3, 4, (3, 4, 2)).astype(dtype)
    shape = [int(rng.integers(1, e + 1)) for e in x.shape]
    index = rng.integers(-x.shape[axis], x.shape[axis], shape)
    if how == "none":  # duplicates are undefined
        line = rng.permutation(x.shape[axis])[: shape[axis]]
        index = np.zeros(shape, np.int64) + np.expand_dims(line, [a for a in range(3) if a != axis])
    new = rng.integers(-3, 4, index.shape).astype(dtype)
    wanted = x.copy()
    for where in np.ndindex(*index.shape):
        place = (*where[:axis], index[where], *where[axis + 1 :])
        wanted[place] = UPDATES[how](wanted[place], new[where])
    (got,) = run("ScatterElements", {"x": x, "i": index, "u": new}, axis=axis, reduction=how)
    assert np.array_equal(got, wanted)


@given(seeds, st.sampled_from(sorted(UPDATES)), st.integers(1, 3))
def test_scatter_nd_writes_one_after_the_other(seed: int, how: str, depth: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(-3, 4, (3, 4, 2)).astype(np.float32)
    count = int(rng.integers(1, 4))
    index = np.stack([rng.integers(-e, e, count) for e in x.shape[:depth]], -1)
    if how == "none":
        index = np.unique(index % np.array(x.shape[:depth]), axis=0)
    new = rng.integers(-3, 4, (len(index), *x.shape[depth:])).astype(np.float32)
    wanted = x.copy()
    for row, update in zip(index, new, strict=True):
        for rest in np.ndindex(*x.shape[depth:]):
            place = (*row, *rest)
            wanted[place] = UPDATES[how](wanted[place], update[rest])
    (got,) = run("ScatterND", {"x": x, "i": index, "u": new}, reduction=how)
    assert np.array_equal(got, wanted)


def test_an_infinity_is_not_spread_by_a_scatter() -> None:
    x = f32([1, 2, np.inf, 4])
    (got,) = run(
        "ScatterElements",
        {"x": x, "i": i64([0, 1]), "u": f32([np.inf, 1])},
        reduction="add",
    )
    assert got.tolist() == [np.inf, 3, np.inf, 4]


def test_a_constant_index_beyond_the_axis_is_refused() -> None:
    given_ = {"x": np.ones((2, 3), np.float32), "i": i64([2])}
    with pytest.raises(UnsupportedError, match="beyond axis 0"):
        lower(model("Gather", given_), frozen={"i": given_["i"]})


def test_an_extent_that_depends_on_the_input_is_refused() -> None:
    mask = np.ones(3, np.bool_)
    with pytest.raises(UnsupportedError, match="wanted a constant"):
        lower(model("NonZero", {"x": mask}))
    with pytest.raises(UnsupportedError, match="wanted a constant"):
        lower(model("Compress", {"x": np.ones(3, np.float32), "c": mask}))
    with pytest.raises(UnsupportedError, match="extents of its result depend on the input"):
        lower(model("Unique", {"x": np.ones(3, np.float32)}))

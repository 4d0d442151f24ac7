"""Cutting, joining, surrounding and resizing, against NumPy and ONNX's own evaluator."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_operator import f32, i64, model, run
from onnx.reference import ReferenceEvaluator

from verifiable.errors import UnsupportedError
from verifiable.frontend.lower import lower
from verifiable.graph.ir import Array, View

seeds = st.integers(0, 2**32 - 1)
NEWEST = onnx.defs.onnx_opset_version()


def numbers(*shape: int) -> Array:
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


bounds = st.integers(-9, 9)
steps = st.integers(-3, 3).filter(bool)


@given(st.lists(st.tuples(bounds, bounds, steps), min_size=1, max_size=3))
def test_slices_clamp_as_numpys(cuts: list[tuple[int, int, int]]) -> None:
    x = numbers(5, 4, 3)
    starts, ends, jumps = (np.array(v, np.int64) for v in zip(*cuts, strict=True))
    axes = np.arange(len(cuts))
    (got,) = run(
        "Slice", {"x": x, "s": starts, "e": ends, "a": axes, "j": jumps},
        frozen=["s", "e", "a", "j"],
    )  # fmt: skip
    # NumPy takes a negative number below the start of an axis as its start, as ONNX does.
    assert np.array_equal(got, x[tuple(slice(a, e, j) for a, e, j in cuts)])


def test_a_slice_may_end_before_the_first_place() -> None:
    x = numbers(4)
    given_ = {"x": x, "s": [-1], "e": [-(2**63)], "a": [0], "j": [-2]}
    arrays = {n: np.asarray(v) for n, v in given_.items()}
    (got,) = run("Slice", arrays, frozen=["s", "e", "a", "j"])
    assert np.array_equal(got, x[::-2])


@given(
    st.lists(st.tuples(st.integers(-2, 4), st.integers(-2, 4)), min_size=2, max_size=2),
    st.sampled_from(["constant", "reflect", "edge", "wrap"]),
    st.booleans(),
)
def test_pads_are_numpys(pads: list[tuple[int, int]], mode: Any, frozen_value: bool) -> None:
    x = numbers(5, 6)
    places = i64([p for p, _ in pads] + [q for _, q in pads])
    value = f32(1.5)
    given_: dict[str, Any] = {"x": x, "p": places}
    if mode == "constant":
        given_["v"] = value
    kept = [slice(max(-p, 0), e + min(q, 0)) for (p, q), e in zip(pads, x.shape, strict=True)]
    widths = [(max(p, 0), max(q, 0)) for p, q in pads]
    options: dict[str, Any] = {"constant_values": value} if mode == "constant" else {}
    (got,) = run("Pad", given_, frozen=["p", "v"] if frozen_value else ["p"], mode=mode)
    assert np.array_equal(got, np.pad(x[tuple(kept)], widths, mode=mode, **options))


@given(st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_tiles_are_numpys(repeats: list[int]) -> None:
    x = numbers(2, 3, 1)
    (got,) = run("Tile", {"x": x, "r": i64(repeats)}, frozen=["r"])
    assert np.array_equal(got, np.tile(x, repeats))


def test_a_tile_of_many_axes_is_made_axis_by_axis() -> None:
    x = numbers(2, 1, 3, 1, 2, 2)
    repeats = [2, 3, 1, 2, 2, 3]
    (got,) = run("Tile", {"x": x, "r": i64(repeats)}, frozen=["r"])
    assert np.array_equal(got, np.tile(x, repeats))


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("k", [-9, -1, 0, 2, 9])
def test_a_triangle_is_numpys(upper: int, k: int) -> None:
    x = numbers(2, 3, 5)
    (got,) = run("Trilu", {"x": x, "k": i64(k)}, frozen=["k"], upper=upper)
    assert np.array_equal(got, np.triu(x, k) if upper else np.tril(x, k))


@pytest.mark.parametrize(
    ("version", "given_sizes", "count", "wanted"),
    [
        (13, None, 3, [2, 2, 2]),
        (13, [1, 5], 2, [1, 5]),
        (18, None, 4, [2, 2, 2, 0]),
        (18, None, 5, [2, 2, 2, 0, 0]),
    ],
)
def test_pieces_of_a_split(
    version: int, given_sizes: list[int] | None, count: int, wanted: list[int]
) -> None:
    x = numbers(6, 2)
    sizes = None if given_sizes is None else i64(given_sizes)
    options: dict[str, Any] = {} if version < 18 else {"num_outputs": count}
    got = run(
        "Split", {"x": x, "s": sizes}, frozen=["s"], outputs=count, version=version, **options
    )
    assert [len(g) for g in got] == wanted
    assert np.array_equal(np.concatenate(got), x)


def test_unequal_pieces_without_sizes_are_refused_before_opset_18() -> None:
    with pytest.raises(UnsupportedError, match="wanted equal pieces"):
        lower(model("Split", {"x": numbers(5)}, outputs=2, version=13))


_RESIZED = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["nearest", "linear", "cubic"]),
        "coordinate_transformation_mode": st.sampled_from(
            ["half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "align_corners",
             "asymmetric"]
        ),
        "nearest_mode": st.sampled_from(
            ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
        ),
        "antialias": st.integers(0, 1),
        "exclude_outside": st.integers(0, 1),
        "cubic_coeff_a": st.sampled_from([-0.75, -0.5]),
    }
)  # fmt: skip


@given(_RESIZED, st.lists(st.integers(1, 8), min_size=2, max_size=2))
def test_resizing_agrees_with_onnxs_evaluator(options: dict[str, Any], sizes: list[int]) -> None:
    if options["mode"] != "cubic":
        options = options | {"exclude_outside": 0}
    if options["mode"] == "nearest":
        options = options | {"antialias": 0}
    x, wanted_sizes = numbers(1, 1, 4, 5), i64([1, 1, *sizes])
    given_: dict[str, Any] = {"x": x, "roi": None, "scales": None, "sizes": wanted_sizes}
    (got,) = run("Resize", given_, frozen=["sizes"], **options)
    made = model("Resize", given_, **options)
    (wanted,) = ReferenceEvaluator(made).run(None, {"x": x, "sizes": wanted_sizes})
    assert np.allclose(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("axes", [(-1,), (0, -1), (2, 0)])
def test_squeeze_undoes_unsqueeze(axes: tuple[int, ...]) -> None:
    x = numbers(2, 3)
    (wide,) = run("Unsqueeze", {"x": x, "a": i64(axes)}, frozen=["a"])
    assert np.array_equal(wide, np.expand_dims(x, axes))
    (back,) = run("Squeeze", {"x": wide, "a": i64(axes)}, frozen=["a"])
    assert np.array_equal(back, x)


def test_a_chain_of_views_is_one_instruction() -> None:
    x = numbers(2, 3, 4)
    graph, _ = lower(model("Transpose", {"x": x}, perm=[2, 0, 1]))
    assert sum(isinstance(i, View) for i in graph.instructions) == 1


def test_a_reshape_to_another_size_is_refused() -> None:
    given_ = {"x": numbers(2, 3), "s": i64([4, -1])}
    with pytest.raises(UnsupportedError, match=r"Reshape .*cannot make \[4, -1\] of f32\[2,3\]"):
        lower(model("Reshape", given_), frozen={"s": given_["s"]})


def test_a_shape_that_depends_on_the_input_is_refused_with_a_hint() -> None:
    given_ = {"x": numbers(2, 3), "s": i64([3, 2])}
    with pytest.raises(UnsupportedError, match="depends on the model's input") as caught:
        lower(model("Reshape", given_))
    assert "fixed shapes" in str(caught.value.hint)


def test_dropout_in_training_is_refused() -> None:
    given_ = {"x": numbers(3), "r": f32(0.5), "t": np.bool_(True)}
    arrays = {n: np.asarray(v) for n, v in given_.items()}
    with pytest.raises(UnsupportedError, match="drops at random"):
        lower(model("Dropout", arrays), frozen={n: arrays[n] for n in "rt"})

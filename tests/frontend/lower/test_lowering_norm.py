"""Normalisations give what onnxruntime gives, or their formula in binary64."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_node import agree, floats, graph_of, model, near, ours

from verifiable.errors import UnsupportedError
from verifiable.graph.ir import Map, Reduce, places

SEEDS = st.integers(0, 2**16)
SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4)


@given(shape=SHAPES, seed=SEEDS, data=st.data())
def test_layer_normalization_is_onnxruntimes(
    shape: list[int], seed: int, data: st.DataObject
) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = floats(seed, *shape)
    scale, bias = floats(seed + 1, *shape[axis:]), floats(seed + 2, *shape[axis:])
    inputs = [x, scale, bias] if data.draw(st.booleans()) else [x, scale]
    attributes: dict[str, Any] = {"axis": axis, "epsilon": data.draw(st.sampled_from([1e-5, 1e-2]))}
    agree("LayerNormalization", inputs, rtol=1e-3, atol=1e-4, **attributes)


def test_layer_normalization_gives_mean_and_inverse_deviation() -> None:
    x, scale = floats(1, 3, 4, 5), floats(2, 4, 5)
    made = model("LayerNormalization", [x, scale], outputs=3, axis=1)
    _, mean, inverse = ours(made, [x, scale])
    wide = x.astype(np.float64)
    near(mean, wide.mean(axis=(1, 2), keepdims=True).astype(np.float32))
    spread = 1 / np.sqrt(wide.var(axis=(1, 2), keepdims=True) + 1e-5)
    near(inverse, spread.astype(np.float32))


def test_layer_normalization_of_rows_is_two_sums_and_five_maps() -> None:
    graph = graph_of(
        model("LayerNormalization", [floats(i, *s) for i, s in enumerate([(4, 8), (8,), (8,)])])
    )
    assert len(places(graph, Reduce)) == 2
    assert len(places(graph, Map)) == 5


@given(shape=SHAPES, seed=SEEDS, data=st.data())
def test_rms_normalization_is_its_formula(shape: list[int], seed: int, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x, scale = floats(seed, *shape), floats(seed + 1, *shape[axis:])
    (got,) = ours(model("RMSNormalization", [x, scale], opset=23, axis=axis), [x, scale])
    wide = x.astype(np.float64)
    over = tuple(range(axis % len(shape), len(shape)))
    square = (wide**2).mean(axis=over, keepdims=True)
    near(got, (wide / np.sqrt(square + 1e-5) * scale).astype(np.float32))


@given(shape=SHAPES.filter(lambda s: len(s) > 1), seed=SEEDS)
def test_batch_normalization_is_onnxruntimes(shape: list[int], seed: int) -> None:
    channels = shape[1]
    trained = [floats(seed + i, channels) for i in range(3)]
    variance = np.abs(floats(seed + 4, channels)) + 0.1
    inputs = [floats(seed + 5, *shape), *trained, variance.astype(np.float32)]
    agree("BatchNormalization", inputs)
    agree("BatchNormalization", inputs, constants={1, 2, 3, 4}, epsilon=1e-3)


def test_constants_of_a_batch_normalization_become_one_map() -> None:
    inputs = [floats(0, 1, 3, 4, 4), *(np.abs(floats(i, 3)) for i in range(1, 5))]
    graph = graph_of(model("BatchNormalization", inputs, constants={1, 2, 3, 4}))
    assert [type(i).__name__ for i in graph.instructions] == ["Input", "Const", "Const", "Map"]


@given(seed=SEEDS, groups=st.sampled_from([1, 2, 4]), area=st.lists(st.integers(1, 4), max_size=2))
def test_normalization_of_groups_is_its_formula(seed: int, groups: int, area: list[int]) -> None:
    x, scale, bias = floats(seed, 2, 4, *area), floats(seed + 1, 4), floats(seed + 2, 4)
    made = model("GroupNormalization", [x, scale, bias], num_groups=groups)
    (got,) = ours(made, [x, scale, bias])
    wide = x.astype(np.float64).reshape(2, groups, -1)
    spread = np.sqrt(wide.var(axis=2, keepdims=True) + 1e-5)
    apart = ((wide - wide.mean(axis=2, keepdims=True)) / spread).reshape(x.shape)
    column = [4, *[1] * len(area)]
    wanted = apart * scale.reshape(column) + bias.reshape(column)
    near(got, wanted.astype(np.float32), rtol=1e-3, atol=1e-4)


@given(seed=SEEDS, area=st.lists(st.integers(2, 5), min_size=1, max_size=3))
def test_instance_normalization_is_onnxruntimes(seed: int, area: list[int]) -> None:
    inputs = [floats(seed, 2, 3, *area), floats(seed + 1, 3), floats(seed + 2, 3)]
    agree("InstanceNormalization", inputs, rtol=1e-3, atol=1e-4)


@given(
    seed=SEEDS,
    size=st.sampled_from([1, 3, 5]),
    beta=st.sampled_from([0.5, 0.75, 0.25, 1.0, 0.6]),
    bias=st.sampled_from([1.0, 2.0]),
)
def test_local_response_is_onnxruntimes(seed: int, size: int, beta: float, bias: float) -> None:
    x = floats(seed, 1, 6, 3, 2)
    agree("LRN", [x], size=size, beta=beta, bias=bias, alpha=0.1)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_lp_normalization_is_onnxruntimes(p: int, axis: int) -> None:
    agree("LpNormalization", [floats(5, 3, 4, 2)], p=p, axis=axis)


def test_mean_variance_normalization_is_onnxruntimes() -> None:
    agree("MeanVarianceNormalization", [floats(5, 2, 3, 4, 2)], rtol=1e-3)
    agree("MeanVarianceNormalization", [floats(6, 2, 3, 4, 2)], rtol=1e-3, axes=[1, 3])


@pytest.mark.parametrize(
    ("op", "shapes", "attributes", "match"),
    [
        ("GroupNormalization", [(1, 4, 2), (4,), (4,)], {"num_groups": 3}, "are not 3 groups"),
        ("GroupNormalization", [(1, 4, 2), (2,), (2,)], {"num_groups": 2}, "wanted 4 numbers"),
        ("LayerNormalization", [(2, 3), (4,)], {}, "does not fit"),
        ("LayerNormalization", [(2, 3), (3,)], {"axis": 2}, "axis 2 is not in"),
        ("LpNormalization", [(2, 3)], {"p": 3}, "p is 3"),
        ("LayerNormalization", [(2, 3), (3,)], {"stash_type": 10}, "stash_type is a half"),
    ],
)
def test_what_cannot_be_normalised_is_refused_by_name(
    op: str, shapes: list[tuple[int, ...]], attributes: dict[str, Any], match: str
) -> None:
    inputs = [floats(i, *s) for i, s in enumerate(shapes)]
    with pytest.raises(UnsupportedError, match=f"^{op} `it` .*{match}"):
        graph_of(model(op, inputs, **attributes))

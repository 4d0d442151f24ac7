"""Slices of a part, put together, are the part."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx_zoo import model, node, number, weights

from verifiable.engines import ort
from verifiable.errors import ModelError
from verifiable.frontend.export import load_model
from verifiable.frontend.slices import channels, cut_and_slice, follows
from verifiable.frontend.split import cut, links


def convolutional() -> bytes:
    """Convolution, bias by channel, pooling, a second convolution, then two dense layers."""
    nodes = [
        node("Conv", ["x", "kernel", "bias"], ["a"]),
        node("Add", ["a", "shift"], ["b"]),
        node("Relu", ["b"], ["c"]),
        node("AveragePool", ["c"], ["d"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["d", "second"], ["e"]),
        node("Reshape", ["e", "flat"], ["f"]),
        node("Gemm", ["f", "dense", "offset"], ["g"], transB=1),
        node("Mul", ["g", "half"], ["h"]),
        node("MatMul", ["h", "last"], ["i"]),
        node("Tanh", ["i"], ["y"]),
    ]
    constants: dict[str, NDArray[Any]] = {
        "kernel": weights(5, 1, 3, 3),
        "bias": weights(5),
        "shift": weights(5, 1, 1),
        "second": weights(2, 5, 2, 2),
        "flat": np.array([1, 2], np.int64),
        "dense": weights(6, 2),
        "offset": weights(6),
        "half": number(0.5),
        "last": weights(6, 3),
    }
    return load_model(model(nodes, (1, 1, 6, 6), constants))


WHOLE = convolutional()
X = {"x": np.random.default_rng(3).normal(size=(1, 1, 6, 6)).astype(np.float32)}


@given(first=st.integers(1, 5), second=st.integers(1, 2), dense=st.integers(1, 6))
def test_slices_compose_to_the_whole(first: int, second: int, dense: int) -> None:
    parts = cut_and_slice(WHOLE, ["d", "e", "f", "h"], {"d": first, "e": second, "h": dense})
    known = dict(X)
    for part in parts:
        known |= ort.run(part.model, {name: known[name] for name in part.inputs})
    # Only the order of additions may differ.
    np.testing.assert_allclose(known["y"], ort.run(WHOLE, X)["y"], rtol=1e-5, atol=1e-5)
    made = {name for part in parts for name in part.outputs} | {"x"}
    assert {link.tensor for link in links(parts)} <= made


def test_slices_share_their_input_and_are_gathered_by_who_reads_them() -> None:
    one, two, rest = cut_and_slice(WHOLE, ["d"], {"d": 2})
    assert one.inputs == two.inputs == ("x",)
    assert rest.inputs == (*one.outputs, *two.outputs) == ("d_0_2", "d_2_5")


def test_a_model_without_slices_is_only_cut() -> None:
    assert cut_and_slice(WHOLE, ["d", "h"], {}) == cut(WHOLE, ["d", "h"])


def test_parts_with_slices_are_normal_forms() -> None:
    for part in cut_and_slice(WHOLE, ["d", "f", "h"], {"d": 5, "h": 2}):
        assert load_model(part.model) == part.model


@pytest.mark.parametrize(
    ("at", "index", "count"),
    [
        (["a"], 0, 5),
        (["d"], 0, 5),
        (["e"], 0, 1),  # two convolutions: the second reads every channel of the first
        (["d", "e"], 1, 2),
        (["a", "d"], 1, 1),  # nothing here makes channels
        (["f", "g"], 1, 6),
        (["f", "h"], 1, 6),
        (["d", "f"], 1, 1),  # a reshape mixes them
        (["h"], 1, 3),
    ],
)
def test_a_chain_has_as_many_slices_as_output_channels(
    at: list[str], index: int, count: int
) -> None:
    assert channels(cut(WHOLE, at)[index]) == count


def test_what_keeps_channels_apart_may_follow() -> None:
    assert follows(cut(WHOLE, ["a", "d"])[1])
    assert not follows(cut(WHOLE, ["e", "f"])[1])


def test_what_is_no_chain_of_one_input_is_not_sliced() -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("Relu", ["a"], ["b"]),
        node("Add", ["a", "b"], ["c"]),
        node("Neg", ["c"], ["y"]),
    ]
    whole = load_model(model(nodes, (1, 8), {"w": weights(8, 6)}))
    assert channels(cut(whole, ["c"])[0]) == 1


@pytest.mark.parametrize(
    ("at", "groups", "message"),
    [
        (["d"], {"d": 6}, "at most 5 slices, wanted 6"),
        (["d"], {"d": 0}, "at most 5 slices, wanted 0"),
        (["d"], {"h": 2}, "cannot slice `h`: the model is not cut there"),
        (["e"], {"e": 2}, "at most 1 slices, wanted 2"),
    ],
)
def test_an_impossible_slice_is_named(at: list[str], groups: dict[str, int], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        cut_and_slice(WHOLE, at, groups)

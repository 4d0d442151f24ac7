"""Convolutions give what onnxruntime gives, over random shapes and attributes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from one_node import agree, floats, graph_of, model, near, ours

from verifiable.errors import UnsupportedError

SEEDS = st.integers(0, 2**16)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[list[int], list[int], dict[str, Any]]:
    """Shapes of input and weights, and attributes."""
    rank = draw(st.integers(1, 3))
    group, inner, outer = (draw(st.integers(1, 2)) for _ in range(3))
    kernel = [draw(st.integers(1, 3)) for _ in range(rank)]
    dilations = [draw(st.integers(1, 2)) for _ in range(rank)]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    extents = [r + draw(st.integers(0, 3)) for r in reach]
    attributes: dict[str, Any] = {
        "group": group,
        "dilations": dilations,
        "strides": [draw(st.integers(1, 2)) for _ in range(rank)],
    }
    auto = draw(st.sampled_from(["NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    if auto == "NOTSET":
        attributes["pads"] = [draw(st.integers(0, 2)) for _ in range(2 * rank)]
    else:
        attributes["auto_pad"] = auto
        if auto != "VALID":
            attributes["dilations"] = [1] * rank  # onnxruntime takes no others
    batch = draw(st.integers(1, 2))
    return [batch, group * inner, *extents], [group * outer, inner, *kernel], attributes


@given(shape=convolutions(), seed=SEEDS, biased=st.booleans())
def test_conv_is_onnxruntimes(
    shape: tuple[list[int], list[int], dict[str, Any]], seed: int, biased: bool
) -> None:
    x, w = floats(seed, *shape[0]), floats(seed + 1, *shape[1])
    inputs = [x, w, floats(seed + 2, len(w))] if biased else [x, w]
    agree("Conv", inputs, **shape[2])


@given(shape=convolutions(), seed=SEEDS, data=st.data())
def test_transposed_conv_is_onnxruntimes(
    shape: tuple[list[int], list[int], dict[str, Any]], seed: int, data: st.DataObject
) -> None:
    (batch, _, *extents), (outer, inner, *kernel), attributes = shape
    strides = attributes["strides"]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, attributes["dilations"], strict=True)]
    if "pads" in attributes:
        attributes["pads"] = [
            min(p, r - 1) for p, r in zip(attributes["pads"], reach * 2, strict=True)
        ]
        attributes["output_padding"] = [data.draw(st.integers(0, s - 1)) for s in strides]
    full = [s * (e - 1) + r for s, e, r in zip(strides, extents, reach, strict=True)]
    pads = attributes.get("pads", [0] * 2 * len(kernel))
    left = [f - p - q for f, p, q in zip(full, pads, pads[len(kernel) :], strict=False)]
    assume(min(left) >= 1)
    if attributes.get("auto_pad", "VALID") != "VALID":
        # Where a stride is longer than a kernel, onnxruntime gives less than the standard says.
        assume(all(r >= s for r, s in zip(reach, strides, strict=True)))
    x = floats(seed, batch, outer, *extents)
    agree("ConvTranspose", [x, floats(seed + 1, outer, inner, *kernel)], **attributes)


def test_a_pointwise_conv_reads_its_patches_with_one_view() -> None:
    x, w = floats(1, 1, 3, 4, 4), floats(2, 5, 3, 1, 1)
    graph = graph_of(model("Conv", [x, w], constants={1}))
    kinds = [type(i).__name__ for i in graph.instructions]
    assert kinds.count("View") == 2, "patches, and the result's shape"
    assert kinds.count("Dot") == 1


def test_a_deformed_conv_with_whole_offsets_is_a_conv_of_moved_elements() -> None:
    x, w = floats(1, 2, 4, 6, 5), floats(2, 6, 2, 3, 3)
    offset = np.zeros((2, 2 * 9 * 2, 4, 3), np.float32)
    agree("DeformConv", [x, w, offset], group=2, offset_group=2, opset=19)
    mask = floats(3, 2, 2 * 9, 4, 3)
    moved = offset + floats(4, *offset.shape)
    agree("DeformConv", [x, w, moved, floats(5, 6), mask], group=2, offset_group=2, opset=19)


def test_a_stateful_conv_in_two_pieces_is_the_conv_of_the_whole() -> None:
    x, w, bias = floats(1, 2, 3, 9), floats(2, 3, 1, 4), floats(3, 3)
    whole = model("CausalConvWithState", [x, w, bias], outputs=2, opset=27)
    wanted, state = ours(whole, [x, w, bias])
    first, second = np.ascontiguousarray(x[:, :, :2]), np.ascontiguousarray(x[:, :, 2:])
    one = model("CausalConvWithState", [first, w, bias], outputs=2, opset=27)
    begun, kept = ours(one, [first, w, bias])
    two = model("CausalConvWithState", [second, w, bias, kept], outputs=2, opset=27)
    ended, last = ours(two, [second, w, bias, kept])
    near(np.concatenate([begun, ended], axis=2), wanted)
    np.testing.assert_array_equal(last, state)
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (3, 0)))
    for t in range(9):
        column = (padded[:, :, t : t + 4] * w[None, :, 0]).sum(axis=2) + bias
        near(wanted[:, :, t], column.astype(np.float32))


@pytest.mark.parametrize(
    ("shapes", "attributes", "match"),
    [
        (((1, 3, 5), (2, 2, 3)), {}, "do not fit"),
        (((1, 2, 5), (2, 2, 3)), {"pads": [0]}, "pads"),
        (((1, 2, 5), (2, 2, 7)), {}, "a window of 7 does not fit axis 0 of 5"),
        (((1, 2, 5), (2, 2, 3)), {"kernel_shape": [2]}, "kernel_shape"),
        (((1, 1, 2, 2, 2, 2), (1, 1, 1, 1, 1, 1)), {}, "the most is 3"),
    ],
)
def test_what_is_no_convolution_is_refused_by_name(
    shapes: tuple[tuple[int, ...], ...], attributes: dict[str, Any], match: str
) -> None:
    inputs = [floats(i, *s) for i, s in enumerate(shapes)]
    with pytest.raises(UnsupportedError, match=f"^Conv `it` .*{match}"):
        graph_of(model("Conv", inputs, **attributes))

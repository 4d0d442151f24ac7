"""Pooling gives what onnxruntime gives, over random windows."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from one_node import agree, floats, graph_of, model, ours, small_integers

from verifiable.errors import UnsupportedError

SEEDS = st.integers(0, 2**16)


@st.composite
def windows(draw: st.DrawFn) -> tuple[list[int], dict[str, Any]]:
    """Shape of the input, and attributes."""
    rank = draw(st.integers(1, 3))
    kernel = [draw(st.integers(1, 3)) for _ in range(rank)]
    dilations = [draw(st.integers(1, 2)) for _ in range(rank)]
    attributes: dict[str, Any] = {
        "kernel_shape": kernel,
        "strides": [draw(st.integers(1, 3)) for _ in range(rank)],
        "dilations": dilations,
    }
    auto = draw(st.sampled_from(["NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    if auto == "NOTSET":
        attributes["pads"] = [draw(st.integers(0, k - 1)) for k in kernel * 2]
        attributes["ceil_mode"] = draw(st.integers(0, 1))
    else:
        attributes["auto_pad"] = auto
        if auto != "VALID":
            attributes["dilations"] = dilations = [1] * rank
            # Where a stride is longer than a kernel, onnxruntime pads by less than nothing.
            pairs = zip(attributes["strides"], kernel, strict=True)
            attributes["strides"] = [min(s, k) for s, k in pairs]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    extents = [r + draw(st.integers(0, 4)) for r in reach]
    return [draw(st.integers(1, 2)), draw(st.integers(1, 2)), *extents], attributes


@given(window=windows(), seed=SEEDS)
def test_max_pool_and_its_places_are_onnxruntimes(
    window: tuple[list[int], dict[str, Any]], seed: int
) -> None:
    shape, attributes = window
    agree("MaxPool", [floats(seed, *shape)], outputs=2, **attributes)


@given(seed=SEEDS, dtype=st.sampled_from([np.int8, np.uint8]))
def test_max_pool_takes_bytes(seed: int, dtype: type[np.generic]) -> None:
    x = small_integers(seed, dtype, 1, 2, 5, 4)
    agree("MaxPool", [x], kernel_shape=[2, 3], pads=[1, 1, 0, 1])


@given(window=windows(), seed=SEEDS, counted=st.integers(0, 1))
def test_average_pool_is_onnxruntimes(
    window: tuple[list[int], dict[str, Any]], seed: int, counted: int
) -> None:
    shape, attributes = window
    agree("AveragePool", [floats(seed, *shape)], count_include_pad=counted, **attributes)


@given(window=windows(), seed=SEEDS, p=st.integers(1, 4))
def test_lp_pool_is_onnxruntimes(
    window: tuple[list[int], dict[str, Any]], seed: int, p: int
) -> None:
    shape, attributes = window
    # onnxruntime's LpPool leaves padding out of account in other ways than the standard.
    assume(not any(attributes.get("pads", [])) and not attributes.get("ceil_mode"))
    assume(attributes.get("auto_pad", "VALID") == "VALID")
    agree("LpPool", [floats(seed, *shape)], p=p, **attributes)


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool"])
@pytest.mark.parametrize("shape", [(2, 3, 5), (1, 2, 3, 4), (2, 1, 2, 3, 2)])
def test_global_pools_are_onnxruntimes(op: str, shape: tuple[int, ...]) -> None:
    agree(op, [floats(7, *shape)])


def test_global_lp_pool_is_its_norm() -> None:
    x = floats(3, 2, 3, 4, 5)
    for p in (1, 2, 3):
        (got,) = ours(model("GlobalLpPool", [x], p=p), [x])
        wide = np.abs(x.astype(np.float64)) ** p
        wanted = wide.sum(axis=(2, 3), keepdims=True) ** (1 / p)
        np.testing.assert_allclose(got, wanted, rtol=1e-5)


@given(seed=SEEDS)
def test_unpooling_puts_each_greatest_element_back(seed: int) -> None:
    x = floats(seed, 2, 2, 4, 6)
    window: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
    least, places = ours(model("MaxPool", [x], outputs=2, **window), [x])
    (got,) = ours(model("MaxUnpool", [least, places], **window), [least, places])
    wanted = np.zeros(x.size, np.float32)
    wanted[places.reshape(-1)] = least.reshape(-1)
    np.testing.assert_array_equal(got, wanted.reshape(x.shape))


@pytest.mark.parametrize(
    ("op", "attributes", "match"),
    [
        ("MaxPool", {"kernel_shape": [7]}, "a window of 7 does not fit"),
        ("MaxPool", {"kernel_shape": [2, 2]}, "do not fit 1 axes"),
        ("AveragePool", {"kernel_shape": [2], "auto_pad": "WIDE"}, "auto_pad is WIDE"),
        ("LpPool", {"kernel_shape": [2], "p": 0}, "p is 0"),
        ("AveragePool", {"kernel_shape": [2], "strides": [0]}, "below 1"),
    ],
)
def test_windows_that_cannot_stand_are_refused_by_name(
    op: str, attributes: dict[str, Any], match: str
) -> None:
    with pytest.raises(UnsupportedError, match=f"^{op} `it` .*{match}"):
        graph_of(model(op, [floats(1, 1, 2, 5)], **attributes))

"""Quantised operators are exact in integers, and round and saturate as the standard says."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_node import agree, floats, graph_of, model, near, ours, small_integers

from verifiable.errors import UnsupportedError
from verifiable.graph.ir import Array

SEEDS = st.integers(0, 2**16)
BYTES = st.sampled_from([np.int8, np.uint8])
Byte = type[np.generic]


def scales(seed: int, *shape: int) -> Array:
    """Positive numbers."""
    return (np.abs(floats(seed, *shape)) * 0.1 + 0.01).astype(np.float32)


def exact_conv(x: Array, w: Array, p: Array, q: Array, pads: list[int]) -> Array:
    """Convolution of what is left when zero points are taken off, two channels to a group."""
    wide = np.pad(x.astype(np.int64) - p, [(0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])])
    kernels = w.astype(np.int64) - (q.reshape(-1, 1, 1, 1) if q.size > 1 else q)
    height, width = w.shape[2:]
    outer = len(w) // (x.shape[1] // 2)
    shape = (len(x), len(w), wide.shape[2] - height + 1, wide.shape[3] - width + 1)
    made = np.zeros(shape, np.int64)
    for o, i, j in np.ndindex(shape[1:]):
        first = o // outer * 2
        part = wide[:, first : first + 2, i : i + height, j : j + width]
        made[:, o, i, j] = (part * kernels[o]).sum(axis=(1, 2, 3))
    return made


@given(
    seed=SEEDS,
    dtypes=st.tuples(BYTES, BYTES),
    sizes=st.tuples(*[st.integers(1, 5)] * 3),
    rows=st.booleans(),
    columns=st.booleans(),
    constant=st.booleans(),
)
def test_matmul_integer_is_exact(
    seed: int,
    dtypes: tuple[Byte, Byte],
    sizes: tuple[int, int, int],
    rows: bool,
    columns: bool,
    constant: bool,
) -> None:
    m, n, k = sizes
    x, y = small_integers(seed, dtypes[0], 2, m, k), small_integers(seed + 1, dtypes[1], k, n)
    p = small_integers(seed + 2, dtypes[0], *([m] if rows else []))
    q = small_integers(seed + 3, dtypes[1], *([n] if columns else []))
    inputs = [x, y, p, q]
    (got,) = ours(
        model("MatMulInteger", inputs, constants={1, 2, 3} if constant else set()), inputs
    )
    left = x.astype(np.int64) - (p[:, None] if rows else p).astype(np.int64)
    near(got, (left @ (y.astype(np.int64) - q)).astype(np.int32))


def test_rows_too_long_for_one_exact_dot_are_cut() -> None:
    x = np.full((1, 70_000), 255, np.uint8)
    y = np.full((70_000, 1), -128, np.int8)
    (got,) = ours(model("MatMulInteger", [x, y]), [x, y])
    wanted = (70_000 * 255 * -128 + 2**31) % 2**32 - 2**31
    near(got, np.array([[wanted]], np.int32))


@given(
    seed=SEEDS,
    dtypes=st.tuples(BYTES, BYTES),
    group=st.integers(1, 2),
    pads=st.lists(st.integers(0, 1), min_size=4, max_size=4),
    constant=st.booleans(),
    channels=st.booleans(),
)
def test_conv_integer_is_exact_and_pads_with_the_zero_point(
    seed: int,
    dtypes: tuple[Byte, Byte],
    group: int,
    pads: list[int],
    constant: bool,
    channels: bool,
) -> None:
    x = small_integers(seed, dtypes[0], 2, 2 * group, 4, 3)
    w = small_integers(seed + 1, dtypes[1], 2 * group, 2, 2, 2)
    p = small_integers(seed + 2, dtypes[0])
    q = small_integers(seed + 3, dtypes[1], *([2 * group] if channels else []))
    made = model(
        "ConvInteger", [x, w, p, q], constants={1, 2, 3} if constant else set(), group=group,
        pads=pads,
    )  # fmt: skip
    (got,) = ours(made, [x, w, p, q])
    near(got, exact_conv(x, w, p, q, pads).astype(np.int32))


@given(seed=SEEDS, dtype=BYTES, axis=st.sampled_from([None, 0, 1, -1]), zero=st.booleans())
def test_quantize_and_dequantize_are_onnxruntimes(
    seed: int, dtype: Byte, axis: int | None, zero: bool
) -> None:
    x = floats(seed, 3, 4, 5) * np.float32(5)
    shape = () if axis is None else (x.shape[axis],)
    scale = scales(seed + 1, *shape)
    if axis is None:
        scale = scale.reshape(())
    several = [x, scale]
    if zero or dtype is np.int8:
        several.append(small_integers(seed + 2, dtype, *shape))
    attributes: dict[str, Any] = {} if axis is None else {"axis": axis}
    agree("QuantizeLinear", several, **attributes)
    several[0] = small_integers(seed + 3, dtype, 3, 4, 5)
    agree("DequantizeLinear", several, **attributes)


@given(seed=SEEDS, block=st.integers(1, 3), axis=st.integers(0, 1))
def test_blocks_share_a_scale(seed: int, block: int, axis: int) -> None:
    x = small_integers(seed, np.int8, 4, 6)
    shape = list(x.shape)
    shape[axis] = -(-shape[axis] // block)
    scale, zero = scales(seed + 1, *shape), small_integers(seed + 2, np.int8, *shape)
    inputs = [x, scale, zero]
    (got,) = ours(model("DequantizeLinear", inputs, axis=axis, block_size=block), inputs)

    def repeated(a: Array) -> Array:
        return np.repeat(a, block, axis=axis)[: x.shape[0], : x.shape[1]]

    wanted = (x.astype(np.int32) - repeated(zero)).astype(np.float32) * repeated(scale)
    near(got, wanted, rtol=0, atol=0)


@given(seed=SEEDS, dtypes=st.tuples(BYTES, BYTES), bias=st.booleans(), channels=st.booleans())
def test_quantised_conv_is_its_formula(
    seed: int, dtypes: tuple[Byte, Byte], bias: bool, channels: bool
) -> None:
    # onnxruntime saturates pairs of products of uint8 and int8 on some processors.
    several = [3] if channels else []
    x, w = (
        small_integers(seed, dtypes[0], 1, 2, 5, 5),
        small_integers(seed + 1, dtypes[1], 3, 2, 3, 3),
    )
    zeros = [small_integers(seed + 2, dtypes[0]), small_integers(seed + 3, dtypes[1], *several)]
    numbers = [scales(seed + 4, 1)[0], scales(seed + 5, 3) if channels else scales(seed + 5, 1)[0]]
    out, zero = np.float32(7.5), small_integers(seed + 6, dtypes[0])
    arrays: tuple[Any, ...] = (x, numbers[0], zeros[0], w, numbers[1], zeros[1], out, zero)
    inputs: list[Array | None] = [np.asarray(a) for a in arrays]
    total = exact_conv(x, w, zeros[0], zeros[1], [1, 0, 1, 0])
    if bias:
        biases = np.random.default_rng(seed).integers(-1000, 1000, 3).astype(np.int32)
        inputs.append(biases)
        total = total + biases.reshape(3, 1, 1)
    (got,) = ours(model("QLinearConv", inputs, pads=[1, 0, 1, 0]), inputs)
    factor = numbers[1] * numbers[0] / out
    factor = factor.reshape(3, 1, 1) if channels else factor
    info = np.iinfo(dtypes[0])  # type: ignore[type-var]
    rounded = np.rint(total.astype(np.float32) * factor) + np.float32(zero)
    near(got, np.clip(rounded, info.min, info.max).astype(dtypes[0]))


@given(seed=SEEDS, dtype=BYTES)
def test_quantised_matmul_is_its_formula(seed: int, dtype: Byte) -> None:
    a, b = small_integers(seed, dtype, 3, 4), small_integers(seed + 1, dtype, 4, 2)
    numbers = [scales(seed + i, 1).reshape(()) for i in (2, 3)]
    zeros = [small_integers(seed + i, dtype) for i in (4, 5, 6)]
    out = np.array(4.25, np.float32)
    inputs = [a, numbers[0], zeros[0], b, numbers[1], zeros[1], out, zeros[2]]
    (got,) = ours(model("QLinearMatMul", inputs), inputs)
    total = (a.astype(np.int64) - zeros[0]) @ (b.astype(np.int64) - zeros[1])
    factor = numbers[0] * numbers[1] / out
    info = np.iinfo(dtype)  # type: ignore[type-var]
    rounded = np.rint(total.astype(np.float32) * factor) + np.float32(zeros[2])
    near(got, np.clip(rounded, info.min, info.max).astype(dtype))


@given(seed=SEEDS, scale=st.sampled_from([0.1, 1.0, 1000.0]))
def test_dynamic_quantisation_is_onnxruntimes(seed: int, scale: float) -> None:
    agree("DynamicQuantizeLinear", [floats(seed, 3, 4) * np.float32(scale)], outputs=3)


def test_a_known_zero_point_of_zero_costs_nothing() -> None:
    x, y = small_integers(1, np.uint8, 2, 3), small_integers(2, np.int8, 3, 4)
    zeros = [np.zeros((), np.uint8), np.zeros((), np.int8)]
    graph = graph_of(model("MatMulInteger", [x, y, *zeros], constants={1, 2, 3}))
    kinds = [type(i).__name__ for i in graph.instructions if type(i).__name__ != "View"]
    assert kinds == ["Input", "Const", "Dot"]


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "match"),
    [
        ("QuantizeLinear", [floats(1, 2, 3), scales(2, 4)], {}, "does not fit axis 1"),
        ("QuantizeLinear", [floats(1, 2, 3), scales(2, 1)], {"output_dtype": 5}, "neither int8"),
        ("QuantizeLinear", [floats(1, 2, 3), scales(2, 2, 2)], {"block_size": 1}, "in blocks of 1"),
        (
            "MatMulInteger",
            [np.zeros((2, 3), np.int8), np.zeros((2, 3), np.int8)],
            {},
            "do not match",
        ),
    ],
)
def test_what_cannot_be_quantised_is_refused_by_name(
    op: str, inputs: list[Any], attributes: dict[str, Any], match: str
) -> None:
    with pytest.raises(UnsupportedError, match=f"^{op} `it` .*{match}"):
        graph_of(model(op, inputs, **attributes))

"""Products between DequantizeLinear and QuantizeLinear are Dots of integers, and exact."""

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_operator import f32
from onnx.reference import ReferenceEvaluator
from qdq import Byte, Integers, Written, dots, integers, onnxruntime, run

from verifiable.frontend.lower import lower
from verifiable.graph.ir import Array, Const, Map, View
from verifiable.graph.vocabulary import DType

SEEDS = st.integers(0, 2**16)
BYTES = st.sampled_from([np.int8, np.uint8])
ROUNDED = 2.0**-22
"""Four roundings to float32, relative to what is added up."""


def near_exact(got: Array, wanted: Array, terms: Array) -> None:
    """Near the exact sum, by roundings of the sum and not of each step to it."""
    assert got.dtype == np.float32
    assert got.shape == wanted.shape
    assert (np.abs(got - wanted) <= ROUNDED * np.maximum(np.abs(wanted), terms)).all()


@given(
    seed=SEEDS,
    dtypes=st.tuples(BYTES, BYTES),
    sizes=st.tuples(*[st.integers(1, 6)] * 3),
    columns=st.booleans(),
    zeros=st.tuples(st.booleans(), st.booleans()),
    constant=st.booleans(),
    batch=st.sampled_from([(), (2,)]),
)
def test_matmul_is_one_dot_of_integers(
    seed: int,
    dtypes: tuple[Byte, Byte],
    sizes: tuple[int, int, int],
    columns: bool,
    zeros: tuple[bool, bool],
    constant: bool,
    batch: tuple[int, ...],
) -> None:
    m, k, n = sizes
    x = integers(seed, dtypes[0], *batch, m, k, zero=zeros[0])
    y = integers(seed + 1, dtypes[1], k, n, axis=1 if columns else None, zero=zeros[1])
    w = Written()
    left = w.dequantised(w.input("x", x.value), x)
    right = w.dequantised(w.constant(y.value) if constant else w.input("y", y.value), y)
    inputs = {"x": x.value} if constant else {"x": x.value, "y": y.value}
    kinds, got = run(w.model(w.add("MatMul", left, right)), inputs)
    assert kinds == [DType.I32]
    wanted = x.real() @ y.real()
    near_exact(got, wanted, np.zeros(()))


@given(
    seed=SEEDS,
    dtypes=st.tuples(BYTES, BYTES),
    turned=st.tuples(st.booleans(), st.booleans()),
    bias=st.sampled_from(["none", "float", "int32", "int32 of another scale"]),
    factors=st.sampled_from([(1.0, 1.0), (2.0, 1.0), (1.0, 0.5)]),
)
def test_gemm_adds_its_bias_to_the_integers_or_to_their_float(
    seed: int,
    dtypes: tuple[Byte, Byte],
    turned: tuple[bool, bool],
    bias: str,
    factors: tuple[float, float],
) -> None:
    m, k, n = 3, 5, 4
    x = integers(seed, dtypes[0], *((k, m) if turned[0] else (m, k)))
    shape, axis = ((n, k), 0) if turned[1] else ((k, n), 1)
    y = integers(seed + 1, dtypes[1], *shape, axis=axis)
    c = np.random.default_rng(seed).integers(-5000, 5000, n).astype(np.int32)
    unit = x.scale * y.scale * np.float32(1 if bias == "int32" else 3)
    w = Written()
    several = [w.dequantised(w.input("x", x.value), x), w.dequantised(w.constant(y.value), y)]
    added = np.zeros(n)
    if bias == "float":
        added = (c * unit.astype(np.float64)).astype(np.float32)
        several.append(w.constant(added))
    elif bias != "none":
        held = Integers(value=c, scale=unit, zero=np.zeros(n, np.int32), axis=0)
        added = held.real()
        several.append(w.dequantised(w.constant(c), held))
    made = w.model(
        w.add("Gemm", *several, transA=int(turned[0]), transB=int(turned[1]), alpha=factors[0],
              beta=factors[1])
    )  # fmt: skip
    kinds, got = run(made, {"x": x.value})
    assert kinds == [DType.I32]
    left = x.real().T if turned[0] else x.real()
    right = y.real().T if turned[1] else y.real()
    terms = np.abs(factors[0] * (left @ right)) + np.abs(factors[1] * added)
    near_exact(got, factors[0] * (left @ right) + factors[1] * added, terms)


def convolved(x: Array, w: Array, pads: list[int], groups: int) -> Array:
    """Convolution in float64, zeros around it."""
    wide = np.pad(x, [(0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])])
    height, width = w.shape[2:]
    shape = (len(x), len(w), wide.shape[2] - height + 1, wide.shape[3] - width + 1)
    made = np.zeros(shape)
    for o, i, j in np.ndindex(shape[1:]):
        first = o // (len(w) // groups) * w.shape[1]
        part = wide[:, first : first + w.shape[1], i : i + height, j : j + width]
        made[:, o, i, j] = (part * w[o]).sum(axis=(1, 2, 3))
    return made


@given(
    seed=SEEDS,
    dtypes=st.tuples(BYTES, BYTES),
    groups=st.sampled_from([1, 2]),
    pads=st.lists(st.integers(0, 1), min_size=4, max_size=4),
    channels=st.booleans(),
    zero=st.booleans(),
    bias=st.sampled_from(["none", "float", "int32"]),
)
def test_conv_is_one_dot_of_integers_that_pads_with_the_zero_point(
    seed: int,
    dtypes: tuple[Byte, Byte],
    groups: int,
    pads: list[int],
    channels: bool,
    zero: bool,
    bias: str,
) -> None:
    x = integers(seed, dtypes[0], 2, 2 * groups, 4, 3)
    k = integers(seed + 1, dtypes[1], 2 * groups, 2, 2, 2, axis=0 if channels else None, zero=zero)
    c = np.random.default_rng(seed).integers(-5000, 5000, 2 * groups).astype(np.int32)
    unit = np.broadcast_to(x.scale * k.scale, c.shape)
    added = np.zeros(c.shape)
    w = Written()
    several = [w.dequantised(w.input("x", x.value), x), w.dequantised(w.constant(k.value), k)]
    if bias == "float":
        added = (c * unit.astype(np.float64)).astype(np.float32)
        several.append(w.constant(added))
    elif bias == "int32":
        held = Integers(value=c, scale=unit, zero=np.zeros_like(c), axis=0)
        added = held.real()
        several.append(w.dequantised(w.constant(c), held))
    made = w.model(w.add("Conv", *several, pads=pads, group=groups))
    kinds, got = run(made, {"x": x.value})
    assert kinds == [DType.I32]
    sums = convolved(x.real(), k.real(), pads, groups)
    column = added.reshape(-1, 1, 1)
    near_exact(got, sums + column, np.abs(sums) + np.abs(column))


def layer(seed: int, dtype: Byte, op: str, *, relu: bool, most: int = 255) -> tuple[Any, Integers]:
    """Conv or Gemm as quantisers write it, quantised again behind it."""
    shape, weights = ((2, 3, 5, 5), (4, 3, 3, 3)) if op == "Conv" else ((3, 20), (4, 20))
    x = integers(seed, dtype, *shape)
    k = integers(seed + 1, np.int8, *weights, axis=0, zero=False, most=most)
    c = np.random.default_rng(seed).integers(-2000, 2000, 4).astype(np.int32)
    held = Integers(value=c, scale=x.scale * k.scale, zero=np.zeros_like(c), axis=0)
    w = Written()
    several = [
        w.dequantised(w.input("x", x.value), x),
        w.dequantised(w.constant(k.value), k),
        w.dequantised(w.constant(c), held),
    ]
    made = w.add(op, *several, **({"transB": 1} if op == "Gemm" else {}))
    made = w.add("Relu", made) if relu else made
    zero = np.asarray(7, dtype)
    return w.model(w.add("QuantizeLinear", made, w.constant(f32(0.5)), w.constant(zero))), x


@given(seed=SEEDS, dtype=BYTES, op=st.sampled_from(["Conv", "Gemm"]), relu=st.booleans())
def test_what_is_quantised_again_is_within_a_step_of_onnxruntime_and_of_onnx(
    seed: int, dtype: Byte, op: str, relu: bool
) -> None:
    # Weights of 7 bits: onnxruntime saturates sums of two products on some processors.
    made, x = layer(seed, dtype, op, relu=relu, most=63)
    kinds, got = run(made, {"x": x.value})
    assert kinds == [DType.I32]
    others = [onnxruntime(made, {"x": x.value}, optimise=o) for o in (False, True)]
    others += ReferenceEvaluator(made).run(None, {"x": x.value})
    for wanted in others:
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
        assert np.abs(got.astype(np.int32) - wanted).max() <= 1


def test_one_map_leads_from_the_sums_to_the_bytes() -> None:
    for op in ("Conv", "Gemm"):
        graph, weights = lower(layer(1, np.int8, op, relu=True)[0])
        kinds = [type(i) for i in graph.instructions if not isinstance(i, View | Const)]
        assert kinds.count(Map) == 1
        assert graph.instructions[-1].type.dtype is DType.I8
        # Weights of bytes, and three numbers for each channel at most.
        stored = {a.dtype.name: a.size for a in weights.values()}
        assert stored == {"int8": 4 * (27 if op == "Conv" else 20), "int32": 4, "float32": 4}


def test_operators_keep_their_regions() -> None:
    graph, _ = lower(layer(1, np.uint8, "Conv", relu=True)[0])
    assert [r.label.split()[0] for r in graph.regions] == ["Conv", "QuantizeLinear"]


MOVES: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("Transpose", [], {"perm": [0, 2, 3, 1]}),
    ("Reshape", [np.array([2, -1])], {}),
    ("Flatten", [], {}),
    ("Unsqueeze", [np.array([0])], {}),
    ("Squeeze", [], {}),
    ("Slice", [np.array([1]), np.array([3]), np.array([2])], {}),
    ("Tile", [np.array([1, 2, 1, 1])], {}),
    ("Expand", [np.array([3, 1, 1, 1, 1])], {}),
    ("Gather", [np.array([[1, -1], [0, 2]])], {"axis": 2}),
    ("SpaceToDepth", [], {"blocksize": 2}),
    ("DepthToSpace", [], {"blocksize": 2}),
    ("MaxPool", [], {"kernel_shape": [3, 2], "pads": [1, 1, 1, 0], "strides": [2, 1]}),
]  # fmt: skip


@pytest.mark.parametrize(("op", "rest", "attributes"), MOVES, ids=[m[0] for m in MOVES])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_what_only_moves_elements_moves_bytes(
    op: str, rest: list[Any], attributes: dict[str, Any], dtype: Byte
) -> None:
    x = integers(3, dtype, 2, 4, 4, 4)
    w = Written()
    real = w.dequantised(w.input("x", x.value), x)
    moved = w.add(op, real, *map(w.constant, rest), **attributes)
    as_float = w.model(moved)
    _, got = run(as_float, {"x": x.value})
    assert got.tobytes() == onnxruntime(as_float, {"x": x.value}, optimise=False).tobytes()
    # Quantised as it was before, it is the bytes: no float is left.
    again = w.model(w.add("QuantizeLinear", moved, w.constant(x.scale), w.constant(x.zero)))
    graph, _ = lower(again)
    assert DType.F32 not in {i.type.dtype for i in graph.instructions}
    _, same = run(again, {"x": x.value})
    assert np.array_equal(same, onnxruntime(again, {"x": x.value}, optimise=False))


@pytest.mark.parametrize("op", ["Flatten", "MaxPool"])
def test_a_scale_for_each_channel_does_not_outlive_its_axis(op: str) -> None:
    x = integers(14, np.uint8, 2, 3, 4, axis=1)
    w = Written()
    real = w.dequantised(w.input("x", x.value), x)
    made = w.model(w.add(op, real, **({"kernel_shape": [2]} if op == "MaxPool" else {})))
    _, got = run(made, {"x": x.value})
    assert got.tobytes() == onnxruntime(made, {"x": x.value}, optimise=False).tobytes()


def test_quantising_by_another_scale_is_no_move() -> None:
    x = integers(4, np.int8, 2, 3)
    for scale, zero in ((x.scale * np.float32(2), x.zero), (x.scale, x.zero + np.int8(1))):
        w = Written()
        real = w.dequantised(w.input("x", x.value), x)
        out = w.add(
            "QuantizeLinear", real, w.constant(scale), w.constant(np.asarray(zero, np.int8))
        )
        made = w.model(out)
        _, got = run(made, {"x": x.value})
        assert np.array_equal(got, onnxruntime(made, {"x": x.value}, optimise=False))
        assert not np.array_equal(got, x.value)


def test_weights_turned_after_they_are_dequantised_keep_their_channels() -> None:
    x, y = integers(5, np.int8, 3, 6), integers(6, np.int8, 4, 6, axis=0)
    w = Written()
    turned = w.add("Transpose", w.dequantised(w.constant(y.value), y), perm=[1, 0])
    made = w.model(w.add("MatMul", w.dequantised(w.input("x", x.value), x), turned))
    kinds, got = run(made, {"x": x.value})
    assert kinds == [DType.I32]
    near_exact(got, x.real() @ y.real().T, np.zeros(()))


def test_constant_weights_may_be_quantised_in_the_model() -> None:
    # As quantisation-aware training leaves them.
    x, y = integers(7, np.int8, 3, 6), integers(8, np.int8, 6, 4, zero=False)
    w = Written()
    whole = w.add(
        "QuantizeLinear", w.constant(y.real().astype(np.float32)), w.constant(y.scale),
        w.constant(y.zero),
    )  # fmt: skip
    made = w.model(
        w.add("MatMul", w.dequantised(w.input("x", x.value), x), w.dequantised(whole, y))
    )
    kinds, got = run(made, {"x": x.value})
    assert kinds == [DType.I32]
    near_exact(got, x.real() @ y.real(), np.zeros(()))


def stays_float(x: Integers, y: Integers, **attributes: Any) -> onnx.ModelProto:
    """A MatMul of dequantised tensors; attributes are those of the right one's."""
    w = Written()
    left = w.dequantised(w.input("x", x.value), x)
    several = (w.constant(y.value), w.constant(y.scale), w.constant(y.zero))
    return w.model(w.add("MatMul", left, w.add("DequantizeLinear", *several, **attributes)))


X, Y = integers(9, np.int8, 2, 4), integers(10, np.int8, 4, 3)


@pytest.mark.parametrize(
    "made",
    [
        stays_float(X, integers(11, np.int8, 4, 3, axis=0), axis=0),
        stays_float(
            X,
            replace(Y, scale=np.full((2, 3), 0.5, np.float32), zero=np.zeros((2, 3), np.int8)),
            axis=0,
            block_size=2,
        ),
        stays_float(replace(X, scale=f32(1e-30)), Y),
        stays_float(replace(X, scale=f32(1e30)), Y),
        stays_float(replace(X, scale=f32(0)), Y),
        stays_float(replace(X, scale=f32(-1)), Y),
    ],
    ids=["a scale along the sum", "blocks", "tiny", "huge", "zero", "negative"],
)
def test_what_integers_would_not_give_exactly_stays_float(made: onnx.ModelProto) -> None:
    kinds, got = run(made, {"x": X.value})
    assert kinds == [DType.F32]
    wanted = onnxruntime(made, {"x": X.value}, optimise=False)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=0)


def test_a_sum_that_might_leave_i32_stays_float() -> None:
    # 255 * 255 * 33,026 is above 2^31; one element fewer is below it.
    for length, kind in ((33_025, DType.I32), (33_026, DType.F32)):
        x = Integers(
            value=np.full((1, length), 255, np.uint8), scale=f32(1), zero=np.array(0, np.uint8)
        )
        y = Integers(value=x.value.T, scale=f32(1), zero=np.array(0, np.uint8))
        kinds, got = run(stays_float(x, y), {"x": x.value})
        assert set(kinds) == {kind}
        np.testing.assert_allclose(got, [[255.0 * 255.0 * length]], rtol=1e-6)


@pytest.mark.parametrize(("length", "kind"), [(33_025, DType.I32), (33_026, DType.F32)])
def test_a_convolution_that_might_leave_i32_stays_float(length: int, kind: DType) -> None:
    x = Integers(
        value=np.full((1, length, 1), 255, np.uint8), scale=f32(1), zero=np.array(0, np.uint8)
    )
    w = Written()
    several = w.dequantised(w.input("x", x.value), x), w.dequantised(w.constant(x.value), x)
    kinds, got = run(w.model(w.add("Conv", *several)), {"x": x.value})
    assert set(kinds) == {kind}
    np.testing.assert_allclose(got, [[[255.0 * 255.0 * length]]], rtol=1e-6)


@pytest.mark.parametrize("op", ["Gemm", "Conv"])
def test_a_bias_that_might_lead_out_of_i32_is_added_in_float(op: str) -> None:
    x = Integers(
        value=np.full((1, 4), 127, np.int8), scale=f32(0.5), zero=np.array(0, np.int8), axis=0
    )
    bias = Integers(
        value=np.array([2**31 - 1], np.int32), scale=f32(0.25), zero=np.array(0, np.int32), axis=0
    )
    shape = (1, 4) if op == "Gemm" else (1, 4, 1)
    value = x.value.reshape(shape)
    w = Written()
    several = [
        w.dequantised(w.input("x", value), x),
        w.dequantised(w.constant(value), x),
        w.dequantised(w.constant(bias.value), bias),
    ]
    made = w.model(w.add(op, *several, **({"transB": 1} if op == "Gemm" else {})))
    kinds, got = run(made, {"x": value})
    assert kinds == [DType.I32]
    np.testing.assert_allclose(got.reshape(-1), [(2.0**31 + 4 * 127**2) / 4], rtol=1e-6)


def test_a_scale_that_depends_on_the_input_stays_float() -> None:
    w = Written()
    left = w.add(
        "DequantizeLinear", w.input("x", X.value), w.input("s", f32(0.5)),
        w.constant(X.zero),
    )  # fmt: skip
    right = w.dequantised(w.constant(Y.value), Y)
    kinds, got = run(w.model(w.add("MatMul", left, right)), {"x": X.value, "s": f32(0.5)})
    assert kinds == [DType.F32]
    np.testing.assert_allclose(got, replace(X, scale=f32(0.5)).real() @ Y.real(), rtol=1e-5)


def test_row_sums_of_large_constant_weights_are_constants() -> None:
    # 300 x 300 weights in i32 are more than what is folded for its size alone.
    x, y = integers(12, np.uint8, 1, 300), integers(13, np.int8, 300, 300, zero=False)
    graph, weights = lower(stays_float(x, y))
    assert dots(graph) == [DType.I32]
    assert sum(isinstance(i, Map) for i in graph.instructions) == 1
    assert sum(a.nbytes for a in weights.values()) == 300 * 300 + 300 * 4

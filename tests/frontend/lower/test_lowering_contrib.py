"""onnxruntime's own quantised operators are within a step of what onnxruntime makes of them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_operator import f32
from qdq import Byte, Integers, Written, integers, onnxruntime, run

from verifiable.errors import UnsupportedError
from verifiable.frontend.lower import lower
from verifiable.graph.ir import Array
from verifiable.graph.vocabulary import DType

DOMAIN = "com.microsoft"
BYTES = [np.int8, np.uint8]


def given_as(w: Written, name: str, held: Integers) -> list[str]:
    """An input with its scale and its zero point."""
    return [w.input(name, held.value), w.constant(held.scale), w.constant(held.zero)]


def result(w: Written, dtype: Byte, scale: float = 0.05) -> list[str]:
    """Scale and zero point of what comes out."""
    return [w.constant(f32(scale)), w.constant(np.asarray(11, dtype))]


def within_a_step(w: Written, output: str, inputs: dict[str, Array]) -> list[DType]:
    """Hold a model against onnxruntime; the Dots of its graph."""
    made = w.model(output)
    kinds, got = run(made, inputs)
    wanted = onnxruntime(made, inputs, optimise=False)
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
    if got.dtype == np.float32:
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
    else:
        assert np.abs(got.astype(np.int32) - wanted).max() <= 1
    return kinds


@pytest.mark.parametrize("dtype", BYTES)
@pytest.mark.parametrize(
    ("op", "count", "attributes"),
    [
        ("QLinearAdd", 2, {}),
        ("QLinearMul", 2, {}),
        ("QLinearSigmoid", 1, {}),
        ("QLinearLeakyRelu", 1, {"alpha": 0.25}),
        ("QLinearAveragePool", 1, {"kernel_shape": [2, 2], "pads": [1, 0, 0, 1]}),
        ("QLinearGlobalAveragePool", 1, {}),
    ],
)
def test_operators_of_floats(op: str, count: int, attributes: dict[str, Any], dtype: Byte) -> None:
    w, inputs, several = Written(), {}, []
    for i in range(count):
        held = integers(20 + i, dtype, 2, 3, 4, 5)
        inputs[f"x{i}"] = held.value
        several += given_as(w, f"x{i}", held)
    made = w.add(op, *several, *result(w, dtype), domain=DOMAIN, **attributes)
    assert within_a_step(w, made, inputs) == []


@pytest.mark.parametrize("dtype", BYTES)
def test_softmax_is_over_the_last_axis(dtype: Byte) -> None:
    w, x = Written(), integers(23, dtype, 3, 7)
    several = [*given_as(w, "x", x), *result(w, dtype, 1 / 256)]
    made = w.add("QLinearSoftmax", *several, domain=DOMAIN, axis=-1, opset=13)
    within_a_step(w, made, {"x": x.value})


@pytest.mark.parametrize("dtype", BYTES)
def test_joined_and_chosen_tensors_have_scales_of_their_own(dtype: Byte) -> None:
    x, y = integers(24, dtype, 2, 3), integers(25, dtype, 2, 3)
    w = Written()
    pair = [*given_as(w, "x", x), *given_as(w, "y", y)]
    made = w.add("QLinearConcat", *result(w, dtype), *pair, domain=DOMAIN, axis=1)
    within_a_step(w, made, {"x": x.value, "y": y.value})
    w, keep = Written(), np.array([[True], [False]])
    several = [w.input("c", keep), *given_as(w, "x", x), *given_as(w, "y", y)]
    made = w.add("QLinearWhere", *several, *result(w, dtype), domain=DOMAIN)
    within_a_step(w, made, {"c": keep, "x": x.value, "y": y.value})


@given(
    seed=st.integers(0, 2**16),
    dtype=st.sampled_from(BYTES),
    turned=st.tuples(st.booleans(), st.booleans()),
    columns=st.booleans(),
    bias=st.booleans(),
    small=st.booleans(),
    alpha=st.sampled_from([1.0, 0.5]),
)
def test_gemm_is_a_dot_of_integers(
    seed: int,
    dtype: Byte,
    turned: tuple[bool, bool],
    columns: bool,
    bias: bool,
    small: bool,
    alpha: float,
) -> None:
    x = integers(seed, dtype, *((5, 3) if turned[0] else (3, 5)))
    # Weights of 7 bits: onnxruntime saturates sums of two products on some processors.
    y = integers(
        seed + 1, np.int8, *((4, 5) if turned[1] else (5, 4)), most=63, zero=not columns,
        axis=(0 if turned[1] else 1) if columns else None,
    )  # fmt: skip
    w = Written()
    several = [*given_as(w, "x", x)]
    several += [w.constant(y.value), w.constant(y.scale), w.constant(y.zero)]
    several.append("")
    if bias:
        c = np.random.default_rng(seed).integers(-3000, 3000, 4).astype(np.int32)
        several[-1] = w.constant(c)
    if small:
        several += result(w, dtype, 1.0)
    made = w.add(
        "QGemm", *several, domain=DOMAIN, alpha=alpha, transA=int(turned[0]), transB=int(turned[1])
    )
    assert within_a_step(w, made, {"x": x.value}) == [DType.I32]


@pytest.mark.parametrize("dtype", BYTES)
def test_quantisers_of_either_domain_are_the_same(dtype: Byte) -> None:
    x = integers(26, dtype, 2, 3)
    w = Written()
    real = w.add("DequantizeLinear", *given_as(w, "x", x), domain=DOMAIN)
    made = w.add("QuantizeLinear", real, *result(w, dtype), domain=DOMAIN)
    within_a_step(w, made, {"x": x.value})


@pytest.mark.parametrize(
    ("op", "attributes", "match"),
    [
        ("QLinearAveragePool", {"kernel_shape": [2], "channels_last": 1}, "has channels last"),
        ("QLinearSoftmax", {"opset": 11}, "opset before 13"),
    ],
)
def test_other_layouts_and_meanings_are_refused(
    op: str, attributes: dict[str, Any], match: str
) -> None:
    w, x = Written(), integers(27, np.uint8, 1, 2, 3)
    made = w.add(op, *given_as(w, "x", x), *result(w, np.uint8), domain=DOMAIN, **attributes)
    with pytest.raises(UnsupportedError, match=match):
        lower(w.model(made))


def test_a_scale_for_each_channel_is_refused_where_there_may_be_one() -> None:
    w, x = Written(), integers(28, np.uint8, 2, 3, axis=1)
    made = w.add("QLinearSigmoid", *given_as(w, "x", x), *result(w, np.uint8), domain=DOMAIN)
    with pytest.raises(UnsupportedError, match=r"scale 1 is f32\[3\], wanted one number"):
        lower(w.model(made))

"""Weights in float16 and bfloat16 are widened to float32 exactly, wherever they stand."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from conformance import run_slowly
from one_operator import f32, i64
from onnx import TensorProto, helper

from verifiable.errors import ModelError
from verifiable.frontend.files import parse_model
from verifiable.frontend.lower import lower
from verifiable.graph.ir import Array

KINDS = [TensorProto.FLOAT16, TensorProto.BFLOAT16]
PATTERNS = np.arange(2**16, dtype=np.uint16)


def value_of(bits: Array, kind: int) -> Array:
    """The numbers that patterns of bits stand for, by the definition of the format."""
    fraction, least = (10, -14) if kind == TensorProto.FLOAT16 else (7, -126)
    exponent = (bits.astype(np.int64) & 0x7FFF) >> fraction
    rest = (bits.astype(np.int64) & (2**fraction - 1)).astype(np.float64)
    top = 2 ** (15 - fraction) - 1
    number = np.where(
        exponent == 0,
        np.ldexp(rest, least - fraction),
        np.ldexp(2.0**fraction + rest, least - fraction - 1 + np.maximum(exponent, 1)),
    )
    number = np.where(exponent == top, np.where(rest == 0, np.inf, np.nan), number)
    # The largest of either format, its subnormals included, are float32 exactly.
    with np.errstate(over="ignore"):
        return np.copysign(number, np.where(bits >> 15, -1.0, 1.0)).astype(np.float32)


def tensor(name: str, bits: Array, kind: int) -> onnx.TensorProto:
    """A constant, given by its bits."""
    return helper.make_tensor(name, kind, bits.shape, bits.tobytes(), raw=True)


def numbers(kind: int, *shape: int) -> tuple[Array, Array]:
    """Bits of finite numbers, subnormals and zeros of both signs among them, and the numbers."""
    bits = PATTERNS[np.isfinite(value_of(PATTERNS, kind))]
    chosen = np.random.default_rng(kind).choice(bits, shape)
    largest_subnormal = 0x03FF if kind == TensorProto.FLOAT16 else 0x007F
    chosen.reshape(-1)[:4] = [0x8000, 0x0001, 0x8000 | largest_subnormal, largest_subnormal]
    return chosen, value_of(chosen, kind)


def model(
    op: str, kind: int, bits: Array, given: dict[str, Array], *, weight_first: bool = False
) -> onnx.ModelProto:
    """An operator over an input and a weight that is cast to float, as exporters write it."""
    inputs = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for name, array in given.items()
    ]
    places = ["wide", *given] if weight_first else [*given, "wide"]
    nodes = [
        helper.make_node("Cast", ["weight"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node(op, places, ["y"]),
    ]
    end = onnx.ValueInfoProto(name="y")
    graph = helper.make_graph(nodes, "halves", inputs, [end], [tensor("weight", bits, kind)])
    opset = helper.make_opsetid("", 21)
    return onnx.shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=[opset], ir_version=10)
    )


def same_bits(got: Array, wanted: Array) -> None:
    """Equal to the sign of a zero."""
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
    assert got.tobytes() == wanted.tobytes()


def answer(made: onnx.ModelProto, given: dict[str, Array]) -> Array:
    """By the definition of each instruction, parsed from the bytes of a file."""
    graph, weights = lower(parse_model(made.SerializeToString()))
    return run_slowly(graph, weights, given)["y"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_is_itself_in_gather(kind: int) -> None:
    bits = PATTERNS[~np.isnan(value_of(PATTERNS, kind))]
    wanted = value_of(bits, kind)
    assert np.isinf(wanted).sum() == 2
    place = i64(np.arange(len(bits)))
    got = answer(model("Gather", kind, bits, {"x": place}, weight_first=True), {"x": place})
    same_bits(got, wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_a_matmul_by_ones_and_zeros_gives_the_weights(kind: int) -> None:
    bits, wanted = numbers(kind, 6, 5)
    given = {"x": np.eye(6, dtype=np.float32)}
    # A Dot adds +0 last, so a zero has no sign.
    same_bits(answer(model("MatMul", kind, bits, given), given), wanted + f32(0))


@pytest.mark.parametrize("kind", KINDS)
def test_a_conv_over_a_single_one_gives_the_weights(kind: int) -> None:
    bits, wanted = numbers(kind, 3, 2, 3, 3)
    x = np.zeros((2, 2, 5, 5), np.float32)
    x[0, 0, 2, 2] = x[1, 1, 2, 2] = 1
    got = answer(model("Conv", kind, bits, {"x": x}), {"x": x})
    # A correlation: the kernel comes out turned round.
    same_bits(got, wanted.transpose(1, 0, 2, 3)[..., ::-1, ::-1] + f32(0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("op", ["MatMul", "Conv"])
def test_an_infinite_weight_stays_infinite(op: str, kind: int) -> None:
    top = 0x7C00 if kind == TensorProto.FLOAT16 else 0x7F80
    bits = np.array([top, top | 0x8000], np.uint16).reshape((1, 2) if op == "MatMul" else (2, 1, 1))
    given = {"x": np.ones((1, 1) if op == "MatMul" else (1, 1, 1), np.float32)}
    got = answer(model(op, kind, bits, given), given)
    same_bits(got.reshape(-1), f32([np.inf, -np.inf]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("op", ["MatMul", "Gather"])
def test_weights_in_another_file_are_the_same(op: str, kind: int, tmp_path: Path) -> None:
    bits, wanted = numbers(kind, 4, 5)
    given = {"x": np.eye(4, dtype=np.float32)} if op == "MatMul" else {"x": i64(np.arange(4))}
    made = model(op, kind, bits, given, weight_first=op == "Gather")
    onnx.save_model(
        made, tmp_path / "model.onnx", save_as_external_data=True, location="weights.bin",
        size_threshold=0, convert_attribute=False,
    )  # fmt: skip
    assert (tmp_path / "weights.bin").read_bytes()[: bits.nbytes] == bits.tobytes()
    read = parse_model((tmp_path / "model.onnx").read_bytes(), folder=tmp_path)
    graph, weights = lower(read)
    assert [a.dtype for a in weights.values()] == [np.float32]
    got = run_slowly(graph, weights, given)["y"]
    same_bits(got, wanted + f32(0) if op == "MatMul" else wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_a_nan_among_the_weights_is_refused_with_its_place(kind: int) -> None:
    bits, _ = numbers(kind, 2, 3)
    bits[1, 2] = 0x7FC0
    x = {"x": np.ones((1, 2), np.float32)}
    with pytest.raises(ModelError, match=r"constant `weight`\[1, 2\] is NaN"):
        lower(model("MatMul", kind, bits, x))

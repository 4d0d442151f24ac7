"""Quantised operators that are onnxruntime's own: its tools write them beside ONNX's.

Each is defined by what it computes of floats: its inputs dequantised, ONNX's operator of the same
name, the result quantised. Of QGemm that is an integer Dot.

References
----------
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import onnx

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.node import LOWERINGS, Node, lowers
from verifiable.frontend.lower.quantised import dequantize_linear, quantised, quantize_linear
from verifiable.frontend.lower.scaled import dequantised
from verifiable.graph.vocabulary import DType

DOMAIN: Final = "com.microsoft"

_PLAIN: Final = {
    "QLinearAdd": ("Add", 2),
    "QLinearAveragePool": ("AveragePool", 1),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", 1),
    "QLinearLeakyRelu": ("LeakyRelu", 1),
    "QLinearMul": ("Mul", 2),
    "QLinearSigmoid": ("Sigmoid", 1),
    "QLinearSoftmax": ("Softmax", 1),
}
"""Operators of ONNX, and how many inputs they take."""

# They differ from ONNX's in dtypes that the machine has not.
lowers("QuantizeLinear", domain=DOMAIN)(quantize_linear)
lowers("DequantizeLinear", domain=DOMAIN)(dequantize_linear)


@lowers(*_PLAIN, domain=DOMAIN)
def plain(b: Builder, node: Node) -> Value:
    """Each input with its scale and zero point, then those of the result."""
    if node.attribute("channels_last", 0):
        raise node.refuse("has channels last", hint="quantise the model with channels first")
    if node.op == "QLinearSoftmax" and int(node.attribute("opset", 13)) < 13:
        raise node.refuse("is of an opset before 13, which flattens", hint="convert the model")
    op, count = _PLAIN[node.op]
    made = _by(b, node, op, [_float(b, node, 3 * i) for i in range(count)])
    return _small(b, node, made, 3 * count)


@lowers("QLinearConcat", domain=DOMAIN)
def qlinear_concat(b: Builder, node: Node) -> Value:
    """Scale and zero point of the result come first."""
    parts = [_float(b, node, i) for i in range(2, len(node.inputs), 3)]
    return _small(b, node, _by(b, node, "Concat", parts), 0)


@lowers("QLinearWhere", domain=DOMAIN)
def qlinear_where(b: Builder, node: Node) -> Value:
    """The condition is no number, and has no scale."""
    several = [node.input(0), _float(b, node, 1), _float(b, node, 4)]
    return _small(b, node, _by(b, node, "Where", several), 7)


@lowers("QGemm", domain=DOMAIN)
def qgemm(b: Builder, node: Node) -> Value:
    """``alpha * A' B' + C``, C in units of the products; float without a scale of the result."""
    alpha = float(node.attribute("alpha", 1.0))
    left = b.map(lambda s: s * alpha, _scale(b, node, 1)) if alpha != 1 else _scale(b, node, 1)
    right = _scale(b, node, 4)
    columns = b.reshape(right, [*right.shape, 1]) if node.attribute("transB", 0) else right
    several = [_read(b, node, 0, left), _read(b, node, 3, columns)]
    if node.has(6):
        bias, unit = node.input(6), b.map(lambda p, q: p * q, left, right)
        if bias.dtype is not DType.I32:
            raise node.refuse(f"adds {bias.type}, wanted int32")
        several.append(dequantised(b, bias, unit, None))
    made = _by(b, node, "Gemm", several, alpha=1.0)
    return _small(b, node, made, 7) if node.has(7) else made


def _by(b: Builder, node: Node, op: str, several: Sequence[Value], **attributes: Any) -> Value:
    """What ONNX's operator makes of floats."""
    made = LOWERINGS["", op](
        b,
        replace(
            node,
            proto=onnx.NodeProto(op_type=op, output=["y"]),
            version=onnx.defs.onnx_opset_version(),
            inputs=tuple(several),
            attributes={**node.attributes, **attributes},
        ),
    )
    assert isinstance(made, Value)
    return made


def _scale(b: Builder, node: Node, i: int) -> Value:
    scale = node.float_input(i)
    if scale.type.size != 1 and len(scale.shape) != 1:
        raise node.refuse(f"scale {i} is {scale.type}, wanted one number or one for each column")
    return b.reshape(scale, [] if scale.type.size == 1 else scale.shape)


def _float(b: Builder, node: Node, i: int) -> Value:
    """Inputs ``i .. i + 2``: a tensor, its scale, its zero point."""
    scale = node.float_input(i + 1)
    if scale.type.size != 1:
        raise node.refuse(f"scale {i + 1} is {scale.type}, wanted one number")
    return _read(b, node, i, b.reshape(scale, []))


def _read(b: Builder, node: Node, i: int, scale: Value) -> Value:
    x, zero = node.input(i), node.optional(i + 2)
    if x.dtype not in {DType.I8, DType.U8} or (zero is not None and zero.dtype is not x.dtype):
        raise node.refuse(f"input {i} is {x.type}, wanted int8 or uint8 with its zero point")
    if zero is not None:
        if zero.type.size not in {1, scale.type.size}:
            raise node.refuse(f"zero point of input {i} is {zero.type}, its scale {scale.type}")
        zero = b.reshape(zero, scale.shape if zero.type.size == scale.type.size else [])
    return dequantised(b, x, scale, zero)


def _small(b: Builder, node: Node, x: Value, i: int) -> Value:
    """Quantised by the scale and the zero point at inputs ``i`` and ``i + 1``."""
    scale, zero = node.float_input(i), node.optional(i + 1)
    if zero is None:
        zero = b.scalar(0, DType.U8)
    if zero.dtype not in {DType.I8, DType.U8} or {scale.type.size, zero.type.size} != {1}:
        raise node.refuse(f"scale and zero point {i} are {scale.type} and {zero.type}")
    dtype, scale, zero = zero.dtype, b.reshape(scale, []), b.reshape(zero, [])
    return b.map(lambda v, s, z: quantised(v, s, z, dtype), x, scale, zero)

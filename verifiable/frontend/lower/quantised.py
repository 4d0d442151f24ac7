"""Tensors of 8-bit integers with scales and zero points."""

from collections.abc import Sequence
from math import prod

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.expression import Expression
from verifiable.frontend.lower.integer_dot import convolved_integers, is_zero, multiplied
from verifiable.frontend.lower.node import ELEMENTS, Node, axis_of, lowers
from verifiable.frontend.lower.rows import last_swapped
from verifiable.frontend.lower.scaled import alike, dequantised
from verifiable.frontend.lower.windows import convolution_of
from verifiable.graph.check import broadcast_shape
from verifiable.graph.vocabulary import DType, Fold

_BYTES = frozenset({DType.I8, DType.U8})


def quantised(x: Expression, scale: Expression, zero: Expression, dtype: DType) -> Expression:
    """``saturate(round(x / scale) + zero)``; the cast saturates."""
    return ((x / scale).round() + zero.to(DType.F32)).to(dtype)


@lowers("QuantizeLinear")
def quantize_linear(b: Builder, node: Node) -> Value:
    """Float or int32 to int8 or uint8: of a tensor, an axis, or blocks of an axis."""
    x = node.input(0)
    if x.dtype not in {DType.F32, DType.I32}:
        raise node.refuse(f"does not take {x.type}")
    _float_only(node, "precision")
    element = int(node.attribute("output_dtype", 0))
    dtype = ELEMENTS.get(element) if element else DType.U8
    if node.has(2):
        dtype = node.input(2).dtype
    if dtype is None or dtype not in _BYTES:
        raise node.refuse("gives neither int8 nor uint8", hint="quantise to int8 or uint8")
    scale = _spread(b, node, node.float_input(1), x)
    zero = b.scalar(0, dtype)
    if node.has(2):
        zero = _spread(b, node, node.input(2), x)
    held = x.scaled
    if held is not None and held.value.dtype is dtype and alike(b, held, scale, zero):
        return held.value
    return b.map(lambda v, s, z: quantised(v.to(DType.F32), s, z, dtype), x, scale, zero)


@lowers("DequantizeLinear")
def dequantize_linear(b: Builder, node: Node) -> Value:
    """``(x - zero) * scale`` of int8, uint8 or int32."""
    x = node.input(0)
    if x.dtype not in _BYTES | {DType.I32}:
        raise node.refuse(f"does not take {x.type}")
    _float_only(node, "output_dtype")
    scale = _spread(b, node, node.float_input(1), x)
    if not node.has(2) or is_zero(b, node.input(2)):
        return dequantised(b, x, scale, None)
    zero = _spread(b, node, node.input(2), x)
    if zero.dtype is not x.dtype:
        raise node.refuse(f"zero point is {zero.type} of {x.type}")
    return dequantised(b, x, scale, zero)


def _float_only(node: Node, name: str) -> None:
    element = int(node.attribute(name, 0))
    if element and ELEMENTS.get(element) is not DType.F32:
        raise node.refuse(f"{name} is {element}, wanted 1 (float)", hint="quantise from float")


def _spread(b: Builder, node: Node, value: Value, x: Value) -> Value:
    """A scale or zero point, shaped to be broadcast against `x`."""
    rank = len(x.shape)
    if value.type.size == 1 and len(value.shape) <= 1:
        return b.reshape(value, [])
    axis = axis_of(node, node.attribute("axis", 1), rank)
    if len(value.shape) == 1:
        if value.shape[0] != x.shape[axis]:
            raise node.refuse(f"{value.type} does not fit axis {axis} of {x.type}")
        return b.reshape(value, [value.shape[0], *[1] * (rank - axis - 1)])
    size = int(node.attribute("block_size", 0))
    fits = len(value.shape) == rank and all(
        e == (-(-f // size) if a == axis and size else f)
        for a, (e, f) in enumerate(zip(value.shape, x.shape, strict=True))
    )
    if not fits or size < 1:
        raise node.refuse(f"{value.type} does not fit {x.type} in blocks of {size}")
    shape, before, after = value.shape, value.shape[: axis + 1], value.shape[axis + 1 :]
    several = b.expand(b.reshape(value, [*before, 1, *after]), [*before, size, *after])
    whole = b.reshape(several, [*shape[:axis], shape[axis] * size, *after])
    return b.slice(whole, [0] * rank, x.shape, [1] * rank)


@lowers("DynamicQuantizeLinear")
def dynamic_quantize(b: Builder, node: Node) -> Sequence[Value]:
    """Scale and zero point from the least and greatest element, zero among them."""
    x = node.float_input(0)
    row = b.reshape(x, [x.type.size])
    least, most = b.reduce(row, Fold.MIN), b.reduce(row, Fold.MAX)
    scale = b.map(lambda p, q: (q.maximum(0.0) - p.minimum(0.0)) / 255.0, least, most)
    zero = b.map(
        lambda p, s: (0.0 - p.minimum(0.0) / s).maximum(0.0).minimum(255.0).round().to(DType.U8),
        least,
        scale,
    )
    return [b.map(lambda v, s, z: quantised(v, s, z, DType.U8), x, scale, zero), scale, zero]


@lowers("MatMulInteger")
def matmul_integer(b: Builder, node: Node) -> Value:
    """Exact in int32, zero points taken off."""
    return _products(b, node, (0, 2), (1, 3))


@lowers("QLinearMatMul")
def qlinear_matmul(b: Builder, node: Node) -> Value:
    """An integer product, scaled, rounded and saturated."""
    total = _products(b, node, (0, 2), (3, 5))
    rows = _column(b, node.float_input(1), node.input(0))
    factor = b.map(lambda p, q, s: p * q / s, rows, node.float_input(4), _single(b, node, 6))
    return _requantised(b, node, total, factor, 7)


def _requantised(b: Builder, node: Node, total: Value, factor: Value, i: int) -> Value:
    zero = _single(b, node, i)
    if zero.dtype not in _BYTES:
        raise node.refuse(f"zero point is {zero.type}, wanted int8 or uint8")
    if broadcast_shape([total.shape, factor.shape]) != total.shape:
        raise node.refuse(f"scales {factor.type} do not fit {total.type}")
    return b.map(
        lambda v, f, z: ((v.to(DType.F32) * f).round() + z.to(DType.F32)).to(zero.dtype),
        total,
        factor,
        zero,
    )


def _single(b: Builder, node: Node, i: int) -> Value:
    value = node.input(i)
    if value.type.size != 1:
        raise node.refuse(f"input {i} is {value.type}, wanted one element")
    return b.reshape(value, [])


def _byte(node: Node, i: int) -> Value:
    value = node.input(i)
    if value.dtype not in _BYTES:
        raise node.refuse(f"input {i} is {value.type}, wanted int8 or uint8")
    return value


def _column(b: Builder, value: Value, x: Value) -> Value:
    """Numbers for each row of the left operand, shaped to be broadcast over the result."""
    if value.type.size == 1:
        return b.reshape(value, [])
    if len(value.shape) == 1 and len(x.shape) > 1:
        return b.reshape(value, [value.shape[0], 1])
    return value


def _products(b: Builder, node: Node, left: tuple[int, int], right: tuple[int, int]) -> Value:
    """MatMul of two operands, each given as places of its input and zero point."""
    x, y = _byte(node, left[0]), _byte(node, right[0])
    inner = y.shape[-2] if len(y.shape) > 1 else y.type.size
    if (
        not x.shape
        or not y.shape
        or x.shape[-1] != inner
        or broadcast_shape([x.shape[:-2], y.shape[:-2]]) is None
    ):
        raise node.refuse(f"shapes of {x.type} and {y.type} do not match")
    shape = list(broadcast_shape([x.shape[:-2], y.shape[:-2]]) or ())
    shape += [x.shape[-2]] * (len(x.shape) > 1) + [y.shape[-1]] * (len(y.shape) > 1)
    rows = x if len(x.shape) > 1 else b.reshape(x, [1, *x.shape])
    columns = last_swapped(b, y) if len(y.shape) > 1 else b.reshape(y, [1, *y.shape])
    zeros = []
    for (operand, place), value in zip((left, right), (x, y), strict=True):
        if not node.has(place):
            zeros.append(b.scalar(0, DType.I32))
            continue
        zero = node.input(place)
        if zero.dtype is not value.dtype:
            raise node.refuse(f"zero point {zero.type} of input {operand}, {value.type}")
        if zero.type.size == 1:
            zero = b.reshape(zero, [])
        elif place == left[1] and len(zero.shape) == 1:
            zero = b.reshape(zero, [zero.shape[0], 1])
        zeros.append(b.cast(zero, DType.I32))
    fits = broadcast_shape([(*rows.shape[:-1], columns.shape[-2]), *(z.shape for z in zeros)])
    if fits is None or fits[-2:] != (rows.shape[-2], columns.shape[-2]):
        raise node.refuse("zero points do not fit the operands")
    return b.reshape(multiplied(b, rows, columns, zeros[0], zeros[1]), shape)


@lowers("ConvInteger")
def conv_integer(b: Builder, node: Node) -> Value:
    """Exact in int32, zero points taken off."""
    return _convolved(b, node, (0, 2), (1, 3))


@lowers("QLinearConv")
def qlinear_conv(b: Builder, node: Node) -> Value:
    """An integer convolution with bias, scaled, rounded and saturated."""
    total = _convolved(b, node, (0, 2), (3, 5), node.optional(8))
    channel = [total.shape[1], *[1] * (len(total.shape) - 2)]
    scale = node.float_input(4)
    scale = b.reshape(scale, [] if scale.type.size == 1 else channel)
    factor = b.map(lambda p, q, s: p * q / s, scale, _single(b, node, 1), _single(b, node, 6))
    return _requantised(b, node, total, factor, 7)


def _convolved(
    b: Builder,
    node: Node,
    left: tuple[int, int],
    right: tuple[int, int],
    bias: Value | None = None,
) -> Value:
    x, weight = _byte(node, left[0]), _byte(node, right[0])
    shape = convolution_of(node, x, weight)
    if bias is not None and (bias.dtype is not DType.I32 or bias.shape != weight.shape[:1]):
        raise node.refuse(f"bias is {bias.type}, wanted int32 of {weight.shape[0]}")
    zeros = []
    for place, several in ((left[1], 1), (right[1], weight.shape[0])):
        zero = node.optional(place) or b.scalar(0, DType.I32)
        if zero.type.size not in (1, several):
            raise node.refuse(f"input {place} is {zero.type}, wanted one or {several} elements")
        zeros.append(b.cast(b.reshape(zero, [prod(zero.shape)]), DType.I32))
    return convolved_integers(b, x, weight, shape, (zeros[0], zeros[1]), bias)

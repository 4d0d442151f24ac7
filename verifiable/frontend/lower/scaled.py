"""Floats that are integers times a scale, and products of them by integer Dots.

A model with QuantizeLinear and DequantizeLinear around each operator multiplies floats whose
integers are known. Their sums of products are exact in i32 and take one multiplication by the
product of the scales, where a Dot of floats would round at each step and take four times the
bytes. The floats are written all the same; what nobody reads is left out in the end.
"""

from dataclasses import replace
from math import prod
from typing import Final

import numpy as np

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.integer_dot import convolved_integers, multiplied
from verifiable.frontend.lower.node import Lowering, Node, Result
from verifiable.frontend.lower.values import Scaled
from verifiable.frontend.lower.windows import Convolution
from verifiable.graph.ir import Array
from verifiable.graph.vocabulary import DType

LEAST_SCALE: Final = 2.0**-63
MOST_SCALE: Final = 2.0**63
"""Between them the product of two scales is a normal number, so it is rounded once, by 2^-24 of
itself; and 255 times a scale is finite."""

_LIMIT: Final = 2**31
_BYTES: Final = {DType.I8: (-128, 127), DType.U8: (0, 255)}

MOVES: Final = frozenset(
    {
        "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "MaxPool",
        "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
    }
)  # fmt: skip
"""Operators that hand elements on. The greatest float is that of the greatest integer, too, and
all of them are cheaper on bytes."""


def dequantised(b: Builder, x: Value, scale: Value, zero: Value | None) -> Value:
    """``(x - zero) * scale`` in f32, with the integers kept in mind where all is constant but x.

    Parameters
    ----------
    b : Builder
    x : Value
        i8, u8 or i32.
    scale : Value
        f32, to be broadcast against `x`.
    zero : Value, optional
        Of the dtype of `x`, to be broadcast against it.
    """
    if zero is None:
        made = b.map(lambda v, s: v.to(DType.F32) * s, x, scale)
    else:
        made = b.map(
            lambda v, s, z: (v.to(DType.I32) - z.to(DType.I32)).to(DType.F32) * s, x, scale, zero
        )
    factors = b.known(scale)
    offsets = np.zeros((), np.int32) if zero is None else b.known(zero)
    if factors is None or offsets is None:
        return made
    if not ((factors >= LEAST_SCALE) & (factors <= MOST_SCALE)).all():
        return made
    factors, offsets = np.broadcast_arrays(factors, offsets.astype(np.int32))
    shape = (1,) * (len(x.shape) - factors.ndim) + factors.shape
    most = _most(b, x, offsets)
    if most >= _LIMIT:
        return made
    held = Scaled(value=x, scale=factors.reshape(shape), zero=offsets.reshape(shape), most=most)
    return replace(made, scaled=held)


def _most(b: Builder, x: Value, zeros: Array) -> int:
    if x.dtype in _BYTES:
        low, high = _BYTES[x.dtype]
        return max(high - int(zeros.min(initial=high)), int(zeros.max(initial=low)) - low)
    known = b.known(x)
    if known is None or zeros.any():
        return _LIMIT
    return int(np.abs(known.astype(np.int64)).max(initial=0))


def alike(b: Builder, held: Scaled, scale: Value, zero: Value) -> bool:
    """Whether quantising by `scale` and `zero` gives back the integers that are held.

    It does if both are theirs: ``(x - zero) * scale / scale`` is less than 2^-14 off a whole
    number, for no byte is more than 255 off its zero point.
    """
    pairs = ((held.scale, b.known(scale)), (held.zero, b.known(zero)))
    return all(known is not None and (own == known).all() for own, known in pairs)


def on_integers(b: Builder, node: Node, lowering: Lowering) -> Result:
    """Lower an operator, on the integers of its input where it only hands elements on."""
    held = node.inputs[0].scaled if node.inputs and node.inputs[0] is not None else None
    turned = node.op == "Transpose"
    if (
        held is None
        or held.value.dtype not in _BYTES
        or node.proto.domain not in {"", "ai.onnx"}
        or node.op not in MOVES
        or (held.scale.size > 1 and not turned)
    ):
        return lowering(b, node)

    def of(first: Value) -> Result:
        return lowering(b, replace(node, inputs=(first, *node.inputs[1:])))

    made = of(held.value)
    several = [made] if isinstance(made, Value) or made is None else list(made)
    scale, zero = b.constant(held.scale), b.constant(held.zero.astype(held.value.dtype.numpy))
    if turned:
        scale, zero = _only(of(scale)), _only(of(zero))
    else:
        scale, zero = b.reshape(scale, []), b.reshape(zero, [])
    return [
        dequantised(b, v, scale, zero if held.zero.any() else None)
        if v is not None and v.dtype is held.value.dtype
        else v
        for v in several
    ]


def _only(made: Result) -> Value:
    assert isinstance(made, Value)
    return made


def product(b: Builder, x: Value, y: Value, bias: Value | None = None) -> Value | None:
    """``[..., M, K]`` and ``[..., N, K]`` to ``[..., M, N]`` by an integer Dot, if it can be.

    Parameters
    ----------
    b : Builder
    x, y : Value
        f32 of rank 2 at least, leading axes broadcast.
    bias : Value, optional
        f32, added; to be broadcast against the result.

    Returns
    -------
    Value or None
        f32. None where an operand is not known in bytes, has a scale that varies along K, or a
        sum might leave i32.
    """
    p, q = _rows(x), _rows(y)
    if p is None or q is None or min(p.scale.size, q.scale.size) > 1:
        return None
    most = x.shape[-1] * p.most * q.most
    if most >= _LIMIT:
        return None
    factor = p.scale * q.scale.swapaxes(-1, -2)
    whole = _whole(bias, factor, most)
    zeros = b.constant(p.zero), b.constant(q.zero.swapaxes(-1, -2))
    total = multiplied(b, p.value, q.value, *zeros, whole)
    return _real(b, total, b.constant(factor), None if whole is not None else bias)


def _rows(x: Value) -> Scaled | None:
    held = x.scaled
    fits = (
        held is not None
        and held.value.dtype in _BYTES
        and len(x.shape) > 1
        and held.scale.shape[-1] == 1
    )
    return held if fits else None


def convolution(
    b: Builder, x: Value, weight: Value, shape: Convolution, bias: Value | None = None
) -> Value | None:
    """Convolution ``[N, O, ...]`` by an integer Dot, if it can be.

    Parameters
    ----------
    b : Builder
    x, weight : Value
        f32.
    shape : Convolution
    bias : Value, optional
        f32 ``[O]``, added.

    Returns
    -------
    Value or None
        f32. None where an operand is not known in bytes, has a scale that varies along what is
        summed, or a sum might leave i32.
    """
    p, q = x.scaled, weight.scaled
    if p is None or q is None or not {p.value.dtype, q.value.dtype} <= _BYTES.keys():
        return None
    if p.scale.size != 1 or q.scale.size not in {1, q.scale.shape[0]}:
        return None
    most = shape.inner * prod(shape.windows.kernel) * p.most * q.most
    if most >= _LIMIT:
        return None
    factor = p.scale.reshape(-1) * q.scale.reshape(-1)
    whole = _whole(bias, factor, most)
    zeros = b.constant(p.zero.reshape(-1)), b.constant(q.zero.reshape(-1))
    total = convolved_integers(b, p.value, q.value, shape, zeros, whole)
    channel = [-1, *[1] * len(shape.windows.kernel)]
    if bias is not None:
        bias = None if whole is not None else b.reshape(bias, channel)
    return _real(b, total, b.constant(factor.reshape(channel)), bias)


def _whole(bias: Value | None, factor: Array, most: int) -> Value | None:
    """A bias in units of the sums, if it is known in them and the sum with it stays in i32."""
    held = None if bias is None else bias.scaled
    if held is None or held.value.dtype is not DType.I32 or most + held.most >= _LIMIT:
        return None
    return held.value if (held.scale == factor).all() else None


def _real(b: Builder, total: Value, scale: Value, bias: Value | None) -> Value:
    if bias is None:
        return b.map(lambda v, s: v.to(DType.F32) * s, total, scale)
    return b.map(lambda v, s, c: v.to(DType.F32).fma(s, c), total, scale, bias)

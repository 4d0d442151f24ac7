"""Products of 8-bit integers less their zero points, exact in i32.

``sum (x - p)(y - q) = sum x y - q (sum x - K p) - p sum y``: Dot takes i8 or u8 with i8, so a
second operand of u8 is shifted by 128, and its zero point with it.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.rows import batched_rows, cut
from verifiable.frontend.lower.windows import Convolution, patches
from verifiable.graph.vocabulary import DType, Fold

MAX_ROW: Final = 2**16
"""Elements of a row whose products cannot overflow: 2^16 * 255 * 128 < 2^31."""
SHIFT: Final = 128

Product = Callable[[Value, Value], Value]


def is_zero(b: Builder, value: Value) -> bool:
    """Whether a tensor is known to hold zeros only."""
    known = b.known(value)
    return known is not None and not known.any()


def signed(b: Builder, x: Value, zero: Value) -> tuple[Value, Value]:
    """An operand as i8, and its zero point in i32: both less 128 if it was u8."""
    if x.dtype is DType.I8:
        return x, zero
    return (
        b.map(lambda v: (v.to(DType.I32) - SHIFT).to(DType.I8), x),
        b.map(lambda z: z - SHIFT, zero),
    )


def row_sums(b: Builder, x: Value) -> Value:
    """Sum of each row in i32; of constants now, however many they are."""
    known = b.known(x)
    if known is not None:
        return b.constant(np.asarray(known.sum(axis=-1, dtype=np.int32)))
    return b.reduce(b.cast(x, DType.I32), Fold.SUM)


def _pieces(b: Builder, product: Product, x: Value, y: Value) -> Value:
    """Products of rows of any length; sums beyond i32 wrap, as ONNX lets them."""
    length = x.shape[-1]
    total = None
    for start in range(0, max(length, 1), MAX_ROW):
        extent = min(MAX_ROW, length - start)
        part = product(
            cut(b, x, len(x.shape) - 1, start, extent),
            cut(b, y, len(y.shape) - 1, start, extent),
        )
        total = part if total is None else b.map(lambda p, q: p + q, total, part)
    assert total is not None
    return total


def _shifted(b: Builder, total: Value, zero: Value, sums: Value, bias: Value | None) -> Value:
    """``total - zero * sums + bias``; where all but the first are constant, they are one tensor."""
    if is_zero(b, zero):
        return total if bias is None else b.map(lambda v, c: v + c, total, bias)
    if b.known(zero) is None or b.known(sums) is None:
        total = b.map(lambda v, p, s: v - p * s, total, zero, sums)
        return total if bias is None else b.map(lambda v, c: v + c, total, bias)
    offset = b.map(lambda p, s: -(p * s), zero, sums)
    if bias is not None:
        offset = b.map(lambda p, c: p + c, offset, bias)
    return b.map(lambda v, p: v + p, total, offset)


def multiplied(
    b: Builder, x: Value, y: Value, zero_x: Value, zero_y: Value, bias: Value | None = None
) -> Value:
    """``[..., M, K]`` and ``[..., N, K]`` to ``[..., M, N]``.

    Parameters
    ----------
    b : Builder
    x, y : Value
        i8 or u8.
    zero_x, zero_y : Value
        i32, to be broadcast against ``[..., M, 1]`` and ``[..., 1, N]``.
    bias : Value, optional
        i32, added; to be broadcast against the result.
    """
    y, zero_y = signed(b, y, zero_y)
    length = x.shape[-1]
    total = _pieces(b, partial(batched_rows, b), x, y)
    if not is_zero(b, zero_y):
        sums = row_sums(b, x)
        column = b.reshape(sums, [*sums.shape, 1])
        if not is_zero(b, zero_x):
            column = b.map(lambda s, p: s - p * length, column, zero_x)
        total = b.map(lambda v, s, q: v - q * s, total, column, zero_y)
    sums = row_sums(b, y)
    line = b.reshape(sums, [*sums.shape[:-1], 1, sums.shape[-1]])
    return _shifted(b, total, zero_x, line, bias)


def convolved_integers(
    b: Builder,
    x: Value,
    weight: Value,
    shape: Convolution,
    zeros: tuple[Value, Value],
    bias: Value | None = None,
) -> Value:
    """Convolution ``[N, O, ...]`` in i32; padding counts as the zero point of `x`.

    Parameters
    ----------
    b : Builder
    x, weight : Value
        i8 or u8.
    shape : Convolution
    zeros : pair of Value
        i32: ``[1]`` of `x`, ``[1]`` or ``[O]`` of `weight`.
    bias : Value, optional
        i32 ``[O]``, added.
    """
    x, zero_x = signed(b, x, zeros[0])
    groups, outer = shape.groups, shape.outer
    known = b.known(zero_x)
    rows = patches(b, x, shape, 0 if known is None else int(known.reshape(-1)[0]))
    length = rows.shape[2]
    kernels = b.reshape(weight, [groups, outer, length])
    total = b.reshape(
        _pieces(b, b.dot, kernels, rows), [shape.images, groups, outer, rows.shape[1]]
    )
    zero_w = zeros[1]
    if zero_w.type.size > 1:
        zero_w = b.reshape(zero_w, [groups, outer, 1])
    sums = b.reshape(row_sums(b, kernels), [groups, outer, 1])
    counts = b.scalar(length, DType.I32)
    if known is None and (any(shape.windows.before) or any(shape.windows.after)):
        # Padding holds 0, not the zero point: only weights on elements of x count against it.
        ones = b.constant(np.ones((1, *x.shape[1:]), np.int8))
        inside = patches(b, ones, replace(shape, images=1))
        sums = _pieces(b, b.dot, kernels, inside)
        counts = b.reshape(row_sums(b, inside), [groups, 1, rows.shape[1]])
    if not is_zero(b, zero_w):
        sums = b.map(lambda s, q, n: s - q * n, sums, zero_w, counts)
        entries = row_sums(b, rows)
        line = b.reshape(entries, [shape.images, groups, 1, rows.shape[1]])
        total = b.map(lambda v, q, s: v - q * s, total, zero_w, line)
    # Channels in one axis before the rest, so that one Map does it with what comes after.
    places = shape.windows.counts
    ones_each = [1] * len(places)
    total = b.reshape(total, [shape.images, groups * outer, *places])
    sums = b.reshape(sums, [groups * outer, *(places if sums.shape[2] > 1 else ones_each)])
    if bias is not None:
        bias = b.reshape(bias, [groups * outer, *ones_each])
    return _shifted(b, total, b.reshape(zero_x, []), sums, bias)

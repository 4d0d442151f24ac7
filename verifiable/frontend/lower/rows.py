"""Rows: what Reduce and Dot fold must lie along the last axis, contiguous."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.graph.check import broadcast_shape
from verifiable.graph.vocabulary import ARITHMETIC, DType, Fold


def to_rows(b: Builder, x: Value, axes: Sequence[int]) -> Value:
    """Move `axes` to the end and make them one: shape ``[..., K]``.

    Parameters
    ----------
    b : Builder
    x : Value
        Any dtype, any shape.
    axes : sequence of int
        Not negative, each once; none gives rows of one element.
    """
    rank = len(x.shape)
    kept = [a for a in range(rank) if a not in axes]
    folded = sorted(axes)
    moved = x if [*kept, *folded] == list(range(rank)) else b.transpose(x, [*kept, *folded])
    return b.reshape(moved, [*(x.shape[a] for a in kept), prod(x.shape[a] for a in folded)])


def without(shape: Sequence[int], axes: Sequence[int], *, keep: bool) -> list[int]:
    """Shape after a fold of `axes`, which stay as 1 if `keep`.

    >>> without((2, 3, 4), [1], keep=True), without((2, 3, 4), [1], keep=False)
    ([2, 1, 4], [2, 4])
    """
    return [1 if a in axes else e for a, e in enumerate(shape) if keep or a not in axes]


def fold_axes(b: Builder, x: Value, axes: Sequence[int], fold: Fold, *, keep: bool) -> Value:
    """Fold several axes at once; no axis at all folds each element alone."""
    folded = b.reduce(to_rows(b, x, axes), fold)
    return b.reshape(folded, without(x.shape, axes, keep=keep))


def move_axis(b: Builder, x: Value, source: int, target: int) -> Value:
    """Take one axis out and put it in at another place."""
    order = [a for a in range(len(x.shape)) if a != source]
    order.insert(target, source)
    return x if source == target else b.transpose(x, order)


def product(b: Builder, x: Value) -> Value:
    """Multiply along the last axis, in a tree: halves are multiplied until one is left."""
    extent = x.shape[-1]
    lead = x.shape[:-1]
    if not extent:
        return b.expand(b.scalar(1, x.dtype), lead)
    while extent > 1:
        half = extent // 2
        zeros, ones = [0] * len(lead), [1] * len(x.shape)
        left = b.slice(x, [*zeros, 0], [*lead, half], ones)
        right = b.slice(x, [*zeros, half], [*lead, half], ones)
        folded = b.map(lambda p, q: p * q, left, right)
        if extent % 2:
            rest = b.slice(x, [*zeros, extent - 1], [*lead, 1], ones)
            folded = b.concat([folded, rest], -1)
        x, extent = folded, half + extent % 2
    return b.reshape(x, lead)


def cut(b: Builder, x: Value, axis: int, start: int, extent: int) -> Value:
    """`extent` places of one axis, from `start`."""
    starts = [0] * len(x.shape)
    starts[axis] = start
    extents = list(x.shape)
    extents[axis] = extent
    return b.slice(x, starts, extents, [1] * len(x.shape))


def last_swapped(b: Builder, x: Value) -> Value:
    """Last two axes swapped."""
    order = list(range(len(x.shape)))
    order[-2:] = order[:-3:-1]
    made, held = b.transpose(x, order), x.scaled
    if held is None:
        return made
    scale, zero = held.scale.swapaxes(-1, -2), held.zero.swapaxes(-1, -2)
    value = b.transpose(held.value, order)
    return replace(made, scaled=replace(held, value=value, scale=scale, zero=zero))


def batched_rows(b: Builder, x: Value, y: Value) -> Value:
    """``[..., M, K]`` and ``[..., N, K]`` to ``[..., M, N]``, leading axes broadcast.

    Parameters
    ----------
    b : Builder
    x, y : Value
        f32, or i8 or u8 with i8, or both of one other integer type, of rank 2 at least.
    """
    lead = broadcast_shape([x.shape[:-2], y.shape[:-2]])
    assert lead is not None
    shape = [*lead, x.shape[-2], y.shape[-2]]
    if x.dtype is not DType.F32 and x.dtype is y.dtype and x.dtype in ARITHMETIC:
        return b.reshape(_integer_rows(b, x, y), shape)
    if prod(y.shape[:-2]) == 1:
        # One matrix for the whole batch: the batch is more rows.
        left = b.reshape(x, [1, prod(x.shape[:-1]), x.shape[-1]])
        return b.reshape(b.dot(left, b.reshape(y, [1, *y.shape[-2:]])), shape)
    return b.reshape(b.dot(_cyclic(b, x, lead), _cyclic(b, y, lead)), shape)


def _integer_rows(b: Builder, x: Value, y: Value) -> Value:
    """All products, then their sums: integers wrap, which Dot must not."""
    left = b.reshape(x, [*x.shape[:-1], 1, x.shape[-1]])
    right = b.reshape(y, [*y.shape[:-2], 1, *y.shape[-2:]])
    return b.reduce(b.map(lambda p, q: p * q, left, right), Fold.SUM)


def _cyclic(b: Builder, x: Value, lead: tuple[int, ...]) -> Value:
    """Rank 3, such that Dot's batch index modulo its extent is the one broadcasting means."""
    own = (1,) * (len(lead) - len(x.shape) + 2) + x.shape[:-2]
    first = next((i for i, e in enumerate(own) if e != 1), len(own))
    if own[first:] != lead[first:]:
        x = b.expand(x, [*lead, *x.shape[-2:]])
        return b.reshape(x, [prod(lead), *x.shape[-2:]])
    return b.reshape(x, [prod(own), *x.shape[-2:]])

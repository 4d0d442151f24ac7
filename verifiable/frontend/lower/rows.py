"""Rows: what Reduce and Dot fold must lie along the last axis, contiguous."""

from collections.abc import Sequence
from math import prod

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.graph.vocabulary import Fold


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

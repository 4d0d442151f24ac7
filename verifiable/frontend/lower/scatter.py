"""Operators that write to places which an index tensor names.

The machine writes each element once, so every place looks for the updates that name it: a matrix
of places against updates, folded. Where the index is a constant the places are looked up at once.
"""

from collections.abc import Callable
from math import prod
from typing import Final

import numpy as np

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.cut import cut
from verifiable.frontend.lower.elementwise import NARROW, widely
from verifiable.frontend.lower.expression import Expression
from verifiable.frontend.lower.index import axis_back, index_input, last_axis, linear
from verifiable.frontend.lower.made import line
from verifiable.frontend.lower.node import Node, axis_of, lowers
from verifiable.graph.vocabulary import DType, Fold

MOST: Final = 2**26
"""Elements of the largest matrix of places against updates."""

_LEAST: Final = {
    DType.F32: -np.inf,
    DType.I8: -(2**7),
    DType.U8: 0,
    DType.I32: -(2**31),
    DType.I64: -(2**63),
    DType.BOOL: 0,
}
_MOST: Final = {
    DType.F32: np.inf,
    DType.I8: 2**7 - 1,
    DType.U8: 2**8 - 1,
    DType.I32: 2**31 - 1,
    DType.I64: 2**63 - 1,
    DType.BOOL: 1,
}
_REDUCTIONS: Final = frozenset({"none", "add", "mul", "max", "min"})

Combine = Callable[[Expression, Expression], Expression]


def product_of_rows(b: Builder, x: Value) -> Value:
    """Product over the last axis, by halves; the machine has no such fold."""
    extent = x.shape[-1]
    rank = len(x.shape)
    if not extent:
        return b.expand(b.scalar(1, x.dtype), x.shape[:-1])
    while extent > 1:
        half = extent // 2
        product = b.map(
            widely(lambda p, q: p * q),
            cut(b, x, rank - 1, 0, half),
            cut(b, x, rank - 1, half, half),
        )
        odd = [cut(b, x, rank - 1, 2 * half, 1)] if extent % 2 else []
        x = b.concat([product, *odd], -1)
        extent = half + len(odd)
    return b.reshape(x, x.shape[:-1])


def write(b: Builder, node: Node, data: Value, places: Value, updates: Value, how: str) -> Value:
    """Write ``updates [R, J, I]`` at ``places [R, J]`` (or ``[1, J]``) of ``data [R, K, I]``.

    Places are i64 and not negative. Of several updates of one place, `how` tells what becomes:
    ``none`` keeps the last.

    Raises
    ------
    UnsupportedError
        If the matrix of places against updates would be too large.
    """
    rows, extent, inner = data.shape
    count = places.shape[1]
    if how not in _REDUCTIONS:
        raise node.refuse(f"reduces by {how}, wanted one of {', '.join(sorted(_REDUCTIONS))}")
    if data.dtype is DType.BOOL and how != "none":
        raise node.refuse(f"cannot {how} {data.type}")
    if not count or not data.type.size:
        return data
    width = 1 if how == "none" else inner
    if places.shape[0] * extent * count * width > MOST:
        raise node.refuse(
            f"writes {count} updates to {extent} places of {rows * inner}: too large a matrix",
            hint="write fewer at once, or to constant places",
        )
    numbers = b.constant(line(extent).reshape(extent, 1))
    looked_up = b.reshape(places, [places.shape[0], 1, count])
    if how == "none":
        order = b.constant(line(1, count + 1))
        found = b.reduce(
            b.map(lambda at, k, j: at.equals(k).where(j, 0), looked_up, numbers, order), Fold.MAX
        )
        source = b.map(lambda j: j.maximum(1) - 1, found)
        written = b.gather(updates, source)
        return b.map(
            lambda j, new, old: (j > 0).where(new, old),
            b.reshape(found, [found.shape[0], extent, 1]),
            written,
            data,
        )
    hits = b.map(lambda at, k: at.equals(k), looked_up, numbers)
    hits = b.reshape(hits, [hits.shape[0], extent, 1, count])
    terms = b.reshape(b.transpose(updates, [0, 2, 1]), [rows, 1, inner, count])
    return _folded(b, data, hits, terms, how)


def _folded(b: Builder, data: Value, hits: Value, terms: Value, how: str) -> Value:
    dtype = data.dtype
    if dtype in NARROW:
        wide = (b.cast(v, DType.I32) for v in (data, terms))
        return b.cast(_folded(b, next(wide), hits, next(wide), how), dtype)
    neutral = {"add": 0, "mul": 1, "max": _LEAST[dtype], "min": _MOST[dtype]}[how]
    chosen = b.map(lambda hit, new: hit.where(new, neutral), hits, terms)
    if how == "mul":
        return b.map(lambda old, new: old * new, data, product_of_rows(b, chosen))
    fold, combine = {
        "add": (Fold.SUM, Expression.__add__),
        "max": (Fold.MAX, Expression.maximum),
        "min": (Fold.MIN, Expression.minimum),
    }[how]
    return b.map(combine, data, b.reduce(chosen, fold))


def _wrapped(b: Builder, index: Value, extent: int) -> Value:
    return b.map(lambda i: (i < 0).where(i + extent, i), b.cast(index, DType.I64))


@lowers("ScatterElements", "Scatter")
def scatter_elements(b: Builder, node: Node) -> Value:
    """Write one element along one axis for each element of the index."""
    data, index, updates = node.input(0), index_input(node, 1), node.input(2)
    if len(index.shape) != len(data.shape) or index.shape != updates.shape or not data.shape:
        raise node.refuse(f"cannot write {updates.type} at {index.type} of {data.type}")
    if updates.dtype is not data.dtype:
        raise node.refuse(f"cannot write {updates.type} to {data.type}")
    axis = axis_of(node, int(node.attribute("axis", 0)), len(data.shape))
    how = str(node.attribute("reduction", "none"))
    # Rows that the index does not reach stay as they are.
    part = data
    for i, extent in enumerate(index.shape):
        if i == axis:
            continue
        if extent > data.shape[i]:
            raise node.refuse(f"cannot write at {index.type} of {data.type}")
        part = cut(b, part, i, 0, extent)
    rows, places, new = (last_axis(b, v, axis) for v in (part, index, updates))
    count = prod(rows.shape[:-1])
    written = write(
        b,
        node,
        b.reshape(rows, [count, rows.shape[-1], 1]),
        b.reshape(_wrapped(b, places, rows.shape[-1]), [count, places.shape[-1]]),
        b.reshape(new, [count, new.shape[-1], 1]),
        how,
    )
    result = axis_back(b, b.reshape(written, rows.shape), axis)
    return surrounded(b, result, data)


def surrounded(b: Builder, corner: Value, data: Value) -> Value:
    """`data` with its first corner replaced."""
    for axis in range(len(data.shape)):
        reached, extent = corner.shape[axis], data.shape[axis]
        if reached < extent:
            rest = data
            for i in range(axis + 1, len(data.shape)):
                rest = cut(b, rest, i, 0, corner.shape[i])
            corner = b.concat([corner, cut(b, rest, axis, reached, extent - reached)], axis)
    return corner


@lowers("ScatterND")
def scatter_nd(b: Builder, node: Node) -> Value:
    """Write one slice for each row of the index."""
    data, index, updates = node.input(0), index_input(node, 1), node.input(2)
    depth = index.shape[-1] if index.shape else 0
    named, rest = data.shape[:depth], data.shape[depth:]
    if (
        not index.shape
        or depth > len(data.shape)
        or updates.shape != (*index.shape[:-1], *rest)
        or updates.dtype is not data.dtype
    ):
        raise node.refuse(f"cannot write {updates.type} at {index.type} of {data.type}")
    count = prod(index.shape[:-1])
    written = write(
        b,
        node,
        b.reshape(data, [1, prod(named), prod(rest)]),
        b.reshape(linear(b, index, named), [1, count]),
        b.reshape(updates, [1, count, prod(rest)]),
        str(node.attribute("reduction", "none")),
    )
    return b.reshape(written, data.shape)


@lowers("TensorScatter")
def tensor_scatter(b: Builder, node: Node) -> Value:
    """Write a run of places along one axis, from a start of each in the batch."""
    cache, update = node.input(0), node.input(1)
    rank = len(cache.shape)
    axis = axis_of(node, int(node.attribute("axis", -2)), rank)
    mode = node.attribute("mode", "linear")
    extent, count = cache.shape[axis], (*update.shape, *[0] * rank)[axis]
    if (
        axis == 0
        or mode not in {"linear", "circular"}
        or count > extent
        or update.dtype is not cache.dtype
        or update.shape != (*cache.shape[:axis], count, *cache.shape[axis + 1 :])
    ):
        raise node.refuse(f"cannot write {update.type} to {cache.type}, axis {axis}, {mode}")
    batch, middle = cache.shape[0], prod(cache.shape[1:axis])
    starts = node.optional(2)
    start = b.cast(starts, DType.I64) if starts is not None else b.scalar(0, DType.I64)
    if start.shape not in {(), (batch,)}:
        raise node.refuse(f"has write_indices {start.type} for a batch of {batch}")
    start = b.reshape(b.expand(start, [batch]), [batch, 1, 1])

    def source(place: Expression, first: Expression) -> Expression:
        offset = place - first
        if mode == "circular":
            offset = offset % extent
            offset = (offset < 0).where(offset + extent, offset)
        # -1 stands for a place that is not written.
        return ((offset >= 0) & (offset < count)).where(offset, -1)

    found = b.map(source, b.constant(line(extent)), start)
    found = b.reshape(b.expand(found, [batch, middle, extent]), [batch * middle, extent])
    inner = prod(cache.shape[axis + 1 :])
    new = b.gather(
        b.reshape(update, [batch * middle, count, inner]), b.map(lambda j: j.maximum(0), found)
    )
    written = b.map(
        lambda j, after, before: (j >= 0).where(after, before),
        b.reshape(found, [batch * middle, extent, 1]),
        new,
        b.reshape(cache, [batch * middle, extent, inner]),
    )
    return b.reshape(written, cache.shape)

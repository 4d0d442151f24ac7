"""Operators that depend on the order of elements: extrema, sorting, running totals."""

from collections.abc import Sequence
from math import prod
from typing import Final

import numpy as np

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.cut import cut
from verifiable.frontend.lower.elementwise import NARROW, NUMBERS, widely
from verifiable.frontend.lower.expression import Expression
from verifiable.frontend.lower.index import axis_back, last_axis
from verifiable.frontend.lower.made import afford, line
from verifiable.frontend.lower.node import Node, axis_of, lowers
from verifiable.graph.vocabulary import DType, Fold, Scalar

PAIRWISE: Final = 2048
"""Longest row of i64 whose elements are compared in pairs."""

_WORD: Final = 32
_LOW: Final = 2**_WORD - 1
_LEAST: Final = -(2**63)


@lowers("ArgMax", "ArgMin")
def arg_extremum(b: Builder, node: Node) -> Value:
    """Place of an extremum along one axis."""
    x = node.input(0)
    axis = axis_of(node, int(node.attribute("axis", 0)), len(x.shape))
    if not x.shape or not x.shape[axis] or x.dtype not in NUMBERS:
        raise node.refuse(f"takes numbers along axis {axis}, got {x.type}")
    if x.dtype is DType.F32:
        x = b.map(lambda v: v + 0.0, x)  # the fold tells -0 from 0, ONNX does not
    rows = last_axis(b, x, axis)
    extent = rows.shape[-1]
    last = bool(node.attribute("select_last_index", 0))
    if last:
        rows = cut(b, rows, len(rows.shape) - 1, extent - 1, extent, -1)
    place = b.reduce(rows, Fold.ARGMAX if node.op == "ArgMax" else Fold.ARGMIN)
    if last:
        place = b.map(lambda i: extent - 1 - i, place)
    if not node.attribute("keepdims", 1):
        return place
    return b.reshape(place, [1 if i == axis else e for i, e in enumerate(x.shape)])


@lowers("TopK")
def top_k(b: Builder, node: Node) -> Sequence[Value]:
    """The k largest or smallest along one axis, in order, and their places."""
    x, count = node.input(0), node.integer(1)
    axis = axis_of(node, int(node.attribute("axis", -1)), len(x.shape))
    rows = last_axis(b, x, axis)
    extent = rows.shape[-1] if rows.shape else 0
    if not 0 <= count <= extent or x.dtype not in NUMBERS:
        raise node.refuse(f"takes {count} of {extent} elements of {x.type}")
    flat = b.reshape(rows, [prod(rows.shape[:-1]), extent])
    largest = bool(node.attribute("largest", 1))
    if not flat.type.size or not count:
        place = b.constant(np.zeros((flat.shape[0], count), np.int64))
    elif x.dtype is DType.I64:
        place = _by_pairs(b, node, flat, count, largest)
    else:
        place = b.map(lambda key: (key & _LOW) ^ _LOW, _largest(b, _keys(b, flat, largest), count))
    value = b.gather(b.reshape(flat, [*flat.shape, 1]), place)
    shape = [*rows.shape[:-1], count]
    return [axis_back(b, b.reshape(v, shape), axis) for v in (value, place)]


def _keys(b: Builder, x: Value, largest: bool) -> Value:
    """Distinct i64 in the order asked for: the element's above, its place below, first wins."""

    def key(v: Expression, below: Expression) -> Expression:
        if v.dtype is DType.F32:
            # Bits of floats order as integers do, once those of negative ones are turned over;
            # 0 is added since -0 equals 0, and NaN is above all.
            bits = (v + 0.0).apply(Scalar.BITS_OF_F32)
            order = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).to(DType.I64)
        else:
            order = v.to(DType.I64)
        return ((order if largest else -order) << _WORD) | below

    # The place's bits are turned over, so that of equal elements the first has the larger key.
    below = line(x.shape[-1]) ^ _LOW
    return b.map(key, x, b.constant(below))


def _largest(b: Builder, keys: Value, count: int) -> Value:
    """The `count` largest keys of each row, falling: one at a time, or all by a network."""
    rows, extent = keys.shape
    levels = (extent - 1).bit_length()
    if count <= max(levels * (levels + 1) // 2, 1):
        found = [b.reduce(keys, Fold.MAX)]
        while len(found) < count:
            last = b.reshape(found[-1], [rows, 1])
            below = b.map(lambda key, least: (key < least).where(key, _LEAST), keys, last)
            found.append(b.reduce(below, Fold.MAX))
        return b.concat([b.reshape(f, [rows, 1]) for f in found], 1)
    padded = b.pad(keys, [0, 0], [0, (1 << levels) - extent], _LEAST)
    return cut(b, _sorted(b, padded, levels), 1, 0, count)


def _sorted(b: Builder, keys: Value, levels: int) -> Value:
    """Rows of 2**levels keys, falling, by Batcher's bitonic network.

    References
    ----------
    Batcher, "Sorting networks and their applications", AFIPS 1968.
    """
    rows, extent = keys.shape
    afford([levels * (levels + 1) // 2, -(-extent // 8)])
    places = line(extent)
    for block in range(1, levels + 1):
        for distance in range(block - 1, -1, -1):
            apart = b.reshape(keys, [rows, extent >> (distance + 1), 2, 1 << distance])
            partner = b.reshape(cut(b, apart, 2, 1, 2, -1), [rows, extent])
            falls = (places >> block) & 1 == 0
            first = (places >> distance) & 1 == 0
            keys = b.map(
                lambda larger, key, other: larger.where(key.maximum(other), key.minimum(other)),
                b.constant(falls == first),
                keys,
                partner,
            )
    return keys


def _by_pairs(b: Builder, node: Node, x: Value, count: int, largest: bool) -> Value:
    """Places of the first `count`, each by how many elements come before it."""
    rows, extent = x.shape
    if extent > PAIRWISE:
        raise node.refuse(
            f"sorts rows of {extent} int64, wanted at most {PAIRWISE}", hint="cast them to int32"
        )
    earlier = b.constant(np.tri(extent, k=-1, dtype=np.bool_))  # [own, other]

    def before(own: Expression, other: Expression, tie: Expression) -> Expression:
        beats = own < other if largest else other < own
        return (beats | (tie & own.equals(other))).to(DType.I64)

    own, other = b.reshape(x, [rows, extent, 1]), b.reshape(x, [rows, 1, extent])
    rank = b.reduce(b.map(before, own, other, earlier), Fold.SUM)
    wanted = b.constant(line(count).reshape(count, 1))
    at = b.map(lambda r, w: r.equals(w), b.reshape(rank, [rows, 1, extent]), wanted)
    return b.reduce(at, Fold.ARGMAX)


@lowers("CumSum", "CumProd")
def cumulative(b: Builder, node: Node) -> Value:
    """Running totals along one axis, in log2(extent) rounds of adding what lies before."""
    x = node.input(0)
    axis = axis_of(node, node.integer(1), len(x.shape))
    if x.dtype not in NUMBERS or not x.shape:
        raise node.refuse(f"takes numbers along an axis, got {x.type}")
    dtype = x.dtype
    rows = last_axis(b, b.cast(x, DType.I32) if dtype in NARROW else x, axis)
    end, extent = len(rows.shape) - 1, rows.shape[-1]
    backwards = bool(node.attribute("reverse", 0)) and extent > 0
    neutral = 1 if node.op == "CumProd" else 0
    if backwards:
        rows = cut(b, rows, end, extent - 1, extent, -1)
    if node.attribute("exclusive", 0):
        rows = _later(b, rows, 1, neutral)
    distance = 1
    while distance < extent:
        combine = Expression.__mul__ if neutral else Expression.__add__
        rows = b.map(widely(combine), rows, _later(b, rows, distance, neutral))
        distance *= 2
    if backwards:
        rows = cut(b, rows, end, extent - 1, extent, -1)
    return b.cast(axis_back(b, rows, axis), dtype)


def _later(b: Builder, rows: Value, distance: int, fill: int) -> Value:
    """Each row moved on by `distance` places, `fill` before it."""
    end, extent = len(rows.shape) - 1, rows.shape[-1]
    kept = cut(b, rows, end, 0, max(extent - distance, 0))
    before = [0] * end + [min(distance, extent)]
    return b.pad(kept, before, [0] * (end + 1), fill)

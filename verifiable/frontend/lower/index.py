"""Operators that read places which an index tensor names."""

from math import prod

import numpy as np

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.cut import cut, take, take_known
from verifiable.frontend.lower.elementwise import NUMBERS
from verifiable.frontend.lower.expression import Expression
from verifiable.frontend.lower.made import line
from verifiable.frontend.lower.node import Node, axis_of, lowers
from verifiable.frontend.lower.views import row_major
from verifiable.graph.vocabulary import DType, Fold

INDEX: frozenset[DType] = frozenset({DType.I32, DType.I64})


def index_input(node: Node, i: int) -> Value:
    """Input `i`, which must be i32 or i64.

    Raises
    ------
    UnsupportedError
        If it is not.
    """
    value = node.input(i)
    if value.dtype not in INDEX:
        raise node.refuse(f"input {i} is {value.type}, wanted int32 or int64")
    return value


def last_axis(b: Builder, x: Value, axis: int) -> Value:
    """With one axis moved to the end."""
    return b.transpose(x, [*(i for i in range(len(x.shape)) if i != axis), axis])


def axis_back(b: Builder, x: Value, axis: int) -> Value:
    """With the last axis moved to `axis`; undoes `last_axis`."""
    rank = len(x.shape)
    order = list(range(rank - 1))
    order.insert(axis, rank - 1)
    return b.transpose(x, order)


@lowers("Gather")
def gather(b: Builder, node: Node) -> Value:
    """Slices along one axis, one for each index."""
    x, index = node.input(0), index_input(node, 1)
    axis = axis_of(node, int(node.attribute("axis", 0)), len(x.shape))
    if not x.shape:
        raise node.refuse("has no axis to read along")
    extent = x.shape[axis]
    known = b.known(index)
    if known is not None:
        if ((known < -extent) | (known >= extent)).any():
            raise node.refuse(f"reads beyond axis {axis} of {x.type}")
        found = take_known(b, x, axis, np.where(known < 0, known + extent, known).reshape(-1))
    else:
        found = take(b, x, axis, index)
    return b.reshape(found, [*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]])


@lowers("GatherElements")
def gather_elements(b: Builder, node: Node) -> Value:
    """One element along one axis for each element of the index."""
    x, index = node.input(0), index_input(node, 1)
    axis = axis_of(node, int(node.attribute("axis", 0)), len(x.shape))
    if len(index.shape) != len(x.shape) or any(
        j > k for i, (j, k) in enumerate(zip(index.shape, x.shape, strict=True)) if i != axis
    ):
        raise node.refuse(f"cannot read {x.type} by {index.type}")
    for i, extent in enumerate(index.shape):
        if i != axis:
            x = cut(b, x, i, 0, extent)
    rows, places = last_axis(b, x, axis), last_axis(b, index, axis)
    count = prod(places.shape[:-1])
    found = b.gather(
        b.reshape(rows, [count, rows.shape[-1], 1]), b.reshape(places, [count, places.shape[-1]])
    )
    return axis_back(b, b.reshape(found, places.shape), axis)


def linear(b: Builder, index: Value, extents: tuple[int, ...]) -> Value:
    """Row-major number of the places that rows of `index` name, ``[..., k]`` to ``[...]``.

    Negative coordinates count from the end.
    """
    strides = b.constant(np.array(row_major(extents), np.int64))
    sizes = b.constant(np.array(extents, np.int64))

    def term(i: Expression, stride: Expression, extent: Expression) -> Expression:
        return (i < 0).where(i + extent, i) * stride

    return b.reduce(b.map(term, b.cast(index, DType.I64), strides, sizes), Fold.SUM)


@lowers("GatherND")
def gather_nd(b: Builder, node: Node) -> Value:
    """Slices, one for each row of the index."""
    x, index = node.input(0), index_input(node, 1)
    batch = int(node.attribute("batch_dims", 0))
    if not 0 <= batch < len(index.shape) or x.shape[:batch] != index.shape[:batch]:
        raise node.refuse(f"cannot read {x.type} by {index.type} with {batch} batch axes")
    depth = index.shape[-1]
    if batch + depth > len(x.shape):
        raise node.refuse(f"names {depth} coordinates of {x.type}")
    named, rest = x.shape[batch : batch + depth], x.shape[batch + depth :]
    places = linear(b, index, named)
    outer = prod(x.shape[:batch])
    found = b.gather(
        b.reshape(x, [outer, prod(named), prod(rest)]),
        b.reshape(places, [outer, prod(index.shape[batch:-1])]),
    )
    return b.reshape(found, [*index.shape[:-1], *rest])


@lowers("ArrayFeatureExtractor", domain="ai.onnx.ml")
def array_feature_extractor(b: Builder, node: Node) -> Value:
    """Places along the last axis."""
    x, index = node.input(0), index_input(node, 1)
    if not x.shape:
        raise node.refuse("has no axis to read along")
    found = take(b, x, len(x.shape) - 1, index)
    return b.reshape(found, [1, index.type.size]) if len(x.shape) == 1 else found


@lowers("OneHot")
def one_hot(b: Builder, node: Node) -> Value:
    """One value where an index says so, another elsewhere."""
    index, values = node.input(0), node.input(2)
    if index.dtype not in NUMBERS or values.shape != (2,):
        raise node.refuse(f"takes indices {index.type} and values {values.type}")
    depth = node.integer(1)
    axis = axis_of(node, int(node.attribute("axis", -1)), len(index.shape) + 1)
    places = line(depth)

    def hit(i: Expression, place: Expression) -> Expression:
        return (i < 0).where(i + depth, i).equals(place)

    hits = b.map(hit, b.reshape(b.cast(index, DType.I64), [*index.shape, 1]), b.constant(places))
    off, on = (cut(b, values, 0, i, 1) for i in range(2))
    return axis_back(b, b.map(lambda h, x, y: h.where(x, y), hits, on, off), axis)


@lowers("Compress")
def compress(b: Builder, node: Node) -> Value:
    """Places that a constant condition names."""
    x, axis = node.input(0), node.attribute("axis")
    if axis is None:
        x, axis = b.reshape(x, [x.type.size]), 0
    axis = axis_of(node, int(axis), len(x.shape))
    places = np.flatnonzero(node.known(1).reshape(-1))
    if len(places) and places[-1] >= x.shape[axis]:
        raise node.refuse(f"reads beyond axis {axis} of {x.type}")
    return take_known(b, x, axis, places)


@lowers("NonZero")
def non_zero(b: Builder, node: Node) -> Value:
    """Coordinates of what is not zero in a constant."""
    x = node.known(0)
    return b.constant(np.array(np.nonzero(np.atleast_1d(x)), np.int64).reshape(max(x.ndim, 1), -1))

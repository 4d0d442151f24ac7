"""Softmax and its kin: four instructions, the last two of which an engine may fuse."""

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.made import line
from verifiable.frontend.lower.node import Node, axis_of, lowers
from verifiable.frontend.lower.rows import move_axis
from verifiable.graph.vocabulary import DType, Fold


def softmax_rows(b: Builder, x: Value) -> Value:
    """Softmax along the last axis: Reduce MAX, Map ``exp(x - m)``, Reduce SUM, Map ``e / s``."""
    column = [*x.shape[:-1], 1]
    most = b.reshape(b.reduce(x, Fold.MAX), column)
    apart = b.map(lambda v, m: (v - m).exp(), x, most)
    total = b.reshape(b.reduce(apart, Fold.SUM), column)
    return b.map(lambda e, s: e / s, apart, total)


def log_softmax_rows(b: Builder, x: Value) -> Value:
    """Logarithm of softmax along the last axis, without leaving the logarithm."""
    column = [*x.shape[:-1], 1]
    most = b.reshape(b.reduce(x, Fold.MAX), column)
    below = b.map(lambda v, m: v - m, x, most)
    total = b.reshape(b.reduce(b.map(lambda v: v.exp(), below), Fold.SUM), column)
    return b.map(lambda v, s: v - s.log(), below, total)


def _hardmax_rows(b: Builder, x: Value) -> Value:
    place = b.reshape(b.reduce(x, Fold.ARGMAX), [*x.shape[:-1], 1])
    count = b.constant(line(x.shape[-1]), DType.I64)
    return b.map(lambda p, i: p.equals(i).to(DType.F32), place, count)


@lowers("Softmax", "LogSoftmax", "Hardmax")
def softmax(b: Builder, node: Node) -> Value:
    """One axis, moved to the end and back."""
    x = node.float_input(0)
    rank = len(x.shape)
    axis = axis_of(node, node.attribute("axis", -1), rank)
    if not rank or not x.type.size:
        raise node.refuse(f"of {x.type}, wanted at least one axis and one element")
    rows = move_axis(b, x, axis, rank - 1)
    of_rows = {"Softmax": softmax_rows, "LogSoftmax": log_softmax_rows, "Hardmax": _hardmax_rows}
    return move_axis(b, of_rows[node.op](b, rows), rank - 1, axis)

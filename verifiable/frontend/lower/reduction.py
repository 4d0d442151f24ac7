"""Operators that fold axes of one tensor."""

from dataclasses import dataclass
from math import prod
from typing import Final

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.expression import Function
from verifiable.frontend.lower.node import Node, axis_of, lowers
from verifiable.frontend.lower.rows import fold_axes, product, to_rows, without
from verifiable.graph.vocabulary import ARITHMETIC, DType, Fold

_EXTREMES: Final = {
    DType.F32: (float("-inf"), float("inf")),
    DType.I8: (-(2**7), 2**7 - 1),
    DType.U8: (0, 2**8 - 1),
    DType.I32: (-(2**31), 2**31 - 1),
    DType.I64: (-(2**63), 2**63 - 1),
    DType.BOOL: (False, True),
}
"""Least and greatest element: what MAX and MIN of nothing are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """A sum, and what is done to each element before and to each sum after it."""

    before: Function | None = None
    after: Function | None = None


_SUMS: Final = {
    "ReduceSum": _Around(),
    "ReduceL1": _Around(before=abs),
    "ReduceL2": _Around(before=lambda x: x * x, after=lambda s: s.to(DType.F32).sqrt()),
    "ReduceSumSquare": _Around(before=lambda x: x * x),
    "ReduceLogSum": _Around(after=lambda s: s.log()),
}
_FLOATS_ONLY: Final = frozenset({"ReduceLogSum", "ReduceLogSumExp"})


def reduced_axes(node: Node, rank: int) -> list[int]:
    """Axes to fold, in order: given by attribute before opset 18 (ReduceSum: 13), by input since.

    Raises
    ------
    UnsupportedError
        If they depend on the model's input or lie outside.
    """
    given = node.ints(1) if node.has(1) else [int(a) for a in node.attribute("axes", [])]
    if not given:
        return [] if node.attribute("noop_with_empty_axes", 0) else list(range(rank))
    return sorted({axis_of(node, a, rank) for a in given})


@lowers(*_SUMS)
def sums(b: Builder, node: Node) -> Value:
    """A sum with a function before or after it."""
    x = _arithmetic(node)
    around = _SUMS[node.op]
    axes = reduced_axes(node, len(x.shape))
    keep = bool(node.attribute("keepdims", 1))
    before = b.map(around.before, x) if around.before else x
    total = fold_axes(b, before, axes, Fold.SUM, keep=keep) if axes else before
    if around.after is None:
        return total
    return b.cast(b.map(around.after, total), x.dtype)


@lowers("ReduceMean")
def mean(b: Builder, node: Node) -> Value:
    """Sum over count; of integers, truncated."""
    x = _arithmetic(node)
    axes = reduced_axes(node, len(x.shape))
    if not axes:
        return x
    total = fold_axes(b, x, axes, Fold.SUM, keep=bool(node.attribute("keepdims", 1)))
    count = prod(x.shape[a] for a in axes)
    return b.map(lambda s: s / count, total)


@lowers("ReduceLogSumExp")
def log_sum_exp(b: Builder, node: Node) -> Value:
    """``max + log(sum(exp(x - max)))``, which overflows only where the result does."""
    x = _arithmetic(node)
    axes = reduced_axes(node, len(x.shape))
    keep = bool(node.attribute("keepdims", 1))
    if not prod(x.shape[a] for a in axes):
        return b.expand(b.scalar(float("-inf")), without(x.shape, axes, keep=keep))
    rows = to_rows(b, x, axes)
    most = b.reduce(rows, Fold.MAX)
    # An infinite maximum would give inf - inf.
    safe = b.map(lambda m: abs(m).equals(float("inf")).where(0.0, m), most)
    apart = b.map(lambda v, m: (v - m).exp(), rows, b.reshape(safe, [*safe.shape, 1]))
    total = b.map(lambda s, m: s.log() + m, b.reduce(apart, Fold.SUM), safe)
    return b.reshape(total, without(x.shape, axes, keep=keep))


@lowers("ReduceProd")
def products(b: Builder, node: Node) -> Value:
    """Multiply in a tree of halves."""
    x = _arithmetic(node)
    axes = reduced_axes(node, len(x.shape))
    if not axes:
        return x
    shape = without(x.shape, axes, keep=bool(node.attribute("keepdims", 1)))
    return b.reshape(product(b, to_rows(b, x, axes)), shape)


@lowers("ReduceMax", "ReduceMin")
def extremes(b: Builder, node: Node) -> Value:
    """MAX or MIN; of nothing, the least or greatest element there is."""
    x = node.input(0)
    axes = reduced_axes(node, len(x.shape))
    if not axes:
        return x
    keep = bool(node.attribute("keepdims", 1))
    most = node.op == "ReduceMax"
    if not prod(x.shape[a] for a in axes):
        bound = _EXTREMES[x.dtype][0 if most else 1]
        return b.expand(b.scalar(bound, x.dtype), without(x.shape, axes, keep=keep))
    return fold_axes(b, x, axes, Fold.MAX if most else Fold.MIN, keep=keep)


def _arithmetic(node: Node) -> Value:
    x = node.input(0)
    wanted = {DType.F32} if node.op in _FLOATS_ONLY else ARITHMETIC
    if x.dtype not in wanted:
        raise node.refuse(f"does not take {x.type}", hint="cast it to float or int32 first")
    return x

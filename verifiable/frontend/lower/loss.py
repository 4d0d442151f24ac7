"""Losses, as plain functions of scores and labels."""

from collections.abc import Sequence
from math import prod

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.node import Node, lowers
from verifiable.frontend.lower.rows import move_axis
from verifiable.frontend.lower.softmax import log_softmax_rows
from verifiable.graph.vocabulary import DType, Fold


@lowers("SoftmaxCrossEntropyLoss")
def softmax_cross_entropy(b: Builder, node: Node) -> Sequence[Value | None]:
    """Negative log-likelihood of the softmax, and its logarithm."""
    scores = node.float_input(0)
    _checked(node, scores)
    rows = log_softmax_rows(b, move_axis(b, scores, 1, len(scores.shape) - 1))
    logarithm = None
    if node.wants(1):
        logarithm = move_axis(b, rows, len(scores.shape) - 1, 1)
    return [_likelihood(b, node, rows), logarithm]


@lowers("NegativeLogLikelihoodLoss")
def negative_log_likelihood(b: Builder, node: Node) -> Value:
    """Of logarithms of probabilities, classes on axis 1."""
    scores = node.float_input(0)
    _checked(node, scores)
    return _likelihood(b, node, move_axis(b, scores, 1, len(scores.shape) - 1))


def _checked(node: Node, scores: Value) -> None:
    labels = node.input(1)
    if len(scores.shape) < 2 or labels.shape != (scores.shape[0], *scores.shape[2:]):
        raise node.refuse(f"labels are {labels.type} for scores {scores.type}")
    if labels.dtype not in {DType.I32, DType.I64} or not scores.type.size:
        raise node.refuse(f"labels are {labels.type} for scores {scores.type}")
    if node.has(2) and node.float_input(2).shape != (scores.shape[1],):
        raise node.refuse(f"weights are {node.input(2).type}, wanted {scores.shape[1]}")


def _likelihood(b: Builder, node: Node, rows: Value) -> Value:
    """Loss of rows ``[..., C]`` of logarithms."""
    labels = node.input(1)
    classes, count = rows.shape[-1], labels.type.size
    index = b.reshape(labels, [count, 1])
    chosen = b.reshape(b.gather(b.reshape(rows, [count, classes, 1]), index), [count])
    flat = b.reshape(labels, [count])
    ignored = node.attribute("ignore_index")
    weights = None
    if node.has(2):
        table = b.reshape(node.input(2), [1, classes, 1])
        weights = b.reshape(b.gather(table, b.reshape(labels, [1, count])), [count])
    if ignored is not None:
        kept = b.map(lambda t: (~t.equals(int(ignored))).to(DType.F32), flat)
        weights = (
            kept
            if weights is None
            else b.map(lambda w, t: t.equals(int(ignored)).where(0.0, w), weights, flat)
        )
    if weights is None:
        losses = b.map(lambda v: -v, chosen)
    else:
        # What is ignored may be infinite.
        losses = b.map(lambda v, w: w.equals(0.0).where(0.0, -v * w), chosen, weights)
    reduction = node.attribute("reduction", "mean")
    if reduction == "none":
        return b.reshape(losses, labels.shape)
    if reduction not in {"mean", "sum"}:
        raise node.refuse(f"reduction is {reduction}", hint="use none, sum or mean")
    total = b.reduce(losses, Fold.SUM)
    if reduction == "sum":
        return total
    if weights is None:
        return b.map(lambda s: s / float(prod(labels.shape)), total)
    return b.map(lambda s, w: s / w, total, b.reduce(weights, Fold.SUM))

"""Operators that count words."""

from collections.abc import Iterator, Sequence

import numpy as np

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.expression import Expression
from verifiable.frontend.lower.made import afford, line
from verifiable.frontend.lower.node import Node, lowers
from verifiable.frontend.lower.scatter import MOST
from verifiable.graph.vocabulary import DType, Fold

Gram = tuple[int, tuple[int, ...]]
"""Place among all n-grams of a pool, and the words."""


def _grams(node: Node) -> Iterator[tuple[int, list[Gram]]]:
    """The n-grams of a pool, length by length."""
    pool = [int(v) for v in node.attribute("pool_int64s", [])]
    starts = [int(v) for v in node.attribute("ngram_counts", [])]
    if not pool or not starts:
        raise node.refuse("has no pool of integers", hint="map words to integers first")
    place = 0
    for length, (start, stop) in enumerate(
        zip(starts, [*starts[1:], len(pool)], strict=True), start=1
    ):
        if not 0 <= start <= stop <= len(pool) or (stop - start) % length:
            raise node.refuse(f"cuts a pool of {len(pool)} at {starts}")
        words = [tuple(pool[i : i + length]) for i in range(start, stop, length)]
        yield length, list(enumerate(words, start=place))
        place += len(words)


@lowers("TfIdfVectorizer")
def tf_idf(b: Builder, node: Node) -> Value:
    """How often each n-gram of a pool occurs, skips between its words allowed."""
    x = node.input(0)
    if x.dtype not in {DType.I32, DType.I64} or len(x.shape) not in {1, 2} or not x.shape[-1]:
        raise node.refuse(f"takes rows of integers, got {x.type}")
    columns = [int(v) for v in node.attribute("ngram_indexes", [])]
    lengths = range(
        int(node.attribute("min_gram_length")), int(node.attribute("max_gram_length")) + 1
    )
    mode = node.attribute("mode")
    if mode not in {"TF", "IDF", "TFIDF"}:
        raise node.refuse(f"has mode {mode}, wanted TF, IDF or TFIDF")
    rows = b.reshape(b.cast(x, DType.I64), [-1, x.shape[-1]])
    parts: list[Value] = []
    targets: list[int] = []
    weights = [float(w) for w in node.attribute("weights", [])] or [1.0] * len(columns)
    factors: list[float] = []
    for length, grams in _grams(node):
        if not grams or length not in lengths:
            continue
        if grams[-1][0] >= min(len(columns), len(weights)):
            raise node.refuse("has fewer ngram_indexes or weights than n-grams")
        parts.append(_counts(b, node, rows, [words for _, words in grams]))
        targets += [columns[place] for place, _ in grams]
        factors += [weights[place] for place, _ in grams]
    extent = max(columns, default=-1) + 1
    if not parts:
        return b.expand(b.scalar(0.0), [*x.shape[:-1], extent])
    if len(set(targets)) < len(targets) or min(targets) < 0:
        raise node.refuse(f"has ngram_indexes {columns}, wanted each once")
    found = _scaled(b, b.concat(parts, 1), factors, mode)
    # Columns that no n-gram is mapped to read beyond the end, which gives 0.
    afford([extent])
    order = np.full(extent, len(targets), np.int64)
    order[targets] = line(len(targets))
    placed = b.gather(
        b.reshape(found, [rows.shape[0], len(targets), 1]), b.constant(order.reshape(1, -1))
    )
    return b.reshape(placed, [*x.shape[:-1], extent])


def _scaled(b: Builder, counts: Value, factors: Sequence[float], mode: str) -> Value:
    def scaled(count: Expression, factor: Expression) -> Expression:
        number = count.minimum(1) if mode == "IDF" else count
        return number.to(DType.F32) * factor

    ones = [1.0] * len(factors)
    return b.map(
        scaled, counts, b.constant(np.array(ones if mode == "TF" else factors, np.float32))
    )


def _counts(b: Builder, node: Node, x: Value, words: Sequence[tuple[int, ...]]) -> Value:
    """How often each n-gram occurs in each row of `x`, ``[rows, len(words)]``, i64."""
    rows, extent = x.shape
    length = len(words[0])
    pool = b.constant(np.array(words, np.int64).reshape(len(words), 1, length))
    # One word has nothing to skip.
    skips = range(1, int(node.attribute("max_skip_count")) + 2) if length > 1 else range(1, 2)
    total: Value | None = None
    for skip in skips:
        places = extent - skip * (length - 1)
        if places <= 0:
            break
        if rows * len(words) * places * length > MOST:
            raise node.refuse(f"counts {len(words)} n-grams in {x.type}: too many to compare")
        windows = b.view(x, [rows, 1, places, length], [extent, 0, 1, skip])
        same = b.reduce(b.map(Expression.equals, windows, pool), Fold.MIN)
        count = b.reduce(b.cast(same, DType.I64), Fold.SUM)
        total = count if total is None else b.map(Expression.__add__, total, count)
    return total if total is not None else b.constant(np.zeros((rows, len(words)), np.int64))

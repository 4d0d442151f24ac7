"""Einsum: sums over labels that end, then products of two operands at a time by Dot."""

from collections.abc import Sequence
from math import prod

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.matmul import MAX_PRODUCTS
from verifiable.frontend.lower.node import Node, lowers
from verifiable.frontend.lower.rows import batched_rows, fold_axes
from verifiable.frontend.lower.views import row_major
from verifiable.graph.vocabulary import ARITHMETIC, DType, Fold


@lowers("Einsum")
def einsum(b: Builder, node: Node) -> Value:
    """NumPy's einsum of f32, i32 or i64 operands."""
    several = [node.input(i) for i in range(len(node.inputs))]
    if len({v.dtype for v in several}) != 1 or several[0].dtype not in ARITHMETIC:
        types = ", ".join(str(v.type) for v in several)
        raise node.refuse(f"does not take {types}", hint="cast the operands to float")
    terms, result = _labels(node, several)
    extents: dict[str, int] = {}
    for value, term in zip(several, terms, strict=True):
        for label, extent in zip(term, value.shape, strict=True):
            if extents.get(label, 1) == 1:
                extents[label] = extent
            elif extent not in (1, extents[label]):
                raise node.refuse(f"`{label}` has extents {extents[label]} and {extent}")
    operands = [_diagonal(b, v, t, extents) for v, t in zip(several, terms, strict=True)]
    value, labels = operands[0]
    for place, (other, others) in enumerate(operands[1:], start=1):
        later = {label for _, t in operands[place + 1 :] for label in t} | set(result)
        value, labels = _product(b, node, (value, labels), (other, others), later)
    value, labels = _without(b, value, labels, set(result))
    missing = [label for label in result if label not in labels]
    if missing:
        raise node.refuse(f"no operand has the labels {', '.join(missing)} of the result")
    return b.transpose(value, [labels.index(label) for label in result])


def _labels(node: Node, several: Sequence[Value]) -> tuple[list[list[str]], list[str]]:
    """Labels of each operand and of the result; axes of an ellipsis are numbered from the last."""
    equation = str(node.attribute("equation")).replace(" ", "")
    left, arrow, right = equation.partition("->")
    texts = left.split(",")
    if len(texts) != len(several):
        raise node.refuse(f"equation `{equation}` names {len(texts)} of {len(several)} operands")
    terms, most = [], 0
    for text, value in zip(texts, several, strict=True):
        hidden = len(value.shape) - len(text.replace("...", ""))
        if hidden < 0 or (hidden and "..." not in text):
            raise node.refuse(f"equation `{equation}` does not fit {value.type}")
        most = max(most, hidden)
        terms.append(_expanded(text, hidden))
    if arrow:
        return terms, _expanded(right, most)
    flat = [label for term in terms for label in term]
    once = sorted(label for label in set(flat) if flat.count(label) == 1 and label.isalpha())
    return terms, [*(str(i) for i in reversed(range(most))), *once]


def _expanded(text: str, hidden: int) -> list[str]:
    before, dots, after = text.partition("...")
    return [*before, *(str(i) for i in reversed(range(hidden)) if dots), *after]


def _diagonal(
    b: Builder, value: Value, term: list[str], extents: dict[str, int]
) -> tuple[Value, list[str]]:
    """One axis for each label: a repeated label walks the diagonal; extents of 1 are repeated."""
    labels = list(dict.fromkeys(term))
    strides = dict.fromkeys(labels, 0)
    for label, stride, extent in zip(term, row_major(value.shape), value.shape, strict=True):
        strides[label] += stride if extent == extents[label] else 0
    shape = [extents[label] for label in labels]
    return b.view(value, shape, [strides[label] for label in labels]), labels


def _without(
    b: Builder, value: Value, labels: list[str], kept: set[str]
) -> tuple[Value, list[str]]:
    gone = [i for i, label in enumerate(labels) if label not in kept]
    if gone:
        value = fold_axes(b, value, gone, Fold.SUM, keep=False)
    return value, [label for label in labels if label in kept]


def _product(
    b: Builder,
    node: Node,
    left: tuple[Value, list[str]],
    right: tuple[Value, list[str]],
    later: set[str],
) -> tuple[Value, list[str]]:
    """Multiply two operands and sum over what they share and nobody needs afterwards."""
    x, in_x = _without(b, *left, later | set(right[1]))
    y, in_y = _without(b, *right, later | set(left[1]))
    batch = [label for label in in_x if label in in_y and label in later]
    inner = [label for label in in_x if label in in_y and label not in later]
    rows = [label for label in in_x if label not in in_y]
    columns = [label for label in in_y if label not in in_x]
    extent = {
        label: e for v, t in ((x, in_x), (y, in_y)) for label, e in zip(t, v.shape, strict=True)
    }

    def size(labels: list[str]) -> int:
        return prod(extent[label] for label in labels)

    if x.dtype is not DType.F32 and size([*batch, *inner, *rows, *columns]) > MAX_PRODUCTS:
        raise node.refuse(f"of integers has more than {MAX_PRODUCTS} products", hint="use float")
    x = b.transpose(x, [in_x.index(label) for label in (*batch, *rows, *inner)])
    y = b.transpose(y, [in_y.index(label) for label in (*batch, *columns, *inner)])
    made = batched_rows(
        b,
        b.reshape(x, [size(batch), size(rows), size(inner)]),
        b.reshape(y, [size(batch), size(columns), size(inner)]),
    )
    labels = [*batch, *rows, *columns]
    return b.reshape(made, [extent[label] for label in labels]), labels

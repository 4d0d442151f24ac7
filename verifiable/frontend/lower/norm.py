"""Normalisations: of a batch, of rows, of groups, of channels nearby."""

from collections.abc import Sequence
from math import prod
from typing import Final

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.expression import Expression
from verifiable.frontend.lower.node import Node, axis_of, lowers
from verifiable.frontend.lower.powers import power
from verifiable.frontend.lower.rows import fold_axes, move_axis
from verifiable.graph.check import broadcast_shape
from verifiable.graph.vocabulary import Fold

_PRECISIONS: Final = frozenset({1, 11})
"""Of ``TensorProto.DataType``: float, and double, whose result is rounded to float anyhow."""


def centred(b: Builder, rows: Value) -> tuple[Value, Value]:
    """Rows without their mean, and the mean ``[..., 1]``."""
    count = rows.shape[-1]
    total = b.reshape(b.reduce(rows, Fold.SUM), [*rows.shape[:-1], 1])
    return b.map(lambda v, s: v - s * (1 / count), rows, total), b.map(
        lambda s: s * (1 / count), total
    )


def inverse_deviation(b: Builder, rows: Value, epsilon: float) -> Value:
    """``1 / sqrt(mean(x * x) + epsilon)`` of each row, ``[..., 1]``."""
    count = rows.shape[-1]
    total = b.reduce(b.map(lambda v: v * v, rows), Fold.SUM)
    column = b.reshape(total, [*rows.shape[:-1], 1])
    return b.map(lambda s: 1.0 / (s * (1 / count) + epsilon).sqrt(), column)


def _channels(node: Node, i: int, rank: int) -> Value:
    """Input `i`, one number for each channel, shaped to be broadcast over ``[N, C, ...]``."""
    value = node.float_input(i)
    if len(value.shape) != 1:
        raise node.refuse(f"input {i} is {value.type}, wanted one axis")
    return node.builder.reshape(value, [value.shape[0], *[1] * (rank - 2)])


@lowers("BatchNormalization")
def batch_normalization(b: Builder, node: Node) -> Sequence[Value | None]:
    """``x * a + c`` with `a` and `c` of each channel, computed beforehand where constant."""
    x = node.float_input(0)
    if len(x.shape) < 2:
        x = b.reshape(x, [*x.shape, 1])
    scale, bias, mean, variance = (_channels(node, i, len(x.shape)) for i in range(1, 5))
    epsilon = node.attribute("epsilon", 1e-5)
    momentum = node.attribute("momentum", 0.9)
    outputs: list[Value | None] = []
    if node.attribute("training_mode", 0):
        axes = [0, *range(2, len(x.shape))]
        count = prod(x.shape[a] for a in axes)
        shape = scale.shape
        total = b.reshape(fold_axes(b, x, axes, Fold.SUM, keep=False), shape)
        own = b.map(lambda s: s * (1 / count), total)
        apart = b.map(lambda v, m: (v - m) * (v - m), x, own)
        total = b.reshape(fold_axes(b, apart, axes, Fold.SUM, keep=False), shape)
        spread = b.map(lambda s: s * (1 / count), total)
        for old, new in ((mean, own), (variance, spread)):
            running = b.map(lambda p, q: p * momentum + q * (1 - momentum), old, new)
            outputs.append(b.reshape(running, [shape[0]]))
        mean, variance = own, spread
    factor = b.map(lambda s, v: s / (v + epsilon).sqrt(), scale, variance)
    term = b.map(lambda c, m, a: c - m * a, bias, mean, factor)
    made = b.map(lambda v, a, c: v * a + c, x, factor, term)
    return [b.reshape(made, node.input(0).shape), *outputs]


@lowers("LayerNormalization")
def layer_normalization(b: Builder, node: Node) -> Sequence[Value]:
    """Over the axes from `axis` on; gives the mean and the inverse deviation too."""
    x = node.float_input(0)
    axis = axis_of(node, node.attribute("axis", -1), len(x.shape))
    lead, tail = x.shape[:axis], x.shape[axis:]
    _trained(node, x)
    rows = b.reshape(x, [*lead, prod(tail)])
    apart, mean = centred(b, rows)
    inverse = inverse_deviation(b, apart, node.attribute("epsilon", 1e-5))
    made = _scaled(b, node, apart, inverse, x.shape, tail)
    column = [*lead, *[1] * len(tail)]
    return [made, b.reshape(mean, column), b.reshape(inverse, column)]


@lowers("RMSNormalization")
def rms_normalization(b: Builder, node: Node) -> Value:
    """Over the axes from `axis` on, the mean left in."""
    x = node.float_input(0)
    axis = axis_of(node, node.attribute("axis", -1), len(x.shape))
    _trained(node, x)
    rows = b.reshape(x, [*x.shape[:axis], prod(x.shape[axis:])])
    inverse = inverse_deviation(b, rows, node.attribute("epsilon", 1e-5))
    return _scaled(b, node, rows, inverse, x.shape, x.shape[axis:])


def _trained(node: Node, x: Value) -> None:
    if node.attribute("stash_type", 1) not in _PRECISIONS:
        raise node.refuse("stash_type is a half", hint="leave it out, or export it as 1 (FLOAT)")
    if not x.type.size:
        raise node.refuse(f"of {x.type}, wanted at least one element")
    for i in (1, 2):
        if node.has(i) and broadcast_shape([x.shape, node.float_input(i).shape]) != x.shape:
            raise node.refuse(f"input {i} is {node.input(i).type}, which does not fit {x.type}")


def _scaled(
    b: Builder,
    node: Node,
    rows: Value,
    inverse: Value,
    shape: Sequence[int],
    tail: Sequence[int],
) -> Value:
    """``rows * inverse * scale + bias``: at most three operands to a Map."""
    scale = node.float_input(1)
    bias = node.optional(2)
    small = all(v is None or v.type.size in (1, prod(tail)) for v in (scale, bias))
    if not small:
        # Trained numbers that change along the leading axes: no longer one row of them.
        lead = [*shape[: len(shape) - len(tail)], *[1] * len(tail)]
        rows, inverse = b.reshape(rows, shape), b.reshape(inverse, lead)
    else:
        scale = b.reshape(scale, [scale.type.size])
        bias = b.reshape(bias, [bias.type.size]) if bias is not None else None
    made = b.map(lambda v, r, g: v * r * g, rows, inverse, scale)
    if bias is not None:
        made = b.map(lambda v, c: v + c, made, bias)
    return b.reshape(made, shape)


@lowers("InstanceNormalization")
def instance_normalization(b: Builder, node: Node) -> Value:
    """Each channel of each image alone."""
    x = node.float_input(0)
    scale, bias = (_channels(node, i, 3) for i in (1, 2))
    rows = b.reshape(x, [x.shape[0], x.shape[1], prod(x.shape[2:])])
    apart, _ = centred(b, rows)
    inverse = inverse_deviation(b, apart, node.attribute("epsilon", 1e-5))
    factor = b.map(lambda r, g: r * g, inverse, scale)
    return b.reshape(b.map(lambda v, a, c: v * a + c, apart, factor, bias), x.shape)


@lowers("GroupNormalization")
def group_normalization(b: Builder, node: Node) -> Value:
    """Groups of channels; scale and bias of each group in opset 18, of each channel since 21."""
    x = node.float_input(0)
    groups = int(node.attribute("num_groups"))
    images, channels, area = x.shape[0], x.shape[1], prod(x.shape[2:])
    if groups < 1 or channels % groups:
        raise node.refuse(f"{channels} channels are not {groups} groups")
    wanted = groups if node.version < 21 else channels
    trained = []
    for i in (1, 2):
        value = node.float_input(i)
        if value.shape != (wanted,):
            raise node.refuse(f"input {i} is {value.type}, wanted {wanted} numbers")
        trained.append(b.reshape(value, [groups, wanted // groups, 1]))
    rows = b.reshape(x, [images, groups, channels // groups * area])
    apart, _ = centred(b, rows)
    inverse = inverse_deviation(b, apart, node.attribute("epsilon", 1e-5))
    inverse = b.reshape(inverse, [images, groups, 1, 1])
    factor = b.map(lambda r, g: r * g, inverse, trained[0])
    parts = b.reshape(apart, [images, groups, channels // groups, area])
    return b.reshape(b.map(lambda v, a, c: v * a + c, parts, factor, trained[1]), x.shape)


@lowers("MeanVarianceNormalization")
def mean_variance_normalization(b: Builder, node: Node) -> Value:
    """``(x - mean) / (deviation + 1e-9)`` over some axes."""
    x = node.float_input(0)
    axes = sorted({axis_of(node, a, len(x.shape)) for a in node.attribute("axes", [0, 2, 3])})
    count = prod(x.shape[a] for a in axes)
    total = fold_axes(b, x, axes, Fold.SUM, keep=True)
    apart = b.map(lambda v, s: v - s * (1 / count), x, total)
    spread = fold_axes(b, b.map(lambda v: v * v, apart), axes, Fold.SUM, keep=True)
    return b.map(lambda v, s: v / ((s * (1 / count)).sqrt() + 1e-9), apart, spread)


@lowers("LRN")
def local_response(b: Builder, node: Node) -> Value:
    """Divide by a power of the sum of squares over channels nearby."""
    x = node.float_input(0)
    size = int(node.attribute("size"))
    alpha, beta = node.attribute("alpha", 1e-4), node.attribute("beta", 0.75)
    bias = node.attribute("bias", 1.0)
    images, channels, area = x.shape[0], x.shape[1], prod(x.shape[2:])
    squares = b.map(lambda v: v * v, b.reshape(x, [images, channels, area]))
    before = (size - 1) // 2
    wide = b.pad(squares, [0, before, 0], [0, size - 1 - before, 0])
    stride = wide.shape[1] * area
    windows = b.view(wide, [images, channels, area, size], [stride, area, 1, area])
    total = b.reshape(b.reduce(windows, Fold.SUM), x.shape)

    def divided(v: Expression, s: Expression) -> Expression:
        return v / power(s * (alpha / size) + bias, beta)

    return b.map(divided, x, total)


@lowers("LpNormalization")
def lp_normalization(b: Builder, node: Node) -> Value:
    """Divide rows by their L1 or L2 norm; a row of zeros stays."""
    x = node.float_input(0)
    rank = len(x.shape)
    axis, p = axis_of(node, node.attribute("axis", -1), rank), node.attribute("p", 2)
    if p not in (1, 2):
        raise node.refuse(f"p is {p}, wanted 1 or 2")
    rows = move_axis(b, x, axis, rank - 1)
    folded = b.map(abs if p == 1 else lambda v: v * v, rows)
    total = b.reshape(b.reduce(folded, Fold.SUM), [*rows.shape[:-1], 1])

    def divided(v: Expression, s: Expression) -> Expression:
        norm = s if p == 1 else s.sqrt()
        return v / norm.equals(0.0).where(1.0, norm)

    return move_axis(b, b.map(divided, rows, total), rank - 1, axis)

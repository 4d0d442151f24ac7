"""Pooling: windows along one axis at a time, each folded by one Reduce."""

from collections.abc import Sequence
from math import prod
from typing import Final

import numpy as np

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.expression import Expression
from verifiable.frontend.lower.made import afford, line
from verifiable.frontend.lower.node import Node, lowers
from verifiable.frontend.lower.powers import power
from verifiable.frontend.lower.views import row_major
from verifiable.frontend.lower.windows import Windows, grouped_view, padded, windows_of
from verifiable.graph.vocabulary import DType, Fold

MAX_PAIRS: Final = 2**24
"""Pairs of an input and an output place that MaxUnpool may compare."""

_LEAST: Final = {DType.F32: float("-inf"), DType.I8: -128, DType.U8: 0}


def folded_windows(b: Builder, x: Value, windows: Windows, fold: Fold, fill: float) -> Value:
    """Fold every window of ``[N, C, ...]``, axis by axis from the last."""
    made = padded(b, x, windows, fill)
    lead = len(x.shape) - len(windows.kernel)
    for axis in reversed(range(len(windows.kernel))):
        own = list(row_major(made.shape))
        shape = list(made.shape)
        step = own[lead + axis]
        shape[lead + axis] = windows.counts[axis]
        own[lead + axis] = step * windows.strides[axis]
        if windows.kernel[axis] == 1:
            made = b.view(made, shape, own)
            continue
        taps = step * windows.dilations[axis]
        made = b.reduce(b.view(made, [*shape, windows.kernel[axis]], [*own, taps]), fold)
    return made


def _pooled(node: Node) -> tuple[Value, Windows]:
    x = node.input(0)
    rank = len(x.shape) - 2
    if not 1 <= rank <= 3:
        raise node.refuse(f"of {x.type}, wanted one to three spatial axes")
    return x, windows_of(node, x.shape[2:], [int(k) for k in node.attribute("kernel_shape")])


@lowers("MaxPool")
def max_pool(b: Builder, node: Node) -> Sequence[Value | None]:
    """The greatest element of each window, and where in the whole tensor it lies."""
    x, windows = _pooled(node)
    if x.dtype not in _LEAST:
        raise node.refuse(f"does not take {x.type}")
    least = _LEAST[x.dtype]
    made = folded_windows(b, x, windows, Fold.MAX, least)
    return [made, _places(b, node, x, windows) if node.wants(1) else None]


def _places(b: Builder, node: Node, x: Value, windows: Windows) -> Value:
    """Number of each window's first greatest element, row-major or column-major."""
    rank = len(windows.kernel)
    wide = padded(b, x, windows, _LEAST[x.dtype])
    own = row_major(wide.shape)
    steps = [s * t for s, t in zip(windows.strides, own[2:], strict=True)]
    taps = [d * t for d, t in zip(windows.dilations, own[2:], strict=True)]
    lead = prod(x.shape[:2])
    rows = grouped_view(
        b,
        wide,
        [
            [(lead, own[1])],
            list(zip(windows.counts, steps, strict=True)),
            list(zip(windows.kernel, taps, strict=True)),
        ],
    )
    place = b.reduce(rows, Fold.ARGMAX)
    strides = row_major(x.shape)[2:]
    if node.attribute("storage_order", 0):
        strides = tuple(prod(x.shape[2 : 2 + a]) for a in range(rank))
    afford(windows.counts)
    corner = np.zeros(windows.counts, np.int64)
    for axis, stride in enumerate(strides):
        first = line(windows.counts[axis]) * windows.strides[axis] - windows.before[axis]
        corner += (first * stride).reshape([-1 if a == axis else 1 for a in range(rank)])
    within = row_major(windows.kernel)

    def number(tap: Expression, corner: Expression, image: Expression) -> Expression:
        total = corner + image
        for axis, stride in enumerate(strides):
            digit = tap // within[axis]
            if axis:
                digit = digit % windows.kernel[axis]
            total = total + digit * (stride * windows.dilations[axis])
        return total

    image = line(lead).reshape(lead, 1) * prod(x.shape[2:])
    made = b.map(number, place, b.constant(corner.reshape(1, -1)), b.constant(image))
    return b.reshape(made, [*x.shape[:2], *windows.counts])


@lowers("AveragePool")
def average_pool(b: Builder, node: Node) -> Value:
    """The sum of each window over the number of elements that count."""
    node.float_input(0)
    x, windows = _pooled(node)
    total = folded_windows(b, x, windows, Fold.SUM, 0.0)
    afford(windows.counts)
    count = np.ones((), np.float32)
    for axis, extent in enumerate(x.shape[2:]):
        first, last = 0, extent
        afford([windows.counts[axis], windows.kernel[axis]])
        if node.attribute("count_include_pad", 0):
            first, last = -windows.before[axis], extent + windows.after[axis]
        places = (
            line(windows.counts[axis])[:, None] * windows.strides[axis]
            - windows.before[axis]
            + line(windows.kernel[axis]) * windows.dilations[axis]
        )
        inside = ((places >= first) & (places < last)).sum(axis=1)
        count = count[..., None] * inside.astype(np.float32)
    if (count == count.flat[0]).all():
        return b.map(lambda s: s / float(count.flat[0]), total)
    return b.map(lambda s, n: s / n, total, b.constant(count))


def _norm(node: Node, b: Builder, x: Value) -> tuple[Value, float]:
    p = float(node.attribute("p", 2))
    if p < 1:
        raise node.refuse(f"p is {p}, wanted 1 or more")
    return b.map(lambda v: abs(v) if p == 1 else power(abs(v) if p % 2 else v, p), x), p


@lowers("LpPool")
def lp_pool(b: Builder, node: Node) -> Value:
    """The p-norm of each window."""
    node.float_input(0)
    x, windows = _pooled(node)
    powers, p = _norm(node, b, x)
    total = folded_windows(b, powers, windows, Fold.SUM, 0.0)
    return total if p == 1 else b.map(lambda s: power(s, 1 / p), total)


@lowers("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(b: Builder, node: Node) -> Value:
    """Fold all spatial axes."""
    x = node.float_input(0)
    area = prod(x.shape[2:])
    if len(x.shape) < 3 or not area:
        raise node.refuse(f"of {x.type}, wanted spatial axes")
    rows, shape = [*x.shape[:2], area], [*x.shape[:2], *[1] * (len(x.shape) - 2)]
    if node.op == "GlobalMaxPool":
        return b.reshape(b.reduce(b.reshape(x, rows), Fold.MAX), shape)
    if node.op == "GlobalLpPool":
        powers, p = _norm(node, b, b.reshape(x, rows))
        total = b.reduce(powers, Fold.SUM)
        return b.reshape(total if p == 1 else b.map(lambda s: power(s, 1 / p), total), shape)
    total = b.reduce(b.reshape(x, rows), Fold.SUM)
    return b.reshape(b.map(lambda s: s * (1 / area), total), shape)


@lowers("MaxUnpool")
def max_unpool(b: Builder, node: Node) -> Value:
    """Put each element where its index says, zeros elsewhere; of several, the last one stays."""
    x, index = node.float_input(0), node.input(1)
    rank = len(x.shape) - 2
    if index.shape != x.shape or index.dtype is not DType.I64:
        raise node.refuse(f"indices are {index.type}, wanted int64 of {x.type}")
    kernel = [int(k) for k in node.attribute("kernel_shape")]
    strides = [int(s) for s in node.attribute("strides", [1] * rank)]
    pads = [int(p) for p in node.attribute("pads", [0] * (2 * rank))]
    own = [
        (e - 1) * s + k - p - q
        for e, s, k, p, q in zip(
            x.shape[2:], strides, kernel, pads[:rank], pads[rank:], strict=True
        )
    ]
    shape = node.ints(2) if node.has(2) else [*x.shape[:2], *own]
    if len(shape) != len(x.shape) or any(w < e for w, e in zip(shape[2:], own, strict=True)):
        raise node.refuse(f"output_shape {shape} is smaller than {own}")
    return b.reshape(_scattered(b, node, x, index, tuple(own), shape), shape)


def _scattered(
    b: Builder, node: Node, x: Value, index: Value, own: tuple[int, ...], shape: Sequence[int]
) -> Value:
    count, places = x.type.size, prod(x.shape[:2]) * prod(own)
    if count * places > MAX_PAIRS:
        raise node.refuse(
            f"of {count} elements to {places} places compares more than {MAX_PAIRS} pairs",
            hint="use Resize or ConvTranspose",
        )
    number = b.constant(line(1, count + 1), DType.I64)
    targets = b.reshape(index, [1, count])
    here = b.constant(line(places).reshape(-1, 1), DType.I64)
    chosen = b.map(lambda t, h, n: t.equals(h).where(n, 0), targets, here, number)
    last = b.reduce(chosen, Fold.MAX)
    # Out of range where no element has this place: Gather then gives 0.
    source = b.map(lambda n: n.equals(0).where(count, n - 1), last)
    made = b.gather(b.reshape(x, [1, count, 1]), b.reshape(source, [1, places]))
    return _placed(b, b.reshape(made, [*x.shape[:2], *own]), shape)


def _placed(b: Builder, x: Value, shape: Sequence[int]) -> Value:
    missing = [w - e for w, e in zip(shape, x.shape, strict=True)]
    return b.pad(x, [0] * len(shape), missing) if any(missing) else x

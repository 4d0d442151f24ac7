"""Convolutions: patches as rows, then Dot with the kernels as rows."""

from collections.abc import Sequence
from math import prod

from verifiable.frontend.lower import scaled
from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.node import Node, lowers
from verifiable.frontend.lower.views import row_major
from verifiable.frontend.lower.windows import (
    Convolution,
    Windows,
    convolution_of,
    fitted,
    patches,
    spatial,
)
from verifiable.graph.vocabulary import DType


def convolved(b: Builder, rows: Value, weight: Value, shape: Convolution) -> Value:
    """Dot of patches and kernels: ``[N, O, ...]``."""
    kernels = b.reshape(weight, [shape.groups, shape.outer, rows.shape[2]])
    made = b.dot(kernels, rows)
    return b.reshape(made, [shape.images, shape.groups * shape.outer, *shape.windows.counts])


def _bias(node: Node, i: int, channels: int) -> Value | None:
    bias = node.optional(i)
    if bias is not None and (bias.shape != (channels,) or bias.dtype is not DType.F32):
        raise node.refuse(f"bias is {bias.type}, wanted {channels} of {DType.F32.word}")
    return bias


def with_bias(b: Builder, node: Node, x: Value, i: int) -> Value:
    """Add input `i`, one number for each channel, if it was given."""
    bias = _bias(node, i, x.shape[1])
    if bias is None:
        return x
    column = b.reshape(bias, [*bias.shape, *[1] * (len(x.shape) - 2)])
    return b.map(lambda v, c: v + c, x, column)


@lowers("Conv")
def conv(b: Builder, node: Node) -> Value:
    """Over 1, 2 or 3 spatial axes."""
    x, weight = node.float_input(0), node.float_input(1)
    shape = convolution_of(node, x, weight)
    small = scaled.convolution(b, x, weight, shape, _bias(node, 2, weight.shape[0]))
    if small is not None:
        return small
    return with_bias(b, node, convolved(b, patches(b, x, shape), weight, shape), 2)


@lowers("ConvTranspose")
def conv_transpose(b: Builder, node: Node) -> Value:
    """A convolution, with the kernels turned round, of the input with zeros put in between."""
    x, weight = node.float_input(0), node.float_input(1)
    rank = len(x.shape) - 2
    if not 1 <= rank <= 3 or len(weight.shape) != rank + 2 or weight.shape[0] != x.shape[1]:
        raise node.refuse(f"of {x.type} and weights {weight.type}")
    groups = int(node.attribute("group", 1))
    if groups < 1 or x.shape[1] % groups:
        raise node.refuse(f"{x.shape[1]} channels are not {groups} groups")
    strides = spatial(node, "strides", rank)
    dilations = spatial(node, "dilations", rank)
    kernel = weight.shape[2:]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    before, counts = _transposed(node, x.shape[2:], strides, reach)
    sparse = _spread(b, x, strides)
    behind = [n - e + p for n, e, p in zip(counts, sparse.shape[2:], before, strict=True)]
    wide = fitted(b, sparse, [r - 1 - p for r, p in zip(reach, before, strict=True)], behind)
    inner, outer = x.shape[1] // groups, weight.shape[1]
    turned = _turned(b, weight, groups)
    shape = Convolution(
        images=x.shape[0],
        groups=groups,
        inner=inner,
        outer=outer,
        windows=Windows(
            kernel=kernel,
            strides=(1,) * rank,
            dilations=tuple(dilations),
            before=(0,) * rank,
            after=(0,) * rank,
            counts=tuple(counts),
        ),
    )
    return with_bias(b, node, convolved(b, patches(b, wide, shape), turned, shape), 2)


def _transposed(
    node: Node, extents: Sequence[int], strides: Sequence[int], reach: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Padding in front, and extents of the result, as the operator's text defines them."""
    rank = len(extents)
    extra = [int(p) for p in node.attribute("output_padding", [0] * rank)]
    pads = [int(p) for p in node.attribute("pads", [0] * (2 * rank))]
    auto = node.attribute("auto_pad", "NOTSET")
    wanted = [int(e) for e in node.attribute("output_shape", [])][-rank:]
    if auto in {"SAME_UPPER", "SAME_LOWER"} and not wanted:
        wanted = [e * s for e, s in zip(extents, strides, strict=True)]
    if len(pads) != 2 * rank or len(extra) != rank or len(wanted) not in (0, rank):
        raise node.refuse(f"pads {pads}, output_padding {extra} or output_shape {wanted}")
    full = [s * (e - 1) + p + r for s, e, p, r in zip(strides, extents, extra, reach, strict=True)]
    if wanted:
        missing = [max(f - w, 0) for f, w in zip(full, wanted, strict=True)]
        first = [m // 2 if auto == "SAME_UPPER" else m - m // 2 for m in missing]
        return first, wanted
    if auto == "VALID":
        pads = [0] * (2 * rank)
    counts = [f - p - q for f, p, q in zip(full, pads[:rank], pads[rank:], strict=True)]
    if min(counts) < 1:
        raise node.refuse(f"pads {pads} leave nothing")
    return pads[:rank], counts


def _spread(b: Builder, x: Value, strides: Sequence[int]) -> Value:
    """Put ``stride - 1`` zeros behind each element but the last of a row."""
    if all(s == 1 for s in strides):
        return x
    lead = prod(x.shape[:2])
    own = row_major(x.shape)
    shape, steps, high = [lead], [own[1]], [lead]
    for extent, stride, step in zip(x.shape[2:], strides, own[2:], strict=True):
        shape += [extent, stride]
        steps += [step, 0]
        high += [extent, 1]
    wide = b.view(x, shape, steps, high=high)
    full = [e * s for e, s in zip(x.shape[2:], strides, strict=True)]
    return fitted(
        b,
        b.reshape(wide, [*x.shape[:2], *full]),
        [0] * len(full),
        [1 - s for s in strides],
    )


def _turned(b: Builder, weight: Value, groups: int) -> Value:
    """``[C, O / G, k]`` to ``[O, C / G, k]``, kernels turned round on every axis."""
    inner, outer = weight.shape[0] // groups, weight.shape[1]
    kernel = weight.shape[2:]
    own = row_major(weight.shape)
    made = b.view(
        weight,
        [groups, outer, inner, *kernel],
        [inner * own[0], own[1], own[0], *(-s for s in own[2:])],
        offset=sum((k - 1) * s for k, s in zip(kernel, own[2:], strict=True)),
    )
    return b.reshape(made, [groups * outer, inner, *kernel])

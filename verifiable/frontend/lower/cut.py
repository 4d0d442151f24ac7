"""Operators that cut tensors, join them, surround them, and move blocks of them."""

from collections.abc import Sequence
from math import prod
from typing import Final

import numpy as np

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.expression import Expression
from verifiable.frontend.lower.made import afford, line
from verifiable.frontend.lower.node import Node, axis_of, lowers
from verifiable.frontend.lower.shape import axes_of, extents_of
from verifiable.frontend.lower.views import row_major
from verifiable.graph.ir import Array
from verifiable.graph.vocabulary import MAX_RANK, DType, Fold


def cut(b: Builder, x: Value, axis: int, start: int, extent: int, step: int = 1) -> Value:
    """Some of the places along one axis."""
    starts, extents, steps = [0] * len(x.shape), list(x.shape), [1] * len(x.shape)
    starts[axis], extents[axis], steps[axis] = start, extent, step
    return b.slice(x, starts, extents, steps)


def take(b: Builder, x: Value, axis: int, places: Value) -> Value:
    """The places along one axis that an index ``[J]`` names."""
    before, extent, after = prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :])
    found = b.gather(
        b.reshape(x, [before, extent, after]), b.reshape(places, [1, places.type.size])
    )
    return b.reshape(found, [*x.shape[:axis], places.type.size, *x.shape[axis + 1 :]])


def take_known(b: Builder, x: Value, axis: int, places: Array) -> Value:
    """As `take`; places at equal distances are a view."""
    count = len(places)
    if count and x.type.size:
        step = int(places[1] - places[0]) if count > 1 else 1
        if (np.diff(places) == step).all():
            return cut(b, x, axis, int(places[0]), count, step)
    return take(b, x, axis, b.constant(np.asarray(places, np.int64)))


@lowers("Slice")
def slice_(b: Builder, node: Node) -> Value:
    """Places from start to end by step, of some axes."""
    x = node.input(0)
    begins, ends = node.ints(1), node.ints(2)
    given = node.ints(3) if node.has(3) else list(range(len(begins)))
    jumps = node.ints(4) if node.has(4) else [1] * len(begins)
    axes = axes_of(node, given, len(x.shape))
    if not len(begins) == len(ends) == len(axes) == len(jumps):
        raise node.refuse(f"starts {begins}, ends {ends}, axes {given}, steps {jumps} differ")
    starts, extents, steps = [0] * len(x.shape), list(x.shape), [1] * len(x.shape)
    for axis, begin, end, jump in zip(axes, begins, ends, jumps, strict=True):
        if not jump:
            raise node.refuse("goes by steps of 0")
        # Python's slices clamp as ONNX's do.
        places = range(x.shape[axis])[begin:end:jump]
        starts[axis], extents[axis], steps[axis] = places.start, len(places), jump
    return b.slice(x, starts, extents, steps)


@lowers("Split")
def split(b: Builder, node: Node) -> Sequence[Value]:
    """Cut in pieces along one axis."""
    x = node.input(0)
    axis = axis_of(node, int(node.attribute("axis", 0)), len(x.shape))
    extent = x.shape[axis]
    if node.has(1):
        sizes = node.ints(1)
    else:
        count = len(node.proto.output)
        if node.attribute("num_outputs", count) != count:
            given = node.attribute("num_outputs")
            raise node.refuse(f"num_outputs is {given}, and it has {count} outputs")
        most = -(-extent // count)
        sizes = [max(min(most, extent - i * most), 0) for i in range(count)]
        if node.version < 18 and extent % count:
            raise node.refuse(f"cuts {extent} in {count}, wanted equal pieces")
    if sum(sizes) != extent or min(sizes, default=0) < 0:
        raise node.refuse(f"cuts {extent} in {sizes}")
    starts = np.cumsum([0, *sizes])
    return [
        cut(b, x, axis, int(start), count) for start, count in zip(starts[:-1], sizes, strict=True)
    ]


@lowers("Concat")
def concat(b: Builder, node: Node) -> Value:
    """End to end along one axis."""
    parts = [node.input(i) for i in range(len(node.inputs))]
    axis = axis_of(node, int(node.attribute("axis", 0)), len(parts[0].shape))
    cuts = {(p.dtype, len(p.shape), p.shape[:axis], p.shape[axis + 1 :]) for p in parts}
    if len(cuts) != 1:
        raise node.refuse(f"cannot join {', '.join(str(p.type) for p in parts)} on axis {axis}")
    return b.concat(parts, axis)


@lowers("Tile")
def tile(b: Builder, node: Node) -> Value:
    """Copies side by side."""
    x, repeats = node.input(0), node.ints(1)
    if len(repeats) != len(x.shape) or min(repeats, default=0) < 0:
        raise node.refuse(f"repeats {x.type} by {repeats}")
    return tiled(b, x, repeats)


def tiled(b: Builder, x: Value, repeats: Sequence[int]) -> Value:
    """Copies side by side, so many along each axis."""
    # Axes that repeat are made one by one where all at once would be too many.
    several = [i for i, r in enumerate(repeats) if r != 1]
    if len(x.shape) + len(several) > MAX_RANK:
        for axis in several:
            x = tiled(b, x, [r if i == axis else 1 for i, r in enumerate(repeats)])
        return x
    shape: list[int] = []
    strides: list[int] = []
    for extent, stride, count in zip(x.shape, row_major(x.shape), repeats, strict=True):
        if count != 1:
            shape.append(count)
            strides.append(0)
        shape.append(extent)
        strides.append(stride)
    wide = b.view(x, shape, strides)
    return b.reshape(wide, [e * r for e, r in zip(x.shape, repeats, strict=True)])


LIST: Final = 16
"""Times that a Python list is dearer than an element."""

_MODES: Final = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}


@lowers("Pad")
def pad(b: Builder, node: Node) -> Value:
    """Surround with a number or with the tensor's own elements; negative pads cut."""
    x, mode = node.input(0), node.attribute("mode", "constant")
    rank, pads = len(x.shape), node.ints(1)
    axes = axes_of(node, node.ints(3), rank) if node.has(3) else list(range(rank))
    if len(pads) != 2 * len(axes):
        raise node.refuse(f"has {len(pads)} pads for {len(axes)} axes")
    before, after = [0] * rank, [0] * rank
    for place, axis in enumerate(axes):
        before[axis], after[axis] = pads[place], pads[place + len(axes)]
    kept = [e + min(p, 0) + min(q, 0) for p, e, q in zip(before, x.shape, after, strict=True)]
    extents_of(node, kept)
    x = b.slice(x, [max(-p, 0) for p in before], kept, [1] * rank)
    before, after = [max(p, 0) for p in before], [max(p, 0) for p in after]
    if mode == "constant":
        return _pad_constant(b, node, x, before, after)
    if mode not in _MODES:
        raise node.refuse(f"has mode {mode}, wanted constant, reflect, edge or wrap")
    for axis in range(rank):
        if before[axis] or after[axis]:
            if not x.shape[axis]:
                raise node.refuse(f"has nothing to copy along axis {axis} of {x.type}")
            places = line(x.shape[axis])
            if len(places) == 1 and mode == "reflect":
                raise node.refuse(f"has nothing to reflect along axis {axis} of {x.type}")
            around = (before[axis], after[axis])
            afford([sum(around) + len(places)])
            x = take_known(b, x, axis, np.pad(places, around, mode=_MODES[mode]))  # type: ignore[call-overload]
    return x


def _pad_constant(
    b: Builder, node: Node, x: Value, before: Sequence[int], after: Sequence[int]
) -> Value:
    value = node.optional(2)
    if value is None:
        return b.pad(x, before, after)
    if value.dtype is not x.dtype or value.type.size != 1:
        raise node.refuse(f"fills {x.type} with {value.type}")
    known = b.known(value)
    if known is not None:
        return b.pad(x, before, after, known.reshape(-1)[0])
    inside = b.pad(b.expand(b.constant(np.ones((), np.bool_)), x.shape), before, after)
    padded = b.pad(x, before, after)

    def choose(keep: Expression, v: Expression, other: Expression) -> Expression:
        return keep.where(v, other)

    return b.map(choose, inside, padded, b.reshape(value, ()))


@lowers("CenterCropPad")
def center_crop_pad(b: Builder, node: Node) -> Value:
    """Cut or surround with zeros, evenly on both sides."""
    x, wanted = node.input(0), node.ints(1)
    rank = len(x.shape)
    axes = axes_of(node, node.attribute("axes", range(rank)), rank)
    if len(wanted) != len(axes):
        raise node.refuse(f"has extents {wanted} for {len(axes)} axes")
    extents_of(node, wanted)
    before, after = [0] * rank, [0] * rank
    for axis, extent in zip(axes, wanted, strict=True):
        missing = extent - x.shape[axis]
        if missing < 0:
            x = cut(b, x, axis, -missing // 2, extent)
        else:
            before[axis], after[axis] = missing // 2, missing - missing // 2
    return b.pad(x, before, after)


@lowers("DepthToSpace")
def depth_to_space(b: Builder, node: Node) -> Value:
    """Channels to blocks of pixels."""
    x, block, mode = _blocks(node)
    n, c, h, w = x.shape
    if c % block**2:
        raise node.refuse(f"cannot cut {c} channels in blocks of {block}")
    depth = c // block**2
    if mode == "DCR":
        apart = b.transpose(b.reshape(x, [n, block, block, depth, h, w]), [0, 3, 4, 1, 5, 2])
    else:
        apart = b.transpose(b.reshape(x, [n, depth, block, block, h, w]), [0, 1, 4, 2, 5, 3])
    return b.reshape(apart, [n, depth, h * block, w * block])


@lowers("SpaceToDepth")
def space_to_depth(b: Builder, node: Node) -> Value:
    """Blocks of pixels to channels."""
    x, block, mode = _blocks(node)
    n, c, h, w = x.shape
    if h % block or w % block:
        raise node.refuse(f"cannot cut {x.type} in blocks of {block}")
    apart = b.reshape(x, [n, c, h // block, block, w // block, block])
    order = [0, 3, 5, 1, 2, 4] if mode == "DCR" else [0, 1, 3, 5, 2, 4]
    return b.reshape(b.transpose(apart, order), [n, c * block**2, h // block, w // block])


def _blocks(node: Node) -> tuple[Value, int, str]:
    x, block = node.input(0), int(node.attribute("blocksize", 0))
    mode = str(node.attribute("mode", "DCR"))
    if len(x.shape) != 4 or block < 1 or mode not in {"DCR", "CRD"}:
        raise node.refuse(f"takes [N,C,H,W], DCR or CRD, got {x.type}, blocks of {block}, {mode}")
    return x, block, mode


@lowers("ReverseSequence")
def reverse_sequence(b: Builder, node: Node) -> Value:
    """The first so many places along the time axis backwards, of each in the batch."""
    x, lengths = node.input(0), node.input(1)
    batch, time = int(node.attribute("batch_axis", 1)), int(node.attribute("time_axis", 0))
    if sorted((batch, time)) != [0, 1] or len(x.shape) < 2:
        raise node.refuse(f"axes {batch} and {time} of {x.type}, wanted the first two")
    apart = x if batch == 0 else b.transpose(x, [1, 0, *range(2, len(x.shape))])
    rows, steps = apart.shape[:2]
    if lengths.shape != (rows,):
        raise node.refuse(f"has lengths {lengths.type} for a batch of {rows}")
    index = b.map(
        lambda t, n: (t < n).where(n - 1 - t, t),
        b.constant(line(steps)),
        b.reshape(b.cast(lengths, DType.I64), [rows, 1]),
    )
    found = b.gather(b.reshape(apart, [rows, steps, prod(apart.shape[2:])]), index)
    found = b.reshape(found, apart.shape)
    return found if batch == 0 else b.transpose(found, [1, 0, *range(2, len(x.shape))])


@lowers("Col2Im")
def col2im(b: Builder, node: Node) -> Value:
    """Sum blocks where they overlap in an image."""
    x, image, block = node.input(0), node.ints(1), node.ints(2)
    rank = len(image)
    strides = [int(s) for s in node.attribute("strides", [1] * rank)]
    dilations = [int(d) for d in node.attribute("dilations", [1] * rank)]
    pads = [int(p) for p in node.attribute("pads", [0] * 2 * rank)]
    given = (block, strides, dilations, pads[rank:])
    if {rank} != set(map(len, given)) or min([1, *strides, *dilations, *block]) < 1:
        raise node.refuse(f"lays blocks of {block} out on {image}")
    if x.dtype is not DType.F32 or min([0, *image]) < 0:
        raise node.refuse(f"cannot lay {x.type} out on {image}")
    # Place in the padded image of each block's element: [block places, positions], axis by axis.
    counts = [
        (i + pads[a] + pads[a + rank] - d * (k - 1) - 1) // s + 1
        for a, (i, k, s, d) in enumerate(zip(image, block, strides, dilations, strict=True))
    ]
    if len(x.shape) != 3 or x.shape[1] % prod(block) or x.shape[2] != prod(counts):
        raise node.refuse(f"cannot lay {x.type} out on {image} in blocks of {block}")
    afford([rank, *block, *counts])
    afford([LIST, *image])
    offsets = np.indices(block).reshape(rank, -1) * np.array(dilations)[:, None]
    corners = np.indices(counts).reshape(rank, -1) * np.array(strides)[:, None]
    places = offsets[:, :, None] + corners[:, None, :] - np.array(pads[:rank])[:, None, None]
    flat = np.full(places.shape[1:], -1)
    inside = ((places >= 0) & (places < np.array(image)[:, None, None])).all(axis=0)
    flat[inside] = np.ravel_multi_index(tuple(p[inside] for p in places), tuple(image))
    sources: list[list[int]] = [[] for _ in range(prod(image))]
    for source, pixel in enumerate(flat.reshape(-1)):
        if pixel >= 0:
            sources[pixel].append(source)
    most = max(map(len, sources), default=0)
    total = flat.size
    # An index out of range reads 0.
    index = np.array([[*s, *[total] * (most - len(s))] for s in sources], np.int64)
    n, c = x.shape[0], x.shape[1] // prod(block)
    terms = b.gather(b.reshape(x, [n * c, total, 1]), b.constant(index.reshape(1, -1)))
    summed = b.reduce(b.reshape(terms, [n * c, prod(image), most]), Fold.SUM)
    return b.reshape(summed, [n, c, *image])

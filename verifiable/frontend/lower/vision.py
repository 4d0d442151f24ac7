"""Operators that read images at computed points."""

from math import prod
from typing import Final

import numpy as np

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.conv import convolved, with_bias
from verifiable.frontend.lower.expression import Expression
from verifiable.frontend.lower.made import afford, line
from verifiable.frontend.lower.node import Node, lowers
from verifiable.frontend.lower.rows import cut
from verifiable.frontend.lower.sampling import (
    MAX_AREA,
    Taps,
    channels_last,
    crossed,
    gathered,
    inside,
    linear,
    weighted_sum,
)
from verifiable.frontend.lower.windows import Windows, convolution_of
from verifiable.graph.ir import Array
from verifiable.graph.vocabulary import DType, Fold

_MODES: Final = {"linear": "linear", "bilinear": "linear", "nearest": "nearest"}
_CUBIC: Final = {"cubic", "bicubic"}
_CUBIC_A: Final = -0.75


@lowers("GridSample")
def grid_sample(b: Builder, node: Node) -> Value:
    """Over one to three axes: nearest, linear or cubic; zeros, border or reflection."""
    x, grid = node.float_input(0), node.float_input(1)
    rank = len(x.shape) - 2
    if not 1 <= rank <= 3 or len(grid.shape) != rank + 2 or grid.shape[-1] != rank:
        raise node.refuse(f"of {x.type} and grid {grid.type}")
    if grid.shape[0] != x.shape[0] or prod(x.shape[2:]) > MAX_AREA or not x.type.size:
        raise node.refuse(f"of {x.type} and grid {grid.type}")
    mode = node.attribute("mode", "linear")
    padding = node.attribute("padding_mode", "zeros")
    if mode not in _CUBIC | _MODES.keys() or padding not in {"zeros", "border", "reflection"}:
        raise node.refuse(f"mode is {mode}, padding_mode {padding}")
    corners = bool(node.attribute("align_corners", 0))
    images, points = x.shape[0], prod(grid.shape[1:-1])
    flat = b.reshape(grid, [images, points, rank])
    taps = []
    for axis, extent in enumerate(x.shape[2:]):
        column = cut(b, flat, 2, rank - 1 - axis, 1)
        taps.append(_axis_taps(b, column, extent, mode, padding, corners))
    several = crossed(b, taps, x.shape[2:])
    values = gathered(b, channels_last(b, x), several.places)
    made = b.transpose(weighted_sum(b, values, several.weights), [0, 2, 1])
    return b.reshape(made, [*x.shape[:2], *grid.shape[1:-1]])


def _axis_taps(
    b: Builder, column: Value, extent: int, mode: str, padding: str, corners: bool
) -> Taps:
    low, high = (0.0, extent - 1.0) if corners else (-0.5, extent - 0.5)

    def reflected(v: Expression) -> Expression:
        if high == low:
            return v.literal(low, DType.F32)
        apart = (v < low).where(low - v, v - high)
        times = (apart / (high - low)).floor()
        rest = apart - times * (high - low)
        even = (times * 0.5).floor().equals(times * 0.5)
        back = even.equals(v < low).where(low + rest, high - rest)
        return ((v < low) | (v > high)).where(back, v)

    def point(g: Expression) -> Expression:
        scaled = (g + 1.0) * ((extent - 1) / 2) if corners else ((g + 1.0) * extent - 1.0) * 0.5
        v = scaled.round() if mode == "nearest" else scaled
        if padding == "border" and mode not in _CUBIC:
            # Cubic taps are held at the border one by one, as PyTorch and onnxruntime do.
            return ((v < low) | (v > high)).where(v.maximum(0.0).minimum(extent - 1.0), v)
        return reflected(v) if padding == "reflection" else v

    def place(v: Expression, tap: Expression) -> Expression:
        whole = (v if mode == "nearest" else v.floor()) + tap
        if padding == "border":
            return whole.maximum(0.0).minimum(extent - 1.0).to(DType.I32)
        if padding == "reflection":
            return reflected(whole).to(DType.I32)
        return inside(whole.to(DType.I32), extent)

    def weight(v: Expression, tap: Expression) -> Expression:
        if mode == "nearest":
            return tap * 0.0 + 1.0
        apart = abs(v - v.floor() - tap)
        if mode not in _CUBIC:
            return 1.0 - apart
        a = _CUBIC_A
        near = (apart * (a + 2) - (a + 3)) * apart * apart + 1.0
        far = ((apart * a - 5 * a) * apart + 8 * a) * apart - 4 * a
        return (apart <= 1.0).where(near, far)

    several = [0.0] if mode == "nearest" else [0.0, 1.0]
    several = [-1.0, 0.0, 1.0, 2.0] if mode in _CUBIC else several
    tap = b.constant(np.array(several, np.float32))
    points = b.map(point, column)
    weights = b.expand(b.map(weight, points, tap), [*points.shape[:2], len(several)])
    return Taps(places=b.map(place, points, tap), weights=weights)


@lowers("AffineGrid")
def affine_grid(b: Builder, node: Node) -> Value:
    """Evenly spaced points, constant, times an affine matrix: one Dot."""
    theta = node.float_input(0)
    size = node.ints(1)
    rank = len(size) - 2
    if rank not in (2, 3) or theta.shape != (size[0], rank, rank + 1):
        raise node.refuse(f"theta is {theta.type} for size {size}")
    lines = []
    for extent in size[2:]:
        steps = line(extent).astype(np.float64)
        if node.attribute("align_corners", 0):
            lines.append(-1 + 2 * steps / max(extent - 1, 1))
        else:
            lines.append((2 * steps + 1) / extent - 1)
    afford([rank + 1, *size[2:]])
    axes = np.meshgrid(*lines, indexing="ij")
    points = np.stack([*axes[::-1], np.ones(size[2:])], axis=-1).reshape(1, -1, rank + 1)
    made = b.dot(b.constant(points, DType.F32), theta)
    return b.reshape(made, [size[0], *size[2:], rank])


@lowers("RoiAlign")
def roi_align(b: Builder, node: Node) -> Value:
    """Average or greatest of samples on a grid in each bin of each region."""
    x, rois, index = node.float_input(0), node.float_input(1), node.input(2)
    if len(x.shape) != 4 or rois.shape[1:] != (4,) or index.shape != rois.shape[:1]:
        raise node.refuse(f"of {x.type}, {rois.type} and {index.type}")
    grid = int(node.attribute("sampling_ratio", 0))
    if grid < 1:
        raise node.refuse(
            "sampling_ratio is 0: the number of samples depends on the regions",
            hint="export it with a fixed sampling_ratio, 2 for instance",
        )
    mode = node.attribute("mode", "avg")
    default = "half_pixel" if node.version >= 16 else "output_half_pixel"
    shift = node.attribute("coordinate_transformation_mode", default)
    if mode not in {"avg", "max"} or shift not in {"half_pixel", "output_half_pixel"}:
        raise node.refuse(f"mode is {mode}, coordinate_transformation_mode {shift}")
    if x.type.size // max(x.shape[1], 1) > MAX_AREA or not x.type.size:
        raise node.refuse(f"of {x.type}")
    height, width = x.shape[2:]
    bins = [int(node.attribute(name, 1)) for name in ("output_height", "output_width")]
    scale = float(node.attribute("spatial_scale", 1.0))
    taps = [
        _roi_taps(b, rois, axis, bins[axis] * grid, (x.shape[2 + axis], grid), (scale, shift))
        for axis in (0, 1)
    ]
    regions, channels = rois.shape[0], x.shape[1]
    base = b.map(lambda i: i.to(DType.I32) * (height * width), b.reshape(index, [regions, 1, 1]))
    rows = b.map(lambda p, o: p * width + o, taps[0].places, base)
    # [R, oh * g, 2] and [R, ow * g, 2] to [R, oh, g, 2, ow, g, 2].
    counts = [[regions, bins[0], grid, 2, 1, 1, 1], [regions, 1, 1, 1, bins[1], grid, 2]]
    columns = b.reshape(taps[1].places, counts[1])
    places = b.map(lambda p, q: p + q, b.reshape(rows, counts[0]), columns)
    weights = b.map(
        lambda p, q: p * q,
        b.reshape(taps[0].weights, counts[0]),
        b.reshape(taps[1].weights, counts[1]),
    )
    order, shape = [0, 1, 4, 2, 5, 3, 6], [1, regions * prod(bins), grid * grid * 4]
    places = b.reshape(b.transpose(places, order), shape)
    weights = b.reshape(b.transpose(weights, order), shape)
    images = b.reshape(channels_last(b, x), [1, x.type.size // channels, channels])
    values = gathered(b, images, places)
    if mode == "avg":
        total = b.map(lambda v: v / float(grid * grid), weighted_sum(b, values, weights))
    else:
        scaled = b.map(lambda v, w: v * w, values, b.reshape(weights, [*shape[:2], 1, shape[2]]))
        total = b.reduce(scaled, Fold.MAX)
    made = b.reshape(total, [regions, prod(bins), channels])
    return b.reshape(b.transpose(made, [0, 2, 1]), [regions, channels, *bins])


def _roi_taps(
    b: Builder,
    rois: Value,
    axis: int,
    samples: int,
    shape: tuple[int, int],
    how: tuple[float, str],
) -> Taps:
    """Two neighbours of each sample, ``[R, samples, 2]``; beyond one element outside, weight 0."""
    (extent, grid), (scale, shift) = shape, how
    half = shift == "half_pixel"
    offset = 0.5 if half else 0.0
    bins = samples // grid
    start, stop = (b.reshape(cut(b, rois, 1, i, 1), [-1, 1]) for i in (1 - axis, 3 - axis))
    steps = line(samples)
    # Bin p, sample i of g: p + (i + 1/2) / g bins from the start.
    where = b.constant((steps // grid + (steps % grid + 0.5) / grid).astype(np.float32))

    def point(first: Expression, last: Expression, along: Expression) -> Expression:
        low = first * scale - offset
        size = (last * scale - offset) - low
        if not half:
            size = size.maximum(1.0)
        return low + along * (size / float(bins))

    points = b.map(point, start, stop, where)
    column = b.reshape(points, [*points.shape, 1])
    tap = b.constant(np.array([0.0, 1.0], np.float32))
    top = extent - 1.0

    def place(v: Expression, t: Expression) -> Expression:
        whole = v.maximum(0.0).floor()
        return (whole + t).minimum(top).to(DType.I32)

    def weight(v: Expression, t: Expression) -> Expression:
        near = v.maximum(0.0).minimum(top)
        part = 1.0 - abs(near - near.floor() - t)
        return ((v < -1.0) | (v > float(extent))).where(0.0, part)

    return Taps(places=b.map(place, column, tap), weights=b.map(weight, column, tap))


@lowers("DeformConv")
def deform_conv(b: Builder, node: Node) -> Value:
    """Conv in two dimensions whose patches are read at offsets, linearly, zeros outside."""
    x, weight, offset = (node.float_input(i) for i in range(3))
    if len(x.shape) != 4 or not x.type.size:
        raise node.refuse(f"of {x.type}, wanted four axes")
    shape = convolution_of(node, x, weight)
    windows = shape.windows
    kernel, points = prod(windows.kernel), prod(windows.counts)
    images, channels = x.shape[:2]
    several = int(node.attribute("offset_group", 1))
    if several < 1 or channels % several:
        raise node.refuse(f"{channels} channels are not {several} groups of offsets")
    wanted = (images, several * kernel * 2, *windows.counts)
    if offset.shape != wanted:
        raise node.refuse(f"offset is {offset.type}, wanted {list(wanted)}")
    lead = images * several
    shifts = b.reshape(offset, [lead, kernel, 2, points])
    taps = []
    tap = b.constant(np.array([0.0, 1.0], np.float32))
    for axis, extent in enumerate(x.shape[2:]):
        own = b.reshape(cut(b, shifts, 2, axis, 1), [lead, kernel * points, 1])
        corner = b.constant(_corners(windows, axis).reshape(1, -1, 1))
        taps.append(linear(b, b.map(lambda v, c: v + c, own, corner), tap, extent))
    crossing = crossed(b, taps, x.shape[2:])
    inner = channels // several
    values = gathered(
        b, channels_last(b, b.reshape(x, [lead, inner, *x.shape[2:]])), crossing.places
    )
    made = weighted_sum(b, values, crossing.weights)
    if node.has(4):
        mask = node.float_input(4)
        if mask.shape != (images, several * kernel, *windows.counts):
            raise node.refuse(f"mask is {mask.type}")
        made = b.map(lambda v, m: v * m, made, b.reshape(mask, [lead, kernel * points, 1]))
    # [N * groups of offsets, k, P, c] to rows [N * G, P, (c, k)].
    split = b.reshape(made, [lead, kernel, points, inner])
    whole = b.reshape(b.transpose(split, [0, 3, 1, 2]), [images * shape.groups, -1, points])
    rows = b.transpose(whole, [0, 2, 1])
    return with_bias(b, node, convolved(b, rows, weight, shape), 3)


def _corners(windows: Windows, axis: int) -> Array:
    """Where each tap of each window stands on one axis without offset, ``[k, P]``."""
    afford([*windows.kernel, *windows.counts])
    taps = line(windows.kernel[axis]) * windows.dilations[axis]
    starts = line(windows.counts[axis]) * windows.strides[axis] - windows.before[axis]
    tap, place = [1] * 4, [1] * 4
    tap[axis], place[2 + axis] = -1, -1
    total = taps.reshape(tap) + starts.reshape(place)
    return np.broadcast_to(total, [*windows.kernel, *windows.counts]).astype(np.float32)

"""Resize: each axis by itself, as weighted sums of places known when a model is compiled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor, prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.cut import take, take_known
from verifiable.frontend.lower.expression import Expression
from verifiable.frontend.lower.index import axis_back, last_axis
from verifiable.frontend.lower.made import afford, line
from verifiable.frontend.lower.node import Node, lowers
from verifiable.frontend.lower.shape import axes_of, extents_of
from verifiable.graph.vocabulary import DType

CHAIN: Final = 4
"""Terms that are added one by one; more are a Dot with a matrix of weights."""

Floats = NDArray[np.float64]

CROP: Final = "tf_crop_and_resize"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What becomes of one axis."""

    axis: int
    own: int
    """Extent before."""
    extent: int
    """Extent after."""
    scale: float

    @property
    def width(self) -> float:
        """Extent after, before it is rounded down.

        ONNX's node cases and its evaluator align corners by this; onnxruntime rounds down first.
        """
        return self.scale * self.own


_COORDINATES: Final[dict[str, Callable[[Floats, Stretch], Floats]]] = {
    "half_pixel": lambda x, s: (x + 0.5) / s.scale - 0.5,
    "pytorch_half_pixel": lambda x, s: (x + 0.5) / s.scale - 0.5 if s.width != 1 else x * 0 - 0.5,
    "half_pixel_symmetric": lambda x, s: (
        s.own / 2 * (1 - s.extent / s.width) + (x + 0.5) / s.scale - 0.5
    ),
    "align_corners": lambda x, s: x * (s.own - 1) / (s.width - 1) if s.width != 1 else x * 0,
    "asymmetric": lambda x, s: x / s.scale,
}
"""Place in the old tensor, of places in the new one."""

_NEAREST: Final[dict[str, Callable[[Floats], Floats]]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def cubic_kernel(distance: Floats, a: float) -> Floats:
    """Keys' kernel.

    References
    ----------
    Keys, "Cubic convolution interpolation for digital image processing", IEEE 1981, equation 4.
    """
    d = np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _stretches(node: Node, x: Value) -> list[Stretch]:
    rank = len(x.shape)
    axes = axes_of(node, node.attribute("axes", range(rank)), rank)
    scales = node.known(2).reshape(-1) if node.has(2) else np.zeros(0, np.float32)
    sizes = node.ints(3) if node.has(3) else []
    if len(scales) == len(axes) and not sizes and (scales > 0).all():
        factors = [float(s) for s in scales]
        extents = [
            floor(np.float32(x.shape[a]) * np.float32(s)) for a, s in zip(axes, scales, strict=True)
        ]
    elif len(sizes) == len(axes) and not len(scales) and all(x.shape[a] for a in axes):
        factors = [size / x.shape[a] for a, size in zip(axes, sizes, strict=True)]
        extents = sizes
        policy = node.attribute("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            factor = min(factors) if policy == "not_larger" else max(factors)
            factors = [factor] * len(axes)
            extents = [floor(factor * x.shape[a] + 0.5) for a in axes]
    else:
        raise node.refuse(f"has scales {list(scales)} and sizes {sizes} for {len(axes)} axes")
    extents_of(node, extents)
    return [
        Stretch(axis=a, own=x.shape[a], extent=e, scale=s)
        for a, e, s in zip(axes, extents, factors, strict=True)
    ]


def _taps(node: Node, places: Floats, stretch: Stretch) -> tuple[NDArray[np.int64], Floats]:
    """Old places ``[extent, T]`` that each new one is made of, and their weights."""
    base = np.floor(places)
    ratio = places - base
    mode, a = node.attribute("mode", "nearest"), float(node.attribute("cubic_coeff_a", -0.75))
    if mode not in {"linear", "cubic"}:
        raise node.refuse(f"has mode {mode}, wanted nearest, linear or cubic")
    reach = 1 if mode == "linear" else 2
    shrink = min(stretch.scale, 1.0) if node.attribute("antialias", 0) else 1.0
    first = floor(-reach / shrink) + 1
    offsets = line(first, 2 - first)
    afford([len(places), len(offsets)])
    distance = (offsets - ratio[:, None]) * shrink
    linear = np.clip(1 - np.abs(distance), 0, 1)
    weights = linear if mode == "linear" else cubic_kernel(distance, a)
    taps = base[:, None].astype(np.int64) + offsets
    if node.attribute("exclude_outside", 0):
        weights = weights * ((taps >= 0) & (taps < stretch.own))
    return taps.clip(0, stretch.own - 1), weights / weights.sum(axis=1, keepdims=True)


def weighted(b: Builder, x: Value, axis: int, taps: NDArray[np.int64], weights: Floats) -> Value:
    """Sums of places along one axis, of ``taps [J, T]`` with ``weights [J, T]``."""
    used = np.flatnonzero((weights != 0).any(axis=0))
    if len(used) > CHAIN:
        afford([len(taps), x.shape[axis]])
        matrix = np.zeros((len(taps), x.shape[axis]))
        np.add.at(matrix, (line(len(taps))[:, None], taps), weights)
        rows = last_axis(b, x, axis)
        flat = b.reshape(rows, [1, prod(rows.shape[:-1]), rows.shape[-1]])
        summed = b.dot(flat, b.constant(matrix.astype(np.float32)[None]))
        return axis_back(b, b.reshape(summed, [*rows.shape[:-1], len(taps)]), axis)
    total: Value | None = None
    for tap in used:
        term = take_known(b, x, axis, taps[:, tap])
        column = weights[:, tap].astype(np.float32).reshape(-1, *[1] * (len(x.shape) - axis - 1))
        factor = b.constant(column)
        if total is None:
            total = b.map(lambda v, w: v * w, term, factor) if (column != 1).any() else term
        else:
            total = b.map(lambda v, w, t: v.fma(w, t), term, factor, total)
    assert total is not None
    return total


@lowers("Resize")
def resize(b: Builder, node: Node) -> Value:
    """Interpolate between old places."""
    x = node.input(0)
    coordinates = str(node.attribute("coordinate_transformation_mode", "half_pixel"))
    nearest = node.attribute("mode", "nearest") == "nearest"
    if not nearest and x.dtype is not DType.F32:
        raise node.refuse(f"interpolates {x.type}, wanted float")
    if coordinates != CROP and coordinates not in _COORDINATES:
        raise node.refuse(f"has coordinate_transformation_mode {coordinates}")
    stretches = _stretches(node, x)
    if coordinates == CROP:
        return _crop(b, node, x, stretches)
    for stretch in stretches:
        if stretch.scale == 1 and stretch.own == stretch.extent:
            continue
        if not stretch.own or not stretch.extent:
            raise node.refuse(f"makes {stretch.extent} places of {stretch.own}")
        places = _COORDINATES[coordinates](line(stretch.extent).astype(np.float64), stretch)
        if nearest:
            how = node.attribute("nearest_mode", "round_prefer_floor")
            if how not in _NEAREST:
                raise node.refuse(f"has nearest_mode {how}")
            taps = _NEAREST[how](places).clip(0, stretch.own - 1).astype(np.int64)
            x = take_known(b, x, stretch.axis, taps)
        else:
            x = weighted(b, x, stretch.axis, *_taps(node, places, stretch))
    return x


def _crop(b: Builder, node: Node, x: Value, stretches: Sequence[Stretch]) -> Value:
    """Resize a region, whose borders may depend on the model's input."""
    roi = node.float_input(1)
    if roi.shape != (2 * len(stretches),) or x.dtype is not DType.F32:
        raise node.refuse(f"crops {x.type} to {roi.type}")
    mode = node.attribute("mode", "nearest")
    if mode != "linear" and not (mode == "nearest" and _plain(node)):
        raise node.refuse(f"crops with mode {mode}, wanted linear or nearest, round_prefer_floor")
    outside = float(node.attribute("extrapolation_value", 0.0))
    for number, stretch in enumerate(stretches):
        start, stop = (b.slice(roi, [number + i * len(stretches)], [1], [1]) for i in range(2))
        last, count = stretch.own - 1, stretch.extent
        if last < 0 or not count:
            raise node.refuse(f"makes {count} places of {stretch.own}")

        def place(
            i: Expression, low: Expression, high: Expression, last: int = last, count: int = count
        ) -> Expression:
            if count == 1:
                return (low + high) * (0.5 * last)
            return low * float(last) + i * (high - low) * float(last) / float(count - 1)

        steps = b.constant(line(count).astype(np.float32))
        at = b.map(place, steps, start, stop)
        column = [count, *[1] * (len(x.shape) - stretch.axis - 1)]
        x = _cropped(b, x, stretch, at, column, mode == "linear", outside)
    return x


def _plain(node: Node) -> bool:
    return bool(node.attribute("nearest_mode", "round_prefer_floor") == "round_prefer_floor")


def _cropped(
    b: Builder,
    x: Value,
    stretch: Stretch,
    at: Value,
    column: Sequence[int],
    linear: bool,
    outside: float,
) -> Value:
    last = float(stretch.own - 1)

    def along(where: Value) -> Value:
        return take(b, x, stretch.axis, where)

    if linear:
        low = b.map(lambda p: p.floor().maximum(0.0).minimum(last).to(DType.I64), at)
        high = b.map(lambda p: (p.floor() + 1.0).maximum(0.0).minimum(last).to(DType.I64), at)
        ratio = b.reshape(b.map(lambda p: p - p.floor(), at), column)
        made = b.map(lambda v, w, r: v + (w - v) * r, along(low), along(high), ratio)
    else:
        near = b.map(lambda p: (p - 0.5).ceil().maximum(0.0).minimum(last).to(DType.I64), at)
        made = along(near)
    inside = b.reshape(b.map(lambda p: (p >= 0.0) & (p <= last), at), column)
    return b.map(lambda ok, v: ok.where(v, outside), inside, made)

"""Reading an image between its elements: places and weights on each axis, one Gather, one sum."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.expression import Expression
from verifiable.frontend.lower.views import row_major
from verifiable.graph.vocabulary import DType

NOWHERE: Final = 2**31 - 1
"""A place outside of any image: Gather gives 0 for it."""
MAX_AREA: Final = 2**30
"""Elements of an image that places are numbered in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taps:
    """Which elements of an axis a point reads, ``[N, P, T]``, and how much of each."""

    places: Value
    """i32; out of range where nothing is read."""
    weights: Value
    """f32."""


def linear(b: Builder, points: Value, tap: Value, extent: int) -> Taps:
    """Two neighbours; those outside the axis count as zero.

    Parameters
    ----------
    b : Builder
    points : Value
        f32 ``[N, P, 1]``, in elements.
    tap : Value
        f32 ``[2]``: 0 and 1.
    extent : int
        Of the axis.
    """
    return Taps(
        places=b.map(lambda v, t: inside((v.floor() + t).to(DType.I32), extent), points, tap),
        weights=b.map(lambda v, t: 1.0 - abs(v - v.floor() - t), points, tap),
    )


def inside(place: Expression, extent: int) -> Expression:
    """A place, or `NOWHERE` if it is not on the axis."""
    return ((place >= 0) & (place < extent)).where(place, NOWHERE)


def crossed(b: Builder, taps: Sequence[Taps], extents: Sequence[int]) -> Taps:
    """Taps of several axes together: places are numbered row-major, weights multiplied."""
    assert prod(extents) <= MAX_AREA
    strides = row_major(extents)
    count = len(taps)
    places, weights = [], []
    for axis, own in enumerate(taps):
        shape = [1] * count
        shape[axis] = own.places.shape[2]
        places.append(b.reshape(own.places, [*own.places.shape[:2], *shape]))
        weights.append(b.reshape(own.weights, [*own.weights.shape[:2], *shape]))

    def number(*axes: Expression) -> Expression:
        total = axes[-1]
        nowhere = axes[-1].equals(NOWHERE)
        for place, stride in zip(axes[:-1], strides[:-1], strict=True):
            total = total + place * stride
            nowhere = nowhere | place.equals(NOWHERE)
        return nowhere.where(NOWHERE, total)

    def weight(*axes: Expression) -> Expression:
        total = axes[0]
        for other in axes[1:]:
            total = total * other
        return total

    several = prod(t.places.shape[2] for t in taps)
    shape = [
        max(t.places.shape[0] for t in taps),
        max(t.places.shape[1] for t in taps),
        several,
    ]
    return Taps(
        places=b.reshape(b.map(number, *places), shape),
        weights=b.reshape(b.map(weight, *weights), shape),
    )


def gathered(b: Builder, images: Value, places: Value) -> Value:
    """``[N, S, C]`` by places ``[N, P, T]`` to ``[N, P, C, T]``."""
    count, points, taps = places.shape
    made = b.gather(images, b.reshape(places, [count, points * taps]))
    made = b.reshape(made, [count, points, taps, images.shape[2]])
    return b.transpose(made, [0, 1, 3, 2])


def weighted_sum(b: Builder, values: Value, weights: Value) -> Value:
    """``[N, P, C, T]`` by ``[N, P, T]`` to ``[N, P, C]``."""
    count, points, channels, taps = values.shape
    rows = b.reshape(weights, [count * points, 1, taps])
    made = b.dot(rows, b.reshape(values, [count * points, channels, taps]))
    return b.reshape(made, [count, points, channels])


def channels_last(b: Builder, x: Value) -> Value:
    """``[N, C, ...]`` to ``[N, S, C]``."""
    flat = b.reshape(x, [x.shape[0], x.shape[1], prod(x.shape[2:])])
    return b.transpose(flat, [0, 2, 1])

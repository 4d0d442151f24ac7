"""Views of views."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from verifiable.graph.ir import View


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides, in elements, of a contiguous tensor.

    >>> row_major((2, 3, 4))
    (12, 4, 1)
    """
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= max(extent, 1)
    return tuple(reversed(strides))


def compose(outer: View, inner: View) -> View | None:
    """One view that reads what `outer` reads of `inner`, None if there is none.

    Each step of `outer` must move within axes of `inner` without a carry between them.
    """
    source = replace(outer, x=inner.x)
    size = inner.type.size
    if any(a == b for a, b in zip(outer.low, outer.high, strict=True)):
        return source if inner.x != outer.x and not size else None
    if inner.is_reshape:
        return source
    if any(inner.low) or inner.high != inner.type.shape:
        return None
    extents = inner.type.shape
    corner = outer.offset + sum(
        low * stride for low, stride in zip(outer.low, outer.strides, strict=True)
    )
    first = _digits(corner, extents)
    least, most = list(first), list(first)
    strides = []
    for stride, low, high in zip(outer.strides, outer.low, outer.high, strict=True):
        if high - low == 1:
            strides.append(0)
            continue
        digits = _signed_digits(stride, extents)
        for axis, digit in enumerate(digits):
            reach = digit * (high - low - 1)
            least[axis] += min(reach, 0)
            most[axis] += max(reach, 0)
        strides.append(sum(d * s for d, s in zip(digits, inner.strides, strict=True)))
    if any(a < 0 or b >= e for a, b, e in zip(least, most, extents, strict=True)):
        return None
    at_corner = inner.offset + sum(d * s for d, s in zip(first, inner.strides, strict=True))
    offset = at_corner - sum(low * s for low, s in zip(outer.low, strides, strict=True))
    return replace(source, strides=tuple(strides), offset=offset)


def _digits(number: int, extents: Sequence[int]) -> list[int]:
    digits = []
    for extent in reversed(extents):
        number, digit = divmod(number, max(extent, 1))
        digits.append(digit)
    return digits[::-1]


def _signed_digits(stride: int, extents: Sequence[int]) -> list[int]:
    sign = -1 if stride < 0 else 1
    digits = [sign * d for d in _digits(abs(stride), extents)]
    if abs(stride) >= prod(extents) and stride:
        digits[0] += sign * (abs(stride) // prod(extents)) * extents[0] if extents else 0
    return digits

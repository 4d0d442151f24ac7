"""Arithmetic of i32 and i64: two's complement, wrapping, and total.

An undefined step could not be refereed, so division by zero and shifts out of range give 0.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[Any]
"""i32 or i64."""


def add(x: Integers, y: Integers) -> Integers:
    """``x + y``, wrapping."""
    return x + y


def sub(x: Integers, y: Integers) -> Integers:
    """``x - y``, wrapping."""
    return x - y


def mul(x: Integers, y: Integers) -> Integers:
    """``x * y``, wrapping."""
    return x * y


def neg(x: Integers) -> Integers:
    """``0 - x``, wrapping: the least integer stays."""
    return -x


def magnitude(x: Integers) -> Integers:
    """``max(x, 0 - x)``, wrapping: the least integer stays."""
    return np.where(x < 0, -x, x)


def rem(x: Integers, y: Integers) -> Integers:
    """What truncated division leaves over, with the sign of `x`; 0 if `y` is 0.

    >>> rem(np.array([7, -7, 7, 7]), np.array([2, 2, -2, 0]))
    array([ 1, -1,  1,  0])
    """
    # Over -1 nothing is left; the machine's instruction would trap for the least integer.
    safe = np.where((y == 0) | (y == -1), 1, y).astype(y.dtype)
    return np.asarray(np.fmod(x, safe))


def div(x: Integers, y: Integers) -> Integers:
    """Quotient towards zero; 0 if `y` is 0; the least integer over -1 is itself.

    >>> div(np.array([7, -7, 7, 7]), np.array([2, 2, -2, 0]))
    array([ 3, -3, -3,  0])
    """
    safe = np.where((y == 0) | (y == -1), 1, y).astype(y.dtype)
    quotient = (x - np.fmod(x, safe)) // safe
    return np.where(y == 0, 0, np.where(y == -1, -x, quotient)).astype(x.dtype)


def invert(x: Integers) -> Integers:
    """Turn over every bit; of a bool, the one it has."""
    return np.invert(x)


def shl(x: Integers, y: Integers) -> Integers:
    """Shift left by `y`; 0 if `y` is negative or the width or more."""
    inside = (y >= 0) & (y < 8 * x.dtype.itemsize)
    return np.where(inside, x << np.where(inside, y, 0), 0).astype(x.dtype)


def shr(x: Integers, y: Integers) -> Integers:
    """Shift right by `y`, filling with the sign; 0 if `y` is negative or the width or more.

    >>> shr(np.array([-5, -5]), np.array([1, 64]))
    array([-3,  0])
    """
    inside = (y >= 0) & (y < 8 * x.dtype.itemsize)
    return np.where(inside, x >> np.where(inside, y, 0), 0).astype(x.dtype)


def requantise(
    acc: NDArray[np.int32], m: NDArray[np.int32], s: NDArray[np.int32], zero: NDArray[np.int32]
) -> NDArray[np.int8]:
    """Scale accumulators by ``m / 2**s``, add a zero point, saturate to i8.

    Halves round up. The shift is taken modulo 32.

    Parameters
    ----------
    acc, m, s, zero : i32, shapes that broadcast

    Returns
    -------
    i8

    References
    ----------
    B. Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", CVPR 2018, section 2.2.

    Examples
    --------
    >>> i32 = lambda *values: np.array(values, np.int32)
    >>> requantise(i32(3, -3, 999), i32(1), i32(1), i32(0))
    array([  2,  -1, 127], dtype=int8)
    """
    shift = (s & 31).astype(np.int64)
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
    # |acc * m| <= 2^62 and half <= 2^30; after the shift a zero point below 2^32: no overflow.
    scaled = ((acc.astype(np.int64) * m + half) >> shift) + zero
    return np.asarray(np.clip(scaled, -128, 127), np.int8)

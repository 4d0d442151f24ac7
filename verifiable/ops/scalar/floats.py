"""Arithmetic of binary32, rounded to nearest, ties to even. NaNs are made canonical by `apply`.

NumPy's own float32 operations are the processor's, which IEEE 754-2019 section 5.4.1 defines;
there is none for fma.
"""

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


def fma(x: F32, y: F32 | np.float32, z: F32 | np.float32) -> F32:
    """``x * y + z``, rounded once.

    Parameters
    ----------
    x, y, z : f32, shapes that broadcast

    Returns
    -------
    f32

    References
    ----------
    S. Boldo and G. Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms
    using rounding to odd", IEEE Transactions on Computers 57(4), 2008.

    Examples
    --------
    >>> x = np.array([1 + 2.0**-12], np.float32)
    >>> fma(x, x, np.array([-1.0], np.float32)) == 2.0**-11 + 2.0**-24
    array([ True])
    >>> x * x - np.float32(1) == 2.0**-11
    array([ True])
    """
    # 24 + 24 bits fit the 53 of binary64, and so does the exponent: the product is exact.
    product = x.astype(np.float64) * y
    total = product + z
    shifted = total - product
    # Knuth's two-sum: `total + error` is the exact sum. NaN where anything is infinite.
    error = (product - (total - shifted)) + (z - shifted)
    # Rounded to odd: the neighbour towards zero, its last bit set, so that rounding to 24 bits
    # (fewer when the result is subnormal) sees on which side of a tie the exact sum lies.
    bits = np.ascontiguousarray(total).view(np.int64)
    inexact = np.isfinite(error) & (error != 0) & (bits & 1 == 0)
    away = (error > 0) == (total > 0)
    odd = bits + np.where(inexact, np.where(away, 1, -1), 0)
    return odd.view(np.float64).astype(np.float32)


def add(x: F32, y: F32) -> F32:
    """``x + y``."""
    return x + y


def sub(x: F32, y: F32) -> F32:
    """``x - y``."""
    return x - y


def mul(x: F32, y: F32) -> F32:
    """``x * y``."""
    return x * y


def div(x: F32, y: F32) -> F32:
    """``x / y``; a finite number over zero is an infinity."""
    return x / y


def neg(x: F32) -> F32:
    """Turn over the sign."""
    return -x


def magnitude(x: F32) -> F32:
    """Clear the sign."""
    return np.abs(x)


def sqrt(x: F32) -> F32:
    """Square root; NaN below zero, -0 of -0."""
    return np.sqrt(x)


def floor(x: F32) -> F32:
    """Largest whole number not above; keeps the sign of zero.

    >>> floor(np.array([-0.5, 2.5], np.float32))
    array([-1.,  2.], dtype=float32)
    """
    return np.floor(x)


def nearest(x: F32) -> F32:
    """Nearest whole number, halves to the even one; keeps the sign.

    >>> nearest(np.array([0.5, 1.5, -0.25], np.float32))
    array([ 0.,  2., -0.], dtype=float32)
    """
    return np.rint(x)

"""Comparison and choice, on every dtype; of bools, false is the lesser."""

import numpy as np
from numpy.typing import NDArray

from verifiable.graph.ir import Array
from verifiable.ops.values import NAN, from_order_key, order_key

Bools = NDArray[np.bool_]


def less(x: Array, y: Array) -> Bools:
    """``x < y``; false if either is NaN."""
    return x < y


def less_equal(x: Array, y: Array) -> Bools:
    """``x <= y``; false if either is NaN."""
    return x <= y


def equal(x: Array, y: Array) -> Bools:
    """``x == y``; -0 equals +0, NaN nothing."""
    return np.asarray(x == y)


def least(x: Array, y: Array) -> Array:
    """Lesser of two; NaN if either is, and -0 < +0, unlike any fmin.

    >>> least(np.array([-0.0, 1], np.float32), np.array([0, np.nan], np.float32))
    array([-0., nan], dtype=float32)
    """
    if x.dtype != np.float32:
        return np.minimum(x, y)
    chosen = from_order_key(np.minimum(order_key(x), order_key(y)))
    return np.where(np.isnan(x) | np.isnan(y), NAN, chosen)


def greatest(x: Array, y: Array) -> Array:
    """Greater of two; NaN if either is, and -0 < +0.

    >>> greatest(np.array([-0.0, 1], np.float32), np.array([0, np.nan], np.float32))
    array([ 0., nan], dtype=float32)
    """
    if x.dtype != np.float32:
        return np.maximum(x, y)
    chosen = from_order_key(np.maximum(order_key(x), order_key(y)))
    return np.where(np.isnan(x) | np.isnan(y), NAN, chosen)


def select(condition: Bools, x: Array, y: Array) -> Array:
    """`x` where the condition holds, else `y`."""
    return np.where(condition, x, y)

"""Reduce: one fold of each row along the last axis."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from verifiable.graph.ir import Array, Reduce
from verifiable.graph.vocabulary import Fold
from verifiable.ops.values import canonical, from_order_key, order_key

LANES: Final = 32
"""Sums that run side by side inside a chunk."""


def reduce(instruction: Reduce, x: Array) -> Array:
    """Fold the last axis.

    A sum of integers wraps. A sum of floats has an order, see `sum_of_row`. MAX and MIN give NaN
    if there is one, and hold -0 below +0; ARGMAX and ARGMIN give the place of the first NaN, else
    the lowest place of what MAX or MIN gives: so these have no order.

    Parameters
    ----------
    instruction : Reduce
    x : any dtype that the fold takes, ``[..., K]``
        K is at least 1, but for SUM.

    Returns
    -------
    dtype of `x`, or i64 for ARGMAX and ARGMIN, ``[...]``

    Examples
    --------
    >>> from verifiable.graph.ir import Index, TensorType
    >>> from verifiable.graph.vocabulary import DType
    >>> step = Reduce(type=TensorType(DType.I64, (2,)), x=Index(0), fold=Fold.ARGMAX)
    >>> reduce(step, np.float32([[1, 3, 3], [2, np.nan, 9]]))
    array([1, 1])
    """
    if instruction.fold is Fold.SUM:
        if x.dtype == np.float32:
            return sum_of_row(x, instruction.chunk)
        return np.asarray(np.add.reduce(x, axis=-1, dtype=x.dtype))
    most = instruction.fold in {Fold.MAX, Fold.ARGMAX}
    key = _key(x, 1 if most else -1)
    if instruction.fold in {Fold.ARGMAX, Fold.ARGMIN}:
        place = np.argmax(key, axis=-1) if most else np.argmin(key, axis=-1)
        return np.asarray(place, np.int64)
    folded = np.asarray(key.max(axis=-1) if most else key.min(axis=-1))
    return canonical(from_order_key(folded)) if x.dtype == np.float32 else folded


def sum_of_row(x: NDArray[np.float32], chunk: int) -> NDArray[np.float32]:
    """Sum rows of floats in the order of the definition.

    Inside a chunk lane ``l`` adds elements ``l``, ``l + 32``, ... in order, from +0; then lane
    ``l`` takes in lane ``l + 16``, then ``l + 8``, 4, 2 and 1. The chunks' totals are added in
    order, and +0 at last.

    Parameters
    ----------
    x : f32, ``[..., K]``
    chunk : int
        A multiple of 32.

    Examples
    --------
    >>> sum_of_row(np.float32([[1, 2, 3]]), 256)
    array([6.], dtype=float32)
    """
    length = x.shape[-1]
    total = None
    for start in range(0, length, chunk):
        lanes = np.zeros((*x.shape[:-1], LANES), np.float32)
        stop = min(start + chunk, length)
        for first in range(start, stop, LANES):
            row = x[..., first : min(first + LANES, stop)]
            lanes[..., : row.shape[-1]] += row
        while lanes.shape[-1] > 1:
            half = lanes.shape[-1] // 2
            lanes = lanes[..., :half] + lanes[..., half:]
        part = lanes[..., 0]
        total = part if total is None else total + part
    if total is None:
        return np.zeros(x.shape[:-1], np.float32)
    return canonical(np.asarray(total + np.float32(0)))


def _key(x: Array, nan_end: int) -> Array:
    """Integers in the order of the elements, NaNs at one end; bools and integers are their own."""
    if x.dtype != np.float32:
        return x
    end = np.iinfo(np.int32).max if nan_end > 0 else np.iinfo(np.int32).min
    return np.where(np.isnan(x), np.int32(end), order_key(x))

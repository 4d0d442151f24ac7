"""From any dtype to any other, total: no cast depends on what a processor does out of range."""

from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from verifiable.graph.ir import Array


def to_integer(x: Array, *, dtype: type[np.signedinteger[Any] | np.unsignedinteger[Any]]) -> Array:
    """Cast to an integer dtype.

    Floats are truncated towards zero and saturate, NaN gives 0; integers wrap; bools give 0 and 1.

    Parameters
    ----------
    x : any dtype, any shape
    dtype : i8, u8, i32 or i64

    Examples
    --------
    >>> to_integer(np.array([-1.9, 300, np.nan], np.float32), dtype=np.uint8)
    array([  0, 255,   0], dtype=uint8)
    >>> to_integer(np.array([300, -1]), dtype=np.uint8)
    array([ 44, 255], dtype=uint8)
    """
    if x.dtype != np.float32:
        return x.astype(dtype)
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    whole = np.trunc(x.astype(np.float64))
    # Exact in binary64: least and most + 1 are zero or powers of two.
    below, above = whole < float(least), whole >= float(most + 1)
    inside = ~(below | above | np.isnan(whole))
    cast = np.where(inside, whole, 0).astype(dtype)
    return np.where(below, least, np.where(above, most, cast)).astype(dtype)


def to_f32(x: Array) -> NDArray[np.float32]:
    """Cast to f32; integers are rounded to nearest, ties to even, once.

    >>> to_f32(np.array([2**24 + 1, 2**24 + 3])).astype(int)
    array([16777216, 16777220])
    """
    return x.astype(np.float32)


def to_bool(x: Array) -> NDArray[np.bool_]:
    """Whether an element is not zero; so NaN is true."""
    return np.asarray(x != 0)


def bits_to_f32(x: NDArray[np.int32]) -> NDArray[np.float32]:
    """Float of these bits."""
    return x.view(np.float32).copy()


def bits_of_f32(x: NDArray[np.float32]) -> NDArray[np.int32]:
    """Bits of a float."""
    return x.view(np.int32).copy()


to_i8: Final = partial(to_integer, dtype=np.int8)
to_u8: Final = partial(to_integer, dtype=np.uint8)
to_i32: Final = partial(to_integer, dtype=np.int32)
to_i64: Final = partial(to_integer, dtype=np.int64)

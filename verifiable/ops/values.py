"""Elements as the machine knows them: one NaN, bools of 0 and 1, and an order of floats."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from verifiable.errors import TensorError
from verifiable.graph.check import CANONICAL_NAN
from verifiable.graph.ir import Array
from verifiable.graph.vocabulary import DType

NAN: Final = np.array(CANONICAL_NAN, np.uint32).view(np.float32)[()]
"""The only NaN."""

_DTYPES: Final = {np.dtype(dtype.numpy): dtype for dtype in DType}


def dtype_of(array: NDArray[Any]) -> DType | None:
    """Dtype of the machine that an array's elements have, None if there is none.

    >>> dtype_of(np.zeros(1, np.int8))
    <DType.I8: 1>
    >>> dtype_of(np.zeros(1, np.float64)) is None
    True
    """
    return _DTYPES.get(array.dtype)


def canonical(x: Array) -> Array:
    """Give `x` with every NaN replaced by 0x7fc00000; other dtypes than f32 as they are.

    Parameters
    ----------
    x : any dtype, any shape

    Returns
    -------
    same dtype, same shape

    Examples
    --------
    >>> x = np.array([0xFFC00001, 0x3F800000], np.uint32).view(np.float32)
    >>> [hex(bits) for bits in canonical(x).view(np.uint32)]
    ['0x7fc00000', '0x3f800000']
    """
    if x.dtype != np.float32:
        return x
    return np.where(np.isnan(x), NAN, x)


def order_key(x: NDArray[np.float32]) -> NDArray[np.int32]:
    """Integers in the order of the floats, with -0 just below +0; NaNs lie at both ends.

    Parameters
    ----------
    x : f32, any shape

    Returns
    -------
    i32, same shape

    Examples
    --------
    >>> order_key(np.array([-1.5, -0.0, 0.0, 2.0], np.float32)).tolist()
    [-1069547521, -1, 0, 1073741824]
    """
    bits = np.ascontiguousarray(x).view(np.int32)
    # Negative floats order by falling magnitude: all bits but the sign are turned over.
    return bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))


def from_order_key(key: NDArray[np.int32]) -> NDArray[np.float32]:
    """Invert `order_key`, which is its own inverse on the bits."""
    return (key ^ ((key >> 31) & np.int32(0x7FFFFFFF))).view(np.float32)


def value_problem(array: Array) -> str | None:
    """Say which element is none of the machine's, None if all are.

    Parameters
    ----------
    array : any dtype, any shape
        From outside: an input or weights.

    Examples
    --------
    >>> value_problem(np.array([[1.0, -np.nan]], np.float32))
    'element [0, 1] is the NaN 0xffc00000, the only one allowed is 0x7fc00000'
    >>> value_problem(np.array([1, 2], np.uint8).view(np.bool_))
    'element [1] is the bool 0x2, allowed are 0 and 1'
    """
    flat = np.ascontiguousarray(array).reshape(-1)
    if array.dtype == np.float32:
        bits = flat.view(np.uint32)
        bad = np.isnan(flat) & (bits != CANONICAL_NAN)
        wanted = f"the NaN {{:#x}}, the only one allowed is {CANONICAL_NAN:#x}"
    elif array.dtype == np.bool_:
        bits = flat.view(np.uint8)
        bad = bits > 1
        wanted = "the bool {:#x}, allowed are 0 and 1"
    else:
        return None
    if not bad.any():
        return None
    first = int(np.argmax(bad))
    position = [int(i) for i in np.unravel_index(first, array.shape)]
    return f"element {position} is {wanted.format(int(bits[first]))}"


def check_values(name: str, array: Array) -> None:
    """Refuse elements that no tensor of the machine holds.

    Parameters
    ----------
    name : str
        Of the tensor, for the message.
    array : any dtype, any shape

    Raises
    ------
    TensorError
        If a NaN is not 0x7fc00000 or a bool neither 0 nor 1; names the first such element.
    """
    problem = value_problem(array)
    if problem is not None:
        raise TensorError(
            f"tensor `{name}`: {problem}",
            hint="replace it, for instance by numpy.where(numpy.isnan(x), 0, x)",
        )

"""Gather: slices of a tensor, chosen by another one."""

import numpy as np

from verifiable.graph.ir import Array, Gather


def gather(instruction: Gather, x: Array, index: Array) -> Array:
    """``out[b, j, i] = x[b, index[b % B, j], i]``.

    K is added once to a negative index; where it is out of range even so, the result is zero.

    Parameters
    ----------
    instruction : Gather
    x : any dtype, ``[N, K, I]``
    index : i32 or i64, ``[N, J]`` or ``[1, J]``

    Returns
    -------
    dtype of `x`, ``[N, J, I]``

    Examples
    --------
    >>> from verifiable.graph.ir import Index, TensorType
    >>> from verifiable.graph.vocabulary import DType
    >>> step = Gather(type=TensorType(DType.I8, (1, 3, 1)), x=Index(0), index=Index(1))
    >>> gather(step, np.int8([[[5], [6]]]), np.int32([[1, -2, 2]])).ravel()
    array([6, 5, 0], dtype=int8)
    """
    count, extent, _ = x.shape
    if 0 in (extent, *instruction.type.shape):
        return np.zeros(instruction.type.shape, x.dtype)
    wide = np.broadcast_to(index.astype(np.int64), (count, index.shape[1]))
    wide = np.where(wide < 0, wide + extent, wide)
    inside = (wide >= 0) & (wide < extent)
    found = x[np.arange(count)[:, None], np.where(inside, wide, 0)]
    return np.where(inside[:, :, None], found, np.zeros((), x.dtype))

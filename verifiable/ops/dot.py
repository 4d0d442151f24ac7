"""Dot: every pair of a row of `a` and a row of `b`, multiplied and summed."""

import numpy as np
from numpy.typing import NDArray

from verifiable.graph.ir import Array, Dot
from verifiable.ops.scalar.floats import fma
from verifiable.ops.values import canonical


def dot(instruction: Dot, a: Array, b: Array) -> Array:
    """``out[n, i, j] = sum_k a[n % A, i, k] * b[n % B, j, k]``.

    Of floats, a row is cut in chunks. Inside a chunk each product is added by one fma, in the
    order of k, from +0; the chunks' totals are added in order; then +0 is added, after which a row
    padded with zeros gives what the row gives. Of integers the sum is exact: a well-formed graph
    cannot overflow i32.

    Parameters
    ----------
    instruction : Dot
    a : f32, i8 or u8, ``[A, M, K]``
    b : f32 or i8, ``[B, N, K]``

    Returns
    -------
    f32 or i32, ``[max(A, B), M, N]``

    Examples
    --------
    >>> from verifiable.graph.ir import Index, TensorType
    >>> from verifiable.graph.vocabulary import DType
    >>> step = Dot(type=TensorType(DType.F32, (1, 1, 2)), a=Index(0), b=Index(1))
    >>> dot(step, np.float32([[[1, 2]]]), np.float32([[[3, 4], [5, 6]]]))
    array([[[11., 17.]]], dtype=float32)
    """
    batch = np.arange(instruction.type.shape[0])
    a = a[batch % max(len(a), 1)]
    b = b[batch % max(len(b), 1)]
    if a.dtype == np.float32:
        return _of_floats(a, b, instruction.chunk)
    # Sums below 2^31 are exact in binary64, whatever the order.
    exact = a.astype(np.float64) @ b.astype(np.float64).swapaxes(1, 2)
    return exact.astype(np.int32)


def _of_floats(a: NDArray[np.float32], b: NDArray[np.float32], chunk: int) -> NDArray[np.float32]:
    length = a.shape[2]
    zero = np.zeros((a.shape[0], a.shape[1], b.shape[1]), np.float32)
    total = None
    for start in range(0, length, chunk):
        part = zero
        for k in range(start, min(start + chunk, length)):
            part = fma(a[:, :, None, k], b[:, None, :, k], part)
        total = part if total is None else total + part
    if total is None:
        return zero
    return canonical(total + np.float32(0))

"""Concat: tensors end to end along one axis."""

import numpy as np

from verifiable.graph.ir import Array, Concat


def concat(instruction: Concat, *parts: Array) -> Array:
    """Put `parts` end to end along the instruction's axis.

    Parameters
    ----------
    instruction : Concat
    *parts : one dtype, shapes alike but for the axis

    Returns
    -------
    dtype of the parts, shape of the instruction

    Examples
    --------
    >>> from verifiable.graph.ir import Index, TensorType
    >>> from verifiable.graph.vocabulary import DType
    >>> kind = TensorType(DType.I8, (3,))
    >>> concat(Concat(type=kind, parts=(Index(0), Index(1)), axis=0), np.int8([1]), np.int8([2, 3]))
    array([1, 2, 3], dtype=int8)
    """
    return np.concatenate(parts, axis=instruction.axis)

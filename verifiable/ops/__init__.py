"""What each instruction of the canonical machine means: slow, obvious, and the definition.

Everything else that computes (engines, referee, provers) is held against this package, bit for
bit. It is pure, and takes what ``graph.check`` has passed.
"""

from collections.abc import Sequence

import numpy as np

from verifiable.graph.ir import (
    Array,
    Concat,
    Const,
    Dot,
    Gather,
    Input,
    Instruction,
    Map,
    Reduce,
    View,
)
from verifiable.ops.concat import concat
from verifiable.ops.dot import dot
from verifiable.ops.gather import gather
from verifiable.ops.map import literal_value, map_elements
from verifiable.ops.reduce import reduce
from verifiable.ops.values import canonical, check_values, dtype_of, value_problem
from verifiable.ops.view import view


def evaluate(instruction: Instruction, operands: Sequence[Array]) -> Array:
    """Compute the tensor that one instruction writes.

    Parameters
    ----------
    instruction : Dot, Reduce, Map, View, Gather or Concat
        Of a graph that ``graph.check`` passes. Input and Const are given, not computed.
    operands : sequence of arrays
        The tensors it reads, in order (``graph.ir.operands``), of the types the graph says.

    Returns
    -------
    array
        C-contiguous, of the instruction's type, its own memory.

    Examples
    --------
    >>> from verifiable.graph.ir import Index, TensorType
    >>> from verifiable.graph.vocabulary import DType, Fold
    >>> step = Reduce(type=TensorType(DType.I32, ()), x=Index(0), fold=Fold.SUM)
    >>> evaluate(step, [np.array([1, 2, 3], np.int32)])
    array(6, dtype=int32)
    """
    with np.errstate(all="ignore"):
        match instruction:
            case Dot():
                result = dot(instruction, *operands)
            case Reduce():
                result = reduce(instruction, *operands)
            case Map():
                result = map_elements(instruction, *operands)
            case View():
                result = view(instruction, *operands)
            case Gather():
                result = gather(instruction, *operands)
            case Concat():
                result = concat(instruction, *operands)
            case Input() | Const():
                raise AssertionError(f"{type(instruction).__name__} is given, not computed")
    assert result.shape == instruction.type.shape
    assert dtype_of(result) is instruction.type.dtype
    return result


__all__ = [
    "canonical",
    "check_values",
    "dtype_of",
    "evaluate",
    "literal_value",
    "value_problem",
]

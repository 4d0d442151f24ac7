"""View: each element is one of another tensor, or a fill value."""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from verifiable.graph.ir import Array, View
from verifiable.ops.map import literal_value


def view(instruction: View, x: Array) -> Array:
    """Element ``offset + sum_d i[d] * strides[d]`` of `x` inside the box, the fill value outside.

    Parameters
    ----------
    instruction : View
    x : any dtype, any shape
        Its elements are numbered in row-major order.

    Returns
    -------
    dtype of `x`, shape of the instruction

    Examples
    --------
    >>> from verifiable.graph.ir import Index, Literal, TensorType
    >>> from verifiable.graph.vocabulary import DType
    >>> padded = View(type=TensorType(DType.I8, (4,)), x=Index(0), offset=-1, strides=(1,),
    ...               low=(1,), high=(3,), fill=Literal(DType.I8, 7))
    >>> view(padded, np.int8([1, 2]))
    array([7, 1, 2, 7], dtype=int8)
    """
    shape = instruction.type.shape
    box = tuple(high - low for low, high in zip(instruction.low, instruction.high, strict=True))
    result = np.full(shape, literal_value(instruction.fill)[0])
    if 0 in box:
        return result
    first = instruction.offset
    least = most = 0
    for low, extent, stride in zip(instruction.low, box, instruction.strides, strict=True):
        first += low * stride
        least += min(0, (extent - 1) * stride)
        most += max(0, (extent - 1) * stride)
    # as_strided looks at no bounds, and `graph.check` has looked already.
    assert 0 <= first + least <= first + most < x.size, "a view leaves its operand"
    flat = np.ascontiguousarray(x).reshape(-1)
    strides = [stride * x.itemsize for stride in instruction.strides]
    inside = tuple(map(slice, instruction.low, instruction.high))
    result[inside] = as_strided(flat[first:], box, strides, writeable=False)
    return result

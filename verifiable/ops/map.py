"""Map: a straight-line scalar program, applied to each element."""

import numpy as np

from verifiable.graph.ir import Array, Literal, Map
from verifiable.ops.scalar import apply


def literal_value(literal: Literal) -> Array:
    """Array of shape [1] holding the element that `literal` gives by its bits.

    >>> from verifiable.graph.vocabulary import DType
    >>> literal_value(Literal(DType.I8, 0xFF))
    array([-1], dtype=int8)
    """
    width = literal.dtype.itemsize
    return np.array([literal.bits], f"uint{8 * width}").view(literal.dtype.numpy)


def map_elements(instruction: Map, *operands: Array) -> Array:
    """Run the program of `instruction` on every element.

    Parameters
    ----------
    instruction : Map
    *operands : any dtypes, shapes that broadcast to the result's

    Returns
    -------
    dtype and shape of the instruction

    Examples
    --------
    >>> from verifiable.graph.ir import Index, Program, Step, TensorType
    >>> from verifiable.graph.vocabulary import DType, Scalar
    >>> square = Program(steps=(Step(Scalar.MUL, (0, 0)),))
    >>> kind = TensorType(DType.I32, (3,))
    >>> map_elements(Map(type=kind, operands=(Index(0),), program=square), np.int32([1, 2, 3]))
    array([1, 4, 9], dtype=int32)
    """
    # A register keeps the shape of what it was made from until the end: same bits, less work.
    registers = [np.atleast_1d(x) for x in operands]
    registers += [literal_value(literal) for literal in instruction.program.literals]
    for step in instruction.program.steps:
        registers.append(apply(step.function, [registers[r] for r in step.registers]))
    shape = instruction.type.shape
    full = np.broadcast_to(registers[-1], shape or (1,))
    return np.ascontiguousarray(full).reshape(shape)

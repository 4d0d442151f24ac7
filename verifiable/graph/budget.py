"""What it costs at the worst to show one element of an instruction wrong on chain.

The figures bound what ``scripts/gas_report.py`` and the tests of the kernels measure, on the dearer
of the two builds and with the dearest inputs: subnormals, in every step. A row that is too long for
one transaction is disputed by the results of its pieces, one leaf of the row each, so that its cost
is the lesser of two: all of the row at once, or all results together.
"""

from typing import Final

from verifiable.graph.ir import Concat, Dot, Graph, Index, Instruction, Map, Reduce, operands
from verifiable.graph.layout import LEAF_BYTES
from verifiable.graph.vocabulary import CHUNK, DType, Fold
from verifiable.types import Gas

BUDGET: Final = Gas(12_000_000)
"""Of one transaction, which may have 16,777,216 (EIP-7825)."""

_OPENINGS: Final = 500_000
"""Base, the result's leaf, three operands' leaves, and all their paths."""
_BYTE: Final = 40
"""Floor of a byte of calldata (EIP-7623); what runs is on top only where it exceeds it."""
_FMA: Final = 1_900
_LANE: Final = 2_400
"""One element of an f32 sum: an addition, and finding its lane."""
_INTEGER: Final = 40
"""One product of an integer Dot."""
_FOLD: Final = 450
"""One element of any other fold."""
_FUNCTION: Final = 25_000
"""One scalar function, at most thirteen fma."""
_PART: Final = 9_000
"""Type of one part that stands before the one opened."""


def _element_gas(instruction: Instruction) -> Gas:
    match instruction:
        case Map(program=program):
            return Gas(_OPENINGS + len(program.steps) * _FUNCTION)
        case Concat(parts=parts):
            return Gas(_OPENINGS + len(parts) * _PART)
        case _:
            return Gas(_OPENINGS)


def _row_gas(instruction: Dot | Reduce, read: tuple[DType, ...], length: int) -> Gas:
    width = sum(dtype.itemsize for dtype in read)
    is_float = read[0] is DType.F32
    if isinstance(instruction, Dot):
        each = _FMA if is_float else _INTEGER
    else:
        each = _LANE if is_float and instruction.fold is Fold.SUM else _FOLD
    whole = _OPENINGS + length * (width * _BYTE + each)
    if is_float and instruction.chunk != CHUNK:
        return Gas(whole)
    # Of ARGMAX and ARGMIN the place in the row is sent along.
    result = instruction.type.dtype.itemsize + read[0].itemsize
    pieces = -(-length // (LEAF_BYTES // read[0].itemsize))
    return Gas(min(whole, _OPENINGS + pieces * (result * _BYTE + max(each, _FOLD))))


def instruction_gas(graph: Graph, index: Index) -> Gas:
    """Gas of the dearest transaction that disputing one element of an instruction may need.

    Parameters
    ----------
    graph : Graph
        Checked.
    index : Index
    """
    instruction = graph.instructions[index]
    read = tuple(graph.instructions[i].type for i in operands(instruction))
    if isinstance(instruction, Dot | Reduce):
        return _row_gas(instruction, tuple(kind.dtype for kind in read), read[0].shape[-1])
    return _element_gas(instruction)


def too_dear(graph: Graph, budget: Gas = BUDGET) -> tuple[tuple[Index, Gas], ...]:
    """Instructions of a checked graph whose elements nobody could dispute within `budget`."""
    costs = ((Index(i), instruction_gas(graph, Index(i))) for i in range(len(graph.instructions)))
    return tuple((index, gas) for index, gas in costs if gas > budget)

"""Integers that are moved, or folded, where their tensor is: nothing is computed anew."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.quantize.find import MINUS_INFINITY
from verifiable.graph.ir import Concat, Gather, Index, Instruction, Literal, Reduce, View, operands
from verifiable.graph.vocabulary import DType, Fold

_ZEROS: Final = (Literal(DType.F32, 0), Literal(DType.F32, 1 << 31))
_FOLDS: Final = (Fold.MAX, Fold.MIN, Fold.SUM)
_MOST: Final = 128
"""Of an int8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Integers:
    """Real = `value` * 2**-`exponent`."""

    value: Value
    exponent: int
    most: int = _MOST
    """Bound of any element's magnitude, from dtypes and shapes alone; padding aside."""


def moved(
    b: Builder,
    ins: View | Gather | Concat | Reduce,
    held: Sequence[Integers],
    chosen: Value | None = None,
) -> Integers | None:
    """Apply `ins` to integers in place of the floats they stand for.

    Padding of -inf becomes the least integer, which is lost under a maximum as -inf is; whoever
    wants it in float must not take it from here.

    Parameters
    ----------
    b : Builder
    ins : View, Gather, Concat or Reduce
    held : sequence of Integers
        Of its float operands, in order.
    chosen : Value, optional
        The index of a Gather.

    Returns
    -------
    Integers, or None
        None where integers cannot say what the floats do, or a sum could overflow.
    """
    first = held[0]
    dtype, exponent = first.value.dtype, first.exponent
    if any(h.exponent != exponent or h.value.dtype is not dtype for h in held):
        return None
    most = max(h.most for h in held)
    new: Instruction = replace(ins, type=replace(ins.type, dtype=dtype))
    sources: dict[Index, Value] = dict(
        zip(operands(ins), (h.value for h in held), strict=not isinstance(ins, Gather))
    )
    match ins:
        case View():
            if ins.fill == MINUS_INFINITY:
                fill = 1 << (8 * dtype.itemsize - 1)
            elif ins.fill in _ZEROS:
                fill = 0
            else:
                return None
            new = replace(ins, type=new.type, fill=Literal(dtype, fill))
        case Gather():
            assert chosen is not None
            sources[ins.index] = chosen
        case Reduce(fold=Fold.SUM):
            most *= first.value.shape[-1]
            if most >= 2**31:
                return None
            sources = {index: b.cast(value, DType.I32) for index, value in sources.items()}
            new = replace(ins, type=replace(ins.type, dtype=DType.I32))
        case Reduce() if ins.fold not in _FOLDS:
            return None
        case _:
            pass
    return Integers(value=b.again(new, sources), exponent=exponent, most=most)

"""One element of one instruction: which elements it is made of, and what they give.

What an instruction means stands in ``verifiable.ops``; here it is asked about tiny tensors. The
bytes come from a trace that may be a lie, so they may be no elements of the machine: any byte but
0 is true then, and every NaN is one.

A long row can be taken piece by piece. A piece is one leaf of the row, and its partial result is
what the instruction gives for the piece alone: an element, and before it, for ARGMAX and ARGMIN,
its place in the row as an i64. A sum of floats is cut only where its chunk is a leaf, for then the
definition adds the same numbers in the same order. That each of them has had +0 added hides at
most the sign of a zero, as does the +0 that is added at last.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Final

import numpy as np

from verifiable.errors import EncodingError, OpeningRejectedError
from verifiable.graph.check import broadcast_shape
from verifiable.graph.ir import (
    Array,
    Concat,
    Const,
    Dot,
    Gather,
    Index,
    Input,
    Instruction,
    Map,
    Reduce,
    TensorType,
    View,
)
from verifiable.graph.layout import LEAF_BYTES, big_endian, from_big_endian, layout
from verifiable.graph.vocabulary import DType, Fold, scalar_result
from verifiable.ops import evaluate

Types = Sequence[TensorType]

Look = Callable[[int], int]
"""Gives the value of an element of a Gather's index."""

PLACE_BYTES: Final = 8
"""Of the place that stands before the element in a partial result of ARGMAX and ARGMIN."""

_SEARCHES: Final = {Fold.ARGMAX: Fold.MAX, Fold.ARGMIN: Fold.MIN}


@dataclass(frozen=True, slots=True)
class Read:
    """Neighbouring elements of one operand; none where its type alone is needed."""

    first: int = 0
    count: int = 0


def reads(instruction: Instruction, types: Types, element: int, look: Look) -> tuple[Read, ...]:
    """What one element is computed from.

    Parameters
    ----------
    instruction : Instruction
        Of a graph that ``graph.check`` passes.
    types : sequence of TensorType
        Of its operands; those of a View and the last of a Concat may be left out.
    element : int
        In ``0 <= element < instruction.type.size``.
    look : callable

    Returns
    -------
    tuple of Read
        For each operand in order. A View outside its box reads none, a Concat ends with the part
        that holds the element.

    Raises
    ------
    OpeningRejectedError
        If the instruction is an Input or a Const, which is given, or the element of a Concat lies
        beyond the parts.

    Examples
    --------
    >>> from verifiable.graph.ir import Index
    >>> a, b = TensorType(DType.F32, (1, 2, 9)), TensorType(DType.F32, (1, 3, 9))
    >>> step = Dot(type=TensorType(DType.F32, (1, 2, 3)), a=Index(0), b=Index(1))
    >>> reads(step, [a, b], 4, int)
    (Read(first=9, count=9), Read(first=9, count=9))
    """
    match instruction:
        case Dot():
            return _of_dot(types, element)
        case Reduce():
            length = types[0].shape[-1]
            return (Read(element * length, length),)
        case Map():
            return tuple(
                Read(_broadcast(instruction.type.shape, t.shape, element), 1) for t in types
            )
        case View():
            source = _of_view(instruction, element)
            return () if source is None else (Read(source, 1),)
        case Gather():
            return _of_gather(instruction, types, element, look)
        case Concat():
            return _of_concat(instruction, types, element)
        case Input() | Const():
            raise OpeningRejectedError(
                f"{type(instruction).__name__} is given, so no operands can refute it"
            )


def _of_dot(types: Types, element: int) -> tuple[Read, ...]:
    a, b = types
    length = a.shape[2]
    rest, column = divmod(element, b.shape[1])
    batch, row = divmod(rest, a.shape[1])
    return (
        Read(((batch % a.shape[0]) * a.shape[1] + row) * length, length),
        Read(((batch % b.shape[0]) * b.shape[1] + column) * length, length),
    )


def _broadcast(shape: tuple[int, ...], narrow: tuple[int, ...], element: int) -> int:
    """Element of an operand of shape `narrow` that is broadcast to an element of `shape`."""
    assert broadcast_shape([shape, narrow]) == shape
    found, step = 0, 1
    for extent, own in zip(reversed(shape), reversed(narrow), strict=False):
        element, place = divmod(element, extent)
        found += step * place * (own != 1)
        step *= own
    return found


def _of_view(instruction: View, element: int) -> int | None:
    source = instruction.offset
    axes = zip(
        instruction.type.shape, instruction.strides, instruction.low, instruction.high, strict=True
    )
    inside = True
    for extent, stride, low, high in reversed(list(axes)):
        element, place = divmod(element, extent)
        inside = inside and low <= place < high
        source += place * stride
    return source if inside else None


def _of_gather(instruction: Gather, types: Types, element: int, look: Look) -> tuple[Read, ...]:
    x, index = types
    _, extent, inner = x.shape
    rest, within = divmod(element, inner)
    batch, place = divmod(rest, instruction.type.shape[1])
    at = (batch % index.shape[0]) * index.shape[1] + place
    chosen = look(at)
    if chosen < 0:
        chosen += extent
    if not 0 <= chosen < extent:
        return Read(), Read(at, 1)
    return Read((batch * extent + chosen) * inner + within, 1), Read(at, 1)


def _of_concat(instruction: Concat, types: Types, element: int) -> tuple[Read, ...]:
    axis, shape = instruction.axis, instruction.type.shape
    inner = prod(shape[axis + 1 :])
    rest, within = divmod(element, inner)
    outer, place = divmod(rest, shape[axis])
    number = 0
    while number < len(types) and place >= types[number].shape[axis]:
        place -= types[number].shape[axis]
        number += 1
    if number == len(types):
        raise OpeningRejectedError(
            f"element {element} is beyond the {number} parts that are opened"
        )
    extent = types[number].shape[axis]
    return (*(Read(),) * number, Read((outer * extent + place) * inner + within, 1))


def bits_of(data: bytes) -> int:
    """Bits of an element from its bytes."""
    return int.from_bytes(data, "big")


def recompute(instruction: Instruction, types: Types, data: Sequence[bytes]) -> int:
    """Bits that an element must have.

    Parameters
    ----------
    instruction : Instruction
    types : sequence of TensorType
        Of its operands.
    data : sequence of bytes
        Big-endian elements of each of `reads`.

    Examples
    --------
    >>> from verifiable.graph.ir import Index
    >>> step = Reduce(type=TensorType(DType.I32, ()), x=Index(0), fold=Fold.SUM)
    >>> recompute(step, [TensorType(DType.I32, (2,))], [bytes.fromhex("00000005fffffffe")])
    3
    """
    match instruction:
        case View(fill=fill):
            return bits_of(data[0]) if data else fill.bits
        case Gather():
            return bits_of(data[0])
        case Concat():
            return bits_of(data[-1])
        case _:
            return bits_of(_result(instruction, types, data))


def _result(instruction: Instruction, types: Types, data: Sequence[bytes]) -> bytes:
    """What a Dot, Reduce or Map gives for one row or one element of each operand."""
    arrays = [_elements(part, kind.dtype) for part, kind in zip(data, types, strict=True)]
    dtype = instruction.type.dtype
    if isinstance(instruction, Dot):
        tiny: Instruction = replace(instruction, type=TensorType(dtype, (1, 1, 1)))
        arrays = [array.reshape(1, 1, -1) for array in arrays]
    elif isinstance(instruction, Map):
        _check_program(instruction, types)
        tiny = replace(instruction, type=TensorType(dtype, ()))
        arrays = [array.reshape(()) for array in arrays]
    else:
        assert isinstance(instruction, Reduce)
        tiny = replace(instruction, type=TensorType(dtype, ()))
    return bytes(big_endian(evaluate(tiny, arrays)))


def _check_program(instruction: Map, types: Types) -> None:
    """Refuse a program that no checked graph has: a model root may be that of anything."""
    program = instruction.program
    dtypes = [*(kind.dtype for kind in types), *(literal.dtype for literal in program.literals)]
    for number, step in enumerate(program.steps):
        known = all(r < len(dtypes) for r in step.registers)
        gives = (
            scalar_result(step.function, tuple(dtypes[r] for r in step.registers))
            if known
            else None
        )
        if gives is None:
            raise EncodingError(f"step {number} of the program is none: {step}")
        dtypes.append(gives)


def _elements(data: bytes, dtype: DType) -> Array:
    array = from_big_endian(data, dtype)
    return array.view(np.uint8) != 0 if dtype is DType.BOOL else array


def piece_count(instruction: Instruction, types: Types) -> int:
    """How many pieces the rows have that one element is computed from.

    Raises
    ------
    OpeningRejectedError
        If they cannot be cut: the instruction is no Dot or Reduce, the rows are packed into
        leaves, or it sums floats in chunks that are no leaves.
    """
    if not isinstance(instruction, Dot | Reduce):
        raise OpeningRejectedError(f"{type(instruction).__name__} reads no rows")
    plan = layout(types[0])
    if not plan.leaves or not plan.rows_are_trees:
        raise OpeningRejectedError(f"rows of {types[0]} are no trees")
    if _adds_floats(instruction) and instruction.chunk * DType.F32.itemsize != LEAF_BYTES:
        raise OpeningRejectedError(f"chunks of {instruction.chunk} are no leaves")
    return plan.leaves_of_tree


def _adds_floats(instruction: Dot | Reduce) -> bool:
    folds = instruction.fold is Fold.SUM if isinstance(instruction, Reduce) else True
    return folds and instruction.type.dtype is DType.F32


def piece_reads(
    instruction: Instruction, types: Types, element: int, piece: int
) -> tuple[Read, ...]:
    """What the partial result of one piece is computed from; see `reads`.

    Raises
    ------
    OpeningRejectedError
        If there is no such piece.
    """
    count = piece_count(instruction, types)
    if not 0 <= piece < count:
        raise OpeningRejectedError(f"there are {count} pieces, none is number {piece}")
    leaf = layout(types[0]).leaf
    start = piece * leaf
    return tuple(
        Read(read.first + start, min(leaf, read.count - start))
        for read in reads(instruction, types, element, int)
    )


def partial_bytes(instruction: Dot | Reduce, types: Types) -> int:
    """Length of the partial result of one piece."""
    if isinstance(instruction, Reduce) and instruction.fold in _SEARCHES:
        return PLACE_BYTES + types[0].dtype.itemsize
    return instruction.type.dtype.itemsize


def recompute_piece(
    instruction: Instruction, types: Types, data: Sequence[bytes], piece: int
) -> bytes:
    """Partial result of one piece.

    Parameters
    ----------
    instruction : Dot or Reduce
    types : sequence of TensorType
    data : sequence of bytes
        Big-endian elements of each of `piece_reads`.
    piece : int
    """
    if not isinstance(instruction, Reduce) or instruction.fold not in _SEARCHES:
        return _result(instruction, types, data)
    place = bits_of(_result(instruction, types, data)) + piece * layout(types[0]).leaf
    value = replace(instruction, type=types[0], fold=_SEARCHES[instruction.fold])
    return place.to_bytes(PLACE_BYTES, "big") + _result(value, types, data)


def combine(instruction: Instruction, types: Types, partials: bytes) -> int:
    """Bits that an element must have if these are the partial results of its pieces.

    Parameters
    ----------
    instruction : Dot or Reduce
    types : sequence of TensorType
    partials : bytes
        One after the other, whatever they say.

    Raises
    ------
    OpeningRejectedError
        If there are no pieces, or the partial results are not as many.
    """
    count = piece_count(instruction, types)
    assert isinstance(instruction, Dot | Reduce)
    width = partial_bytes(instruction, types)
    if len(partials) != count * width:
        raise OpeningRejectedError(
            f"partial results have {len(partials)} bytes, wanted {count} of {width}"
        )
    if isinstance(instruction, Reduce) and instruction.fold in _SEARCHES:
        return _winner(instruction, types[0].dtype, list(_cut(partials, width)))
    if not _adds_floats(instruction):
        kind = TensorType(instruction.type.dtype, (count,))
        fold = instruction.fold if isinstance(instruction, Reduce) else Fold.SUM
        whole = Reduce(type=TensorType(kind.dtype, ()), x=_operand(instruction), fold=fold)
        return bits_of(_result(whole, [kind], [partials]))
    return _sum_in_order(_elements(partials, DType.F32))


def _operand(instruction: Dot | Reduce) -> Index:
    return instruction.a if isinstance(instruction, Dot) else instruction.x


def _cut(partials: bytes, width: int) -> Iterator[bytes]:
    for start in range(0, len(partials), width):
        yield partials[start : start + width]


def _winner(instruction: Reduce, dtype: DType, parts: Sequence[bytes]) -> int:
    values = b"".join(part[PLACE_BYTES:] for part in parts)
    chosen = bits_of(_result(instruction, [TensorType(dtype, (len(parts),))], [values]))
    return bits_of(parts[chosen][:PLACE_BYTES])


def _sum_in_order(values: Array) -> int:
    ones = np.ones_like(values)
    # In chunks of one element a Dot with ones adds the elements in order, and +0 at last.
    kind = TensorType(DType.F32, values.shape)
    order = Dot(type=TensorType(DType.F32, (1, 1, 1)), a=Index(0), b=Index(0), chunk=1)
    return bits_of(_result(order, [kind, kind], [bytes(big_endian(v)) for v in (values, ones)]))

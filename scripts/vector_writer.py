"""Writes the graph of one case of the golden corpus, instruction by instruction."""

import hashlib
from collections.abc import Sequence
from math import prod
from typing import Final

import numpy as np
from vector_files import Vector

from verifiable.graph.check import broadcast_shape
from verifiable.graph.ir import (
    Array,
    Concat,
    Const,
    Dot,
    Gather,
    Graph,
    Index,
    Input,
    Instruction,
    Literal,
    Map,
    Program,
    Reduce,
    TensorType,
    View,
)
from verifiable.graph.layout import from_big_endian, type_of
from verifiable.graph.tensors import tensor_root
from verifiable.graph.vocabulary import CHUNK, DOTS, DType, Fold, fold_result, scalar_result

CANONICAL_NAN: Final = 0x7FC00000
NOTHING: Final = {dtype: Literal(dtype, 0) for dtype in DType}

# Zeros, subnormals, the ends of the range, infinities, NaN, halves and other ties, the limits of
# integer casts and of exp.
F32_EDGES: Final = (
    0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x807FFFFF, 0x00800000, 0x80800000,
    0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000, CANONICAL_NAN, 0x3F800000, 0xBF800000,
    0x3F000000, 0xBF000000, 0x3FC00000, 0xC0200000, 0x4B000001, 0xCB000001, 0x4F000000, 0xCF000000,
    0x4EFFFFFF, 0x5F000000, 0xDF000000, 0x437F8000, 0xC3008000, 0x42B17218, 0xC2CFF1B5, 0x3F7FFFFF,
)  # fmt: skip


def edges(dtype: DType) -> Array:
    """Elements at the edges of a dtype."""
    if dtype is DType.F32:
        return np.array(F32_EDGES, np.uint32).view(np.float32)
    if dtype is DType.BOOL:
        return np.array([False, True])
    ends = np.iinfo(dtype.numpy)
    near = (0, 1, 2, 3, 7, 31, 32, 63, 64, 100, ends.max - 1, ends.max, ends.min, ends.min + 1)
    below = (-1, -2, -7, -64) if ends.min else (200, 254)
    wide = (2**24 + 1, -(2**24) - 1) if ends.max > 2**24 else ()
    wider = (2**53 + 1, 2**40 + 2**16 + 1, 2**31, -(2**31) - 1) if ends.max > 2**53 else ()
    return np.array((*near, *below, *wide, *wider), dtype.numpy)


def _stream(label: str, count: int) -> bytes:
    # Not NumPy's generators: their streams may change from one version to the next.
    return hashlib.shake_256(label.encode()).digest(count)


def any_bits(label: str, kind: TensorType) -> Array:
    """Elements of any bits; NaNs become the canonical one."""
    raw = np.frombuffer(_stream(label, kind.nbytes), np.uint8)
    if kind.dtype is DType.BOOL:
        return (raw & 1).astype(np.bool_).reshape(kind.shape)
    drawn = from_big_endian(raw.tobytes(), kind.dtype)
    if kind.dtype is DType.F32:
        drawn.view(np.uint32)[np.isnan(drawn)] = CANONICAL_NAN
    return drawn.reshape(kind.shape)


def plain(label: str, kind: TensorType) -> Array:
    """Elements as they occur in models: floats in [-2, 2), integers as they come."""
    if kind.dtype is not DType.F32:
        return any_bits(label, kind)
    bits = from_big_endian(_stream(label, 4 * kind.size), DType.I32)
    # 24 bits, so that the division is exact.
    return ((bits >> 8).astype(np.float32) / np.float32(2**22)).reshape(kind.shape)


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of a tensor, in elements."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


class Writer:
    """One graph that grows.

    Parameters
    ----------
    name : str
    what : str
    """

    def __init__(self, name: str, what: str) -> None:
        self.name, self.what = name, what
        self._instructions: list[Instruction] = []
        self._weights: dict[Index, Array] = {}
        self._inputs: dict[str, Array] = {}
        self._outputs: list[tuple[str, Index]] = []

    def type(self, index: Index) -> TensorType:
        """Of a tensor that is there."""
        return self._instructions[index].type

    def add(self, instruction: Instruction) -> Index:
        """Any instruction."""
        self._instructions.append(instruction)
        return Index(len(self._instructions) - 1)

    def out(self, index: Index, name: str | None = None) -> None:
        """Name an output."""
        self._outputs.append((f"y{len(self._outputs)}" if name is None else name, index))

    def input(self, array: Array, name: str | None = None) -> Index:
        """Add an Input."""
        self._inputs[f"x{len(self._inputs)}" if name is None else name] = array
        return self.add(Input(type=type_of(array)))

    def const(self, array: Array) -> Index:
        """Add a Const."""
        index = self.add(Const(type=type_of(array), root=tensor_root(array)))
        self._weights[index] = array
        return index

    def map(self, program: Program, *operands: Index) -> Index:
        """Add a Map."""
        types = [self.type(i) for i in operands]
        shape = broadcast_shape([t.shape for t in types])
        registers = [t.dtype for t in types] + [one.dtype for one in program.literals]
        for step in program.steps:
            gives = scalar_result(step.function, tuple(registers[r] for r in step.registers))
            assert gives is not None
            registers.append(gives)
        assert shape is not None
        kind = TensorType(registers[-1], shape)
        return self.add(Map(type=kind, operands=operands, program=program))

    def dot(self, a: Index, b: Index, chunk: int = CHUNK) -> Index:
        """Add a Dot."""
        left, right = self.type(a), self.type(b)
        batch = max(left.shape[0], right.shape[0])
        kind = TensorType(DOTS[left.dtype, right.dtype], (batch, left.shape[1], right.shape[1]))
        return self.add(Dot(type=kind, a=a, b=b, chunk=chunk))

    def reduce(self, x: Index, fold: Fold, chunk: int = CHUNK) -> Index:
        """Add a Reduce."""
        kind = self.type(x)
        dtype = fold_result(fold, kind.dtype)
        assert dtype is not None
        result = TensorType(dtype, kind.shape[:-1])
        return self.add(Reduce(type=result, x=x, fold=fold, chunk=chunk))

    def view(
        self,
        x: Index,
        shape: Sequence[int],
        strides: Sequence[int] | None = None,
        *,
        offset: int = 0,
        box: Sequence[tuple[int, int]] | None = None,
        fill: int = 0,
    ) -> Index:
        """Add a View; a reshape or the first elements of `x` if nothing but a shape is given."""
        shape, dtype = tuple(shape), self.type(x).dtype
        box = [(0, extent) for extent in shape] if box is None else box
        return self.add(
            View(
                type=TensorType(dtype, shape),
                x=x,
                offset=offset,
                strides=row_major(shape) if strides is None else tuple(strides),
                low=tuple(low for low, _ in box),
                high=tuple(high for _, high in box),
                fill=Literal(dtype, fill),
            )
        )

    def gather(self, x: Index, index: Index) -> Index:
        """Add a Gather."""
        kind = self.type(x)
        shape = (kind.shape[0], self.type(index).shape[1], kind.shape[2])
        return self.add(Gather(type=TensorType(kind.dtype, shape), x=x, index=index))

    def concat(self, parts: Sequence[Index], axis: int) -> Index:
        """Add a Concat."""
        shape = list(self.type(parts[0]).shape)
        shape[axis] = sum(self.type(i).shape[axis] for i in parts)
        kind = TensorType(self.type(parts[0]).dtype, tuple(shape))
        return self.add(Concat(type=kind, parts=tuple(parts), axis=axis))

    def done(self) -> Vector:
        """The case."""
        graph = Graph(
            instructions=tuple(self._instructions),
            inputs=tuple(self._inputs),
            outputs=tuple(self._outputs),
        )
        return Vector(
            name=self.name, what=self.what, graph=graph, weights=self._weights, inputs=self._inputs
        )

"""The canonical graph: a list of instructions, each of which writes one tensor.

An instruction names its operands by their place in the list; they stand before it. It says the
type of its own result, so that one descriptor tells a referee all about one step; ``check``
holds what it says against what follows from its operands.

Elements of a tensor are numbered in row-major order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, NewType

from numpy.typing import NDArray

from verifiable.graph.vocabulary import CHUNK, DType, Fold, Scalar
from verifiable.types import Sha256

Index = NewType("Index", int)
"""Place of an instruction in a graph, and of the tensor it writes."""

Array = NDArray[Any]
"""A NumPy array, C-contiguous, of one of the machine's dtypes."""

Weights = Mapping[Index, Array]
"""Elements of each Const, by its place in the graph."""


@dataclass(frozen=True, slots=True)
class TensorType:
    """Dtype and shape.

    >>> TensorType(DType.F32, (2, 3))
    f32[2,3]
    """

    dtype: DType
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.dtype.itemsize

    def __repr__(self) -> str:
        return f"{self.dtype.word}[{','.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class Literal:
    """One element, by its bits.

    Parameters
    ----------
    dtype : DType
    bits : int
        Unsigned, as wide as the dtype; two's complement for integers, 0 or 1 for BOOL.
    """

    dtype: DType
    bits: int


@dataclass(frozen=True, slots=True)
class Step:
    """One scalar function of a Map's program, and the registers it reads."""

    function: Scalar
    registers: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A straight-line scalar program.

    Registers hold, in this order, the operands, the literals, and the results of the steps; the
    last register is the result.
    """

    literals: tuple[Literal, ...] = ()
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A tensor given with each run."""

    type: TensorType


@dataclass(frozen=True, slots=True, kw_only=True)
class Const:
    """A tensor given with the model."""

    type: TensorType
    root: Sha256
    """Merkle root of its elements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """``out[b, m, n] = sum_k a[b % A, m, k] * b[b % B, n, k]``, both operands given as rows.

    `a` is ``[A, M, K]``, `b` is ``[B, N, K]``; A and B divide the result's first extent, which is
    the larger of them. f32 x f32 -> f32, i8 or u8 x i8 -> i32.
    """

    type: TensorType
    a: Index
    b: Index
    chunk: int = CHUNK


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduce:
    """A fold over the last axis, which the result has not."""

    type: TensorType
    x: Index
    fold: Fold
    chunk: int = CHUNK


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """A scalar program applied to each element.

    Operands are broadcast: aligned at the last axis, each extent is the result's or 1, and the
    result's extent is the largest of them.
    """

    type: TensorType
    operands: tuple[Index, ...]
    program: Program


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Each element is one of `x` or a fill value.

    Where ``low[d] <= i[d] < high[d]`` on every axis, element ``i`` of the result is element
    ``offset + sum_d i[d] * strides[d]`` of `x`; elsewhere it is `fill`.
    """

    type: TensorType
    x: Index
    offset: int
    strides: tuple[int, ...]
    """In elements, negative and zero too."""
    low: tuple[int, ...]
    high: tuple[int, ...]
    fill: Literal

    @property
    def is_reshape(self) -> bool:
        """Whether the result's elements are the operand's first ones, in order."""
        if self.offset or any(self.low) or self.high != self.type.shape:
            return False
        step = 1
        for extent, stride in zip(reversed(self.type.shape), reversed(self.strides), strict=True):
            if extent != 1 and stride != step:
                return False
            step *= extent
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Gather:
    """``out[b, j, i] = x[b, index[b % B, j], i]``.

    `x` is ``[N, K, I]``, `index` i32 or i64 ``[B, J]`` with B being N or 1, the result
    ``[N, J, I]``. K is added once to a negative index; one still out of range gives 0.
    """

    type: TensorType
    x: Index
    index: Index


@dataclass(frozen=True, slots=True, kw_only=True)
class Concat:
    """Tensors end to end along one axis."""

    type: TensorType
    parts: tuple[Index, ...]
    axis: int


Instruction = Input | Const | Dot | Reduce | Map | View | Gather | Concat


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Instructions ``start <= i < stop`` lowered from one ONNX operator."""

    label: str
    """Operator type and name, as in ``Softmax `/attn/softmax```."""
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A canonical program. `check` says whether it is well formed."""

    instructions: tuple[Instruction, ...]
    inputs: tuple[str, ...]
    """Name of each Input, in their order."""
    outputs: tuple[tuple[str, Index], ...]
    """Name and tensor of each output."""
    regions: tuple[Region, ...] = ()
    """For people and for engines that fuse; no bit depends on them, no digest covers them."""


def operands(instruction: Instruction) -> tuple[Index, ...]:
    """Tensors that an instruction reads, in order; one may occur twice."""
    match instruction:
        case Input() | Const():
            return ()
        case Dot(a=a, b=b):
            return (a, b)
        case Map(operands=several) | Concat(parts=several):
            return several
        case Gather(x=x, index=index):
            return (x, index)
        case Reduce(x=x) | View(x=x):
            return (x,)


def places(graph: Graph, kind: type[Instruction]) -> tuple[Index, ...]:
    """Where instructions of one kind stand."""
    return tuple(Index(i) for i, ins in enumerate(graph.instructions) if isinstance(ins, kind))


def last_uses(graph: Graph) -> tuple[tuple[Index, ...], ...]:
    """For each instruction, the tensors that nothing after it reads; outputs are kept."""
    last: dict[Index, int] = {}
    for i, instruction in enumerate(graph.instructions):
        last[Index(i)] = i
        last.update(dict.fromkeys(operands(instruction), i))
    kept = {index for _, index in graph.outputs}
    dead: list[list[Index]] = [[] for _ in graph.instructions]
    for index, place in last.items():
        if index not in kept:
            dead[place].append(index)
    return tuple(map(tuple, dead))

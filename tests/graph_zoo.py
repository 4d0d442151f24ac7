"""Random well-formed graphs with weights and inputs, for whatever must agree on all of them.

A case is made from its seed alone: ``case(seed)`` in a shell gives the graph of a failing test.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Final

import numpy as np
from hypothesis import strategies as st
from tensor_zoo import (
    DTYPES,
    F32_BITS,
    LONG,
    SMALL,
    STYLES,
    any_bits,
    f32,
    kind_of_tensors,
    literal,
    mixed_values,
    odd_values,
    plain_values,
    tensor,
    tensors,
)

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
    Region,
    Step,
    TensorType,
    View,
)
from verifiable.graph.tensors import tensor_root
from verifiable.graph.vocabulary import (
    CASTS,
    DOTS,
    FOLDED,
    SIGNATURES,
    DType,
    Fold,
    Scalar,
    fold_result,
    scalar_result,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A graph and all it takes to run it."""

    graph: Graph
    weights: dict[Index, Array]
    inputs: dict[str, Array]
    label: str

    def __repr__(self) -> str:
        return self.label


class Writer:
    """Writes one graph at random.

    Parameters
    ----------
    rng : random.Random
    extents : sequence of int
        Drawn from, most shapes from three of them, so that tensors fit one another.
    most : int
        Elements of a tensor, and eight times as many products of a Dot.
    """

    def __init__(self, rng: random.Random, extents: Sequence[int], most: int) -> None:
        self.rng = rng
        self.most = most
        self.extents = [*rng.choices(extents, k=3), 1]
        self.instructions: list[Instruction] = []
        self.weights: dict[Index, Array] = {}
        self.inputs: dict[str, Array] = {}

    def add(self, instruction: Instruction) -> Index:
        self.instructions.append(instruction)
        return Index(len(self.instructions) - 1)

    def type(self, index: Index) -> TensorType:
        return self.instructions[index].type

    def shape(self, ranks: Sequence[int] = (0, 1, 2, 2, 3, 3, 4, 8)) -> tuple[int, ...]:
        """A shape of at most `most` elements."""
        shape = self.rng.choices(self.extents, k=self.rng.choice(ranks))
        while prod(shape) > self.most:
            shape[self.rng.choice([i for i, e in enumerate(shape) if e > 1])] = 1
        return tuple(shape)

    def given(self, kind: TensorType, elements: Array | None = None) -> Index:
        """An Input or a Const."""
        array = tensor(self.rng, kind) if elements is None else elements
        if self.rng.random() < 0.5:
            self.inputs[f"x{len(self.inputs)}"] = array
            return self.add(Input(type=kind))
        index = self.add(Const(type=kind, root=tensor_root(array)))
        self.weights[index] = array
        return index

    def some(self, wanted: Callable[[TensorType], bool]) -> Index | None:
        """A tensor that is there already."""
        found = [Index(i) for i, ins in enumerate(self.instructions) if wanted(ins.type)]
        return self.rng.choice(found) if found else None

    def operand(self, kind: TensorType) -> Index:
        """A tensor of this type: one that is there, one made from it, or a given one."""
        there = self.some(lambda t: t == kind)
        if there is not None and self.rng.random() < 0.7:
            return there
        source = self.some(lambda t: t.dtype is kind.dtype and (bool(t.size) or 0 in kind.shape))
        if source is not None and self.rng.random() < 0.5:
            return self.add(self.view_of(source, kind.shape))
        other = self.some(lambda t: t.shape == kind.shape)
        if other is not None and self.rng.random() < 0.5:
            cast = Program(steps=(Step(CASTS[kind.dtype], (0,)),))
            return self.add(Map(type=kind, operands=(other,), program=cast))
        return self.given(kind)

    def dot(self) -> Index:
        (left, right), gives = self.rng.choice(tuple(DOTS.items()))
        rows, columns, length, batch = self.rng.choices(self.extents, k=4)
        length = min(length, 8 * self.most)
        while max(batch, 1) * max(rows, 1) * max(columns, 1) * max(length, 1) > 8 * self.most:
            rows, columns, batch = -(-rows // 2), -(-columns // 2), -(-batch // 2)
        batches = self.rng.choice([(batch, batch), (1, batch), (batch, 1)])
        if batch and 2 * batch * max(rows, columns) * length <= self.most:
            batches = self.rng.choice([batches, (batch, 2 * batch), (2 * batch, batch)])
        a = self.operand(TensorType(left, (batches[0], rows, length)))
        b = self.operand(TensorType(right, (batches[1], columns, length)))
        kind = TensorType(gives, (0 if 0 in batches else max(batches), rows, columns))
        return self.add(Dot(type=kind, a=a, b=b, chunk=self.chunk(0)))

    def chunk(self, least: int) -> int:
        return self.rng.choice((256, 256, 1 << self.rng.randrange(least, 11)))

    def reduce(self) -> Index:
        fold = self.rng.choice(tuple(Fold))
        x = self.some(
            lambda t: (
                bool(t.shape) and t.dtype in FOLDED[fold] and (fold is Fold.SUM or t.shape[-1] > 0)
            )
        )
        if x is None or self.rng.random() < 0.3:
            shape = self.shape((1, 2, 3))
            if not shape[-1] and fold is not Fold.SUM:
                shape = (*shape[:-1], 2)
            x = self.operand(TensorType(self.rng.choice(sorted_types(FOLDED[fold])), shape))
        kind = self.type(x)
        gives = fold_result(fold, kind.dtype)
        assert gives is not None
        result = TensorType(gives, kind.shape[:-1])
        return self.add(Reduce(type=result, x=x, fold=fold, chunk=self.chunk(5)))

    def map(self) -> Index:
        whole = self.shape()
        taken = []
        for _ in range(self.rng.randint(1, 3)):
            shape = tuple(1 if self.rng.random() < 0.2 else e for e in whole)
            if self.rng.random() < 0.2:
                shape = shape[self.rng.randint(0, len(shape)) :]
            taken.append(self.operand(TensorType(self.rng.choice(DTYPES), shape)))
        if self.rng.random() < 0.2:
            taken[-1] = taken[0]
        types = [self.type(i) for i in taken]
        result = broadcast_shape([t.shape for t in types])
        assert result is not None
        used, gives = program(self.rng, [t.dtype for t in types], self.rng.randint(1, 6))
        kind = TensorType(gives, result)
        return self.add(Map(type=kind, operands=tuple(taken), program=used))

    def view(self) -> Index:
        shape = self.shape()
        x = self.some(lambda t: bool(t.size) or 0 in shape)
        if x is None:
            kind = TensorType(self.rng.choice(DTYPES), self.shape((1, 2)))
            x = self.given(replace(kind, shape=tuple(e or 1 for e in kind.shape)))
        kind = self.type(x)
        if self.rng.random() < 0.3:
            shape = self.rng.choice([kind.shape, (kind.size,), (1, *kind.shape)[:8]])
        return self.add(self.view_of(x, shape))

    def view_of(self, x: Index, shape: tuple[int, ...]) -> View:
        """A view of a tensor with any shape: a reshape where it can be one, or at random."""
        rng, kind = self.rng, self.type(x)
        result = TensorType(kind.dtype, shape)
        fill = literal(rng, kind.dtype)
        if result.size == kind.size and rng.random() < 0.5:
            strides = row_major(shape)
            return View(
                type=result, x=x, offset=0, strides=strides, low=(0,) * len(shape), high=shape,
                fill=fill,
            )  # fmt: skip
        box = [(0, e) if rng.random() < 0.7 else span(rng, e) for e in shape]
        if not kind.size and all(low < high for low, high in box):
            box[0] = (0, 0)
        pool = [0, 1, 1, -1, 2, -3, *row_major(kind.shape)]
        slopes = [rng.choice(pool) * rng.choice((1, 1, -1)) for _ in shape]
        for axis in rng.sample(range(len(shape)), len(shape)):
            if reach(box, slopes)[1] - reach(box, slopes)[0] >= max(kind.size, 1):
                slopes[axis] = 0
        first, last = reach(box, slopes)
        offset = rng.randint(-first, max(kind.size, 1) - 1 - last)
        return View(
            type=result, x=x, offset=offset, strides=tuple(slopes),
            low=tuple(low for low, _ in box), high=tuple(high for _, high in box), fill=fill,
        )  # fmt: skip

    def gather(self) -> Index:
        shape = self.shape((3,))
        x = self.operand(TensorType(self.rng.choice(DTYPES), shape))
        dtype = self.rng.choice((DType.I32, DType.I64))
        kind = TensorType(dtype, (self.rng.choice((1, shape[0])), self.rng.choice(self.extents)))
        if self.rng.random() < 0.3:
            index = self.operand(kind)
        else:
            reach = 3 * shape[1] // 2 + 1
            drawn = np.random.default_rng(self.rng.getrandbits(64)).integers(
                -reach, reach, kind.shape
            )
            index = self.given(kind, drawn.astype(dtype.numpy))
        result = TensorType(self.type(x).dtype, (shape[0], kind.shape[1], shape[2]))
        if result.size > self.most * 8:
            return x
        return self.add(Gather(type=result, x=x, index=index))

    def concat(self) -> Index:
        shape = list(self.shape((1, 2, 3)))
        dtype, axis = self.rng.choice(DTYPES), self.rng.randrange(len(shape))
        parts = []
        for _ in range(self.rng.randint(1, 4)):
            off = prod(shape[:axis]) * prod(shape[axis + 1 :])
            fits = [e for e in self.extents if e * off <= self.most]
            shape[axis] = self.rng.choice((*fits, shape[axis]))
            parts.append(self.operand(TensorType(dtype, tuple(shape))))
        shape[axis] = sum(self.type(i).shape[axis] for i in parts)
        kind = TensorType(dtype, tuple(shape))
        return self.add(Concat(type=kind, parts=tuple(parts), axis=axis))


def sorted_types(dtypes: frozenset[DType]) -> list[DType]:
    """The same order in every process."""
    return sorted(dtypes, key=lambda d: d.value)


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a tensor, in elements."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def copied(x: Index, kind: TensorType) -> View:
    """A copy of a tensor."""
    shape = kind.shape
    return View(
        type=kind, x=x, offset=0, strides=row_major(shape), low=(0,) * len(shape), high=shape,
        fill=Literal(kind.dtype, 0),
    )  # fmt: skip


def passed_on(kind: TensorType) -> Graph:
    """An input, and the output that is a copy of it."""
    whole = (Input(type=kind), copied(Index(0), kind))
    return Graph(instructions=whole, inputs=("x",), outputs=(("y", Index(1)),))


def span(rng: random.Random, extent: int) -> tuple[int, int]:
    """Part of an axis, perhaps none of it."""
    low, high = sorted(rng.randint(0, extent) for _ in range(2))
    return low, high


def reach(box: Sequence[tuple[int, int]], strides: Sequence[int]) -> tuple[int, int]:
    """Least and largest element read, before the offset; (0, 0) if none is."""
    if any(low >= high for low, high in box):
        return 0, 0
    ends = [sorted((low * s, (high - 1) * s)) for (low, high), s in zip(box, strides, strict=True)]
    return sum(low for low, _ in ends), sum(high for _, high in ends)


def program(rng: random.Random, taken: Sequence[DType], steps: int) -> tuple[Program, DType]:
    """A random program over operands of these dtypes, and the dtype it gives.

    Where no register has the dtype that a function takes, a cast stands before it.
    """
    literals = tuple(literal(rng, rng.choice(DTYPES)) for _ in range(rng.randint(0, 3)))
    registers = [*taken, *(one.dtype for one in literals)]
    written: list[Step] = []

    def add(function: Scalar, read: tuple[int, ...]) -> int:
        gives = scalar_result(function, tuple(registers[r] for r in read))
        assert gives is not None
        registers.append(gives)
        written.append(Step(function, read))
        return len(registers) - 1

    def register(dtype: DType) -> int:
        found = [r for r, d in enumerate(registers) if d is dtype]
        if found:
            return rng.choice((*found, found[-1]))
        return add(CASTS[dtype], (rng.randrange(len(registers)),))

    for _ in range(steps):
        function = rng.choice(tuple(Scalar))
        signature = SIGNATURES[function]
        dtype = rng.choice(sorted_types(signature.takes))
        dtypes = [dtype] * signature.arity
        if function is Scalar.SELECT:
            dtypes[0] = DType.BOOL
        add(function, tuple([register(d) for d in dtypes]))
    return Program(literals=literals, steps=tuple(written)), registers[-1]


KINDS: Final = (
    Writer.dot, Writer.reduce, Writer.map, Writer.map, Writer.view, Writer.gather, Writer.concat,
)  # fmt: skip


def case(seed: int, *, steps: int = 6, extents: Sequence[int] = SMALL, most: int = 2048) -> Case:
    """A random graph with its weights and inputs.

    Parameters
    ----------
    seed : int
    steps : int
        Instructions that are written on purpose; their operands come on top.
    extents : sequence of int
        `SMALL`, `LONG`, or others.
    most : int
        Elements of a tensor, roughly.
    """
    rng = random.Random(seed)
    writer = Writer(rng, extents, most)
    wanted = [rng.choice(KINDS)(writer) for _ in range(max(steps, 1))]
    total = len(writer.instructions)
    chosen = [wanted[-1], *(Index(rng.randrange(total)) for _ in range(rng.randint(0, 3)))]
    if all(isinstance(writer.instructions[i], Input | Const) for i in chosen):
        # A graph computes one of its outputs.
        chosen[0] = Index(total)
        writer.instructions.append(copied(wanted[-1], writer.instructions[wanted[-1]].type))
        total += 1
    cuts = sorted({0, total, *(rng.randint(0, total) for _ in range(rng.randint(0, 3)))})
    graph = Graph(
        instructions=tuple(writer.instructions),
        inputs=tuple(writer.inputs),
        outputs=tuple((f"y{i}", index) for i, index in enumerate(chosen)),
        regions=tuple(Region(label=f"Zoo `{a}`", start=a, stop=b) for a, b in pairwise(cuts)),
    )
    label = f"case({seed}, steps={steps}, extents={tuple(extents)}, most={most})"
    return Case(graph=graph, weights=writer.weights, inputs=writer.inputs, label=label)


def cases(
    *, steps: int = 8, extents: Sequence[int] = SMALL, most: int = 2048
) -> st.SearchStrategy[Case]:
    """Strategy of `case`; shrinks towards few instructions."""
    return st.builds(
        lambda count, seed: case(seed, steps=count, extents=extents, most=most),
        st.integers(0, steps),
        st.integers(0, 2**32 - 1),
    )


__all__ = [
    "DTYPES",
    "F32_BITS",
    "KINDS",
    "LONG",
    "SMALL",
    "STYLES",
    "Case",
    "Writer",
    "any_bits",
    "case",
    "cases",
    "f32",
    "kind_of_tensors",
    "literal",
    "mixed_values",
    "odd_values",
    "plain_values",
    "program",
    "reach",
    "row_major",
    "sorted_types",
    "span",
    "tensor",
    "tensors",
]

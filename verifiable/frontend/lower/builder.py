"""Writes a canonical graph instruction by instruction.

What depends on constants alone is computed at once by the machine's own definition, so a folded
constant has the bits an engine would have given. Equal instructions are written once, and a view
of a view is one view where one can say it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Final

import numpy as np

from verifiable.engines.native_hash import best_hasher
from verifiable.frontend.lower.expression import Expression, Function, literal, trace
from verifiable.frontend.lower.made import afford_instruction
from verifiable.frontend.lower.values import Value
from verifiable.frontend.lower.views import compose, row_major
from verifiable.graph.check import broadcast_shape, check
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
    TensorType,
    View,
    operands,
)
from verifiable.graph.passes import renumbered, without_dead, without_twins
from verifiable.graph.tensors import tensor_root
from verifiable.graph.vocabulary import DOTS, DType, Fold, fold_result, scalar_result
from verifiable.ops import evaluate
from verifiable.types import Sha256

DTYPES: Final = {np.dtype(d.numpy): d for d in DType}
_UNROOTED: Final = Sha256(bytes(32))
_FOLD_ALWAYS: Final = 1 << 16
"""Bytes up to which a constant result is computed, even if its operands are smaller."""
_FOLD_MOST: Final = 1 << 30
"""Bytes of all constant results, beside four times what the model itself holds: a chain of joins
doubles at each link."""


class Builder:
    """A graph that grows. Values belong to the builder that made them."""

    def __init__(self) -> None:
        self._instructions: list[Instruction] = []
        self._known: dict[Instruction, Index] = {}
        self._constants: dict[Index, Array] = {}
        self._small: dict[tuple[TensorType, bytes], Index] = {}
        self._inputs: list[str] = []
        self._regions: list[Region] = []
        self._held = self._made = 0  # bytes of constants, and of those that were folded
        self.moved: dict[Index, Index] = {}
        """Once finished: where each instruction stands in the graph."""

    def __len__(self) -> int:
        return len(self._instructions)

    def input(self, name: str, type_: TensorType) -> Value:
        """Add an input."""
        self._inputs.append(name)
        return self._append(Input(type=type_))

    def constant(self, array: Array, dtype: DType | None = None) -> Value:
        """Add a constant; NaNs become the canonical one.

        Parameters
        ----------
        array : array
            Of one of the machine's dtypes, or of any if `dtype` is given.
        dtype : DType, optional
        """
        if dtype is not None:
            array = np.asarray(array, dtype.numpy)
        kind = TensorType(DTYPES[array.dtype], tuple(array.shape))
        array = np.ascontiguousarray(array).reshape(kind.shape)
        if kind.dtype is DType.F32 and np.isnan(array).any():
            array = array.copy()
            array.view(np.uint32)[np.isnan(array)] = 0x7FC00000
        if array.nbytes <= 1024:
            key = (kind, array.tobytes())
            if key in self._small:
                return Value(self._small[key], kind)
        self._held += array.nbytes
        value = self._append(Const(type=kind, root=_UNROOTED))
        self._constants[value.index] = array
        if array.nbytes <= 1024:
            self._small[(kind, array.tobytes())] = value.index
        return value

    def scalar(self, number: float, dtype: DType = DType.F32) -> Value:
        """Add a constant of rank 0."""
        return self.constant(np.asarray(number), dtype)

    def known(self, value: Value) -> Array | None:
        """Elements of a constant, None for what depends on an input."""
        return self._constants.get(value.index)

    def map(self, function: Function, *several: Value) -> Value:
        """Apply a scalar function, written with `Expression`, to broadcast tensors."""
        shape = broadcast_shape([v.shape for v in several])
        assert shape is not None, [v.type for v in several]
        function, several = self._with_literals(function, several, shape)
        written = trace(function, [v.dtype for v in several])
        if isinstance(written, int):
            return self.expand(several[written], shape)
        if isinstance(written, Literal):
            bits = np.array([written.bits], f"u{written.dtype.itemsize}")
            return self.expand(self.constant(bits.view(written.dtype.numpy).reshape(())), shape)
        # Operands that the program reads twice, or not at all, are named once or left out.
        merged, kept = _compact(written, [v.index for v in several])
        types = {v.index: v.type for v in several}
        wide = broadcast_shape([types[i].shape for i in kept])
        dtype = _result(merged, [types[i].dtype for i in kept])
        assert wide is not None
        made = self._emit(Map(type=TensorType(dtype, wide), operands=kept, program=merged))
        return self.expand(made, shape)

    def _with_literals(
        self, function: Function, several: tuple[Value, ...], shape: tuple[int, ...]
    ) -> tuple[Function, tuple[Value, ...]]:
        """Single constant elements as literals: one tensor fewer to open in a dispute."""
        known = [self.known(v) if v.type.size == 1 else None for v in several]
        kept = tuple(v for v, array in zip(several, known, strict=True) if array is None)
        if not kept or broadcast_shape([v.shape for v in kept]) != shape:
            return function, several

        def filled(first: Expression, *others: Expression) -> Expression:
            rest = iter((first, *others))
            return function(
                *(
                    next(rest) if array is None else first.literal(array.reshape(-1)[0], v.dtype)
                    for array, v in zip(known, several, strict=True)
                )
            )

        return filled, kept

    def cast(self, x: Value, dtype: DType) -> Value:
        """Cast elements; nothing if the dtype is the same."""
        return self.map(lambda v: v.to(dtype), x)

    def dot(self, a: Value, b: Value) -> Value:
        """``[A, M, K]`` and ``[B, N, K]`` to ``[max(A, B), M, N]``; see ``ir.Dot``."""
        batch = 0 if 0 in (a.shape[0], b.shape[0]) else max(a.shape[0], b.shape[0])
        kind = TensorType(DOTS[a.dtype, b.dtype], (batch, a.shape[1], b.shape[1]))
        return self._emit(Dot(type=kind, a=a.index, b=b.index))

    def reduce(self, x: Value, fold: Fold) -> Value:
        """Fold the last axis."""
        dtype = fold_result(fold, x.dtype)
        assert dtype is not None, (fold, x.type)
        return self._emit(Reduce(type=TensorType(dtype, x.shape[:-1]), x=x.index, fold=fold))

    def gather(self, x: Value, index: Value) -> Value:
        """``[N, K, I]`` by ``[1 or N, J]`` to ``[N, J, I]``; see ``ir.Gather``."""
        kind = TensorType(x.dtype, (x.shape[0], index.shape[1], x.shape[2]))
        return self._emit(Gather(type=kind, x=x.index, index=index.index))

    def concat(self, parts: Sequence[Value], axis: int) -> Value:
        """Join along `axis`, which may be negative; several levels where there are many parts."""
        axis %= len(parts[0].shape)
        several = list(parts)
        while len(several) > 1:
            several = [self._join(several[i : i + 255], axis) for i in range(0, len(several), 255)]
        return several[0]

    def _join(self, parts: Sequence[Value], axis: int) -> Value:
        if len(parts) == 1:
            return parts[0]
        shape = list(parts[0].shape)
        shape[axis] = sum(p.shape[axis] for p in parts)
        kind = TensorType(parts[0].dtype, tuple(shape))
        return self._emit(Concat(type=kind, parts=tuple(p.index for p in parts), axis=axis))

    def view(
        self,
        x: Value,
        shape: Sequence[int],
        strides: Sequence[int],
        *,
        offset: int = 0,
        low: Sequence[int] | None = None,
        high: Sequence[int] | None = None,
        fill: float = 0,
    ) -> Value:
        """Read elements of `x` by their number; see ``ir.View``."""
        shape = tuple(shape)
        view = View(
            type=TensorType(x.dtype, shape),
            x=x.index,
            offset=offset,
            strides=tuple(strides),
            low=tuple(low) if low is not None else (0,) * len(shape),
            high=tuple(high) if high is not None else shape,
            fill=literal(fill, x.dtype),
        )
        while True:
            inner = self._instructions[view.x]
            joined = compose(view, inner) if isinstance(inner, View) else None
            if joined is None:
                break
            view = joined
        source = self._instructions[view.x].type
        if view.is_reshape and source == view.type:
            return Value(view.x, source)
        return self._emit(view)

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        """Same elements in the same order; one extent may be -1."""
        shape = list(shape)
        if -1 in shape:
            rest = prod(e for e in shape if e != -1)
            shape[shape.index(-1)] = x.type.size // rest if rest else 0
        assert prod(shape) == x.type.size, (x.type, shape)
        return self.view(x, shape, row_major(shape))

    def transpose(self, x: Value, order: Sequence[int]) -> Value:
        """Permute axes: axis ``d`` of the result is axis ``order[d]``."""
        strides = row_major(x.shape)
        return self.view(x, [x.shape[a] for a in order], [strides[a] for a in order])

    def expand(self, x: Value, shape: Sequence[int]) -> Value:
        """Broadcast to `shape`, aligned at the last axis."""
        shape = tuple(shape)
        if x.shape == shape:
            return x
        missing = len(shape) - len(x.shape)
        strides = [0] * missing + [
            0 if own == 1 and extent != 1 else stride
            for own, extent, stride in zip(
                x.shape, shape[missing:], row_major(x.shape), strict=True
            )
        ]
        return self.view(x, shape, strides)

    def slice(
        self, x: Value, starts: Sequence[int], extents: Sequence[int], steps: Sequence[int]
    ) -> Value:
        """Elements ``start, start + step, ...`` on every axis; steps may be negative."""
        strides = row_major(x.shape)
        offset = sum(s * e for s, e in zip(starts, strides, strict=True)) if 0 not in extents else 0
        steps = [s * e for s, e in zip(steps, strides, strict=True)]
        return self.view(x, extents, steps, offset=offset)

    def pad(self, x: Value, before: Sequence[int], after: Sequence[int], fill: float = 0) -> Value:
        """Add `fill` around `x`; all counts at least 0."""
        shape = [b + e + a for b, e, a in zip(before, x.shape, after, strict=True)]
        high = [b + e for b, e in zip(before, x.shape, strict=True)]
        strides = row_major(x.shape)
        offset = -sum(b * s for b, s in zip(before, strides, strict=True))
        return self.view(x, shape, strides, offset=offset, low=before, high=high, fill=fill)

    def again(self, instruction: Instruction, sources: Mapping[Index, Value]) -> Value:
        """An instruction of another graph, reading `sources` for what it read there.

        Parameters
        ----------
        instruction : Instruction
            Its type says what the new operands give.
        sources : mapping of Index to Value
            By the operands' places in the other graph.
        """
        place = {old: value.index for old, value in sources.items()}
        return self._emit(renumbered(instruction, place))

    def region(self, label: str, start: int) -> None:
        """Say that what was written since `start` came from one operator."""
        if len(self) > start:
            self._regions.append(Region(label=label, start=start, stop=len(self)))

    def finish(self, outputs: Iterable[tuple[str, Value]]) -> tuple[Graph, dict[Index, Array]]:
        """The graph of what the outputs need, checked, and its constants.

        Raises
        ------
        GraphError
            If an instruction breaks a rule, such as an integer Dot that could overflow.
        """
        ends = list(outputs)
        if all(isinstance(self._instructions[v.index], Input | Const) for _, v in ends):
            # A graph whose outputs are all given commits to none of them; see `graph.check`.
            ends = [(name, self._copy(value)) for name, value in ends]
        graph, moved = without_dead(
            Graph(
                instructions=tuple(self._instructions),
                inputs=tuple(self._inputs),
                outputs=tuple((name, value.index) for name, value in ends),
                regions=tuple(self._regions),
            )
        )
        weights = {moved[i]: array for i, array in self._constants.items() if i in moved}
        instructions, hasher = list(graph.instructions), best_hasher()
        for place, array in weights.items():
            const = instructions[place]
            assert isinstance(const, Const)
            instructions[place] = replace(const, root=tensor_root(array, hasher=hasher))
        graph, kept = without_twins(replace(graph, instructions=tuple(instructions)))
        self.moved = {old: kept[new] for old, new in moved.items()}
        check(graph)
        return graph, {kept[place]: array for place, array in weights.items()}

    def _copy(self, x: Value) -> Value:
        shape = x.shape
        strides = tuple(row_major(shape))
        return self._append(
            View(
                type=x.type, x=x.index, offset=0, strides=strides, low=(0,) * len(shape),
                high=shape, fill=literal(0, x.dtype),
            )
        )  # fmt: skip

    def _append(self, instruction: Instruction) -> Value:
        afford_instruction(instruction.type, len(self))
        self._instructions.append(instruction)
        return Value(Index(len(self._instructions) - 1), instruction.type)

    def _emit(self, instruction: Instruction) -> Value:
        if instruction in self._known:
            return Value(self._known[instruction], instruction.type)
        sources = operands(instruction)
        if all(i in self._constants for i in sources):
            arrays = [self._constants[i] for i in sources]
            largest, made = max((a.nbytes for a in arrays), default=0), instruction.type.nbytes
            room = _FOLD_MOST + 4 * (self._held - self._made) - self._made
            if made <= min(max(_FOLD_ALWAYS, 2 * largest), room):
                self._made += made
                value = self.constant(_folded(instruction, arrays))
                self._known[instruction] = value.index
                return value
        value = self._append(instruction)
        self._known[instruction] = value.index
        return value


def _folded(instruction: Instruction, arrays: Sequence[Array]) -> Array:
    shape = instruction.type.shape
    if isinstance(instruction, View) and instruction.is_reshape and arrays[0].size == prod(shape):
        return arrays[0].reshape(shape)  # weights of hundreds of megabytes are not copied
    return evaluate(instruction, arrays)


def _result(program: Program, types: Sequence[DType]) -> DType:
    registers = [*types, *(item.dtype for item in program.literals)]
    for step in program.steps:
        made = scalar_result(step.function, tuple(registers[r] for r in step.registers))
        assert made is not None
        registers.append(made)
    return registers[-1]


def _compact(program: Program, several: Sequence[Index]) -> tuple[Program, tuple[Index, ...]]:
    """Program and operands without repeated and unread ones."""
    read = {r for step in program.steps for r in step.registers}
    kept: list[Index] = []
    register: dict[int, int] = {}
    for old, index in enumerate(several):
        if old in read:
            if index not in kept:
                kept.append(index)
            register[old] = kept.index(index)
    shift = len(kept) - len(several)
    steps = tuple(
        replace(step, registers=tuple(register.get(r, r + shift) for r in step.registers))
        for step in program.steps
    )
    return replace(program, steps=steps), tuple(kept)


__all__ = ["DTYPES", "Builder", "Value"]

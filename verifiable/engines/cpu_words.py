"""The words that tell native code what to do; ``native/plan.cpp`` reads them in the same order."""

from collections.abc import Iterator, Mapping
from typing import Final

from verifiable.engines.cpu_groups import Group, Node
from verifiable.engines.cpu_layout import Digits, split
from verifiable.engines.cpu_programs import Words, program_words, signed_bits
from verifiable.engines.cpu_schedule import Schedule, Work, source_of
from verifiable.graph.ir import (
    Concat,
    Const,
    Dot,
    Gather,
    Index,
    Input,
    Map,
    Reduce,
    View,
)
from verifiable.graph.vocabulary import DType, Fold

GROUP, COPY, GATHER = range(3)
DOT, MAP, REDUCE = range(3)
ARENA: Final = 0
"""Slot of the memory between inputs and outputs; then those of Consts, Inputs and outputs."""


class Writer:
    """Writes the words of a schedule.

    Parameters
    ----------
    plan : Schedule
    slots : mapping of Index to int
        Slot of each tensor that is not in the arena.
    """

    def __init__(self, plan: Schedule, slots: Mapping[Index, int]) -> None:
        self.plan = plan
        self.slots = slots
        self.instructions = plan.graph.instructions
        self.looked_at: set[Index] = set()
        """Inputs whose elements native code looks at for NaNs when it reads them."""

    def words(self, work: Work) -> list[int]:
        """Words of one operation or, of a Concat, of several."""
        if work.group is not None:
            return [GROUP, *self._group(work.group, work.writes)]
        (index,) = work.members
        match self.instructions[index]:
            case View() as view:
                return list(self._view(index, view))
            case Gather() as gather:
                return list(self._gather(index, gather))
            case Concat() as concat:
                return list(self._concat(index, concat))
            case other:
                raise AssertionError(f"no operation computes {type(other).__name__}")

    def count(self, work: Work) -> int:
        """Operations that `words` of this work make."""
        instruction = self.instructions[work.members[0]]
        if work.group is None and isinstance(instruction, Concat):
            return sum(1 for part in instruction.parts if self.instructions[part].type.size)
        return 1

    def place(self, root: Index, offset: int = 0) -> tuple[int, int]:
        """Slot and byte of element `offset` of a tensor in memory."""
        offset *= self.instructions[root].type.dtype.itemsize
        if not self.instructions[root].type.size:
            return ARENA, 0  # nothing is read there
        if root in self.slots:
            return self.slots[root], offset
        return ARENA, self.plan.offsets[root] + offset

    def _memory(self, index: Index) -> tuple[int, int]:
        layout = self.plan.layouts.of[index]
        assert layout.dense
        return self.place(layout.root, layout.offset)

    # Groups

    def _group(self, group: Group, writes: tuple[Index, ...]) -> Words:
        yield from (group.rows, group.width, group.folds)
        first = self.instructions[group.first]
        yield isinstance(first, Dot)
        if isinstance(first, Dot):
            yield from self._dot(first, group)
        buffers, of_node = self._buffers(group, writes)
        yield len(buffers)
        for itemsize, column, stored in buffers:
            yield from (stored is None, itemsize, column)
            yield from (0, 0) if stored is None else self.place(stored)
        inputs = self._inputs(group)
        yield len(inputs)
        for index in inputs:
            yield from self.place(index)
        self.looked_at |= set(inputs)
        yield len(group.nodes)
        numbers = {node.index: i for i, node in enumerate(group.nodes)}
        for node, buffer in zip(group.nodes, of_node, strict=True):
            yield from self._node(node, buffer, numbers)

    def _inputs(self, group: Group) -> list[Index]:
        """Inputs that the group reads once and in order, which none did before."""
        dense = ((group.rows, group.width),) if group.rows > 1 else ()
        found: list[Index] = []
        for reading in (r for node in group.nodes if not node.column for r in node.readings):
            kind = self.instructions[reading.root].type
            if (
                isinstance(self.instructions[reading.root], Input)
                and kind.dtype is DType.F32
                and kind.size == group.rows * group.width
                and (reading.offset, reading.inner, reading.row) == (0, 1, dense)
                and reading.root not in self.looked_at
                and reading.root not in found
            ):
                found.append(reading.root)
        return found

    def _buffers(
        self, group: Group, writes: tuple[Index, ...]
    ) -> tuple[list[tuple[int, bool, Index | None]], list[int]]:
        """Buffers, each its itemsize, shape and the tensor it is in memory; and that of each node.

        A node writes over an operand that nothing needs after it, and a scratch buffer is used
        again after its last reader.
        """
        last = {
            reading.node: i
            for i, node in enumerate(group.nodes)
            for reading in node.readings
            if reading.node is not None
        }
        buffers: list[tuple[int, bool, Index | None]] = []
        of_node: list[int] = []
        has_dot = isinstance(self.instructions[group.first], Dot)
        owner: dict[Index, int] = {}
        free: list[int] = []
        for i, node in enumerate(group.nodes):
            kind = self.instructions[node.index].type.dtype.itemsize, node.column
            dying = [o for o in _inner(node) if last[o] == i and o not in writes]
            heir = None
            # Totals of a Dot are added to many times: better in scratch, close together.
            scattered = has_dot and node.index in writes
            if isinstance(self.instructions[node.index], Map) and not scattered:
                heir = next((owner[o] for o in dying if buffers[owner[o]][:2] == kind), None)
            if heir is None:
                heir = (
                    None if scattered else next((b for b in free if buffers[b][:2] == kind), None)
                )
                if heir is None:
                    buffers.append((*kind, None))
                    heir = len(buffers) - 1
                else:
                    free.remove(heir)
            if node.index in writes:
                buffers[heir] = (*kind, node.index)
            free += [owner[o] for o in dying if owner[o] != heir]
            owner[node.index] = heir
            of_node.append(heir)
        return buffers, of_node

    def _node(self, node: Node, buffer: int, numbers: Mapping[Index, int]) -> Words:
        instruction = self.instructions[node.index]
        kinds = {Dot: DOT, Map: MAP, Reduce: REDUCE}
        yield from (kinds[type(instruction)], instruction.type.dtype.value, node.column, buffer)
        yield len(node.readings)
        match instruction:
            case Map(operands=several):
                read: tuple[Index, ...] = several
            case Reduce(x=x):
                read = (x,)
            case _:
                read = ()
        for operand, reading in zip(read, node.readings, strict=True):
            dtype = self.instructions[operand].type.dtype
            if reading.node is not None:
                yield from (numbers[reading.node], dtype.value)
                continue
            yield from (-1, dtype.value, *self.place(reading.root, reading.offset))
            yield reading.inner
            yield from _axis(reading.row)
            yield from _axis(reading.along)
        fold, chunk = Fold.SUM, 1
        if isinstance(instruction, Reduce):
            fold, chunk = instruction.fold, instruction.chunk
        yield from (fold.value, chunk)
        if isinstance(instruction, Map):
            dtypes = [self.instructions[o].type.dtype for o in read]
            yield from program_words(instruction.program, dtypes)
        else:
            yield from (0, 0, 0, 0)

    def _dot(self, dot: Dot, group: Group) -> Words:
        a, b = self.instructions[dot.a].type, self.instructions[dot.b].type
        batches, m, n = dot.type.shape
        yield from (dot.type.dtype.value, batches, m, n, a.shape[2], dot.chunk)
        yield not group.folds  # they need whole rows of the result
        for operand, kind in ((dot.a, a), (dot.b, b)):
            layout = self.plan.layouts.of[operand]
            yield from (*self.place(layout.root, layout.offset), kind.dtype.value)
            yield isinstance(self.instructions[layout.root], Const)
            yield layout.root in self.plan.offsets
            axes = split(layout.digits, kind.shape)
            assert axes is not None
            for axis, extent in zip(axes, kind.shape, strict=True):
                yield from _axis(axis or ((extent, 0),))

    # What moves elements

    def _view(self, index: Index, view: View) -> Words:
        copied = source_of(self.plan.layouts, index)
        if copied is not None:
            digits = copied.digits
            extents = tuple(extent for extent, _ in digits)
            yield from self._copy(
                index, self.place(copied.root, copied.offset), digits, _row_major(extents)
            )
            return
        layout = self.plan.layouts.of[view.x]
        source = self.place(layout.root, layout.offset + view.offset)
        digits = tuple(zip(view.type.shape, view.strides, strict=True))
        yield from self._copy(index, source, digits, _row_major(view.type.shape), view=view)

    def _copy(
        self, index: Index, source: tuple[int, int], digits: Digits, steps: tuple[int, ...],
        *, view: View | None = None, target: int = 0,
    ) -> Words:  # fmt: skip
        extents = [extent for extent, _ in digits]
        yield from (COPY, self.instructions[index].type.dtype.itemsize)
        yield from (*source, *self.place(index, target))
        yield from _list(extents)
        yield from _list([stride for _, stride in digits])
        yield from _list(steps)
        yield from _list(view.low if view else [0] * len(extents))
        yield from _list(view.high if view else extents)
        yield signed_bits(view.fill.bits) if view else 0

    def _concat(self, index: Index, concat: Concat) -> Words:
        shape, axis = concat.type.shape, concat.axis
        line = _row_major(shape)[axis - 1] if axis else concat.type.size
        unit = _row_major(shape)[axis]
        done = 0
        for part in concat.parts:
            extents = self.instructions[part].type.shape
            length = extents[axis] * unit
            if self.instructions[part].type.size:
                outer = concat.type.size // line
                digits = ((outer, length), (length, 1))
                yield from self._copy(index, self._memory(part), digits, (line, 1), target=done)
            done += length

    def _gather(self, index: Index, gather: Gather) -> Words:
        x, by = self.instructions[gather.x].type, self.instructions[gather.index].type
        yield from (GATHER, x.dtype.itemsize, *self._memory(gather.x))
        yield from (*self._memory(gather.index), *self.place(index), by.dtype.value)
        yield from (*x.shape, by.shape[1], by.shape[0])


def _inner(node: Node) -> Iterator[Index]:
    seen = set()
    for reading in node.readings:
        if reading.node is not None and reading.node not in seen:
            seen.add(reading.node)
            yield reading.node


def _axis(digits: Digits) -> Words:
    yield from _list([number for digit in digits for number in digit])


def _list(numbers: list[int] | tuple[int, ...]) -> Words:
    yield len(numbers)
    yield from numbers


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    steps = [1]
    for extent in reversed(shape[1:]):
        steps.append(steps[-1] * extent)
    return tuple(reversed(steps))[: len(shape)]

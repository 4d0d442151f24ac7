"""Which instructions the cpu engine runs together, and what each reads from where.

A group works on `rows` of `width` elements: maybe a Dot, then Maps and Reduces on the same rows.
Its native code takes a few rows at a time from the first instruction to the last. No bit depends
on how instructions are grouped.
"""

from dataclasses import dataclass, field
from math import prod
from typing import Final

from verifiable.engines.cpu_layout import Digits, Layout, Layouts, merged, split
from verifiable.graph.ir import (
    Dot,
    Graph,
    Index,
    Map,
    Reduce,
    operands,
)
from verifiable.graph.vocabulary import Fold

MOST_NODES: Final = 24
WIDEST_FOLD_OF_DOT: Final = 4096
"""Columns of a Dot whose rows are folded at once: 16 rows of floats then fit the second cache."""
FEWEST_ROWS_OF_FOLD: Final = 8
WIDEST_WINDOW: Final = 64
"""Elements of a row that are gathered one by one rather than copied first."""
LOOK_AHEAD: Final = 32
"""Instructions after the last one of a group that may still join it."""
STRIDED: Final = 1 << 14
"""Elements above which a strided operand is copied first, in blocks that suit the cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Where a node finds an operand: in the result of another node, or outside."""

    node: Index | None = None
    root: Index
    """The tensor in memory, or `node`."""
    offset: int = 0
    row: Digits = ()
    inner: int = 1
    along: Digits = ()
    """Of a row that has no one stride, as the windows of a pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One instruction of a group."""

    index: Index
    column: bool
    """One element a row, not `width`."""
    readings: tuple[Reading, ...]


@dataclass(slots=True, kw_only=True)
class Group:
    """Instructions that run together."""

    rows: int
    width: int
    folds: bool = False
    """Whether a node folds rows."""
    nodes: list[Node] = field(default_factory=list)

    @property
    def first(self) -> Index:
        """Its least instruction; nothing before depends on the group."""
        return self.nodes[0].index

    def column(self, index: Index) -> bool | None:
        """Whether a node is a column, None if the instruction is not in the group."""
        return next((n.column for n in self.nodes if n.index == index), None)


class Grouping:
    """Groups of a graph's Dots, Maps and Reduces.

    Parameters
    ----------
    graph : Graph
    fuse : bool
        If not, each instruction is a group of its own and every View that moves elements is
        computed, so that each tensor can be seen.
    """

    def __init__(self, graph: Graph, *, fuse: bool) -> None:
        self.graph = graph
        self.fuse = fuse
        self.layouts = Layouts(graph, fuse=fuse)
        self.group_of: dict[Index, Group] = {}
        self.groups: list[Group] = []
        self.computed = {
            Index(i)
            for i, ins in enumerate(graph.instructions)
            if isinstance(ins, Dot | Map | Reduce) and ins.type.size
        }
        for index in sorted(self.computed):
            if index not in self.group_of:
                self._add(self._grown(index))

    def _add(self, group: Group) -> None:
        self.groups.append(group)
        for node in group.nodes:
            self.group_of[node.index] = group

    def _grown(self, index: Index) -> Group:
        instruction = self.graph.instructions[index]
        if isinstance(instruction, Dot):
            shape = instruction.type.shape
            group = Group(rows=shape[0] * shape[1], width=shape[2])
            group.nodes.append(Node(index=index, column=False, readings=()))
            return self._extended(group)
        # By rows if a fold follows, else in lines as long as the operands allow.
        by_rows = self._by_rows(index)
        if by_rows is not None and by_rows.folds:
            return by_rows
        flat = self._flat(index)
        if by_rows is None or len(flat.nodes) >= len(by_rows.nodes):
            return flat
        return by_rows

    def _by_rows(self, index: Index) -> Group | None:
        instruction = self.graph.instructions[index]
        if isinstance(instruction, Reduce):
            shape = self.graph.instructions[instruction.x].type.shape
        else:
            shape = instruction.type.shape or (1,)
        group = Group(rows=prod(shape[:-1]), width=shape[-1])
        node = self._joining(group, index, alone=True)
        if node is None:
            return None
        group.nodes.append(node)
        group.folds = isinstance(instruction, Reduce)
        return self._extended(group)

    def _flat(self, index: Index) -> Group:
        instruction = self.graph.instructions[index]
        assert isinstance(instruction, Map)
        shape = instruction.type.shape
        width = instruction.type.size
        for operand in instruction.operands:
            _, digits = self.layouts.over(operand, shape)
            if len(digits) > 1:
                _spare_strided(self.layouts, operand, digits)
                _, digits = self.layouts.over(operand, shape)
            # The longest line along which every operand moves by one stride.
            line = digits[-1][0] if digits else 1
            width = _common(width, line) if digits else width
        group = Group(rows=instruction.type.size // width, width=width)
        node = self._joining(group, index, alone=True)
        if node is None:
            group = Group(rows=instruction.type.size, width=1)
            node = self._joining(group, index, alone=True)
        assert node is not None
        group.nodes.append(node)
        return self._extended(group)

    def _extended(self, group: Group) -> Group:
        last = group.first
        candidate = last + 1
        while (
            self.fuse
            and candidate < len(self.graph.instructions)
            and candidate <= last + LOOK_AHEAD
            and len(group.nodes) < MOST_NODES
        ):
            index = Index(candidate)
            candidate += 1
            if index not in self.computed or index in self.group_of:
                continue
            node = self._joining(group, index, alone=False)
            if node is None or self._needed_by(group, index):
                continue
            group.nodes.append(node)
            group.folds |= isinstance(self.graph.instructions[index], Reduce)
            last = index
        return group

    def _joining(self, group: Group, index: Index, *, alone: bool) -> Node | None:
        """Make the node that `index` would be in `group`, None if it does not fit."""
        instruction = self.graph.instructions[index]
        match instruction:
            case Reduce(x=x):
                return self._joining_fold(group, index, x, alone=alone)
            case Map():
                pass
            case _:
                return None
        size = instruction.type.size
        if size == group.rows * group.width:
            column = False
        elif size == group.rows and group.folds:
            column = True
        else:
            return None
        readings = [
            self._reading(group, operand, instruction.type.shape, column=column)
            for operand in instruction.operands
        ]
        return _node(index, readings, column=column, alone=alone)

    def _joining_fold(self, group: Group, index: Index, x: Index, *, alone: bool) -> Node | None:
        kind = self.graph.instructions[x].type
        if kind.shape[-1] != group.width or kind.size != group.rows * group.width:
            return None
        if not alone and not group.folds and not self._may_fold(group):
            return None
        reading = self._window(group, x) if alone and self._is_pool(group, index) else None
        reading = reading or self._reading(group, x, kind.shape, column=False)
        if reading is None and alone:
            reading = self._window(group, x)
        if reading is None and alone:
            self.layouts.demand(x)
            reading = self._reading(group, x, kind.shape, column=False)
        return _node(index, [reading], column=True, alone=alone)

    def _is_pool(self, group: Group, index: Index) -> bool:
        """Whether rows side by side are folded, which is fast wherever their own elements lie."""
        instruction = self.graph.instructions[index]
        if not isinstance(instruction, Reduce) or instruction.fold not in {Fold.MAX, Fold.MIN}:
            return False
        axes = split(self.layouts.of[instruction.x].digits, [group.rows, group.width])
        return axes is not None and bool(axes[0]) and axes[0][-1][1] in {1, 2}

    def _window(self, group: Group, x: Index) -> Reading | None:
        """Short rows of several strides."""
        layout = self.layouts.of[x]
        axes = split(layout.digits, [group.rows, group.width])
        if axes is None or group.width > WIDEST_WINDOW:
            return None
        return Reading(root=layout.root, offset=layout.offset, row=axes[0], along=axes[1])

    def _may_fold(self, group: Group) -> bool:
        if not isinstance(self.graph.instructions[group.first], Dot):
            return True
        return group.width <= WIDEST_FOLD_OF_DOT and group.rows >= FEWEST_ROWS_OF_FOLD

    def _reading(
        self, group: Group, operand: Index, shape: tuple[int, ...], *, column: bool
    ) -> Reading | None:
        layout, digits = self.layouts.over(operand, shape)
        inner_node = group.column(layout.root)
        if inner_node is not None:
            fits = _inside(group, layout, digits, operand_is_column=inner_node, column=column)
            return Reading(node=layout.root, root=layout.root) if fits else None
        if group.nodes and self._depends(operand, group):
            return None
        rows = [group.rows] if column else [group.rows, group.width]
        if not column and group.width > 1 and _spare_strided(self.layouts, operand, digits):
            layout, digits = self.layouts.over(operand, shape)
        axes = split(digits, rows)
        if axes is None:
            return None
        if column:
            return Reading(root=layout.root, offset=layout.offset, row=axes[0])
        if len(axes[1]) > 1:
            return None
        inner = axes[1][0][1] if axes[1] else 1
        return Reading(root=layout.root, offset=layout.offset, row=axes[0], inner=inner)

    def _needed_by(self, group: Group, index: Index) -> bool:
        """Whether something that `group` reads from outside needs `index`."""
        members = {node.index for node in group.nodes}
        read = {o for m in members for o in operands(self.graph.instructions[m])}
        return any(self._reaches(o, {index}, index) for o in read - members)

    def _depends(self, index: Index, group: Group) -> bool:
        """Whether an instruction, or what is run with it, needs a result of `group`."""
        return self._reaches(index, {node.index for node in group.nodes}, group.first)

    def _end(self, index: Index) -> Index:
        """Last instruction that runs with this one."""
        return self.group_of[index].nodes[-1].index if index in self.group_of else index

    def _reaches(self, index: Index, wanted: set[Index], first: Index) -> bool:
        waiting, seen = [index], {index}
        while waiting:
            at = waiting.pop()
            if at in wanted:
                return True
            if self._end(at) < first:
                continue  # ended before the first that is wanted
            together = [n.index for n in self.group_of[at].nodes] if at in self.group_of else [at]
            for member in together:
                for found in operands(self.graph.instructions[member]):
                    if found not in seen:
                        seen.add(found)
                        waiting.append(found)
        return False


def _node(
    index: Index, readings: list[Reading | None], *, column: bool, alone: bool
) -> Node | None:
    found = tuple(r for r in readings if r is not None)
    if len(found) != len(readings):
        return None
    if not alone and all(r.node is None for r in found):
        return None
    return Node(index=index, column=column, readings=found)


def _inside(
    group: Group, layout: Layout, digits: Digits, *, operand_is_column: bool, column: bool
) -> bool:
    """Whether an operand made in the group is read at the place where it is made."""
    if layout.offset or not layout.dense:
        return False
    if operand_is_column:
        wanted = [(group.rows, 1)] if column else [(group.rows, 1), (group.width, 0)]
    else:
        wanted = [(group.rows * group.width, 1)]
        if column and group.width != 1:
            return False
    return digits == merged(wanted)


def _spare_strided(layouts: Layouts, operand: Index, digits: Digits) -> bool:
    """Have a large transposed operand copied, since element by element is slow."""
    size = prod(extent for extent, _ in digits)
    if not digits or abs(digits[-1][1]) <= 2 or size < STRIDED:
        return False
    if layouts.of[operand].root == operand:
        return False
    layouts.demand(operand)
    return True


def _common(width: int, line: int) -> int:
    """Longest line that both can be cut in."""
    if width % line == 0:
        return line
    return width if line % width == 0 else _divisor(width, line)


def _divisor(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a

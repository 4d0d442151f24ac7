"""In which order the cpu engine works, and where in memory each tensor lies."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from verifiable.engines.cpu_groups import Group, Grouping
from verifiable.engines.cpu_layout import Layout, Layouts, through
from verifiable.graph.ir import Concat, Dot, Gather, Graph, Index, View, operands

ALIGNMENT: Final = 64
MARGIN: Final = 64
"""Bytes after each tensor, so that a vector may be written past its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one operation computes: a group, or one View, Gather or Concat."""

    members: tuple[Index, ...]
    group: Group | None = None
    reads: tuple[Index, ...]
    """Tensors in memory, made by other work or given."""
    writes: tuple[Index, ...]
    """Members that lie in memory after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Operations in order, and the memory that tensors take."""

    graph: Graph
    layouts: Layouts
    works: tuple[Work, ...]
    offsets: dict[Index, int]
    """Bytes from the start of the arena, of each tensor that is in it."""
    arena: int
    """Bytes of the arena."""
    direct: dict[Index, int]
    """Tensors that are written straight into a result, and the number of that output."""


def schedule(graph: Graph, *, fuse: bool) -> Schedule:
    """Group a graph's instructions, order them and lay out their memory.

    Parameters
    ----------
    graph : Graph
        Checked.
    fuse : bool
        If not, an operation computes one tensor, in the order of the graph, and each is in memory
        from its place to its last use.
    """
    grouping = Grouping(graph, fuse=fuse)
    layouts = grouping.layouts
    _demand(graph, layouts)
    works = _ordered(_works(grouping, fuse=fuse))
    direct = _direct(graph, layouts, works) if fuse else {}
    ends = _ends(graph, layouts, works, fuse=fuse)
    offsets, arena = _laid_out(graph, works, ends, direct)
    return Schedule(
        graph=graph, layouts=layouts, works=tuple(works), offsets=offsets, arena=arena,
        direct=direct,
    )  # fmt: skip


def source_of(layouts: Layouts, index: Index) -> Layout | None:
    """Layout that a View which is computed copies, None if it has a box and reads memory."""
    view = layouts.graph.instructions[index]
    assert isinstance(view, View)
    return through(view, layouts.of[view.x])


def _demand(graph: Graph, layouts: Layouts) -> None:
    """Have Views computed where somebody cannot read through them; readers stand behind."""
    for _, index in graph.outputs:
        layouts.memory(index)
    for place in reversed(range(len(graph.instructions))):
        match graph.instructions[place]:
            case Dot(a=a, b=b):
                layouts.axes(a)
                layouts.axes(b)
            case Gather() | Concat() as instruction:
                for operand in operands(instruction):
                    layouts.memory(operand)
            case View(x=x) if place in layouts.wanted:
                if source_of(layouts, Index(place)) is None:
                    layouts.memory(x)


def _works(grouping: Grouping, *, fuse: bool) -> list[Work]:
    graph, layouts = grouping.graph, grouping.layouts
    found: list[tuple[tuple[Index, ...], Group | None, tuple[Index, ...]]] = []
    for group in grouping.groups:
        members = tuple(node.index for node in group.nodes)
        reads = {r.root for node in group.nodes for r in node.readings if r.node is None}
        first = graph.instructions[group.first]
        if isinstance(first, Dot):
            reads |= {layouts.of[first.a].root, layouts.of[first.b].root}
        found.append((members, group, tuple(sorted(reads))))
    for place, instruction in enumerate(graph.instructions):
        index = Index(place)
        if not instruction.type.size:
            continue
        if isinstance(instruction, Gather | Concat) or index in layouts.wanted:
            copied = source_of(layouts, index) if isinstance(instruction, View) else None
            roots = (
                {copied.root}
                if copied
                else {layouts.of[operand].root for operand in operands(instruction)}
            )
            found.append(((index,), None, tuple(sorted(roots))))
    read = {root for _, _, reads in found for root in reads}
    read |= {layouts.of[index].root for _, index in graph.outputs}
    return [
        Work(
            members=members,
            group=group,
            reads=reads,
            writes=tuple(i for i in members if i in read or not fuse),
        )
        for members, group, reads in found
        # What nobody reads need not be moved.
        if group is not None or not fuse or members[0] in read
    ]


def _ordered(works: Iterable[Work]) -> list[Work]:
    """Each after what it reads, else in the order of the graph."""
    waiting = sorted(works, key=lambda work: work.members[0])
    maker = {index: work for work in waiting for index in work.members}
    done: set[Index] = set()
    ordered: list[Work] = []
    while waiting:
        stack = [waiting.pop(0)]
        while stack:
            work = stack[-1]
            if work.members[0] in done:
                stack.pop()
                continue
            missing = [
                maker[r] for r in work.reads if r in maker and maker[r].members[0] not in done
            ]
            if not missing:
                done.add(work.members[0])
                ordered.append(work)
                stack.pop()
            else:
                assert len(stack) <= len(maker), "groups need one another"
                stack += reversed(missing)
    return ordered


def _direct(graph: Graph, layouts: Layouts, works: Sequence[Work]) -> dict[Index, int]:
    made = {index for work in works for index in work.writes}
    found: dict[Index, int] = {}
    for number, (_, index) in enumerate(graph.outputs):
        layout = layouts.of[index]
        size = graph.instructions[index].type.size
        whole = layout.offset == 0 and graph.instructions[layout.root].type.size == size
        if whole and layout.root in made and layout.root not in found:
            found[layout.root] = number
    return found


def _ends(graph: Graph, layouts: Layouts, works: Sequence[Work], *, fuse: bool) -> dict[Index, int]:
    """Position of the work after which a tensor is needed no more."""
    ends: dict[Index, int] = {}
    for position, work in enumerate(works):
        for index in (*work.writes, *work.reads):
            ends[index] = position
    for _, index in graph.outputs:
        ends[layouts.of[index].root] = len(works)
    if not fuse:
        # A View that is only another name of a tensor is seen at its own place.
        position = -1
        made = {work.members[0] for work in works}
        for place in range(len(graph.instructions)):
            position += place in made
            root = layouts.of[place].root
            ends[root] = max(ends.get(root, 0), position)
    return ends


def _laid_out(
    graph: Graph, works: Sequence[Work], ends: dict[Index, int], direct: dict[Index, int]
) -> tuple[dict[Index, int], int]:
    """Give each tensor the first gap that is free as long as it lives."""
    offsets: dict[Index, int] = {}
    live: list[tuple[int, int, int]] = []  # first byte, stop, last position; by first byte
    top = 0
    for position, work in enumerate(works):
        live = [block for block in live if block[2] >= position]
        for index in work.writes:
            if index in direct:
                continue
            size = graph.instructions[index].type.nbytes + MARGIN
            size = -(-size // ALIGNMENT) * ALIGNMENT
            start = 0
            for first, stop, _ in live:
                if first - start >= size:
                    break
                start = max(start, stop)
            live.append((start, start + size, ends[index]))
            live.sort()
            offsets[index] = start
            top = max(top, start + size)
    return offsets, top

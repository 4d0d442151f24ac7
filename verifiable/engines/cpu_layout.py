"""Where a View's elements lie in the tensor it looks at: the algebra that spares copies.

A layout lists digits, (extent, stride) each, outermost first: element ``i`` in row-major order is
read as a number in that mixed radix, and lies where the digits times their strides add up to.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

from verifiable.graph.ir import Graph, Index, View

Digits = tuple[tuple[int, int], ...]
"""(extent, stride) of each, outermost first; in elements."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Elements of a tensor, as those of another one that lies in memory."""

    root: Index
    offset: int
    digits: Digits

    @property
    def dense(self) -> bool:
        """Whether they are neighbours, in order."""
        return not self.digits or (len(self.digits) == 1 and self.digits[0][1] == 1)


def merged(digits: Iterable[tuple[int, int]]) -> Digits:
    """Write digits with as few as possible.

    >>> merged([(2, 12), (1, 99), (3, 4), (4, 1)])
    ((24, 1),)
    >>> merged([(2, 0), (3, 0)])
    ((6, 0),)
    """
    found: list[tuple[int, int]] = []
    for extent, stride in digits:
        if extent == 1:
            continue
        if found and found[-1][1] == extent * stride:
            found[-1] = (found[-1][0] * extent, stride)
        else:
            found.append((extent, stride))
    return tuple(found)


def split(digits: Digits, shape: Sequence[int]) -> list[Digits] | None:
    """Give each axis of `shape` its digits, None if one would need a part of a digit.

    >>> split(((6, 1),), (2, 3))
    [((2, 3),), ((3, 1),)]
    >>> split(((2, 5), (3, 1)), (3, 2)) is None
    True
    """
    if 0 in shape:
        return [((extent, 0),) for extent in shape]
    rest = list(digits)
    axes: list[Digits] = []
    for extent in reversed(shape):
        own: list[tuple[int, int]] = []
        while extent > 1:
            if not rest:
                return None
            size, stride = rest.pop()
            if size > extent:
                if size % extent:
                    return None
                rest.append((size // extent, stride * extent))
                size = extent
            elif extent % size:
                return None
            own.insert(0, (size, stride))
            extent //= size  # noqa: PLW2901
        axes.insert(0, merged(own))
    return axes if not rest else None


def plain(root: Index, size: int) -> Layout:
    """Layout of a tensor that lies in memory itself."""
    return Layout(root, 0, merged([(size, 1)]))


def through(view: View, x: Layout) -> Layout | None:
    """Layout of what `view` gives of a tensor with layout `x`, None if it must be computed."""
    shape = view.type.shape
    if any(view.low) or view.high != shape or 0 in shape:
        return None
    size = prod(extent for extent, _ in x.digits)
    digits = list(zip(shape, view.strides, strict=True))
    if x.dense:
        return Layout(x.root, x.offset + view.offset, merged(digits))
    if view.offset == 0 and merged(digits) == merged([(size, 1)]):
        return x
    return None


def broadcast(axes: Sequence[Digits], own: Sequence[int], shape: Sequence[int]) -> Digits:
    """Digits over `shape` of an operand of shape `own`, given those of its axes.

    >>> broadcast([((3, 1),)], (3,), (2, 3))
    ((2, 0), (3, 1))
    """
    digits: list[tuple[int, int]] = []
    missing = len(shape) - len(own)
    for axis, extent in enumerate(shape):
        if axis < missing or (own[axis - missing] == 1 and extent != 1):
            digits.append((extent, 0))
        else:
            digits += axes[axis - missing]
    return merged(digits)


class Layouts:
    """Where the elements of each tensor lie.

    `wanted` are the Views that must be computed, since something cannot read through them.
    """

    def __init__(self, graph: Graph, *, fuse: bool) -> None:
        self.graph = graph
        self.of: list[Layout] = []
        self.wanted: set[Index] = set()
        for place, instruction in enumerate(graph.instructions):
            index = Index(place)
            seen = None
            if isinstance(instruction, View):
                seen = through(instruction, self.of[instruction.x])
                if seen is None or not (fuse or seen.dense):
                    self.wanted.add(index)
                    seen = None
            self.of.append(seen or plain(index, instruction.type.size))

    def memory(self, index: Index) -> Layout:
        """Layout of a tensor whose reader needs its elements side by side."""
        if not self.of[index].dense:
            self.demand(index)
        return self.of[index]

    def demand(self, index: Index) -> None:
        """Have a View computed."""
        self.wanted.add(index)
        self.of[index] = plain(index, self.graph.instructions[index].type.size)

    def over(self, index: Index, shape: tuple[int, ...]) -> tuple[Layout, Digits]:
        """Layout of a tensor, and its digits broadcast to `shape`."""
        own = self.graph.instructions[index].type.shape
        return self.of[index], broadcast(self.axes(index), own, shape)

    def axes(self, index: Index) -> list[Digits]:
        """Digits of each axis of a tensor."""
        shape = self.graph.instructions[index].type.shape
        axes = split(self.of[index].digits, shape)
        if axes is None:
            self.demand(index)
            axes = split(self.of[index].digits, shape)
            assert axes is not None
        return axes

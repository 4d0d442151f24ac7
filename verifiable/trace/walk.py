"""The way from a foreign trace root down to what is wrong with it, question by question.

`Walk` holds another's trace against one's own run of the same graph. It asks for one object
(``trace.objects``) at a time and only for such as differ from the own ones; who answers, a server,
a folder or the reveals of a dispute on chain, is for `Nodes` to say. It checks every answer itself.

Operands stand before their readers, so all operands of the first tensor that differs are shared,
and their openings under the foreign root need no bytes but the siblings near that root.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from verifiable.crypto.merkle import Digests, Tag, check_root, height, levels, rows_of
from verifiable.crypto.tree import Tree, over
from verifiable.errors import EncodingError, HostError, OpeningRejectedError, RejectedError
from verifiable.graph.commitment import Section, Slot, trace_slots
from verifiable.graph.ir import Array, Graph, Index
from verifiable.graph.layout import big_endian, layout
from verifiable.graph.tensors import Opening, open_leaf, open_row
from verifiable.trace.commit import Sections, Trace, roots_of
from verifiable.trace.compare import Difference, difference_of
from verifiable.trace.objects import (
    SPAN,
    check_object,
    read_leaf,
    read_nodes,
    read_sections,
    read_tensor,
)
from verifiable.trace.opening import TraceOpening, opening_at
from verifiable.types import Sha256

_SECTIONS: Final = (Section.INPUT, Section.BODY, Section.OUTPUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One object that is wanted, and where it stands in the trace, if that is known."""

    tag: Tag
    digest: Sha256
    levels: int = 0
    """Of a node: how far down."""
    section: Section | None = None
    position: int | None = None
    """Of the tensor in its section; None for a node of the tree over the section's tensors."""
    level: int = 0
    """Of a node or leaf: its level (``crypto.tree``) in the tensor's tree, or the section's."""
    index: int = 0
    """Its number on that level."""
    siblings: tuple[Sha256, ...] = field(default=(), compare=False, repr=False)
    """Of a node or leaf: from there up to the root of its tree, padding left out."""
    above: tuple[Sha256, ...] = field(default=(), compare=False, repr=False)
    """From its tensor up to the root of the section, likewise."""

    def text(self) -> str:
        """One line for people."""
        what = f"the {self.tag.name.lower()} 0x{self.digest.hex()}"
        if self.section is None:
            return what
        tensor = "" if self.position is None else f" of tensor {self.position}"
        return f"{what} ({self.level}:{self.index}{tensor} of section {self.section.name})"


class WithheldError(HostError):
    """The bytes that a digest stands for are not to be had; in a dispute, demand them.

    Whoever was asked may lack them or may have sent others: that says nothing of the claim.
    """

    def __init__(self, ask: Ask, reason: str) -> None:
        super().__init__(f"{ask.text()} is withheld: {reason}", hint="ask elsewhere, or demand it")
        self.ask = ask


class MalformedError(RejectedError):
    """A digest that a trace commits to is that of bytes which no trace has.

    A demand for them can never be met, so whoever committed to them loses by the clock.
    """

    def __init__(self, ask: Ask, reason: str) -> None:
        super().__init__(f"{ask.text()} is malformed: {reason}", hint="demand it")
        self.ask = ask


class Nodes(Protocol):
    """Whoever answers questions."""

    def answer(self, ask: Ask, /) -> bytes:
        """Bytes that are said to be the object; `Walk` checks them.

        Raises
        ------
        WithheldError
            If there are none.
        """


class OwnRun(Protocol):
    """One's own run of the graph; ``trace.store.StoredTrace`` is one."""

    @property
    def graph(self) -> Graph:
        """The graph that was run."""

    @property
    def trace(self) -> Trace:
        """Roots of the run."""

    def tree(self, index: Index, /) -> Tree:
        """Tree of an instruction's tensor."""

    def mapped(self, index: Index, /) -> Array:
        """An instruction's tensor, in any byte order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstDifference:
    """The first leaf of the first tensor that differs, as the other trace has it."""

    difference: Difference
    leaf: int
    opening: TraceOpening
    """Of that leaf, up to the other trace's root; holds the bytes."""


@dataclass(frozen=True, slots=True)
class _Landing:
    """Where a descent ended, and the siblings from there up to where it began."""

    index: int
    digest: Sha256
    siblings: tuple[Sha256, ...]


@dataclass(frozen=True, slots=True)
class _Descent:
    """A tree to go down in: its foreign root, the own nodes, and where it stands."""

    root: Sha256
    own: Tree
    section: Section
    position: int | None
    above: tuple[Sha256, ...] = ()


_Choice = Callable[[int, int, Digests, Digests], int]
"""Number of the node to go on with, from the level of some, the number of the first, the foreign
ones, and the own ones without padding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """A foreign trace beside one's own run of the same graph.

    Parameters
    ----------
    nodes : Nodes
    root : Sha256
        Of the foreign trace.
    own : OwnRun
    span : int
        Most levels that one question goes down, ``1 <= span <= SPAN``.
    """

    nodes: Nodes
    root: Sha256
    own: OwnRun
    span: int = field(default=SPAN)

    def first_difference(self) -> FirstDifference | None:
        """Find the first tensor, in the order of the instructions, that differs; its first leaf.

        Raises
        ------
        WithheldError
            If a question got no true answer.
        MalformedError
            If an answer is true and shows that the root is not that of a trace of this graph.
        """
        if self.root == self.own.trace.root:
            return None
        served = self.sections()
        places = {slot: Index(i) for i, slot in enumerate(trace_slots(self.own.graph))}
        found: dict[Index, tuple[Slot, _Landing]] = {}
        for section in _SECTIONS:
            if served.roots[section] != self.own.trace.sections.roots[section]:
                landing = self._descend(self._section(served, section), _first_other)
                slot = Slot(section, landing.index)
                found[places[slot]] = (slot, landing)
        index = min(found)
        return self._in_tensor(index, *found[index], served)

    def open_leaf(self, index: Index, leaf: int) -> TraceOpening:
        """Open a leaf of a tensor that both runs share, up to the foreign root.

        Raises
        ------
        WithheldError, MalformedError
            See `first_difference`.
        OpeningRejectedError
            If the tensor is not shared.
        """
        part = open_leaf(self.own.mapped(index), leaf, tree=self.own.tree(index))
        return self._shared(index, part)

    def open_row(self, index: Index, row: int) -> TraceOpening:
        """Open a row of a tensor that both runs share; see `open_leaf`."""
        part = open_row(self.own.mapped(index), row, tree=self.own.tree(index))
        return self._shared(index, part)

    def sections(self) -> Sections:
        """Roots of the foreign trace's sections.

        Raises
        ------
        WithheldError, MalformedError
            See `first_difference`. A section that has no tensor must have the root `PAD`.
        """
        if self.root == self.own.trace.root:
            return self.own.trace.sections
        ask = Ask(tag=Tag.TRACE, digest=self.root)
        try:
            served = read_sections(self._object(ask))
        except EncodingError as e:
            raise MalformedError(ask, str(e)) from e
        slots = trace_slots(self.own.graph)
        for section in _SECTIONS:
            own = self.own.trace.sections.roots[section]
            empty = all(slot.section is not section for slot in slots)
            if empty and served.roots[section] != own:
                raise MalformedError(ask, f"it has tensors in section {section.name}")
        return served

    def _object(self, ask: Ask) -> bytes:
        data = self.nodes.answer(ask)
        try:
            tag = check_object(ask.digest, data)
        except OpeningRejectedError as e:
            raise WithheldError(ask, f"what was sent instead {e}") from e
        if tag is not ask.tag:
            raise MalformedError(ask, f"it is a {tag.name.lower()}")
        return data

    def _section(self, served: Sections, section: Section) -> _Descent:
        roots = roots_of(self.own.graph, self.own.trace.roots, section)
        return _Descent(served.roots[section], over(rows_of(roots)[None]), section, None)

    def _descend(self, descent: _Descent, choose: _Choice) -> _Landing:
        """Go down to a leaf; where the foreign nodes are the own ones, nothing more is asked."""
        own = descent.own
        level, index, node = own.height, 0, descent.root
        parts: list[tuple[Sha256, ...]] = []
        while level:
            down = min(self.span, own.room(level))
            below = own.below(level, index, down)
            if node != own.node(level, index):
                ask = Ask(
                    tag=Tag.NODE, digest=node, levels=down, section=descent.section,
                    position=descent.position, level=level, index=index, siblings=_upwards(parts),
                    above=descent.above,
                )  # fmt: skip
                below = read_nodes(self._object(ask), down)
                down = height(len(below))
                _check_padding(ask, own, below)
            mine = own.below(level, index, down)[: own.count_below(level, index, down)]
            level, first = level - down, index << down
            index = choose(level, first, below, mine)
            parts.append(_siblings(own, level, first, below, index))
            node = Sha256(below[index - first].tobytes())
        return _Landing(index, node, _upwards(parts))

    def _in_tensor(
        self, index: Index, slot: Slot, above: _Landing, served: Sections
    ) -> FirstDifference:
        own, kind = self.own.tree(index), self.own.graph.instructions[index].type
        ask = Ask(
            tag=Tag.TENSOR, digest=above.digest, section=slot.section, position=slot.position,
            above=above.siblings,
        )  # fmt: skip
        try:
            foreign, root = read_tensor(self._object(ask))
        except EncodingError as e:
            raise MalformedError(ask, str(e)) from e
        if foreign != kind:
            raise MalformedError(ask, f"it is of a tensor {foreign}, wanted {kind}")
        if not kind.size:
            raise MalformedError(ask, f"{kind} has no elements, but it has a tree")
        descent = _Descent(root, own, slot.section, slot.position, above.siblings)
        landing = self._descend(descent, _first_other)
        ask = Ask(
            tag=Tag.LEAF, digest=landing.digest, section=slot.section, position=slot.position,
            index=landing.index, siblings=landing.siblings, above=above.siblings,
        )  # fmt: skip
        leaf, data = own.leaf_number(landing.index), read_leaf(self._object(ask))
        held = layout(kind).elements(leaf)
        if len(data) != len(held) * kind.dtype.itemsize:
            raise MalformedError(ask, f"{len(data)} bytes, wanted {len(held)} elements of {kind}")
        mine = self.own.mapped(index).reshape(-1)[held.start : held.stop]
        difference = difference_of(index, kind, held.start, data, bytes(big_endian(mine)))
        part = Opening(data, landing.siblings)
        return FirstDifference(
            difference=difference, leaf=leaf, opening=opening_at(served, slot, part, above.siblings)
        )

    def _shared(self, index: Index, part: Opening) -> TraceOpening:
        slot, served = trace_slots(self.own.graph)[index], self.sections()

        def towards(level: int, *_: object) -> int:
            return slot.position >> level

        landing = self._descend(self._section(served, slot.section), towards)
        check_root(landing.digest, self.own.trace.roots[index], f"instruction {index}")
        return opening_at(served, slot, part, landing.siblings)


def _upwards(parts: Sequence[tuple[Sha256, ...]]) -> tuple[Sha256, ...]:
    """Siblings from the lowest up, from those that each question on the way down gave."""
    return tuple(sibling for part in reversed(parts) for sibling in part)


def _first_other(_: int, first: int, below: Digests, mine: Digests) -> int:
    return first + int(np.argmax((below[: len(mine)] != mine).any(axis=1)))


def _check_padding(ask: Ask, own: Tree, below: Digests) -> None:
    down = height(len(below))
    count = own.count_below(ask.level, ask.index, down)
    if not np.array_equal(below[count:], own.below(ask.level, ask.index, down)[count:]):
        raise MalformedError(ask, "what stands where its padding should is none")


def _siblings(own: Tree, level: int, first: int, below: Digests, index: int) -> tuple[Sha256, ...]:
    """Siblings of a node up to the one that `below` hangs on, padding left out."""
    found = []
    for nodes in levels(below[None])[:-1]:
        if own.is_node(level, index ^ 1):
            found.append(Sha256(nodes[0, (index ^ 1) - first].tobytes()))
        level, first, index = level + 1, first >> 1, index >> 1
    return tuple(found)

"""Openings of a leaf or a row of any tensor of a run, up to the trace root.

A checker knows the model root and the trace root. From the first it learns the instruction
(``graph.commitment``): the type of its tensor and its slot; from the second, with what stands
here, some elements of the tensor.
"""

from dataclasses import dataclass

from verifiable.crypto.merkle import check_root, climb, path, rows_of
from verifiable.crypto.tree import Tree
from verifiable.engines.native_hash import best_hasher
from verifiable.graph.commitment import ModelHeader, Section, Slot, check_slot, trace_slots
from verifiable.graph.ir import Array, Graph, Index, TensorType
from verifiable.graph.tensors import (
    Opening,
    open_leaf,
    open_row,
    root_from_leaf,
    root_from_row,
)
from verifiable.trace.commit import Sections, Trace, roots_of
from verifiable.types import Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceOpening:
    """A leaf or a row of a tensor, and the way from there to the trace root."""

    part: Opening
    """Up to the root of the tensor."""
    siblings: tuple[Sha256, ...]
    """From there to the root of its section."""
    others: tuple[Sha256, Sha256]
    """Roots of the two other sections, in their order."""


def _opening(graph: Graph, trace: Trace, index: Index, part: Opening) -> TraceOpening:
    slot = trace_slots(graph)[index]
    assert slot.section is not Section.MODEL, "a Const is no part of a trace"
    siblings = path(rows_of(roots_of(graph, trace.roots, slot.section)), slot.position)
    return opening_at(trace.sections, slot, part, siblings)


def opening_at(
    sections: Sections, slot: Slot, part: Opening, siblings: tuple[Sha256, ...]
) -> TraceOpening:
    """An opening from its pieces: up to the tensor's root, to its section's, to the trace root."""
    first, second = (root for i, root in enumerate(sections.roots) if i != slot.section)
    return TraceOpening(part=part, siblings=siblings, others=(first, second))


def open_trace_leaf(
    graph: Graph,
    trace: Trace,
    index: Index,
    tensor: Array,
    leaf: int,
    *,
    tree: Tree | None = None,
) -> TraceOpening:
    """Open a leaf of an instruction's tensor.

    Parameters
    ----------
    graph : Graph
    trace : Trace
        Of a run of this graph.
    index : Index
        Of any instruction but a Const.
    tensor : array
        What it wrote in that run, in any byte order; may be mapped from a file.
    leaf : int
    tree : Tree, optional
        Of that tensor, where it was kept; else all its bytes are hashed.
    """
    part = open_leaf(tensor, leaf, tree=tree, hasher=best_hasher())
    return _opening(graph, trace, index, part)


def open_trace_row(
    graph: Graph,
    trace: Trace,
    index: Index,
    tensor: Array,
    row: int,
    *,
    tree: Tree | None = None,
) -> TraceOpening:
    """Open a row of an instruction's tensor; see `open_trace_leaf`."""
    part = open_row(tensor, row, tree=tree, hasher=best_hasher())
    return _opening(graph, trace, index, part)


def _check(
    root: bytes, header: ModelHeader, slot: Slot, tensor: Sha256, opening: TraceOpening
) -> None:
    section = climb(tensor, header.tensors[slot.section], slot.position, opening.siblings)
    whole = list(opening.others)
    whole.insert(slot.section, section)
    found = Sections(*whole).root
    check_root(found, root, f"tensor {slot.position} of section {slot.section.name}")


def check_trace_leaf(
    root: bytes,
    header: ModelHeader,
    slot: Slot,
    kind: TensorType,
    leaf: int,
    opening: TraceOpening,
) -> None:
    """Check that the tensor at a slot of a trace has this leaf.

    Parameters
    ----------
    root : bytes
        Trace root.
    header : ModelHeader
        Checked against the model root (``graph.commitment.check_instruction``), as are the next
        two.
    slot : Slot
    kind : TensorType
    leaf : int
    opening : TraceOpening

    Raises
    ------
    OpeningRejectedError
        If there is no such slot or leaf, or the opening is malformed or leads to another root.
    """
    check_slot(header, slot)
    _check(root, header, slot, root_from_leaf(kind, leaf, opening.part), opening)


def check_trace_row(
    root: bytes,
    header: ModelHeader,
    slot: Slot,
    kind: TensorType,
    row: int,
    opening: TraceOpening,
) -> None:
    """Check that the tensor at a slot of a trace has this row; see `check_trace_leaf`.

    Raises
    ------
    OpeningRejectedError
        If there is no such slot or row, or the opening is malformed or leads to another root.
    """
    check_slot(header, slot)
    _check(root, header, slot, root_from_row(kind, row, opening.part), opening)

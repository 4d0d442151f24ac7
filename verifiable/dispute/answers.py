"""What answers a demand, from one's own run of the graph and its weights."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from verifiable.crypto.merkle import Tag, rows_of, tagged
from verifiable.crypto.tree import Tree, over
from verifiable.dispute.nodes import places_below
from verifiable.dispute.terms import Cursor, Demand, Form, Zone
from verifiable.dispute.walk import tensor_cursor
from verifiable.engines.native_hash import best_hasher
from verifiable.graph.commitment import Section, instruction_message, trace_slots
from verifiable.graph.encoding import descriptor
from verifiable.graph.ir import Array, Const, Graph, Index
from verifiable.graph.layout import big_endian, header, layout
from verifiable.graph.tensors import tensor_tree
from verifiable.trace.commit import Trace, roots_of
from verifiable.trace.opening import TraceOpening


class Run(Protocol):
    """One's own run of the graph; ``trace.store.StoredTrace`` is one."""

    @property
    def graph(self) -> Graph:
        """The graph that was run."""

    @property
    def trace(self) -> Trace:
        """Roots of the run."""

    def tree(self, index: Index, /) -> Tree:
        """Tree of an instruction's tensor, of any but a Const's."""

    def mapped(self, index: Index, /) -> Array:
        """An instruction's tensor, in any byte order, of any but a Const."""

    def open_leaf(self, index: Index, leaf: int, /) -> TraceOpening:
        """Open a leaf of any tensor but a Const."""

    def open_row(self, index: Index, row: int, /) -> TraceOpening:
        """Open a row of any tensor but a Const."""


def answer(run: Run, weights: Mapping[Index, Array], demand: Demand) -> bytes | None:
    """Bytes that answer a demand for bytes; None if they are not of this run.

    Parameters
    ----------
    run : Run
    weights : mapping of Index to array
        Elements of the Consts.
    demand : Demand
        Of any form but PARTIALS.
    """
    match demand.form:
        case Form.TENSOR:
            return _tensor(run, weights, demand)
        case Form.INSTRUCTION:
            data = _messages(run.graph)[demand.at.index]
            return data if tagged(Tag.INSTRUCTION, data) == demand.at.node else None
        case Form.NODES if demand.at.zone != Zone.TENSOR:
            tree = _zone_tree(run, demand.at.zone)
            return _below(tree, demand.at, demand.size)
        case Form.NODES:
            for index in _like(run.graph, demand.at):
                found = _below(_tree(run, weights, index), demand.at, demand.size)
                if found is not None:
                    return found
        case Form.LEAF:
            for index in _like(run.graph, demand.at):
                tree = _tree(run, weights, index)
                if _has(tree, demand.at):
                    return _leaf(run, weights, index, tree.leaf_number(demand.at.index))
    return None


def _messages(graph: Graph) -> list[bytes]:
    pairs = zip(trace_slots(graph), graph.instructions, strict=True)
    return [instruction_message(slot, descriptor(instruction)) for slot, instruction in pairs]


def _zone_tree(run: Run, zone: int) -> Tree:
    if zone == Zone.MODEL:
        leaves = [tagged(Tag.INSTRUCTION, data) for data in _messages(run.graph)]
    else:
        leaves = roots_of(run.graph, run.trace.roots, Section(zone))
    return over(rows_of(leaves)[None])


def _tensor(run: Run, weights: Mapping[Index, Array], demand: Demand) -> bytes | None:
    for i, root in enumerate(run.trace.roots):
        if root != demand.at.node:
            continue
        kind = run.graph.instructions[i].type
        tree = _tree(run, weights, Index(i))
        return header(kind) + _nodes(tree, demand.at, demand.size)
    return None


def _like(graph: Graph, at: Cursor) -> Iterator[Index]:
    """Instructions whose tensors have trees of this shape: a cursor does not name its tensor."""
    wanted = (at.trees, at.leaves, at.leaf_bytes, at.last_bytes)
    for i, instruction in enumerate(graph.instructions):
        own = tensor_cursor(instruction.type, at.node)
        if (own.trees, own.leaves, own.leaf_bytes, own.last_bytes) == wanted:
            yield Index(i)


def _tree(run: Run, weights: Mapping[Index, Array], index: Index) -> Tree:
    if isinstance(run.graph.instructions[index], Const):
        return tensor_tree(weights[index], hasher=best_hasher())
    return run.tree(index)


def _has(tree: Tree, at: Cursor) -> bool:
    inside = at.height <= tree.height and tree.is_node(at.height, at.index)
    return inside and tree.node(at.height, at.index) == at.node


def _below(tree: Tree, at: Cursor, size: int) -> bytes | None:
    return _nodes(tree, at, size) if _has(tree, at) else None


def _nodes(tree: Tree, at: Cursor, size: int) -> bytes:
    return b"".join(tree.node(at.height - size, place) for place in places_below(at, size))


def _leaf(run: Run, weights: Mapping[Index, Array], index: Index, leaf: int) -> bytes:
    const = isinstance(run.graph.instructions[index], Const)
    array = weights[index] if const else run.mapped(index)
    held = layout(run.graph.instructions[index].type).elements(leaf)
    return bytes(big_endian(array.reshape(-1)[held.start : held.stop]))

"""Objects of a foreign trace (``trace.objects``), from what was revealed and what is served.

A `Shelf` answers the questions of ``trace.walk``. What it lacks the walk names, and `walk_to` says
how a demand reaches it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from verifiable.crypto.merkle import DIGEST, Tag, rows_of
from verifiable.dispute.nodes import fold, is_padding, pad, places_below, root_of_below
from verifiable.dispute.step import Statement
from verifiable.dispute.terms import Crossing, Cursor, Demand, Form, Walk
from verifiable.dispute.view import GameView
from verifiable.dispute.walk import tensor_demand, zone_root
from verifiable.errors import HostError
from verifiable.graph.commitment import (
    ModelHeader,
    Section,
    Slot,
    model_header,
    open_instruction,
    trace_slots,
)
from verifiable.graph.ir import Graph, Index
from verifiable.graph.layout import header
from verifiable.graph.tensors import seal
from verifiable.trace.commit import Sections, Trace
from verifiable.trace.objects import leaf_object, node_object, trace_object
from verifiable.trace.walk import Ask, WithheldError
from verifiable.types import Sha256


class Source(Protocol):
    """A store of objects by digest, as ``serving.source`` has them; nobody trusts it."""

    def read(self, digest: Sha256, /) -> bytes | None:
        """What is said to be the object of a digest; None if there is none.

        Raises
        ------
        HostError
            If the store cannot be asked.
        """


class NothingServed:
    """A store that is empty."""

    def read(self, digest: Sha256, /) -> bytes | None:  # noqa: ARG002
        """See `Source`."""
        return None


@dataclass(frozen=True, slots=True)
class Shelf:
    """Answers a walk; what the chain revealed comes first."""

    revealed: Mapping[Sha256, bytes]
    served: Source

    def answer(self, ask: Ask, /) -> bytes:
        """See ``trace.walk.Nodes``."""
        known = self.revealed.get(ask.digest)
        if known is not None:
            return known
        try:
            data = self.served.read(ask.digest)
        except HostError as e:
            raise WithheldError(ask, str(e)) from e
        if data is None:
            raise WithheldError(ask, "it is neither revealed nor served")
        return data


def foreign_sections(statement: Statement, own: Trace, model: ModelHeader) -> Sections:
    """Roots of a committed trace; what stands for a section without tensors says nothing."""
    roots = (
        statement.section(Section(i)) if count else own.sections.roots[i]
        for i, count in enumerate(model.tensors)
    )
    return Sections(*roots)


def shelf_of(view: GameView, sections: Sections, served: Source) -> Shelf:
    """All that is known of a committed trace."""
    found = {sections.root: trace_object(sections)}
    for key, data in view.reveals.items():
        found |= objects_of(view.demands[key], data)
    return Shelf(found, served)


def objects_of(demand: Demand, data: bytes) -> dict[Sha256, bytes]:
    """Objects that the answer to a demand makes known, by digest.

    Parameters
    ----------
    demand : Demand
    data : bytes
        What `dispute.walk.check_answer` passes.
    """
    match demand.form:
        case Form.LEAF:
            return {demand.at.node: leaf_object(data)}
        case Form.NODES:
            return dict(_nodes_of(demand.at, demand.size, data))
        case Form.TENSOR:
            cut = 2 + 4 * data[1]
            tree = root_of_below(demand.at, demand.size, data[cut:])
            return {
                demand.at.node: bytes((Tag.TENSOR,)) + data[:cut] + tree,
                **dict(_nodes_of(demand.at, demand.size, data[cut:])),
            }
        case _:
            return {}


def _nodes_of(at: Cursor, size: int, data: bytes) -> Iterator[tuple[Sha256, bytes]]:
    """Every node above the revealed ones, as an object of the two below it."""
    places = places_below(at, size)
    known = {p: Sha256(data[DIGEST * i : DIGEST * (i + 1)]) for i, p in enumerate(places)}
    for level in range(at.height - size + 1, at.height + 1):
        above = {}
        for place in sorted({p >> 1 for p in known}):
            pair = [known.get(p, pad(at, level - 1)) for p in (2 * place, 2 * place + 1)]
            above[place] = fold(pair[0], 0, pair[1:])
            yield above[place], node_object(rows_of(pair))
        known = above


def walk_to(view: GameView, graph: Graph, ask: Ask) -> Walk:
    """How a demand reaches what a walk did not get.

    Parameters
    ----------
    view : GameView
        Of a committed trace.
    graph : Graph
    ask : Ask
        Of a node, tensor or leaf, with its siblings.
    """
    model = model_header(graph)
    assert ask.section is not None, "the trace root is no node of a tree"
    zone = zone_root(view.statement, model, ask.section)
    if ask.position is None:
        return Walk(
            header=model, node=ask.digest, zone=ask.section, height=ask.level, index=ask.index,
            siblings=_with_padding(zone, ask.level, ask.index, ask.siblings),
        )  # fmt: skip
    place = Index(trace_slots(graph).index(Slot(ask.section, ask.position)))
    kind = graph.instructions[place].type
    inside = ask.tag is not Tag.TENSOR
    root = ask.digest
    if inside:
        blank = tensor_demand(view.claim_id, kind, ask.digest).at
        siblings = _with_padding(blank, ask.level, ask.index, ask.siblings)
        root = seal(kind, fold(ask.digest, ask.index, siblings))
    entered = tensor_demand(view.claim_id, kind, root)
    if inside and entered.id in view.state.answers:
        return Walk(
            header=model, node=ask.digest, height=ask.level, index=ask.index, siblings=siblings,
            type_header=header(kind), start=entered,
        )  # fmt: skip
    return Walk(
        header=model, node=root, zone=ask.section, index=ask.position,
        siblings=_with_padding(zone, 0, ask.position, ask.above),
        crossing=Crossing(place=place, instruction=open_instruction(graph, place)),
    )  # fmt: skip


def _with_padding(
    at: Cursor, level: int, index: int, siblings: tuple[Sha256, ...]
) -> tuple[Sha256, ...]:
    """Siblings from a node up to the root of its tree, with the padding among them."""
    given, found = iter(siblings), []
    for up in range(level, at.height):
        beside = (index >> (up - level)) ^ 1
        found.append(pad(at, up) if is_padding(at, up, beside) else next(given))
    return tuple(found)

"""Which proof refutes a foreign trace, once the bytes of its first wrong leaf are there."""

from collections.abc import Mapping
from dataclasses import dataclass

from verifiable.dispute.answers import Run
from verifiable.dispute.moves import DemandPartials, Move, Refute, RefutePartials, RefutePiece
from verifiable.dispute.prove import (
    partials_of,
    prove_combination,
    prove_piece,
    prove_pieces,
    prove_step,
)
from verifiable.dispute.recompute import piece_count
from verifiable.dispute.step import check_combination, check_step
from verifiable.dispute.terms import partials_demand
from verifiable.dispute.view import GameView
from verifiable.errors import HostError, OpeningRejectedError
from verifiable.graph.ir import Array, Dot, Index, Reduce, operands
from verifiable.trace.commit import Trace
from verifiable.trace.opening import TraceOpening
from verifiable.trace.walk import FirstDifference, Walk


class OwnRunError(HostError):
    """A trace differs from one's own run, and follows from its operands: one's own run is wrong."""

    def __init__(self, instruction: int, element: int) -> None:
        super().__init__(
            f"element {element} of instruction {instruction} is right in the claim and wrong in "
            "this run",
            hint="run again with another engine, and compare the two",
        )


@dataclass(frozen=True, slots=True)
class _Foreign:
    """The foreign trace as far as it is known: its first wrong leaf, and all that both share."""

    walk: Walk
    found: FirstDifference

    @property
    def trace(self) -> Trace:
        return self.walk.own.trace

    def open_leaf(self, index: Index, leaf: int) -> TraceOpening:
        if index == self.found.difference.instruction:
            assert leaf == self.found.leaf, "another leaf of the wrong tensor is not known"
            return self.found.opening
        return self.walk.open_leaf(index, leaf)

    def open_row(self, index: Index, row: int) -> TraceOpening:
        if index == self.found.difference.instruction:
            return self.found.opening
        return self.walk.open_row(index, row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refutation:
    """What shows that a committed trace is wrong.

    Parameters
    ----------
    view : GameView
    run : Run
        One's own.
    weights : mapping of Index to array
    walk : Walk
        From the trace's root along its differences from `run`.
    mine : int, optional
        One's own challenge, if it may make a demand now.
    """

    view: GameView
    run: Run
    weights: Mapping[Index, Array]
    walk: Walk
    mine: int | None

    def move(self, most_bytes: int) -> Move | None:
        """The move that refutes the claim, or leads there; None if it is not one's turn.

        Raises
        ------
        WithheldError, MalformedError
            If bytes of the foreign trace are needed first.
        OwnRunError
            If the claim is right.
        """
        found = self.walk.first_difference()
        assert found is not None, "the trace is one's own"
        assert found.difference.element is not None, "a leaf that differs has such an element"
        index, element = found.difference.instruction, found.difference.element
        foreign = _Foreign(self.walk, found)
        if self._in_pieces(index, most_bytes):
            return self._piece(foreign, index, element)
        proof = prove_step(self.run.graph, self.weights, foreign, index, element)
        if not check_step(self.view.statement, proof).differs:
            raise OwnRunError(index, element)
        return Refute(claim_id=self.view.claim_id, job=self.view.job, proof=proof)

    def _in_pieces(self, index: Index, most_bytes: int) -> bool:
        """Whether rows are too long for one transaction, and have pieces."""
        instruction = self.run.graph.instructions[index]
        if not isinstance(instruction, Dot | Reduce):
            return False
        types = [self.run.graph.instructions[i].type for i in operands(instruction)]
        if sum(kind.shape[-1] * kind.dtype.itemsize for kind in types) <= most_bytes:
            return False
        try:
            piece_count(instruction, types)
        except OpeningRejectedError:
            return False
        return True

    def _piece(self, foreign: _Foreign, index: Index, element: int) -> Move | None:
        view, graph = self.view, self.run.graph
        own = partials_of(graph, self.weights, self.run, index, element)
        asked = partials_demand(view.claim_id, index, element, len(own))
        revealed = view.reveals.get(asked.id)
        if revealed is None:
            return self._ask(foreign, index, element)
        whole = prove_combination(graph, self.weights, foreign, index, element)
        if check_combination(view.statement, whole, revealed).differs:
            return RefutePartials(
                claim_id=view.claim_id, job=view.job, proof=whole, partials=revealed
            )
        pairs = enumerate(zip(own, revealed, strict=True))
        first = next((place for place, (mine, said) in pairs if mine != said), None)
        if first is None:
            raise OwnRunError(index, element)
        types = [graph.instructions[i].type for i in operands(graph.instructions[index])]
        piece = first * piece_count(graph.instructions[index], types) // len(own)
        return RefutePiece(
            claim_id=view.claim_id,
            job=view.job,
            proof=prove_piece(graph, self.weights, foreign, index, element, piece),
            partials=revealed,
            piece=piece,
        )

    def _ask(self, foreign: _Foreign, index: Index, element: int) -> Move | None:
        if self.mine is None:
            return None
        return DemandPartials(
            claim_id=self.view.claim_id,
            challenge=self.mine,
            job=self.view.job,
            proof=prove_pieces(self.run.graph, self.weights, foreign, index, element),
            answering=self.view.challenge(self.mine).pending,
        )

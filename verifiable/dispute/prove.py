"""Make one-step proofs from a committed run; ``dispute.step`` says what stands in one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from verifiable.crypto.merkle import levels_below, path_length
from verifiable.dispute.recompute import Read, piece_count, piece_reads, reads, recompute_piece
from verifiable.dispute.step import (
    NOTHING,
    StepProof,
    TensorOpening,
    check_element,
    cut,
    meets,
    place_of,
    signed,
)
from verifiable.graph.commitment import ModelHeader, model_header, open_instruction
from verifiable.graph.ir import Array, Const, Graph, Index, Instruction, TensorType, operands
from verifiable.graph.tensors import Opening, open_leaf, open_row
from verifiable.trace.commit import Trace
from verifiable.trace.opening import TraceOpening
from verifiable.types import Sha256


class Source(Protocol):
    """A committed run whose tensors can be opened; a `StoredTrace` is one."""

    @property
    def trace(self) -> Trace:
        """Roots of its tensors."""

    def open_leaf(self, index: Index, leaf: int) -> TraceOpening:
        """Open a leaf of any tensor but a Const."""

    def open_row(self, index: Index, row: int) -> TraceOpening:
        """Open a row of any tensor but a Const."""


class _Prover:
    """Opens what a proof needs of one run."""

    def __init__(self, graph: Graph, weights: Mapping[Index, Array], source: Source) -> None:
        self._graph = graph
        self._weights = weights
        self._source = source

    def instruction(self, index: Index) -> Instruction:
        return self._graph.instructions[index]

    def types(self, index: Index) -> list[TensorType]:
        return [self.instruction(i).type for i in operands(self.instruction(index))]

    def look(self, index: Index, element: int) -> int:
        """Value of an element of a Gather's index."""
        kind = self.instruction(index).type
        return signed(cut(kind, Read(element, 1), self._part(index, Read(element, 1))[0]))

    def _part(self, index: Index, read: Read) -> tuple[Opening, tuple[Sha256, ...]]:
        if not read.count:
            return NOTHING, ()
        kind = self.instruction(index).type
        row, number = place_of(kind, read)
        if isinstance(self.instruction(index), Const):
            tensor = self._weights[index]
            return (open_row if row else open_leaf)(tensor, number), ()
        opened = (self._source.open_row if row else self._source.open_leaf)(index, number)
        return opened.part, opened.siblings

    def open(self, index: Index, read: Read) -> TensorOpening:
        part, above = self._part(index, read)
        instruction = open_instruction(self._graph, index)
        return TensorOpening(instruction=instruction, part=part, above=above)

    def proof(self, index: Index, element: int, result: Read, needed: Sequence[Read]) -> StepProof:
        whole, header = self.open(index, result), model_header(self._graph)
        read = zip(operands(self.instruction(index)), needed, strict=False)
        return StepProof(
            header=header,
            instruction=index,
            element=element,
            result=whole,
            operands=tuple(
                _shortened(header, self.open(i, part), i, whole, index) for i, part in read
            ),
        )


def _shortened(
    header: ModelHeader, opening: TensorOpening, place: Index, result: TensorOpening, index: Index
) -> TensorOpening:
    """An operand's paths up to where they meet the result's."""
    instruction, above = opening.instruction, opening.above
    siblings = _below(instruction.siblings, header.instructions, place, index)
    slot = instruction.slot
    if above and meets(result, slot):
        count, beside = header.tensors[slot.section], result.instruction.slot.position
        above = _below(above, count, slot.position, beside)
    return replace(opening, instruction=replace(instruction, siblings=siblings), above=above)


def _below(path: tuple[Sha256, ...], leaves: int, index: int, other: int) -> tuple[Sha256, ...]:
    return path[: path_length(leaves, index, levels_below(index, other))]


def prove_step(
    graph: Graph, weights: Mapping[Index, Array], source: Source, instruction: Index, element: int
) -> StepProof:
    """Open one committed element and what it is made of.

    Parameters
    ----------
    graph : Graph
    weights : mapping of Index to array
    source : Source
        The committed run.
    instruction : Index
    element : int
        In row-major order.

    Raises
    ------
    OpeningRejectedError
        If the instruction is an Input or a Const, or has no such element.
    """
    prover = _Prover(graph, weights, source)
    ins = prover.instruction(instruction)
    check_element(ins, element)
    read = operands(ins)
    needed = reads(
        ins, prover.types(instruction), element, lambda place: prover.look(read[-1], place)
    )
    return prover.proof(instruction, element, Read(element, 1), needed)


def prove_combination(
    graph: Graph, weights: Mapping[Index, Array], source: Source, instruction: Index, element: int
) -> StepProof:
    """Open one committed element of a Dot or Reduce of long rows, and the types of its operands.

    Raises
    ------
    OpeningRejectedError
        If the rows have no pieces, or there is no such element.
    """
    return _typed(_Prover(graph, weights, source), instruction, element, Read(element, 1))


def prove_pieces(
    graph: Graph, weights: Mapping[Index, Array], source: Source, instruction: Index, element: int
) -> StepProof:
    """Show that an element's rows have pieces, by types alone.

    Raises
    ------
    OpeningRejectedError
        If they have none, or there is no such element.
    """
    return _typed(_Prover(graph, weights, source), instruction, element, Read())


def _typed(prover: _Prover, instruction: Index, element: int, result: Read) -> StepProof:
    ins, types = prover.instruction(instruction), prover.types(instruction)
    check_element(ins, element)
    piece_count(ins, types)
    return prover.proof(instruction, element, result, [Read()] * len(types))


def prove_piece(
    graph: Graph,
    weights: Mapping[Index, Array],
    source: Source,
    instruction: Index,
    element: int,
    piece: int,
) -> StepProof:
    """Open the leaves that one piece of a long row is computed from; no data of the result.

    Raises
    ------
    OpeningRejectedError
        If the rows have no such piece, or there is no such element.
    """
    prover = _Prover(graph, weights, source)
    ins, types = prover.instruction(instruction), prover.types(instruction)
    check_element(ins, element)
    return prover.proof(instruction, element, Read(), piece_reads(ins, types, element, piece))


def partials_of(
    graph: Graph, weights: Mapping[Index, Array], source: Source, instruction: Index, element: int
) -> bytes:
    """Partial results of all pieces of an element's rows, end to end.

    Raises
    ------
    OpeningRejectedError
        If the rows have no pieces, or there is no such element.
    """
    prover = _Prover(graph, weights, source)
    ins, types = prover.instruction(instruction), prover.types(instruction)
    check_element(ins, element)
    found = []
    for piece in range(piece_count(ins, types)):
        needed = piece_reads(ins, types, element, piece)
        opened = [prover.open(i, r) for i, r in zip(operands(ins), needed, strict=True)]
        data = [cut(t, r, o.part) for t, r, o in zip(types, needed, opened, strict=True)]
        found.append(recompute_piece(ins, types, data, piece))
    return b"".join(found)

"""One-step proofs: all that is needed to compute one committed element again.

A proof names an element of an instruction's tensor and opens the leaf that holds it. For each
operand, in the order of the descriptor, it opens what the element is made of
(``dispute.recompute.reads``):

==========  ==========================================================================
Dot         the row of each operand; the types alone, if rows have no element
Reduce      the row; the type alone, if rows have no element
Map         the element of each operand that is broadcast to it
View        the one element; no operand at all, outside the box
Gather      the element of `x`, or its type alone if the index is out of range; that of the index
Concat      the types alone of the parts before the one that holds the element; then its element
==========  ==========================================================================

A row that is a tree is opened whole; else the leaf is opened that holds what is read. Where a
type alone is needed the opening has no data and no path. Paths of an operand end where they meet
the result's in the same tree: what they lead to is one of its siblings. There is no other form: an
opening too many, too long or beside the point is refused.

Openings show the tensors that a trace commits, be they right or wrong: a step is about one
instruction, and says nothing of the tensors that it reads. ``contracts/src/step`` checks and
computes the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from verifiable.crypto.merkle import check_beside, check_root, climb
from verifiable.dispute.recompute import (
    Read,
    bits_of,
    combine,
    partial_bytes,
    piece_count,
    piece_reads,
    reads,
    recompute,
    recompute_piece,
)
from verifiable.errors import OpeningRejectedError
from verifiable.graph.commitment import (
    InstructionOpening,
    ModelHeader,
    Section,
    Slot,
    check_instruction,
    check_slot,
    instruction_leaf,
)
from verifiable.graph.encoding import parse_descriptor
from verifiable.graph.ir import (
    Concat,
    Const,
    Dot,
    Index,
    Instruction,
    Reduce,
    TensorType,
    View,
    operands,
)
from verifiable.graph.layout import layout
from verifiable.graph.tensors import Opening, root_from_leaf, root_from_row
from verifiable.trace.commit import Trace
from verifiable.types import Sha256

NOTHING = Opening(b"", ())
"""What stands for the elements of a tensor where its type alone is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a claim and its committed trace fix; the trace root is the digest of the last three."""

    model: Sha256
    """Model root."""
    input: Sha256
    """Root over the input tensors."""
    body: Sha256
    """Root over the tensors between."""
    output: Sha256
    """Root over the output tensors."""

    def section(self, section: Section) -> Sha256:
        """Root of a section of the trace."""
        return (self.input, self.body, self.output)[section]


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorOpening:
    """A leaf or a whole row of a tensor, and the way to the root of its section."""

    instruction: InstructionOpening
    part: Opening
    """Up to the root of the tensor's tree; `NOTHING` where the type alone is needed."""
    above: tuple[Sha256, ...]
    """From the tensor to the root of its section, of an operand no further than to the result's
    path; empty for a Const, and for a type alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProof:
    """All that is needed to compute one element again."""

    header: ModelHeader
    instruction: Index
    """Which one wrote the element."""
    element: int
    """Its number in row-major order."""
    result: TensorOpening
    """The leaf that holds it."""
    operands: tuple[TensorOpening, ...]


@dataclass(frozen=True, slots=True)
class StepResult:
    """What an element is and what it should be, by their bits."""

    got: int
    """What its operands give."""
    committed: int

    @property
    def differs(self) -> bool:
        """Whether the trace is refuted."""
        return self.got != self.committed


def statement_of(trace: Trace) -> Statement:
    """What stands committed once this trace is."""
    whole = trace.sections
    return Statement(model=trace.model, input=whole.input, body=whole.body, output=whole.output)


@dataclass(frozen=True, slots=True)
class _Checked:
    """Instructions of a proof that the model has."""

    statement: Statement
    proof: StepProof
    instruction: Instruction
    read: tuple[Instruction, ...]
    """Those of the operands that the proof opens."""

    @property
    def types(self) -> list[TensorType]:
        return [ins.type for ins in self.read]

    def committed(self, read: Read) -> bytes:
        """Elements of the result, checked."""
        return self._elements(self.instruction, self.proof.result, read, None)

    def operand(self, number: int, read: Read) -> bytes:
        """Elements of an operand, checked."""
        opening = self.proof.operands[number]
        return self._elements(self.read[number], opening, read, self.proof.result)

    def operands(self, needed: Sequence[Read]) -> list[bytes]:
        """Elements of all operands, checked; there must be no more of them."""
        if len(self.read) != len(needed):
            raise OpeningRejectedError(
                f"{len(self.read)} operands are opened, wanted {len(needed)}"
            )
        return [self.operand(number, read) for number, read in enumerate(needed)]

    def _elements(
        self,
        instruction: Instruction,
        opening: TensorOpening,
        read: Read,
        beside: TensorOpening | None,
    ) -> bytes:
        kind = instruction.type
        if not read.count:
            if opening.part != NOTHING or opening.above:
                raise OpeningRejectedError(f"{kind} is opened, wanted its type alone")
            return b""
        row, number = place_of(kind, read)
        root = (root_from_row if row else root_from_leaf)(kind, number, opening.part)
        self._check_root(instruction, opening, root, beside)
        return cut(kind, read, opening.part)

    def _check_root(
        self,
        instruction: Instruction,
        opening: TensorOpening,
        root: Sha256,
        beside: TensorOpening | None,
    ) -> None:
        slot, header = opening.instruction.slot, self.proof.header
        if isinstance(instruction, Const):
            if slot.section is not Section.MODEL or opening.above:
                raise OpeningRejectedError(
                    "the root of a Const stands in the model, not in a trace"
                )
            check_root(root, instruction.root, "the Const")
            return
        check_slot(header, slot)
        count = header.tensors[slot.section]
        if beside is not None and meets(beside, slot):
            place = beside.instruction.slot.position
            check_beside(root, count, slot.position, opening.above, place, beside.above)
            return
        found = climb(root, count, slot.position, opening.above)
        what = f"tensor {slot.position} of section {slot.section.name}"
        check_root(found, self.statement.section(slot.section), what)


def _check_instructions(statement: Statement, proof: StepProof) -> _Checked:
    opened = proof.result.instruction
    instruction = check_instruction(statement.model, proof.header, proof.instruction, opened)
    check_element(instruction, proof.element)
    places, given = operands(instruction), len(proof.operands)
    fewer = isinstance(instruction, View | Concat)
    if given > len(places) or (given < len(places) and not fewer):
        raise OpeningRejectedError(f"{given} operands are opened, wanted {len(places)}")
    read = tuple(
        _check_operand(proof, place, operand.instruction)
        for place, operand in zip(places, proof.operands, strict=False)
    )
    return _Checked(statement, proof, instruction, read)


def _check_operand(proof: StepProof, place: Index, opening: InstructionOpening) -> Instruction:
    leaf = instruction_leaf(opening.slot, opening.descriptor)
    count, path = proof.header.instructions, proof.result.instruction.siblings
    check_beside(leaf, count, place, opening.siblings, proof.instruction, path)
    return parse_descriptor(opening.descriptor)


def meets(result: TensorOpening, slot: Slot) -> bool:
    """Whether the path of a tensor may end at the result's: elements of it are opened there."""
    return bool(result.part.data) and result.instruction.slot.section is slot.section


def check_step(statement: Statement, proof: StepProof) -> StepResult:
    """Compute one committed element again.

    Returns
    -------
    StepResult

    Raises
    ------
    OpeningRejectedError
        If an opening is malformed, leads to another root or is not what the element needs, or the
        instruction is an Input or a Const.
    EncodingError
        If a descriptor is no instruction's; then the model root was never that of a graph.
    """
    checked = _check_instructions(statement, proof)
    committed = bits_of(checked.committed(Read(proof.element, 1)))
    needed = reads(
        checked.instruction,
        checked.types,
        proof.element,
        lambda place: signed(checked.operand(1, Read(place, 1))),
    )
    data = checked.operands(needed)
    return StepResult(recompute(checked.instruction, checked.types, data), committed)


def partials_length(statement: Statement, proof: StepProof) -> int:
    """Bytes of the results of the pieces of an element's row.

    Parameters
    ----------
    statement : Statement
    proof : StepProof
        With the types of the result and the operands alone.

    Raises
    ------
    OpeningRejectedError
        As `check_step`; also if the rows have no pieces.
    EncodingError
        As `check_step`.
    """
    checked = _check_instructions(statement, proof)
    checked.committed(Read())
    checked.operands([Read()] * len(checked.read))
    count = piece_count(checked.instruction, checked.types)
    assert isinstance(checked.instruction, Dot | Reduce)
    return count * partial_bytes(checked.instruction, checked.types)


def check_combination(statement: Statement, proof: StepProof, partials: bytes) -> StepResult:
    """Combine the partial results of a long row, and hold the result against the element.

    Parameters
    ----------
    statement : Statement
    proof : StepProof
        With the types of the operands alone.
    partials : bytes
        Partial result of each piece, end to end.

    Raises
    ------
    OpeningRejectedError
        As `check_step`; also if the rows have no pieces, or another number of them.
    EncodingError
        As `check_step`.
    """
    checked = _check_instructions(statement, proof)
    committed = bits_of(checked.committed(Read(proof.element, 1)))
    checked.operands([Read()] * len(checked.read))
    return StepResult(combine(checked.instruction, checked.types, partials), committed)


def check_piece(statement: Statement, proof: StepProof, partials: bytes, piece: int) -> StepResult:
    """Compute the partial result of one piece again, and hold it against the one revealed.

    Parameters
    ----------
    statement : Statement
    proof : StepProof
        Opens the leaves that hold the piece, and of the result the type alone.
    partials : bytes
    piece : int

    Raises
    ------
    OpeningRejectedError
        As `check_combination`; also if there is no such piece.
    EncodingError
        As `check_step`.
    """
    checked = _check_instructions(statement, proof)
    checked.committed(Read())
    needed = piece_reads(checked.instruction, checked.types, proof.element, piece)
    data = checked.operands(needed)
    assert isinstance(checked.instruction, Dot | Reduce)
    count = piece_count(checked.instruction, checked.types)
    width = partial_bytes(checked.instruction, checked.types)
    if len(partials) != count * width:
        raise OpeningRejectedError(
            f"{len(partials)} bytes of partial results, wanted {count * width}"
        )
    got = recompute_piece(checked.instruction, checked.types, data, piece)
    return StepResult(bits_of(got), bits_of(partials[piece * width : (piece + 1) * width]))


def check_element(instruction: Instruction, element: int) -> None:
    """Refuse an element that an instruction does not write.

    Raises
    ------
    OpeningRejectedError
        If there is no such element.
    """
    if not 0 <= element < instruction.type.size:
        raise OpeningRejectedError(f"{instruction.type} has no element {element}")


def place_of(kind: TensorType, read: Read) -> tuple[bool, int]:
    """Whether a row is opened for what is read, or a leaf; and its number."""
    plan = layout(kind)
    if plan.rows_are_trees and read.count == plan.row:
        return True, read.first // plan.row
    return False, plan.leaf_of(read.first)


def cut(kind: TensorType, read: Read, part: Opening) -> bytes:
    """Bytes of what is read out of what is opened."""
    row, number = place_of(kind, read)
    plan = layout(kind)
    start = read.first - (number * plan.row if row else plan.elements(number).start)
    width = kind.dtype.itemsize
    return part.data[start * width : (start + read.count) * width]


def signed(data: bytes) -> int:
    """Value of an i32 or i64 from its bytes."""
    return int.from_bytes(data, "big", signed=True)

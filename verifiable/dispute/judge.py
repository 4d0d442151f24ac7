"""The judge that recomputes: what ``contracts/src/step/Steps.sol`` is to the referee."""

from verifiable.dispute.recompute import partial_bytes, piece_count
from verifiable.dispute.step import (
    Statement,
    StepProof,
    check_combination,
    check_piece,
    check_step,
)
from verifiable.errors import OpeningRejectedError
from verifiable.graph.encoding import parse_descriptor
from verifiable.graph.ir import Dot, Reduce, operands


class Recomputing:
    """A `dispute.evidence.Judge` that asks `dispute.step`."""

    def differs(self, statement: Statement, proof: StepProof, /) -> bool:
        """Whether the committed element is another than its operands give."""
        return check_step(statement, proof).differs

    def combines(self, statement: Statement, proof: StepProof, partials: bytes, /) -> bool:
        """Whether the results of the pieces of a row give the committed element."""
        wanted = _length(proof)
        if len(partials) != wanted:
            # They are false; the proof is checked all the same.
            check_combination(statement, proof, bytes(wanted))
            return False
        return not check_combination(statement, proof, partials).differs

    def piece_differs(
        self, statement: Statement, proof: StepProof, partials: bytes, piece: int, /
    ) -> bool:
        """Whether the result of one piece is another than its operands give."""
        return check_piece(statement, proof, partials, piece).differs


def _length(proof: StepProof) -> int:
    """Bytes of the partial results of an element."""
    instruction = parse_descriptor(proof.result.instruction.descriptor)
    types = [parse_descriptor(one.instruction.descriptor).type for one in proof.operands]
    if not isinstance(instruction, Dot | Reduce) or len(types) != len(operands(instruction)):
        raise OpeningRejectedError("the proof is not of a Dot or a Reduce with all its operands")
    return piece_count(instruction, types) * partial_bytes(instruction, types)

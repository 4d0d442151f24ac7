"""The judge that recomputes: what ``contracts/src/step/Steps.sol`` is to the referee."""

from verifiable.dispute.step import (
    Statement,
    StepProof,
    check_combination,
    check_piece,
    check_step,
    partials_length,
)


class Recomputing:
    """A `dispute.evidence.Judge` that asks `dispute.step`."""

    def differs(self, statement: Statement, proof: StepProof, /) -> bool:
        """Whether the committed element is another than its operands give."""
        return check_step(statement, proof).differs

    def partials_length(self, statement: Statement, proof: StepProof, /) -> int:
        """Bytes of the results of the pieces of an element's row."""
        return partials_length(statement, proof)

    def combines(self, statement: Statement, proof: StepProof, partials: bytes, /) -> bool:
        """Whether the results of the pieces of a row give the committed element."""
        return not check_combination(statement, proof, partials).differs

    def piece_differs(
        self, statement: Statement, proof: StepProof, partials: bytes, piece: int, /
    ) -> bool:
        """Whether the result of one piece is another than its operands give."""
        return check_piece(statement, proof, partials, piece).differs

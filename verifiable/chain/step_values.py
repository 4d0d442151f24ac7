"""One-step proofs as values of the structs of ``contracts/src/step/StepTypes.sol``."""

from typing import Any

from verifiable.dispute.step import Statement, StepProof, TensorOpening
from verifiable.graph.commitment import InstructionOpening, ModelHeader

Value = tuple[Any, ...]
"""Of a struct, for `verifiable.chain.abi.encode_call`."""


def statement_value(statement: Statement) -> Value:
    """Values of a ``Statement``."""
    return (statement.model, statement.input, statement.body, statement.output)


def header_value(header: ModelHeader) -> Value:
    """Values of a ``ModelHeader``; the contracts know one semantics id, that of `canon/1`."""
    return (header.instructions, *header.tensors, header.tree, header.borders)


def instruction_value(opening: InstructionOpening) -> Value:
    """Values of an ``InstructionOpening``."""
    slot = opening.slot
    return (int(slot.section), slot.position, opening.descriptor, list(opening.siblings))


def tensor_value(opening: TensorOpening) -> Value:
    """Values of a ``TensorOpening``."""
    part = opening.part
    return (
        instruction_value(opening.instruction),
        part.data,
        list(part.siblings),
        list(opening.above),
    )


def proof_value(proof: StepProof) -> Value:
    """Values of a ``StepProof``."""
    return (
        header_value(proof.header),
        proof.instruction,
        proof.element,
        tensor_value(proof.result),
        [tensor_value(operand) for operand in proof.operands],
    )

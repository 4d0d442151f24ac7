// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IStep} from "./IStep.sol";
import {StepProof, Statement, TensorOpening} from "./StepTypes.sol";
import {Descriptor, Instruction} from "./lib/Descriptor.sol";
import {Openings} from "./lib/Openings.sol";

/// @title What the recomputation of every kind of instruction has in common
/// @notice Mirrors `check_step` of `verifiable/dispute/step.py`.
abstract contract StepBase is IStep {
    /// @notice Instructions of this kind are not recomputed here, or not by pieces.
    error KindRefused(uint256 kind);
    /// @notice More or fewer operands are opened than the element needs.
    error OperandCount(uint256 got, uint256 wanted);

    /// @inheritdoc IStep
    /// @custom:reverts KindRefused if the instruction is of another kind than is recomputed here,
    /// OperandCount and the errors of `Openings`, `Merkle` and `Descriptor` if an opening is not
    /// what the element needs.
    function differs(Statement calldata statement, StepProof calldata proof)
        external
        view
        returns (bool)
    {
        (Instruction memory ins, uint256 committed) = _result(statement, proof);
        return _recompute(statement, proof, ins) != committed;
    }

    /// @inheritdoc IStep
    /// @custom:reverts KindRefused unless the instruction has rows.
    function partialsLength(Statement calldata, StepProof calldata proof)
        external
        view
        virtual
        returns (uint256)
    {
        revert KindRefused(_kindOf(proof));
    }

    /// @inheritdoc IStep
    /// @custom:reverts KindRefused unless the instruction has rows.
    function combines(Statement calldata, StepProof calldata proof, bytes calldata)
        external
        view
        virtual
        returns (bool)
    {
        revert KindRefused(_kindOf(proof));
    }

    /// @inheritdoc IStep
    /// @custom:reverts KindRefused unless the instruction has rows.
    function pieceDiffers(Statement calldata, StepProof calldata proof, bytes calldata, uint256)
        external
        view
        virtual
        returns (bool)
    {
        revert KindRefused(_kindOf(proof));
    }

    /// @notice Bits that the element must have.
    /// @param ins The instruction that wrote it; the element is one of its own.
    function _recompute(
        Statement calldata statement,
        StepProof calldata proof,
        Instruction memory ins
    ) internal view virtual returns (uint256);

    /// @notice The disputed instruction, checked, and the bits of the committed element.
    function _result(Statement calldata statement, StepProof calldata proof)
        internal
        view
        returns (Instruction memory ins, uint256 committed)
    {
        ins = _instruction(statement, proof);
        committed = _bits(
            Openings.open(statement, proof, proof.result, ins, true, proof.element, 1),
            Descriptor.width(ins.dtype)
        );
    }

    /// @notice The disputed instruction, checked, and that it has the element.
    function _instruction(Statement calldata statement, StepProof calldata proof)
        internal
        view
        returns (Instruction memory ins)
    {
        Openings.checkHeader(statement.model, proof.header);
        ins = Openings.instruction(proof.header, proof.instruction, proof.result.instruction);
        if (proof.element >= ins.size) revert Openings.NoSuchElement(proof.element, ins.size);
    }

    /// @notice The instruction that wrote an operand, checked.
    function _operand(StepProof calldata proof, Instruction memory ins, uint256 number)
        internal
        view
        returns (Instruction memory)
    {
        uint256 place = Descriptor.operand(ins, number);
        return Openings.operand(
            proof.header,
            place,
            proof.operands[number].instruction,
            proof.instruction,
            proof.result.instruction
        );
    }

    /// @notice Bits of one element of an operand, checked.
    function _open(
        Statement calldata statement,
        StepProof calldata proof,
        TensorOpening calldata opening,
        Instruction memory ins,
        uint256 element
    ) internal view returns (uint256) {
        uint256 pointer = Openings.open(statement, proof, opening, ins, false, element, 1);
        return _bits(pointer, Descriptor.width(ins.dtype));
    }

    /// @notice Big-endian number of `width` bytes of memory.
    function _bits(uint256 pointer, uint256 width) internal pure returns (uint256 bits) {
        assembly ("memory-safe") {
            bits := shr(sub(256, shl(3, width)), mload(pointer))
        }
    }

    /// @custom:reverts OperandCount if another number of operands is opened.
    function _checkCount(StepProof calldata proof, uint256 wanted) internal pure {
        if (proof.operands.length != wanted) revert OperandCount(proof.operands.length, wanted);
    }

    function _kindOf(StepProof calldata proof) private pure returns (uint256) {
        return uint8(proof.result.instruction.descriptor[0]);
    }
}

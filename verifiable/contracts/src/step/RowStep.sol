// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IStep} from "./IStep.sol";
import {StepBase} from "./StepBase.sol";
import {StepProof, Statement} from "./StepTypes.sol";
import {Descriptor, Instruction} from "./lib/Descriptor.sol";
import {Layout, Plan} from "./lib/Layout.sol";
import {Openings} from "./lib/Openings.sol";
import {RowFold} from "./lib/RowFold.sol";

/// @title Recomputes an element that is folded from rows, at once or by pieces
/// @notice A piece is one leaf of the row; its result is what the instruction gives for it alone,
/// and before it, for ARGMAX and ARGMIN, its place in the row as an i64. Mirrors
/// `check_combination` and `check_piece` of `verifiable/dispute/step.py`.
abstract contract RowStep is StepBase {
    uint256 private constant PLACE_BYTES = 8;

    /// @notice The rows cannot be cut: they are packed into leaves, or floats are summed in chunks
    /// that are no leaves.
    error NoPieces();
    /// @notice There are fewer pieces.
    error NoSuchPiece(uint256 piece, uint256 pieces);
    /// @notice Partial results have another length than they must have.
    error PartialsLength(uint256 got, uint256 wanted);

    /// @notice A disputed instruction and what its operands are.
    /// @param ins The instruction.
    /// @param operands Those that wrote its operands.
    /// @param fold Code of the fold; SUM of a Dot.
    /// @param chunk Elements that are folded before partial sums are added.
    /// @param length Elements of a row.
    struct Job {
        Instruction ins;
        Instruction[] operands;
        uint256 fold;
        uint256 chunk;
        uint256 length;
    }

    /// @inheritdoc StepBase
    /// @custom:reverts As `differs`; NoPieces if the rows cannot be cut.
    function partialsLength(Statement calldata statement, StepProof calldata proof)
        external
        view
        override
        returns (uint256)
    {
        Job memory job = _job(proof, _instruction(statement, proof));
        Openings.checkEmpty(proof.result);
        _checkTypes(proof);
        return _cut(job).leaves * _partialBytes(job);
    }

    /// @inheritdoc StepBase
    /// @custom:reverts As `partialsLength`; PartialsLength if there is another number of results than
    /// of pieces.
    function combines(
        Statement calldata statement,
        StepProof calldata proof,
        bytes calldata partials
    ) external view override returns (bool) {
        (Instruction memory ins, uint256 committed) = _result(statement, proof);
        Job memory job = _job(proof, ins);
        _checkTypes(proof);
        uint256 count = _cut(job).leaves;
        _checkLength(job, partials, count);
        return _combine(job, partials, count) == committed;
    }

    /// @inheritdoc StepBase
    /// @custom:reverts As `combines`; NoSuchPiece if there is no such piece.
    function pieceDiffers(
        Statement calldata statement,
        StepProof calldata proof,
        bytes calldata partials,
        uint256 piece
    ) external view override returns (bool) {
        Job memory job = _job(proof, _instruction(statement, proof));
        Openings.checkEmpty(proof.result);
        Plan memory plan = _cut(job);
        _checkLength(job, partials, plan.leaves);
        if (piece >= plan.leaves) revert NoSuchPiece(piece, plan.leaves);
        uint256 start = piece * plan.leaf;
        uint256 count = piece + 1 == plan.leaves ? job.length - start : plan.leaf;
        (uint256 place, uint256 bits) = _foldPart(statement, proof, job, start, count);
        uint256 width = _partialBytes(job);
        uint256 revealed = uint256(bytes32(partials[piece * width:]));
        return revealed >> (256 - 8 * width) != _partial(job, place + start, bits);
    }

    /// @inheritdoc StepBase
    function _recompute(
        Statement calldata statement,
        StepProof calldata proof,
        Instruction memory ins
    ) internal view override returns (uint256) {
        Job memory job = _job(proof, ins);
        (uint256 place, uint256 bits) = _foldPart(statement, proof, job, 0, job.length);
        return _searches(job) ? place : bits;
    }

    /// @notice Fold and chunk of an instruction.
    /// @custom:reverts KindRefused if it is of another kind.
    function _parameters(Instruction memory ins)
        internal
        pure
        virtual
        returns (uint256 fold, uint256 chunk);

    /// @notice Number of the row of an operand that the element is folded from.
    function _rowOf(Job memory job, uint256 element, uint256 operand)
        internal
        pure
        virtual
        returns (uint256);

    /// @notice Fold so many elements of each operand.
    /// @param pointers Where they lie in memory.
    /// @return place Of the element that a search finds, among them.
    /// @return bits Of that element, or of what any other fold gives.
    function _fold(Job memory job, uint256[] memory pointers, uint256 count)
        internal
        pure
        virtual
        returns (uint256 place, uint256 bits);

    function _job(StepProof calldata proof, Instruction memory ins)
        private
        view
        returns (Job memory job)
    {
        job.ins = ins;
        (job.fold, job.chunk) = _parameters(ins);
        _checkCount(proof, ins.count);
        job.operands = new Instruction[](ins.count);
        for (uint256 i = 0; i < ins.count; ++i) {
            job.operands[i] = _operand(proof, ins, i);
            if (job.operands[i].rank == 0) revert Descriptor.DescriptorMalformed();
        }
        job.length = Descriptor.row(job.operands[0]);
    }

    // Of the operands the types alone are opened; there are as many as they must be.
    function _checkTypes(StepProof calldata proof) private pure {
        for (uint256 i = 0; i < proof.operands.length; ++i) {
            Openings.checkEmpty(proof.operands[i]);
        }
    }

    function _checkLength(Job memory job, bytes calldata partials, uint256 pieces) private pure {
        uint256 wanted = pieces * _partialBytes(job);
        if (partials.length != wanted) revert PartialsLength(partials.length, wanted);
    }

    // Opens and folds elements `start <= k < start + count` of each row.
    function _foldPart(
        Statement calldata statement,
        StepProof calldata proof,
        Job memory job,
        uint256 start,
        uint256 count
    ) private view returns (uint256 place, uint256 bits) {
        uint256[] memory pointers = new uint256[](job.operands.length);
        for (uint256 i = 0; i < pointers.length; ++i) {
            if (count == 0) {
                Openings.checkEmpty(proof.operands[i]);
                continue;
            }
            uint256 first = _rowOf(job, proof.element, i) * job.length + start;
            pointers[i] = Openings.open(
                statement, proof, proof.operands[i], job.operands[i], false, first, count
            );
        }
        return _fold(job, pointers, count);
    }

    // How a row is cut into pieces.
    function _cut(Job memory job) private pure returns (Plan memory plan) {
        plan = Layout.plan(job.operands[0]);
        bool inOrder = job.fold == RowFold.SUM && job.ins.dtype == Descriptor.F32;
        bool chunksAreLeaves = job.chunk * 4 == Layout.LEAF_BYTES;
        if (!plan.rowsAreTrees || plan.leaves == 0 || (inOrder && !chunksAreLeaves)) {
            revert NoPieces();
        }
    }

    function _combine(Job memory job, bytes memory partials, uint256 count)
        private
        pure
        returns (uint256)
    {
        uint256 pointer;
        assembly ("memory-safe") {
            pointer := add(partials, 32)
        }
        uint256 width = _partialBytes(job);
        if (job.fold == RowFold.SUM) {
            return RowFold.sumInOrder(RowFold.Row(pointer, width, count, job.ins.dtype));
        }
        uint256 before = _searches(job) ? PLACE_BYTES : 0;
        RowFold.Row memory row = RowFold.Row(pointer + before, width, count, job.operands[0].dtype);
        (uint256 chosen, uint256 bits) = RowFold.best(row, _greatest(job));
        return before == 0 ? bits : _bits(pointer + chosen * width, PLACE_BYTES);
    }

    function _partial(Job memory job, uint256 place, uint256 bits) private pure returns (uint256) {
        if (!_searches(job)) return bits;
        return (place << (8 * Descriptor.width(job.operands[0].dtype))) | bits;
    }

    function _partialBytes(Job memory job) private pure returns (uint256) {
        if (!_searches(job)) return Descriptor.width(job.ins.dtype);
        return PLACE_BYTES + Descriptor.width(job.operands[0].dtype);
    }

    function _searches(Job memory job) private pure returns (bool) {
        return job.fold >= RowFold.ARGMAX;
    }

    function _greatest(Job memory job) internal pure returns (bool) {
        return job.fold == RowFold.MAX || job.fold == RowFold.ARGMAX;
    }
}

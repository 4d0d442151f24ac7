// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IStep} from "./IStep.sol";
import {StepProof, Statement} from "./StepTypes.sol";
import {Descriptor} from "./lib/Descriptor.sol";

/// @title Recomputes one element of any instruction
/// @notice Hands each question to the contract that knows the kind of instruction, which checks
/// all there is to check.
contract Steps is IStep {
    /// @notice Recomputes Dots.
    IStep public immutable dot;
    /// @notice Recomputes Reduces.
    IStep public immutable reduce;
    /// @notice Recomputes Maps.
    IStep public immutable map;
    /// @notice Recomputes Views, Gathers and Concats.
    IStep public immutable move;

    /// @notice There is no contract at an address.
    error NoContract(address step);
    /// @notice No operands can refute what is given: an Input, a Const, or an unknown kind.
    error KindGiven(uint256 kind);

    /// @custom:reverts NoContract if one of them has no code.
    constructor(IStep dot_, IStep reduce_, IStep map_, IStep move_) {
        IStep[4] memory steps = [dot_, reduce_, map_, move_];
        for (uint256 i = 0; i < steps.length; ++i) {
            if (address(steps[i]).code.length == 0) revert NoContract(address(steps[i]));
        }
        (dot, reduce, map, move) = (dot_, reduce_, map_, move_);
    }

    /// @inheritdoc IStep
    /// @custom:reverts KindGiven if the instruction computes nothing; all that the contracts
    /// behind this one revert with.
    function differs(Statement calldata, StepProof calldata proof) external view returns (bool) {
        return _ask(proof) == 1;
    }

    /// @inheritdoc IStep
    /// @custom:reverts As `differs`.
    function partialsLength(Statement calldata, StepProof calldata proof)
        external
        view
        returns (uint256)
    {
        return _ask(proof);
    }

    /// @inheritdoc IStep
    /// @custom:reverts As `differs`.
    function combines(Statement calldata, StepProof calldata proof, bytes calldata)
        external
        view
        returns (bool)
    {
        return _ask(proof) == 1;
    }

    /// @inheritdoc IStep
    /// @custom:reverts As `differs`.
    function pieceDiffers(Statement calldata, StepProof calldata proof, bytes calldata, uint256)
        external
        view
        returns (bool)
    {
        return _ask(proof) == 1;
    }

    // Passes the question on as it came. Only an answer of one word is one: for want of gas the
    // other contract reverts, and so does this one.
    function _ask(StepProof calldata proof) private view returns (uint256 answer) {
        address step = address(_stepOf(uint8(proof.result.instruction.descriptor[0])));
        assembly ("memory-safe") {
            let data := mload(0x40)
            calldatacopy(data, 0, calldatasize())
            if iszero(staticcall(gas(), step, data, calldatasize(), 0, 32)) {
                returndatacopy(data, 0, returndatasize())
                revert(data, returndatasize())
            }
            if iszero(eq(returndatasize(), 32)) { revert(0, 0) }
            answer := mload(0)
        }
    }

    function _stepOf(uint256 kind) private view returns (IStep) {
        if (kind == Descriptor.DOT) return dot;
        if (kind == Descriptor.REDUCE) return reduce;
        if (kind == Descriptor.MAP) return map;
        if (kind == Descriptor.VIEW || kind == Descriptor.GATHER || kind == Descriptor.CONCAT) {
            return move;
        }
        revert KindGiven(kind);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IStep} from "../step/IStep.sol";
import {Statement, StepProof} from "../step/StepTypes.sol";

/// @title A step whose verdict stands in the number of the element
/// @notice For tests of the rules alone: bit 0 says whether the element differs, bit 1 whether the
/// opening is one at all, bit 2 whether the element has pieces.
/// Results of pieces combine if their first byte is zero.
contract VerdictStep is IStep {
    error NoOpening();
    error NoPieces();

    /// @inheritdoc IStep
    function differs(Statement calldata, StepProof calldata proof) external pure returns (bool) {
        _check(proof);
        return proof.element & 1 != 0;
    }

    /// @inheritdoc IStep
    function partialsLength(Statement calldata, StepProof calldata proof)
        external
        pure
        returns (uint256)
    {
        _check(proof);
        if (proof.element & 4 == 0) revert NoPieces();
        return 8;
    }

    /// @inheritdoc IStep
    function combines(Statement calldata, StepProof calldata proof, bytes calldata partials)
        external
        pure
        returns (bool)
    {
        _check(proof);
        return partials[0] == 0;
    }

    /// @inheritdoc IStep
    function pieceDiffers(
        Statement calldata,
        StepProof calldata proof,
        bytes calldata,
        uint256 piece
    ) external pure returns (bool) {
        _check(proof);
        return piece & 1 != 0;
    }

    function _check(StepProof calldata proof) private pure {
        if (proof.element & 2 != 0) revert NoOpening();
    }
}

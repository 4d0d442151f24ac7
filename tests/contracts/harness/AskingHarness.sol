// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Asking} from "../referee/Asking.sol";
import {IWalks} from "../referee/IWalks.sol";
import {Demand, Walk} from "../referee/RefereeTypes.sol";
import {IStep} from "../step/IStep.sol";
import {Statement, StepProof} from "../step/StepTypes.sol";

/// @notice Each question of `Asking`, and its plain twin. Words stand between the arguments, as in
/// the functions of the referee.
contract AskingHarness {
    function raw(
        IStep step,
        bytes4 question,
        StepProof calldata proof,
        Statement calldata statement,
        bytes calldata partials,
        uint256 piece
    ) external view returns (uint256) {
        return Asking.aboutStep(step, question, statement, proof, partials, piece);
    }

    function plain(
        IStep step,
        bytes4 question,
        StepProof calldata proof,
        Statement calldata statement,
        bytes calldata partials,
        uint256 piece
    ) external view returns (uint256) {
        if (question == IStep.partialsLength.selector) {
            return step.partialsLength(statement, proof);
        }
        bool said;
        if (question == IStep.differs.selector) {
            said = step.differs(statement, proof);
        } else if (question == IStep.combines.selector) {
            said = step.combines(statement, proof, partials);
        } else {
            said = step.pieceDiffers(statement, proof, partials, piece);
        }
        return said ? 1 : 0;
    }

    function rawTarget(
        IWalks walks,
        Walk calldata walk,
        Statement calldata statement,
        bytes32 claimId
    ) external view returns (Demand memory) {
        return Asking.target(walks, statement, claimId, walk);
    }

    function plainTarget(
        IWalks walks,
        Walk calldata walk,
        Statement calldata statement,
        bytes32 claimId
    ) external view returns (Demand memory) {
        return walks.target(statement, claimId, walk);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Forward} from "../lib/Forward.sol";
import {IStep} from "../step/IStep.sol";
import {Statement, StepProof} from "../step/StepTypes.sol";
import {IWalks} from "./IWalks.sol";
import {Demand, Walk} from "./RefereeTypes.sol";

/// @title Questions of the referee about what it was called with
/// @notice Each is the plain call of the contract that is asked, for less gas. Proofs and walks say
/// nothing by how they are encoded: they are held against roots, which the referee gives.
library Asking {
    /// @dev Bytes of the fixed arguments of both: a statement of four words, and three or two more.
    uint256 private constant STEP_HEAD = 7 * 32;
    uint256 private constant WALK_HEAD = 6 * 32;
    /// @dev Bytes of a selector.
    uint256 private constant SELECTOR = 4;

    /// @notice `step.differs(statement, proof)`, or another of its functions.
    /// @param question Selector of the function; what it does not take it does not read.
    /// @return The one word of its answer; 1 stands for true.
    function aboutStep(
        IStep step,
        bytes4 question,
        Statement memory statement,
        StepProof calldata proof,
        bytes calldata partials,
        uint256 piece
    ) internal view returns (uint256) {
        uint256 proofAt;
        uint256 partialsAt;
        assembly ("memory-safe") {
            proofAt := sub(add(proof, STEP_HEAD), SELECTOR)
            // Where there are none the word of zeros behind everything is their length.
            partialsAt := calldatasize()
            if partials.length { partialsAt := sub(partials.offset, 32) }
            partialsAt := sub(add(partialsAt, STEP_HEAD), SELECTOR)
        }
        bytes memory head = abi.encodeWithSelector(question, statement, proofAt, partialsAt, piece);
        return abi.decode(Forward.ask(address(step), head), (uint256));
    }

    /// @notice `walks.target(statement, claimId, walk)`.
    function target(IWalks walks, Statement memory statement, bytes32 claimId, Walk calldata walk)
        internal
        view
        returns (Demand memory)
    {
        uint256 walkAt;
        assembly ("memory-safe") {
            walkAt := sub(add(walk, WALK_HEAD), SELECTOR)
        }
        bytes memory head =
            abi.encodeWithSelector(IWalks.target.selector, statement, claimId, walkAt);
        return abi.decode(Forward.ask(address(walks), head), (Demand));
    }

    /// @notice `walks.check(demand, data)`, of a function that has the same arguments.
    function check(IWalks walks) internal view {
        Forward.ask(address(walks), abi.encodePacked(IWalks.check.selector));
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Statement} from "../step/StepTypes.sol";
import {Demand, Walk} from "./RefereeTypes.sol";

/// @title What a demand may ask for, and what answers it
/// @notice Part of the referee, in a contract of its own for its size. Stores nothing. Its own
/// errors are those of `IReferee`.
interface IWalks {
    /// @notice The demand that a walk leads to.
    /// @custom:reverts WalkMalformed, WalkMismatch or IntoPadding; as `Openings` if the header or the
    /// crossing is not the model's.
    function target(Statement calldata statement, bytes32 claimId, Walk calldata walk)
        external
        view
        returns (Demand memory);

    /// @notice Check that bytes answer a demand for bytes.
    /// @custom:reverts RevealLength, RevealMismatch; WalkMalformed if the form has no bytes.
    function check(Demand calldata demand, bytes calldata data) external view;
}

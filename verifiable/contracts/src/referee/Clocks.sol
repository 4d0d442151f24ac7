// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Answer, ChallengeRecord, ClaimRecord, Standing} from "./RefereeTypes.sol";

/// @title The two chess clocks of a challenge
/// @notice Mirrors `verifiable/dispute/clocks.py`. Seconds are half-open: one that begins at an
/// answer is the challenger's. At every moment the two clocks add up to the age of the challenge,
/// so after two allowances one of them has run out.
library Clocks {
    /// @notice Seconds that each side has used at `time`, and whose turn it is.
    /// @param answeredAt When the pending demand was answered (before the first: when the trace was
    /// committed), zero if it was not.
    function read(ChallengeRecord storage challenge, uint256 answeredAt, uint256 time)
        internal
        view
        returns (bool answered, uint256 proposerUsed, uint256 challengerUsed)
    {
        uint256 turnAt = challenge.turnAt;
        answered = answeredAt != 0;
        uint256 until = answered ? answeredAt : time;
        if (until < turnAt) until = turnAt;
        proposerUsed = challenge.proposerUsed + (until - turnAt);
        challengerUsed = challenge.challengerUsed + (time - until);
    }

    /// @notice Who has run out. A side moves while it has used less than the allowance, and is out
    /// from the second on at which it has used all of it. Used time of the proposer never shrinks
    /// and lies before that of the challenger's turn, so he is asked first.
    function standing(uint256 proposerUsed, uint256 challengerUsed, uint256 allowance)
        internal
        pure
        returns (Standing)
    {
        if (proposerUsed >= allowance) return Standing.ProposerOut;
        if (challengerUsed >= allowance) return Standing.ChallengerOut;
        return Standing.Running;
    }

    /// @notice When what a challenge waits for came, zero if it has not.
    function answeredAt(
        ChallengeRecord storage challenge,
        ClaimRecord storage claim,
        mapping(bytes32 => Answer) storage answers
    ) internal view returns (uint256) {
        bytes32 pending = challenge.pending;
        return pending == 0 ? claim.committedAt : answers[pending].at;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Statement, StepProof} from "./StepTypes.sol";

/// @title Recomputes one element
/// @notice Each function reverts if an opening is malformed or leads to another root, if the
/// instruction is of a kind that this contract does not know, or if gas runs out: none of these is
/// a verdict. Nothing is stored; whoever holds the roots may ask.
interface IStep {
    /// @notice Whether the committed element is another than its operands give.
    function differs(Statement calldata statement, StepProof calldata proof)
        external
        view
        returns (bool);

    /// @notice Bytes of the results of the pieces of an element's row. Reverts unless the element is
    /// of a Dot or a Reduce whose rows have pieces.
    /// @param statement Its model alone is read.
    /// @param proof Neither its result nor its operands need data.
    function partialsLength(Statement calldata statement, StepProof calldata proof)
        external
        view
        returns (uint256);

    /// @notice Whether the results of the pieces of a long row, in their order, give the committed
    /// element of a Dot or a Reduce.
    /// @param proof Its operands need no data.
    /// @param partials Result of each piece, big-endian, end to end.
    function combines(
        Statement calldata statement,
        StepProof calldata proof,
        bytes calldata partials
    ) external view returns (bool);

    /// @notice Whether the result of one piece is another than its operands give.
    /// @param proof Its operands are the leaves that are the piece; its result needs no data.
    /// @param piece Number of the piece.
    function pieceDiffers(
        Statement calldata statement,
        StepProof calldata proof,
        bytes calldata partials,
        uint256 piece
    ) external view returns (bool);
}

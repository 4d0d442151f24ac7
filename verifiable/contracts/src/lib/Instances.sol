// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Field elements and the signed numbers they stand for
/// @notice A number x >= 0 stands as x, a number x < 0 as r + x.
library Instances {
    /// @notice Order r of the scalar field of BN254.
    uint256 internal constant R =
        21888242871839275222246405745257275088548364400416034343698204186575808495617;
    /// @notice Largest felt that stands for a number that is not negative.
    uint256 internal constant MAX_POSITIVE = (R - 1) / 2;

    /// @notice The felt is not below r.
    error NotCanonical(uint256 felt);
    /// @notice No felt stands for the number: its magnitude exceeds (r - 1) / 2.
    error OutOfField(int256 number);

    /// @notice The number that `felt` stands for.
    /// @custom:reverts NotCanonical if `felt` is not below r.
    function decode(uint256 felt) internal pure returns (int256) {
        if (felt >= R) revert NotCanonical(felt);
        // Both casts are exact: r < 2**254.
        return felt > MAX_POSITIVE ? int256(felt) - int256(R) : int256(felt);
    }

    /// @notice The felt that stands for `number`.
    /// @custom:reverts OutOfField if there is none.
    function encode(int256 number) internal pure returns (uint256) {
        if (number > int256(MAX_POSITIVE) || number < -int256(MAX_POSITIVE)) {
            revert OutOfField(number);
        }
        return number < 0 ? uint256(int256(R) + number) : uint256(number);
    }

    /// @notice Index of the first element that is not below r, or `felts.length`.
    function firstNotCanonical(uint256[] calldata felts) internal pure returns (uint256 i) {
        while (i < felts.length && felts[i] < R) ++i;
    }
}

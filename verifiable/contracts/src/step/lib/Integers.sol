// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Arithmetic of integers: two's complement, wrapping, total
/// @notice Mirrors verifiable/ops/scalar/integers.py. Operands are extended to 256 bits, results are
/// to be cut to their dtype.
library Integers {
    /// @notice `x` of `bits` bits, extended with its sign.
    function extend(uint256 x, uint256 bits) internal pure returns (uint256 y) {
        assembly ("memory-safe") {
            y := signextend(sub(shr(3, bits), 1), x)
        }
    }

    /// @notice Quotient towards zero; 0 if `y` is 0.
    function div(uint256 x, uint256 y) internal pure returns (uint256 r) {
        assembly ("memory-safe") {
            r := sdiv(x, y)
        }
    }

    /// @notice What `div` leaves over, with the sign of `x`; 0 if `y` is 0.
    function rem(uint256 x, uint256 y) internal pure returns (uint256 r) {
        assembly ("memory-safe") {
            r := smod(x, y)
        }
    }

    /// @notice `x << y`; 0 if `y` is negative or `bits` or more.
    function shl(uint256 x, uint256 y, uint256 bits) internal pure returns (uint256) {
        return y < bits ? x << y : 0;
    }

    /// @notice `x >> y`, filled with the sign; 0 if `y` is negative or `bits` or more.
    function shr(uint256 x, uint256 y, uint256 bits) internal pure returns (uint256) {
        return y < bits ? uint256(int256(x) >> y) : 0;
    }

    /// @notice `(acc m / 2**(s mod 32))`, halves up, plus `zero`, saturated to [-128, 127].
    function requantise(int256 acc, int256 m, uint256 s, int256 zero)
        internal
        pure
        returns (int256 r)
    {
        unchecked {
            s &= 31;
            // All of it is below 2**63.
            r = ((acc * m + int256((1 << s) >> 1)) >> s) + zero;
            return r < -128 ? int256(-128) : r > 127 ? int256(127) : r;
        }
    }
}

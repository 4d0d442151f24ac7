// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SoftFloat} from "./SoftFloat.sol";

/// @title From any dtype to any other
/// @notice Mirrors verifiable/ops/scalar/casts.py. Integers wrap; floats are truncated towards zero
/// and saturate, NaN gives 0.
library Casts {
    /// @notice The float nearest to an integer, ties to even.
    /// @param x In two's complement of 256 bits, of magnitude 2**64 at most.
    function fromInteger(uint256 x) internal pure returns (uint256) {
        unchecked {
            bool below = int256(x) < 0;
            return SoftFloat.fromParts(below ? 0 - x : x, 150, below ? SoftFloat.SIGN : 0);
        }
    }

    /// @notice The integer in [least, most] that is nearest to what is before the point of a float.
    /// @return In two's complement of 256 bits.
    function toInteger(uint256 x, int256 least, int256 most) internal pure returns (int256) {
        unchecked {
            if (SoftFloat.isNan(x)) return 0;
            // An infinity counts as 2**128.
            (uint256 m, uint256 e) = SoftFloat.parts(x);
            int256 whole = int256(e < 150 ? m >> (150 - e) : m << (e - 150));
            if (x >= SoftFloat.SIGN) whole = -whole;
            return whole < least ? least : whole > most ? most : whole;
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Scalars} from "step/lib/Scalars.sol";

/// @title Applies a scalar function to many operands
contract ScalarHarness {
    /// @notice Results of `fn`, 8 bytes each, of rows of `arity` operands, 8 bytes each.
    function batch(uint256 fn, uint256 dtype, uint256 arity, bytes calldata rows)
        external
        pure
        returns (bytes memory results)
    {
        uint256 count = rows.length / (8 * arity);
        results = new bytes(8 * count);
        for (uint256 i = 0; i < count; ++i) {
            uint256[4] memory x;
            for (uint256 j = 0; j < arity; ++j) {
                x[j] = uint64(bytes8(rows[8 * (i * arity + j):]));
            }
            uint256 r = Scalars.evaluate(fn, dtype, x[0], x[1], x[2], x[3]);
            assembly ("memory-safe") {
                // Each write ends where the next begins; what it leaves behind is written over.
                let at := add(add(results, 32), mul(8, i))
                mstore(at, or(shl(192, r), shr(64, shl(64, mload(at)))))
            }
        }
    }

    /// @notice Whether `fn` is defined for `dtype`.
    function isDefined(uint256 fn, uint256 dtype) external pure returns (bool) {
        return Scalars.isDefined(fn, dtype);
    }

    /// @notice Gas of one application, and its result.
    function gas(uint256 fn, uint256 dtype, uint256 a, uint256 b, uint256 c, uint256 d)
        external
        view
        returns (uint256 used, uint256 result)
    {
        used = gasleft();
        result = Scalars.evaluate(fn, dtype, a, b, c, d);
        used -= gasleft();
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DotKernel} from "step/lib/DotKernel.sol";

/// @title Computes elements of Dots
contract DotHarness {
    /// @notice Results of `DotKernel.f32` of many pairs of rows, 4 bytes each.
    /// @param rows First and second row of each pair, `k` elements of 4 bytes each.
    function f32(bytes calldata rows, uint256 k, uint256 chunk)
        external
        pure
        returns (bytes memory results)
    {
        uint256 count = rows.length / (8 * k);
        results = new bytes(4 * count);
        for (uint256 i = 0; i < count; ++i) {
            bytes memory pair = rows[8 * k * i:8 * k * (i + 1)];
            uint256 at = _place(pair);
            _write(results, i, DotKernel.f32(at, at + 4 * k, k, chunk));
        }
    }

    /// @notice Results of `DotKernel.chunkF32`.
    function chunks(bytes calldata rows, uint256 k) external pure returns (bytes memory results) {
        uint256 count = rows.length / (8 * k);
        results = new bytes(4 * count);
        for (uint256 i = 0; i < count; ++i) {
            bytes memory pair = rows[8 * k * i:8 * k * (i + 1)];
            uint256 at = _place(pair);
            _write(results, i, DotKernel.chunkF32(at, at + 4 * k, k));
        }
    }

    /// @notice Results of `DotKernel.i8`.
    function i8(bytes calldata rows, uint256 k, bool aSigned)
        external
        pure
        returns (bytes memory results)
    {
        uint256 count = rows.length / (2 * k);
        results = new bytes(4 * count);
        for (uint256 i = 0; i < count; ++i) {
            bytes memory pair = rows[2 * k * i:2 * k * (i + 1)];
            uint256 at = _place(pair);
            _write(results, i, DotKernel.i8(at, at + k, k, aSigned));
        }
    }

    /// @notice Gas of one element of f32, and its bits.
    function gasF32(bytes memory rows, uint256 k, uint256 chunk)
        external
        view
        returns (uint256 used, uint256 result)
    {
        uint256 at = _place(rows);
        used = gasleft();
        result = DotKernel.f32(at, at + 4 * k, k, chunk);
        used -= gasleft();
    }

    /// @notice Gas of one element of i32, and its bits.
    function gasI8(bytes memory rows, uint256 k, bool aSigned)
        external
        view
        returns (uint256 used, uint256 result)
    {
        uint256 at = _place(rows);
        used = gasleft();
        result = DotKernel.i8(at, at + k, k, aSigned);
        used -= gasleft();
    }

    function _place(bytes memory data) private pure returns (uint256 at) {
        assembly ("memory-safe") {
            at := add(data, 32)
        }
    }

    function _write(bytes memory results, uint256 i, uint256 x) private pure {
        for (uint256 j = 0; j < 4; ++j) {
            results[4 * i + j] = bytes1(uint8(x >> (24 - 8 * j)));
        }
    }
}

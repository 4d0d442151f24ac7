// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {clz, halfUlp} from "evm/Clz.sol";
import {SoftFloat} from "step/lib/SoftFloat.sol";
import {Transcendental} from "step/lib/Transcendental.sol";

/// @title Single functions, and what they cost
contract FloatHarness {
    /// @notice `clz` and `halfUlp` of each word, one after the other.
    function highestBits(uint256[] calldata words) external pure returns (uint256[] memory found) {
        found = new uint256[](2 * words.length);
        for (uint256 i = 0; i < words.length; ++i) {
            found[2 * i] = clz(words[i]);
            found[2 * i + 1] = halfUlp(words[i]);
        }
    }

    /// @notice Gas of `x + y`.
    function add(uint256 x, uint256 y) external view returns (uint256 used, uint256 r) {
        used = gasleft();
        r = SoftFloat.add(x, y);
        used -= gasleft();
    }

    /// @notice Gas of `x * y`.
    function mul(uint256 x, uint256 y) external view returns (uint256 used, uint256 r) {
        used = gasleft();
        r = SoftFloat.mul(x, y);
        used -= gasleft();
    }

    /// @notice Gas of `x * y + z`.
    function fma(uint256 x, uint256 y, uint256 z) external view returns (uint256 used, uint256 r) {
        used = gasleft();
        r = SoftFloat.fma(x, y, z);
        used -= gasleft();
    }

    /// @notice Gas of `x / y`.
    function div(uint256 x, uint256 y) external view returns (uint256 used, uint256 r) {
        used = gasleft();
        r = SoftFloat.div(x, y);
        used -= gasleft();
    }

    /// @notice Gas of a square root.
    function sqrt(uint256 x) external view returns (uint256 used, uint256 r) {
        used = gasleft();
        r = SoftFloat.sqrt(x);
        used -= gasleft();
    }

    /// @notice Gas of an exponential.
    function exp(uint256 x) external view returns (uint256 used, uint256 r) {
        used = gasleft();
        r = Transcendental.exp(x);
        used -= gasleft();
    }
}

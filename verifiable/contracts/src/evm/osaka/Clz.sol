// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// Where the highest bit of a word stands, for EVMs that have the opcode CLZ (EIP-7939). Others import
// "evm/Clz.sol"; which file that is depends on the target, see verifiable/solidity/artifacts.py.

/// @notice Zeros in front of the highest bit of `x`; 256 if it is 0.
function clz(uint256 x) pure returns (uint256 zeros) {
    assembly ("memory-safe") {
        zeros := clz(x)
    }
}

/// @notice 2**(n - 24), where n is the position of the highest bit of `x`; 0 if n < 24.
/// @dev Half of the last place of a number of 24 bits that begins with that bit.
function halfUlp(uint256 x) pure returns (uint256 half) {
    assembly ("memory-safe") {
        half := shr(clz(x), 0x8000000000000000000000000000000000000000000000000000000000)
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// Where the highest bit of a word stands, for EVMs without the opcode CLZ (EIP-7939). Others import
// "evm/Clz.sol"; which file that is depends on the target, see verifiable/solidity/artifacts.py.

/// @notice Zeros in front of the highest bit of `x`; 256 if it is 0.
function clz(uint256 x) pure returns (uint256 zeros) {
    assembly ("memory-safe") {
        // Halved until a nibble is left, whose length in bits is looked up.
        let n := shl(7, gt(x, 0xffffffffffffffffffffffffffffffff))
        n := or(n, shl(6, gt(shr(n, x), 0xffffffffffffffff)))
        n := or(n, shl(5, gt(shr(n, x), 0xffffffff)))
        n := or(n, shl(4, gt(shr(n, x), 0xffff)))
        n := or(n, shl(3, gt(shr(n, x), 0xff)))
        n := or(n, shl(2, gt(shr(n, x), 0xf)))
        let length :=
            byte(shr(n, x), 0x0001020203030303040404040404040400000000000000000000000000000000)
        zeros := sub(256, add(n, length))
    }
}

/// @notice 2**(n - 24), where n is the position of the highest bit of `x`; 0 if n < 24.
/// @dev Half of the last place of a number of 24 bits that begins with that bit.
function halfUlp(uint256 x) pure returns (uint256 half) {
    assembly ("memory-safe") {
        // All bits below the highest are set, and then all but the highest cleared.
        x := or(x, shr(1, x))
        x := or(x, shr(2, x))
        x := or(x, shr(4, x))
        x := or(x, shr(8, x))
        x := or(x, shr(16, x))
        x := or(x, shr(32, x))
        x := or(x, shr(64, x))
        x := or(x, shr(128, x))
        half := shr(24, xor(x, shr(1, x)))
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {halfUlp} from "evm/Clz.sol";
import {SoftFloat} from "./SoftFloat.sol";

/// @title One element of a Dot
/// @notice Mirrors verifiable/ops/dot.py, bit for bit, on rows that are in memory.
/// @dev Where elements are zero or of magnitude in [2**-51, 2**34), the sum is held as a signed whole
/// number of 2**-173, to which products are added exactly; it is then rounded to 24 bits where it
/// stands. Eight elements are decoded at a time, each in its 32 bits of a word. Others go the way of
/// `SoftFloat.fma`, eight at a time too, at four times the gas, and nine times if subnormal.
library DotKernel {
    // One constant for each of the eight elements of a word.
    uint256 private constant SIGNS =
        0x80000000_80000000_80000000_80000000_80000000_80000000_80000000_80000000;
    uint256 private constant MAGNITUDES =
        0x7fffffff_7fffffff_7fffffff_7fffffff_7fffffff_7fffffff_7fffffff_7fffffff;
    uint256 private constant EXPONENTS =
        0x7f800000_7f800000_7f800000_7f800000_7f800000_7f800000_7f800000_7f800000;
    uint256 private constant FRACTIONS =
        0x007fffff_007fffff_007fffff_007fffff_007fffff_007fffff_007fffff_007fffff;
    // Added to a magnitude they set the sign's bit: from 2**-51 on, from 2**34 on.
    uint256 private constant FROM_LEAST =
        0x5a000000_5a000000_5a000000_5a000000_5a000000_5a000000_5a000000_5a000000;
    uint256 private constant FROM_MOST =
        0x2f800000_2f800000_2f800000_2f800000_2f800000_2f800000_2f800000_2f800000;
    // Exponent fields e and f give the product e + f - 127 places in the sum. The difference to 256
    // keeps elements from borrowing of each other; the places are taken modulo 256.
    uint256 private constant PLACES =
        0x40800000_40800000_40800000_40800000_40800000_40800000_40800000_40800000;

    // Of each byte, the sign's bit; of each 32 bits, the lowest byte.
    uint256 private constant SIGN_BYTES =
        0x80808080_80808080_80808080_80808080_80808080_80808080_80808080_80808080;
    uint256 private constant BYTES =
        0x000000ff_000000ff_000000ff_000000ff_000000ff_000000ff_000000ff_000000ff;
    uint256 private constant BASE =
        0x00000080_00000080_00000080_00000080_00000080_00000080_00000080_00000080;
    // Half of each digit of 32 bits but the highest.
    uint256 private constant HALVED =
        0x00000000_80000000_80000000_80000000_80000000_80000000_80000000_80000000;
    // Every second 64 bits, and every second 32.
    uint256 private constant HALVES =
        0x00000000_00000000_ffffffff_ffffffff_00000000_00000000_ffffffff_ffffffff;
    uint256 private constant QUARTERS =
        0x00000000_ffffffff_00000000_ffffffff_00000000_ffffffff_00000000_ffffffff;

    // Of a sum of so many products, each below 2**68, and 2**80 there are less than 255 bits.
    uint256 private constant LONGEST = 4096;
    // Sums that fit: exponent fields from 2 to 206.
    uint256 private constant LEAST_SUM = 2 << 23;
    uint256 private constant SUMS = 205 << 23;

    /// @notice Chunks have at least one element.
    error EmptyChunks();

    /// @notice The element that two rows of f32 give.
    /// @param a Where the first row is in memory, 4 bytes an element, big-endian.
    /// @param b Where the second row is.
    /// @param k Elements of a row; +0 for none.
    /// @param chunk Elements of a chunk; the chains of chunks are added in order.
    /// @return Its bits.
    /// @custom:reverts EmptyChunks if `chunk` is 0.
    function f32(uint256 a, uint256 b, uint256 k, uint256 chunk) internal pure returns (uint256) {
        unchecked {
            if (chunk == 0) revert EmptyChunks();
            uint256 total;
            for (uint256 start = 0; start < k; start += chunk) {
                uint256 rest = k - start;
                uint256 sum = chunkF32(a + 4 * start, b + 4 * start, rest < chunk ? rest : chunk);
                total = start == 0 ? sum : SoftFloat.add(total, sum);
            }
            // Hides the sign of a zero, and so zeros that rows are padded with.
            return SoftFloat.add(total, 0);
        }
    }

    /// @notice The chain of one chunk: `fma(a[i], b[i], sum)` in order, from +0 on.
    function chunkF32(uint256 a, uint256 b, uint256 count) internal pure returns (uint256 sum) {
        unchecked {
            uint256 end = a + 4 * count;
            while (a < end) {
                (sum, a, b) = _fast(a, b, end, sum);
                // What stopped it: the next eight elements, fewer at the end.
                uint256 stop = a + 32 < end ? a + 32 : end;
                for (; a < stop; a += 4) {
                    sum = SoftFloat.fma(_element(a), _element(b), sum);
                    b += 4;
                }
            }
        }
    }

    // Goes on with a chain, eight elements at a time, until some of them or the sum do not fit.
    function _fast(uint256 a, uint256 b, uint256 end, uint256 sum)
        private
        pure
        returns (uint256, uint256, uint256)
    {
        unchecked {
            uint256 ahead = (sum & SoftFloat.MAGNITUDE) - LEAST_SUM;
            if (sum != 0 && ahead >= SUMS) return (sum, a, b);
            uint256 last = end - a < 4 * LONGEST ? end - 31 : a + 4 * LONGEST - 31;
            uint256 first = a;
            uint256 total = _unpacked(sum);
            while (a < last) {
                (uint256 places, bool fits) = _decode(a, b);
                if (!fits) break;
                total = _step(total, places, 0);
                total = _step(total, places, 1);
                total = _step(total, places, 2);
                total = _step(total, places, 3);
                total = _step(total, places, 4);
                total = _step(total, places, 5);
                total = _step(total, places, 6);
                total = _step(total, places, 7);
                a += 32;
                b += 32;
            }
            return (a == first ? sum : _packed(total), a, b);
        }
    }

    // Puts the significands of eight elements of each row into the scratch space, those of the first
    // with the signs of the products; gives how many places each product is to be shifted, and
    // whether all fit.
    function _decode(uint256 a, uint256 b) private pure returns (uint256 places, bool fits) {
        assembly ("memory-safe") {
            a := mload(a)
            b := mload(b)
            let signs := xor(a, b)
            places := shr(23, add(add(and(a, EXPONENTS), and(b, EXPONENTS)), PLACES))
            let m := and(a, MAGNITUDES)
            let n := and(b, MAGNITUDES)
            // The sign's bit, where an element is not zero.
            let someA := and(add(m, MAGNITUDES), SIGNS)
            let someB := and(add(n, MAGNITUDES), SIGNS)
            fits := iszero(
                or(
                    and(someA, not(xor(add(m, FROM_LEAST), add(m, FROM_MOST)))),
                    and(someB, not(xor(add(n, FROM_LEAST), add(n, FROM_MOST))))
                )
            )
            m := or(and(m, FRACTIONS), shr(8, someA))
            mstore(32, or(and(n, FRACTIONS), shr(8, someB)))
            // Two's complement, of those that are not zero: so none carries into the next.
            let negative := shr(31, and(signs, someA))
            mstore(0, add(xor(m, mul(negative, 0xffffffff)), negative))
        }
    }

    // Adds product i of eight to the sum, and rounds it to 24 bits, to nearest, ties to even.
    function _step(uint256 total, uint256 places, uint256 i) private pure returns (uint256) {
        assembly ("memory-safe") {
            let product := mul(sar(224, mload(mul(4, i))), shr(224, mload(add(32, mul(4, i)))))
            total := add(total, shl(byte(add(3, mul(4, i)), places), product))
        }
        return _rounded(total);
    }

    function _rounded(uint256 total) private pure returns (uint256) {
        // Of a negative number all bits are turned over: it seems one less, which makes a difference
        // to powers of two only, and they need no rounding.
        uint256 half = halfUlp(total ^ uint256(int256(total) >> 255));
        assembly ("memory-safe") {
            let unit := add(half, half)
            total := and(sub(add(total, half), iszero(and(total, unit))), sub(0, unit))
        }
        return total;
    }

    // A sum in units of 2**-173, of 24 bits, as bits of f32.
    function _packed(uint256 total) private pure returns (uint256) {
        unchecked {
            bool below = int256(total) < 0;
            if (below) total = 0 - total;
            uint256 s = below ? SoftFloat.SIGN : 0;
            // Its unit is 2**(e - 150). A large one ends in zeros.
            if (total >> 128 == 0) return SoftFloat.fromParts(total, uint256(int256(-23)), s);
            return SoftFloat.fromParts(total >> 64, 41, s);
        }
    }

    function _unpacked(uint256 sum) private pure returns (uint256) {
        unchecked {
            (uint256 m, uint256 e) = SoftFloat.parts(sum);
            m <<= e + 23;
            return sum < SoftFloat.SIGN ? m : 0 - m;
        }
    }

    function _element(uint256 at) private pure returns (uint256 x) {
        assembly ("memory-safe") {
            x := shr(224, mload(at))
        }
    }

    /// @notice The element that a row of i8 or u8 and one of i8 give, exactly.
    /// @param a Where the first row is in memory, one byte an element.
    /// @param b Where the second row is.
    /// @param k Elements of a row.
    /// @param aSigned Whether the first row is of i8.
    /// @return sum Bits of an i32; that it does not overflow is the Graph's to guarantee.
    function i8(uint256 a, uint256 b, uint256 k, bool aSigned) internal pure returns (uint256 sum) {
        unchecked {
            uint256 flip = aSigned ? SIGN_BYTES : 0;
            uint256 rest = k & 31;
            uint256 end = a + k - rest;
            while (true) {
                for (; a < end; a += 32) {
                    sum += _products(_word(a) ^ flip, _word(b) ^ SIGN_BYTES, flip & BASE);
                    b += 32;
                }
                if (rest == 0) return sum & 0xffffffff;
                // What is left goes around once more from the scratch space, filled up with zeros.
                uint256 beyond = 256 - 8 * rest;
                assembly ("memory-safe") {
                    mstore(0, shl(beyond, shr(beyond, mload(a))))
                    mstore(32, shl(beyond, shr(beyond, mload(b))))
                }
                (a, b, end, rest) = (0, 32, 32, 0);
            }
        }
    }

    // Sum of 32 products of bytes, modulo 2**32. Each byte stands for what it is above 128; those of x
    // for what they are above the bytes of `offset`.
    function _products(uint256 x, uint256 y, uint256 offset) private pure returns (uint256 sum) {
        assembly ("memory-safe") {
            // Eight numbers, one for each 32 bits, are the digits of one factor, and in reverse order
            // of the other: the product's highest digit is the sum of theirs. Digits may be negative.
            y := or(shl(128, y), shr(128, y))
            y := or(shl(64, and(y, HALVES)), and(shr(64, y), HALVES))
            // From the scratch space it is read at the byte wanted; what lies before is cut off.
            mstore(32, or(shl(32, and(y, QUARTERS)), and(shr(32, y), QUARTERS)))
            sum := mul(sub(and(x, BYTES), offset), sub(and(mload(32), BYTES), BASE))
            sum := add(
                sum,
                mul(sub(and(shr(8, x), BYTES), offset), sub(and(mload(31), BYTES), BASE))
            )
            sum := add(
                sum,
                mul(sub(and(shr(16, x), BYTES), offset), sub(and(mload(30), BYTES), BASE))
            )
            sum := add(
                sum,
                mul(sub(and(shr(24, x), BYTES), offset), sub(and(mload(29), BYTES), BASE))
            )
            // The lower digits, of magnitude below 2**21, are made positive, lest they borrow.
            sum := shr(224, add(sum, HALVED))
        }
    }

    function _word(uint256 at) private pure returns (uint256 x) {
        assembly ("memory-safe") {
            x := mload(at)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Casts} from "./Casts.sol";
import {Integers} from "./Integers.sol";
import {SoftFloat} from "./SoftFloat.sol";
import {Transcendental} from "./Transcendental.sol";

/// @title Every scalar function of canon/1
/// @notice Mirrors verifiable/ops/scalar. Codes of functions and dtypes are those of
/// verifiable/graph/vocabulary.py. A value is its bits, all others 0; a bool is 0 or 1.
library Scalars {
    uint256 private constant F32 = 0;
    uint256 private constant U8 = 2;
    uint256 private constant I32 = 3;
    uint256 private constant BOOL = 5;

    uint256 private constant ADD = 0;
    uint256 private constant SUB = 1;
    uint256 private constant MUL = 2;
    uint256 private constant DIV = 3;
    uint256 private constant FMA = 4;
    uint256 private constant REM = 5;
    uint256 private constant NEG = 6;
    uint256 private constant ABS = 7;
    uint256 private constant MIN = 8;
    uint256 private constant MAX = 9;
    uint256 private constant SQRT = 16;
    uint256 private constant EXP = 17;
    uint256 private constant LOG = 18;
    uint256 private constant TANH = 19;
    uint256 private constant ERF = 20;
    uint256 private constant SIGMOID = 21;
    uint256 private constant SIN = 22;
    uint256 private constant COS = 23;
    uint256 private constant FLOOR = 24;
    uint256 private constant LT = 32;
    uint256 private constant LE = 33;
    uint256 private constant NOT = 40;
    uint256 private constant AND = 41;
    uint256 private constant OR = 42;
    uint256 private constant XOR = 43;
    uint256 private constant SHL = 44;
    uint256 private constant SELECT = 48;
    uint256 private constant TO_F32 = 56;
    uint256 private constant TO_BOOL = 61;
    uint256 private constant BITS_TO_F32 = 62;
    uint256 private constant BITS_OF_F32 = 63;
    uint256 private constant REQUANTISE = 64;

    // Byte i: which dtypes function i takes, one bit for each; in the second, function 32 + i.
    uint256 private constant TAKES =
        0x19191919011819193f3f00000000000001010101010101010101000000000000;
    uint256 private constant TAKES_ABOVE =
        0x3f3f3f000000000038383838181800003f000000000000003f3f3f3f3f3f0801;
    // Byte i: bits of an element of dtype i.
    uint256 private constant WIDTHS =
        0x2008082040010000000000000000000000000000000000000000000000000000;

    /// @notice canon/1 has no such function, or it does not take this dtype.
    error UnknownScalar(uint256 fn, uint256 dtype);

    /// @notice Apply function `fn` to as many of `a`, `b`, `c` and `d` as it takes.
    /// @param fn Code of the function.
    /// @param dtype Code of the dtype of its operands; of SELECT, whose first is a bool, the others.
    /// @return Of the dtype that the function gives for this one.
    /// @custom:reverts UnknownScalar if canon/1 does not define it.
    function evaluate(uint256 fn, uint256 dtype, uint256 a, uint256 b, uint256 c, uint256 d)
        internal
        pure
        returns (uint256)
    {
        if (!isDefined(fn, dtype)) revert UnknownScalar(fn, dtype);
        if (fn >= TO_F32) return _cast(fn, dtype, a, b, c, d);
        if (fn == SELECT) {
            uint256 chosen = a != 0 ? b : c;
            return dtype == F32 ? SoftFloat.canonical(chosen) : chosen;
        }
        if (fn >= NOT) return _logic(fn, dtype, a, b);
        if (fn >= SQRT && fn < LT) return _unary(fn, a);
        return dtype == F32 ? _float(fn, a, b, c) : _integer(fn, dtype, a, b);
    }

    /// @notice Whether canon/1 defines function `fn` for operands of `dtype`.
    function isDefined(uint256 fn, uint256 dtype) internal pure returns (bool defined) {
        if (fn >= REQUANTISE) return fn == REQUANTISE && dtype == I32;
        uint256 row = fn < 32 ? TAKES : TAKES_ABOVE;
        assembly ("memory-safe") {
            // Of an unknown dtype the shift leaves 0.
            defined := and(shr(dtype, byte(and(fn, 31), row)), 1)
        }
    }

    function _float(uint256 fn, uint256 a, uint256 b, uint256 c) private pure returns (uint256) {
        if (fn == FMA) return SoftFloat.fma(a, b, c);
        if (fn == MUL) return SoftFloat.mul(a, b);
        if (fn == ADD) return SoftFloat.add(a, b);
        if (fn == SUB) return SoftFloat.sub(a, b);
        if (fn == DIV) return SoftFloat.div(a, b);
        if (fn == NEG) return SoftFloat.neg(a);
        if (fn == ABS) return SoftFloat.magnitude(a);
        if (fn == MIN) return SoftFloat.min(a, b);
        if (fn == MAX) return SoftFloat.max(a, b);
        if (fn == LT) return _bit(SoftFloat.lt(a, b));
        return _bit(fn == LE ? SoftFloat.le(a, b) : SoftFloat.eq(a, b));
    }

    function _unary(uint256 fn, uint256 a) private pure returns (uint256) {
        if (fn == EXP) return Transcendental.exp(a);
        if (fn == SQRT) return SoftFloat.sqrt(a);
        if (fn == TANH) return Transcendental.tanh(a);
        if (fn == ERF) return Transcendental.erf(a);
        if (fn == SIGMOID) return Transcendental.sigmoid(a);
        if (fn == LOG) return Transcendental.log(a);
        if (fn == SIN) return Transcendental.sin(a);
        if (fn == COS) return Transcendental.cos(a);
        return fn == FLOOR ? SoftFloat.floor(a) : SoftFloat.nearest(a);
    }

    function _integer(uint256 fn, uint256 dtype, uint256 a, uint256 b)
        private
        pure
        returns (uint256)
    {
        unchecked {
            uint256 x = _extended(dtype, a);
            uint256 y = _extended(dtype, b);
            if (fn >= LT) {
                if (fn == LT) return _bit(int256(x) < int256(y));
                return _bit(fn == LE ? int256(x) <= int256(y) : x == y);
            }
            if (fn == MIN) return int256(x) < int256(y) ? a : b;
            if (fn == MAX) return int256(x) < int256(y) ? b : a;
            if (fn == ADD) return _cut(dtype, x + y);
            if (fn == SUB) return _cut(dtype, x - y);
            if (fn == MUL) return _cut(dtype, x * y);
            if (fn == DIV) return _cut(dtype, Integers.div(x, y));
            if (fn == REM) return _cut(dtype, Integers.rem(x, y));
            if (fn == ABS && int256(x) >= 0) return a;
            return _cut(dtype, 0 - x);
        }
    }

    function _logic(uint256 fn, uint256 dtype, uint256 a, uint256 b)
        private
        pure
        returns (uint256)
    {
        if (fn == AND) return a & b;
        if (fn == OR) return a | b;
        if (fn == XOR) return a ^ b;
        if (fn == NOT) return _cut(dtype, ~a);
        uint256 bits = _width(dtype);
        uint256 x = _extended(dtype, a);
        uint256 y = _extended(dtype, b);
        return _cut(dtype, fn == SHL ? Integers.shl(x, y, bits) : Integers.shr(x, y, bits));
    }

    function _cast(uint256 fn, uint256 dtype, uint256 a, uint256 b, uint256 c, uint256 d)
        private
        pure
        returns (uint256)
    {
        unchecked {
            if (fn == BITS_OF_F32) return a;
            if (fn == BITS_TO_F32) return SoftFloat.canonical(a);
            uint256 x = _extended(dtype, a);
            if (fn == REQUANTISE) {
                int256 zero = int256(_extended(I32, d));
                return
                    uint256(Integers.requantise(int256(x), int256(_extended(I32, b)), c, zero))
                        & 0xff;
            }
            if (fn == TO_BOOL) return _bit((dtype == F32 ? a & SoftFloat.MAGNITUDE : a) != 0);
            if (fn == TO_F32) {
                return dtype == F32 ? SoftFloat.canonical(a) : Casts.fromInteger(x);
            }
            uint256 target = fn - TO_F32;
            if (dtype != F32) return _cut(target, x);
            int256 most = int256(uint256(1) << _width(target));
            // Half of it for a sign.
            int256 least = target == U8 ? int256(0) : -(most >>= 1);
            return _cut(target, uint256(Casts.toInteger(a, least, most - 1)));
        }
    }

    function _bit(bool b) private pure returns (uint256 r) {
        assembly ("memory-safe") {
            r := b
        }
    }

    function _width(uint256 dtype) private pure returns (uint256 bits) {
        assembly ("memory-safe") {
            bits := byte(dtype, WIDTHS)
        }
    }

    // Two's complement of 256 bits; of no meaning for F32.
    function _extended(uint256 dtype, uint256 x) private pure returns (uint256) {
        return dtype == U8 || dtype == BOOL ? x : Integers.extend(x, _width(dtype));
    }

    function _cut(uint256 dtype, uint256 x) private pure returns (uint256) {
        return x & ((1 << _width(dtype)) - 1);
    }
}

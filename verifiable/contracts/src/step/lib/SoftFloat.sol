// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {clz} from "evm/Clz.sol";

/// @title Arithmetic of binary32 on bits, rounded to nearest, ties to even
/// @notice Mirrors verifiable/ops/scalar/floats.py, and equals cuda/canon.h bit for bit. A value is
/// its 32 bits, all other bits 0. Subnormals are kept; every NaN that leaves is `NAN`.
/// @dev A finite number is held as sign, magnitude m and exponent e, and is m 2**(e - 150): for a
/// normal one e is the exponent field. Sums are aligned exactly in one word, and so rounded once,
/// by `_round`. Normal numbers with normal results take a shorter way.
library SoftFloat {
    /// @notice The only NaN.
    uint256 internal constant NAN = 0x7fc00000;
    /// @notice Plus infinity.
    uint256 internal constant INFINITY = 0x7f800000;
    /// @notice The bit of the sign.
    uint256 internal constant SIGN = 0x80000000;
    /// @notice 1.0.
    uint256 internal constant ONE = 0x3f800000;
    /// @notice All bits but that of the sign.
    uint256 internal constant MAGNITUDE = 0x7fffffff;

    uint256 private constant FRACTION = 0x7fffff;
    uint256 private constant IMPLICIT = 0x800000;

    /// @notice `x`, and `NAN` for any NaN.
    function canonical(uint256 x) internal pure returns (uint256) {
        return isNan(x) ? NAN : x;
    }

    /// @notice Whether `x` is a NaN of any kind.
    function isNan(uint256 x) internal pure returns (bool) {
        return (x & MAGNITUDE) > INFINITY;
    }

    /// @notice `-x`.
    function neg(uint256 x) internal pure returns (uint256) {
        return canonical(x ^ SIGN);
    }

    /// @notice `|x|`.
    function magnitude(uint256 x) internal pure returns (uint256) {
        return canonical(x & MAGNITUDE);
    }

    /// @notice `x + y`.
    function add(uint256 x, uint256 y) internal pure returns (uint256) {
        return fma(x, ONE, y);
    }

    /// @notice `x - y`.
    function sub(uint256 x, uint256 y) internal pure returns (uint256) {
        return add(x, y ^ SIGN);
    }

    /// @notice `x * y`.
    function mul(uint256 x, uint256 y) internal pure returns (uint256) {
        unchecked {
            uint256 s = (x ^ y) & SIGN;
            if (_isNormal(x) * _isNormal(y) != 0) {
                uint256 p = ((x & FRACTION) | IMPLICIT) * ((y & FRACTION) | IMPLICIT);
                // The product has 47 or 48 bits, of which 23 or 24 are rounded off.
                uint256 longer = p >> 47;
                uint256 field = ((x >> 23) & 255) + ((y >> 23) & 255) - 128 + longer;
                if (field < 254) {
                    return s | ((field << 23) + _nearest(p, 0x400000 << longer, 23 + longer));
                }
            }
            if (_isFinite(x) && _isFinite(y)) {
                (uint256 m, uint256 e) = _unpack(x);
                (uint256 n, uint256 f) = _unpack(y);
                return fromParts(m * n, e + f - 150, s);
            }
            if (isNan(x) || isNan(y)) return NAN;
            // An infinity is left: times zero it is no number.
            return (x & MAGNITUDE) == 0 || (y & MAGNITUDE) == 0 ? NAN : s | INFINITY;
        }
    }

    /// @notice `x * y + z`, rounded once.
    /// @dev Taken for normal numbers first, whatever they are. If an operand is none, the sum cancels
    /// or the result is no normal number, what comes out is dropped.
    function fma(uint256 x, uint256 y, uint256 z) internal pure returns (uint256 r) {
        uint256 total;
        uint256 e;
        uint256 usual;
        assembly ("memory-safe") {
            // As in _sum.
            e := add(and(shr(23, x), 255), and(shr(23, y), 255))
            let shift := sub(add(and(shr(23, z), 255), 290), e)
            let product := mul(or(and(x, FRACTION), IMPLICIT), or(and(y, FRACTION), IMPLICIT))
            let addend := shl(shift, or(and(z, FRACTION), IMPLICIT))
            let s := xor(x, y)
            // The addend is negated if the signs differ, and then the total if it is below zero.
            total := add(shl(140, product), mul(addend, sub(1, and(shr(30, xor(s, z)), 2))))
            let flip := sar(255, total)
            r := and(xor(s, flip), SIGN)
            total := sub(xor(total, flip), flip)
            // Fields 0 and 255 become 1 and 0, all others 2 and more.
            usual := mul(
                mul(and(add(x, IMPLICIT), 0x7f000000), and(add(y, IMPLICIT), 0x7f000000)),
                mul(and(add(z, IMPLICIT), 0x7f000000), lt(shift, 231))
            )
        }
        uint256 zeros = clz(total);
        assembly ("memory-safe") {
            // As in _round.
            let field := sub(sub(e, 59), zeros)
            let half := shl(sub(231, zeros), 1)
            let rounded := sub(add(total, half), iszero(and(total, add(half, half))))
            r := or(r, add(shl(23, field), shr(sub(232, zeros), rounded)))
            usual := and(gt(usual, 0), and(lt(field, 254), gt(total, 0)))
        }
        if (usual == 0) return _fmaSpecial(x, y, z);
    }

    function _fmaSpecial(uint256 x, uint256 y, uint256 z) private pure returns (uint256) {
        unchecked {
            if (!_isFinite(x) || !_isFinite(y)) {
                x = mul(x, y);
                // Two infinities must agree.
                return _isFinite(z) || x == z ? x : NAN;
            }
            if (!_isFinite(z)) return canonical(z);
            (uint256 m, uint256 e) = _unpack(x);
            (uint256 n, uint256 f) = _unpack(y);
            (uint256 o, uint256 g) = _unpack(z);
            return _sum(m * n, e + f - 150, x ^ y, o, g, z);
        }
    }

    /// @notice `x / y`; a finite number over zero is an infinity.
    function div(uint256 x, uint256 y) internal pure returns (uint256) {
        unchecked {
            uint256 s = (x ^ y) & SIGN;
            if (_isNormal(x) * _isNormal(y) != 0) {
                return _quotient(
                    (x & FRACTION) | IMPLICIT,
                    (y & FRACTION) | IMPLICIT,
                    ((x >> 23) & 255) - ((y >> 23) & 255),
                    s
                );
            }
            if (isNan(x) || isNan(y)) return NAN;
            if (!_isFinite(x)) return _isFinite(y) ? s | INFINITY : NAN;
            if (!_isFinite(y)) return s;
            (uint256 m, uint256 e) = _normalised(x);
            (uint256 n, uint256 f) = _normalised(y);
            if (n == 0) return m == 0 ? NAN : s | INFINITY;
            return m == 0 ? s : _quotient(m, n, e - f, s);
        }
    }

    /// @notice Square root; NaN below zero, -0 of -0.
    function sqrt(uint256 x) internal pure returns (uint256) {
        unchecked {
            if ((x & MAGNITUDE) == 0) return x;
            if (x >= INFINITY) return x == INFINITY ? x : NAN;
            (uint256 m, uint256 e) = _normalised(x);
            // m 2**(e - 150) is n 2**(2 g), and n has 55 or 56 bits: so its root has 28.
            uint256 n = m << (32 - (e & 1));
            // A line at most 4 % off, of n / 2**54 in [1, 4); each step squares that.
            uint256 r = (n * 11 >> 32) + 0x5700000;
            r = (r + n / r) >> 1;
            r = (r + n / r) >> 1;
            r = (r + n / r) >> 1;
            if (r * r > n) --r;
            // The root of 24 bits never lies halfway, for the square of such would have 49.
            return (((e + 125) >> 1) << 23) + ((r + 8) >> 4);
        }
    }

    /// @notice Largest whole number not above `x`; keeps the sign of zero.
    function floor(uint256 x) internal pure returns (uint256) {
        unchecked {
            uint256 e = (x >> 23) & 255;
            if (e > 149) return canonical(x);
            if (e < 127) {
                if ((x & MAGNITUDE) == 0 || x < SIGN) return x & SIGN;
                return SIGN | ONE;
            }
            uint256 below = (1 << (150 - e)) - 1;
            // A carry runs on into the exponent, as it should.
            return (x < SIGN ? x : x + below) & ~below;
        }
    }

    /// @notice Nearest whole number, halves to the even one; keeps the sign.
    function nearest(uint256 x) internal pure returns (uint256) {
        unchecked {
            uint256 e = (x >> 23) & 255;
            if (e > 149) return canonical(x);
            // Below 1: 1 if above one half.
            if (e < 127) return (x & SIGN) | ((x & MAGNITUDE) > 0x3f000000 ? ONE : 0);
            uint256 half = 1 << (149 - e);
            // Of 1.something the implicit bit is odd, and so is the exponent's last.
            uint256 odd = (x >> (150 - e)) & 1;
            return (x + half - 1 + odd) & ~(2 * half - 1);
        }
    }

    /// @notice Lesser of two; NaN if either is, and -0 < +0.
    function min(uint256 x, uint256 y) internal pure returns (uint256) {
        if (isNan(x) || isNan(y)) return NAN;
        return _order(x) < _order(y) ? x : y;
    }

    /// @notice Greater of two; NaN if either is, and -0 < +0.
    function max(uint256 x, uint256 y) internal pure returns (uint256) {
        if (isNan(x) || isNan(y)) return NAN;
        return _order(x) < _order(y) ? y : x;
    }

    /// @notice Whether `x < y`; false if either is NaN.
    function lt(uint256 x, uint256 y) internal pure returns (bool) {
        if (isNan(x) || isNan(y) || ((x | y) & MAGNITUDE) == 0) return false;
        return _order(x) < _order(y);
    }

    /// @notice Whether `x <= y`; false if either is NaN.
    function le(uint256 x, uint256 y) internal pure returns (bool) {
        if (isNan(x) || isNan(y)) return false;
        return ((x | y) & MAGNITUDE) == 0 || _order(x) <= _order(y);
    }

    /// @notice Whether `x == y`; -0 equals +0, NaN nothing.
    function eq(uint256 x, uint256 y) internal pure returns (bool) {
        return !isNan(x) && (x == y || ((x | y) & MAGNITUDE) == 0);
    }

    /// @notice `m 2**(e - 150)` with the sign of bit 31 of `s`, rounded.
    /// @param m Magnitude below 2**191.
    /// @param e Signed.
    function fromParts(uint256 m, uint256 e, uint256 s) internal pure returns (uint256) {
        unchecked {
            return m == 0 ? s & SIGN : _round(m << 64, e - 64, s & SIGN);
        }
    }

    /// @notice Magnitude and exponent of a finite number: it is m 2**(e - 150).
    function parts(uint256 x) internal pure returns (uint256 m, uint256 e) {
        return _unpack(x);
    }

    // A signed number in the order of the floats, -0 just below +0.
    function _order(uint256 x) private pure returns (int256 key) {
        assembly ("memory-safe") {
            key := xor(and(x, MAGNITUDE), sub(0, shr(31, x)))
        }
    }

    function _isFinite(uint256 x) private pure returns (bool) {
        return (x & INFINITY) != INFINITY;
    }

    // Not 0 if x is neither zero, subnormal, infinite nor NaN; below 2**31.
    function _isNormal(uint256 x) private pure returns (uint256) {
        unchecked {
            // Fields 0 and 255 become 1 and 0, all others 2 and more.
            return (x + 0x800000) & 0x7f000000;
        }
    }

    function _unpack(uint256 x) private pure returns (uint256 m, uint256 e) {
        unchecked {
            m = x & FRACTION;
            e = (x >> 23) & 255;
            if (e == 0) e = 1;
            else m |= IMPLICIT;
        }
    }

    // As _unpack, but m has 24 bits, unless it is 0; e is signed.
    function _normalised(uint256 x) private pure returns (uint256 m, uint256 e) {
        unchecked {
            (m, e) = _unpack(x);
            uint256 short = clz(m) - 232;
            m <<= short;
            e -= short;
        }
    }

    // m / n 2**e, for m and n of 24 bits.
    function _quotient(uint256 m, uint256 n, uint256 e, uint256 s) private pure returns (uint256) {
        unchecked {
            m <<= 26;
            uint256 q = m / n;
            // 26 or 27 bits, and one that stands for all that follow.
            q = (q << 1) | (q * n == m ? 0 : 1);
            uint256 longer = q >> 27;
            uint256 field = e + 125 + longer;
            if (field < 254) {
                return s | ((field << 23) + _nearest(q, 4 << longer, 3 + longer));
            }
            return _round(q << 64, e + 59, s);
        }
    }

    // q / 2**places to the nearest whole number, halves to the even one; half is 2**(places - 1).
    function _nearest(uint256 q, uint256 half, uint256 places) private pure returns (uint256 r) {
        assembly ("memory-safe") {
            r := shr(places, sub(add(q, half), iszero(and(q, add(half, half)))))
        }
    }

    // m 2**(e - 150) with the sign of s, plus n 2**(f - 150) with that of t. m is a product of two
    // significands, n is one; e is signed.
    function _sum(uint256 m, uint256 e, uint256 s, uint256 n, uint256 f, uint256 t)
        private
        pure
        returns (uint256)
    {
        unchecked {
            // m stands at bit 140, and n from bit 0 to bit 230. If they are further apart, all that
            // counts of one is whether, and on which side of the other, it is.
            uint256 shift = f - e + 140;
            if (int256(shift) < 0) shift = 0;
            if (shift > 230) (shift, e) = (230, f - 90);
            m <<= 140;
            n <<= shift;
            if ((s ^ t) & SIGN != 0) {
                // What cancels is +0.
                if (m == n) return 0;
                if (m < n) (m, n, s) = (n, m, t);
                n = 0 - n;
            }
            m += n;
            return m == 0 ? s & SIGN : _round(m, e - 140, s & SIGN);
        }
    }

    // m 2**(e - 150), for m in [2**32, 2**255); e is signed.
    function _round(uint256 m, uint256 e, uint256 s) private pure returns (uint256) {
        unchecked {
            uint256 zeros = clz(m);
            // Exponent field less 1: the implicit bit adds it, and a carry on rounding one more.
            uint256 field = e + 231 - zeros;
            if (field > 253) return _roundEdge(m, e, field, s);
            return s | ((field << 23) + _nearest(m, 1 << (231 - zeros), 232 - zeros));
        }
    }

    // As _round, where the result is subnormal or too large.
    function _roundEdge(uint256 m, uint256 e, uint256 field, uint256 s)
        private
        pure
        returns (uint256)
    {
        unchecked {
            if (int256(field) > 0) return s | INFINITY;
            // The last place is 2**-149. Below 2**-255 of it there is nothing to round.
            uint256 places = 1 - e;
            return places > 255 ? s : s | _nearest(m, 1 << (places - 1), places);
        }
    }
}

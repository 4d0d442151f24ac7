// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Casts} from "./Casts.sol";
import {SoftFloat} from "./SoftFloat.sol";

/// @title exp, log, tanh, erf, sigmoid, sin and cos of binary32
/// @notice Fixed programs of rounded operations, defined by verifiable/ops/scalar/transcendental.py,
/// which says where the constants come from. Every operand has the result that is defined there, bit
/// for bit.
/// @dev Polynomials are packed, 32 bits for a coefficient, highest power first, from the left.
library Transcendental {
    using SoftFloat for uint256;

    uint256 private constant ONE = SoftFloat.ONE;
    uint256 private constant NAN = SoftFloat.NAN;
    uint256 private constant INFINITY = SoftFloat.INFINITY;
    uint256 private constant SIGN = SoftFloat.SIGN;
    uint256 private constant MAGNITUDE = SoftFloat.MAGNITUDE;

    uint256 private constant LOG2_E = 0x3fb8aa3b;
    uint256 private constant LN2_HIGH = 0x3f317218;
    uint256 private constant LN2_LOW = 0xb102e308;
    uint256 private constant TWO_OVER_PI = 0x3f22f983;
    // 1.5 * 2**23: added to |v| < 2**22 it leaves v, rounded to even, in the low bits.
    uint256 private constant ROUNDER = 0x4b400000;
    // -pi/2 in three parts.
    uint256 private constant HALF_PI_A = 0xbfc90fdb;
    uint256 private constant HALF_PI_B = 0x333bbd2e;
    uint256 private constant HALF_PI_C = 0x26f72ced;

    uint256 private constant EXP =
        0x3ab5273a_3c091cc0_3d2aac57_3e2aaa49_3efffffe_3f800000_00000000_00000000;
    uint256 private constant TANH =
        0xbbba8671_3ca8fc67_bd5c1ad2_3e08837b_beaaaa99_00000000_00000000_00000000;
    uint256 private constant ERF_SMALL =
        0xba1b52d7_3ba33509_bcdb34c7_3de70c2b_bec0936e_3e0375d3_00000000_00000000;
    uint256 private constant ERF_LARGE =
        0xb7e90975_398b117d_3942e2c9_bc2c7a94_3d1e8a0f_bc26652f_bdcc4d01_be94b4c2;
    uint256 private constant ERF_LARGE_LAST = 0x3f8031da;
    uint256 private constant LOG =
        0xbe03e4ad_3e0f33d0_bdf99954_3e0f6b30_be2ace23_3e4ce822_be7fff7e_3eaaaa83;
    uint256 private constant SIN =
        0xb94c2b3b_3c088236_be2aaa9f_00000000_00000000_00000000_00000000_00000000;
    uint256 private constant COS =
        0x37cc7d10_bab6045b_3d2aaaa2_bf000000_3f800000_00000000_00000000_00000000;

    /// @notice Exponential; 0 of minus infinity.
    function exp(uint256 x) internal pure returns (uint256) {
        unchecked {
            if (x.isNan()) return NAN;
            // From 104 on the result is infinite or 0.
            uint256 z = _least(x & MAGNITUDE, 0x42d00000) | (x & SIGN);
            // 2**n in two factors, 2**(n -+ 64) by way of the rounder, and 2**(+-64): the first
            // product is exact, so that the second alone rounds.
            bool below = x >= SIGN;
            (uint256 r, uint256 p, uint256 n) = _expCore(z, below ? ROUNDER + 64 : ROUNDER - 64);
            uint256 first = (p.fma(r, ONE) + n) & 0xffffffff;
            return first.mul(below ? 0x1f800000 : 0x5f800000);
        }
    }

    /// @notice `1 / (1 + exp(-x))`.
    function sigmoid(uint256 x) internal pure returns (uint256) {
        if (x.isNan()) return NAN;
        uint256 e = exp(x | SIGN);
        uint256 d = ONE.add(e);
        // d + low is 1 + e exactly.
        uint256 low = e.sub(d.sub(ONE));
        uint256 r = (x > SIGN ? e : ONE).div(d);
        return (r ^ SIGN).fma(low, r);
    }

    /// @notice Hyperbolic tangent.
    function tanh(uint256 x) internal pure returns (uint256) {
        unchecked {
            if (x.isNan()) return NAN;
            uint256 y = x & MAGNITUDE;
            if (y < 0x3f200000) {
                uint256 u = y.mul(y);
                return y.mul(u).fma(_horner(u, TANH), y) | (x & SIGN);
            }
            // 1 - 2 / (exp(2 y) + 1), which is 1 from 9.02 on.
            y = _least(y, 0x41200000);
            (uint256 r, uint256 p, uint256 n) = _expCore(y.add(y), ROUNDER);
            uint256 power = (ONE + n) & 0xffffffff;
            uint256 d = power.fma(p.mul(r), power.add(ONE));
            return ONE.sub(uint256(0x40000000).div(d)) | (x & SIGN);
        }
    }

    /// @notice Error function.
    function erf(uint256 x) internal pure returns (uint256) {
        if (x.isNan()) return NAN;
        uint256 y = x & MAGNITUDE;
        if (y < 0x3f700000) return _horner(y.mul(y), ERF_SMALL).fma(y, y) | (x & SIGN);
        // 1 - Q(y)**4, which is 1 from 3.84 on.
        y = _least(y, 0x407c0000);
        uint256 q = _horner(y, ERF_LARGE).fma(y, ERF_LARGE_LAST);
        q = q.mul(q);
        return (q ^ SIGN).fma(q, ONE) | (x & SIGN);
    }

    /// @notice Natural logarithm; minus infinity of both zeros, NaN below.
    function log(uint256 x) internal pure returns (uint256) {
        unchecked {
            if (x & MAGNITUDE == 0) return SIGN | INFINITY;
            if (x >= INFINITY) return x == INFINITY ? x : NAN;
            // x = m 2**e with m in [2/3, 4/3), f = m - 1.
            bool tiny = x < 0x800000;
            uint256 bits = (tiny ? x.mul(0x4b000000) : x) - 0x3f2aaaab;
            uint256 f = ((bits & 0x7fffff) + 0x3f2aaaab).sub(ONE);
            uint256 e = Casts.fromInteger(uint256(int256(bits) >> 23) - (tiny ? 23 : 0));
            uint256 rest = f.mul(f).mul(f).fma(_horner(f, LOG), e.mul(LN2_LOW));
            rest = f.mul(0xbf000000).fma(f, rest);
            uint256 high = e.fma(LN2_HIGH, f);
            // high + low is e LN2_HIGH + f exactly.
            uint256 low = f.sub((e ^ SIGN).fma(LN2_HIGH, high));
            return high.add(low.add(rest));
        }
    }

    /// @notice Sine for |x| < 2**20, zero with the sign of `x` beyond, NaN of infinities.
    function sin(uint256 x) internal pure returns (uint256) {
        if (x & MAGNITUDE >= INFINITY) return NAN;
        return _circle(x & MAGNITUDE, 0) ^ (x & SIGN);
    }

    /// @notice Cosine for |x| < 2**20, 1 beyond, NaN of infinities.
    function cos(uint256 x) internal pure returns (uint256) {
        if (x & MAGNITUDE >= INFINITY) return NAN;
        return _circle(x & MAGNITUDE, 1);
    }

    // r, p and n 2**23, such that exp(x) = (1 + r p) 2**n, where n + rounder is rounded.
    function _expCore(uint256 x, uint256 rounder)
        private
        pure
        returns (uint256 r, uint256 p, uint256 n)
    {
        uint256 t = x.fma(LOG2_E, rounder);
        n = t.sub(rounder);
        r = n.fma(LN2_HIGH ^ SIGN, x);
        r = n.fma(LN2_LOW ^ SIGN, r);
        p = _horner(r, EXP);
        n = (t << 23) & 0xffffffff;
    }

    // Sine of y + quarters pi/2, for y >= 0.
    function _circle(uint256 y, uint256 quarters) private pure returns (uint256 r) {
        unchecked {
            // From 2**20 on neighbouring floats are far apart on the circle.
            if (y >= 0x49800000) y = 0;
            uint256 t = y.fma(TWO_OVER_PI, ROUNDER);
            uint256 n = t.sub(ROUNDER);
            r = n.fma(HALF_PI_A, y);
            r = n.fma(HALF_PI_B, r);
            r = n.fma(HALF_PI_C, r);
            uint256 u = r.mul(r);
            uint256 quadrant = t + quarters;
            r = quadrant & 1 == 0 ? r.mul(u).fma(_horner(u, SIN), r) : _horner(u, COS);
            r ^= (quadrant & 2) << 30;
        }
    }

    function _horner(uint256 x, uint256 coefficients) private pure returns (uint256 v) {
        v = coefficients >> 224;
        while ((coefficients <<= 32) != 0) v = v.fma(x, coefficients >> 224);
    }

    // Of magnitudes; bits order as they do.
    function _least(uint256 x, uint256 y) private pure returns (uint256) {
        return x < y ? x : y;
    }
}

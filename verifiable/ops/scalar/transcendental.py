"""exp, log, tanh, erf, sigmoid, sin and cos, as fixed programs of binary32 operations.

Each operation is exactly defined, so each function is, on all 2^32 operands; the constants are
part of the definition. Largest distance to the truth, in units in the last place of the truth,
over every operand (``pytest -m slow tests/ops/test_transcendental.py``):

======== ==== ===============================
exp      0.90 all
log      0.77 all
tanh     1.22 all
erf      1.62 all
sigmoid  1.97 all
sin      1.58 magnitudes up to 1e5
sin      1.67 magnitudes below 2^20
cos      1.58 magnitudes up to 1e5
cos      1.81 magnitudes below 2^20
======== ==== ===============================

The polynomials are our own: minimax fits, weighted so that the relative error of the whole function
counts, whose coefficients were rounded to binary32 one by one, lowest power first, the others
fitted anew each time.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from verifiable.ops.scalar.floats import F32, fma, mul
from verifiable.ops.values import NAN

I32 = NDArray[np.int32]

INFINITY: Final = np.float32(np.inf)
ONE: Final = np.float32(1)
LOG2_E: Final = np.float32(float.fromhex("0x1.715476p+0"))
LN2_HIGH: Final = np.float32(float.fromhex("0x1.62e430p-1"))
LN2_LOW: Final = np.float32(float.fromhex("-0x1.05c610p-29"))
ROUNDER: Final = np.float32(1.5 * 2**23)
"""Added to ``|v| < 2^22`` it leaves `v`, rounded to nearest even, in the low bits."""


def _coefficients(*words: str) -> tuple[np.float32, ...]:
    return tuple(np.float32(float.fromhex(word)) for word in words)


EXP: Final = _coefficients(
    "0x1.6a4e74p-10", "0x1.123980p-7", "0x1.5558aep-5", "0x1.555492p-3", "0x1.fffffcp-2", "0x1p+0"
)
TANH: Final = _coefficients(
    "-0x1.750ce2p-8", "0x1.51f8cep-6", "-0x1.b835a4p-5", "0x1.1106f6p-3", "-0x1.555532p-2"
)
ERF_SMALL: Final = _coefficients(
    "-0x1.36a5aep-11", "0x1.466a12p-8", "-0x1.b6698ep-6", "0x1.ce1856p-4", "-0x1.8126dcp-2",
    "0x1.06eba6p-3",
)  # fmt: skip
ERF_LARGE: Final = _coefficients(
    "-0x1.d212eap-16", "0x1.1622fap-12", "0x1.85c592p-13", "-0x1.58f528p-7", "0x1.3d141ep-5",
    "-0x1.4cca5ep-7", "-0x1.989a02p-4", "-0x1.296984p-2", "0x1.0063b4p+0",
)  # fmt: skip
LOG: Final = _coefficients(
    "-0x1.07c95ap-3", "0x1.1e67a0p-3", "-0x1.f332a8p-4", "0x1.1ed660p-3", "-0x1.559c46p-3",
    "0x1.99d044p-3", "-0x1.fffefcp-3", "0x1.555506p-2",
)  # fmt: skip
SIN: Final = _coefficients("-0x1.985676p-13", "0x1.11046cp-7", "-0x1.55553ep-3")
COS: Final = _coefficients(
    "0x1.98fa20p-16", "-0x1.6c08b6p-10", "0x1.555544p-5", "-0x1p-1", "0x1p+0"
)
TWO_OVER_PI: Final = np.float32(float.fromhex("0x1.45f306p-1"))
MINUS_HALF_PI: Final = _coefficients("-0x1.921fb6p+0", "0x1.777a5cp-25", "0x1.ee59dap-50")
"""Three parts that add up to -pi/2."""
CIRCLE: Final = np.float32(2**20)
"""Where sin and cos end: from there on neighbouring floats are far apart on the circle."""


def _horner(x: F32, coefficients: tuple[np.float32, ...]) -> F32:
    value = np.broadcast_to(coefficients[0], x.shape)
    for coefficient in coefficients[1:]:
        value = fma(value, x, coefficient)
    return value


def _bits(x: F32 | np.float32) -> I32:
    return np.ascontiguousarray(x).view(np.int32)


def _float(bits: I32) -> F32:
    return np.ascontiguousarray(bits).view(np.float32)


def _sign(x: F32) -> I32:
    return _bits(x) & np.int32(-(2**31))


def _exp_core(x: F32) -> tuple[F32, F32, I32]:
    """Give `r`, `p` and ``n * 2^23`` such that ``exp(x) = (1 + r p) 2^n``, for ``|x| < 2^20``."""
    t = fma(x, LOG2_E, ROUNDER)
    n = t - ROUNDER
    r = fma(n, -LN2_HIGH, x)  # exact
    r = fma(n, -LN2_LOW, r)
    return r, _horner(r, EXP), _bits(t) << 23


def exp(x: F32) -> F32:
    """Exponential; 0 of -inf. Rounded once where the result is subnormal.

    >>> exp(np.array([0, 1, -np.inf], np.float32))
    array([1.       , 2.7182817, 0.       ], dtype=float32)
    """
    # From 104 on the result is infinite or 0. Not np.clip, which would pass NaN on.
    z = np.where(np.abs(x) < 104, x, np.copysign(np.float32(104), x))
    r, p, n = _exp_core(z)
    # 2^n in two factors: the first product is exact, so only the second rounds, overflows or
    # becomes subnormal.
    half = np.where(x < 0, np.int32(-64), np.int32(64))
    first = _float(_bits(fma(r, p, ONE)) + n - (half << 23))
    result = mul(first, _float(_bits(ONE) + (half << 23)))
    return np.where(np.isnan(x), NAN, result)


def sigmoid(x: F32) -> F32:
    """``1 / (1 + exp(-x))``, by way of ``exp(-|x|)``, which keeps the tail below zero.

    >>> sigmoid(np.array([0, -np.inf, 2], np.float32))
    array([0.5      , 0.       , 0.8807971], dtype=float32)
    """
    e = exp(-np.abs(x))
    d = ONE + e
    low = e - (d - ONE)  # d + low is 1 + e exactly
    quotient = np.where(x < 0, e, ONE) / d
    return np.where(np.isnan(x), NAN, fma(-quotient, low, quotient))


def tanh(x: F32) -> F32:
    """Hyperbolic tangent, odd: an odd polynomial below 0.625, ``1 - 2 / (exp(2y) + 1)`` above.

    >>> tanh(np.array([-0.0, 0.5, 99], np.float32))
    array([-0.        ,  0.46211717,  1.        ], dtype=float32)
    """
    y = np.abs(x)
    u = y * y
    small = fma(y * u, _horner(u, TANH), y)
    z = np.where(y < 10, y, np.float32(10))  # 1 from 9.02 on
    r, p, n = _exp_core(z + z)
    power = _float(_bits(ONE) + n)
    large = ONE - np.float32(2) / fma(power, r * p, power + ONE)
    result = np.where(y < np.float32(0.625), small, large)
    return np.where(np.isnan(x), NAN, _float(_bits(result) | _sign(x)))


def erf(x: F32) -> F32:
    """Error function, odd: a polynomial below 0.9375, above it ``1 - Q(y)^4``.

    Q is near ``erfc(y)^(1/4)``, which is smooth, so that no exponential is needed.

    >>> erf(np.array([-0.0, 1, 99], np.float32))
    array([-0.       ,  0.8427008,  1.       ], dtype=float32)
    """
    y = np.abs(x)
    small = fma(_horner(y * y, ERF_SMALL), y, y)
    q = _horner(np.where(y < 3.9375, y, np.float32(3.9375)), ERF_LARGE)
    q = q * q
    large = fma(-q, q, ONE)
    result = np.where(y < 0.9375, small, large)
    return np.where(np.isnan(x), NAN, _float(_bits(result) | _sign(x)))


def log(x: F32) -> F32:
    """Natural logarithm; -inf of both zeros, NaN below.

    ``x = m 2^e`` with m in 2/3..4/3, and the result is ``e ln(2) + f - f^2 / 2 + f^3 P(f)``,
    where f is m - 1.

    >>> log(np.array([1, 0, 10], np.float32))
    array([0.       ,      -inf, 2.3025851], dtype=float32)
    """
    tiny = x < np.float32(2.0**-126)
    bits = _bits(np.where(tiny, x * np.float32(2**23), x)) - np.int32(0x3F2AAAAB)
    e = ((bits >> 23) - np.where(tiny, np.int32(23), np.int32(0))).astype(np.float32)
    f = _float((bits & 0x7FFFFF) + np.int32(0x3F2AAAAB)) - ONE  # exact
    rest = fma(f * f * f, _horner(f, LOG), e * LN2_LOW)
    rest = fma(f * np.float32(-0.5), f, rest)
    high = fma(e, LN2_HIGH, f)
    low = f - fma(-e, LN2_HIGH, high)  # high + low is e LN2_HIGH + f exactly
    result = high + (low + rest)
    result = np.where(x == INFINITY, INFINITY, np.where(x == 0, -INFINITY, result))
    return np.where(x >= 0, result, NAN)


def _circle(x: F32, quarters: int) -> F32:
    """Sine of ``|x| + quarters * pi / 2``; taken at 0 from 2^20 on."""
    y = np.abs(x)
    y = np.where(y < CIRCLE, y, np.float32(0))
    t = fma(y, TWO_OVER_PI, ROUNDER)
    n = t - ROUNDER
    r = y
    for part in MINUS_HALF_PI:  # the first step is exact
        r = fma(n, part, r)
    u = r * r
    sine = fma(r * u, _horner(u, SIN), r)
    quadrant = _bits(t) + np.int32(quarters)
    value = np.where(quadrant & 1, _horner(u, COS), sine)
    value = _float(_bits(value) ^ ((quadrant & 2) << 30))
    return np.where(np.isfinite(x), value, NAN)


def sin(x: F32) -> F32:
    """Sine for ``|x| < 2^20``, zero with the sign of `x` beyond, NaN of infinities.

    >>> sin(np.array([-0.0, 1, -1e30], np.float32))
    array([-0.      ,  0.841471, -0.      ], dtype=float32)
    """
    value = _circle(x, 0)
    return np.where(np.isnan(value), NAN, _float(_bits(value) ^ _sign(x)))


def cos(x: F32) -> F32:
    """Cosine for ``|x| < 2^20``, 1 beyond, NaN of infinities.

    >>> cos(np.array([0, 1, -1e30], np.float32))
    array([1.       , 0.5403023, 1.       ], dtype=float32)
    """
    return _circle(x, 1)

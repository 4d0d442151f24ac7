"""Scalar functions that the machine has not, written in those it has.

Each is meant to be within a few units in the last place, and right at zeros, infinities and NaN.
The polynomials were fitted by interpolation at Chebyshev nodes.
"""

from math import inf, log, nan, pi, tan
from typing import Final

from verifiable.frontend.lower.expression import Expression
from verifiable.graph.vocabulary import DType, Scalar

_ASIN: Final = (0.16666666, 0.07500095, 0.0445994, 0.03110066, 0.01714924, 0.03369085)
"""``(asin(sqrt(z)) / sqrt(z) - 1) / z`` for ``0 <= z <= 1/4``, within 4.2e-9."""

_ATAN: Final = (-0.33333332, 0.1999954, -0.14263956, 0.10743731, -0.06451928)
"""``(atan(sqrt(z)) / sqrt(z) - 1) / z`` for ``0 <= z <= tan(pi/8)**2``, within 1.6e-8."""

_LARGE: Final = 1e9
"""From here on ``x + 1`` is x, and the square of x may be far off."""

_WHOLE_BITS: Final = 5
"""Exponents below 2**5 are multiplied out."""


def polynomial(z: Expression, coefficients: tuple[float, ...]) -> Expression:
    """Horner's scheme, the lowest coefficient first."""
    result = z.literal(coefficients[-1], DType.F32)
    for coefficient in reversed(coefficients[:-1]):
        result = result.fma(z, coefficient)
    return result


def with_sign_of(magnitude: Expression, x: Expression) -> Expression:
    """A magnitude with the sign of `x`, that of a zero too."""
    sign = x.apply(Scalar.BITS_OF_F32) & -(2**31)
    return (magnitude.apply(Scalar.BITS_OF_F32) | sign).apply(Scalar.BITS_TO_F32)


def log1p(x: Expression) -> Expression:
    """``log(1 + x)`` for ``x >= 0``, right where x is small.

    The error of the rounded sum ``u = 1 + x`` cancels in ``log(u) * x / (u - 1)``.
    """
    u = x + 1.0
    near = u.log() * (x / (u - 1.0))
    return u.equals(1.0).where(x, (x < inf).where(near, x))


def expm1_below(x: Expression) -> Expression:
    """``exp(x) - 1`` for ``x <= 0``; nothing cancels in this form."""
    t = (x * 0.5).tanh()
    return (t + t) / (1.0 - t)


def softplus(x: Expression) -> Expression:
    """``log(1 + exp(x))``."""
    return x.maximum(0) + log1p((-abs(x)).exp())


def sinh(x: Expression) -> Expression:
    """Hyperbolic sine."""
    t = (x * 0.5).tanh()
    half = (abs(x) * 0.5).exp()
    # exp(|x|) overflows before its half does, so it is made of two factors.
    far = half * 0.5 * half - 0.5 / half / half
    return (abs(x) < 1.0).where((t + t) / (1.0 - t * t), with_sign_of(far, x))


def cosh(x: Expression) -> Expression:
    """Hyperbolic cosine."""
    half = (abs(x) * 0.5).exp()
    return half * 0.5 * half + 0.5 / half / half


def asinh(x: Expression) -> Expression:
    """Inverse hyperbolic sine."""
    a = abs(x)
    square = a * a
    near = log1p(a + square / (1.0 + (square + 1.0).sqrt()))
    return with_sign_of((a < _LARGE).where(near, a.log() + log(2)), x)


def acosh(x: Expression) -> Expression:
    """Inverse hyperbolic cosine; a NaN below 1."""
    t = x - 1.0
    near = log1p(t + (t * (t + 2.0)).sqrt())
    return (x < 1.0).where(nan, (x < _LARGE).where(near, x.log() + log(2)))


def atanh(x: Expression) -> Expression:
    """Inverse hyperbolic tangent; a NaN beyond -1 and 1."""
    a = abs(x)
    result = log1p((a + a) / (1.0 - a)) * 0.5
    return (a <= 1.0).where(with_sign_of(result, x), nan)


def _asin_parts(x: Expression) -> tuple[Expression, Expression]:
    """Whether ``|x| > 1/2``, and asin of ``|x|`` there or of ``sqrt((1 - |x|) / 2)``."""
    a = abs(x)
    far = a > 0.5
    square = far.where((1.0 - a) * 0.5, a * a)
    root = far.where(square.sqrt(), a)
    return far, root + root * square * polynomial(square, _ASIN)


def asin(x: Expression) -> Expression:
    """Inverse sine; a NaN beyond -1 and 1."""
    far, part = _asin_parts(x)
    return with_sign_of(far.where(pi / 2 - (part + part), part), x)


def acos(x: Expression) -> Expression:
    """Inverse cosine; a NaN beyond -1 and 1."""
    far, part = _asin_parts(x)
    twice = part + part
    near = pi / 2 - with_sign_of(part, x)
    return far.where((x < 0.0).where(pi - twice, twice), near)


def atan(x: Expression) -> Expression:
    """Inverse tangent."""
    a = abs(x)
    steep = a > tan(3 * pi / 8)
    middle = a > tan(pi / 8)
    t = steep.where(-1.0 / a, middle.where((a - 1.0) / (a + 1.0), a))
    base = steep.where(a.literal(pi / 2, DType.F32), middle.where(a.literal(pi / 4, DType.F32), 0))
    square = t * t
    return with_sign_of(base + (t + t * square * polynomial(square, _ATAN)), x)


def power(x: Expression, y: Expression) -> Expression:
    """``x ** y`` of floats, with the special cases of IEEE 754.

    Whole exponents from 0 to 31 are multiplied out, so small whole powers are exact; others are
    ``exp(y * log|x|)``.
    """
    magnitude = (abs(x).log() * y).exp()
    half = y * 0.5
    whole = y.floor().equals(y)
    odd = whole & ~half.floor().equals(half)
    unit = abs(x).equals(1.0) | y.equals(0.0)
    magnitude = unit.where(1.0, magnitude)
    negative = x.apply(Scalar.BITS_OF_F32) < 0
    signed = (negative & odd).where(-magnitude, magnitude)
    undefined = (x < 0.0) & ~whole & ~x.equals(-inf)
    general = undefined.where(nan, signed)
    one = y.equals(0.0) | x.equals(1.0)
    count = y.to(DType.I32)
    few = whole & (y >= 0.0) & (y < float(1 << _WHOLE_BITS))
    return one.where(1.0, few.where(_chain(x, count), general))


def _chain(x: Expression, count: Expression) -> Expression:
    result, square = x.literal(1.0, DType.F32), x
    for bit in range(_WHOLE_BITS):
        result = (count & (1 << bit)).to(DType.BOOL).where(result * square, result)
        square = square * square
    return result


def whole_power(x: Expression, y: Expression) -> Expression:
    """``x ** y`` of i64, which wraps; for a negative exponent ``1 / x ** -y`` cut towards zero.

    Exponents from 64 on overflow, but for the bases 0, 1 and -1, which need their parity alone.
    """
    least = (y < 64).where(y, (y & 1) + 62)
    result, square = x.literal(1, DType.I64), x
    for bit in range(6):
        result = (least & (1 << bit)).to(DType.BOOL).where(result * square, result)
        square = square * square
    odd = (y & 1).to(DType.BOOL)
    inverse = x.equals(1).where(1, x.equals(-1).where(odd.where(x, 1), x * 0))
    return (y < 0).where(inverse, result)


def remainder(x: Expression, y: Expression) -> Expression:
    """``x - trunc(x / y) * y`` of floats, exact as long as ``x / y`` is finite.

    Every fma below is exact, for it takes off a whole multiple of y that lies near x; each makes
    the quotient about 2**23 times smaller.
    """
    r, m = abs(x), abs(y)
    for _ in range(6):
        r = (-(r / m).floor()).fma(m, r)
    r = (r < 0.0).where(r + m, r)
    r = (r < m).where(r, r - m)
    r = m.equals(inf).where(abs(x) * 0.0 + abs(x), r)
    return with_sign_of(r, x)


def floored(remainder_: Expression, y: Expression) -> Expression:
    """The remainder with the sign of `y`, from one with the sign of the dividend."""
    zero = remainder_.literal(0, remainder_.dtype)
    other = (remainder_ < zero) ^ (y < zero)
    if remainder_.dtype is DType.F32:
        at_zero = with_sign_of(zero, y)
        return remainder_.equals(zero).where(at_zero, other.where(remainder_ + y, remainder_))
    return (other & ~remainder_.equals(zero)).where(remainder_ + y, remainder_)

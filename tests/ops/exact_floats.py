"""Binary32 by rational numbers: what arithmetic must give, from nothing but its definition."""

import math
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

CANONICAL = 0x7FC00000


def from_bits(bits: int) -> np.float32:
    return np.float32(np.array(bits, np.uint32).view(np.float32)[()])


def bits_of(value: np.float32) -> int:
    return int(np.asarray(value, np.float32).view(np.uint32)[()])


def nearest(value: Fraction, zero: float = 0.0) -> np.float32:
    """Binary32 nearest to `value`, ties to even; `zero` gives the sign of an exact zero."""
    if value == 0:
        return np.float32(zero)
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if size < Fraction(2) ** exponent:
        exponent -= 1
    unit = max(exponent - 23, -149)
    whole = round(size / Fraction(2) ** unit)  # halves to the even one
    if whole * Fraction(2) ** unit >= 2**128:
        return np.float32(math.copysign(math.inf, value))
    return np.float32(math.copysign(math.ldexp(whole, unit), value))


def exact(x: np.float32) -> Fraction:
    return Fraction(float(x))


# Two thirds of all bit patterns are far from one another in exponent, where nothing interesting
# happens; so exponents are drawn near each other too, and near both ends.
_signs = st.integers(0, 1).map(lambda s: s << 31)
_fractions = st.one_of(
    st.integers(0, 2**23 - 1), st.sampled_from([0, 1, 2**22, 2**22 - 1, 2**23 - 1])
)
_exponents = st.one_of(
    st.integers(0, 254), st.integers(118, 136), st.integers(0, 3), st.integers(251, 254)
)
finite = st.builds(lambda s, e, f: from_bits(s | e << 23 | f), _signs, _exponents, _fractions)
anything = st.one_of(
    finite, st.sampled_from([math.inf, -math.inf]).map(np.float32), st.just(from_bits(CANONICAL))
)

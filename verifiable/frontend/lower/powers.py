"""Powers to an exponent known when a model is compiled."""

from typing import Final

from verifiable.frontend.lower.expression import Expression

MAX_CHAIN: Final = 64
"""Largest whole exponent that is multiplied out."""


def power(x: Expression, exponent: float) -> Expression:
    """``x ** exponent``, of a float.

    Whole and half exponents are chains of multiplications and square roots; others are
    ``exp(exponent * log(x))``, which is a NaN below zero, as a power is.
    """
    if exponent < 0:
        return 1.0 / power(x, -exponent)
    doubled = exponent * 2
    if doubled == int(doubled) and exponent <= MAX_CHAIN:
        whole = int(exponent)
        root = x.sqrt() if doubled % 2 else None
        if not whole:
            return root if root is not None else x.literal(1.0, x.dtype)
        return _chain(x, whole) * root if root is not None else _chain(x, whole)
    if exponent * 4 == int(exponent * 4) and exponent <= MAX_CHAIN:
        whole = int(exponent)
        quarter = x.sqrt().sqrt()
        fraction = quarter if exponent - whole == 0.25 else x.sqrt() * quarter
        return _chain(x, whole) * fraction if whole else fraction
    return (x.log() * exponent).exp()


def _chain(x: Expression, whole: int) -> Expression:
    if whole == 1:
        return x
    half = _chain(x, whole // 2)
    square = half * half
    return square * x if whole % 2 else square

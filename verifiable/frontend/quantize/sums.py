"""Sums of integer Dots: the exponents of their channels, and how they become int8 again.

A sum is worth ``sum * 2**-s``: s is the activations' exponent and the channel's weights' together.
It becomes int8 at exponent E by a shift to the right by ``s - E``, and its bias is added before,
as an integer at exponent s. That wants ``s >= E``, a shift that the machine has, and a bias that
fits; a channel's weights take a smaller exponent where that is what it needs. Such weights round to
little or nothing, which is right: beside that bias, or on that scale, they are.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from verifiable.errors import UnsupportedError
from verifiable.frontend.lower.builder import Builder, Value
from verifiable.frontend.lower.expression import Expression
from verifiable.frontend.quantize.calibrate import EXPONENTS, LIMIT, exponent_for, weight_exponents
from verifiable.frontend.quantize.find import MOST_ROW
from verifiable.frontend.quantize.moves import Integers
from verifiable.graph.ir import Array
from verifiable.graph.vocabulary import Scalar

_MOST_SHIFT: Final = 31
_BIAS_BITS: Final = 30
_SCALES: Final = 126
"""``2.0**-s`` is a normal f32 for every s of at most this magnitude."""

# Any int8 by weights of at most LIMIT, and a bias: no sum leaves i32.
assert 128 * LIMIT * MOST_ROW < 2**30
assert 128 * LIMIT * MOST_ROW + 2**_BIAS_BITS < 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What sums become as int8."""

    exponent: int
    bias: Array | None
    """f32, one for each channel; added first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What an integer Dot gave: i32, an exponent for each channel."""

    value: Value
    exponents: Array
    """int64, broadcast to the Dot's result."""
    target: Target | None
    """None where they go on as floats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """Weights as integers."""

    weights: Array
    """int8, of the weights' shape."""
    exponents: Array
    """int64 ``[B, rows]``, of the sums."""
    target: Target | None
    """The one that was asked for, or None if no shift leads to it from some channel."""


def channels(weight: Array, x: int, target: Target | None) -> Channels:
    """Choose exponents of a Dot's channels and round its weights.

    Parameters
    ----------
    weight : finite float32 ``[B, rows, K]``
    x : int
        Exponent of the activations.
    target : Target, optional

    Raises
    ------
    UnsupportedError
        If weights and activations are both so large that f32 cannot hold their products.
    """
    rows = weight.reshape(-1, weight.shape[-1])
    largest = float(np.max(np.abs(rows), initial=0.0))
    least = max(EXPONENTS[0], -_SCALES - x)
    if largest and exponent_for(largest) < least:
        raise UnsupportedError(
            f"weights of up to {largest:.3g} times activations of up to {127 * 2.0**-x:.3g} leave "
            f"the range of f32",
            hint="leave the model as it is, without int8",
        )
    each = None
    if target is not None:
        most = _ceilings(target, len(rows)) - x
        if (most >= least).all():
            each = weight_exponents(rows, np.minimum(most, EXPONENTS[1]))
        if each is None or (x + each < target.exponent).any():
            target = None
    if target is None or each is None:
        most = np.full(len(rows), min(_SCALES - x, EXPONENTS[1]))
        each = weight_exponents(rows, most)
    kept = np.clip(np.rint(rows * np.exp2(each)[:, None]), -LIMIT, LIMIT).astype(np.int8)
    return Channels(
        weights=kept.reshape(weight.shape),
        exponents=(x + each).reshape(weight.shape[:2]),
        target=target,
    )


def _ceilings(target: Target, rows: int) -> Array:
    """The most that a row's sums may have as exponent."""
    most = np.full(rows, _SCALES, np.int64)
    if target.bias is None:
        return most
    bias = np.resize(target.bias.reshape(-1), rows)
    # |bias| < 2**above, so at exponent BITS - above it stays below 2**BITS.
    _, above = np.frexp(bias)
    most = np.where(bias == 0, most, np.minimum(most, _BIAS_BITS - above.astype(np.int64)))
    return np.minimum(most, target.exponent + _MOST_SHIFT)


def requantised(b: Builder, sums: Sums, *, relu: bool = False) -> Integers:
    """Sums, with the bias of their target, as int8."""
    assert sums.target is not None
    bias, exponent = sums.target.bias, sums.target.exponent
    # A sum without a bias is below 2**30 and gives 0 at any shift of 31 or more.
    shifts = np.minimum(sums.exponents - exponent, _MOST_SHIFT)
    assert shifts.size == 0 or shifts.min() >= 0, "a shift to the left"
    several = [sums.value]
    if bias is not None:
        whole = np.rint(bias.astype(np.float64) * np.exp2(sums.exponents))
        assert np.abs(whole).max(initial=0.0) <= 2**_BIAS_BITS, "a bias that was not looked at"
        several.append(b.constant(whole.astype(np.int32)))
    uniform = int(shifts.flat[0]) if shifts.size and np.all(shifts == shifts.flat[0]) else None
    if uniform is None:
        several.append(b.constant(shifts.astype(np.int32)))

    def program(acc: Expression, *others: Expression) -> Expression:
        given = list(others)
        total = acc + given.pop(0) if bias is not None else acc
        shift = acc.like(uniform) if uniform is not None else given.pop(0)
        made = total.apply(Scalar.REQUANTISE, 1, shift, 0)
        return made.maximum(0) if relu else made

    return Integers(value=b.map(program, *several), exponent=exponent)

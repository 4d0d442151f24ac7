"""The optimal ate pairing of BN254 on Python integers.

A check of two pairs takes py-ecc about 0.9 seconds and this module 0.03, most of what verifying a
proof costs. ``tests/crypto/test_bn254.py`` holds it to py-ecc's values, bit for bit.

Fq12 is ``Fq2[w] / (w**6 - xi)`` with ``xi = 9 + u``: an element is six elements of Fq2, lowest
power first. The twist maps to the curve over Fq12 by ``(x, y) -> (x * w**2, y * w**3)``.

References
----------
Vercauteren, "Optimal pairings", https://eprint.iacr.org/2008/096 (the loop for BN curves).
Scott, Benger, Charlemagne, Dominguez Perez, Kachisa, "On the final exponentiation for
calculating pairings on ordinary elliptic curves", https://eprint.iacr.org/2008/490, section 5.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

Fq2: TypeAlias = tuple[int, int]
Twist: TypeAlias = tuple[Fq2, Fq2]
"""Affine point of the twist."""

Fq12: TypeAlias = tuple[Fq2, Fq2, Fq2, Fq2, Fq2, Fq2]

BASE: Final = 21888242871839275222246405745257275088696311157297823662689037894645226208583
"""Characteristic of the field."""

PARAMETER: Final = 4965661367192848881
"""The x of the curve: ``q = 36x**4 + 36x**3 + 24x**2 + 6x + 1``."""

ONE: Final[Fq12] = ((1, 0), (0, 0), (0, 0), (0, 0), (0, 0), (0, 0))

_LOOP: Final = 6 * PARAMETER + 2
_XI: Final[Fq2] = (9, 1)


def _mul2(a: Fq2, b: Fq2) -> Fq2:
    return (a[0] * b[0] - a[1] * b[1]) % BASE, (a[0] * b[1] + a[1] * b[0]) % BASE


def _sub2(a: Fq2, b: Fq2) -> Fq2:
    return (a[0] - b[0]) % BASE, (a[1] - b[1]) % BASE


def _neg2(a: Fq2) -> Fq2:
    return -a[0] % BASE, -a[1] % BASE


def _conjugate2(a: Fq2) -> Fq2:
    return a[0], -a[1] % BASE


def _inverse2(a: Fq2) -> Fq2:
    inverse = pow(a[0] * a[0] + a[1] * a[1], -1, BASE)
    return a[0] * inverse % BASE, -a[1] * inverse % BASE


def _power2(a: Fq2, exponent: int) -> Fq2:
    result = (1, 0)
    for bit in f"{exponent:b}":
        result = _mul2(result, result)
        if bit == "1":
            result = _mul2(result, a)
    return result


# xi**(i * (q - 1) / 6): what w**i is multiplied with when it is raised to the power q.
_FROBENIUS: Final = tuple(_power2(_XI, i * (BASE - 1) // 6) for i in range(6))


def _mul12(a: Fq12, b: Fq12) -> Fq12:
    """Product; cheap if `a` has zeros."""
    real, imaginary = [0] * 11, [0] * 11
    for i, (a0, a1) in enumerate(a):
        if a0 or a1:
            for j, (b0, b1) in enumerate(b, i):
                real[j] += a0 * b0 - a1 * b1
                imaginary[j] += a0 * b1 + a1 * b0
    for i in range(5):
        r, s = real[i + 6], imaginary[i + 6]
        real[i] += 9 * r - s
        imaginary[i] += r + 9 * s
    c = [(r % BASE, s % BASE) for r, s in zip(real[:6], imaginary[:6], strict=True)]
    return c[0], c[1], c[2], c[3], c[4], c[5]


def _power12(a: Fq12, exponent: int) -> Fq12:
    result = ONE
    for bit in f"{exponent:b}":
        result = _mul12(result, result)
        if bit == "1":
            result = _mul12(result, a)
    return result


def _conjugate12(a: Fq12) -> Fq12:
    """``a**(q**6)``, since ``w**(q**6) = -w``; the inverse where a has order ``q**6 + 1``."""
    return a[0], _neg2(a[1]), a[2], _neg2(a[3]), a[4], _neg2(a[5])


def _frobenius12(a: Fq12, times: int = 1) -> Fq12:
    """``a**(q**times)``."""
    for _ in range(times):
        c = [_mul2(_conjugate2(x), g) for x, g in zip(a, _FROBENIUS, strict=True)]
        a = c[0], c[1], c[2], c[3], c[4], c[5]
    return a


def _inverse12(a: Fq12) -> Fq12:
    # a times its conjugate has even powers of w alone: n0 + n1 * v + n2 * v**2 with v**3 = xi.
    conjugate = _conjugate12(a)
    n0, _, n1, _, n2, _ = _mul12(a, conjugate)
    c0 = _sub2(_mul2(n0, n0), _mul2(_XI, _mul2(n1, n2)))
    c1 = _sub2(_mul2(_XI, _mul2(n2, n2)), _mul2(n0, n1))
    c2 = _sub2(_mul2(n1, n1), _mul2(n0, n2))
    cross = _sub2(_mul2(n2, c1), _neg2(_mul2(n1, c2)))
    norm = _inverse2(_sub2(_mul2(n0, c0), _neg2(_mul2(_XI, cross))))
    zero = (0, 0)
    inverse = (_mul2(c0, norm), zero, _mul2(c1, norm), zero, _mul2(c2, norm), zero)
    return _mul12(inverse, conjugate)


def _add(t: Twist, q: Twist) -> tuple[Fq2, Twist]:
    """Slope of the line through two points of the twist, and their sum.

    Raises
    ------
    ValueError
        If the line is vertical: the sum is at infinity.
    """
    (x, y), (x2, y2) = t, q
    if t == q:
        square = _mul2(x, x)
        slope = _mul2((3 * square[0], 3 * square[1]), _inverse2((2 * y[0], 2 * y[1])))
    else:
        slope = _mul2(_sub2(y2, y), _inverse2(_sub2(x2, x)))
    x3 = _sub2(_sub2(_mul2(slope, slope), x), x2)
    return slope, (x3, _sub2(_mul2(slope, _sub2(x, x3)), y))


def on_twist(q: Twist) -> bool:
    """Whether the coordinates are canonical and satisfy ``y**2 = x**3 + 3 / xi``."""
    x, y = q
    if not all(0 <= c < BASE for c in (*x, *y)):
        return False
    return _mul2(_XI, _sub2(_mul2(y, y), _mul2(x, _mul2(x, x)))) == (3, 0)


def has_order(q: Twist, order: int) -> bool:
    """Whether a point of the twist has this order, an odd prime.

    The ladder to ``order - 1`` meets no infinity for a point of that order, and ends at ``-q``.
    """
    t = q
    try:
        for bit in f"{order - 1:b}"[1:]:
            _, t = _add(t, t)
            if bit == "1":
                _, t = _add(t, q)
    except ValueError:
        return False
    return t == (q[0], _neg2(q[1]))


def _line(t: Twist, q: Twist, p: tuple[int, int]) -> tuple[Fq12, Twist]:
    """The line through two points of the twist, at a point of the curve; and their sum.

    With slope s on the twist: ``y_p - s * x_p * w + (s * x_t - y_t) * w**3``.
    """
    slope, total = _add(t, q)
    x, y = t
    scaled = (-slope[0] * p[0] % BASE, -slope[1] * p[0] % BASE)
    zero = (0, 0)
    line = ((p[1], 0), scaled, zero, _sub2(_mul2(slope, x), y), zero, zero)
    return line, total


def _turn(q: Twist) -> Twist:
    """The Frobenius map of the curve, on the twist."""
    return _mul2(_conjugate2(q[0]), _FROBENIUS[2]), _mul2(_conjugate2(q[1]), _FROBENIUS[3])


def miller(pairs: Sequence[tuple[tuple[int, int], Twist]]) -> Fq12:
    """Product of the Miller functions of all pairs, before the final exponentiation.

    Parameters
    ----------
    pairs : sequence of (point of G1, point of G2)
        Affine, neither at infinity, of order r. The squarings are shared.
    """
    result = ONE
    sums = [q for _, q in pairs]
    for bit in f"{_LOOP:b}"[1:]:
        result = _mul12(result, result)
        for i, (p, q) in enumerate(pairs):
            line, sums[i] = _line(sums[i], sums[i], p)
            result = _mul12(line, result)
            if bit == "1":
                line, sums[i] = _line(sums[i], q, p)
                result = _mul12(line, result)
    for t, (p, q) in zip(sums, pairs, strict=True):
        once = _turn(q)
        x, y = _turn(once)
        line, after = _line(t, once, p)
        result = _mul12(line, result)
        line, _ = _line(after, (x, _neg2(y)), p)
        result = _mul12(line, result)
    return result


def final_exponentiation(f: Fq12) -> Fq12:
    """``f**((q**12 - 1) / r)`` for an f other than 0.

    The exponent is ``(q**6 - 1) * (q**2 + 1)`` times ``(q**4 - q**2 + 1) / r``; the latter, in base
    q, has digits that are polynomials in the parameter x: 1, ``6x**2 + 1``,
    ``-36x**3 - 18x**2 - 12x + 1``, ``-36x**3 - 30x**2 - 18x - 2``, highest first.
    """
    f = _mul12(_conjugate12(f), _inverse12(f))
    f = _mul12(_frobenius12(f, 2), f)
    # From here on the inverse is the conjugate.
    a = _power12(f, PARAMETER)
    b = _power12(a, PARAMETER)
    c = _power12(b, PARAMETER)
    b6 = _power12(b, 6)
    c36_b18_a12 = _mul12(_mul12(_power12(c, 36), _power12(b6, 3)), _power12(a, 12))
    rest = _mul12(_mul12(_power12(b6, 2), _power12(a, 6)), _mul12(f, f))
    digits = (
        _conjugate12(_mul12(c36_b18_a12, rest)),
        _mul12(_conjugate12(c36_b18_a12), f),
        _mul12(b6, f),
        f,
    )
    result = ONE
    for i, digit in enumerate(digits):
        result = _mul12(result, _frobenius12(digit, i))
    return result

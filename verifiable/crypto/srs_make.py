"""Development SRS files of several levels with one tau.

Parts of a split model have circuits of different levels but must share tau: one verifier checks
them all. A prover that is given a file of a higher level computes the Lagrange points of its own
anew at every stage, for minutes; so each level gets a file.
"""

from collections.abc import Iterator, Sequence

from verifiable.crypto.bn254 import BASE, G1, G2, GENERATOR, IDENTITY, invert_all, msm, negate
from verifiable.crypto.felt import MODULUS
from verifiable.crypto.srs import G2_GENERATOR, encode_srs, root_of_unity

_WIDTH = 8
_WINDOWS = -(-MODULUS.bit_length() // _WIDTH)
_START: G1 = msm([GENERATOR], [0x5EED5EED5EED5EED5EED5EED5EED5EED])
"""Sums start here, so that no sum meets the point at infinity."""


def make_srs(levels: Sequence[int], tau: int) -> Iterator[tuple[int, bytes]]:
    """Write one file for each level, all of the same tau; 18 s for levels 15 and 16.

    Parameters
    ----------
    levels : sequence of int
        Each from 1 to 28.
    tau : int
        Secret: forget it afterwards. Not a root of unity of any level.

    Yields
    ------
    level and file

    Examples
    --------
    >>> from verifiable.crypto.srs import verifier_points
    >>> files = dict(make_srs([1, 3], tau=5))
    >>> len(files[1]), len(files[3])
    (516, 1284)
    >>> files[1][-128:] == files[3][-128:]
    True
    """
    table = _table()
    most = 1 << max(levels)
    scalars, power = [], 1
    for _ in range(most):
        scalars.append(power)
        power = power * tau % MODULUS
    powers = _multiples(scalars, table)
    tau_g2 = _times_g2(tau)
    for level in levels:
        lagrange = _multiples(_lagrange_at(level, tau), table)
        yield level, encode_srs(powers[: 1 << level], lagrange, G2_GENERATOR, tau_g2)


def _lagrange_at(level: int, tau: int) -> list[int]:
    """Values at tau of the Lagrange polynomials over the roots of unity of order ``2**level``."""
    size, root = 1 << level, root_of_unity(level)
    # L_i(X) = w**i (X**n - 1) / (n (X - w**i))
    factor = (pow(tau, size, MODULUS) - 1) * pow(size, -1, MODULUS) % MODULUS
    roots, power = [], 1
    for _ in range(size):
        roots.append(power)
        power = power * root % MODULUS
    inverses = invert_all([tau - w for w in roots])
    return [factor * w * inverse % MODULUS for w, inverse in zip(roots, inverses, strict=True)]


def _table() -> list[list[G1]]:
    """Multiples 0 to 255 of ``256**i`` times the generator, for each window i."""
    bases = [msm([GENERATOR], [1 << _WIDTH * i]) for i in range(_WINDOWS)]
    columns = [[IDENTITY] * _WINDOWS, bases, [msm([base], [2]) for base in bases]]
    while len(columns) < 1 << _WIDTH:
        columns.append(_sums(columns[-1], bases))
    return [list(row) for row in zip(*columns, strict=True)]


def _multiples(scalars: Sequence[int], table: Sequence[Sequence[G1]]) -> list[G1]:
    """``scalar * G`` for each scalar, all at once: one inversion serves a whole column of sums."""
    points = [_START] * len(scalars)
    mask = (1 << _WIDTH) - 1
    for i, row in enumerate(table):
        digits = [scalar >> _WIDTH * i & mask for scalar in scalars]
        chosen = [j for j, digit in enumerate(digits) if digit]
        sums = _sums([points[j] for j in chosen], [row[digits[j]] for j in chosen])
        for j, point in zip(chosen, sums, strict=True):
            points[j] = point
    # A sum that never moved stands for 0, which no scalar here is.
    return _sums(points, [negate(_START)] * len(points))


def _sums(left: Sequence[G1], right: Sequence[G1]) -> list[G1]:
    """``left[i] + right[i]``, affine; the two differ in x everywhere."""
    prefix, product = [], 1
    for (x1, _), (x2, _) in zip(left, right, strict=True):
        prefix.append(product)
        product = product * (x2 - x1) % BASE
    inverse = pow(product, -1, BASE)
    sums = []
    for i in range(len(left) - 1, -1, -1):
        x1, y1 = left[i]
        x2, y2 = right[i]
        slope = (y2 - y1) * inverse * prefix[i] % BASE
        inverse = inverse * (x2 - x1) % BASE
        x3 = (slope * slope - x1 - x2) % BASE
        sums.append((x3, (slope * (x1 - x3) - y1) % BASE))
    return sums[::-1]


def _times_g2(scalar: int) -> G2:
    from py_ecc import optimized_bn128 as curve

    x, y = curve.normalize(curve.multiply(curve.G2, scalar))
    return (
        (int(x.coeffs[0]), int(x.coeffs[1])),
        (int(y.coeffs[0]), int(y.coeffs[1])),
    )

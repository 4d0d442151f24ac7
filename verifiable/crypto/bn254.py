"""The curve BN254 (alt_bn128): parsing points, multi-scalar multiplication, the pairing check.

A point of G1 is an affine pair ``(x, y)`` of integers below `BASE`; one of G2 is a pair of
elements of Fq2, each ``(c0, c1)`` for ``c0 + c1 * u`` with ``u**2 = -1``. ``(0, 0)`` stands for
the point at infinity, as it does in the EVM and in halo2's files; it lies on neither curve, so
the word is free.

Every encoding is accepted in one form only. Two forms exist: 32-byte big-endian coordinates (the
EVM's, and so the proofs') and 32-byte little-endian coordinates in Montgomery form, multiplied by
``2**256`` (halo2's files).

References
----------
EIP-196 and EIP-197 (curve, encodings, subgroup). Bernstein and Lange, Explicit-Formulas Database
(Jacobian coordinates, a = 0). Pippenger, "On the evaluation of powers and related problems",
FOCS 1976 (the bucket method).
"""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from verifiable.crypto.felt import MODULUS
from verifiable.errors import EncodingError

G1: TypeAlias = tuple[int, int]
"""Affine point of the curve over Fq; ``(0, 0)`` is the point at infinity."""

G2: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
"""Affine point of the twist over Fq2."""

BASE: Final = 21888242871839275222246405745257275088696311157297823662689037894645226208583
"""Characteristic ``q`` of the field of coordinates."""

IDENTITY: Final[G1] = (0, 0)
"""The point at infinity."""

GENERATOR: Final[G1] = (1, 2)
"""Generator of G1, of prime order `MODULUS`. The cofactor is 1: a point on the curve is in G1."""

_Jacobian: TypeAlias = tuple[int, int, int]
_INFINITY: Final[_Jacobian] = (1, 1, 0)
_MONTGOMERY_INVERSE: Final = pow(1 << 256, -1, BASE)


def _coordinate(data: bytes, what: str) -> int:
    value = int.from_bytes(data, "big")
    if value >= BASE:
        raise EncodingError(f"{what}: coordinate {value:#x} is not below the field's modulus")
    return value


def on_curve(point: G1) -> bool:
    """Whether a point other than infinity satisfies ``y**2 = x**3 + 3``.

    >>> on_curve(GENERATOR), on_curve((1, 3))
    (True, False)
    """
    x, y = point
    return (y * y - x * x * x - 3) % BASE == 0


def parse_g1(data: bytes, what: str = "point") -> G1:
    r"""Read 64 bytes: x and y, big-endian. The point at infinity has no place in a proof.

    Parameters
    ----------
    data : bytes
    what : str
        Name of the point, for the message.

    Raises
    ------
    EncodingError
        If the length is wrong, a coordinate is not below `BASE`, or the point is not on the curve.

    Examples
    --------
    >>> parse_g1(bytes(31) + b"\x01" + bytes(31) + b"\x02")
    (1, 2)
    """
    if len(data) != 64:
        raise EncodingError(f"{what} is {len(data)} bytes long, wanted 64")
    point = (_coordinate(data[:32], what), _coordinate(data[32:], what))
    if not on_curve(point):
        raise EncodingError(f"{what}: ({point[0]:#x}, {point[1]:#x}) is not on the curve")
    return point


def encode_g1(point: G1) -> bytes:
    """Write 64 bytes; see `parse_g1`."""
    return point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")


def _montgomery(data: bytes, what: str) -> int:
    value = int.from_bytes(data, "little")
    if value >= BASE:
        raise EncodingError(f"{what}: coordinate {value:#x} is not below the field's modulus")
    return value * _MONTGOMERY_INVERSE % BASE


def parse_g1_montgomery(data: bytes, what: str = "point") -> G1:
    """Read 64 bytes of a key or SRS file: x and y, little-endian, in Montgomery form.

    64 zero bytes are the point at infinity: the commitment to a column that holds only zeros.

    Raises
    ------
    EncodingError
        As `parse_g1`.
    """
    if len(data) != 64:
        raise EncodingError(f"{what} is {len(data)} bytes long, wanted 64")
    point = (_montgomery(data[:32], what), _montgomery(data[32:], what))
    if point != IDENTITY and not on_curve(point):
        raise EncodingError(f"{what}: ({point[0]:#x}, {point[1]:#x}) is not on the curve")
    return point


def parse_g2_montgomery(data: bytes, what: str = "point") -> G2:
    """Read 128 bytes of an SRS file: x.c0, x.c1, y.c0, y.c1, each as in `parse_g1_montgomery`.

    Raises
    ------
    EncodingError
        If the length is wrong, a coordinate is not below `BASE`, or the point is infinity or
        outside of the subgroup of order `MODULUS`.
    """
    if len(data) != 128:
        raise EncodingError(f"{what} is {len(data)} bytes long, wanted 128")
    x0, x1, y0, y1 = (_montgomery(data[i : i + 32], what) for i in range(0, 128, 32))
    point = ((x0, x1), (y0, y1))
    if not in_g2(point):
        raise EncodingError(f"{what} is not in the subgroup G2")
    return point


def in_g2(point: G2) -> bool:
    """Whether a point other than infinity is on the twist and of order `MODULUS`.

    The twist has points of other orders, for which the pairing says nothing.
    """
    from py_ecc import optimized_bn128 as curve

    if not all(0 <= c < BASE for pair in point for c in pair):
        return False
    q = _twist_point(point)
    on_twist: bool = curve.is_on_curve(q, curve.b2)
    return on_twist and bool(curve.is_inf(curve.multiply(q, MODULUS)))


def negate(point: G1) -> G1:
    """The point ``-P``."""
    x, y = point
    return (x, -y % BASE)


def _double(a: _Jacobian) -> _Jacobian:
    x, y, z = a
    yy = y * y % BASE
    s = 4 * x * yy % BASE
    m = 3 * x * x % BASE
    x3 = (m * m - 2 * s) % BASE
    return x3, (m * (s - x3) - 8 * yy * yy) % BASE, 2 * y * z % BASE


def _add(a: _Jacobian, b: _Jacobian) -> _Jacobian:
    x1, y1, z1 = a
    x2, y2, z2 = b
    if not z1:
        return b
    if not z2:
        return a
    z1z1 = z1 * z1 % BASE
    # Almost all points that are added come straight from a proof or key, with z = 1.
    if z2 == 1:
        u1, s1 = x1, y1
    else:
        z2z2 = z2 * z2 % BASE
        u1, s1 = x1 * z2z2 % BASE, y1 * z2z2 * z2 % BASE
    h = (x2 * z1z1 - u1) % BASE
    t = (y2 * z1z1 * z1 - s1) % BASE
    if not h:
        return _INFINITY if t else _double(a)
    hh = h * h % BASE
    hhh = h * hh % BASE
    v = u1 * hh % BASE
    x3 = (t * t - hhh - 2 * v) % BASE
    return x3, (t * (v - x3) - s1 * hhh) % BASE, z1 * z2 * h % BASE


def _affine(a: _Jacobian) -> G1:
    x, y, z = a
    if not z:
        return IDENTITY
    inverse = pow(z, -1, BASE)
    square = inverse * inverse % BASE
    return x * square % BASE, y * square * inverse % BASE


def msm(points: Sequence[G1], scalars: Sequence[int]) -> G1:
    """Sum of ``scalars[i] * points[i]``.

    Parameters
    ----------
    points : sequence of G1
        On the curve, or infinity; not checked again.
    scalars : sequence of int
        Reduced modulo `MODULUS`. Not constant time: nothing here is secret.

    Examples
    --------
    >>> msm([GENERATOR, GENERATOR], [3, -3])
    (0, 0)
    """
    terms = [
        ((*point, 1), scalar % MODULUS)
        for point, scalar in zip(points, scalars, strict=True)
        if point != IDENTITY
    ]
    # Adds cost n * 254 / c for the points and 2**(c + 1) * 254 / c for the buckets.
    width = max(2, min(12, len(terms).bit_length() - 1))
    mask = (1 << width) - 1
    total: _Jacobian = _INFINITY
    for shift in reversed(range(0, MODULUS.bit_length(), width)):
        for _ in range(width):
            total = _double(total)
        buckets: list[_Jacobian] = [_INFINITY] * (mask + 1)
        for point, scalar in terms:
            digit = scalar >> shift & mask
            if digit:
                buckets[digit] = _add(buckets[digit], point)
        # sum of i * bucket[i], as the sum of the suffix sums
        suffix = _INFINITY
        for bucket in reversed(buckets[1:]):
            suffix = _add(suffix, bucket)
            total = _add(total, suffix)
    return _affine(total)


def pairing_product_is_one(pairs: Sequence[tuple[G1, G2]]) -> bool:
    """Whether the product of ``e(P, Q)`` over all pairs is 1, with one final exponentiation.

    The Miller loops and all field arithmetic are py-ecc's. The final exponent is taken in its
    three factors, which py-ecc does not: that halves the time of the whole check.

    Parameters
    ----------
    pairs : sequence of (G1, G2)
        Every Q in the subgroup (`in_g2`), every P on the curve or infinity.

    References
    ----------
    EIP-197. ``(q**12 - 1) / r = (q**6 - 1) (q**2 + 1) ((q**4 - q**2 + 1) / r)``: Scott et al.,
    "On the final exponentiation for calculating pairings on ordinary elliptic curves", 2008/490.

    Examples
    --------
    >>> pairing_product_is_one([])
    True
    """
    from py_ecc import optimized_bn128 as curve

    value = curve.FQ12.one()
    for p, q in pairs:
        if p != IDENTITY:
            left = (curve.FQ(p[0]), curve.FQ(p[1]), curve.FQ.one())
            value *= curve.pairing(_twist_point(q), left, final_exponentiate=False)
    # q**6 negates the odd powers of w, so its power costs nothing.
    conjugate = curve.FQ12([-c if i % 2 else c for i, c in enumerate(value.coeffs)])
    value = conjugate * value.inv()
    value = value ** (BASE**2) * value
    return bool(value ** ((BASE**4 - BASE**2 + 1) // MODULUS) == curve.FQ12.one())


def _twist_point(point: G2) -> Any:
    """A point of the twist in py-ecc's projective form."""
    from py_ecc import optimized_bn128 as curve

    return curve.FQ2(point[0]), curve.FQ2(point[1]), curve.FQ2.one()


def invert_all(values: Sequence[int]) -> list[int]:
    """Inverses modulo `MODULUS`, at the cost of one inversion (Montgomery's trick).

    Raises
    ------
    ZeroDivisionError
        If a value is 0 modulo `MODULUS`.

    Examples
    --------
    >>> [x * y % MODULUS for x, y in zip(invert_all([2, 3]), [2, 3])]
    [1, 1]
    """
    prefix = [1]
    for value in values:
        prefix.append(prefix[-1] * value % MODULUS)
    if not prefix[-1]:
        raise ZeroDivisionError("0 has no inverse")
    inverse = pow(prefix[-1], -1, MODULUS)
    result = []
    for value, before in zip(reversed(values), reversed(prefix[:-1]), strict=True):
        result.append(inverse * before % MODULUS)
        inverse = inverse * value % MODULUS
    return result[::-1]


def compress(point: G1) -> str:
    """Hex of a point in halo2curves' compressed form: x, little-endian, the top bit y's parity.

    >>> compress((1, 2))[:4], compress((1, 2))[-2:]
    ('0100', '00')
    """
    x, y = point
    raw = bytearray(x.to_bytes(32, "little"))
    raw[31] |= (y & 1) << 7
    return raw.hex()

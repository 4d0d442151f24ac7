"""KZG commitments of tensors, as ezkl makes them for ``polycommit`` visibility.

A tensor fills columns of a circuit from the top, row-major. The last rows of a column are not the
circuit's to use; ezkl fills them with ones, so the commitment hides nothing: a verifier who
knows the tensor computes the same point and compares it with the one at the head of the proof.

References
----------
Kate, Zaverucha, Goldberg, "Constant-Size Commitments to Polynomials and Their Applications",
ASIACRYPT 2010. The fill and the number of columns were found by comparing with ezkl 23.0.5. Its
``kzg_commit`` takes an SRS of a higher level for one of the circuit's, which its prover does not;
this module follows the prover.
"""

from collections.abc import Sequence
from typing import Final

from verifiable.crypto.bn254 import G1, msm, negate
from verifiable.crypto.felt import MODULUS, felt_to_signed
from verifiable.crypto.srs import SrsFile, root_of_unity
from verifiable.errors import EncodingError
from verifiable.types import Felt

UNUSABLE_ROWS: Final = 6
"""Rows at the end of each column that halo2 keeps for blinding, in every circuit ezkl makes whose
columns are read at no more than three rotations."""


def commit(
    message: Sequence[Felt], srs: SrsFile, k: int, *, unusable_rows: int = UNUSABLE_ROWS
) -> tuple[G1, ...]:
    """Commit to a tensor.

    Parameters
    ----------
    message : sequence of Felt
        The tensor's elements, row-major.
    srs : SrsFile
        Of level `k`, where it costs milliseconds for small tensors, or above, where it costs a
        multiplication of all ``2**k`` powers by full-width scalars (k = 13: seconds).
    k : int
        Level of the circuit: columns have ``2**k`` rows.
    unusable_rows : int

    Returns
    -------
    tuple of G1
        One for each column; one more than is needed if the last is exactly full, as in ezkl.

    Raises
    ------
    EncodingError
        If the SRS is of a lower level.
    """
    if srs.k < k:
        raise EncodingError(f"an SRS of level {srs.k} cannot commit to columns of 2**{k} rows")
    size = 1 << k
    assert 0 < unusable_rows < size, (unusable_rows, size)
    usable = size - unusable_rows
    columns = [message[i : i + usable] for i in range(0, len(message) + 1, usable)]
    if srs.k == k:
        return tuple(_commit_values(column, srs, unusable_rows) for column in columns)
    powers = srs.powers(0, size)
    made = []
    for column in columns:
        values = [*column, *[0] * (usable - len(column)), *[1] * unusable_rows]
        made.append(msm(powers, interpolate(values)))
    return tuple(made)


def interpolate(values: Sequence[int]) -> list[int]:
    """Coefficients of the polynomial with these values at the roots of unity.

    Parameters
    ----------
    values : sequence of int
        ``2**k`` field elements; value i stands at ``root_of_unity(k)**i``.

    Returns
    -------
    list of int
        ``2**k`` field elements, constant term first.

    References
    ----------
    Cooley and Tukey, "An algorithm for the machine calculation of complex Fourier series", 1965.

    Examples
    --------
    >>> interpolate([3, 3])
    [3, 0]
    """
    k = len(values).bit_length() - 1
    assert len(values) == 1 << k, len(values)
    scale = pow(len(values), -1, MODULUS)
    return [x * scale % MODULUS for x in _transform(values, pow(root_of_unity(k), -1, MODULUS))]


def _transform(values: Sequence[int], root: int) -> list[int]:
    if len(values) == 1:
        return list(values)
    square = root * root % MODULUS
    even, odd = _transform(values[::2], square), _transform(values[1::2], square)
    power, low, high = 1, [], []
    for a, b in zip(even, odd, strict=True):
        turned = power * b % MODULUS
        low.append((a + turned) % MODULUS)
        high.append((a - turned) % MODULUS)
        power = power * root % MODULUS
    return low + high


def _commit_values(column: Sequence[Felt], srs: SrsFile, unusable_rows: int) -> G1:
    points = srs.lagrange(0, len(column))
    scalars = [felt_to_signed(x) for x in column]
    # Quantised values are short when they are taken with their sign.
    points = [negate(p) if x < 0 else p for p, x in zip(points, scalars, strict=True)]
    points += srs.lagrange(srs.size - unusable_rows, unusable_rows)
    return msm(points, [abs(x) for x in scalars] + [1] * unusable_rows)


def columns_of(size: int, k: int, *, unusable_rows: int = UNUSABLE_ROWS) -> int:
    """Commitments that a tensor of `size` elements takes in a circuit of level `k`.

    >>> columns_of(64, 9), columns_of(506, 9)
    (1, 2)
    """
    return size // ((1 << k) - unusable_rows) + 1

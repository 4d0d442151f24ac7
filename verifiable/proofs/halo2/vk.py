"""The verifying key's file: a header, then commitments in halo2's raw form, then selectors.

The file holds no gates, so it cannot be verified against alone; see `emitted`.
"""

from dataclasses import dataclass
from typing import Final

from verifiable.crypto.bn254 import G1, parse_g1_montgomery
from verifiable.errors import EncodingError

_VERSION: Final = 3
_HEADER: Final = 7
# The order of the scalar field minus 1 has 2**28 as its power of two.
_MAX_K: Final = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """What the file says."""

    k: int
    """There are ``2**k`` rows."""
    fixed: tuple[G1, ...]
    permutation: tuple[G1, ...]


def read_file(data: bytes, *, columns: int) -> KeyFile:
    """Read a verifying key's file.

    Byte 3, k, whether selectors were compressed (0 or 1), number of fixed commitments (4 bytes,
    little-endian), fixed and permutation commitments (64 bytes each), one bit a row and selector.

    Parameters
    ----------
    data : bytes
    columns : int
        Number of permutation commitments, which the file does not state.

    Raises
    ------
    EncodingError
        If the header is another, a commitment is not a point, or bytes are missing or left over.
    """
    if len(data) < _HEADER:
        raise EncodingError(f"verifying key is {len(data)} bytes long, wanted {_HEADER} at least")
    version, k, compressed = data[:3]
    count = int.from_bytes(data[3:_HEADER], "little")
    if version != _VERSION:
        raise EncodingError(f"verifying key has format {version}, wanted {_VERSION}")
    if not 1 <= k <= _MAX_K:
        raise EncodingError(f"verifying key has k = {k}, wanted 1..{_MAX_K}")
    if compressed not in {0, 1}:
        raise EncodingError(f"verifying key: byte 2 is {compressed}, wanted 0 or 1")
    selectors = len(data) - _HEADER - 64 * (count + columns)
    if selectors < 0 or selectors % ((1 << k) // 8 or 1):
        raise EncodingError(
            f"verifying key is {len(data)} bytes long, which is not {count} fixed and {columns} "
            f"permutation commitments and whole selectors of 2**{k} bits"
        )

    def point(i: int, name: str) -> G1:
        at = _HEADER + 64 * i
        return parse_g1_montgomery(data[at : at + 64], f"verifying key: {name}")

    return KeyFile(
        k=k,
        fixed=tuple(point(i, f"fixed commitment {i}") for i in range(count)),
        permutation=tuple(point(count + i, f"permutation commitment {i}") for i in range(columns)),
    )

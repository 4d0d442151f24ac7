"""The BN254 scalar field: integers below ``r`` and every way in which they are written.

ezkl writes a felt as 64 little-endian hex digits, the EVM as a 32-byte big-endian word. Only
the canonical representative is ever accepted: a verifier that reduced what it is given would
take two encodings for one statement.
"""

import math
import re
from typing import Final

from verifiable.errors import EncodingError, TensorError
from verifiable.types import Felt

MODULUS: Final = 0x30644E72E131A029B85045B68181585D2833E84879B9709143E1F593F0000001
"""Order ``r`` of the groups of BN254."""

_HEX64: Final = re.compile(r"[0-9a-f]{64}\Z")
# ezkl holds fixed-point numbers as i128 and silently saturates what just exceeds it.
_LIMIT: Final = 2.0**127


def felt(value: int) -> Felt:
    """Check that an integer is a canonical felt.

    Raises
    ------
    EncodingError
        If `value` is not in ``0 <= value < r``.

    Examples
    --------
    >>> felt(5)
    5
    """
    if not 0 <= value < MODULUS:
        raise EncodingError(f"{value:#x} is not a field element: it is not in 0..r-1")
    return Felt(value)


def felt_from_ezkl(text: str) -> Felt:
    """Read ezkl's hex: 64 lower-case digits, little-endian, without 0x.

    Raises
    ------
    EncodingError
        If `text` is of another form or not below ``r``.

    Examples
    --------
    >>> felt_from_ezkl("02" + "00" * 31)
    2
    """
    if not _HEX64.match(text):
        raise EncodingError(f"`{text[:80]}` is not a felt: wanted 64 lower-case hex digits")
    return felt(int.from_bytes(bytes.fromhex(text), "little"))


def felt_to_ezkl(x: Felt) -> str:
    """Write ezkl's hex; see `felt_from_ezkl`."""
    return x.to_bytes(32, "little").hex()


def felt_from_bytes(data: bytes) -> Felt:
    """Read a 32-byte big-endian word.

    Raises
    ------
    EncodingError
        If `data` is not 32 bytes long or not below ``r``.
    """
    if len(data) != 32:
        raise EncodingError(f"a felt is 32 bytes, got {len(data)}")
    return felt(int.from_bytes(data, "big"))


def felt_to_bytes(x: Felt) -> bytes:
    """Write a 32-byte big-endian word."""
    return x.to_bytes(32, "big")


def felt_from_signed(value: int) -> Felt:
    """Felt that stands for a signed integer: negative ones are ``r - |value|``.

    Raises
    ------
    EncodingError
        If ``|value| > (r - 1) / 2``, where the sign would be lost.

    Examples
    --------
    >>> felt_to_signed(felt_from_signed(-7))
    -7
    """
    if abs(value) > MODULUS // 2:
        raise EncodingError(f"{value:#x} does not fit in a signed field element")
    return Felt(value % MODULUS)


def felt_to_signed(x: Felt) -> int:
    """Signed integer of least magnitude that `x` stands for."""
    return x if x <= MODULUS // 2 else x - MODULUS


def quantize(x: float, scale: int) -> Felt:
    """Fixed-point felt of a float, rounded as ezkl rounds.

    ``x * 2**scale`` is rounded to the nearest integer, halves away from zero. A float32 tensor
    must be passed element by element as exact doubles; no rounding happens but this one.

    Parameters
    ----------
    x : float
    scale : int
        Fractional bits, ``-64 <= scale <= 127``.

    Raises
    ------
    TensorError
        If `x` is not finite, or beyond the 127 bits that ezkl has for ``|x * 2**scale|``.

    Examples
    --------
    >>> [felt_to_signed(quantize(x, 1)) for x in (0.25, -0.25, 1.2)]
    [1, -1, 2]
    """
    if not math.isfinite(x):
        raise TensorError(f"{x} has no fixed-point form")
    assert -64 <= scale <= 127, scale
    if abs(x) >= _LIMIT / 2.0**scale:
        raise TensorError(f"{x} is beyond the range of fixed point at scale {scale}")
    scaled = abs(math.ldexp(x, scale))
    whole = math.floor(scaled)
    # The difference is exact, whereas scaled + 0.5 would itself be rounded.
    if scaled - whole >= 0.5:
        whole += 1
    return felt_from_signed(whole if x >= 0 else -whole)


def dequantize(x: Felt, scale: int) -> float:
    """Float nearest to a fixed-point felt.

    Examples
    --------
    >>> dequantize(quantize(-1.25, 7), 7)
    -1.25
    """
    try:
        return math.ldexp(float(felt_to_signed(x)), -scale)
    except OverflowError as e:
        raise TensorError(f"felt {x:#x} at scale {scale} is beyond the range of a float") from e

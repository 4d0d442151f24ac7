"""Reading JSON objects field by field, with nothing missing, unknown or loosely written.

Each reader takes the path of the field, so that a message says where the document is wrong.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from verifiable.crypto.address import parse_address
from verifiable.crypto.felt import MODULUS
from verifiable.crypto.hashing import Json
from verifiable.errors import EncodingError
from verifiable.types import Address, Bytes32, Felt, Sha256

MAX_SAFE_INTEGER: Final = 2**53 - 1
"""Largest integer that every JSON reader keeps exactly (RFC 8785, RFC 7493)."""

MAX_AMOUNT: Final = 2**256 - 1
"""Largest amount that a contract can name."""

_HEX: Final = re.compile(r"0x(?:[0-9a-f]{2})*\Z")
_AMOUNT: Final = re.compile(r"(?:0|[1-9][0-9]{0,77})\Z")
_SHOWN: Final = 80


def shown(value: Json) -> str:
    """Short text of a value for a message."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def read_object(
    value: Json, at: str, required: Iterable[str], optional: Iterable[str] = ()
) -> Mapping[str, Json]:
    """Read an object with exactly these fields.

    Raises
    ------
    EncodingError
        If `value` is not an object, or lacks a field, or has an unknown one.

    Examples
    --------
    >>> read_object({"a": 1, "b": 2}, "claim", ["a"])
    Traceback (most recent call last):
    verifiable.errors.EncodingError: claim has an unknown field `b`
    """
    if not isinstance(value, dict):
        raise EncodingError(f"{at} is not an object: {shown(value)}")
    wanted = tuple(required)
    for name in wanted:
        if name not in value:
            raise EncodingError(f"{at} lacks the field `{name}`")
    known = {*wanted, *optional}
    for name in value:
        if name not in known:
            raise EncodingError(f"{at} has an unknown field `{name[:_SHOWN]}`")
    return value


def read_list(value: Json, at: str) -> list[Json]:
    """Read a list of anything."""
    if not isinstance(value, list):
        raise EncodingError(f"{at} is not a list: {shown(value)}")
    return value


def read_text(value: Json, at: str, *, most: int = 4096) -> str:
    """Read a non-empty string of Unicode scalar values, at most `most` characters long."""
    if not isinstance(value, str):
        raise EncodingError(f"{at} is not a string: {shown(value)}")
    if not 0 < len(value) <= most:
        raise EncodingError(f"{at} has {len(value)} characters, wanted 1 to {most}")
    try:
        value.encode()
    except UnicodeEncodeError as e:
        raise EncodingError(f"{at} is not Unicode: {shown(value)}") from e
    return value


def read_constant(value: Json, at: str, wanted: str) -> str:
    """Read a string that can only be `wanted`."""
    if not isinstance(value, str) or value != wanted:
        raise EncodingError(f"{at} is {shown(value)}, wanted {wanted!r}")
    return wanted


def read_bool(value: Json, at: str) -> bool:
    """Read ``true`` or ``false``."""
    if not isinstance(value, bool):
        raise EncodingError(f"{at} is not true or false: {shown(value)}")
    return value


def read_count(value: Json, at: str) -> int:
    """Read an integer in 0..2**53-1."""
    # bool is a subclass of int, but `true` is no number.
    if isinstance(value, bool) or not isinstance(value, int):
        raise EncodingError(f"{at} is not an integer: {shown(value)}")
    if not 0 <= value <= MAX_SAFE_INTEGER:
        raise EncodingError(f"{at} is {shown(value)}, wanted 0 to 2**53 - 1")
    return value


def read_amount(value: Json, at: str) -> int:
    """Read an amount of wei, or of a token's units, from a string of decimal digits.

    Raises
    ------
    EncodingError
        If `value` is not a string, has a sign, a leading zero or another character, or is above
        2**256 - 1.

    Examples
    --------
    >>> read_amount("1000000000000000000", "bond") == 10**18
    True
    """
    if not isinstance(value, str) or not _AMOUNT.match(value):
        raise EncodingError(f"{at} is not a string of decimal digits: {shown(value)}")
    amount = int(value)
    if amount > MAX_AMOUNT:
        raise EncodingError(f"{at} is {shown(value)}, wanted 0 to 2**256 - 1")
    return amount


def read_hex(value: Json, at: str, *, width: int | None = None) -> bytes:
    """Read bytes written as 0x and lower-case hex digits; exactly `width` bytes if it is given."""
    if not isinstance(value, str) or not _HEX.match(value):
        raise EncodingError(f"{at} is not 0x and lower-case hex: {shown(value)}")
    data = bytes.fromhex(value[2:])
    if width is not None and len(data) != width:
        raise EncodingError(f"{at} has {len(data)} bytes, wanted {width}")
    return data


def read_bytes32(value: Json, at: str) -> Bytes32:
    """Read 32 bytes as hex."""
    return Bytes32(read_hex(value, at, width=32))


def read_sha256(value: Json, at: str) -> Sha256:
    """Read a SHA-256 digest as hex."""
    return Sha256(read_hex(value, at, width=32))


def read_felt(value: Json, at: str) -> Felt:
    """Read a canonical felt as 64 big-endian hex digits after 0x."""
    word = int.from_bytes(read_hex(value, at, width=32), "big")
    if word >= MODULUS:
        raise EncodingError(f"{at} is not a field element: {value} is not below r")
    return Felt(word)


def read_address(value: Json, at: str) -> Address:
    """Read an address in its EIP-55 form."""
    if not isinstance(value, str):
        raise EncodingError(f"{at} is not a string: {shown(value)}")
    try:
        wanted = parse_address(value)
    except EncodingError as e:
        raise EncodingError(f"{at}: {e}") from e
    if wanted != value:
        raise EncodingError(f"{at} is {value}, whose EIP-55 form is {wanted}")
    return wanted


def to_hex(data: bytes) -> str:
    """Write 0x and lower-case hex."""
    return "0x" + data.hex()

"""Ethereum addresses: 20 bytes, written in the EIP-55 form and no other."""

import re
from typing import Final

from verifiable.crypto.hashing import keccak256
from verifiable.errors import EncodingError
from verifiable.types import Address

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}\Z")

ZERO_ADDRESS: Final = Address("0x" + "00" * 20)
"""Stands for "no contract" in receipts that are only checked off chain."""


def checksum_address(data: bytes) -> Address:
    """EIP-55 form of 20 bytes.

    Raises
    ------
    EncodingError
        If `data` is not 20 bytes long.

    References
    ----------
    EIP-55, mixed-case checksum address encoding.

    Examples
    --------
    >>> checksum_address(bytes.fromhex("5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"))
    '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'
    """
    if len(data) != 20:
        raise EncodingError(f"an address is 20 bytes, got {len(data)}")
    digits = data.hex()
    digest = keccak256(digits.encode()).hex()
    cased = (d.upper() if int(h, 16) >= 8 else d for d, h in zip(digits, digest[:40], strict=True))
    return Address("0x" + "".join(cased))


def parse_address(text: str) -> Address:
    """Read an address as people type it: EIP-55, or all digits in one case.

    Raises
    ------
    EncodingError
        If `text` is no address, or mixes cases in a way that EIP-55 does not.

    Examples
    --------
    >>> parse_address("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
    '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'
    """
    if not _ADDRESS.match(text):
        raise EncodingError(f"`{text[:80]}` is not an address: wanted 0x and 40 hex digits")
    digits = text[2:]
    wanted = checksum_address(bytes.fromhex(digits))
    if digits in (digits.lower(), digits.upper()) or text == wanted:
        return wanted
    raise EncodingError(f"address {text} has a wrong checksum: EIP-55 writes {wanted}")


def address_bytes(address: Address) -> bytes:
    """Give the 20 bytes of an address."""
    return bytes.fromhex(address[2:])

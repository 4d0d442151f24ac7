"""EIP-712: how a typed structure becomes the 32 bytes that are signed.

Only what our own types need. Each value becomes one 32-byte word; strings and arrays become the
hash of their content, so that no two structures share an encoding.

References
----------
EIP-712, typed structured data hashing and signing, sections *encodeData* and *domainSeparator*.
"""

from collections.abc import Iterable
from typing import Final

from verifiable.crypto.address import address_bytes
from verifiable.crypto.hashing import keccak256
from verifiable.types import Address

DOMAIN_TYPE: Final = (
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)


def uint_word(value: int) -> bytes:
    """Word of an unsigned integer below 2**256; ``bool`` counts as 0 or 1."""
    return int(value).to_bytes(32, "big")


def address_word(address: Address) -> bytes:
    """Word of an address: 12 zero bytes, then the address."""
    return bytes(12) + address_bytes(address)


def string_word(text: str) -> bytes:
    """Word of a dynamic string: the hash of its UTF-8 bytes."""
    return keccak256(text.encode())


def array_word(words: Iterable[bytes]) -> bytes:
    """Word of a dynamic array: the hash of its elements' words."""
    return keccak256(b"".join(words))


def struct_word(type_string: str, *words: bytes) -> bytes:
    """Word of a structure, ``hashStruct``: the hash of its type's hash and its fields' words."""
    assert all(len(word) == 32 for word in words)
    return keccak256(keccak256(type_string.encode()) + b"".join(words))


def domain_separator(*, name: str, version: str, chain_id: int, contract: Address) -> bytes:
    """Word of the domain a signature is meant for."""
    return struct_word(
        DOMAIN_TYPE,
        string_word(name),
        string_word(version),
        uint_word(chain_id),
        address_word(contract),
    )


def typed_digest(domain: bytes, message: bytes) -> bytes:
    """Give what is signed: the hash of 0x1901, the domain separator and the message's word."""
    return keccak256(b"\x19\x01" + domain + message)

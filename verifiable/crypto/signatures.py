"""secp256k1 signatures as Ethereum makes them, in the one form that we accept.

65 bytes: r, s, v; ``0 < r < n``, ``0 < s <= n / 2``, v is 27 or 28. The other s of the same
signature would recover to the same address; refusing it leaves one encoding for one signature.

Signing is deterministic (RFC 6979). It is pure Python where coincurve is absent, hence not constant
in time: keep keys that guard much in a wallet of their own and sign the digests there.
"""

from dataclasses import dataclass, field
from typing import Final

from verifiable.crypto.address import checksum_address
from verifiable.crypto.hashing import keccak256
from verifiable.errors import EncodingError, SignatureRejectedError
from verifiable.types import Address

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order ``n`` of secp256k1."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secp256k1 private key; its text form never shows the secret."""

    secret: bytes = field(repr=False)
    """32 bytes, big-endian, in ``1 .. n - 1``."""

    def __post_init__(self) -> None:
        if len(self.secret) != 32:
            raise EncodingError(f"a private key is 32 bytes, got {len(self.secret)}")
        if not 0 < int.from_bytes(self.secret, "big") < ORDER:
            raise EncodingError("the private key is not in 1..n-1")

    @property
    def address(self) -> Address:
        """Account of this key."""
        from eth_keys.datatypes import PrivateKey

        public = PrivateKey(self.secret).public_key
        return checksum_address(public.to_canonical_address())

    def sign(self, digest: bytes) -> bytes:
        """Sign a 32-byte digest: 65 bytes, low s, v of 27 or 28."""
        from eth_keys.datatypes import PrivateKey

        assert len(digest) == 32, len(digest)
        made = PrivateKey(self.secret).sign_msg_hash(digest)
        r, s, odd = int(made.r), int(made.s), int(made.v)
        if s > ORDER // 2:
            s, odd = ORDER - s, odd ^ 1
        return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([27 + odd])


def personal_digest(message: bytes) -> bytes:
    r"""Digest of a message that a wallet signs as text or bytes (``personal_sign``).

    References
    ----------
    EIP-191, version 0x45.

    Examples
    --------
    >>> personal_digest(b"hello").hex()[:8]
    '50b2c43f'
    """
    return keccak256(b"\x19Ethereum Signed Message:\n%d" % len(message) + message)


def check_signature_form(signature: bytes) -> None:
    """Refuse every encoding of a signature but the canonical one.

    Raises
    ------
    EncodingError
        If `signature` is not 65 bytes long, v is not 27 or 28, or r or s is out of range.
    """
    if len(signature) != 65:
        raise EncodingError(f"a signature is 65 bytes, got {len(signature)}")
    r, s, v = _split(signature)
    if v not in (27, 28):
        raise EncodingError(f"v of the signature is {v}, wanted 27 or 28")
    if not 0 < r < ORDER:
        raise EncodingError("r of the signature is not in 1..n-1")
    if not 0 < s <= ORDER // 2:
        raise EncodingError("s of the signature is not in 1..n/2 (a malleable form)")


def recover(digest: bytes, signature: bytes) -> Address:
    """Account whose key made `signature` of a 32-byte `digest`.

    Raises
    ------
    EncodingError
        If the signature is not in canonical form.
    SignatureRejectedError
        If no key at all can have made it.
    """
    from eth_keys.datatypes import Signature
    from eth_keys.exceptions import BadSignature
    from eth_utils.exceptions import ValidationError

    check_signature_form(signature)
    assert len(digest) == 32, len(digest)
    r, s, v = _split(signature)
    try:
        public = Signature(vrs=(v - 27, r, s)).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError) as e:
        raise SignatureRejectedError(f"no key can have made the signature: {e}") from e
    return checksum_address(public.to_canonical_address())


def check_signature(digest: bytes, signature: bytes, signer: Address, *, what: str) -> None:
    """Check that `signature` of `digest` is `signer`'s.

    Parameters
    ----------
    digest : bytes
        32 bytes.
    signature : bytes
        65 bytes.
    signer : Address
    what : str
        Name of the signature, for the message.

    Raises
    ------
    EncodingError
        If the signature is not in canonical form.
    SignatureRejectedError
        If it is somebody else's.
    """
    made_by = recover(digest, signature)
    if made_by != signer:
        raise SignatureRejectedError(f"{what} was made by {made_by}, wanted {signer}")


def _split(signature: bytes) -> tuple[int, int, int]:
    r, s = signature[:32], signature[32:64]
    return int.from_bytes(r, "big"), int.from_bytes(s, "big"), signature[64]

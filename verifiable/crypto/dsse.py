"""DSSE envelopes with one Ethereum signature, in canonical JSON.

The signature covers the payload's type and bytes through the pre-authentication encoding (PAE),
which no other message of ours can equal. The envelope itself has one encoding: standard base64
with padding, RFC 8785 JSON, no byte before or after.

References
----------
DSSE protocol 1.0.2, https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from verifiable.crypto.hashing import canonical_json, parse_canonical_json
from verifiable.crypto.signatures import (
    SigningKey,
    check_signature,
    check_signature_form,
    personal_digest,
)
from verifiable.crypto.strict import (
    read_address,
    read_constant,
    read_list,
    read_object,
    shown,
)
from verifiable.errors import EncodingError
from verifiable.types import Address

MOST_BYTES: Final = 64 * 2**20
"""Longest envelope that is read: a proof has tens of kilobytes, so this is a bound on abuse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A signed payload."""

    payload_type: str
    payload: bytes
    signer: Address
    """Who is said to have signed (``keyid``); nothing is checked yet."""
    signature: bytes
    """65 bytes."""


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Give the bytes that are signed.

    >>> pre_authentication_encoding("a/b", b"hello")
    b'DSSEv1 3 a/b 5 hello'
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(payload_type: str, payload: bytes, key: SigningKey) -> Envelope:
    """Sign a payload with EIP-191 over its PAE."""
    message = pre_authentication_encoding(payload_type, payload)
    return Envelope(
        payload_type=payload_type,
        payload=payload,
        signer=key.address,
        signature=key.sign(personal_digest(message)),
    )


def check_seal(envelope: Envelope) -> None:
    """Check that the signature is the one of the signer the envelope names.

    Raises
    ------
    EncodingError
        If the signature is not in canonical form.
    SignatureRejectedError
        If it is somebody else's.
    """
    message = pre_authentication_encoding(envelope.payload_type, envelope.payload)
    check_signature(
        personal_digest(message),
        envelope.signature,
        envelope.signer,
        what="the envelope's signature",
    )


def encode_envelope(envelope: Envelope) -> bytes:
    """Write the envelope's bytes; the inverse of `parse_envelope`."""
    signature = {"keyid": envelope.signer, "sig": _to_base64(envelope.signature)}
    return canonical_json(
        {
            "payload": _to_base64(envelope.payload),
            "payloadType": envelope.payload_type,
            "signatures": [signature],
        }
    )


def parse_envelope(data: bytes, *, payload_type: str) -> Envelope:
    """Read an envelope, without checking its signature.

    Parameters
    ----------
    data : bytes
    payload_type : str
        The only type that is accepted.

    Raises
    ------
    EncodingError
        If `data` is not the canonical encoding of an envelope with one signature.
    """
    if len(data) > MOST_BYTES:
        raise EncodingError(f"envelope has {len(data)} bytes, more than {MOST_BYTES}")
    value = read_object(
        parse_canonical_json(data, what="envelope"),
        "envelope",
        ("payload", "payloadType", "signatures"),
    )
    read_constant(value["payloadType"], "envelope.payloadType", payload_type)
    signatures = read_list(value["signatures"], "envelope.signatures")
    if len(signatures) != 1:
        raise EncodingError(f"envelope.signatures has {len(signatures)} entries, wanted 1")
    entry = read_object(signatures[0], "envelope.signatures[0]", ("keyid", "sig"))
    signature = _read_base64(entry["sig"], "envelope.signatures[0].sig")
    check_signature_form(signature)
    return Envelope(
        payload_type=payload_type,
        payload=_read_base64(value["payload"], "envelope.payload"),
        signer=read_address(entry["keyid"], "envelope.signatures[0].keyid"),
        signature=signature,
    )


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _read_base64(value: object, at: str) -> bytes:
    if not isinstance(value, str):
        raise EncodingError(f"{at} is not a string: {shown(value)}")
    try:
        data = base64.b64decode(value.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as e:
        raise EncodingError(f"{at} is not base64: {e}") from e
    # The decoder ignores the unused low bits of the last digit; we must not.
    if _to_base64(data) != value:
        raise EncodingError(f"{at} is base64 in another form than the canonical one")
    return data

"""Signatures in their one form, and envelopes."""

from typing import Any

import pytest
from costly import costly
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from verifiable.crypto.address import (
    address_bytes,
    checksum_address,
    parse_address,
)
from verifiable.crypto.dsse import (
    Envelope,
    check_seal,
    encode_envelope,
    parse_envelope,
    pre_authentication_encoding,
    seal,
)
from verifiable.crypto.signatures import (
    ORDER,
    SigningKey,
    check_signature,
    check_signature_form,
    personal_digest,
    recover,
)
from verifiable.errors import EncodingError, SignatureRejectedError, VerifiableError
from verifiable.types import Address

KEY = SigningKey(bytes(31) + b"\x07")
DIGEST = bytes(range(32))
SIGNATURE = KEY.sign(DIGEST)
keys = st.integers(1, ORDER - 1).map(lambda n: SigningKey(n.to_bytes(32, "big")))


@costly(keys, st.binary(max_size=200))
def test_a_wallet_makes_the_same_signature(key: SigningKey, message: bytes) -> None:
    wallet = Account.from_key(key.secret)
    theirs = wallet.sign_message(encode_defunct(primitive=message))
    assert key.address == wallet.address
    assert key.sign(personal_digest(message)) == theirs.signature
    assert recover(personal_digest(message), theirs.signature) == wallet.address


@costly(keys, st.binary(min_size=32, max_size=32))
def test_the_other_half_of_a_signature_is_refused(key: SigningKey, digest: bytes) -> None:
    signature = key.sign(digest)
    s = ORDER - int.from_bytes(signature[32:64], "big")
    twin = signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])
    with pytest.raises(EncodingError, match="malleable"):
        recover(digest, twin)


@costly(st.integers(0, 64), st.integers(1, 255))
def test_no_changed_byte_leaves_a_signature_valid(at: int, mask: int) -> None:
    changed = bytearray(SIGNATURE)
    changed[at] ^= mask
    with pytest.raises((EncodingError, SignatureRejectedError)):
        check_signature(DIGEST, bytes(changed), KEY.address, what="it")


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        (b"", "65 bytes"),
        (bytes(66), "65 bytes"),
        (bytes(64) + b"\x1b", "r of the signature"),
        (ORDER.to_bytes(32, "big") + bytes(31) + b"\x01\x1b", "r of the signature"),
        (bytes(31) + b"\x01" + bytes(32) + b"\x1b", "s of the signature"),
        (bytes(31) + b"\x01" + bytes(31) + b"\x01\x00", "v of the signature"),
        (bytes(31) + b"\x01" + bytes(31) + b"\x01\x1d", "v of the signature"),
    ],
)
def test_signatures_of_another_form_are_refused(signature: bytes, message: str) -> None:
    with pytest.raises(EncodingError, match=message):
        check_signature_form(signature)


@given(st.binary(min_size=65, max_size=65), st.binary(min_size=32, max_size=32))
def test_arbitrary_signatures_never_give_a_traceback(signature: bytes, digest: bytes) -> None:
    forms = (
        signature,
        b"\0" * 16 + signature[16:64] + b"\x1b",
        signature[:32] + bytes(32) + b"\x1c",
    )
    for form in forms:
        try:
            recover(digest, form)
        except VerifiableError:
            continue


def test_an_r_that_is_no_point_is_rejected() -> None:
    # No point of secp256k1 has x = 5.
    signature = bytes(31) + b"\x05" + bytes(31) + b"\x01\x1b"
    with pytest.raises(SignatureRejectedError, match="no key"):
        recover(DIGEST, signature)


@pytest.mark.parametrize("secret", [b"", bytes(32), ORDER.to_bytes(32, "big"), bytes(33)])
def test_numbers_that_are_no_keys_are_refused(secret: bytes) -> None:
    with pytest.raises(EncodingError, match="private key"):
        SigningKey(secret)


def test_a_key_never_shows_its_secret() -> None:
    assert repr(KEY) == str(KEY) == "SigningKey()"


@given(st.binary(min_size=20, max_size=20))
def test_addresses_are_checksummed_as_elsewhere_and_read_back(data: bytes) -> None:
    address = checksum_address(data)
    assert str(address) == to_checksum_address(data)
    assert address_bytes(address) == data
    for typed in (address, "0x" + data.hex(), "0x" + data.hex().upper()):
        assert parse_address(typed) == address


@given(st.binary(min_size=20, max_size=20), st.integers(2, 41))
def test_a_mistyped_letter_case_is_refused(data: bytes, at: int) -> None:
    address = checksum_address(data)
    typed = address[:at] + address[at].swapcase() + address[at + 1 :]
    if typed == address or typed[2:] in (data.hex(), data.hex().upper()):
        return
    with pytest.raises(EncodingError, match="EIP-55"):
        parse_address(typed)


@pytest.mark.parametrize("text", ["", "0x", "5a" * 20, "0x" + "5a" * 19, "0x" + "5g" * 20, "0x5\n"])
def test_text_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(EncodingError, match="not an address"):
        parse_address(text)


def test_the_pre_authentication_encoding_is_that_of_the_specification() -> None:
    # The example of the DSSE 1.0.2 protocol text.
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@given(st.text("ab 1", max_size=5), st.binary(max_size=5), st.text("ab 1"), st.binary(max_size=5))
def test_the_pre_authentication_encoding_is_injective(
    kind: str, payload: bytes, other_kind: str, other_payload: bytes
) -> None:
    same = pre_authentication_encoding(kind, payload) == pre_authentication_encoding(
        other_kind, other_payload
    )
    assert same == ((kind, payload) == (other_kind, other_payload))


@costly(st.binary(max_size=100))
def test_envelopes_are_read_back_and_hold(payload: bytes) -> None:
    envelope = seal("a/b", payload, KEY)
    assert parse_envelope(encode_envelope(envelope), payload_type="a/b") == envelope
    check_seal(envelope)


def test_an_envelope_of_somebody_else_is_rejected() -> None:
    made = seal("a/b", b"x", KEY)
    other = SigningKey(bytes(31) + b"\x08").address

    def envelope(**changes: Any) -> Envelope:
        fields = {
            "payload_type": made.payload_type,
            "payload": made.payload,
            "signer": made.signer,
            "signature": made.signature,
        }
        return Envelope(**{**fields, **changes})

    for changed in (
        envelope(signer=Address(other)),
        envelope(payload=b"y"),
        envelope(payload_type="a/c"),
    ):
        with pytest.raises(SignatureRejectedError):
            check_seal(changed)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"eA=="', b'"eB=="', "another form than the canonical"),
        (b'"eA=="', b'"eA="', "not base64"),
        (b'"eA=="', b'"e-=="', "not base64"),
        (b'"eA=="', b'"\xc3\xa9"', "not base64"),
        (b'"eA=="', b"7", "not a string"),
        (b'"a/b"', b'"a/c"', "envelope.payloadType"),
        (b"}]", b"},{}]", "2 entries"),
        (b'"payload"', b'"payloac"', "lacks the field `payload`"),
        (b'{"payload"', b'{"a":1,"payload"', "unknown field `a`"),
        (b'{"payload"', b'{ "payload"', "canonical"),
    ],
)
def test_a_malformed_envelope_is_refused_by_name(old: bytes, new: bytes, message: str) -> None:
    data = encode_envelope(seal("a/b", b"x", KEY))
    assert old in data
    with pytest.raises(EncodingError, match=message):
        parse_envelope(data.replace(old, new, 1), payload_type="a/b")

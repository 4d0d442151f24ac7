"""What receipts of both venues share: the document around a claim, and who signed it.

An in-toto Statement in a DSSE envelope, so that supply-chain tools can read it; inside, an EIP-712
signature of the claim, so that contracts can. It has exactly one encoding.

References
----------
in-toto Attestation Framework, Statement v1; DSSE 1.0.2; EIP-712; RFC 8785.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from verifiable.claim import CanonClaim, Claim, Header, claim_id, claim_to_json
from verifiable.crypto.dsse import Envelope, check_seal, parse_envelope, seal
from verifiable.crypto.hashing import Json, canonical_json, parse_canonical_json
from verifiable.crypto.signatures import SigningKey, check_signature, check_signature_form
from verifiable.crypto.strict import read_constant, read_hex, read_object, read_text, to_hex
from verifiable.errors import (
    EncodingError,
    InputError,
    SignatureRejectedError,
    StatementRejectedError,
)
from verifiable.expectation import Expected, ExpectedBond
from verifiable.types import Sha256

SCHEMA: Final = "verifiable/receipt/1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:verifiable:receipt:1"

_T = TypeVar("_T")


class Signed(Protocol):
    """What a receipt of either venue has."""

    @property
    def claim(self) -> Claim | CanonClaim:
        """What is claimed."""

    @property
    def versions(self) -> tuple[tuple[str, str], ...]:
        """Program and version, ordered by name: what the provider says it ran."""

    @property
    def signature(self) -> bytes:
        """65-byte EIP-712 signature of the claim."""

    @property
    def envelope_signature(self) -> bytes:
        """65-byte EIP-191 signature of the whole statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document as it was read; nothing in it is checked but its form."""

    subjects: Json
    predicate: Mapping[str, Json]
    """The fields of its venue; those that both venues have among them."""
    versions: tuple[tuple[str, str], ...]
    signature: bytes
    envelope: Envelope


def check_maker(
    claim: Claim | CanonClaim, versions: Sequence[tuple[str, str]], key: SigningKey
) -> None:
    """Check that a key may sign a claim, and that no program stands twice.

    Raises
    ------
    InputError
        If the key is not the provider's.
    EncodingError
        If a program stands twice in `versions`.
    """
    if key.address != claim.header.provider:
        raise InputError(
            f"the signing key is {key.address}'s, the claim's provider is {claim.header.provider}"
        )
    if len(dict(versions)) != len(versions):
        raise EncodingError("a program stands twice in versions")


def sealed(statement: Json, key: SigningKey) -> bytes:
    """Signature of a statement in its envelope."""
    return seal(PAYLOAD_TYPE, canonical_json(statement), key).signature


def statement_json(
    receipt: Signed, digests: Iterable[tuple[str, Sha256]], evidence: Json, **more: Json
) -> Json:
    """The in-toto Statement of a receipt.

    Parameters
    ----------
    receipt : Signed
    digests : iterable of (str, Sha256)
        What the claim is about.
    evidence : JSON
    more
        Fields that only the receipt's venue has.
    """
    return {
        "_type": STATEMENT_TYPE,
        "subject": subjects_json(digests),
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "schema": SCHEMA,
            "claim": claim_to_json(receipt.claim),
            "evidence": evidence,
            "signature": to_hex(receipt.signature),
            "versions": dict(receipt.versions),
            **more,
        },
    }


def subjects_json(digests: Iterable[tuple[str, Sha256]]) -> Json:
    """Subjects of an in-toto Statement."""
    return [{"name": name, "digest": {"sha256": digest.hex()}} for name, digest in digests]


def envelope_of(receipt: Signed, statement: Json) -> Envelope:
    """The envelope around the statement of a receipt."""
    return Envelope(
        payload_type=PAYLOAD_TYPE,
        payload=canonical_json(statement),
        signer=receipt.claim.header.provider,
        signature=receipt.envelope_signature,
    )


def parse_document(data: bytes, *more: str) -> Document:
    """Read a document, without believing anything it says.

    Parameters
    ----------
    data : bytes
    more
        Fields of the predicate that only this venue has.

    Raises
    ------
    EncodingError
        If `data` is not the canonical encoding of a document with these fields.
    """
    envelope = parse_envelope(data, payload_type=PAYLOAD_TYPE)
    at = "statement"
    value = parse_canonical_json(envelope.payload, what=at)
    statement = read_object(value, at, ("_type", "subject", "predicateType", "predicate"))
    read_constant(statement["_type"], f"{at}._type", STATEMENT_TYPE)
    read_constant(statement["predicateType"], f"{at}.predicateType", PREDICATE_TYPE)

    at = "predicate"
    names = ("schema", "claim", "evidence", "signature", "versions", *more)
    predicate = read_object(statement["predicate"], at, names)
    read_constant(predicate["schema"], f"{at}.schema", SCHEMA)
    signature = read_hex(predicate["signature"], f"{at}.signature", width=65)
    check_signature_form(signature)
    return Document(
        subjects=statement["subject"],
        predicate=predicate,
        versions=_read_versions(predicate["versions"], f"{at}.versions"),
        signature=signature,
        envelope=envelope,
    )


def check_repeated(document: Document, receipt: Signed, statement: Json) -> None:
    """Check that a document says of itself what the receipt that was read from it says.

    Raises
    ------
    EncodingError
        If its subjects or its signer are others.
    """
    assert isinstance(statement, dict)
    if document.subjects != statement["subject"]:
        raise EncodingError("statement.subject does not list the digests of the claim")
    if document.envelope.signer != receipt.claim.header.provider:
        raise EncodingError("envelope.signatures[0].keyid is not the claim's provider")
    # Everything has been read; whatever was read loosely after all would show here.
    assert canonical_json(statement) == document.envelope.payload


def check_signers(receipt: Signed, statement: Json, expected: Expected | ExpectedBond) -> None:
    """Check that the envelope and the claim are both signed by the expected provider.

    Raises
    ------
    SignatureRejectedError
    """
    provider = receipt.claim.header.provider
    if provider != expected.provider:
        raise SignatureRejectedError(f"the receipt is {provider}'s, wanted {expected.provider}'s")
    check_seal(envelope_of(receipt, statement))
    check_signature(
        claim_id(receipt.claim), receipt.signature, expected.provider, what="the claim's signature"
    )


def check_header(header: Header, expected: Expected | ExpectedBond) -> Header:
    """Check for whom and what a claim is made; the expiry is for the venue to check.

    Returns
    -------
    Header
        Made of the caller's own values, but for the expiry.

    Raises
    ------
    StatementRejectedError
        If venue, semantics, job, nonce, chain or contract is another.
    """
    same("venue", header.venue, expected.venue)
    same("semantics", header.semantics, expected.semantics)
    same("job id", to_hex(header.job_id), to_hex(expected.job_id))
    same("nonce", to_hex(header.nonce), to_hex(expected.nonce))
    same("chain id", header.chain_id, expected.chain_id)
    same("verifier", header.verifier, expected.verifier)
    return replace(
        header,
        venue=expected.venue,
        semantics=expected.semantics,
        job_id=expected.job_id,
        nonce=expected.nonce,
        chain_id=expected.chain_id,
        verifier=expected.verifier,
        provider=expected.provider,
    )


def same(name: str, got: _T, wanted: _T) -> None:
    """Reject a statement that is another than the caller's."""
    if got != wanted:
        raise StatementRejectedError(f"{name} is {got}, wanted {wanted}")


def _read_versions(value: Json, at: str) -> tuple[tuple[str, str], ...]:
    fields = read_object(value, at, (), value if isinstance(value, dict) else ())
    return tuple(
        sorted(
            (read_text(name, f"{at} (name)", most=64), read_text(text, f"{at}.{name}", most=64))
            for name, text in fields.items()
        )
    )

"""Receipt v1: a claim, the evidence for it and the provider's signatures, in one document.

An in-toto Statement in a DSSE envelope, so that supply-chain tools can read it; inside, an EIP-712
signature of the claim, so that contracts can. It has exactly one encoding.

What this module checks are documents. Whether the proofs hold is for ``proofs`` to say, which is
handed the claim that `check_document` returns: the caller's own values wherever the caller has any.

References
----------
in-toto Attestation Framework, Statement v1; DSSE 1.0.2; EIP-712; RFC 8785.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from verifiable.claim import Claim, EzklPart, claim_from_json, claim_id, claim_to_json
from verifiable.crypto.dsse import Envelope, check_seal, encode_envelope, parse_envelope, seal
from verifiable.crypto.hashing import Json, canonical_json, parse_canonical_json
from verifiable.crypto.signatures import SigningKey, check_signature, check_signature_form
from verifiable.crypto.strict import (
    read_bool,
    read_constant,
    read_hex,
    read_list,
    read_object,
    read_text,
    to_hex,
)
from verifiable.errors import (
    EncodingError,
    InputError,
    InsecureSrsError,
    SignatureRejectedError,
    StatementRejectedError,
)
from verifiable.expectation import Expected, ExpectedPart
from verifiable.types import Felt, Sha256

SCHEMA: Final = "verifiable/receipt/1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:verifiable:receipt:1"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A receipt as it was read or made; see `check_document` for what to believe of it."""

    claim: Claim
    proofs: tuple[bytes, ...]
    """One for each part of the claim."""
    versions: tuple[tuple[str, str], ...]
    """Program and version, ordered by name: what the provider says it ran. For diagnosis only."""
    signature: bytes
    """65-byte EIP-712 signature of the claim."""
    envelope_signature: bytes
    """65-byte EIP-191 signature of the whole statement."""


def build_receipt(
    claim: Claim, proofs: Sequence[bytes], versions: Sequence[tuple[str, str]], key: SigningKey
) -> Receipt:
    """Sign a claim and its evidence.

    Parameters
    ----------
    claim : Claim
    proofs : sequence of bytes
        One for each part of the claim.
    versions : sequence of (str, str)
        Program and version.
    key : SigningKey
        The provider's.

    Raises
    ------
    InputError
        If the key is not the provider's.
    EncodingError
        If there is not one proof for each part, or a program stands twice in `versions`.
    """
    if key.address != claim.header.provider:
        raise InputError(
            f"the signing key is {key.address}'s, the claim's provider is {claim.header.provider}"
        )
    unsealed = Receipt(
        claim=claim,
        proofs=tuple(proofs),
        versions=tuple(sorted(versions)),
        signature=key.sign(claim_id(claim)),
        envelope_signature=b"",
    )
    if len(dict(versions)) != len(versions):
        raise EncodingError("a program stands twice in versions")
    _check_counts(unsealed)
    sealed = seal(PAYLOAD_TYPE, canonical_json(_statement(unsealed)), key)
    return replace(unsealed, envelope_signature=sealed.signature)


def encode_receipt(receipt: Receipt) -> bytes:
    """Write the bytes of a receipt; the inverse of `parse_receipt`."""
    return encode_envelope(_envelope(receipt))


def parse_receipt(data: bytes) -> Receipt:
    """Read a receipt, without believing anything it says.

    Raises
    ------
    EncodingError
        If `data` is not the canonical encoding of a receipt: the message names the field. A
        receipt that repeats a fact (a digest, the insecure flag, the signer) and contradicts
        itself encodes nothing.
    """
    envelope = parse_envelope(data, payload_type=PAYLOAD_TYPE)
    at = "statement"
    value = parse_canonical_json(envelope.payload, what=at)
    statement = read_object(value, at, ("_type", "subject", "predicateType", "predicate"))
    read_constant(statement["_type"], f"{at}._type", STATEMENT_TYPE)
    read_constant(statement["predicateType"], f"{at}.predicateType", PREDICATE_TYPE)

    at = "predicate"
    names = ("schema", "claim", "evidence", "signature", "versions", "insecure_srs")
    predicate = read_object(statement["predicate"], at, names)
    read_constant(predicate["schema"], f"{at}.schema", SCHEMA)
    evidence = read_object(predicate["evidence"], f"{at}.evidence", ("system", "proofs"))
    read_constant(evidence["system"], f"{at}.evidence.system", "ezkl")
    signature = read_hex(predicate["signature"], f"{at}.signature", width=65)
    check_signature_form(signature)
    proofs = read_list(evidence["proofs"], f"{at}.evidence.proofs")
    receipt = Receipt(
        claim=claim_from_json(predicate["claim"], f"{at}.claim"),
        proofs=tuple(
            read_hex(proof, f"{at}.evidence.proofs[{i}]") for i, proof in enumerate(proofs)
        ),
        versions=_read_versions(predicate["versions"], f"{at}.versions"),
        signature=signature,
        envelope_signature=envelope.signature,
    )
    _check_counts(receipt)
    if (
        read_bool(predicate["insecure_srs"], f"{at}.insecure_srs")
        != receipt.claim.subject.insecure_srs
    ):
        raise EncodingError(f"{at}.insecure_srs is not what the claim says")
    if statement["subject"] != _subjects(receipt.claim):
        raise EncodingError("statement.subject does not list the digests of the claim")
    if envelope.signer != receipt.claim.header.provider:
        raise EncodingError("envelope.signatures[0].keyid is not the claim's provider")
    # Everything has been read; whatever was read loosely after all would show here.
    assert canonical_json(_statement(receipt)) == envelope.payload
    return receipt


def check_document(receipt: Receipt | bytes, expected: Expected, *, now: int) -> Claim:
    """Check everything about a receipt but its proofs.

    0. The bytes are the canonical encoding of a receipt (`parse_receipt`).
    1. The envelope's signature is the expected provider's.
    2. The claim's signature is the expected provider's.
    3. Venue and semantics are the expected ones.
    4. Job, nonce, chain and contract are the expected ones.
    5. `now` is not after the expiry.
    6. Model and circuits are the expected ones, by digest, in order and in number.
    7. Each instance that the caller stated is the one in the claim.
    8. The SRS is secure, or the caller allowed an insecure one; the receipt does not hide which.

    The caller must still check the receipt's proofs, against the claim returned here.

    Parameters
    ----------
    receipt : Receipt or bytes
    expected : Expected
        Nothing in it may stem from `receipt`.
    now : int
        Unix seconds.

    Returns
    -------
    Claim
        Made of the caller's own values; only the instances that the caller left open, and the
        expiry, stem from the receipt.

    Raises
    ------
    EncodingError
        Step 0.
    SignatureRejectedError
        Steps 1 and 2.
    StatementRejectedError
        Steps 3 to 7, and 8 if the receipt hides an insecure SRS.
    InsecureSrsError
        Step 8.
    """
    if isinstance(receipt, bytes):
        receipt = parse_receipt(receipt)
    # A receipt that was built by hand has not been through `parse_receipt`.
    _check_counts(receipt)
    claim, header = receipt.claim, receipt.claim.header
    if header.provider != expected.provider:
        raise SignatureRejectedError(
            f"the receipt is {header.provider}'s, wanted {expected.provider}'s"
        )
    check_seal(_envelope(receipt))
    check_signature(
        claim_id(claim), receipt.signature, expected.provider, what="the claim's signature"
    )
    _same("venue", header.venue, expected.venue)
    _same("semantics", header.semantics, expected.semantics)
    _same("job id", to_hex(header.job_id), to_hex(expected.job_id))
    _same("nonce", to_hex(header.nonce), to_hex(expected.nonce))
    _same("chain id", header.chain_id, expected.chain_id)
    _same("verifier", header.verifier, expected.verifier)
    if now > header.expiry:
        raise StatementRejectedError(
            f"the receipt expired at {header.expiry}, {now - header.expiry} s ago"
        )
    _same("model digest", to_hex(claim.subject.model), to_hex(expected.model))
    _same("number of parts", len(claim.subject.parts), len(expected.parts))
    for i, (got, wanted) in enumerate(zip(claim.subject.parts, expected.parts, strict=True)):
        _check_part(f"part {i}", got, wanted)
    _check_srs(claim, expected)
    return _substitute(claim, expected)


def _check_part(name: str, got: EzklPart, wanted: ExpectedPart) -> None:
    _same(f"{name}: ONNX digest", to_hex(got.onnx), to_hex(wanted.onnx))
    _same(f"{name}: settings digest", to_hex(got.settings), to_hex(wanted.settings))
    _same(f"{name}: verifying key digest", to_hex(got.vk), to_hex(wanted.vk))
    _same(f"{name}: number of instances", len(got.instances), len(wanted.instances))
    for i, (x, known) in enumerate(zip(got.instances, wanted.instances, strict=True)):
        if known is not None:
            _same(f"{name}: instance {i}", hex(x), hex(known))


def _check_srs(claim: Claim, expected: Expected) -> None:
    hint = "--allow-insecure-srs accepts it, for development only"
    if (expected.insecure_srs or claim.subject.insecure_srs) and not expected.allow_insecure_srs:
        raise InsecureSrsError(
            "made with a development SRS: whoever made that SRS can prove anything", hint=hint
        )
    _same("insecure SRS flag", claim.subject.insecure_srs, expected.insecure_srs)


def _substitute(claim: Claim, expected: Expected) -> Claim:
    def fill(got: EzklPart, wanted: ExpectedPart) -> EzklPart:
        pairs = zip(got.instances, wanted.instances, strict=True)
        instances = tuple(Felt(x if known is None else known) for x, known in pairs)
        return EzklPart(
            onnx=wanted.onnx, settings=wanted.settings, vk=wanted.vk, instances=instances
        )

    header = replace(
        claim.header,
        venue=expected.venue,
        semantics=expected.semantics,
        job_id=expected.job_id,
        nonce=expected.nonce,
        chain_id=expected.chain_id,
        verifier=expected.verifier,
        provider=expected.provider,
    )
    parts = zip(claim.subject.parts, expected.parts, strict=True)
    subject = replace(
        claim.subject,
        model=expected.model,
        insecure_srs=expected.insecure_srs,
        parts=tuple(fill(got, wanted) for got, wanted in parts),
    )
    return Claim(header=header, subject=subject)


def _same(name: str, got: _T, wanted: _T) -> None:
    if got != wanted:
        raise StatementRejectedError(f"{name} is {got}, wanted {wanted}")


def _check_counts(receipt: Receipt) -> None:
    proofs, parts = len(receipt.proofs), len(receipt.claim.subject.parts)
    if proofs != parts:
        raise EncodingError(f"evidence has {proofs} proofs for {parts} parts")


def _read_versions(value: Json, at: str) -> tuple[tuple[str, str], ...]:
    fields = read_object(value, at, (), value if isinstance(value, dict) else ())
    return tuple(
        sorted(
            (read_text(name, f"{at} (name)", most=64), read_text(text, f"{at}.{name}", most=64))
            for name, text in fields.items()
        )
    )


def _subjects(claim: Claim) -> Json:
    def listed() -> Iterator[tuple[str, Sha256]]:
        yield "model.onnx", claim.subject.model
        for i, part in enumerate(claim.subject.parts):
            yield f"parts/{i}/onnx", part.onnx
            yield f"parts/{i}/settings", part.settings
            yield f"parts/{i}/vk", part.vk

    return [{"name": name, "digest": {"sha256": digest.hex()}} for name, digest in listed()]


def _statement(receipt: Receipt) -> Json:
    return {
        "_type": STATEMENT_TYPE,
        "subject": _subjects(receipt.claim),
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "schema": SCHEMA,
            "claim": claim_to_json(receipt.claim),
            "evidence": {"system": "ezkl", "proofs": [to_hex(proof) for proof in receipt.proofs]},
            "signature": to_hex(receipt.signature),
            "versions": dict(receipt.versions),
            "insecure_srs": receipt.claim.subject.insecure_srs,
        },
    }


def _envelope(receipt: Receipt) -> Envelope:
    return Envelope(
        payload_type=PAYLOAD_TYPE,
        payload=canonical_json(_statement(receipt)),
        signer=receipt.claim.header.provider,
        signature=receipt.envelope_signature,
    )

"""Receipts of the zk venue: a claim, proofs of its parts, and the provider's signatures.

What this module checks are documents. Whether the proofs hold is for ``proofs`` to say, which is
handed the claim that `check_document` returns: the caller's own values wherever the caller has any.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from verifiable.claim import Claim, EzklPart, EzklSubject, claim_from_json, claim_id
from verifiable.crypto.dsse import encode_envelope
from verifiable.crypto.hashing import Json
from verifiable.crypto.signatures import SigningKey
from verifiable.crypto.strict import (
    read_bool,
    read_constant,
    read_hex,
    read_list,
    read_object,
    to_hex,
)
from verifiable.errors import EncodingError, InsecureSrsError, StatementRejectedError
from verifiable.expectation import Expected, ExpectedPart
from verifiable.receipt.document import (
    check_header,
    check_maker,
    check_repeated,
    check_signers,
    envelope_of,
    parse_document,
    same,
    sealed,
    statement_json,
)
from verifiable.types import Felt, Sha256


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
    check_maker(claim, versions, key)
    unsealed = Receipt(
        claim=claim,
        proofs=tuple(proofs),
        versions=tuple(sorted(versions)),
        signature=key.sign(claim_id(claim)),
        envelope_signature=b"",
    )
    _check_counts(unsealed)
    return replace(unsealed, envelope_signature=sealed(_statement(unsealed), key))


def encode_receipt(receipt: Receipt) -> bytes:
    """Write the bytes of a receipt; the inverse of `parse_receipt`."""
    return encode_envelope(envelope_of(receipt, _statement(receipt)))


def parse_receipt(data: bytes) -> Receipt:
    """Read a receipt, without believing anything it says.

    Raises
    ------
    EncodingError
        If `data` is not the canonical encoding of a receipt: the message names the field. A
        receipt that repeats a fact (a digest, the insecure flag, the signer) and contradicts
        itself encodes nothing.
    """
    document = parse_document(data, "insecure_srs")
    predicate, at = document.predicate, "predicate"
    evidence = read_object(predicate["evidence"], f"{at}.evidence", ("system", "proofs"))
    read_constant(evidence["system"], f"{at}.evidence.system", "ezkl")
    proofs = read_list(evidence["proofs"], f"{at}.evidence.proofs")
    receipt = Receipt(
        claim=claim_from_json(predicate["claim"], f"{at}.claim"),
        proofs=tuple(
            read_hex(proof, f"{at}.evidence.proofs[{i}]") for i, proof in enumerate(proofs)
        ),
        versions=document.versions,
        signature=document.signature,
        envelope_signature=document.envelope.signature,
    )
    _check_counts(receipt)
    if (
        read_bool(predicate["insecure_srs"], f"{at}.insecure_srs")
        != receipt.claim.subject.insecure_srs
    ):
        raise EncodingError(f"{at}.insecure_srs is not what the claim says")
    check_repeated(document, receipt, _statement(receipt))
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
    check_signers(receipt, _statement(receipt), expected)
    trusted = check_header(header, expected)
    if now > header.expiry:
        raise StatementRejectedError(
            f"the receipt expired at {header.expiry}, {now - header.expiry} s ago"
        )
    same("model digest", to_hex(claim.subject.model), to_hex(expected.model))
    same("number of parts", len(claim.subject.parts), len(expected.parts))
    for i, (got, wanted) in enumerate(zip(claim.subject.parts, expected.parts, strict=True)):
        _check_part(f"part {i}", got, wanted)
    _check_srs(claim, expected)
    return Claim(header=trusted, subject=_substitute(claim.subject, expected))


def _check_part(name: str, got: EzklPart, wanted: ExpectedPart) -> None:
    same(f"{name}: ONNX digest", to_hex(got.onnx), to_hex(wanted.onnx))
    same(f"{name}: settings digest", to_hex(got.settings), to_hex(wanted.settings))
    same(f"{name}: verifying key digest", to_hex(got.vk), to_hex(wanted.vk))
    same(f"{name}: number of instances", len(got.instances), len(wanted.instances))
    for i, (x, known) in enumerate(zip(got.instances, wanted.instances, strict=True)):
        if known is not None:
            same(f"{name}: instance {i}", hex(x), hex(known))


def _check_srs(claim: Claim, expected: Expected) -> None:
    hint = "--allow-insecure-srs accepts it, for development only"
    if (expected.insecure_srs or claim.subject.insecure_srs) and not expected.allow_insecure_srs:
        raise InsecureSrsError(
            "made with a development SRS: whoever made that SRS can prove anything", hint=hint
        )
    same("insecure SRS flag", claim.subject.insecure_srs, expected.insecure_srs)


def _substitute(subject: EzklSubject, expected: Expected) -> EzklSubject:
    def fill(got: EzklPart, wanted: ExpectedPart) -> EzklPart:
        pairs = zip(got.instances, wanted.instances, strict=True)
        instances = tuple(Felt(x if known is None else known) for x, known in pairs)
        return EzklPart(
            onnx=wanted.onnx, settings=wanted.settings, vk=wanted.vk, instances=instances
        )

    parts = zip(subject.parts, expected.parts, strict=True)
    return replace(
        subject,
        model=expected.model,
        insecure_srs=expected.insecure_srs,
        parts=tuple(fill(got, wanted) for got, wanted in parts),
    )


def _check_counts(receipt: Receipt) -> None:
    proofs, parts = len(receipt.proofs), len(receipt.claim.subject.parts)
    if proofs != parts:
        raise EncodingError(f"evidence has {proofs} proofs for {parts} parts")


def _digests(claim: Claim) -> Iterator[tuple[str, Sha256]]:
    yield "model.onnx", claim.subject.model
    for i, part in enumerate(claim.subject.parts):
        yield f"parts/{i}/onnx", part.onnx
        yield f"parts/{i}/settings", part.settings
        yield f"parts/{i}/vk", part.vk


def _statement(receipt: Receipt) -> Json:
    return statement_json(
        receipt,
        _digests(receipt.claim),
        {"system": "ezkl", "proofs": [to_hex(proof) for proof in receipt.proofs]},
        insecure_srs=receipt.claim.subject.insecure_srs,
    )

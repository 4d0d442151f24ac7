"""The claim: this model, on this input, gave this output, for this job.

A claim says nothing about why it should be believed; a receipt adds that. Its id is its EIP-712
digest, which the provider signs and which contracts recompute, so every field below is inside
what is signed: a claim made for one chain, contract, job or nonce is no claim for another.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from verifiable.crypto.address import parse_address
from verifiable.crypto.eip712 import (
    address_word,
    array_word,
    domain_separator,
    string_word,
    struct_word,
    typed_digest,
    uint_word,
)
from verifiable.crypto.felt import MODULUS, felt_to_bytes
from verifiable.crypto.hashing import Json, canonical_json, parse_canonical_json
from verifiable.crypto.strict import (
    MAX_SAFE_INTEGER,
    read_address,
    read_bool,
    read_bytes32,
    read_constant,
    read_count,
    read_felt,
    read_list,
    read_object,
    read_sha256,
    read_text,
    to_hex,
)
from verifiable.errors import EncodingError
from verifiable.types import Address, Bytes32, ClaimId, Felt, Sha256

SCHEMA: Final = "verifiable/claim/1"
DOMAIN_NAME: Final = "verifiable"
DOMAIN_VERSION: Final = "1"

# EIP-712 wants the type itself first, then every type it refers to in alphabetical order.
_HEADER: Final = (
    "Header(string venue,string semantics,bytes32 jobId,bytes32 nonce,uint64 expiry,"
    "address provider)"
)
_PART: Final = "EzklPart(bytes32 onnx,bytes32 settings,bytes32 vk,uint256[] instances)"
_SUBJECT: Final = "EzklSubject(bytes32 model,bool insecureSrs,EzklPart[] parts)"
_CLAIM: Final = "EzklClaim(Header header,EzklSubject subject)"
_CANON_SUBJECT: Final = "CanonSubject(bytes32 model,bytes32 inputRoot,bytes32 outputRoot)"
_CANON_CLAIM: Final = "CanonClaim(Header header,CanonSubject subject)"

_SEMANTICS: Final = re.compile(r"[a-z][a-z0-9-]{0,31}/[0-9A-Za-z.+-]{1,32}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """For whom, for what job and until when a claim is made.

    Raises
    ------
    EncodingError
        If a field has another width or range than its description says.
    """

    venue: Literal["zk", "optimistic"]
    """Where trust comes from."""
    semantics: str
    """What the arithmetic means: name and version, such as ``ezkl/23.0.5`` or ``canon/1``."""
    job_id: Bytes32
    nonce: Bytes32
    """Chosen by whoever asked; a contract accepts it once for each provider."""
    chain_id: int
    """EIP-155 id, ``0 <= chain_id < 2**53``; 0 for receipts that are only checked off chain."""
    verifier: Address
    """The contract the claim is meant for, a verifier or a referee; the zero address off chain."""
    expiry: int
    """Last Unix second at which the claim holds, below 2**53."""
    provider: Address
    """Who ran the job and signs."""

    def __post_init__(self) -> None:
        if self.venue not in ("zk", "optimistic"):
            raise EncodingError(f"header.venue is {self.venue!r}, wanted 'zk' or 'optimistic'")
        if not _SEMANTICS.match(self.semantics):
            raise EncodingError(
                f"header.semantics is {self.semantics!r}, wanted a name, a slash and a version"
            )
        _check_width(self.job_id, "header.job_id")
        _check_width(self.nonce, "header.nonce")
        for name, number in (("chain_id", self.chain_id), ("expiry", self.expiry)):
            if not 0 <= number <= MAX_SAFE_INTEGER:
                raise EncodingError(f"header.{name} is {number}, wanted 0 to 2**53 - 1")
        for name, address in (("verifier", self.verifier), ("provider", self.provider)):
            if parse_address(address) != address:
                raise EncodingError(f"header.{name} {address} is not in EIP-55 form")


@dataclass(frozen=True, slots=True, kw_only=True)
class EzklPart:
    """One circuit: the digests that identify it, and what its proof says.

    Raises
    ------
    EncodingError
        If a digest is not 32 bytes long or an instance is not a canonical felt.
    """

    onnx: Sha256
    """Of the ONNX file the circuit was compiled from."""
    settings: Sha256
    """Of the settings in canonical JSON; the only thing that fixes the scale of the output."""
    vk: Sha256
    """Of the verifying key's file."""
    instances: tuple[Felt, ...]

    def __post_init__(self) -> None:
        for name in ("onnx", "settings", "vk"):
            _check_width(getattr(self, name), f"part.{name}")
        for i, x in enumerate(self.instances):
            if not 0 <= x < MODULUS:
                raise EncodingError(f"part.instances[{i}] is not in 0..r-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class EzklSubject:
    """The statement that ezkl proofs are about: fixed-point arithmetic near the float model.

    Raises
    ------
    EncodingError
        If the digest is not 32 bytes long or there are no parts.
    """

    model: Sha256
    """Of the whole ONNX file."""
    insecure_srs: bool
    """Whether the keys stem from a development SRS, whose maker can prove anything."""
    parts: tuple[EzklPart, ...]
    """One, unless the model was split."""

    def __post_init__(self) -> None:
        _check_width(self.model, "subject.model")
        if not self.parts:
            raise EncodingError("subject.parts is empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonSubject:
    """The statement that a dispute is about: the bits that a canonical graph gives.

    Raises
    ------
    EncodingError
        If a root is not 32 bytes long.
    """

    model: Sha256
    """Root of the graph and its weights."""
    input: Sha256
    """Root over the roots of the input tensors."""
    output: Sha256
    """Root over the roots of the output tensors."""

    def __post_init__(self) -> None:
        for name in ("model", "input", "output"):
            _check_width(getattr(self, name), f"subject.{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A header and what ezkl proofs say.

    The kinds of claim are different statements; ``kind`` keeps them apart in JSON, and their
    EIP-712 types do in what is signed.

    Raises
    ------
    EncodingError
        If the header is of another venue.
    """

    header: Header
    subject: EzklSubject

    def __post_init__(self) -> None:
        read_constant(self.header.venue, "header.venue", "zk")


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonClaim:
    """A header and what a canonical run gave; see `Claim`.

    Raises
    ------
    EncodingError
        If the header is of another venue.
    """

    header: Header
    subject: CanonSubject

    def __post_init__(self) -> None:
        read_constant(self.header.venue, "header.venue", "optimistic")


def claim_id(claim: Claim | CanonClaim) -> ClaimId:
    """Compute the EIP-712 digest of a claim: what the provider signs and contracts recompute.

    References
    ----------
    EIP-712; the Solidity twin is ``hashClaim`` in ``verifiable/contracts``.
    """
    domain = domain_separator(
        name=DOMAIN_NAME,
        version=DOMAIN_VERSION,
        chain_id=claim.header.chain_id,
        contract=claim.header.verifier,
    )
    header = _header_word(claim.header)
    if isinstance(claim, CanonClaim):
        s = claim.subject
        subject = struct_word(_CANON_SUBJECT, s.model, s.input, s.output)
        message = struct_word(_CANON_CLAIM + _CANON_SUBJECT + _HEADER, header, subject)
    else:
        subject = _subject_word(claim.subject)
        message = struct_word(_CLAIM + _PART + _SUBJECT + _HEADER, header, subject)
    return ClaimId(typed_digest(domain, message))


def claim_to_json(claim: Claim | CanonClaim) -> Json:
    """Give the JSON value of a claim; the inverse of `claim_from_json`."""
    h = claim.header
    return {
        "schema": SCHEMA,
        "header": {
            "venue": h.venue,
            "semantics": h.semantics,
            "job_id": to_hex(h.job_id),
            "nonce": to_hex(h.nonce),
            "chain_id": h.chain_id,
            "verifier": h.verifier,
            "expiry": h.expiry,
            "provider": h.provider,
        },
        "subject": _subject_to_json(claim.subject),
    }


def _subject_to_json(subject: EzklSubject | CanonSubject) -> Json:
    if isinstance(subject, CanonSubject):
        return {
            "kind": "canon",
            "model": to_hex(subject.model),
            "input": to_hex(subject.input),
            "output": to_hex(subject.output),
        }
    return {
        "kind": "ezkl",
        "model": to_hex(subject.model),
        "insecure_srs": subject.insecure_srs,
        "parts": [
            {
                "onnx": to_hex(part.onnx),
                "settings": to_hex(part.settings),
                "vk": to_hex(part.vk),
                "instances": [to_hex(felt_to_bytes(x)) for x in part.instances],
            }
            for part in subject.parts
        ],
    }


def claim_from_json(value: Json, at: str = "claim") -> Claim:
    """Read a claim of the zk venue from a JSON value; see `canon_claim_from_json` for the other.

    Parameters
    ----------
    value : JSON
    at : str
        Path of the claim in its document, for messages.

    Raises
    ------
    EncodingError
        If a field is missing, unknown, of another type or width, or not in its canonical form;
        the message names it.
    """
    fields = read_object(value, at, ("schema", "header", "subject"))
    read_constant(fields["schema"], f"{at}.schema", SCHEMA)
    return Claim(
        header=_read_header(fields["header"], f"{at}.header", "zk"),
        subject=_read_subject(fields["subject"], f"{at}.subject"),
    )


def canon_claim_from_json(value: Json, at: str = "claim") -> CanonClaim:
    """Read a claim of the optimistic venue from a JSON value; as `claim_from_json`."""
    fields = read_object(value, at, ("schema", "header", "subject"))
    read_constant(fields["schema"], f"{at}.schema", SCHEMA)
    header = _read_header(fields["header"], f"{at}.header", "optimistic")
    at = f"{at}.subject"
    subject = read_object(fields["subject"], at, ("kind", "model", "input", "output"))
    read_constant(subject["kind"], f"{at}.kind", "canon")
    return CanonClaim(
        header=header,
        subject=CanonSubject(
            model=read_sha256(subject["model"], f"{at}.model"),
            input=read_sha256(subject["input"], f"{at}.input"),
            output=read_sha256(subject["output"], f"{at}.output"),
        ),
    )


def encode_claim(claim: Claim | CanonClaim) -> bytes:
    """Write a claim as canonical JSON; `parse_claim` and `parse_canon_claim` read it."""
    return canonical_json(claim_to_json(claim))


def parse_claim(data: bytes) -> Claim:
    """Read a claim from its canonical JSON.

    Raises
    ------
    EncodingError
        If `data` is not the canonical encoding of a claim.
    """
    return claim_from_json(parse_canonical_json(data, what="claim"))


def parse_canon_claim(data: bytes) -> CanonClaim:
    """Read a claim of the optimistic venue from its canonical JSON; as `parse_claim`."""
    return canon_claim_from_json(parse_canonical_json(data, what="claim"))


def _read_header(value: Json, at: str, venue: Literal["zk", "optimistic"]) -> Header:
    names = (
        "venue", "semantics", "job_id", "nonce", "chain_id", "verifier", "expiry", "provider",
    )  # fmt: skip
    fields = read_object(value, at, names)
    read_constant(fields["venue"], f"{at}.venue", venue)
    return Header(
        venue=venue,
        semantics=read_text(fields["semantics"], f"{at}.semantics", most=65),
        job_id=read_bytes32(fields["job_id"], f"{at}.job_id"),
        nonce=read_bytes32(fields["nonce"], f"{at}.nonce"),
        chain_id=read_count(fields["chain_id"], f"{at}.chain_id"),
        verifier=read_address(fields["verifier"], f"{at}.verifier"),
        expiry=read_count(fields["expiry"], f"{at}.expiry"),
        provider=read_address(fields["provider"], f"{at}.provider"),
    )


def _read_subject(value: Json, at: str) -> EzklSubject:
    fields = read_object(value, at, ("kind", "model", "insecure_srs", "parts"))
    read_constant(fields["kind"], f"{at}.kind", "ezkl")
    parts = read_list(fields["parts"], f"{at}.parts")
    return EzklSubject(
        model=read_sha256(fields["model"], f"{at}.model"),
        insecure_srs=read_bool(fields["insecure_srs"], f"{at}.insecure_srs"),
        parts=tuple(_read_part(part, f"{at}.parts[{i}]") for i, part in enumerate(parts)),
    )


def _read_part(value: Json, at: str) -> EzklPart:
    fields = read_object(value, at, ("onnx", "settings", "vk", "instances"))
    instances = read_list(fields["instances"], f"{at}.instances")
    return EzklPart(
        onnx=read_sha256(fields["onnx"], f"{at}.onnx"),
        settings=read_sha256(fields["settings"], f"{at}.settings"),
        vk=read_sha256(fields["vk"], f"{at}.vk"),
        instances=tuple(read_felt(x, f"{at}.instances[{i}]") for i, x in enumerate(instances)),
    )


def _header_word(header: Header) -> bytes:
    words = (string_word(header.venue), string_word(header.semantics), header.job_id, header.nonce)
    return struct_word(_HEADER, *words, uint_word(header.expiry), address_word(header.provider))


def _part_word(part: EzklPart) -> bytes:
    instances = array_word(uint_word(x) for x in part.instances)
    return struct_word(_PART, part.onnx, part.settings, part.vk, instances)


def _subject_word(subject: EzklSubject) -> bytes:
    parts = array_word(_part_word(part) for part in subject.parts)
    return struct_word(_SUBJECT + _PART, subject.model, uint_word(subject.insecure_srs), parts)


def _check_width(value: bytes, name: str) -> None:
    if len(value) != 32:
        raise EncodingError(f"{name} has {len(value)} bytes, wanted 32")

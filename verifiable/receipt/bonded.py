"""Receipts of the optimistic venue: a claim, where it is bonded, and the provider's signatures.

A document can say no more than that the provider signed it. That the claim is true is for whoever
runs it again to say (``verdict``), and that it stands for ever for the referee (``chain``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from verifiable.claim import CanonClaim, CanonSubject, canon_claim_from_json, claim_id
from verifiable.crypto.dsse import encode_envelope
from verifiable.crypto.hashing import Json
from verifiable.crypto.merkle import tree_root
from verifiable.crypto.signatures import SigningKey
from verifiable.crypto.strict import (
    MAX_SAFE_INTEGER,
    read_address,
    read_bytes32,
    read_constant,
    read_count,
    read_list,
    read_object,
    read_sha256,
    to_hex,
)
from verifiable.errors import EncodingError, StatementRejectedError
from verifiable.expectation import (
    POLICY_FIELDS,
    ExpectedBond,
    RefereePolicy,
    policy_from_json,
    policy_to_json,
)
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
from verifiable.types import Bytes32, Sha256

SYSTEM: Final = "optimistic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bond:
    """Where and how a claim is bonded; chain, referee and id follow from the claim.

    Raises
    ------
    EncodingError
        If a field has another width or range than its description says.
    """

    transaction: Bytes32 | None
    """Hash of the transaction that posted the claim; None on an embedded chain, which has none.
    With `block` a pointer for people: the referee is asked by the claim's id."""
    block: int
    """Number of that transaction's block, below 2**53."""
    window_end: int
    """Last Unix second at which a challenge may be opened, below 2**53."""
    policy: RefereePolicy
    """What the provider relies on."""
    outputs: tuple[Sha256, ...] | None
    """Roots of the output tensors, in the order of the trace; their tree's root is the claim's.
    None if the provider does not list them."""

    def __post_init__(self) -> None:
        for name in ("block", "window_end"):
            number = getattr(self, name)
            if not 0 <= number <= MAX_SAFE_INTEGER:
                raise EncodingError(f"bond.{name} is {number}, wanted 0 to 2**53 - 1")
        for name, digests in (("transaction", (self.transaction,)), ("outputs", self.outputs)):
            for digest in digests or ():
                if digest is not None and len(digest) != 32:
                    raise EncodingError(f"bond.{name} has {len(digest)} bytes, wanted 32")

    @property
    def posted_at(self) -> int:
        """Unix second at which the claim was posted."""
        return self.window_end - self.policy.window


@dataclass(frozen=True, slots=True, kw_only=True)
class BondedReceipt:
    """A receipt as it was read or made; see `check_bonded_document` for what to believe of it."""

    claim: CanonClaim
    bond: Bond
    versions: tuple[tuple[str, str], ...]
    """Program and version, ordered by name: what the provider says it ran. For diagnosis only."""
    signature: bytes
    """65-byte EIP-712 signature of the claim."""
    envelope_signature: bytes
    """65-byte EIP-191 signature of the whole statement."""


def build_bonded_receipt(
    claim: CanonClaim, bond: Bond, versions: Sequence[tuple[str, str]], key: SigningKey
) -> BondedReceipt:
    """Sign a claim that was posted, and where.

    Parameters
    ----------
    claim : CanonClaim
    bond : Bond
    versions : sequence of (str, str)
        Program and version.
    key : SigningKey
        The provider's.

    Raises
    ------
    InputError
        If the key is not the provider's.
    EncodingError
        If `bond` contradicts the claim, or a program stands twice in `versions`.
    """
    check_maker(claim, versions, key)
    _check_bond(claim, bond)
    unsealed = BondedReceipt(
        claim=claim,
        bond=bond,
        versions=tuple(sorted(versions)),
        signature=key.sign(claim_id(claim)),
        envelope_signature=b"",
    )
    return replace(unsealed, envelope_signature=sealed(_statement(unsealed), key))


def encode_bonded_receipt(receipt: BondedReceipt) -> bytes:
    """Write the bytes of a receipt; the inverse of `parse_bonded_receipt`."""
    return encode_envelope(envelope_of(receipt, _statement(receipt)))


def parse_bonded_receipt(data: bytes) -> BondedReceipt:
    """Read a receipt of the optimistic venue, without believing anything it says.

    Raises
    ------
    EncodingError
        If `data` is not the canonical encoding of such a receipt: the message names the field. A
        receipt that repeats a fact (chain, referee, id, the outputs' root, the signer) and
        contradicts itself encodes nothing.
    """
    document = parse_document(data)
    claim = canon_claim_from_json(document.predicate["claim"], "predicate.claim")
    receipt = BondedReceipt(
        claim=claim,
        bond=_read_evidence(document.predicate["evidence"], "predicate.evidence", claim),
        versions=document.versions,
        signature=document.signature,
        envelope_signature=document.envelope.signature,
    )
    check_repeated(document, receipt, _statement(receipt))
    return receipt


def check_bonded_document(receipt: BondedReceipt | bytes, expected: ExpectedBond) -> CanonClaim:
    """Check everything about a receipt that needs neither a chain nor a run of the model.

    0. The bytes are the canonical encoding of a receipt (`parse_bonded_receipt`).
    1. The envelope's signature is the expected provider's.
    2. The claim's signature is the expected provider's.
    3. Venue and semantics are the expected ones.
    4. Job, nonce, chain and referee are the expected ones.
    5. The claim was posted before it expired, by what the receipt says: the referee takes no other,
       and asks for the expiry at no later time, so that today's date is none of the matter.
    6. The model's root is the expected one; so are the roots of inputs and outputs, and the policy,
       where the caller stated them.

    Nothing of this says that the claim is true, nor that the referee knows it.

    Parameters
    ----------
    receipt : BondedReceipt or bytes
    expected : ExpectedBond
        Nothing in it may stem from `receipt`.

    Returns
    -------
    CanonClaim
        Made of the caller's own values; only the roots that the caller left open, and the expiry,
        stem from the receipt.

    Raises
    ------
    EncodingError
        Step 0.
    SignatureRejectedError
        Steps 1 and 2.
    StatementRejectedError
        Steps 3 to 6.
    """
    if isinstance(receipt, bytes):
        receipt = parse_bonded_receipt(receipt)
    claim, bond = receipt.claim, receipt.bond
    # A receipt that was built by hand has not been through `parse_bonded_receipt`.
    _check_bond(claim, bond)
    check_signers(receipt, _statement(receipt), expected)
    header = check_header(claim.header, expected)
    if bond.posted_at > header.expiry:
        raise StatementRejectedError(
            f"the claim was posted at {bond.posted_at}, {bond.posted_at - header.expiry} s after "
            "it expired"
        )
    got = claim.subject
    same("model root", to_hex(got.model), to_hex(expected.model))
    wanted = CanonSubject(
        model=expected.model,
        input=got.input if expected.input is None else expected.input,
        output=got.output if expected.output is None else expected.output,
    )
    same("input root", to_hex(got.input), to_hex(wanted.input))
    same("output root", to_hex(got.output), to_hex(wanted.output))
    if expected.policy is not None:
        check_policy(bond.policy, expected.policy)
    return CanonClaim(header=header, subject=wanted)


def check_policy(got: RefereePolicy, wanted: RefereePolicy) -> None:
    """Check that a receipt's policy is the caller's, or the referee's.

    Raises
    ------
    StatementRejectedError
        The message names the first number that differs.
    """
    for name in POLICY_FIELDS:
        same(f"policy: {name.replace('_', ' ')}", getattr(got, name), getattr(wanted, name))


def _check_bond(claim: CanonClaim, bond: Bond) -> None:
    if bond.posted_at < 0:
        raise EncodingError(
            f"the window of {bond.policy.window} s ends at {bond.window_end}, before it began"
        )
    if bond.outputs is not None and tree_root(bond.outputs) != claim.subject.output:
        raise EncodingError("evidence.outputs are not the tensors of the claim's output root")


def _read_evidence(value: Json, at: str, claim: CanonClaim) -> Bond:
    names = (
        "system", "chain_id", "referee", "claim_id", "transaction", "block", "window_end",
        "policy", "outputs",
    )  # fmt: skip
    fields = read_object(value, at, names)
    read_constant(fields["system"], f"{at}.system", SYSTEM)
    repeated = (
        ("chain_id", read_count(fields["chain_id"], f"{at}.chain_id"), claim.header.chain_id),
        ("referee", read_address(fields["referee"], f"{at}.referee"), claim.header.verifier),
        ("claim_id", read_bytes32(fields["claim_id"], f"{at}.claim_id"), claim_id(claim)),
    )
    for name, got, wanted in repeated:
        if got != wanted:
            raise EncodingError(f"{at}.{name} is not the claim's")
    transaction, outputs = fields["transaction"], fields["outputs"]
    bond = Bond(
        transaction=(
            None if transaction is None else read_bytes32(transaction, f"{at}.transaction")
        ),
        block=read_count(fields["block"], f"{at}.block"),
        window_end=read_count(fields["window_end"], f"{at}.window_end"),
        policy=policy_from_json(fields["policy"], f"{at}.policy"),
        outputs=None if outputs is None else _read_digests(outputs, f"{at}.outputs"),
    )
    _check_bond(claim, bond)
    return bond


def _read_digests(value: Json, at: str) -> tuple[Sha256, ...]:
    listed = read_list(value, at)
    return tuple(read_sha256(digest, f"{at}[{i}]") for i, digest in enumerate(listed))


def _digests(claim: CanonClaim) -> Iterator[tuple[str, Sha256]]:
    yield "model", claim.subject.model
    yield "input", claim.subject.input
    yield "output", claim.subject.output


def _statement(receipt: BondedReceipt) -> Json:
    claim, bond = receipt.claim, receipt.bond
    evidence: Json = {
        "system": SYSTEM,
        "chain_id": claim.header.chain_id,
        "referee": claim.header.verifier,
        "claim_id": to_hex(claim_id(claim)),
        "transaction": None if bond.transaction is None else to_hex(bond.transaction),
        "block": bond.block,
        "window_end": bond.window_end,
        "policy": policy_to_json(bond.policy),
        "outputs": None if bond.outputs is None else [to_hex(root) for root in bond.outputs],
    }
    return statement_json(receipt, _digests(claim), evidence)

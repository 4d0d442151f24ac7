"""Claims, expectations and receipts for the tests of documents."""

import base64
import json
from dataclasses import replace
from typing import Any, TypeVar

from hypothesis import strategies as st

from verifiable.claim import CanonClaim, CanonSubject, Claim, EzklPart, EzklSubject, Header
from verifiable.crypto.address import ZERO_ADDRESS, checksum_address
from verifiable.crypto.dsse import encode_envelope, seal
from verifiable.crypto.felt import MODULUS
from verifiable.crypto.hashing import canonical_json
from verifiable.crypto.merkle import tree_root
from verifiable.crypto.signatures import SigningKey
from verifiable.expectation import Expected, ExpectedBond, ExpectedPart, RefereePolicy
from verifiable.receipt import PAYLOAD_TYPE, Bond
from verifiable.types import Bytes32, Felt, Sha256

Whole = TypeVar("Whole", Claim, CanonClaim, Bond)

KEY = SigningKey(bytes(31) + b"\x07")
STRANGER = SigningKey(bytes(31) + b"\x08")
PROVIDER = KEY.address

NOW = 1_800_000_000

CLAIM = Claim(
    header=Header(
        venue="zk",
        semantics="ezkl/23.0.5",
        job_id=Bytes32(b"j" * 32),
        nonce=Bytes32(b"n" * 32),
        chain_id=31337,
        verifier=checksum_address(b"v" * 20),
        expiry=NOW,
        provider=PROVIDER,
    ),
    subject=EzklSubject(
        model=Sha256(b"m" * 32),
        insecure_srs=False,
        parts=(
            EzklPart(
                onnx=Sha256(b"o" * 32),
                settings=Sha256(b"s" * 32),
                vk=Sha256(b"k" * 32),
                instances=(Felt(1), Felt(MODULUS - 1), Felt(0)),
            ),
            EzklPart(
                onnx=Sha256(b"p" * 32),
                settings=Sha256(b"t" * 32),
                vk=Sha256(b"l" * 32),
                instances=(),
            ),
        ),
    ),
)
PROOFS = (b"first proof", b"second proof")
VERSIONS = (("ezkl", "23.0.5"), ("verifiable", "0.1.0"))

OUTPUTS = (Sha256(b"x" * 32), Sha256(b"y" * 32))
CANON_CLAIM = CanonClaim(
    header=replace(CLAIM.header, venue="optimistic", semantics="canon/1"),
    subject=CanonSubject(
        model=Sha256(b"m" * 32), input=Sha256(b"i" * 32), output=tree_root(OUTPUTS)
    ),
)
POLICY = RefereePolicy(
    window=86_400, allowance=3_600, bond=10**30, challenge_bond=10**17, reveal_fee=0,
    burnt_share=3_000, requester_share=2_000, refuter_gas=10**15,
)  # fmt: skip
BOND = Bond(
    transaction=Bytes32(b"t" * 32),
    block=123_456,
    window_end=NOW + POLICY.window,
    policy=POLICY,
    outputs=OUTPUTS,
)


def statement_of(document: bytes) -> Any:
    """The in-toto Statement inside of a receipt, free to be changed."""
    return json.loads(base64.b64decode(json.loads(document)["payload"]))


def resealed(value: object, key: SigningKey = KEY) -> bytes:
    """The receipt of a provider who signs whatever it likes."""
    return encode_envelope(seal(PAYLOAD_TYPE, canonical_json(value), key))


def altered(whole: Whole, part: str, **fields: Any) -> Whole:
    """A copy of `whole` of which one part has other fields."""
    parts: dict[str, Any] = {part: replace(getattr(whole, part), **fields)}
    return replace(whole, **parts)


def expected_bond_of(claim: CanonClaim, policy: RefereePolicy | None = POLICY) -> ExpectedBond:
    """What a caller expects who knows everything in `claim`."""
    h, s = claim.header, claim.subject
    return ExpectedBond(
        venue="optimistic",
        semantics=h.semantics,
        provider=h.provider,
        job_id=h.job_id,
        nonce=h.nonce,
        chain_id=h.chain_id,
        verifier=h.verifier,
        model=s.model,
        input=s.input,
        output=s.output,
        policy=policy,
    )


def expected_of(
    claim: Claim, *, known: tuple[int, ...] = (0, 1), allow_insecure_srs: bool = False
) -> Expected:
    """What a caller expects who knows everything in `claim` but some instances.

    `known` lists the indices of the instances of each part that the caller knows.
    """
    h, s = claim.header, claim.subject
    return Expected(
        venue="zk",
        semantics=h.semantics,
        provider=h.provider,
        job_id=h.job_id,
        nonce=h.nonce,
        chain_id=h.chain_id,
        verifier=h.verifier,
        model=s.model,
        insecure_srs=s.insecure_srs,
        allow_insecure_srs=allow_insecure_srs,
        parts=tuple(
            ExpectedPart(
                onnx=part.onnx,
                settings=part.settings,
                vk=part.vk,
                instances=tuple(x if i in known else None for i, x in enumerate(part.instances)),
            )
            for part in s.parts
        ),
    )


_words = st.binary(min_size=32, max_size=32)
_digests = _words.map(Sha256)
_counts = st.integers(0, 2**53 - 1)
_addresses = st.just(ZERO_ADDRESS) | st.binary(min_size=20, max_size=20).map(checksum_address)

headers = st.builds(
    Header,
    venue=st.just("zk"),
    semantics=st.from_regex(r"[a-z][a-z0-9-]{0,31}/[0-9A-Za-z.+-]{1,32}", fullmatch=True),
    job_id=_words.map(Bytes32),
    nonce=_words.map(Bytes32),
    chain_id=_counts,
    verifier=_addresses,
    expiry=_counts,
    provider=_addresses,
)
parts = st.builds(
    EzklPart,
    onnx=_digests,
    settings=_digests,
    vk=_digests,
    instances=st.lists(st.integers(0, MODULUS - 1).map(Felt), max_size=3).map(tuple),
)
subjects = st.builds(
    EzklSubject,
    model=_digests,
    insecure_srs=st.booleans(),
    parts=st.lists(parts, min_size=1, max_size=2).map(tuple),
)
claims = st.builds(Claim, header=headers, subject=subjects)
canon_claims = st.builds(
    CanonClaim,
    header=headers.map(lambda header: replace(header, venue="optimistic")),
    subject=st.builds(CanonSubject, model=_digests, input=_digests, output=_digests),
)

_amounts = st.integers(0, 2**256 - 1)
policies = st.builds(
    RefereePolicy,
    window=st.integers(0, 2**32 - 1),
    allowance=_counts,
    bond=_amounts,
    challenge_bond=_amounts,
    reveal_fee=_amounts,
    burnt_share=_counts,
    requester_share=_counts,
    refuter_gas=_amounts,
)
bonds = st.builds(
    Bond,
    transaction=st.none() | _words.map(Bytes32),
    block=_counts,
    window_end=st.integers(2**32, 2**53 - 1),
    policy=policies,
    outputs=st.none() | st.just(OUTPUTS),
)

json_leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-1e6, 1e6)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(["0x", "0x" + "00" * 32, "0x" + "ff" * 32, "0x" + "AB" * 32, "zk", "ezkl"])
)
json_values = st.recursive(
    json_leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)

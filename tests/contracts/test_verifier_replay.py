"""A claim holds once, on one chain, at one contract, under one signature."""

import pytest
from evm_worlds import (
    PROVIDER,
    STRANGER,
    R,
    World,
    check,
    emission,
    raw_check,
    sign,
    with_header,
    world,
)

from verifiable.chain.bindings import claim_calldata
from verifiable.chain.deployment import deploy_plan
from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.folder import read_plan
from verifiable.chain.revert import RevertedError
from verifiable.claim import claim_id
from verifiable.crypto.address import ZERO_ADDRESS
from verifiable.crypto.signatures import ORDER
from verifiable.errors import (
    ProofRejectedError,
    SignatureRejectedError,
    StatementRejectedError,
)
from verifiable.types import Bytes32, Felt

pytestmark = pytest.mark.evm


def test_a_nonce_is_accepted_once_per_provider() -> None:
    w = world("single")
    claim, signature = w.claim(nonce=9), sign(w.claim(nonce=9))
    assert w.verifier.claim_of(PROVIDER.address, claim.header.nonce) is None
    w.verifier.verify(claim, w.proofs, signature)
    assert w.verifier.claim_of(PROVIDER.address, claim.header.nonce) == claim_id(claim)
    with pytest.raises(StatementRejectedError, match="NonceUsed"):
        w.verifier.verify(claim, w.proofs, signature)
    # Another job under the same nonce is a replay as well.
    other = with_header(claim, job_id=Bytes32(b"\x06" * 32))
    with pytest.raises(StatementRejectedError, match="NonceUsed"):
        w.verifier.verify(other, w.proofs, sign(other))
    # Another provider's nonces are its own, and `check` records and minds none.
    theirs = with_header(claim, provider=STRANGER.address)
    w.verifier.verify(theirs, w.proofs, sign(theirs, STRANGER))
    w.verifier.check(claim, w.proofs, signature)


def test_a_refused_claim_leaves_its_nonce_unused() -> None:
    w = world("single")
    claim = w.claim(nonce=9)
    felts = list(w.spec.vector.instances[0])
    felts[-1] = Felt((felts[-1] + 1) % R)
    false = w.claim(nonce=9, instances=[felts])
    with pytest.raises(ProofRejectedError):
        w.verifier.verify(false, w.proofs, sign(false))
    w.verifier.verify(claim, w.proofs, sign(claim))


def test_a_claim_for_another_chain_is_refused(single: World) -> None:
    elsewhere = world("single", EmbeddedChain(chain_id=single.chain.chain_id + 1))
    claim = single.claim()
    with pytest.raises(SignatureRejectedError):
        elsewhere.verifier.check(
            with_header(claim, verifier=elsewhere.deployment.verifier), single.proofs, sign(claim)
        )


def test_a_claim_for_another_contract_is_refused() -> None:
    w = world("single")
    twin = deploy_plan(read_plan(emission(w.kind).folder), w.chain, accept_insecure_srs=True)
    assert twin.verifier != w.deployment.verifier
    claim = w.claim()
    data = claim_calldata("check", claim, w.proofs, sign(claim))
    raw_check(w, data)
    with pytest.raises(RevertedError, match="SignatureRejected"):
        w.chain.call(twin.verifier, data)


@pytest.mark.parametrize(
    "changes",
    [
        {"job_id": Bytes32(b"\x01" * 32)},
        {"nonce": Bytes32(b"\x02" * 32)},
        {"expiry": 2**53 - 1},
        {"provider": STRANGER.address},
    ],
    ids=str,
)
def test_the_signature_covers_the_header(single: World, changes: dict[str, object]) -> None:
    claim = single.claim()
    with pytest.raises(SignatureRejectedError):
        check(single, with_header(claim, **changes), sign(claim))


def test_a_strangers_signature_is_refused(single: World) -> None:
    claim = single.claim()
    with pytest.raises(SignatureRejectedError):
        check(single, claim, sign(claim, STRANGER))


def test_other_forms_of_the_same_signature_are_refused(single: World) -> None:
    claim = single.claim()
    good = sign(claim)
    r, s, v = good[:32], int.from_bytes(good[32:64], "big"), good[64]
    high = r + (ORDER - s).to_bytes(32, "big") + bytes([55 - v])
    compact = r + (s | (v - 27) << 255).to_bytes(32, "big")
    others = [high, compact, good[:64] + bytes([v - 27]), good[:64] + bytes([55 - v]), good[:64]]
    for signature in [*others, b"", bytes(65), good + b"\0"]:
        with pytest.raises(SignatureRejectedError):
            check(single, claim, signature)


def test_nobody_is_no_provider(single: World) -> None:
    # ecrecover answers zero for a signature that no key made.
    claim = with_header(single.claim(), provider=ZERO_ADDRESS)
    with pytest.raises(SignatureRejectedError, match="ProviderMissing"):
        check(single, claim, bytes(64) + b"\x1b")

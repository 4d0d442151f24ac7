"""Every other byte, a lack of gas, and other code behind the verifier."""

import random
from dataclasses import replace

import pytest
from evm_worlds import (
    R,
    World,
    emission,
    raw_check,
    sign,
)

from verifiable.chain.abi import (
    claim_value,
    encode_arguments,
    encode_call,
    encode_evidence,
    selector,
)
from verifiable.chain.bindings import claim_calldata, meaning_of
from verifiable.chain.deployment import deploy_plan
from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.folder import read_plan
from verifiable.chain.revert import OutOfGasError, RevertedError
from verifiable.crypto.address import ZERO_ADDRESS
from verifiable.errors import (
    ChainError,
    ProofRejectedError,
    RejectedError,
    SignatureRejectedError,
    VerifiableError,
)
from verifiable.solidity.artifacts import load
from verifiable.types import Felt

pytestmark = pytest.mark.evm


def assert_flips_are_refused(w: World, positions: list[int], seed: int) -> None:
    claim = w.claim()
    data = claim_calldata("check", claim, w.proofs, sign(claim))
    raw_check(w, data)
    chooser = random.Random(seed)
    for position in positions:
        flipped = bytearray(data)
        flipped[position] ^= 1 << chooser.randrange(8)
        with pytest.raises(VerifiableError):
            raw_check(w, bytes(flipped))


def test_any_flipped_byte_of_the_calldata_is_refused(either: World) -> None:
    claim = either.claim()
    data = claim_calldata("check", claim, either.proofs, sign(claim))
    chooser = random.Random(7)
    # All of the heads and the claim, where offsets and padding are; a sample of the proofs.
    start = data.index(either.proofs[0][:64])
    positions = [*range(0, start, 7), *chooser.sample(range(start, len(data)), 150)]
    assert_flips_are_refused(either, [*positions, *range(len(data) - 130, len(data))], 8)


@pytest.mark.slow
def test_every_flipped_byte_of_the_calldata_is_refused(either: World) -> None:
    claim = either.claim()
    data = claim_calldata("check", claim, either.proofs, sign(claim))
    # Two proofs of the reusable form take minutes: there, one byte in three.
    assert_flips_are_refused(either, list(range(0, len(data), len(either.proofs) * 2 - 1)), 9)


@pytest.mark.parametrize("tail", [b"\0", b"\1", bytes(32), b"\xff" * 20])
def test_trailing_bytes_are_refused(either: World, tail: bytes) -> None:
    claim = either.claim()
    data = claim_calldata("check", claim, either.proofs, sign(claim))
    with pytest.raises(RevertedError, match="NonCanonicalCalldata"):
        raw_check(either, data + tail)
    with pytest.raises(ProofRejectedError, match="ProofLengthMismatch"):
        either.verifier.check(claim, (either.proofs[0] + tail, *either.proofs[1:]), sign(claim))
    with pytest.raises(SignatureRejectedError):
        either.verifier.check(claim, either.proofs, sign(claim) + tail)


def test_evidence_with_trailing_bytes_is_refused(either: World) -> None:
    claim = either.claim()
    evidence = encode_evidence(either.proofs, sign(claim)) + bytes(32)
    abi = load("IInferenceVerifier").abi
    data = encode_call(abi, "check", (claim_value(claim), evidence))
    with pytest.raises(RevertedError, match="NonCanonicalProof"):
        raw_check(either, data)


@pytest.mark.parametrize("change", ["missing", "twice", "empty", "swapped"])
def test_another_list_of_proofs_is_refused(split: World, change: str) -> None:
    first, second = split.proofs
    proofs = {
        "missing": (first,),
        "twice": (first, second, second),
        "empty": (b"", b""),
        "swapped": (second, first),
    }[change]
    claim = split.claim()
    with pytest.raises(ProofRejectedError):
        split.verifier.check(claim, proofs, sign(claim))


def test_too_little_gas_is_never_a_refusal(either: World) -> None:
    claim, signature = either.claim(), sign(either.claim())
    needed = 0
    for gas in range(60_000, 2_000_000, 17_389):
        try:
            either.verifier.check(claim, either.proofs, signature, gas=gas)
        except ChainError:
            assert not needed, f"enough at {needed}, not at {gas}"
        else:
            needed = needed or gas
    assert needed


def test_too_little_gas_for_a_false_claim_is_not_accepted(single: World) -> None:
    felts = list(single.spec.vector.instances[0])
    felts[-1] = Felt((felts[-1] + 1) % R)
    claim = single.claim(instances=[felts])
    for gas in range(100_000, 1_000_000, 30_011):
        with pytest.raises(VerifiableError):
            single.verifier.check(claim, single.proofs, sign(claim), gas=gas)


def test_a_revert_without_a_known_reason_decides_nothing() -> None:
    assert isinstance(meaning_of(RevertedError(b"")), ChainError)
    assert isinstance(meaning_of(RevertedError(b"\x12\x34\x56\x78")), ChainError)
    lacking = bytes.fromhex("00000000") + bytes(32)
    assert not isinstance(meaning_of(RevertedError(lacking)), RejectedError)
    assert issubclass(OutOfGasError, ChainError)


def test_every_error_of_the_contract_has_a_meaning() -> None:
    blank = {"string": "", "address": ZERO_ADDRESS, "bytes32": bytes(32), "bool": False}
    for entry in load("InferenceVerifier").abi:
        if entry["type"] != "error" or entry["name"] in ("CodeMismatch", "NotCanonical"):
            continue
        values = [blank.get(i["type"], 0) for i in entry["inputs"]]
        reverted = RevertedError(selector(entry) + encode_arguments(entry["inputs"], values))
        assert reverted.name == entry["name"]
        meant = meaning_of(reverted)
        wanted = OutOfGasError if entry["name"] == "SubcallOutOfGas" else RejectedError
        assert isinstance(meant, wanted), entry["name"]


def test_a_verifier_with_other_code_cannot_be_built_in(single: World) -> None:
    plan = read_plan(emission(single.kind).folder)
    # One instruction more: the same contract to callers, but not the one emitted.
    (honest,) = plan.verifiers
    forged = replace(honest, bytecode=bytes.fromhex("600160005260206000f3"))
    with pytest.raises(RevertedError, match="CodeMismatch"):
        deploy_plan(replace(plan, verifiers=(forged,)), EmbeddedChain(), accept_insecure_srs=True)


def test_another_key_cannot_be_built_in(split: World) -> None:
    plan = read_plan(emission(split.kind).folder)
    first, second = plan.keys
    assert first is not None
    assert second is not None
    for keys in ((second, first), (first, first), (first, second[:-1] + b"\x00")):
        with pytest.raises(RevertedError, match="CodeMismatch"):
            deploy_plan(replace(plan, keys=keys), EmbeddedChain(), accept_insecure_srs=True)

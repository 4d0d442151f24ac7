"""The emitted verifier accepts honest claims, and nothing else."""

import json
import random
from dataclasses import replace

import pytest
from evm_worlds import (
    PROVIDER,
    STRANGER,
    World,
    circuit,
    emission,
    shared,
    sign,
    with_header,
    with_part,
    with_subject,
    world,
)
from hypothesis import given
from hypothesis import strategies as st

from verifiable.chain.abi import (
    claim_value,
    decode_result,
    encode_arguments,
    encode_call,
    encode_evidence,
    selector,
)
from verifiable.chain.bindings import claim_calldata, meaning_of
from verifiable.chain.deployment import Plan, deploy_plan
from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.folder import read_plan
from verifiable.chain.revert import OutOfGasError, RevertedError
from verifiable.claim import Claim, EzklPart, EzklSubject, Header, claim_id
from verifiable.crypto.address import ZERO_ADDRESS, checksum_address
from verifiable.crypto.signatures import ORDER
from verifiable.errors import (
    ChainError,
    ProofRejectedError,
    RejectedError,
    SignatureRejectedError,
    StatementRejectedError,
    VerifiableError,
)
from verifiable.solidity.artifacts import load
from verifiable.types import Bytes32, Felt, Sha256

pytestmark = pytest.mark.evm

# Order of BN254's scalar field, from EIP-196.
R = 21888242871839275222246405745257275088548364400416034343698204186575808495617
words = st.binary(min_size=32, max_size=32)


@pytest.fixture(scope="module")
def single() -> World:
    return shared("single")


@pytest.fixture(scope="module")
def split() -> World:
    return shared("split")


@pytest.fixture(scope="module")
def public() -> World:
    return shared("public")


@pytest.fixture(scope="module", params=["single", "split"])
def either(request: pytest.FixtureRequest) -> World:
    """The plain and the reusable form."""
    return shared(request.param)


def check(w: World, claim: Claim, signature: bytes | None = None) -> None:
    w.verifier.check(claim, w.proofs, sign(claim) if signature is None else signature)


def raw_check(w: World, data: bytes) -> None:
    w.chain.call(w.deployment.verifier, data)


# What is accepted ---------------------------------------------------------------------------------


def test_honest_claim_is_accepted_and_leaves_an_event(either: World) -> None:
    w = world(either.kind)
    claim = w.claim()
    sent = w.verifier.verify(claim, w.proofs, sign(claim))
    (log,) = sent.logs
    assert log.address == w.deployment.verifier
    assert log.topics[1] == claim_id(claim)
    assert log.topics[2][12:].hex() == PROVIDER.address[2:].lower()
    assert log.topics[3] == claim.header.job_id


def test_outputs_are_what_ezkl_says_they_are(single: World) -> None:
    shown = json.loads((circuit("second").folder / "proof.json").read_text())
    floats = [float(x) for x in shown["pretty_public_inputs"]["rescaled_outputs"][0]]
    assert min(floats) < 0 < max(floats)
    claim = single.claim()
    assert single.verifier.outputs(claim) == tuple(round(x * 2**4) for x in floats)
    assert single.verifier.inputs(claim) == claim.subject.parts[0].instances[:1]


def test_outputs_of_a_split_model_are_those_of_its_last_part(split: World) -> None:
    claim = split.claim()
    assert split.verifier.outputs(claim) == single_outputs()
    assert split.verifier.inputs(claim) == claim.subject.parts[0].instances[:1]


def single_outputs() -> tuple[int, ...]:
    felts = circuit("second").instances[1:]
    return tuple(x if x <= R // 2 else x - R for x in felts)


@given(felt=st.integers(0, R - 1) | st.sampled_from([0, 1, R // 2, R // 2 + 1, R - 1]))
def test_felts_decode_to_the_number_nearest_zero(single: World, felt: int) -> None:
    claim = single.claim(instances=[(0, felt, 0)])
    got = single.verifier.outputs(claim)[0]
    assert got % R == felt
    assert abs(got) <= R // 2


def test_claim_holds_through_its_last_second_and_not_longer() -> None:
    w = world("single")
    assert isinstance(w.chain, EmbeddedChain)
    claim = w.claim()
    w.chain.advance(3600)
    assert w.chain.block_time() == claim.header.expiry
    check(w, claim)
    w.chain.advance(1)
    with pytest.raises(StatementRejectedError, match="ClaimExpired"):
        check(w, claim)


# The id -------------------------------------------------------------------------------------------


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    felts = st.lists(st.integers(0, R - 1).map(Felt), max_size=5).map(tuple)
    digests = words.map(Sha256)
    parts = st.builds(EzklPart, onnx=digests, settings=digests, vk=digests, instances=felts)
    name = st.from_regex(r"[a-z][a-z0-9-]{0,31}/[0-9A-Za-z.+-]{1,32}", fullmatch=True)
    header = Header(
        venue="zk",
        semantics=draw(name.filter(str.isascii)),
        job_id=Bytes32(draw(words)),
        nonce=Bytes32(draw(words)),
        chain_id=0,
        verifier=ZERO_ADDRESS,
        expiry=draw(st.integers(0, 2**53 - 1)),
        provider=checksum_address(draw(st.binary(min_size=20, max_size=20))),
    )
    subject = EzklSubject(
        model=draw(digests),
        insecure_srs=draw(st.booleans()),
        parts=tuple(draw(st.lists(parts, min_size=1, max_size=3))),
    )
    return Claim(header=header, subject=subject)


@given(claim=claims())
def test_solidity_and_python_compute_the_same_id(single: World, claim: Claim) -> None:
    bound = with_header(claim, chain_id=single.chain.chain_id, verifier=single.deployment.verifier)
    assert single.verifier.claim_id(claim) == claim_id(bound)


# Bytes --------------------------------------------------------------------------------------------


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


# Statements ---------------------------------------------------------------------------------------


def test_a_changed_instance_is_refused_although_signed(either: World) -> None:
    for i, part in enumerate(either.claim().subject.parts):
        for j, felt in enumerate(part.instances):
            felts = list(part.instances)
            felts[j] = Felt((felt + 1) % R)
            claim = with_part(either.claim(), i, instances=tuple(felts))
            with pytest.raises(RejectedError, match=r"ProofRejected|JointBroken"):
                check(either, claim)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_an_instance_and_the_modulus_is_refused(single: World, index: int) -> None:
    # Python's claims cannot hold it, so the calldata is written by hand.
    claim = single.claim()
    header, (model, insecure, [(onnx, settings, vk, felts)]) = claim_value(claim)
    felts = [felt + R * (i == index) for i, felt in enumerate(felts)]
    value = (header, (model, insecure, [(onnx, settings, vk, felts)]))
    abi = load("IInferenceVerifier").abi
    asked = single.chain.call(single.deployment.verifier, encode_call(abi, "claimId", [value]))
    (made,) = decode_result(abi, "claimId", asked)
    evidence = encode_evidence(single.proofs, PROVIDER.sign(made))
    with pytest.raises(RevertedError, match=f"InstanceNotCanonical.*index={index}"):
        raw_check(single, encode_call(abi, "check", (value, evidence)))


@pytest.mark.parametrize("count", [0, 2, 4])
def test_another_number_of_instances_is_refused(single: World, count: int) -> None:
    felts = (*single.spec.vector.instances[0], Felt(0))[:count]
    with pytest.raises(StatementRejectedError, match="InstanceCountMismatch"):
        check(single, single.claim(instances=[felts]))


def test_parts_that_do_not_meet_are_refused(split: World) -> None:
    claim = split.claim()
    last = claim.subject.parts[1].instances
    broken = with_part(claim, 1, instances=(Felt(last[0] ^ 1), *last[1:]))
    with pytest.raises(StatementRejectedError, match=r"JointBroken\(joint=0, index=0\)"):
        check(split, broken)


def test_another_value_of_a_fixed_instance_is_refused(public: World) -> None:
    check(public, public.claim())
    felts = list(public.spec.vector.instances[0])
    felts[0] = Felt(felts[0] + 1)
    with pytest.raises(StatementRejectedError, match=r"FixedInstanceMismatch\(part=0, index=0"):
        check(public, public.claim(instances=[felts]))


OTHER = Sha256(b"\x77" * 32)


@pytest.mark.parametrize("field", ["onnx", "settings", "vk"])
@pytest.mark.parametrize("last", [False, True])
def test_another_digest_of_a_part_is_refused(either: World, field: str, *, last: bool) -> None:
    claim = with_part(either.claim(), -1 if last else 0, **{field: OTHER})
    with pytest.raises(StatementRejectedError, match=f"{field.title()}Mismatch"):
        check(either, claim)


def test_another_model_is_refused(either: World) -> None:
    with pytest.raises(StatementRejectedError, match="ModelMismatch"):
        check(either, with_subject(either.claim(), model=OTHER))


def test_hiding_the_insecure_srs_is_refused(either: World) -> None:
    with pytest.raises(StatementRejectedError, match="InsecureSrsMismatch"):
        check(either, with_subject(either.claim(), insecure_srs=False))


def test_another_number_of_parts_is_refused(either: World) -> None:
    parts = either.claim().subject.parts
    for changed in ((*parts, parts[-1]), parts[1:] + parts[:1] + parts[:1]):
        with pytest.raises(StatementRejectedError, match="PartCountMismatch"):
            check(either, with_subject(either.claim(), parts=changed))


def test_other_semantics_are_refused(either: World) -> None:
    with pytest.raises(StatementRejectedError, match="SemanticsMismatch"):
        check(either, with_header(either.claim(), semantics="ezkl/23.0.6"))


def test_another_venue_is_refused(single: World) -> None:
    claim = single.claim()
    header, subject = claim_value(claim)
    abi = load("IInferenceVerifier").abi
    data = encode_call(abi, "check", ((("canon", *header[1:]), subject), b""))
    with pytest.raises(RevertedError, match="VenueMismatch"):
        raw_check(single, data)


# Replay -------------------------------------------------------------------------------------------


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
    twin = deploy_plan(read_plan_of(w), w.chain, accept_insecure_srs=True)
    assert twin.verifier != w.deployment.verifier
    claim = w.claim()
    data = claim_calldata("check", claim, w.proofs, sign(claim))
    raw_check(w, data)
    with pytest.raises(RevertedError, match="SignatureRejected"):
        w.chain.call(twin.verifier, data)


def read_plan_of(w: World) -> Plan:
    return read_plan(emission(w.kind).folder)


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


# Signatures ---------------------------------------------------------------------------------------


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


# Gas ----------------------------------------------------------------------------------------------


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


# Construction -------------------------------------------------------------------------------------


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
    plan = read_plan_of(single)
    # One instruction more: the same contract to callers, but not the one emitted.
    (honest,) = plan.verifiers
    forged = replace(honest, bytecode=bytes.fromhex("600160005260206000f3"))
    with pytest.raises(RevertedError, match="CodeMismatch"):
        deploy_plan(replace(plan, verifiers=(forged,)), EmbeddedChain(), accept_insecure_srs=True)


def test_another_key_cannot_be_built_in(split: World) -> None:
    plan = read_plan_of(split)
    first, second = plan.keys
    assert first is not None
    assert second is not None
    for keys in ((second, first), (first, first), (first, second[:-1] + b"\x00")):
        with pytest.raises(RevertedError, match="CodeMismatch"):
            deploy_plan(replace(plan, keys=keys), EmbeddedChain(), accept_insecure_srs=True)

"""The emitted verifier accepts honest claims, and no other statement."""

import json

import pytest
from costly import costly
from evm_worlds import (
    PROVIDER,
    R,
    World,
    check,
    circuit,
    raw_check,
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
    encode_call,
    encode_evidence,
)
from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.revert import RevertedError
from verifiable.claim import Claim, EzklPart, EzklSubject, Header, claim_id
from verifiable.crypto.address import ZERO_ADDRESS, checksum_address
from verifiable.errors import (
    RejectedError,
    StatementRejectedError,
)
from verifiable.solidity.artifacts import load
from verifiable.types import Bytes32, Felt, Sha256

pytestmark = pytest.mark.evm

words = st.binary(min_size=32, max_size=32)


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


@costly(claim=claims())
def test_solidity_and_python_compute_the_same_id(single: World, claim: Claim) -> None:
    bound = with_header(claim, chain_id=single.chain.chain_id, verifier=single.deployment.verifier)
    assert single.verifier.claim_id(claim) == claim_id(bound)


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

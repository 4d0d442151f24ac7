"""Invariants of safety (S) and of the game (G) of DISPUTE.md; every move is played in lock-step."""

import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from referee_lab import (
    ALICE,
    BOB,
    BODY,
    CAROL,
    POLICY,
    PROPOSER,
    RIGHT,
    STRANGER,
    WRONG,
    Game,
    artifacts,
    asked,
    demand_top,
    gains,
    in_dispute,
    playing,
    refusal,
    verdict_proof,
)
from walk_material import site

from verifiable.chain.abi import encode_call
from verifiable.chain.referee_values import call_of, canon_claim_value, job_value
from verifiable.chain.revert import RevertedError
from verifiable.claim import claim_id
from verifiable.crypto.strict import MAX_SAFE_INTEGER
from verifiable.dispute import errors
from verifiable.dispute.clocks import Standing, read
from verifiable.dispute.errors import IllegalMoveError
from verifiable.dispute.moves import (
    CommitTrace,
    DemandPartials,
    Finalize,
    OpenChallenge,
    Post,
    Refute,
    RefutePartials,
    RefutePiece,
    Reveal,
    RevealPartials,
    Timeout,
)
from verifiable.dispute.state import Challenge, Reason, Status
from verifiable.dispute.terms import FEES, MOST_DEMANDS, partials_demand
from verifiable.dispute.walk import target
from verifiable.errors import ChainError
from verifiable.solidity.standard import MAX_RUNTIME
from verifiable.types import Bytes32, ClaimId, Sha256

pytestmark = pytest.mark.evm

W, A, S, B, FEE = (
    POLICY.window, POLICY.allowance, POLICY.bond, POLICY.challenge_bond, POLICY.reveal_fee,
)  # fmt: skip


@pytest.fixture
def game() -> Iterator[Game]:
    with playing() as one:
        yield one


def test_s1_one_honest_challenger_in_time_stops_a_wrong_trace(game: Game) -> None:
    job, claim = in_dispute(game)
    for _ in range(3):
        game.challenge(claim, PROPOSER)
    game.chain.advance(W)
    game.challenge(claim, ALICE)
    game.chain.advance(A - 1)
    for number in (1, 2, 3):
        game.must(Timeout(claim_id=claim, challenge=number, job=job), STRANGER)
    game.refuses(Finalize(claim_id=claim, job=job), PROPOSER, "ChallengesOpen")
    game.must(Refute(claim_id=claim, job=job, proof=WRONG), ALICE)
    assert game.state.claim(claim).status is Status.REFUTED


def test_s2_an_honest_claim_outlives_every_challenger(game: Game) -> None:
    job, claim, demand = asked(game)
    number = game.challenge(claim, ALICE)
    game.must(demand_top(game, job, claim, number), ALICE)
    game.chain.advance(A - 1)
    game.must(Reveal(demand=demand, data=site(70).answer(demand)), STRANGER)
    game.refuses(Refute(claim_id=claim, job=job, proof=RIGHT), ALICE, "NotDifferent")
    game.chain.advance(A)
    game.must(Timeout(claim_id=claim, challenge=number, job=job), PROPOSER)
    game.chain.advance(W)
    game.must(Finalize(claim_id=claim, job=job), STRANGER)
    assert game.call("Referee", "isFinal", claim) is True
    assert game.call("Referee", "outputOf", claim) == site(70).statement.output


@pytest.mark.parametrize("refuted", [True, False])
def test_s3_a_verdict_is_for_ever(game: Game, refuted: bool) -> None:
    job = game.job()
    again = Post(claim=game.claim(job), job=job, body=BODY)
    game.must(again, PROPOSER)
    claim = claim_id(again.claim)
    if refuted:
        game.must(Refute(claim_id=claim, job=job, proof=WRONG), BOB)
    else:
        game.chain.advance(W + 1)
        game.must(Finalize(claim_id=claim, job=job), BOB)
    for move in (
        OpenChallenge(claim_id=claim), CommitTrace(claim_id=claim, body=BODY),
        Refute(claim_id=claim, job=job, proof=WRONG), Finalize(claim_id=claim, job=job),
        Timeout(claim_id=claim, challenge=1, job=job),
    ):  # fmt: skip
        game.refuses(move, PROPOSER, "ClaimNotOpen")
    game.refuses(again, PROPOSER, "ClaimExists")


def test_s5_no_amount_of_gas_turns_a_verdict(game: Game) -> None:
    job, claim = in_dispute(game)
    name, arguments = call_of(Refute(claim_id=claim, job=job, proof=RIGHT))
    data = encode_call(artifacts()["Referee"].abi, name, arguments)
    said = set()
    for gas in range(25_000, 200_000, 1_500):
        try:
            game.chain.call(game.addresses["Referee"], data, sender=BOB, gas=gas)
            said.add("refuted")
        except RevertedError as e:
            said |= refusal(e.data).names
        except ChainError as e:
            said.add(type(e).__name__)
    assert "NotDifferent" in said
    assert said <= {"NotDifferent", "0x", "OutOfGasError", "ChainError"}, said


def test_s6_a_step_that_shows_nothing_is_no_verdict(game: Game) -> None:
    job, claim = in_dispute(game)
    game.refuses(Refute(claim_id=claim, job=job, proof=verdict_proof(2)), BOB, "NoOpening")
    assert game.state.claim(claim).status is Status.OPEN


def test_s7_a_claim_of_an_expiry_that_no_document_holds_is_refused(game: Game) -> None:
    job = game.job()
    move = Post(claim=game.claim(job, expiry=MAX_SAFE_INTEGER), job=job)
    name, (((venue, semantics, key, nonce, expiry, who), subject), *rest) = call_of(move)
    for beyond in (expiry + 1, 2**64 - 1):
        late = ((venue, semantics, key, nonce, beyond, who), subject)
        with pytest.raises(RevertedError) as refused:
            game.send("Referee", name, late, *rest, sender=PROPOSER)
        told = refusal(refused.value.data)
        assert told.names == {"ExpiryTooLarge"}
        assert told.arguments == (beyond, expiry)
    game.must(move, PROPOSER)


def test_s7_a_move_is_bound_to_the_job_of_its_claim(game: Game) -> None:
    _, claim = in_dispute(game)
    other = game.job(1)
    game.refuses(Refute(claim_id=claim, job=other, proof=WRONG), BOB, "ClaimMismatch")
    cheaper = replace(other, price=0)
    game.refuses(Refute(claim_id=claim, job=cheaper, proof=WRONG), BOB, "JobUnknown")
    number = game.challenge(claim, BOB)
    game.refuses(demand_top(game, other, claim, number), BOB, "JobMismatch")


def test_s7_a_job_of_another_referee_says_nothing_of_a_claim(game: Game) -> None:
    """Whoever names himself its referee may assign his own job to anybody's claim."""
    _, claim = in_dispute(game)
    number = game.challenge(claim, ALICE)
    other = game.job(1, referee=ALICE, requester=ALICE, model=BODY)
    game.send("JobRegister", "assign", job_value(other), claim, PROPOSER, sender=ALICE)
    register = game.state.register.assign(other, claim, PROPOSER, ALICE, game.now)
    game.state = replace(game.state, register=register)
    game.check()
    game.refuses(demand_top(game, other, claim, number), ALICE, "JobMismatch")
    pieces = DemandPartials(claim_id=claim, challenge=number, job=other, proof=verdict_proof(4))
    game.refuses(pieces, ALICE, "JobMismatch")
    game.refuses(Refute(claim_id=claim, job=other, proof=WRONG), ALICE, "NotReferee")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"model": BODY}, "SubjectMismatch"),
        ({"input": BODY}, "SubjectMismatch"),
        ({"job_id": Bytes32(BODY)}, "JobMismatch"),
        ({"semantics": "canon/2"}, "SemanticsMismatch"),
        ({"expiry": 1}, "ClaimExpired"),
        ({"provider": BOB}, "NotProposer"),
    ],
)
def test_s7_a_claim_about_something_else_is_not_posted(
    game: Game, changes: dict[str, Any], error: str
) -> None:
    job = game.job()
    move = Post(claim=game.claim(job, **changes), job=job)
    game.refuses(move, PROPOSER, error)


def test_s7_a_claim_of_another_venue_is_not_posted(game: Game) -> None:
    job = game.job()
    header, subject = canon_claim_value(game.claim(job))
    value = (("zk", *header[1:]), subject)
    with pytest.raises(RevertedError) as e:
        game.send("Referee", "post", value, job_value(job), bytes(32), sender=PROPOSER)
    assert refusal(e.value.data).names == {"VenueMismatch"}


def test_the_claims_id_is_its_eip712_digest_on_this_chain_for_this_referee(game: Game) -> None:
    job = game.job()
    claim = game.post(job)
    value = canon_claim_value(game.claim(job))
    assert game.call("Referee", "claimIdOf", value) == claim


def test_every_contract_of_the_referee_can_be_deployed() -> None:
    for name in ("Referee", "Walks"):
        assert len(artifacts()[name].deployed) <= MAX_RUNTIME


def test_every_refusal_has_the_name_of_an_error_of_the_contracts() -> None:
    named = {
        entry["name"]
        for artifact in artifacts().values()
        for entry in artifact.abi
        if entry["type"] == "error"
    }
    ours = {
        cls.__name__.removesuffix("Error")
        for _, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, IllegalMoveError) and cls is not IllegalMoveError
    }
    assert ours <= named


def test_g1_there_is_always_a_move_or_a_timeout(game: Game) -> None:
    job, claim, _ = asked(game)
    number = game.challenge(claim, ALICE)
    early = Timeout(claim_id=claim, challenge=number, job=job)
    assert game.refuses(early, BOB, "ClockRunning") == (claim, number, A)
    game.must(demand_top(game, job, claim, number), ALICE)
    game.chain.advance(A - 1)
    assert game.refuses(early, BOB, "ClockRunning") == (claim, number, 1)
    game.chain.advance(1)
    game.refuses(demand_top(game, job, claim, number), ALICE, "ClockRunOut")
    game.must(early, BOB)
    assert game.state.claim(claim).reason is Reason.BYTES_WITHHELD


def test_g1_an_answer_that_came_too_late_heals_nothing(game: Game) -> None:
    job, claim, demand = asked(game)
    number = game.challenge(claim, ALICE)
    game.must(demand_top(game, job, claim, number), ALICE)
    game.chain.advance(A)
    game.must(Reveal(demand=demand, data=site(70).answer(demand)), PROPOSER)
    game.chain.advance(3 * A)
    game.must(Timeout(claim_id=claim, challenge=number, job=job), BOB)
    assert game.state.claim(claim).reason is Reason.BYTES_WITHHELD


def test_g2_a_reveal_must_hash_to_the_node(game: Game) -> None:
    job, claim, demand = asked(game)
    number = game.challenge(claim, ALICE)
    data = site(70).answer(demand)
    game.refuses(Reveal(demand=demand, data=data), PROPOSER, "DemandUnknown")
    game.must(demand_top(game, job, claim, number), ALICE)
    flipped = bytes([data[0] ^ 1]) + data[1:]
    game.refuses(Reveal(demand=demand, data=flipped), PROPOSER, "RevealMismatch")
    game.refuses(Reveal(demand=demand, data=data[:-1]), PROPOSER, "RevealLength")
    game.refuses(Reveal(demand=demand, data=data + bytes(32)), PROPOSER, "RevealLength")
    other = replace(demand, claim_id=ClaimId(BODY))
    game.refuses(Reveal(demand=other, data=data), PROPOSER, "ClaimNotOpen")
    game.must(Reveal(demand=demand, data=data), PROPOSER)


def test_g2_partial_results_are_the_proposers_own_and_as_many_as_asked_for(game: Game) -> None:
    job, claim = in_dispute(game)
    asking = DemandPartials(
        claim_id=claim, challenge=game.challenge(claim, ALICE), job=job, proof=verdict_proof(4)
    )
    game.must(asking, ALICE)
    told = RevealPartials(claim_id=claim, instruction=0, element=4, partials=bytes(8))
    whole = RefutePartials(claim_id=claim, job=job, proof=asking.proof, partials=bytes(8))
    piece = RefutePiece(claim_id=claim, job=job, proof=asking.proof, partials=bytes(8), piece=1)
    for stranger in (ALICE, STRANGER):
        game.refuses(told, stranger, "NotProposer")
    for other in (
        replace(told, partials=bytes(7)),
        replace(told, partials=bytes(9)),
        replace(told, instruction=1),
        replace(told, element=5),
    ):
        game.refuses(other, PROPOSER, "DemandUnknown")
    posing = Reveal(demand=partials_demand(claim, 0, 4, 8), data=bytes(8))
    for anyone in (ALICE, PROPOSER):
        game.refuses(posing, anyone, "WalkMalformed")
    for early in (whole, piece):
        game.refuses(early, ALICE, "PartialsMismatch")
    game.must(told, PROPOSER)
    game.refuses(told, PROPOSER, "RevealedAlready")
    game.refuses(replace(whole, partials=b"\1" + bytes(7)), ALICE, "PartialsMismatch")
    game.refuses(whole, ALICE, "NotDifferent")
    game.refuses(replace(piece, partials=bytes(7) + b"\1"), ALICE, "PartialsMismatch")
    game.refuses(replace(piece, piece=0), ALICE, "NotDifferent")
    game.must(piece, ALICE)


def test_g2_partial_results_that_do_not_combine_are_refuted_by_anyone(game: Game) -> None:
    job, claim = in_dispute(game)
    asking = DemandPartials(
        claim_id=claim, challenge=game.challenge(claim, ALICE), job=job, proof=verdict_proof(4)
    )
    said = b"\1" + bytes(7)
    whole = RefutePartials(claim_id=claim, job=job, proof=asking.proof, partials=said)
    game.must(asking, ALICE)
    game.must(RevealPartials(claim_id=claim, instruction=0, element=4, partials=said), PROPOSER)
    game.refuses(replace(whole, job=game.job(1)), STRANGER, "ClaimMismatch")
    game.refuses(replace(whole, proof=verdict_proof(12)), STRANGER, "PartialsMismatch")
    game.must(whole, STRANGER)
    assert game.state.claim(claim).reason is Reason.PIECE


def test_g3_a_demand_names_the_state_that_it_answers(game: Game) -> None:
    job, claim, demand = asked(game)
    number = game.challenge(claim, ALICE)
    stale = demand_top(game, job, claim, number)
    wrong = replace(stale, answering=Bytes32(BODY))
    game.refuses(wrong, ALICE, "StateMismatch")
    game.must(stale, ALICE)
    game.must(Reveal(demand=demand, data=site(70).answer(demand)), BOB)
    game.refuses(stale, ALICE, "StateMismatch")


def test_g4_a_demand_that_another_made_is_free_and_one_that_was_answered_is_refused(
    game: Game,
) -> None:
    job, claim, demand = asked(game)
    one, two = game.challenge(claim, ALICE), game.challenge(claim, BOB)
    third = game.challenge(claim, CAROL)
    before = game.state.vault
    game.must(demand_top(game, job, claim, one), ALICE)
    game.must(demand_top(game, job, claim, two), BOB)
    assert gains(game, before) == {"alice": -FEES * FEE}
    game.must(Reveal(demand=demand, data=site(70).answer(demand)), STRANGER)
    assert gains(game, before) == {"alice": -FEES * FEE}
    game.refuses(Reveal(demand=demand, data=b""), STRANGER, "RevealedAlready")
    game.refuses(demand_top(game, job, claim, third), CAROL, "RevealedAlready")
    below = site(70).walk(1, 0, 40)
    game.must(demand_top(game, job, claim, third, walk=below), CAROL)


@given(
    opened=st.integers(1, 50),
    proposer=st.integers(0, 60),
    challenger=st.integers(0, 60),
    answer=st.none() | st.integers(-50, 60),
    passed=st.integers(0, 120),
)
def test_g5_each_second_is_charged_once(
    opened: int, proposer: int, challenger: int, answer: int | None, passed: int
) -> None:
    """The seconds are counted one by one: each is the proposer's until the answer is there."""
    now = opened + 50 + passed
    turn = opened + 50
    answered_at = 0 if answer is None or turn + answer > now else max(turn + answer, 1)
    record = Challenge(
        challenger=ALICE, turn_at=turn, proposer_used=proposer, challenger_used=challenger
    )
    clocks = read(record, answered_at, now)
    owes = [not answered_at or second < answered_at for second in range(turn, now)]
    assert clocks.proposer == proposer + sum(owes)
    assert clocks.challenger == challenger + len(owes) - sum(owes)
    assert clocks.answered == bool(answered_at)
    if proposer + challenger + passed >= 2 * A - 1:
        assert clocks.standing(A) is not Standing.RUNNING


def test_g5_no_challenge_inherits_the_time_of_another(game: Game) -> None:
    _, claim = in_dispute(game, Sha256(bytes(32)))
    one = game.challenge(claim, ALICE)
    game.chain.advance(A - 1)
    two = game.challenge(claim, BOB)
    game.must(CommitTrace(claim_id=claim, body=BODY), PROPOSER)
    assert game.call("Referee", "clocksOf", claim, one) == (True, A - 1, 0, 0)
    assert game.call("Referee", "clocksOf", claim, two) == (True, 0, 0, 0)


@pytest.mark.parametrize("challengers", [1, 9])
def test_g6_after_window_and_two_allowances_everything_can_end(
    game: Game, challengers: int
) -> None:
    job, claim, demand = asked(game)
    game.chain.advance(W)
    numbers = [game.challenge(claim, ALICE) for _ in range(challengers)]
    game.chain.advance(A - 1)
    for number in numbers:
        game.must(demand_top(game, job, claim, number), ALICE)
    game.chain.advance(A - 1)
    game.must(Reveal(demand=demand, data=site(70).answer(demand)), PROPOSER)
    game.chain.advance(2)
    for number in reversed(numbers):
        game.must(Timeout(claim_id=claim, challenge=number, job=job), STRANGER)
    game.must(Finalize(claim_id=claim, job=job), PROPOSER)


def test_g7_the_last_second_of_the_window_gives_full_clocks(game: Game) -> None:
    job, claim = in_dispute(game)
    game.chain.advance(W)
    game.refuses(Finalize(claim_id=claim, job=job), PROPOSER, "WindowOpen")
    number = game.challenge(claim, ALICE)
    game.chain.advance(1)
    game.refuses(OpenChallenge(claim_id=claim), BOB, "WindowClosed")
    game.refuses(Finalize(claim_id=claim, job=job), PROPOSER, "ChallengesOpen")
    early = Timeout(claim_id=claim, challenge=number, job=job)
    assert game.refuses(early, PROPOSER, "ClockRunning") == (claim, number, A - 1)


def test_a_trace_is_committed_once_in_time_and_by_the_proposer(game: Game) -> None:
    job, claim = in_dispute(game, Sha256(bytes(32)))
    game.refuses(Refute(claim_id=claim, job=job, proof=WRONG), BOB, "TraceMissing")
    game.refuses(CommitTrace(claim_id=claim, body=BODY), BOB, "NotProposer")
    game.refuses(CommitTrace(claim_id=claim, body=Sha256(bytes(32))), PROPOSER, "ZeroRoot")
    number = game.challenge(claim, ALICE)
    game.refuses(demand_top(game, job, claim, number), ALICE, "TraceMissing")
    game.chain.advance(A)
    game.refuses(CommitTrace(claim_id=claim, body=BODY), PROPOSER, "ClockRunOut")
    game.must(Timeout(claim_id=claim, challenge=number, job=job), BOB)
    assert game.state.claim(claim).reason is Reason.TRACE_WITHHELD


def test_a_challenge_makes_a_bounded_number_of_demands(game: Game) -> None:
    said = site(70)
    job, claim, _ = asked(game)
    number = game.challenge(claim, ALICE)
    for i in range(MOST_DEMANDS):
        walk = said.walk(3, 0, i)
        pending = game.state.challenge(claim, number).pending
        move = demand_top(game, job, claim, number, walk=walk, answering=pending)
        game.must(move, ALICE)
        demand = target(said.statement, claim, walk)
        game.must(Reveal(demand=demand, data=said.answer(demand)), PROPOSER)
    game.refuses(demand_top(game, job, claim, number), ALICE, "DemandsSpent")

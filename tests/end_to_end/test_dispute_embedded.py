"""Whole disputes between agents at the real contracts, about real runs of a small model."""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from dispute_lab import (
    DEPOSIT,
    POLICY,
    PRICE,
    Own,
    Withholding,
    challenger,
    disputable,
    long_sum,
    lying,
    network,
    own_run,
    pieced,
    served,
    wrong_middle,
)
from graph_zoo import case
from odd_players import Blind, Cooking, Silent, Stubborn
from referee_lab import ALICE, BOB, CAROL, PROPOSER, REQUESTER
from trace_runs import flipped, tensors_of
from venue_lab import Court, court

from verifiable.chain.recorder import record_of
from verifiable.crypto.merkle import Tag
from verifiable.dispute.moves import CommitTrace, DemandBytes, OpenChallenge, Refute, Reveal
from verifiable.dispute.players import Player, Proposer
from verifiable.dispute.record import encode_record, parse_record, replay
from verifiable.dispute.shelf import NothingServed, Source
from verifiable.dispute.state import Reason, Status
from verifiable.graph.ir import Index
from verifiable.types import Address, Sha256

ONE = network()
TRUE = own_run(ONE)
DOT, WIDE, SUMS, VIEW, OUTPUT, ROWS = (Index(i) for i in (2, 3, 4, 5, 6, 8))

Forge = Callable[[], Own]
FORGERIES: dict[str, Forge] = {
    "early, and all that follows": lambda: lying(ONE, SUMS, 5),
    "late": lambda: lying(ONE, ROWS, 71),
    "in an output that others read": lambda: wrong_middle(ONE, OUTPUT, 700),
    "a wrong Dot under a right output": lambda: wrong_middle(ONE, DOT, 333),
    "a wrong wide tensor under a right output": lambda: wrong_middle(ONE, WIDE, 11_999),
    "a wrong View under a right output": lambda: wrong_middle(ONE, VIEW, 39),
}


def proposing(game: Court, run: Own, *, eager: bool = False) -> Callable[[], Player]:
    return lambda: Proposer(
        claim=game.claim, job=game.job, run=run, weights=ONE.weights, eager=eager
    )


def challenging(me: Address = ALICE, source: Source | None = None) -> Callable[[], Player]:
    return lambda: challenger(ONE, TRUE, me, served=source or NothingServed())


def test_an_honest_claim_is_final_and_paid() -> None:
    game = court(TRUE)
    before = game.total()
    assert game.run(proposing(game, TRUE), challenging()) is Status.FINAL
    assert game.moves() == ["Post", "Finalize"]
    assert game.free(PROPOSER) == DEPOSIT + PRICE
    assert game.free(REQUESTER) == DEPOSIT - PRICE
    assert game.free(ALICE) == DEPOSIT
    assert game.total() == before


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_whose_bytes_are_withheld_is_refuted_by_one_challenger(name: str) -> None:
    forged = FORGERIES[name]()
    game = court(forged)
    before = game.total()
    # The trace is committed at once: a right output alone shows nothing wrong.
    assert game.run(proposing(game, forged, eager=True), challenging()) is Status.REFUTED
    assert game.record.reason is Reason.ELEMENT
    assert len(game.moves()) <= 20
    reward = POLICY.bond - POLICY.bond * (POLICY.burnt_share + POLICY.requester_share) // 10_000
    assert game.free(ALICE) == DEPOSIT + reward
    assert game.free(PROPOSER) == DEPOSIT - POLICY.bond
    assert game.total() == before


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_whose_bytes_are_served_is_refuted_in_one_transaction(
    name: str, tmp_path: Path
) -> None:
    forged = FORGERIES[name]()
    source = served(forged, ONE, tmp_path / "run")
    game = court(forged)
    run = game.run(proposing(game, forged, eager=True), challenging(source=source))
    assert run is Status.REFUTED
    assert game.moves() == ["Post", "OpenChallenge", "Refute"]


@pytest.mark.parametrize("tag", [Tag.NODE, Tag.TENSOR, Tag.LEAF])
@pytest.mark.parametrize("name", ["late", "a wrong wide tensor under a right output"])
def test_whatever_is_withheld_is_demanded_and_nothing_else(
    name: str, tag: Tag, tmp_path: Path
) -> None:
    forged = FORGERIES[name]()
    source = Withholding(served(forged, ONE, tmp_path / "run"), frozenset({tag}))
    game = court(forged)
    all_withheld = court(forged)
    run = game.run(proposing(game, forged, eager=True), challenging(source=source))
    assert run is Status.REFUTED
    assert game.record.reason is Reason.ELEMENT
    all_withheld.run(proposing(all_withheld, forged, eager=True), challenging())
    assert 1 <= game.moves().count("DemandBytes") <= all_withheld.moves().count("DemandBytes")


@pytest.mark.parametrize("answers", range(5))
def test_a_proposer_who_falls_silent_loses_by_the_clock(answers: int) -> None:
    forged = lying(ONE, ROWS, 71)
    game = court(forged)
    whole = proposing(game, forged)
    done = game.run(lambda: Silent(whole(), answers), challenging(), seconds=40)
    assert done is Status.REFUTED
    asked = game.moves().count("DemandBytes")
    assert game.record.reason is (Reason.BYTES_WITHHELD if answers < asked else Reason.ELEMENT)
    assert game.free(ALICE) > DEPOSIT


def test_a_proposer_who_never_commits_loses_by_the_clock() -> None:
    forged = lying(ONE, ROWS, 71)
    game = court(forged)
    posting = proposing(game, forged)
    game.tick(posting)
    assert game.run(challenging(), seconds=40) is Status.REFUTED
    assert game.record.reason is Reason.TRACE_WITHHELD
    assert game.moves() == ["Post", "OpenChallenge", "Timeout"]


def test_a_garbage_root_cannot_be_defended() -> None:
    whole = TRUE.trace.sections
    garbage = Sha256(bytes([9]) * 32)
    game = court(TRUE)
    game.tick(proposing(game, TRUE))
    referee = game.venue.referee(game.chain)
    referee.play(OpenChallenge(claim_id=game.key), sender=BOB)
    referee.play(CommitTrace(claim_id=game.key, body=garbage), sender=PROPOSER)
    assert whole.body != garbage
    assert game.run(proposing(game, TRUE), challenging(), seconds=40) is Status.REFUTED
    assert game.record.reason is Reason.BYTES_WITHHELD


def test_an_honest_claim_survives_challengers_who_ask_and_never_show() -> None:
    game = court(TRUE)
    before = game.total()
    lie = lying(ONE, SUMS, 5)

    def bogus(me: Address) -> Callable[[], Player]:
        # Believes another run: what it asks for is all answered, and shows it wrong.
        return lambda: Blind(challenger(ONE, lie, me))

    done = game.run(proposing(game, TRUE), bogus(BOB), bogus(CAROL), challenging(), seconds=40)
    assert done is Status.FINAL
    assert game.moves().count("OpenChallenge") == 2
    assert game.moves().count("CommitTrace") == 1
    assert game.free(ALICE) == DEPOSIT
    assert game.free(BOB) < DEPOSIT
    assert game.free(PROPOSER) >= DEPOSIT + PRICE + 2 * POLICY.challenge_bond
    assert game.total() == before


def test_two_challengers_share_what_was_revealed() -> None:
    forged = wrong_middle(ONE, WIDE, 11_999)
    game = court(forged)
    game.tick(proposing(game, forged, eager=True))
    alone = court(forged)
    alone.run(proposing(alone, forged, eager=True), challenging())
    # Alice asks for everything but the last, and falls silent; Bob goes on from there.
    needed = alone.moves().count("DemandBytes")
    game.tick(challenging(ALICE))
    game.tick(challenging(BOB))
    for _ in range(needed - 1):
        game.tick(challenging(ALICE))
        game.tick(proposing(game, forged))
    assert game.run(proposing(game, forged), challenging(BOB)) is Status.REFUTED
    assert game.moves().count("DemandBytes") == needed
    assert game.record.reason is Reason.ELEMENT


def test_a_move_that_was_made_already_is_progress() -> None:
    forged = wrong_middle(ONE, DOT, 333)
    game = court(forged)
    game.tick(proposing(game, forged, eager=True))
    game.tick(challenging())
    agent = game.agent(challenging()())
    view = agent.referee.view(game.key, game.job, 0)
    move = agent.player.next(view)
    assert isinstance(move, DemandBytes)
    agent.referee.play(move, sender=ALICE)

    done = game.agent(Stubborn(ALICE, move)).tick()
    assert done.sent is None
    assert done.overtaken is not None
    assert game.run(proposing(game, forged), challenging()) is Status.REFUTED


def test_a_dispute_takes_as_many_transactions_and_as_much_gas_as_is_said(tmp_path: Path) -> None:
    """Cancun rules, accounts and slots of the first use among them."""
    forged = wrong_middle(ONE, WIDE, 11_999)
    withheld, given = court(forged), court(forged)
    withheld.run(proposing(withheld, forged, eager=True), challenging())
    source = served(forged, ONE, tmp_path / "run")
    given.run(proposing(given, forged, eager=True), challenging(source=source))
    assert given.moves() == ["Post", "OpenChallenge", "Refute"]
    assert given.gas(Refute) < 250_000
    assert withheld.moves().count("DemandBytes") == withheld.moves().count("Reveal") == 4
    assert withheld.gas(DemandBytes, Reveal) < 800_000


def test_a_right_output_over_an_uncommitted_trace_is_no_lie() -> None:
    forged = wrong_middle(ONE, WIDE, 11_999)
    game = court(forged)
    assert game.run(proposing(game, forged), challenging()) is Status.FINAL
    assert game.moves() == ["Post", "Finalize"]


def test_a_dispute_read_off_the_chain_is_replayed_to_the_verdict_of_the_chain() -> None:
    forged = lying(ONE, ROWS, 71)
    game = court(forged)
    game.run(proposing(game, forged), challenging())
    record = record_of(game.venue.referee(game.chain), game.key, 0)
    assert record.job == game.job
    assert record.claim == game.claim
    assert [type(played.move).__name__ for played in record.moves] == game.moves()
    assert [tick.move for tick in game.ticks] == [played.move for played in record.moves]
    found = replay(parse_record(encode_record(record)))
    assert found == record.verdict
    assert (found.status, found.reason) == (Status.REFUTED, Reason.ELEMENT)
    assert (found.instruction, found.element, found.by) == (ROWS, 71, ALICE)


@pytest.mark.parametrize("seed", [3, 11, 29, 40])
def test_random_graphs_are_disputed_at_the_real_contracts(seed: int) -> None:
    one = case(seed, steps=6)
    true = own_run(one)
    rng = random.Random(seed)
    for index in rng.sample(disputable(one, true.tensors), 2):
        forged = wrong_middle(one, index, rng.randrange(true.tensors[index].size))
        game = court(forged)
        posing = Proposer(
            claim=game.claim, job=game.job, run=forged, weights=one.weights, eager=True
        )
        done = game.run(
            partial(replace, posing),
            lambda: challenger(one, true),
        )
        assert done is Status.REFUTED, (seed, index)
        assert game.record.reason is Reason.ELEMENT, (seed, index)


@pytest.mark.parametrize("piece", [0, 11])
def test_a_long_row_is_refuted_piece_by_piece_at_the_real_contracts(piece: int) -> None:
    one = long_sum()
    own, tensors = own_run(one), tensors_of(one)
    tensors[1] = flipped(tensors[1], 1)
    forged = own_run(one, tensors)
    by = int(tensors[1][1]) - int(own.tensors[1][1])
    game = court(forged)

    def cooking() -> Player:
        whole = Proposer(claim=game.claim, job=game.job, run=forged, weights={})
        return Cooking(whole, piece, by)

    assert game.run(cooking, pieced(one, own)) is Status.REFUTED
    assert game.record.reason is Reason.PIECE
    assert game.moves()[-3:] == ["DemandPartials", "RevealPartials", "RefutePiece"]


def test_pieces_that_do_not_give_the_element_are_refuted_at_the_real_contracts() -> None:
    one = long_sum()
    own, tensors = own_run(one), tensors_of(one)
    tensors[1] = flipped(tensors[1], 1)
    forged = own_run(one, tensors)
    game = court(forged)

    def careless() -> Player:
        return Proposer(claim=game.claim, job=game.job, run=forged, weights={})

    assert game.run(careless, pieced(one, own)) is Status.REFUTED
    assert game.record.reason is Reason.PIECE
    assert game.moves()[-3:] == ["DemandPartials", "RevealPartials", "RefutePartials"]


def test_an_honest_proposer_shows_his_pieces_at_the_real_contracts() -> None:
    one = long_sum()
    own, lie = own_run(one), lying(one, Index(1), 1)
    game = court(own)

    def honest() -> Player:
        return Proposer(claim=game.claim, job=game.job, run=own, weights={})

    assert game.run(honest, lambda: Blind(pieced(one, lie)()), seconds=60) is Status.FINAL
    assert "RevealPartials" in game.moves()

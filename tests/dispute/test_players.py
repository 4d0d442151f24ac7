"""Players decide by what the chain says alone: the honest one wins, whoever else plays."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from costly import costly
from dispute_lab import (
    DEPOSIT,
    POLICY,
    PRICE,
    OfflineGame,
    Withholding,
    challenger,
    disputable,
    long_sum,
    lying,
    network,
    offline,
    own_run,
    pieced,
    plainly_served,
    proposer,
    wrong_middle,
)
from graph_zoo import LONG, case
from hypothesis import assume
from hypothesis import strategies as st
from odd_players import Blind, Cooking
from referee_lab import ALICE, PROPOSER, REQUESTER, account
from trace_runs import flipped, tensors_of
from walk_material import Site

from verifiable.crypto.merkle import Tag
from verifiable.crypto.tree import Tree
from verifiable.dispute.answers import answer
from verifiable.dispute.clocks import Standing
from verifiable.dispute.moves import (
    CommitTrace,
    DemandPartials,
    OpenChallenge,
    Post,
    RefutePiece,
    RevealPartials,
)
from verifiable.dispute.players import Player
from verifiable.dispute.refutation import OwnRunError
from verifiable.dispute.shelf import NothingServed, Source
from verifiable.dispute.state import Reason, Status
from verifiable.dispute.terms import MOST_DEMANDS, Demand, Zone
from verifiable.dispute.walk import check_answer, target
from verifiable.errors import HostError
from verifiable.graph.ir import Const, Index
from verifiable.trace.commit import sections
from verifiable.types import Bytes32, ClaimId, Sha256

CASES = [case(seed, steps=6) for seed in range(6)]
CASES += [case(seed, steps=4, extents=LONG, most=1500) for seed in range(6)]
CASES += [network()]
TRUE = [own_run(one) for one in CASES]
BOB = account(3)
TAGS = st.frozensets(st.sampled_from([Tag.NODE, Tag.TENSOR, Tag.LEAF]))


@costly(st.integers(0, len(CASES) - 1), st.booleans(), st.booleans(), TAGS, st.data())
def test_one_honest_challenger_refutes_every_false_trace_and_no_other(
    number: int, flows: bool, kept: bool, tags: frozenset[int], data: st.DataObject
) -> None:
    one, own = CASES[number], TRUE[number]
    places = disputable(one, own.tensors)
    assume(places)
    index = data.draw(st.sampled_from(places))
    element = data.draw(st.integers(0, own.tensors[index].size - 1))
    forged = (lying if flows else wrong_middle)(one, index, element)
    source: Source = NothingServed()
    if kept:
        source = Withholding(plainly_served(one, forged), tags)
    game = offline(forged)
    status = game.run(
        lambda: proposer(game, one, forged, eager=True), lambda: challenger(one, own, served=source)
    )
    assert status is Status.REFUTED
    assert game.table.state.claim(game.key).reason is Reason.ELEMENT
    if kept and not tags:
        assert game.names() == ["Post", "OpenChallenge", "Refute"]
    assert len(game.moves) < 3 + 2 * MOST_DEMANDS
    assert game.table.state.vault.free_of(ALICE) > DEPOSIT


@dataclass
class Missing:
    """Serves a run but for one object, and notes what is asked."""

    source: Source
    digest: Sha256 | None = None
    asked: list[Sha256] = field(default_factory=list)

    def read(self, digest: Sha256, /) -> bytes | None:
        self.asked.append(digest)
        return None if digest == self.digest else self.source.read(digest)


@pytest.mark.parametrize("index", [2, 3, 4, 5, 6, 8])
def test_any_one_object_may_be_withheld_those_of_operands_too(index: int) -> None:
    one = network()
    own, forged = own_run(one), wrong_middle(one, Index(index), 0)
    source = Missing(plainly_served(one, forged))
    game = offline(forged)
    makers = (
        lambda: proposer(game, one, forged, eager=True),
        lambda: challenger(one, own, served=source),
    )
    assert game.run(*makers) is Status.REFUTED
    for digest in dict.fromkeys(source.asked):
        source = Missing(plainly_served(one, forged), digest)
        game = offline(forged)
        assert game.run(*makers) is Status.REFUTED
        assert 1 <= game.names().count("DemandBytes") <= 2
        assert game.table.state.claim(game.key).reason is Reason.ELEMENT


@pytest.mark.parametrize("number", range(len(CASES)))
@pytest.mark.parametrize("eager", [False, True])
def test_nobody_challenges_a_true_claim(number: int, eager: bool) -> None:
    one, own = CASES[number], TRUE[number]
    game = offline(own)
    run = game.run(lambda: proposer(game, one, own, eager=eager), lambda: challenger(one, own))
    assert run is Status.FINAL
    assert game.names() == ["Post", "Finalize"]


def test_an_agent_challenges_neither_its_own_claim_nor_one_it_cannot_judge() -> None:
    one = network()
    own, forged = own_run(one), lying(one, Index(8), 3)
    game = offline(forged)
    game.tick(lambda: proposer(game, one, forged))
    view = game.table.view(game.key, game.job, game.now)
    assert isinstance(challenger(one, own, ALICE).next(view), OpenChallenge)
    assert challenger(one, own, PROPOSER).next(view) is None
    for wrong in (
        replace(game.job, model=Sha256(bytes(32))),
        replace(game.job, input=Sha256(bytes(32))),
        replace(game.job, semantics="canon/2"),
    ):
        assert challenger(one, own, ALICE).next(replace(view, job=wrong)) is None


def test_a_challenge_of_another_keeps_nobody_from_his_own() -> None:
    one = network()
    own, forged = own_run(one), lying(one, Index(8), 3)
    game = offline(forged)
    game.tick(lambda: proposer(game, one, forged))
    game.tick(lambda: challenger(one, own, BOB))
    game.tick(lambda: challenger(one, own, ALICE))
    assert game.names() == ["Post", "OpenChallenge", "OpenChallenge"]
    done = game.run(
        lambda: proposer(game, one, forged),
        lambda: challenger(one, own, BOB),
        lambda: challenger(one, own, ALICE),
    )
    assert done is Status.REFUTED
    assert game.table.state.vault.free_of(ALICE) >= DEPOSIT - 64 * POLICY.reveal_fee
    assert game.table.state.vault.free_of(BOB) > DEPOSIT


def test_a_middle_that_a_foreign_challenge_brings_to_light_is_challenged() -> None:
    one = network()
    own, forged = own_run(one), wrong_middle(one, Index(3), 77)
    game = offline(forged)
    game.tick(lambda: proposer(game, one, forged))
    assert not game.tick(lambda: challenger(one, own))
    game.play(OpenChallenge(claim_id=game.key), BOB)
    done = game.run(lambda: proposer(game, one, forged), lambda: challenger(one, own))
    assert done is Status.REFUTED
    assert "Refute" in game.names()


def test_a_challenger_who_came_too_late_still_refutes_what_is_served() -> None:
    one = network()
    own, forged = own_run(one), lying(one, Index(8), 3)
    game = offline(forged)
    game.tick(lambda: proposer(game, one, forged, eager=True))
    game.play(OpenChallenge(claim_id=game.key), BOB)
    game.now += POLICY.window + 1
    assert not game.tick(lambda: challenger(one, own))
    assert game.tick(lambda: challenger(one, own, served=plainly_served(one, forged)))
    assert game.names() == ["Post", "OpenChallenge", "Refute"]


@pytest.mark.parametrize(
    "number", [*range(len(CASES) - 1), pytest.param(len(CASES) - 1, marks=pytest.mark.slow)]
)
def test_every_demand_has_an_answer(number: int) -> None:
    """Against `Site`, which finds the nodes in another way."""
    one, own = CASES[number], TRUE[number]
    site = Site(one.graph, own.tensors, own.trace)
    key = ClaimId(bytes(32))
    asked = 0
    for demand in demands(site, key):
        data = answer(own, one.weights, demand)
        assert data == site.answer(demand), demand
        check_answer(demand, data)
        asked += 1
    assert asked > len(one.graph.instructions)


def demands(site: Site, key: ClaimId) -> list[Demand]:
    """For each node of each zone, and of each tensor."""
    found = []
    for zone in (Zone.INPUT, Zone.BODY, Zone.OUTPUT, Zone.MODEL):
        tree = site.zone(zone)
        for level, index in places(tree):
            found.append(target(site.statement, key, site.walk(zone, level, index)))
    consts = [i for i, ins in enumerate(site.graph.instructions) if isinstance(ins, Const)]
    found += [target(site.statement, key, site.into_const(Index(i))) for i in consts]
    for entered in [d for d in found if d.at.zone == Zone.TENSOR]:
        for level, index in places(site.tree_under(entered)):
            found.append(target(site.statement, key, site.on(entered, level, index)))
    return found


def places(tree: Tree) -> list[tuple[int, int]]:
    if not tree.leaves:
        return []
    return [
        (level, index)
        for level in range(tree.height + 1)
        for index in range(1 << (tree.height - level))
        if tree.is_node(level, index)
    ]


@pytest.mark.parametrize("number", range(6, len(CASES) - 1))
def test_bytes_of_another_run_answer_nothing(number: int) -> None:
    one, own = CASES[number], TRUE[number]
    forged = wrong_middle(one, disputable(one, own.tensors)[0], 0)
    key = ClaimId(bytes(32))
    mine = {d.at.node for d in demands(Site(one.graph, own.tensors, own.trace), key)}
    asked = demands(Site(one.graph, forged.tensors, forged.trace), key)
    unanswered = [d for d in asked if answer(own, one.weights, d) is None]
    assert unanswered == [d for d in asked if d.at.node not in mine]
    assert len(unanswered) >= 2


@costly(st.integers(0, len(CASES) - 1), st.data())
def test_an_honest_claim_is_paid_whatever_is_asked(number: int, data: st.DataObject) -> None:
    one, own = CASES[number], TRUE[number]
    places = disputable(one, own.tensors)
    assume(places)
    index = data.draw(st.sampled_from(places))
    lie = lying(one, index, data.draw(st.integers(0, own.tensors[index].size - 1)))
    assume(lie.trace.sections.output != own.trace.sections.output)
    game = offline(own)
    done = game.run(
        lambda: proposer(game, one, own),
        lambda: Blind(challenger(one, lie)),
        lambda: Blind(challenger(one, lie, BOB)),
        seconds=300,
    )
    assert done is Status.FINAL
    assert game.table.state.vault.free_of(PROPOSER) >= DEPOSIT + PRICE + 2 * POLICY.challenge_bond
    assert game.table.state.vault.free_of(REQUESTER) == DEPOSIT - PRICE
    assert game.names().count("Timeout") == 2


def test_a_challenger_whose_own_run_is_wrong_is_told() -> None:
    one = network()
    own, lie = own_run(one), lying(one, Index(8), 3)
    game = offline(own)
    with pytest.raises(OwnRunError, match="instruction 8"):
        game.run(lambda: proposer(game, one, own), lambda: challenger(one, lie))
    assert "Refute" not in game.names()


def test_silence_is_timed_out_on_either_side() -> None:
    one = network()
    own, forged = own_run(one), lying(one, Index(8), 3)
    game = offline(forged)
    game.tick(lambda: proposer(game, one, forged))
    assert game.run(lambda: challenger(one, own), seconds=50) is Status.REFUTED
    assert game.table.state.claim(game.key).reason is Reason.TRACE_WITHHELD
    game = offline(own)
    game.tick(lambda: proposer(game, one, own))
    game.play(OpenChallenge(claim_id=game.key), BOB)
    assert game.run(lambda: proposer(game, one, own), seconds=50) is Status.FINAL
    assert game.names() == ["Post", "OpenChallenge", "CommitTrace", "Timeout", "Finalize"]


class Broken:
    """A store that cannot be asked."""

    def read(self, digest: Sha256, /) -> bytes | None:
        raise HostError(f"no way to {digest.hex()}")


class Garbage:
    """A store that gives something else."""

    def read(self, digest: Sha256, /) -> bytes | None:
        return b"\x00" + digest


@pytest.mark.parametrize("source", [Broken(), Garbage()])
def test_a_store_that_fails_or_lies_is_as_good_as_none(source: Source) -> None:
    one = network()
    own, forged = own_run(one), lying(one, Index(8), 3)
    game = offline(forged)
    done = game.run(
        lambda: proposer(game, one, forged), lambda: challenger(one, own, served=source)
    )
    assert done is Status.REFUTED
    assert game.table.state.claim(game.key).reason is Reason.ELEMENT


@pytest.mark.parametrize("root", [bytes([9]) * 32, bytes(31) + b"\x01"])
def test_a_garbage_root_is_lost_by_the_clock(root: bytes) -> None:
    one = network()
    own = own_run(one)
    game = offline(own)
    game.tick(lambda: proposer(game, one, own))
    game.play(OpenChallenge(claim_id=game.key), BOB)
    game.play(CommitTrace(claim_id=game.key, body=Sha256(root)), PROPOSER)
    done = game.run(lambda: proposer(game, one, own), lambda: challenger(one, own), seconds=50)
    assert done is Status.REFUTED
    assert game.table.state.claim(game.key).reason is Reason.BYTES_WITHHELD


def test_a_tensor_of_another_type_is_demanded_and_never_shown() -> None:
    """The root in a slot is true, but of a tensor that the graph does not have there."""
    one = network()
    own = own_run(one)
    roots = list(own.trace.roots)
    roots[3], roots[2] = roots[2], roots[4]
    trace = replace(own.trace, roots=tuple(roots), sections=sections(one.graph, roots))
    forged = replace(own, trace=trace)
    game = offline(forged)
    done = game.run(
        lambda: proposer(game, one, forged, eager=True),
        lambda: challenger(one, own),
        seconds=50,
    )
    assert done is Status.REFUTED
    assert game.table.state.claim(game.key).reason is Reason.BYTES_WITHHELD


@pytest.mark.parametrize("piece", [0, 7, 11])
def test_a_row_too_long_for_one_transaction_is_refuted_piece_by_piece(piece: int) -> None:
    one = long_sum()
    own = own_run(one)
    tensors = tensors_of(one)
    tensors[1] = flipped(tensors[1], 1)
    forged = own_run(one, tensors)
    by = int(tensors[1][1]) - int(own.tensors[1][1])
    game = offline(forged)
    done = game.run(lambda: Cooking(proposer(game, one, forged), piece, by), pieced(one, own))
    assert done is Status.REFUTED
    assert game.table.state.claim(game.key).reason is Reason.PIECE
    last = game.moves[-1].move
    assert isinstance(last, RefutePiece)
    assert last.piece == piece
    kinds = [type(played.move) for played in game.moves]
    assert kinds[-3:] == [DemandPartials, RevealPartials, RefutePiece]


def test_pieces_that_do_not_give_the_element_are_refuted_by_their_sum() -> None:
    one = long_sum()
    own, tensors = own_run(one), tensors_of(one)
    tensors[1] = flipped(tensors[1], 1)
    forged = own_run(one, tensors)
    game = offline(forged)
    done = game.run(lambda: proposer(game, one, forged), pieced(one, own))
    assert done is Status.REFUTED
    assert game.table.state.claim(game.key).reason is Reason.PIECE
    assert game.names()[-3:] == ["DemandPartials", "RevealPartials", "RefutePartials"]


def test_an_honest_proposer_shows_his_pieces() -> None:
    one = long_sum()
    own, lie = own_run(one), lying(one, Index(1), 1)
    game = offline(own)
    done = game.run(lambda: proposer(game, one, own), lambda: Blind(pieced(one, lie)()), seconds=50)
    assert done is Status.FINAL
    assert "RevealPartials" in game.names()


def test_a_player_that_looks_twice_decides_the_same() -> None:
    one = network()
    own, forged = own_run(one), lying(one, Index(8), 3)
    game = offline(forged)
    makers: list[Callable[[], Player]] = [
        lambda: proposer(game, one, forged), lambda: challenger(one, own)
    ]  # fmt: skip
    for _ in range(20):
        for make in makers:
            view = game.table.view(game.key, game.job, game.now)
            assert make().next(view) == make().next(view)
            game.tick(make)
    assert game.status is Status.REFUTED


def test_many_who_let_their_time_run_out_keep_the_reward_from_nobody() -> None:
    one = network()
    own, forged = own_run(one), lying(one, Index(8), 3)
    game = offline(forged)
    game.tick(lambda: proposer(game, one, forged, eager=True))
    for _ in range(20):
        game.play(OpenChallenge(claim_id=game.key), BOB)
    game.now += POLICY.window
    game.tick(lambda: challenger(one, own))
    # Their clocks ran from the start; nobody ends them, and the claim is refuted meanwhile.
    game.now += POLICY.allowance - POLICY.window
    view = game.table.view(game.key, game.job, game.now)
    assert view.standing(1) is Standing.CHALLENGER_OUT
    assert view.standing(21) is Standing.RUNNING
    served = plainly_served(one, forged)
    assert game.run(lambda: challenger(one, own, served=served)) is Status.REFUTED
    state = game.table.state
    share = POLICY.bond * (10_000 - POLICY.burnt_share - POLICY.requester_share) // 10_000
    assert state.vault.free_of(ALICE) == DEPOSIT + share
    assert not state.unpaid


def test_a_job_that_was_taken_is_not_answered_again() -> None:
    one = network()
    own = own_run(one)
    game = offline(own)
    game.tick(lambda: proposer(game, one, own))
    assert isinstance(game.moves[0].move, Post)
    other = replace(game.claim, header=replace(game.claim.header, nonce=Bytes32(bytes([1]) * 32)))
    again = replace(proposer(game, one, own), claim=other)
    rival = OfflineGame(game.table, game.job, other)
    assert again.next(rival.table.view(rival.key, game.job, game.now)) is None

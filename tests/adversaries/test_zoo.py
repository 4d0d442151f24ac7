"""Who plays against the rules, and how little it brings; the step stands in for the recomputation.

The adversaries that need agents (re-orgs, crashes) and real recomputation (flipped elements, bad
partial sums) are played where those are. Every move here is played in both languages.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from referee_lab import (
    ALICE,
    BOB,
    BODY,
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
)
from walk_material import Site, path, site, site_of

from verifiable.chain.abi import encode_call
from verifiable.chain.referee_values import call_of
from verifiable.chain.revert import OutOfGasError, RevertedError
from verifiable.crypto.merkle import Tag, tagged
from verifiable.dispute.moves import (
    CommitTrace,
    DemandBytes,
    Finalize,
    OpenChallenge,
    Refute,
    Reveal,
    Timeout,
)
from verifiable.dispute.state import NO_ROOT, Reason, Status
from verifiable.dispute.terms import Demand, Form, Job, Walk
from verifiable.dispute.walk import target
from verifiable.errors import ChainError
from verifiable.graph.ir import Array
from verifiable.types import ClaimId

pytestmark = pytest.mark.evm

W, A, S, B = POLICY.window, POLICY.allowance, POLICY.bond, POLICY.challenge_bond
REST = S - S * POLICY.burnt_share // 10_000 - S * POLICY.requester_share // 10_000


@pytest.fixture
def game() -> Iterator[Game]:
    with playing() as one:
        yield one


def claimed(game: Game, where: Site) -> tuple[Job, ClaimId]:
    """An eager claim with the trace of a site."""
    said = where.statement
    job = game.job(model=said.model, input=said.input)
    return job, game.post(job, said.body, output=said.output)


def ask(game: Game, job: Job, claim: ClaimId, where: Site, walk: Walk) -> Demand:
    pending = game.state.challenge(claim, 1).pending
    move = DemandBytes(claim_id=claim, challenge=1, job=job, walk=walk, answering=pending)
    game.must(move, ALICE)
    return target(where.statement, claim, walk)


def forged(change: tuple[int, Array]) -> Site:
    """The site with one tensor replaced, whatever its type."""
    index, tensor = change
    tensors = list(site(70).tensors)
    tensors[index] = tensor
    return site_of(site(70).graph, tensors)


def test_who_says_nothing_loses_his_bond(game: Game) -> None:
    before = game.state.vault
    job, claim = in_dispute(game, NO_ROOT)
    number = game.challenge(claim, ALICE)
    game.chain.advance(A)
    game.must(Timeout(claim_id=claim, challenge=number, job=job), ALICE)
    assert game.state.claim(claim).reason is Reason.TRACE_WITHHELD
    assert gains(game, before)["alice"] == REST
    assert gains(game, before)["proposer"] == -S


def test_who_commits_a_garbage_root_cannot_answer_the_first_demand(game: Game) -> None:
    said = site(70).statement
    job = game.job(model=said.model, input=said.input)
    garbage = replace(said, body=BODY)
    claim = game.post(job, BODY, output=said.output)
    number = game.challenge(claim, ALICE)
    walk = replace(site(70).walk(1, 7, 0), node=BODY)
    move = DemandBytes(claim_id=claim, challenge=number, job=job, walk=walk)
    game.must(move, ALICE)
    demand = target(garbage, claim, walk)
    for data in (b"", site(70).answer(target(said, claim, site(70).walk(1, 7, 0)))):
        refused = game.play(Reveal(demand=demand, data=data), PROPOSER)
        assert refused.names <= {"RevealLength", "RevealMismatch"}
    game.chain.advance(A)
    game.must(Timeout(claim_id=claim, challenge=number, job=job), ALICE)
    assert game.state.claim(claim).reason is Reason.BYTES_WITHHELD


@pytest.mark.parametrize("shape", [(3, 599), (4, 600), (600, 3), (1800,)])
def test_who_commits_another_shape_cannot_answer(game: Game, shape: tuple[int, ...]) -> None:
    where = forged((6, np.zeros(shape, np.float32)))
    job, claim = claimed(game, where)
    game.challenge(claim, ALICE)
    slot = where.crossing(where.index_at(1, 4)).instruction.slot
    demand = ask(game, job, claim, where, where.walk(1, 0, slot.position))
    own = site(70).answer(replace(demand, at=replace(demand.at, node=site(70).trace.roots[6])))
    for data in (own, own[:2]):
        refused = game.play(Reveal(demand=demand, data=data), PROPOSER)
        assert refused.names <= {"RevealLength", "RevealMismatch"}
    game.chain.advance(A)
    game.must(Timeout(claim_id=claim, challenge=1, job=job), ALICE)


def test_who_pads_with_something_else_cannot_answer(game: Game) -> None:
    honest = site(70)
    tree = honest.zone(1)
    right = tagged(Tag.NODE, BODY, BODY)
    for _ in range(5):
        right = tagged(Tag.NODE, right, right)
    root = tagged(Tag.NODE, tree.node(6, 0), right)
    said = replace(honest.statement, body=root)
    job = game.job(model=said.model, input=said.input)
    claim = game.post(job, root, output=said.output)
    number = game.challenge(claim, ALICE)
    walk = replace(honest.walk(1, 7, 0), node=root)
    game.must(DemandBytes(claim_id=claim, challenge=number, job=job, walk=walk), ALICE)
    demand = target(said, claim, walk)
    level, most = 7 - demand.size, 1 << demand.size
    real = [tree.node(level, i) for i in range(most) if tree.is_node(level, i)]
    nodes, rest = b"".join(real), bytes((most - len(real)) * 32)
    assert rest
    game.refuses(Reveal(demand=demand, data=nodes), PROPOSER, "RevealMismatch")
    game.refuses(Reveal(demand=demand, data=nodes + rest), PROPOSER, "RevealLength")


def test_who_burns_clocks_burns_his_own_bond_and_no_one_elses_time(game: Game) -> None:
    before = game.state.vault
    job, claim, demand = asked(game)
    burner, honest = game.challenge(claim, BOB), game.challenge(claim, ALICE)
    game.chain.advance(A - 1)
    game.must(demand_top(game, job, claim, burner), BOB)
    game.chain.advance(A // 2)
    game.must(Reveal(demand=demand, data=site(70).answer(demand)), PROPOSER)
    game.chain.advance(1)
    game.must(Timeout(claim_id=claim, challenge=burner, job=job), PROPOSER)
    game.must(Timeout(claim_id=claim, challenge=honest, job=job), PROPOSER)
    game.chain.advance(W)
    game.must(Finalize(claim_id=claim, job=job), PROPOSER)
    assert gains(game, before)["proposer"] == 2 * B + POLICY.reveal_fee + job.price


def test_who_moves_in_the_last_second_is_heard_and_one_second_later_is_not(game: Game) -> None:
    job, claim, demand = asked(game)
    number = game.challenge(claim, ALICE)
    game.chain.advance(A - 1)
    game.must(demand_top(game, job, claim, number), ALICE)
    game.chain.advance(A - 1)
    game.must(Reveal(demand=demand, data=site(70).answer(demand)), PROPOSER)
    late = demand_top(game, job, claim, number, walk=site(70).walk(1, 0, 1))
    game.must(late, ALICE)
    game.chain.advance(1)
    game.refuses(CommitTrace(claim_id=claim, body=BODY), PROPOSER, "TraceCommittedAlready")
    game.must(Timeout(claim_id=claim, challenge=number, job=job), STRANGER)
    assert game.state.claim(claim).status is Status.REFUTED


def test_who_runs_in_front_of_a_refutation_wins_nothing(game: Game) -> None:
    before = game.state.vault
    job, claim = in_dispute(game)
    game.challenge(claim, ALICE)
    game.challenge(claim, STRANGER)
    game.must(Refute(claim_id=claim, job=job, proof=WRONG), STRANGER)
    game.refuses(Refute(claim_id=claim, job=job, proof=WRONG), ALICE, "ClaimNotOpen")
    assert gains(game, before)["alice"] == REST
    assert gains(game, before)["stranger"] == -B


def test_who_challenges_himself_in_front_of_others_still_pays(game: Game) -> None:
    before = game.state.vault
    job, claim = in_dispute(game)
    game.challenge(claim, PROPOSER)
    game.challenge(claim, ALICE)
    game.must(Refute(claim_id=claim, job=job, proof=WRONG), ALICE)
    assert gains(game, before)["proposer"] == REST - S
    assert game.state.vault.burnt > 0


def test_who_does_a_thing_twice_is_refused_early(game: Game) -> None:
    job, claim, demand = asked(game)
    number = game.challenge(claim, ALICE)
    game.must(demand_top(game, job, claim, number), ALICE)
    game.refuses(demand_top(game, job, claim, number), ALICE, "ProposersTurn")
    game.must(Reveal(demand=demand, data=site(70).answer(demand)), PROPOSER)
    again = Reveal(demand=demand, data=site(70).answer(demand))
    game.refuses(again, PROPOSER, "RevealedAlready")


@pytest.mark.parametrize("index", [71, 127, 128, 2**63])
def test_who_asks_beyond_a_tree_is_refused(game: Game, index: int) -> None:
    job, claim, _ = asked(game)
    number = game.challenge(claim, ALICE)
    tree = site(70).zone(1)
    walk = replace(site(70).walk(1, 0, 0), index=index, siblings=path(tree, 0, 0, tree.height))
    move = demand_top(game, job, claim, number, walk=walk)
    wanted = "IntoPadding" if index < 128 else "WalkMalformed"
    game.refuses(move, ALICE, wanted)


def test_who_asks_for_a_challenge_that_is_not_there_is_refused(game: Game) -> None:
    job, claim, _ = asked(game)
    for number in (0, 1, 2**32 - 1):
        move = Timeout(claim_id=claim, challenge=number, job=job)
        game.refuses(move, ALICE, "ChallengeUnknown")


def test_a_leaf_of_64_bytes_does_not_pose_as_a_node(game: Game) -> None:
    """The proposer's leaf is two digests: as a node it has no preimage under the node's tag."""
    said = site(70).statement
    job = game.job(model=said.model, input=said.input)
    leaf = BODY + BODY
    root = tagged(Tag.LEAF, leaf)
    claim = game.post(job, root, output=said.output)
    number = game.challenge(claim, ALICE)
    fake = replace(site(70).walk(1, 7, 0), height=6, node=BODY, siblings=(BODY,))
    game.refuses(demand_top(game, job, claim, number, walk=fake), ALICE, "WalkMismatch")
    top = replace(site(70).walk(1, 7, 0), node=root)
    game.must(demand_top(game, job, claim, number, walk=top), ALICE)
    demand = target(replace(said, body=root), claim, top)
    refused = game.play(Reveal(demand=demand, data=leaf), PROPOSER)
    assert refused.names == {"RevealLength"}
    posing = replace(demand, form=Form.LEAF, size=64)
    game.refuses(Reveal(demand=posing, data=leaf), PROPOSER, "DemandUnknown")


def test_who_starves_a_call_of_gas_decides_nothing(game: Game) -> None:
    job, claim = in_dispute(game)
    for proof in (WRONG, RIGHT):
        name, arguments = call_of(Refute(claim_id=claim, job=job, proof=proof))
        data = encode_call(artifacts()["Referee"].abi, name, arguments)
        for gas in range(29_000, 62_000, 1_000):
            with pytest.raises(ChainError) as e:
                game.chain.call(game.addresses["Referee"], data, sender=BOB, gas=gas)
            if isinstance(e.value, RevertedError):
                assert not refusal(e.value.data).names & {"NotDifferent"} or proof is RIGHT
            else:
                assert isinstance(e.value, OutOfGasError)
    game.check()


def test_who_finalises_early_is_refused_until_nothing_is_open(game: Game) -> None:
    job, claim = in_dispute(game)
    end = Finalize(claim_id=claim, job=job)
    game.refuses(end, PROPOSER, "WindowOpen")
    game.chain.advance(W)
    game.refuses(end, PROPOSER, "WindowOpen")
    number = game.challenge(claim, ALICE)
    game.chain.advance(A)
    game.refuses(end, PROPOSER, "ChallengesOpen")
    game.must(Timeout(claim_id=claim, challenge=number, job=job), PROPOSER)
    game.must(end, PROPOSER)
    game.refuses(OpenChallenge(claim_id=claim), ALICE, "ClaimNotOpen")


def test_a_payee_that_cannot_be_paid_stops_nothing(game: Game) -> None:
    """Whoever wins is credited in the vault; nothing is sent while a claim is decided."""
    refuses = game.addresses["Referee"]
    job, claim = in_dispute(game)
    game.challenge(claim, ALICE)
    game.must(Refute(claim_id=claim, job=job, proof=WRONG), BOB)
    won = game.state.vault.free_of(ALICE)
    with pytest.raises(RevertedError) as e:
        game.send("StakeVault", "withdraw", refuses, won, sender=ALICE)
    assert refusal(e.value.data).names == {"TransferFailed"}
    game.check()

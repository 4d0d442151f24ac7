"""Typed bindings say what the contracts say: moves, records, events and refusals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from anvil import Anvil, start
from dispute_lab import (
    DEPOSIT,
    POLICY,
    PRICE,
    challenger,
    claim_about,
    job_of,
    long_sum,
    lying,
    network,
    offline,
    own_run,
    pieced,
    plainly_served,
    proposer,
)
from odd_players import Cooking
from referee_lab import ALICE, BOB, PROPOSER, REQUESTER, STRANGER
from trace_runs import flipped, tensors_of
from venue_lab import Court, court, fund

from verifiable.chain.abi import decode_call, encode_call
from verifiable.chain.agent import Agent
from verifiable.chain.contract import OPENING_ERRORS, abi_of, refusal_of
from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.protocol import Event
from verifiable.chain.recorder import record_of
from verifiable.chain.referee import (
    Challenged,
    ChallengeLost,
    Collected,
    Demanded,
    Finalized,
    Posted,
    Referee,
    Refuted,
    Revealed,
    Rewarded,
    TraceCommitted,
)
from verifiable.chain.referee_reading import move_of
from verifiable.chain.referee_values import call_of
from verifiable.chain.revert import OutOfGasError, RevertedError
from verifiable.chain.rpc import RpcChain
from verifiable.chain.venue import Venue, deploy_venue
from verifiable.claim import CanonClaim, claim_id
from verifiable.crypto.hashing import keccak256
from verifiable.dispute.errors import (
    ClaimNotOpenError,
    FreeTooLittleError,
    JobUnknownError,
    NotChallengerError,
    NotDifferentError,
    TraceMissingError,
    WindowClosedError,
)
from verifiable.dispute.jobs import JobState
from verifiable.dispute.moves import Collect, OpenChallenge, Refute, Timeout
from verifiable.dispute.players import Player, Proposer
from verifiable.dispute.prove import prove_step
from verifiable.dispute.record import encode_record, parse_record, replay
from verifiable.dispute.state import Reason, Status
from verifiable.dispute.terms import MOST_SECONDS, Job
from verifiable.errors import ChainError, OpeningRejectedError
from verifiable.graph.ir import Index
from verifiable.solidity.artifacts import load
from verifiable.types import Address, Bytes32

ONE = network()
TRUE, FORGED = own_run(ONE), lying(ONE, Index(8), 71)


def referee_of(game: Court) -> Referee:
    return game.venue.referee(game.chain)


def disputed() -> Court:
    """Challenged twice, refuted after some demands, and collected."""
    game = court(FORGED)
    makers = (
        lambda: challenger(ONE, TRUE, ALICE),
        lambda: challenger(ONE, TRUE, BOB),
        lambda: Proposer(claim=game.claim, job=game.job, run=FORGED, weights=ONE.weights),
    )
    assert game.run(*makers) is Status.REFUTED
    return game


def test_a_policy_is_read_back_as_it_was_deployed() -> None:
    policy = replace(POLICY, window=MOST_SECONDS, bond=2**200, burnt_share=9_999, requester_share=1)
    chain = EmbeddedChain()
    venue = deploy_venue(chain, policy)
    assert venue.referee(chain).policy() == policy
    assert venue.referee(chain).vault().address == venue.addresses["StakeVault"]
    assert venue.referee(chain).register().address == venue.addresses["JobRegister"]
    assert venue.chain_id == chain.chain_id
    assert all(chain.code(address) for address in venue.addresses.values())


@pytest.mark.parametrize("evm", ["cancun", "osaka"])
def test_every_contract_fits(evm: Any) -> None:
    names = ("StakeVault", "JobRegister", "Steps", "Walks", "Referee", "DotStep", "MapStep")
    for name in (*names, "MoveStep", "ReduceStep"):
        assert load(name, evm).fits, name


def test_events_tell_the_whole_dispute_in_order() -> None:
    game = disputed()
    events = list(referee_of(game).events(0, game.chain.block_number()))
    assert all(event.claim_id == game.key for event in events)
    assert [type(e) for e in events[:4]] == [Posted, Challenged, Challenged, TraceCommitted]
    posted = events[0]
    assert isinstance(posted, Posted)
    assert posted.claim == game.claim
    assert [e.challenger for e in events if isinstance(e, Challenged)] == [ALICE, BOB]
    (committed,) = [e for e in events if isinstance(e, TraceCommitted)]
    assert committed.body == FORGED.trace.sections.body
    asked = {e.demand.id: e.claim_id for e in events if isinstance(e, Demanded)}
    shown = [e for e in events if isinstance(e, Revealed)]
    assert {e.id for e in shown} <= asked.keys()
    assert {e.by for e in shown} == {PROPOSER}
    assert all(e.data for e in shown)
    (ended,) = [e for e in events if isinstance(e, Refuted)]
    assert (ended.reason, ended.instruction, ended.element) == (Reason.ELEMENT, 8, 71)
    (paid,) = [e for e in events if isinstance(e, Rewarded)]
    assert paid.challenge == 1
    assert {e.challenge for e in events if isinstance(e, Collected)} == {1, 2}
    assert not [e for e in events if isinstance(e, ChallengeLost | Finalized)]


def test_events_are_read_by_blocks() -> None:
    game = disputed()
    referee, last = referee_of(game), game.chain.block_number()
    whole = list(referee.events(0, last))
    parts = [e for block in range(last + 1) for e in referee.events(block, block)]
    assert parts == whole
    assert list(referee.events(last + 1, last + 9)) == []


def test_a_view_is_what_the_rules_have_of_the_same_moves() -> None:
    """The same moves at the same times, by the contracts and by `dispute.rules`."""
    game = disputed()
    record = record_of(referee_of(game), game.key, 0)
    twin = offline(FORGED)
    twin.job, twin.claim = game.job, game.claim
    state = twin.table.state
    register = replace(state.register, address=record.deployment.register)
    vault = state.vault
    for who in (REQUESTER, PROPOSER, ALICE, BOB):
        for name in ("Referee", "JobRegister"):
            vault = vault.allow(who, game.venue.addresses[name])
    register, vault = register.open(game.job, vault, REQUESTER, record.moves[0].time)
    referee = game.venue.addresses["Referee"]
    twin.table = replace(
        twin.table, state=replace(state, referee=referee, register=register, vault=vault)
    )
    for played in record.moves:
        twin.now = played.time
        twin.play(played.move, played.sender)
    ours = twin.table.view(game.key, game.job, twin.now)
    theirs = referee_of(game).view(game.key, game.job, 0)
    assert theirs.claim == ours.claim
    assert theirs.state.records == ours.state.records
    assert theirs.state.answers == ours.state.answers
    assert theirs.demands == ours.demands
    assert theirs.reveals == ours.reveals
    assert theirs.job_state == ours.job_state == JobState.OPEN
    assert theirs.unpaid == ours.unpaid == 0


def all_moves() -> list[Any]:
    """Of three disputes that hold every kind but two between them."""
    game = offline(FORGED)
    game.run(lambda: proposer(game, ONE, FORGED), lambda: challenger(ONE, TRUE))
    one = long_sum()
    own, tensors = own_run(one), tensors_of(one)
    tensors[1] = flipped(tensors[1], 1)
    forged = own_run(one, tensors)
    by = int(tensors[1][1]) - int(own.tensors[1][1])
    others = [offline(forged), offline(forged)]
    for other, change in zip(others, (by, 0), strict=True):
        makers = (lambda: Cooking(proposer(other, one, forged), 4, change), pieced(one, own))  # noqa: B023
        other.run(*makers)
    more = [
        Timeout(claim_id=game.key, challenge=3, job=game.job),
        Collect(claim_id=game.key, challenge=4),
    ]
    return [p.move for played in (game, *others) for p in played.moves] + more


def test_calldata_of_a_move_is_read_back_as_the_move() -> None:
    found = all_moves()
    assert len({type(move) for move in found}) == 12
    for move in found:
        name, arguments = call_of(move)
        data = encode_call(abi_of("Referee"), name, arguments)
        got, values = decode_call(abi_of("Referee"), data)
        assert got == name
        place = move.claim.header if hasattr(move, "claim") else None
        referee = place.verifier if place else ALICE
        assert move_of(got, values, 31_337, referee) == move


def test_calldata_of_nothing_is_no_move() -> None:
    for data in (b"", b"\x01\x02\x03\x04", encode_call(abi_of("Referee"), "policy")[:3]):
        with pytest.raises(ChainError):
            decode_call(abi_of("Referee"), data)


def test_a_refusal_is_our_error_with_its_arguments() -> None:
    game = court(FORGED)
    referee = referee_of(game)
    with pytest.raises(ClaimNotOpenError):
        referee.play(OpenChallenge(claim_id=game.key), sender=ALICE)
    make = lambda: Proposer(  # noqa: E731
        claim=game.claim, job=game.job, run=FORGED, weights=ONE.weights
    )
    game.tick(make)
    # The first wrong element is not in instruction 6: a proof of it shows nothing.
    proof = prove_step(ONE.graph, ONE.weights, FORGED, Index(6), 0)
    with pytest.raises(TraceMissingError):
        referee.play(Refute(claim_id=game.key, job=game.job, proof=proof), sender=ALICE)
    with pytest.raises(FreeTooLittleError):
        game.venue.vault(game.chain).withdraw(ALICE, DEPOSIT + 1, sender=ALICE)
    game.tick(lambda: challenger(ONE, TRUE))
    game.tick(make)
    with pytest.raises(NotDifferentError) as caught:
        referee.play(Refute(claim_id=game.key, job=game.job, proof=proof), sender=ALICE)
    assert caught.value.arguments == (6, 0)
    marred = replace(proof, element=1)
    marred = replace(marred, result=replace(marred.result, above=()))
    with pytest.raises(OpeningRejectedError):
        referee.play(Refute(claim_id=game.key, job=game.job, proof=marred), sender=ALICE)
    asking = game.agent(challenger(ONE, TRUE)).player.next(referee.view(game.key, game.job, 0))
    assert asking is not None
    with pytest.raises(NotChallengerError):
        referee.play(asking, sender=STRANGER)
    game.chain.advance(POLICY.window + 1)
    with pytest.raises(WindowClosedError):
        referee.play(OpenChallenge(claim_id=game.key), sender=BOB)


def test_a_revert_that_says_nothing_decides_nothing() -> None:
    for data in (b"", b"\x01\x02\x03\x04", b"\x01"):
        assert isinstance(refusal_of(RevertedError(data)), ChainError)
    drained = keccak256(b"SubcallOutOfGas(address)")[:4] + bytes(32)
    assert isinstance(refusal_of(RevertedError(drained)), OutOfGasError)


def test_every_error_of_the_step_contracts_is_known() -> None:
    undecided = {"NoContract", "NoDigest", "SubcallOutOfGas"}
    said = {
        entry["name"]
        for name in ("Steps", "DotStep", "MapStep", "MoveStep", "ReduceStep")
        for entry in load(name).abi
        if entry["type"] == "error"
    }
    assert said - undecided == OPENING_ERRORS


def test_a_job_is_found_by_its_id_and_paid_once() -> None:
    game = court(TRUE)
    register = game.venue.register(game.chain)
    key = register.id_of(game.job)
    assert register.job(key, 0, game.chain.block_number()) == game.job
    assert register.state_of(key) is JobState.OPEN
    assert register.claim_of(key) is None
    with pytest.raises(ChainError, match="was not opened"):
        register.job(key, game.chain.block_number() + 1, game.chain.block_number() + 2)
    with pytest.raises(JobUnknownError):
        register.cancel(replace(game.job, salt=Bytes32(bytes([1]) * 32), deadline=0))


def test_an_agent_that_begins_too_late_is_told() -> None:
    game = disputed()
    with pytest.raises(ChainError, match="does not show all demands"):
        referee_of(game).view(game.key, game.job, game.chain.block_number() + 1)


def test_an_agent_plays_to_the_end_and_takes_its_money_out() -> None:
    game = court(TRUE)
    agent = game.agent(Proposer(claim=game.claim, job=game.job, run=TRUE, weights=ONE.weights))
    made = [tick.move for tick in agent.play(lambda: game.chain.advance(30)) if tick.move]
    assert [type(move).__name__ for move in made] == ["Post", "Finalize"]
    before = game.chain.balance(PROPOSER)
    assert agent.withdraw() is not None
    assert game.chain.balance(PROPOSER) == before + DEPOSIT + PRICE


def test_a_transaction_that_was_never_sent_is_not_shown() -> None:
    game = court(TRUE)
    with pytest.raises(ChainError, match="no transaction"):
        game.chain.transaction(b"\xff" * 32)


@dataclass(frozen=True, slots=True)
class LyingNode:
    """Shows other bytes than were revealed."""

    honest: EmbeddedChain

    def __getattr__(self, name: str) -> Any:
        return getattr(self.honest, name)

    def events(self, address: Address, first: int, last: int) -> Sequence[Event]:
        topic = keccak256(b"Revealed(bytes32,bytes32,address,bytes)")
        return [
            replace(e, log=replace(e.log, data=e.log.data[:-32] + bytes([1]) * 32))
            if e.log.topics[0] == topic
            else e
            for e in self.honest.events(address, first, last)
        ]


def test_a_node_that_shows_other_bytes_is_found_out() -> None:
    game = disputed()
    liar: Any = LyingNode(game.chain)
    with pytest.raises(ChainError):
        game.venue.referee(liar).view(game.key, game.job, 0)


@pytest.fixture(scope="module")
def node() -> Any:
    with start("--hardfork", "osaka") as found:
        yield found


@dataclass(frozen=True, slots=True)
class Hearing:
    """An open job on a node, and the claim that is about to answer it."""

    venue: Venue
    referee: Referee
    job: Job
    claim: CanonClaim
    first: int
    requester: Address
    alice: Address

    def agent(self, player: Player) -> Agent:
        return Agent(
            referee=self.referee, player=player, claim_id=claim_id(self.claim), job=self.job,
            first=self.first,
        )  # fmt: skip

    def proposer(self) -> Agent:
        return self.agent(Proposer(claim=self.claim, job=self.job, run=FORGED, weights=ONE.weights))


def hearing(node: Anvil) -> Hearing:
    chain = RpcChain(node.url)
    people = chain.accounts[1:4]
    requester, provider, alice = people
    venue = deploy_venue(chain, POLICY, evm="osaka")
    fund(chain, venue, people, chain.accounts[0])
    first = chain.block_number()
    job = job_of(FORGED, venue.addresses["Referee"], requester=requester)
    venue.register(chain).open(job)
    claim = claim_about(
        FORGED, venue.register(chain).id_of(job), venue.addresses["Referee"],
        chain_id=chain.chain_id, provider=provider,
    )  # fmt: skip
    return Hearing(venue, venue.referee(chain), job, claim, first, requester, alice)


def test_a_dispute_on_a_node_at_osaka_rules(node: Anvil) -> None:
    """Served: one transaction after the commitment. Gas is estimated, with a margin."""
    here = hearing(node)
    alice, vault = here.alice, here.referee.vault()
    served = plainly_served(ONE, FORGED)
    agents = [here.proposer(), here.agent(challenger(ONE, TRUE, alice, served=served))]
    done = [agent.tick() for _ in range(3) for agent in agents]
    made = [type(tick.move).__name__ for tick in done if tick.move is not None]
    assert made == ["Post", "OpenChallenge", "CommitTrace", "Refute"]
    assert all(tick.overtaken is None for tick in done)
    record = record_of(here.referee, claim_id(here.claim), here.first)
    found = replay(parse_record(encode_record(record)))
    assert (found.status, found.reason, found.by) == (Status.REFUTED, Reason.ELEMENT, alice)
    free = vault.free(alice)
    assert free > DEPOSIT
    assert agents[1].withdraw() is not None
    assert vault.free(alice) == 0
    assert agents[1].withdraw() is None
    assert vault.free(here.requester) > DEPOSIT - PRICE


@pytest.mark.parametrize("undone", [1, 3, 6])
def test_agents_play_on_when_blocks_are_undone(node: Anvil, undone: int) -> None:
    here = hearing(node)
    agents = [here.proposer(), here.agent(challenger(ONE, TRUE, here.alice))]
    agents[0].tick()
    snapshot = node.ask("evm_snapshot")
    for _ in range(undone):
        agents[1].tick()
        agents[0].tick()
    assert node.ask("evm_revert", snapshot)
    for _ in range(20):
        for agent in reversed(agents):
            assert agent.tick().overtaken is None
    assert here.referee.claim(claim_id(here.claim)).status is Status.REFUTED

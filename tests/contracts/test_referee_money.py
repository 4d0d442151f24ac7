"""Invariants of money (M) of DISPUTE.md; every move is played in lock-step."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from referee_lab import (
    ALICE,
    BOB,
    BODY,
    CAROL,
    POLICY,
    PROPOSER,
    STRANGER,
    WRONG,
    Game,
    Verdict,
    account,
    artifacts,
    asked,
    demand_top,
    deploy,
    gains,
    in_dispute,
    new_game,
    playing,
    refusal,
)

from verifiable.chain.abi import encode_call
from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.referee_values import call_of, policy_value
from verifiable.chain.revert import RevertedError
from verifiable.crypto.address import address_bytes
from verifiable.crypto.hashing import keccak256
from verifiable.dispute import rules
from verifiable.dispute.errors import PolicyInvalidError
from verifiable.dispute.moves import (
    Collect,
    Finalize,
    OpenChallenge,
    Post,
    Refute,
    Timeout,
)
from verifiable.dispute.rules import Context
from verifiable.dispute.terms import NOBODY, SCAN, Policy
from verifiable.types import Address, Bytes32

pytestmark = pytest.mark.evm

W, A, S, B, FEE = (
    POLICY.window, POLICY.allowance, POLICY.bond, POLICY.challenge_bond, POLICY.reveal_fee,
)  # fmt: skip
BURNT = S * POLICY.burnt_share // 10_000
FOR_REQUESTER = S * POLICY.requester_share // 10_000
REST = S - BURNT - FOR_REQUESTER


@pytest.fixture
def game() -> Iterator[Game]:
    with playing() as one:
        yield one


def test_m1_nothing_is_held_when_all_is_over(game: Game) -> None:
    job, claim, _ = asked(game)
    numbers = [game.challenge(claim, who) for who in (ALICE, BOB, CAROL)]
    game.must(demand_top(game, job, claim, numbers[1]), BOB)
    # He has not paid for it, so nothing of it is his.
    game.must(demand_top(game, job, claim, numbers[2]), CAROL)
    game.must(Refute(claim_id=claim, job=job, proof=WRONG), STRANGER)
    for number in numbers[1:]:
        game.must(Collect(claim_id=claim, challenge=number), STRANGER)
        game.refuses(Collect(claim_id=claim, challenge=number), STRANGER, "ChallengeClosed")
    game.refuses(Collect(claim_id=claim, challenge=numbers[0]), ALICE, "ChallengeClosed")
    referee = game.state.referee
    assert all(v == 0 for (_, by), v in game.state.vault.reserved.items() if by == referee)
    assert game.state.vault.free_of(BOB) == game.state.vault.free_of(CAROL)


def test_m2_what_is_won_waits_in_the_vault_until_it_is_withdrawn(game: Game) -> None:
    job, claim = in_dispute(game)
    game.challenge(claim, ALICE)
    game.must(Refute(claim_id=claim, job=job, proof=WRONG), ALICE)
    assert game.chain.balance(ALICE) == 0
    won = game.state.vault.free_of(ALICE)
    game.send("StakeVault", "withdraw", ALICE, won, sender=ALICE)
    assert game.chain.balance(ALICE) == won


def test_m3_a_bond_is_the_recorded_senders(game: Game) -> None:
    job, claim = in_dispute(game)
    number = game.challenge(claim, ALICE)
    game.refuses(demand_top(game, job, claim, number), BOB, "NotChallenger")
    game.must(Refute(claim_id=claim, job=job, proof=WRONG), BOB)
    assert game.state.vault.free_of(ALICE) == 10**6 + REST


def test_m4_the_honest_side_ends_at_or_above_what_it_put_in(game: Game) -> None:
    before = game.state.vault
    job, claim = in_dispute(game)
    number = game.challenge(claim, ALICE)
    game.chain.advance(A)
    game.must(Timeout(claim_id=claim, challenge=number, job=job), STRANGER)
    game.chain.advance(W)
    game.must(Finalize(claim_id=claim, job=job), STRANGER)
    price = job.price
    assert gains(game, before) == {"proposer": B + price, "alice": -B, "requester": -price}
    before = game.state.vault
    job = game.job(1)
    claim = game.post(job, BODY)
    game.challenge(claim, ALICE)
    game.must(Refute(claim_id=claim, job=job, proof=WRONG), ALICE)
    assert gains(game, before) == {
        "proposer": -S, "alice": REST, "requester": FOR_REQUESTER - job.price
    }  # fmt: skip


def test_m5_who_fights_himself_loses_the_burnt_and_the_requesters_share(game: Game) -> None:
    before = game.state.vault
    job, claim = in_dispute(game)
    game.challenge(claim, PROPOSER)
    game.must(Refute(claim_id=claim, job=job, proof=WRONG), PROPOSER)
    assert gains(game, before)["proposer"] == -(BURNT + FOR_REQUESTER)
    assert game.state.vault.burnt == BURNT


def test_m6_no_payee_is_the_zero_address(game: Game) -> None:
    with pytest.raises(RevertedError) as e:
        game.send("StakeVault", "move", ALICE, NOBODY, 0, sender=ALICE)
    assert refusal(e.value.data).names == {"ZeroAddress"}
    job = game.job()
    claim = game.claim(job, provider=NOBODY)
    game.refuses(Post(claim=claim, job=job), PROPOSER, "NotProposer")


@pytest.mark.parametrize(
    "changes",
    [{"window": 0}, {"allowance": 0}, {"bond": 0}, {"challenge_bond": 0}, {"window": 2**32},
     {"burnt_share": 9_000}],
)  # fmt: skip
def test_m7_a_policy_is_sound_and_never_changes(game: Game, changes: dict[str, int]) -> None:
    assert game.call("Referee", "policy") == policy_value(POLICY)
    with pytest.raises(PolicyInvalidError):
        replace(POLICY, **changes)
    bad: Policy = object.__new__(Policy)
    for name in Policy.__dataclass_fields__:
        object.__setattr__(bad, name, changes.get(name, getattr(POLICY, name)))
    with pytest.raises(RevertedError) as e:
        deploy(EmbeddedChain(), policy=bad)
    assert refusal(e.value.data).names == {"PolicyInvalid"}
    names = {f["name"] for f in artifacts()["Referee"].abi if f["type"] == "function"}
    assert not {n for n in names if n.startswith(("set", "transfer", "upgrade", "renounce"))}


def test_m8_copying_a_refutation_earns_its_gas_and_no_more(game: Game) -> None:
    before = game.state.vault
    job, claim = in_dispute(game)
    game.challenge(claim, ALICE)
    game.must(Refute(claim_id=claim, job=job, proof=WRONG), STRANGER)
    assert gains(game, before)["alice"] == REST
    assert "stranger" not in gains(game, before)


@pytest.mark.parametrize(("price", "most"), [(1, True), (0, False)])
def test_a_refuter_is_given_his_gas_out_of_the_reward(price: int, most: bool) -> None:
    game = new_game(replace(POLICY, bond=10**9, refuter_gas=500_000_000))
    game.fund(PROPOSER, 10**9)
    job, claim = in_dispute(game)
    number = game.challenge(claim, ALICE)
    before = game.state.vault
    name, arguments = call_of(Refute(claim_id=claim, job=job, proof=WRONG))
    data = encode_call(artifacts()["Referee"].abi, name, arguments)
    game.chain._evm.set_balance(STRANGER, 10**12)
    game.chain._evm.message_call(
        STRANGER, game.addresses["Referee"], data, gas=10**6, gas_price=price
    )
    used = game.chain._evm.result.gas_used
    given_back = game.call("StakeVault", "free", STRANGER) - before.free_of(STRANGER)
    # Storage is refunded after the contract looks, so what it counts may exceed what is charged.
    assert 0 < given_back <= used * 5 // 4 if most else given_back == 0
    context = Context(sender=STRANGER, now=game.now, judge=Verdict(), cost=given_back)
    move = Refute(claim_id=claim, job=job, proof=WRONG)
    game.state = rules.advance(game.state, move, context)
    game.check()
    assert number == 1


def test_what_a_refuter_is_given_is_capped(game: Game) -> None:
    job, claim = in_dispute(game)
    game.challenge(claim, ALICE)
    context = Context(sender=BOB, now=game.now, judge=Verdict(), cost=10**12)
    after = rules.advance(game.state, Refute(claim_id=claim, job=job, proof=WRONG), context)
    assert after.vault.free_of(BOB) - game.state.vault.free_of(BOB) == POLICY.refuter_gas
    assert after.vault.free_of(ALICE) - game.state.vault.free_of(ALICE) == (
        REST - POLICY.refuter_gas + B
    )


def test_without_a_challenge_the_reward_is_burnt(game: Game) -> None:
    before = game.state.vault
    job, claim = in_dispute(game)
    game.must(Refute(claim_id=claim, job=job, proof=WRONG), BOB)
    assert game.state.vault.burnt == S - FOR_REQUESTER
    assert "bob" not in gains(game, before)


def test_the_reward_goes_to_the_earliest_challenge_that_had_time(game: Game) -> None:
    job, claim = in_dispute(game)
    game.challenge(claim, PROPOSER)
    game.chain.advance(A - 1)
    game.challenge(claim, ALICE)
    game.challenge(claim, BOB)
    game.chain.advance(1)
    before = game.state.vault
    game.must(Refute(claim_id=claim, job=job, proof=WRONG), BOB)
    assert gains(game, before) == {"alice": REST + B, "requester": FOR_REQUESTER}


@pytest.mark.parametrize("expired", [SCAN - 1, SCAN, 2 * SCAN + 1])
def test_many_expired_challenges_only_put_the_reward_off(game: Game, expired: int) -> None:
    job, claim = in_dispute(game)
    for _ in range(expired):
        game.challenge(claim, PROPOSER)
    game.chain.advance(A)
    last = game.challenge(claim, ALICE)
    before = game.state.vault
    game.must(Refute(claim_id=claim, job=job, proof=WRONG), ALICE)
    assert (claim in game.state.unpaid) == (expired >= SCAN)
    while claim in game.state.unpaid:
        number = game.state.claim(claim).first
        game.must(Collect(claim_id=claim, challenge=min(number, expired)), STRANGER)
    assert gains(game, before)["alice"] == REST + B
    assert game.state.challenge(claim, last).closed


def test_a_job_may_name_its_challengers(game: Game) -> None:
    def leaf(who: Address) -> bytes:
        return keccak256(keccak256(bytes(12) + address_bytes(who)))

    one, two = leaf(ALICE), leaf(BOB)
    root = Bytes32(keccak256(min(one, two) + max(one, two)))
    job = game.job(challengers=root)
    claim = game.post(job, BODY)
    game.refuses(OpenChallenge(claim_id=claim), ALICE, "MayNotChallenge")
    game.refuses(OpenChallenge(claim_id=claim, membership=(one,)), CAROL, "MayNotChallenge")
    game.must(OpenChallenge(claim_id=claim, membership=(two,)), ALICE)


def test_bonds_that_are_not_there_are_not_taken(game: Game) -> None:
    _, claim = in_dispute(game)
    poor = account(99)
    game.refuses(OpenChallenge(claim_id=claim), poor, "NotAllowed")
    # Another contract may still reserve of him.
    referee = game.addresses["Referee"]
    game.send("StakeVault", "allow", referee, False, sender=CAROL)
    game.state = replace(game.state, vault=game.state.vault.allow(CAROL, referee, allowed=False))
    game.refuses(OpenChallenge(claim_id=claim), CAROL, "NotAllowed")
    game.send("StakeVault", "withdraw", BOB, 10**6 - B + 1, sender=ALICE)
    game.withdrawn += 10**6 - B + 1
    vault = game.state.vault.withdraw(ALICE, 10**6 - B + 1)
    game.state = replace(game.state, vault=vault)
    game.refuses(OpenChallenge(claim_id=claim), ALICE, "FreeTooLittle")

"""How challenges close and bonds end; ``contracts/src/referee/RefereeMoney.sol`` mirrors it.

A forfeit bond is split: a share is burnt, so that challenging oneself loses money; a share is the
requester's; whoever refuted the claim gets the gas out of the rest; what is left goes to the
earliest challenge that had not run out of time. All other challenges are given back what they
paid, when somebody asks for it. Nothing here loops over a list that others can make long.
"""

from dataclasses import replace

from verifiable.dispute.clocks import Standing, standing_of
from verifiable.dispute.state import Challenge, Reason, State, Status
from verifiable.dispute.terms import FEES, SCAN, WHOLE, Job
from verifiable.types import Address, ClaimId


def append(state: State, claim_id: ClaimId, challenger: Address, now: int) -> State:
    """Open a challenge behind all others; its number is the claim's count of them."""
    claim = state.claim(claim_id)
    number = claim.challenges + 1
    opened = Challenge(challenger=challenger, turn_at=now, previous=claim.last)
    state = state.with_challenge(claim_id, number, opened)
    if claim.last:
        state = _link_next(state, claim_id, claim.last, number)
    first = claim.first or number
    after = replace(claim, challenges=number, open=claim.open + 1, first=first, last=number)
    return state.with_claim(claim_id, after)


def lose(state: State, claim_id: ClaimId, number: int) -> State:
    """Close a challenge that ran out of time; bond and fees for answers go to the proposer."""
    claim, gone = state.claim(claim_id), state.challenge(claim_id, number)
    state = state.with_challenge(claim_id, number, replace(gone, closed=True))
    claim = replace(claim, open=claim.open - 1)
    if gone.previous:
        state = _link_next(state, claim_id, gone.previous, gone.next)
    else:
        claim = replace(claim, first=gone.next)
    if gone.next:
        state = _link_previous(state, claim_id, gone.next, gone.previous)
    else:
        claim = replace(claim, last=gone.previous)
    state = state.with_claim(claim_id, claim)
    # His demands were all answered: it is his turn.
    earned = gone.paid * state.policy.reveal_fee
    state = state.move(gone.challenger, claim.proposer, state.policy.challenge_bond + earned)
    return state.release(gone.challenger, reserved_fees(state, gone) - earned)


def reserved_fees(state: State, challenge: Challenge) -> int:
    """Fees that are reserved of a challenger, for demands made and to come."""
    return -(-challenge.paid // FEES) * FEES * state.policy.reveal_fee


def _link_next(state: State, claim_id: ClaimId, number: int, following: int) -> State:
    found = state.challenge(claim_id, number)
    return state.with_challenge(claim_id, number, replace(found, next=following))


def _link_previous(state: State, claim_id: ClaimId, number: int, before: int) -> State:
    found = state.challenge(claim_id, number)
    return state.with_challenge(claim_id, number, replace(found, previous=before))


def forfeit(
    state: State,
    claim_id: ClaimId,
    job: Job,
    reason: Reason,
    *,
    sender: Address,
    now: int,
    cost: int = 0,
) -> State:
    """Refute a claim and split its bond.

    Parameters
    ----------
    state : State
    claim_id : ClaimId
    job : Job
        The one that the claim answers; any other is refused here.
    reason : Reason
    sender : Address
        Who refuted it.
    now : int
    cost : int
        What the refutation cost him in gas, 0 for a timeout.

    Raises
    ------
    IllegalMoveError
        As `Register.settle`.
    """
    policy, claim = state.policy, state.claim(claim_id)
    after = replace(claim, status=Status.REFUTED, reason=reason, refuted_at=now)
    state = state.with_claim(claim_id, after)
    # Refuses a job that the claim does not answer.
    register, vault = state.register.settle(
        job, claim_id, claim.proposer, state.referee, state.vault, upheld=False
    )
    state = replace(state, register=register, vault=vault)
    burnt = policy.bond * policy.burnt_share // WHOLE
    requester = policy.bond * policy.requester_share // WHOLE
    rest = policy.bond - burnt - requester
    gas = min(cost, policy.refuter_gas, rest) if state.gas_is_money else 0
    state = state.burn(claim.proposer, burnt)
    state = state.move(claim.proposer, job.requester, requester)
    state = state.move(claim.proposer, sender, gas)
    return award(state, claim_id, rest - gas)


def award(state: State, claim_id: ClaimId, amount: int) -> State:
    """Pay what is left of a bond to the earliest challenge that had time when the claim fell.

    Burn it if there is none. No more than `SCAN` challenges are looked at; if many had run out
    before the one that is rewarded, `collect` goes on.
    """
    claim = state.claim(claim_id)
    number = claim.first
    for _ in range(SCAN):
        if not number:
            break
        found = state.challenge(claim_id, number)
        if standing_of(state, claim_id, number, 0) is not Standing.CHALLENGER_OUT:
            state = _with_unpaid(state, claim_id, 0)
            state = state.move(claim.proposer, found.challenger, amount)
            return state if found.closed else give_back(state, claim_id, number)
        number = found.next
    state = state.with_claim(claim_id, replace(claim, first=number))
    if number:
        return _with_unpaid(state, claim_id, amount)
    return _with_unpaid(state, claim_id, 0).burn(claim.proposer, amount)


def _with_unpaid(state: State, claim_id: ClaimId, amount: int) -> State:
    rest = {key: value for key, value in state.unpaid.items() if key != claim_id}
    return replace(state, unpaid={**rest, claim_id: amount} if amount else rest)


def give_back(state: State, claim_id: ClaimId, number: int) -> State:
    """Close a challenge of a refuted claim; bond and all fees go back."""
    claim, found = state.claim(claim_id), state.challenge(claim_id, number)
    state = state.with_challenge(claim_id, number, replace(found, closed=True))
    state = state.with_claim(claim_id, replace(claim, open=claim.open - 1))
    return state.release(
        found.challenger, state.policy.challenge_bond + reserved_fees(state, found)
    )

"""The two chess clocks of a challenge; ``contracts/src/referee/Clocks.sol`` mirrors it.

Until what it waits for has come (the trace, then the answer to its last demand) the proposer's
clock runs, and the challenger's from then on. Seconds are half-open: the one that begins with an
answer is the challenger's. So at every moment the two add up to the age of the challenge, and when
that is two allowances one of them has run out, whoever else disputes the claim.

A side moves while it has used less than the allowance, and is out from the second on at which it
has used all of it.
"""

from dataclasses import dataclass
from enum import IntEnum

from verifiable.dispute.state import NO_ID, Challenge, State
from verifiable.types import ClaimId


class Standing(IntEnum):
    """Who a challenge stands for at a moment."""

    RUNNING = 0
    PROPOSER_OUT = 1
    """Nothing heals that: an answer that came too late is charged like any other."""
    CHALLENGER_OUT = 2


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds used at a moment."""

    answered: bool
    """Whether it is the challenger's turn."""
    proposer: int
    challenger: int

    def standing(self, allowance: int) -> Standing:
        """Who has run out; the proposer's time lies before that of the challenger's turn."""
        if self.proposer >= allowance:
            return Standing.PROPOSER_OUT
        if self.challenger >= allowance:
            return Standing.CHALLENGER_OUT
        return Standing.RUNNING

    def left(self, allowance: int) -> int:
        """Seconds that the side to move has left."""
        return allowance - (self.challenger if self.answered else self.proposer)


def read(challenge: Challenge, answered_at: int, now: int) -> Clocks:
    """Clocks of a challenge.

    Parameters
    ----------
    challenge : Challenge
    answered_at : int
        When what it waits for came, 0 if it has not.
    now : int

    Examples
    --------
    >>> from verifiable.dispute.terms import NOBODY
    >>> opened = Challenge(challenger=NOBODY, turn_at=100)
    >>> read(opened, 0, 107)
    Clocks(answered=False, proposer=7, challenger=0)
    >>> read(opened, 103, 107)
    Clocks(answered=True, proposer=3, challenger=4)
    """
    until = max(answered_at or now, challenge.turn_at)
    return Clocks(
        answered_at != 0,
        challenge.proposer_used + until - challenge.turn_at,
        challenge.challenger_used + now - until,
    )


def clocks_of(state: State, claim_id: ClaimId, number: int, now: int) -> Clocks:
    """Clocks of a challenge of a state."""
    challenge = state.challenge(claim_id, number)
    if challenge.pending == NO_ID:
        answered_at = state.claim(claim_id).committed_at
    else:
        answered_at = state.answers[challenge.pending].at
    return read(challenge, answered_at, now)


def standing_of(state: State, claim_id: ClaimId, number: int, now: int) -> Standing:
    """Standing of a challenge now, or when its claim was refuted."""
    time = state.claim(claim_id).refuted_at or now
    return clocks_of(state, claim_id, number, time).standing(state.policy.allowance)

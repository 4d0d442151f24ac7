"""The rules: a state and a move give the next state, or the move is refused.

``contracts/src/referee/Referee.sol`` states the same, function by function, in the same order of
checks; a state machine in the tests plays both in lock-step.

========================================  ==========================================================
claim unknown -> open                     Post
open -> open                              OpenChallenge, CommitTrace, DemandBytes, Reveal,
                                          DemandPartials, RevealPartials; Timeout of a challenger
open -> refuted                           Refute, RefutePartials, RefutePiece;
                                          Timeout of the proposer
open -> final                             Finalize
refuted -> refuted                        Collect
========================================  ==========================================================

Nothing leads out of final and refuted.
"""

from dataclasses import replace

from verifiable.claim import claim_id as id_of
from verifiable.crypto.address import address_bytes
from verifiable.crypto.hashing import keccak256
from verifiable.dispute import evidence, money
from verifiable.dispute.clocks import Standing, clocks_of, standing_of
from verifiable.dispute.errors import (
    ChallengesOpenError,
    ClaimExistsError,
    ClaimExpiredError,
    ClaimNotRefutedError,
    ClockRunningError,
    ClockRunOutError,
    JobMismatchError,
    MayNotChallengeError,
    NotProposerError,
    SemanticsMismatchError,
    SubjectMismatchError,
    TraceCommittedAlreadyError,
    WindowClosedError,
    WindowOpenError,
    ZeroRootError,
)
from verifiable.dispute.evidence import Context, Judge, require_proposer
from verifiable.dispute.moves import (
    Collect,
    CommitTrace,
    Finalize,
    Move,
    OpenChallenge,
    Post,
    Timeout,
)
from verifiable.dispute.state import NO_ID, NO_ROOT, Claim, Reason, State, Status
from verifiable.dispute.terms import ANYONE
from verifiable.graph.vocabulary import SEMANTICS
from verifiable.types import Address


def advance(state: State, move: Move, by: Context) -> State:
    """Play one move.

    Parameters
    ----------
    state : State
    move : Move
    by : Context
        Who makes it, and when.

    Returns
    -------
    State

    Raises
    ------
    IllegalMoveError
        If the rules refuse the move; its class says why.
    RejectedError, EncodingError
        If a proof or a crossing that belongs to the move shows nothing.
    """
    match move:
        case Post():
            return _post(state, move, by)
        case OpenChallenge():
            return _challenge(state, move, by)
        case CommitTrace():
            return _commit_trace(state, move, by)
        case Timeout():
            return _timeout(state, move, by)
        case Finalize():
            return _finalize(state, move, by)
        case Collect():
            return _collect(state, move)
        case _:
            return evidence.advance(state, move, by)


def _post(state: State, move: Post, by: Context) -> State:
    header, subject, job = move.claim.header, move.claim.subject, move.job
    for semantics in (header.semantics, job.semantics):
        if semantics != SEMANTICS:
            raise SemanticsMismatchError(semantics)
    if by.sender != header.provider:
        raise NotProposerError(by.sender, header.provider)
    if by.now > header.expiry:
        raise ClaimExpiredError(header.expiry, by.now)
    for got, wanted in ((subject.model, job.model), (subject.input, job.input)):
        if got != wanted:
            raise SubjectMismatchError(got, wanted)
    claim_id, job_id = id_of(move.claim), state.register.id_of(job)
    if job_id != header.job_id:
        raise JobMismatchError(job_id, claim_id)
    if state.claim(claim_id).status is not Status.UNKNOWN:
        raise ClaimExistsError(claim_id)
    claim = Claim(
        proposer=by.sender,
        window_end=by.now + state.policy.window,
        status=Status.OPEN,
        output=subject.output,
        challengers=job.challengers,
        body=move.body,
        committed_at=by.now if move.body != NO_ROOT else 0,
    )
    register = state.register.assign(job, claim_id, by.sender, state.referee, by.now)
    state = replace(state, register=register).with_claim(claim_id, claim)
    return state.reserve(by.sender, state.policy.bond)


def _challenge(state: State, move: OpenChallenge, by: Context) -> State:
    claim = state.open_claim(move.claim_id)
    if by.now > claim.window_end:
        raise WindowClosedError(claim.window_end, by.now)
    if claim.challengers != ANYONE and not is_member(claim.challengers, by.sender, move.membership):
        raise MayNotChallengeError(by.sender)
    state = money.append(state, move.claim_id, by.sender, by.now)
    return state.reserve(by.sender, state.policy.challenge_bond)


def is_member(root: bytes, account: Address, siblings: tuple[bytes, ...]) -> bool:
    """Whether an account is in OpenZeppelin's standard Merkle tree of this root."""
    node = keccak256(keccak256(bytes(12) + address_bytes(account)))
    for sibling in siblings:
        node = keccak256(min(node, sibling) + max(node, sibling))
    return node == root


def _commit_trace(state: State, move: CommitTrace, by: Context) -> State:
    claim = state.open_claim(move.claim_id)
    require_proposer(claim, by.sender)
    if claim.committed_at:
        raise TraceCommittedAlreadyError(move.claim_id)
    if move.body == NO_ROOT:
        raise ZeroRootError
    # No challenge closes before the trace is committed, so none has waited longer.
    if claim.first:
        standing = standing_of(state, move.claim_id, claim.first, by.now)
        if standing is not Standing.RUNNING:
            raise ClockRunOutError(move.claim_id, claim.first)
    return state.with_claim(move.claim_id, replace(claim, body=move.body, committed_at=by.now))


def _timeout(state: State, move: Timeout, by: Context) -> State:
    state.open_claim(move.claim_id)
    mine = state.unclosed(move.claim_id, move.challenge)
    clocks = clocks_of(state, move.claim_id, move.challenge, by.now)
    allowance = state.policy.allowance
    standing = clocks.standing(allowance)
    if standing is Standing.RUNNING:
        raise ClockRunningError(move.claim_id, move.challenge, clocks.left(allowance))
    if standing is Standing.CHALLENGER_OUT:
        return money.lose(state, move.claim_id, move.challenge)
    reason = Reason.TRACE_WITHHELD if mine.pending == NO_ID else Reason.BYTES_WITHHELD
    return money.forfeit(state, move.claim_id, move.job, reason, sender=by.sender, now=by.now)


def _finalize(state: State, move: Finalize, by: Context) -> State:
    claim = state.open_claim(move.claim_id)
    if by.now <= claim.window_end:
        raise WindowOpenError(claim.window_end, by.now)
    if claim.open:
        raise ChallengesOpenError(claim.open)
    state = state.with_claim(move.claim_id, replace(claim, status=Status.FINAL))
    register, vault = state.register.settle(
        move.job, move.claim_id, claim.proposer, state.referee, state.vault, upheld=True
    )
    return replace(state, register=register, vault=vault).release(claim.proposer, state.policy.bond)


def _collect(state: State, move: Collect) -> State:
    claim = state.claim(move.claim_id)
    if claim.status is not Status.REFUTED:
        raise ClaimNotRefutedError(move.claim_id, claim.status)
    state.unclosed(move.claim_id, move.challenge)
    unpaid = state.unpaid.get(move.claim_id, 0)
    if unpaid:
        state = money.award(state, move.claim_id, unpaid)
    if state.challenge(move.claim_id, move.challenge).closed:
        return state
    return money.give_back(state, move.claim_id, move.challenge)


__all__ = ["Context", "Judge", "advance", "is_member"]

"""Moves about evidence: refutations, demands and their answers; see `verifiable.dispute.rules`."""

from dataclasses import dataclass, replace
from typing import Protocol

from verifiable.crypto.hashing import keccak256
from verifiable.dispute import money
from verifiable.dispute.clocks import Standing, clocks_of
from verifiable.dispute.errors import (
    ChallengeClosedError,
    ClockRunOutError,
    DemandsSpentError,
    DemandUnknownError,
    JobMismatchError,
    NotChallengerError,
    NotDifferentError,
    NotProposerError,
    PartialsMismatchError,
    ProposersTurnError,
    RevealedAlreadyError,
    StateMismatchError,
    TraceMissingError,
)
from verifiable.dispute.moves import (
    DemandBytes,
    DemandPartials,
    Refute,
    RefutePartials,
    RefutePiece,
    Reveal,
    RevealPartials,
)
from verifiable.dispute.state import Answer, Challenge, Claim, Reason, State
from verifiable.dispute.step import Statement, StepProof
from verifiable.dispute.terms import FEES, MOST_DEMANDS, Demand, Job, partials_demand
from verifiable.dispute.walk import check_answer, target
from verifiable.types import Address, Bytes32, ClaimId

EvidenceMove = (
    Refute | DemandBytes | Reveal | DemandPartials | RevealPartials | RefutePartials | RefutePiece
)


class Judge(Protocol):
    """Recomputes elements; what ``contracts/src/step/IStep.sol`` is to the referee.

    Each function raises `RejectedError` or `EncodingError` if a proof shows nothing.
    """

    def differs(self, statement: Statement, proof: StepProof, /) -> bool:
        """Whether the committed element is another than its operands give."""

    def partials_length(self, statement: Statement, proof: StepProof, /) -> int:
        """Bytes of the results of the pieces of an element's row."""

    def combines(self, statement: Statement, proof: StepProof, partials: bytes, /) -> bool:
        """Whether the results of the pieces of a row give the committed element."""

    def piece_differs(
        self, statement: Statement, proof: StepProof, partials: bytes, piece: int, /
    ) -> bool:
        """Whether the result of one piece is another than its operands give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Who makes a move, and when."""

    sender: Address
    now: int
    """Unix seconds, never less than at the move before."""
    judge: Judge
    cost: int = 0
    """What a refutation costs its sender in gas, in wei."""


def advance(state: State, move: EvidenceMove, by: Context) -> State:
    """Play one move; as `verifiable.dispute.rules.advance`."""
    match move:
        case Refute():
            return _refute(state, move, by)
        case DemandBytes():
            return _demand(state, move, by)
        case Reveal():
            return _reveal(state, move, by)
        case DemandPartials():
            return _demand_partials(state, move, by)
        case RevealPartials():
            return _reveal_partials(state, move, by)
        case RefutePartials():
            return _refute_partials(state, move, by)
        case RefutePiece():
            return _refute_piece(state, move, by)


def _refute(state: State, move: Refute, by: Context) -> State:
    claim = state.open_claim(move.claim_id)
    # Whether the claim answers the job is asked where the claim falls.
    statement = _unbound(state, move.claim_id, claim, move.job)
    if not by.judge.differs(statement, move.proof):
        raise NotDifferentError(move.proof.instruction, move.proof.element)
    return money.forfeit(
        state, move.claim_id, move.job, Reason.ELEMENT, sender=by.sender, now=by.now, cost=by.cost
    )


def _demand(state: State, move: DemandBytes, by: Context) -> State:
    claim = state.open_claim(move.claim_id)
    mine = _turn(state, claim, move, by)
    start = move.walk.start
    if start.form and (start.claim_id != move.claim_id or start.id not in state.answers):
        raise DemandUnknownError(start.id)
    # On from a node of the claim, within a tree, all is fixed by that node.
    bound = not start.form or move.walk.crossing is not None
    statement = (statement_of if bound else _unbound)(state, move.claim_id, claim, move.job)
    return _ask(state, mine, move.challenge, target(statement, move.claim_id, move.walk))


def _turn(state: State, claim: Claim, move: DemandBytes | DemandPartials, by: Context) -> Challenge:
    """The challenge with its clocks charged, if its challenger may make a demand by.now."""
    place = (move.claim_id, move.challenge)
    mine = state.challenge(*place)
    if by.sender != mine.challenger:
        raise NotChallengerError(by.sender, mine.challenger)
    if mine.closed:
        raise ChallengeClosedError(*place)
    if not claim.committed_at:
        raise TraceMissingError(move.claim_id)
    clocks = clocks_of(state, *place, by.now)
    if clocks.standing(state.policy.allowance) is not Standing.RUNNING:
        raise ClockRunOutError(*place)
    if not clocks.answered:
        raise ProposersTurnError(*place)
    if move.answering != mine.pending:
        raise StateMismatchError(move.answering, mine.pending)
    if mine.demands == MOST_DEMANDS:
        raise DemandsSpentError(*place, MOST_DEMANDS)
    return replace(
        mine,
        proposer_used=clocks.proposer,
        challenger_used=clocks.challenger,
        turn_at=by.now,
        demands=mine.demands + 1,
    )


def _ask(state: State, mine: Challenge, number: int, demand: Demand) -> State:
    key = demand.id
    known = state.answers.get(key)
    if known is not None and known.at:
        raise RevealedAlreadyError(key)
    mine = replace(mine, pending=key)
    if known is not None:
        return state.with_challenge(demand.claim_id, number, mine)
    paid = replace(mine, paid=mine.paid + 1)
    state = state.with_challenge(demand.claim_id, number, paid)
    state = replace(state, answers={**state.answers, key: Answer(challenge=number)})
    if mine.paid % FEES:
        return state
    return state.reserve(mine.challenger, FEES * state.policy.reveal_fee)


def _reveal(state: State, move: Reveal, by: Context) -> State:
    state.open_claim(move.demand.claim_id)
    key = move.demand.id
    waiting = _waiting(state, key)
    check_answer(move.demand, move.data)
    return _answer(state, key, waiting, by)


def _waiting(state: State, key: Bytes32) -> Answer:
    known = state.answers.get(key)
    if known is None:
        raise DemandUnknownError(key)
    if known.at:
        raise RevealedAlreadyError(key)
    return known


def _answer(state: State, key: Bytes32, waiting: Answer, by: Context) -> State:
    return replace(state, answers={**state.answers, key: replace(waiting, at=by.now)})


def _demand_partials(state: State, move: DemandPartials, by: Context) -> State:
    claim = state.open_claim(move.claim_id)
    mine = _turn(state, claim, move, by)
    statement = statement_of(state, move.claim_id, claim, move.job)
    length = by.judge.partials_length(statement, move.proof)
    proof = move.proof
    demand = partials_demand(move.claim_id, proof.instruction, proof.element, length)
    return _ask(state, mine, move.challenge, demand)


def _reveal_partials(state: State, move: RevealPartials, by: Context) -> State:
    require_proposer(state.open_claim(move.claim_id), by.sender)
    length = len(move.partials)
    # Of another length they answer a demand that nobody made.
    key = partials_demand(move.claim_id, move.instruction, move.element, length).id
    waiting = _waiting(state, key)
    state = replace(state, partials={**state.partials, key: keccak256(move.partials)})
    return _answer(state, key, waiting, by)


def _refute_partials(state: State, move: RefutePartials, by: Context) -> State:
    statement = _revealed(state, move)
    combines = by.judge.combines(statement, move.proof, move.partials)
    return _refute_revealed(state, move, by, differs=not combines)


def _refute_piece(state: State, move: RefutePiece, by: Context) -> State:
    statement = _revealed(state, move)
    differs = by.judge.piece_differs(statement, move.proof, move.partials, move.piece)
    return _refute_revealed(state, move, by, differs=differs)


def _revealed(state: State, move: RefutePartials | RefutePiece) -> Statement:
    """What a refutation by partial results is about, if these were revealed."""
    claim = state.open_claim(move.claim_id)
    statement = _unbound(state, move.claim_id, claim, move.job)
    place = (move.proof.instruction, move.proof.element, len(move.partials))
    key = partials_demand(move.claim_id, *place).id
    if state.partials.get(key) != keccak256(move.partials):
        raise PartialsMismatchError(key)
    return statement


def _refute_revealed(
    state: State, move: RefutePartials | RefutePiece, by: Context, *, differs: bool
) -> State:
    if not differs:
        raise NotDifferentError(move.proof.instruction, move.proof.element)
    return money.forfeit(
        state, move.claim_id, move.job, Reason.PIECE, sender=by.sender, now=by.now, cost=by.cost
    )


def statement_of(state: State, claim_id: ClaimId, claim: Claim, job: Job) -> Statement:
    """What a claim and its committed trace fix."""
    statement = _unbound(state, claim_id, claim, job)
    require_job(state, claim_id, job)
    return statement


def _unbound(_: State, claim_id: ClaimId, claim: Claim, job: Job) -> Statement:
    """The same, of a job that nobody has held against the claim yet."""
    if not claim.committed_at:
        raise TraceMissingError(claim_id)
    return Statement(model=job.model, input=job.input, body=claim.body, output=claim.output)


def require_job(state: State, claim_id: ClaimId, job: Job) -> None:
    """Refuse a job that the claim does not answer."""
    # Of another referee's job anyone can be that referee, and assign it to any claim.
    if job.referee != state.referee or state.register.claim_of(job) != claim_id:
        raise JobMismatchError(state.register.id_of(job), claim_id)


def require_proposer(claim: Claim, sender: Address) -> None:
    """Refuse whoever is not the proposer."""
    if sender != claim.proposer:
        raise NotProposerError(sender, claim.proposer)

"""Moves of a dispute as calls of ``contracts/src/referee/IReferee.sol``."""

from typing import Any, assert_never

from verifiable.chain.step_values import Value, header_value, instruction_value, proof_value
from verifiable.claim import CanonClaim
from verifiable.dispute.evidence import EvidenceMove
from verifiable.dispute.moves import (
    Collect,
    CommitTrace,
    DemandBytes,
    DemandPartials,
    Finalize,
    Move,
    OpenChallenge,
    Post,
    Refute,
    RefutePartials,
    RefutePiece,
    Reveal,
    RevealPartials,
    Timeout,
)
from verifiable.dispute.terms import Crossing, Demand, Job, Policy, Walk


def policy_value(policy: Policy) -> Value:
    """Values of a ``Policy``."""
    return (
        policy.window,
        policy.allowance,
        policy.bond,
        policy.challenge_bond,
        policy.reveal_fee,
        policy.burnt_share,
        policy.requester_share,
        policy.refuter_gas,
    )


def canon_claim_value(claim: CanonClaim) -> Value:
    """Values of a ``CanonClaim``; chain and referee are in its id alone."""
    h, s = claim.header, claim.subject
    header = (h.venue, h.semantics, h.job_id, h.nonce, h.expiry, h.provider)
    return (header, (s.model, s.input, s.output))


def job_value(job: Job) -> Value:
    """Values of a ``Job``."""
    return (
        job.requester,
        job.referee,
        job.model,
        job.input,
        job.semantics,
        job.price,
        job.deadline,
        job.provider,
        job.challengers,
        job.salt,
    )


def demand_value(demand: Demand) -> Value:
    """Values of a ``Demand``."""
    at = demand.at
    cursor = (
        at.node,
        at.zone,
        at.height,
        at.index,
        at.trees,
        at.leaves,
        at.leaf_bytes,
        at.last_bytes,
    )
    return (demand.claim_id, int(demand.form), demand.size, demand.extra, cursor)


def crossing_value(crossing: Crossing) -> Value:
    """Values of a ``Crossing``."""
    return (crossing.place, instruction_value(crossing.instruction))


def walk_value(walk: Walk) -> Value:
    """Values of a ``Walk``."""
    return (
        demand_value(walk.start),
        header_value(walk.header),
        walk.zone,
        walk.height,
        walk.index,
        walk.node,
        list(walk.siblings),
        walk.type_header,
        [] if walk.crossing is None else [crossing_value(walk.crossing)],
    )


def call_of(move: Move) -> tuple[str, tuple[Any, ...]]:
    """Function of the referee that plays a move, and its arguments."""
    match move:
        case Post():
            return "post", (canon_claim_value(move.claim), job_value(move.job), move.body)
        case OpenChallenge():
            return "challenge", (move.claim_id, list(move.membership))
        case CommitTrace():
            return "commitTrace", (move.claim_id, move.body)
        case Timeout():
            return "timeout", (move.claim_id, move.challenge, job_value(move.job))
        case Finalize():
            return "finalize", (move.claim_id, job_value(move.job))
        case Collect():
            return "collect", (move.claim_id, move.challenge)
        case _:
            return _evidence(move)


def _evidence(
    move: EvidenceMove,
) -> tuple[str, tuple[Any, ...]]:
    if isinstance(move, Reveal):
        return "reveal", (demand_value(move.demand), move.data)
    if isinstance(move, RevealPartials):
        return "revealPartials", (move.claim_id, move.instruction, move.element, move.partials)
    job = job_value(move.job)
    match move:
        case DemandBytes():
            walk = walk_value(move.walk)
            return "demand", (move.claim_id, move.challenge, job, move.answering, walk)
        case DemandPartials():
            proof = proof_value(move.proof)
            return "demandPartials", (move.claim_id, move.challenge, job, move.answering, proof)
        case Refute():
            return "refute", (move.claim_id, job, proof_value(move.proof))
        case RefutePartials():
            return "refutePartials", (move.claim_id, job, proof_value(move.proof), move.partials)
        case RefutePiece():
            proof = proof_value(move.proof)
            return "refutePiece", (move.claim_id, job, proof, move.partials, move.piece)
    assert_never(move)

"""A whole dispute in one file, and the verdict that anyone gets from it offline.

A record holds the terms, the claim, its job, and every move with its sender, time and bytes. To
`replay` it plays the moves again by `dispute.rules`, recomputing what they show. It says what
follows from these moves; that they were made, only the chain can say
(``verifiable.chain.recorder``). A refutation needs no more: its proof leads to the roots that the
claim and the committed trace fix, whoever sent it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from verifiable.claim import CanonClaim, canon_claim_from_json, claim_id, claim_to_json
from verifiable.crypto.hashing import Json, canonical_json, parse_canonical_json
from verifiable.crypto.strict import (
    read_address,
    read_constant,
    read_count,
    read_list,
    read_object,
    shown,
)
from verifiable.dispute import moves
from verifiable.dispute.coding import from_json, to_json, without
from verifiable.dispute.jobs import Register
from verifiable.dispute.judge import Recomputing
from verifiable.dispute.moves import Move, Refute, RefutePartials, RefutePiece, Reveal
from verifiable.dispute.rules import Context, advance
from verifiable.dispute.state import Reason, State, Status
from verifiable.dispute.terms import NOBODY, Job, Policy
from verifiable.dispute.vault import Vault
from verifiable.errors import EncodingError, StatementRejectedError
from verifiable.types import Address

SCHEMA: Final = "verifiable/dispute/1"
MOVES: Final[Mapping[str, type[Move]]] = {kind.__name__: kind for kind in moves.Move.__args__}
_SHARED: Final = frozenset({"claim_id", "claim", "job"})
"""Of a move: the record gives them once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Where a dispute took place."""

    chain_id: int
    referee: Address
    register: Address
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A move that the referee took."""

    sender: Address
    time: int
    """Unix seconds."""
    move: Move


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a dispute stands at its last move."""

    status: Status
    reason: Reason = Reason.NONE
    instruction: int = 0
    """Which one is wrong, for the reasons ELEMENT and PIECE."""
    element: int = 0
    by: Address = NOBODY
    """Who refuted the claim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A dispute; its moves are about `claim` and `job` alone."""

    deployment: Deployment
    claim: CanonClaim
    job: Job
    moves: tuple[Played, ...]
    verdict: Ending


def replay(record: Record) -> Ending:
    """Play a record again.

    Returns
    -------
    Ending
        The record's verdict.

    Raises
    ------
    IllegalMoveError
        If the rules refuse a move.
    RejectedError, EncodingError
        If a proof shows nothing.
    StatementRejectedError
        If the moves lead to another verdict than the record says.
    """
    key, state = claim_id(record.claim), _opening(record)
    found = Ending(status=Status.UNKNOWN)
    for played in record.moves:
        context = Context(sender=played.sender, now=played.time, judge=Recomputing())
        before = state.claim(key).status
        state = advance(state, played.move, context)
        claim = state.claim(key)
        if claim.status is not before:
            found = ending_of(claim.status, claim.reason, played)
    if found != record.verdict:
        raise StatementRejectedError(f"the moves lead to {found}, the record says {record.verdict}")
    return found


def ending_of(status: Status, reason: Reason, last: Played) -> Ending:
    """How a dispute stands after the move that brought it there."""
    if status is not Status.REFUTED:
        return Ending(status=status)
    if isinstance(last.move, Refute | RefutePartials | RefutePiece):
        place = (last.move.proof.instruction, last.move.proof.element)
        return Ending(
            status=status, reason=reason, instruction=place[0], element=place[1], by=last.sender
        )
    return Ending(status=status, reason=reason, by=last.sender)


def _opening(record: Record) -> State:
    """The job is open, and nobody lacks money: a move that the chain took was paid for."""
    place, job, count = record.deployment, record.job, len(record.moves)
    policy = place.policy
    enough = job.price + policy.bond * count + (policy.challenge_bond + policy.reveal_fee) * count
    vault = Vault()
    for who in {job.requester, *(played.sender for played in record.moves)}:
        vault = vault.deposit(who, enough)
        for spender in (place.referee, place.register):
            vault = vault.allow(who, spender)
    register = Register(chain_id=place.chain_id, address=place.register)
    first = record.moves[0].time if count else 0
    register, vault = register.open(job, vault, job.requester, first)
    return State(referee=place.referee, policy=policy, register=register, vault=vault)


def encode_record(record: Record) -> bytes:
    """Write a record as canonical JSON; `parse_record` reads it."""
    return canonical_json(
        {
            "schema": SCHEMA,
            "deployment": to_json(record.deployment),
            "claim": claim_to_json(record.claim),
            "job": to_json(record.job),
            "moves": [_move_to_json(played) for played in record.moves],
            "verdict": to_json(record.verdict),
        }
    )


def _move_to_json(played: Played) -> Json:
    return {
        "sender": played.sender,
        "time": played.time,
        "move": type(played.move).__name__,
        "arguments": without(played.move, _SHARED),
    }


def parse_record(data: bytes) -> Record:
    """Read a record, without believing anything it says.

    Raises
    ------
    EncodingError
        If `data` is not the canonical encoding of a record; the message names the field.
    IllegalMoveError
        If its policy is none.
    """
    at = "dispute"
    value = parse_canonical_json(data, what=at)
    names = ("schema", "deployment", "claim", "job", "moves", "verdict")
    fields = read_object(value, at, names)
    read_constant(fields["schema"], f"{at}.schema", SCHEMA)
    claim = canon_claim_from_json(fields["claim"], f"{at}.claim")
    job: Job = from_json(Job, fields["job"], f"{at}.job")
    record = Record(
        deployment=from_json(Deployment, fields["deployment"], f"{at}.deployment"),
        claim=claim,
        job=job,
        moves=_read_moves(fields["moves"], f"{at}.moves", claim, job),
        verdict=from_json(Ending, fields["verdict"], f"{at}.verdict"),
    )
    header, place = claim.header, record.deployment
    if (header.chain_id, header.verifier) != (place.chain_id, place.referee):
        raise EncodingError(f"{at}.claim is of another chain or referee than {at}.deployment")
    return record


def _read_moves(value: Json, at: str, claim: CanonClaim, job: Job) -> tuple[Played, ...]:
    found: list[Played] = []
    for i, item in enumerate(read_list(value, at)):
        played = _read_move(item, f"{at}[{i}]", claim, job)
        if found and played.time < found[-1].time:
            raise EncodingError(f"{at}[{i}].time is before that of the move before")
        found.append(played)
    return tuple(found)


def _read_move(value: Json, at: str, claim: CanonClaim, job: Job) -> Played:
    fields = read_object(value, at, ("sender", "time", "move", "arguments"))
    name = fields["move"]
    kind = MOVES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise EncodingError(f"{at}.move is {shown(name)}, wanted one of {', '.join(MOVES)}")
    given = {"claim_id": claim_id(claim), "claim": claim, "job": job}
    move: Move = from_json(kind, fields["arguments"], f"{at}.arguments", given=given)
    if isinstance(move, Reveal) and move.demand.claim_id != claim_id(claim):
        raise EncodingError(f"{at}.arguments.demand is about another claim")
    return Played(
        sender=read_address(fields["sender"], f"{at}.sender"),
        time=read_count(fields["time"], f"{at}.time"),
        move=move,
    )

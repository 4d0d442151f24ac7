"""Read a whole dispute off a chain, for `verifiable.dispute.record`."""

from collections.abc import Iterator

from verifiable.chain.abi import decode_call
from verifiable.chain.contract import abi_of
from verifiable.chain.referee import Posted, Referee
from verifiable.chain.referee_reading import move_of
from verifiable.dispute.record import Deployment, Ending, Played, Record, ending_of
from verifiable.dispute.state import Reason, Status
from verifiable.dispute.terms import Job
from verifiable.errors import ChainError
from verifiable.types import ClaimId

_ENDS = {"Refuted": Status.REFUTED, "Finalized": Status.FINAL}


def record_of(referee: Referee, key: ClaimId, first: int) -> Record:
    """Every move about a claim since a block, and how it stands.

    Parameters
    ----------
    referee : Referee
    key : ClaimId
    first : int
        A block before the job was opened.

    Raises
    ------
    ChainError
        If there is no such claim, the node fails, or a move was made through another contract, so
        that the chain's transactions do not show what it was.
    """
    last = referee.chain.block_number()
    posted = _posted(referee, key, first, last)
    if posted.claim is None:
        raise ChainError(f"claim 0x{key.hex()} holds a number that no record can")
    register = referee.register()
    job = register.job(posted.job_id, first, last)
    played = tuple(_played(referee, key, first, last))
    return Record(
        deployment=Deployment(
            chain_id=referee.chain.chain_id,
            referee=referee.address,
            register=register.address,
            policy=referee.policy(),
        ),
        claim=posted.claim,
        job=job,
        moves=tuple(move for move, _ in played),
        verdict=_ending(referee, key, played),
    )


def _posted(referee: Referee, key: ClaimId, first: int, last: int) -> Posted:
    for event in referee.events(first, last):
        if isinstance(event, Posted) and event.claim_id == key:
            return event
    raise ChainError(
        f"claim 0x{key.hex()} was not posted in the blocks {first}..{last}",
        hint="begin with an earlier block",
    )


def _played(
    referee: Referee, key: ClaimId, first: int, last: int
) -> Iterator[tuple[Played, set[str]]]:
    """Each move, and the names of the events that it left."""
    events: dict[bytes, set[str]] = {}
    for one in referee.named(first, last):
        if one.values["claimId"] == key:
            events.setdefault(one.event.transaction, set()).add(one.name)
    for transaction, names in events.items():
        sent = referee.chain.transaction(transaction)
        if sent.to != referee.address:
            raise ChainError(
                f"transaction 0x{transaction.hex()} reached the referee through another contract"
            )
        name, values = decode_call(abi_of("Referee"), sent.data)
        move = move_of(name, values, referee.chain.chain_id, referee.address)
        yield Played(sender=sent.sender, time=sent.time, move=move), names


def _ending(referee: Referee, key: ClaimId, played: tuple[tuple[Played, set[str]], ...]) -> Ending:
    claim = referee.claim(key)
    for move, names in played:
        for name, status in _ENDS.items():
            if name in names and status is claim.status:
                return ending_of(status, claim.reason, move)
    return Ending(status=claim.status, reason=Reason.NONE)


def job_of_claim(referee: Referee, key: ClaimId, first: int) -> Job:
    """The job that a claim answers; as `record_of`."""
    last = referee.chain.block_number()
    return referee.register().job(_posted(referee, key, first, last).job_id, first, last)

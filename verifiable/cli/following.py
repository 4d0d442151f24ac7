"""How a player follows claims: read the docket, take one's turn, wait, and look again."""

import argparse
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from verifiable.errors import ChainError, EncodingError, InputError, StorageError, VerifiableError

if TYPE_CHECKING:
    from verifiable.chain.agent import Agent
    from verifiable.chain.referee import Posted, Referee
    from verifiable.cli.court import Court
    from verifiable.cli.output import Console
    from verifiable.dispute.shelf import Source
    from verifiable.dispute.state import Claim
    from verifiable.dispute.terms import Job
    from verifiable.types import Bytes32, ClaimId

REORG: Final = 128
"""Blocks that are read again at each look: a chain may put others in their place."""


def add_following_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how often and how long is looked."""
    parser.add_argument(
        "--interval", type=float, default=5.0, metavar="SECONDS", help="between two looks (5)"
    )
    parser.add_argument("--once", action="store_true", help="look once, move, and end")


def add_record_argument(parser: argparse.ArgumentParser, *, several: bool) -> None:
    """Declare where a dispute is written that is over."""
    name, what = ("--records", "folder for records") if several else ("--record", "record")
    parser.add_argument(
        name, type=Path, metavar="DIR" if several else "FILE",
        help=f"{what} of the disputes that are over, for `verifiable replay`"
        if several
        else "record of the dispute once it is over, for `verifiable replay`",
    )  # fmt: skip


def add_served_argument(parser: argparse.ArgumentParser) -> None:
    """Declare where bytes of foreign traces may be."""
    parser.add_argument(
        "--served", action="append", default=[], metavar="URL|DIR",
        help="where providers serve their traces; may be repeated",
    )  # fmt: skip


def served_of(places: list[str]) -> "Source":
    """Where bytes of foreign traces may be."""
    from verifiable.serving.source import FolderSource, Mirrors
    from verifiable.serving.web import HttpSource

    return Mirrors(
        [
            HttpSource(place) if "://" in place else FolderSource(Path(place))
            for place in places
        ]
    )  # fmt: skip


@dataclass(slots=True)
class Docket:
    """Claims at a referee and their jobs.

    Parameters
    ----------
    referee : Referee
    since : int
        First block to read.
    """

    referee: "Referee"
    since: int
    claims: "dict[ClaimId, Posted]" = field(default_factory=dict)
    _jobs: "dict[Bytes32, Job]" = field(default_factory=dict)
    _read: int = -1
    """Last block that was read."""

    def read(self) -> None:
        """Read what is new, and the last blocks again.

        Raises
        ------
        ChainError
            If the node fails or contradicts itself.
        """
        from verifiable.chain.referee import Posted

        last = self.referee.chain.block_number()
        if last < self.since:
            raise ChainError(f"the chain ends at block {last}, before --since {self.since}")
        first = max(self.since, self._read - REORG)
        for one in self.referee.register().opened(first, last):
            self._jobs[one.job_id] = one.job
        for event in self.referee.events(first, last):
            if isinstance(event, Posted):
                self.claims[event.claim_id] = event
        self._read = last

    def job(self, key: "ClaimId") -> "Job":
        """The job that a claim answers.

        Raises
        ------
        ChainError
            If the claim or its job is not among the blocks that were read.
        """
        posted = self.claims.get(key)
        job = None if posted is None else self._jobs.get(posted.job_id)
        if job is None:
            what = "claim" if posted is None else "job of the claim"
            raise ChainError(
                f"the {what} 0x{key.hex()} is not in the blocks {self.since}..{self._read}",
                hint="is it of this referee? else begin earlier with --since",
            )
        return job

    def first(self, key: "ClaimId") -> int:
        """A block before everything that happened to a claim."""
        return max(self.since, self.claims[key].block - REORG)


@dataclass(slots=True)
class Settled:
    """Claims that are decided, and since when: a decision may be undone with its block.

    Parameters
    ----------
    confirmations : int
        Blocks that must stand on a decision.
    """

    confirmations: int
    _seen: "dict[ClaimId, int]" = field(default_factory=dict)

    def stands(self, key: "ClaimId", claim: "Claim", block: int) -> bool:
        """Whether a claim was decided long enough ago, as seen at a block."""
        from verifiable.dispute.state import Status

        if claim.status not in (Status.FINAL, Status.REFUTED):
            self._seen.pop(key, None)
            return False
        return block - self._seen.setdefault(key, block) >= self.confirmations - 1


def follow(look: Callable[[], bool], args: argparse.Namespace, console: "Console") -> None:
    """Look again and again until there is nothing left to do; with ``--once``, one time.

    Parameters
    ----------
    look : callable
        Whether there is nothing left to do.
    args : Namespace
        See `add_following_arguments`.
    console : Console

    Raises
    ------
    ChainError
        With ``--once``. Else a chain that fails is asked again, however long it takes: who gives
        up loses his bond.
    """
    if not args.interval > 0:
        raise InputError(f"--interval must be positive, got {args.interval:g}")
    while True:
        try:
            if look() or args.once:
                return
        except ChainError as e:
            if args.once:
                raise
            narrate(console, "chain", f"{e}; asking again in {args.interval:g} s")
        time.sleep(args.interval)


def for_each(
    keys: "Iterable[ClaimId]",
    act: "Callable[[ClaimId], None]",
    tell: "Callable[[ClaimId, str], None]",
) -> VerifiableError | None:
    """Act for each claim; what goes wrong with one keeps nobody from the others.

    Returns
    -------
    VerifiableError or None
        The first thing that went wrong; `tell` was told all of them.
    """
    first = None
    for key in keys:
        try:
            act(key)
        except VerifiableError as e:
            tell(key, str(e))
            first = first or e
    return first


def take_turn(agent: "Agent", console: "Console") -> None:
    """Make the moves that can be made now, one after the other."""
    while True:
        done = agent.tick()
        if done.move is None:
            return
        name = f"0x{agent.claim_id.hex()[:8]}: {type(done.move).__name__}"
        if done.sent is None:
            assert done.overtaken is not None, "a move was made or overtaken"
            narrate(console, "move", f"{name} came too late: {done.overtaken.error}")
            return
        narrate(console, "move", f"{name}, {done.sent.gas:,} gas, block {done.sent.block}")


def narrate(console: "Console", stage: str, message: str) -> None:
    """Say what happens, to a person or a program."""
    if console.as_json:
        console.event(stage, message, 0.0)
    else:
        console.tell(message)


def outcome(key: "ClaimId", claim: "Claim", **more: Any) -> dict[str, Any]:
    """How a claim stands, as verbs print it."""
    found: dict[str, Any] = {"claim": "0x" + key.hex(), "status": claim.status.name.lower()}
    if claim.reason:
        found["reason"] = claim.reason.name.lower()
    return found | more


def write_record(court: "Court", docket: Docket, key: "ClaimId", path: Path) -> None:
    """Write the record of a dispute, in place of one that was begun before.

    Raises
    ------
    ChainError
        If the chain does not show every move.
    StorageError
        If it cannot be written.
    """
    from verifiable.chain.recorder import record_of
    from verifiable.dispute.record import encode_record
    from verifiable.storage import write_file

    record = record_of(court.referee, key, docket.since)
    write_file(path, encode_record(record))


def record_path(folder: Path, key: "ClaimId") -> Path:
    """Where the record of a claim goes in a folder of records, which is made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise StorageError(f"cannot write `{folder}`: {e.strerror or e}") from e
    return folder / f"{key.hex()}.json"


def claim_id_of(text: str) -> "ClaimId":
    """Read the id of a claim, or that of the claim in a file.

    Raises
    ------
    InputError
        If it is neither.
    """
    from verifiable.claim import claim_id, parse_canon_claim
    from verifiable.cli.common import bytes32, read_bytes
    from verifiable.types import ClaimId

    if Path(text).is_file():
        return claim_id(parse_canon_claim(read_bytes(Path(text))))
    try:
        return ClaimId(bytes32(text, "claim"))
    except InputError as e:
        raise EncodingError(f"`{text}` is neither a claim's file nor its id: {e}") from e

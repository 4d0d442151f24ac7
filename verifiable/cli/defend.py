"""``verifiable defend``: follow one's own claims until each is decided, whoever disputes them."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from verifiable.cli import common
from verifiable.cli.court import Court, add_court_arguments, court_of
from verifiable.cli.exits import Exit
from verifiable.cli.following import (
    Docket,
    Settled,
    add_following_arguments,
    add_record_argument,
    claim_id_of,
    follow,
    for_each,
    narrate,
    outcome,
    record_path,
    take_turn,
    write_record,
)
from verifiable.cli.library import Library, add_library_arguments, library_of, stored_for
from verifiable.cli.output import Console
from verifiable.errors import VerifiableError

if TYPE_CHECKING:
    from verifiable.chain.referee import Posted
    from verifiable.dispute.players import Proposer
    from verifiable.dispute.state import Claim
    from verifiable.types import ClaimId


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this verb."""
    add_court_arguments(parser)
    add_library_arguments(parser)
    parser.add_argument(
        "--claim", action="append", default=[], metavar="ID|FILE",
        help="defend this one alone; may be repeated (all of this account)",
    )  # fmt: skip
    parser.add_argument(
        "--trace", action="append", default=[], type=Path, metavar="DIR",
        help="trace kept by `post` or `run`; others are made again",
    )  # fmt: skip
    parser.add_argument(
        "--until-done", action="store_true", help="end once every claim found is decided"
    )
    parser.add_argument(
        "--withdraw", action="store_true", help="take what is free out of the vault at the end"
    )
    add_record_argument(parser, several=True)
    add_following_arguments(parser)
    common.add_engine_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Defend: commit, reveal, end what ran out of time, finalise.

    The status is 3 if a claim was refuted.
    """
    engine = common.engine_of(args, console)
    library = library_of(args, engine, common.regions_of(console))
    wanted = {claim_id_of(text) for text in args.claim}
    court = court_of(args, acts=True)
    watch = _Watch(args, console, court, library, wanted)
    follow(watch.look, args, console)
    if args.once and watch.failure is not None:
        raise watch.failure
    if args.withdraw:
        _withdraw(court, console)
    return Exit.REFUTED if watch.refuted else Exit.DONE


class _Watch:
    """What is kept between two looks; all of it can be read off the chain again."""

    def __init__(
        self,
        args: argparse.Namespace,
        console: Console,
        court: Court,
        library: Library,
        wanted: "set[ClaimId]",
    ) -> None:
        self._args, self._console, self._court = args, console, court
        self._library, self._wanted = library, wanted
        self._docket = Docket(court.referee, args.since)
        self._settled = Settled(args.confirmations)
        self._over: set[ClaimId] = set()
        self._told: set[tuple[ClaimId, str]] = set()
        self.refuted = False
        self.failure: VerifiableError | None = None

    def look(self) -> bool:
        """Move for each claim that is not decided; whether there is nothing left to do."""
        self._docket.read()
        mine = {posted.claim_id: posted for posted in self._own()}
        left = [key for key in mine if key not in self._over]
        self.failure = for_each(left, lambda key: self._defend(mine[key]), self._tell)
        found = set(mine)
        all_found = found >= self._wanted and bool(found)
        return self._args.until_done and all_found and found <= self._over

    def _own(self) -> "Iterator[Posted]":
        for key, posted in self._docket.claims.items():
            claim = posted.claim
            mine = claim is not None and claim.header.provider == self._court.me
            if mine and (not self._wanted or key in self._wanted):
                yield posted

    def _defend(self, posted: "Posted") -> None:
        from verifiable.chain.agent import Agent
        from verifiable.dispute.state import Status

        referee, key = self._court.referee, posted.claim_id
        claim = referee.claim(key)
        if claim.status is Status.OPEN:
            player = self._player(posted, claim)
            agent = Agent(
                referee=referee, player=player, claim_id=key, job=player.job,
                first=self._docket.first(key),
            )  # fmt: skip
            take_turn(agent, self._console)
            claim = referee.claim(key)
        if self._settled.stands(key, claim, referee.chain.block_number()):
            self._end(key, claim)

    def _player(self, posted: "Posted", claim: "Claim") -> "Proposer":
        from verifiable.dispute.answers import Run
        from verifiable.dispute.players import Proposer

        assert posted.claim is not None, "chosen by its provider"
        job = self._docket.job(posted.claim_id)
        model = self._library.model(job.model)
        given = (stored_for(path, posted.claim, model.canon.graph) for path in self._args.trace)
        run: Run | None = next((found for found in given if found is not None), None)
        if run is None:
            run = self._library.run(job)
            if claim.challenges and run.trace.sections.output != claim.output:
                self._tell(posted.claim_id, "is not what the model gives here; it will be lost")
        return Proposer(claim=posted.claim, job=job, run=run, weights=model.canon.weights)

    def _end(self, key: "ClaimId", claim: "Claim") -> None:
        from verifiable.dispute.state import Status

        folder = self._args.records
        if folder is not None:
            write_record(self._court, self._docket, key, record_path(folder, key))
        self.refuted |= claim.status is Status.REFUTED
        self._over.add(key)
        self._console.result("defended", outcome(key, claim))

    def _tell(self, key: "ClaimId", message: str) -> None:
        if (key, message) not in self._told:
            self._told.add((key, message))
            narrate(self._console, "defend", f"0x{key.hex()[:8]}: {message}")


def _withdraw(court: Court, console: Console) -> None:
    vault = court.referee.vault()
    free = vault.free(court.me)
    if free:
        vault.withdraw(court.me, free, sender=court.me)
        narrate(console, "withdraw", f"{free} wei to {court.me}")

"""``verifiable watch``: run the claims at a referee again, and challenge what is false."""

import argparse
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from verifiable.cli import common
from verifiable.cli.challenge import challenger, dispute
from verifiable.cli.court import Court, add_court_arguments, court_of, members_of, membership_of
from verifiable.cli.exits import Exit
from verifiable.cli.following import (
    Docket,
    Settled,
    add_following_arguments,
    add_record_argument,
    add_served_argument,
    follow,
    for_each,
    narrate,
    outcome,
    record_path,
    served_of,
    take_turn,
    write_record,
)
from verifiable.cli.library import Library, add_library_arguments, library_of
from verifiable.cli.output import Console
from verifiable.errors import HostError, InputError, VerifiableError

if TYPE_CHECKING:
    from verifiable.chain.agent import Agent
    from verifiable.dispute.players import Challenger
    from verifiable.dispute.shelf import Source
    from verifiable.dispute.state import Claim
    from verifiable.types import Address, ClaimId

_WHOLE: Final = 1 << 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this verb."""
    add_court_arguments(parser)
    add_library_arguments(parser)
    add_served_argument(parser)
    parser.add_argument(
        "--challenge", action="store_true", help="challenge what is false; needs --yes and a key"
    )
    parser.add_argument(
        "--challengers", type=Path, metavar="FILE",
        help="addresses that private jobs admit, one in a line",
    )  # fmt: skip
    parser.add_argument(
        "--share", type=float, default=1.0, help="share of the claims to run again (1: all)"
    )
    parser.add_argument(
        "--seed", metavar="HEX",
        help="32 bytes that choose the sample: secret, or who cheats knows it too (random)",
    )  # fmt: skip
    parser.add_argument(
        "--until-done", action="store_true", help="end once every claim found is decided"
    )
    add_record_argument(parser, several=True)
    add_following_arguments(parser)
    common.add_engine_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Watch; one result for each claim whenever what is known of it changes.

    The status is 3 if a claim that could still be refuted was found false.
    """
    if not 0 <= args.share <= 1:
        raise InputError(f"--share must be 0 to 1, got {args.share:g}")
    seed = secrets.token_bytes(32) if args.seed is None else common.bytes32(args.seed, "seed")
    engine = common.engine_of(args, console)
    library = library_of(args, engine, common.regions_of(console))
    served, members = served_of(args.served), members_of(args.challengers)
    court = court_of(args, acts=args.challenge)
    audit = _Audit(
        args=args, console=console, court=court, library=library, served=served,
        members=members, seed=seed, docket=Docket(court.referee, args.since),
        settled=Settled(args.confirmations),
    )  # fmt: skip
    follow(audit.look, args, console)
    if args.once and audit.failure is not None:
        raise audit.failure
    return Exit.REFUTED if audit.false else Exit.DONE


@dataclass(slots=True, kw_only=True)
class _Audit:
    """What is kept between two looks; all of it can be found out again."""

    args: argparse.Namespace
    console: Console
    court: Court
    library: Library
    served: "Source"
    members: "tuple[Address, ...]"
    seed: bytes
    docket: Docket
    settled: Settled
    false: bool = False
    failure: VerifiableError | None = None
    """What went wrong at the last look."""
    over: "set[ClaimId]" = field(default_factory=set)
    known: "dict[ClaimId, dict[str, Any]]" = field(default_factory=dict)
    told: "dict[ClaimId, str]" = field(default_factory=dict)

    def look(self) -> bool:
        """Look at each claim that is not decided; whether there is nothing left to do."""
        self.docket.read()
        chosen = [key for key in self.docket.claims if self._is_chosen(key)]
        left = [key for key in chosen if key not in self.over]
        self.failure = for_each(left, self._audit, self._tell)
        return bool(self.args.until_done and chosen and self.over.issuperset(chosen))

    def _is_chosen(self, key: "ClaimId") -> bool:
        from verifiable.crypto.hashing import sha256

        place = int.from_bytes(sha256(self.seed + key), "big")
        return place < int(self.args.share * _WHOLE)

    def _audit(self, key: "ClaimId") -> None:
        from verifiable.dispute.state import Status

        referee = self.court.referee
        claim = referee.claim(key)
        if claim.proposer == self.court.me:
            self.over.add(key)
        elif claim.status is Status.OPEN:
            try:
                self._judge(key)
            except HostError as e:
                self._show(key, claim, forecast="unknown", why=str(e))
        elif claim.status is Status.REFUTED and claim.open and self.args.challenge:
            # What is left of an own challenge is collected.
            take_turn(self._agent(key)[0], self.console)
        claim = referee.claim(key)
        if self.settled.stands(key, claim, referee.chain.block_number()):
            self._show(key, claim)
            self._end(key)

    def _judge(self, key: "ClaimId") -> None:
        agent, player = self._agent(key)
        view = agent.referee.view(key, agent.job, agent.first)
        if not player.is_false(view):
            self._show(key, view.claim, forecast="final")
            return
        output = player.run.trace.sections.output
        which = "outputs are" if output != view.claim.output else "trace is"
        late = view.now > view.claim.window_end
        lost = late and not view.claim.open and not view.claim.committed_at
        self.false |= not lost
        self._show(
            key, view.claim, forecast="final" if lost else "refuted",
            why=f"the {which} not what the model gives" + ", found too late" * lost,
        )  # fmt: skip
        if self.args.challenge and not lost:
            self._challenge(agent, player)

    def _challenge(self, agent: "Agent", player: "Challenger") -> None:
        try:
            shown = membership_of(self.members, agent.job, self.court.me)
        except InputError as e:
            # That is for others to do.
            self._tell(agent.claim_id, str(e))
            return
        player = replace(player, membership=shown)
        acting = replace(agent, player=player)
        dispute(acting, player, self.court, self.args.deposit, self.console)

    def _tell(self, key: "ClaimId", message: str) -> None:
        if self.told.get(key) != message:
            self.told[key] = message
            narrate(self.console, "watch", f"0x{key.hex()[:8]}: {message}")

    def _agent(self, key: "ClaimId") -> "tuple[Agent, Challenger]":
        from verifiable.chain.agent import Agent

        job = self.docket.job(key)
        player = challenger(self.court, self.library, job, self.served)
        agent = Agent(
            referee=self.court.referee, player=player, claim_id=key, job=job,
            first=self.docket.first(key),
        )  # fmt: skip
        return agent, player

    def _show(self, key: "ClaimId", claim: "Claim", **more: str) -> None:
        found = outcome(key, claim, **more)
        if self.known.get(key) != found:
            self.known[key] = found
            self.console.result("watched", found)

    def _end(self, key: "ClaimId") -> None:
        self.over.add(key)
        folder = self.args.records
        if folder is not None:
            write_record(self.court, self.docket, key, record_path(folder, key))

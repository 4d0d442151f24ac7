"""``verifiable challenge``: dispute one claim to its end, if it is false."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from verifiable.cli import common
from verifiable.cli.court import Court, add_court_arguments, court_of, members_of, membership_of
from verifiable.cli.exits import Exit
from verifiable.cli.following import (
    Docket,
    Settled,
    add_following_arguments,
    add_record_argument,
    add_served_argument,
    claim_id_of,
    follow,
    outcome,
    served_of,
    take_turn,
    write_record,
)
from verifiable.cli.library import Library, add_library_arguments, library_of
from verifiable.cli.output import Console
from verifiable.errors import ChainError, InputError

if TYPE_CHECKING:
    from verifiable.chain.agent import Agent
    from verifiable.dispute.players import Challenger
    from verifiable.dispute.shelf import Source
    from verifiable.dispute.terms import Job
    from verifiable.dispute.view import GameView
    from verifiable.types import Address


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this verb."""
    parser.add_argument("claim", help="id of the claim, or its file")
    add_court_arguments(parser)
    add_library_arguments(parser)
    add_served_argument(parser)
    parser.add_argument(
        "--challengers", type=Path, metavar="FILE",
        help="addresses that a private job admits, one in a line",
    )  # fmt: skip
    add_record_argument(parser, several=False)
    add_following_arguments(parser)
    common.add_engine_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Dispute.

    0. The claim is another's, and its job, model and input are known here.
    1. The model is run. If the claim is true as far as it can be seen, nothing is sent.
    2. The game is played until the claim is decided, and what is one's own is collected.
    """
    from verifiable.chain.agent import Agent
    from verifiable.dispute.state import Status
    from verifiable.storage import check_new

    if args.record is not None:
        check_new(args.record)
    key = claim_id_of(args.claim)
    members = members_of(args.challengers)
    engine = common.engine_of(args, console)
    library = library_of(args, engine, common.regions_of(console))
    served = served_of(args.served)
    court = court_of(args, acts=True)
    referee = court.referee
    docket, settled = Docket(referee, args.since), Settled(args.confirmations)
    docket.read()
    job = docket.job(key)
    if referee.claim(key).proposer == court.me:
        raise InputError("the claim is your own", hint="`verifiable defend` it")
    shown = membership_of(members, job, court.me)
    player = replace(challenger(court, library, job, served), membership=shown)
    agent = Agent(referee=referee, player=player, claim_id=key, job=job, first=docket.first(key))
    upheld = False

    def look() -> bool:
        nonlocal upheld
        upheld = not dispute(agent, player, court, args.deposit, console)
        claim = referee.claim(key)
        over = claim.status in (Status.FINAL, Status.REFUTED)
        if upheld and not over:
            return True
        return settled.stands(key, claim, referee.chain.block_number())

    follow(look, args, console)
    claim = referee.claim(key)
    if args.record is not None and claim.status is not Status.OPEN:
        write_record(court, docket, key, args.record)
    console.result("disputed", outcome(key, claim, upheld=upheld))
    return Exit.REFUTED if claim.status is Status.REFUTED else Exit.DONE


def challenger(court: Court, library: Library, job: "Job", served: "Source") -> "Challenger":
    """Who disputes claims that answer a job.

    Raises
    ------
    HostError
        If the job's model or input is not here.
    """
    from verifiable.dispute.players import Challenger

    own = library.run(job)
    return Challenger(me=court.me, run=own, weights=own.weights, served=served)


def dispute(
    agent: "Agent",
    player: "Challenger",
    court: Court,
    deposit: int | None,
    console: Console,
) -> bool:
    """Take one's turn against a claim; whether it is false as far as can be seen now.

    Raises
    ------
    InputError
        If there is no money for a challenge, or it is too late for one.
    OwnRunError
        If one's own run is wrong.
    """
    from verifiable.dispute.state import Status

    view = agent.referee.view(agent.claim_id, agent.job, agent.first)
    status = view.claim.status
    if status is Status.UNKNOWN:
        raise ChainError(f"the claim 0x{agent.claim_id.hex()} is not at the referee any more")
    if status is Status.OPEN:
        if not player.is_false(view):
            return False
        if not _opened(view, court.me):
            _prepare(view, court, deposit, console)
    take_turn(agent, console)
    return True


def _opened(view: "GameView", me: "Address") -> bool:
    numbers = range(1, view.claim.challenges + 1)
    return any(view.challenge(number).challenger == me for number in numbers)


def _prepare(view: "GameView", court: Court, deposit: int | None, console: Console) -> None:
    """Money for all that a challenge may take: who runs out of it in the middle loses his bond."""
    from verifiable.dispute.terms import MOST_DEMANDS

    claim, policy = view.claim, court.policy
    if view.now <= claim.window_end:
        most = policy.challenge_bond + MOST_DEMANDS * policy.reveal_fee
        court.provide(most, deposit, console)
    elif not claim.committed_at and not claim.open:
        raise InputError(
            f"the claim is false, but its window ended at {claim.window_end}, "
            f"and it is {view.now} on the chain"
        )

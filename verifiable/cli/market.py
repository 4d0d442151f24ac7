"""Actions of ``verifiable contract`` at the optimistic venue: create one, open a job there."""

import argparse
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from verifiable.cli import common
from verifiable.cli.court import (
    Court,
    add_court_arguments,
    add_node_arguments,
    court_of,
    members_of,
)
from verifiable.cli.output import Console
from verifiable.errors import ChainError, InputError

if TYPE_CHECKING:
    from verifiable.dispute.terms import Job


def add_deploy_venue_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``contract deploy-venue``."""
    parser.add_argument(
        "policy", type=Path, help="terms of the referee: JSON of schema verifiable/policy/1"
    )
    add_node_arguments(parser)
    parser.add_argument("--keystore", type=Path, help="encrypted key file of the sender")
    parser.add_argument("--token", metavar="ADDRESS", help="ERC-20 of all money (the native coin)")
    parser.add_argument(
        "--evm", choices=("cancun", "osaka"), default="cancun", help="rules of the chain"
    )
    parser.add_argument("--yes", action="store_true", help="yes, spend gas")


def deploy(args: argparse.Namespace, console: Console) -> None:
    """Create a referee and all that it calls."""
    from verifiable.chain.rpc import RpcChain
    from verifiable.chain.venue import deploy_venue
    from verifiable.crypto.address import parse_address
    from verifiable.dispute.files import parse_policy
    from verifiable.dispute.terms import NOBODY

    policy = parse_policy(common.read_bytes(args.policy))
    token = NOBODY if args.token is None else parse_address(args.token)
    if not args.yes:
        raise InputError("deploying spends gas", hint="repeat with --yes")
    key = common.signing_key(args.keystore)
    chain = RpcChain(args.rpc, keys=[key], chain_id=args.chain_id)
    if token != NOBODY and not chain.code(token):
        raise ChainError(f"there is no contract at {token} on chain {chain.chain_id}")
    block = chain.block_number()
    made = deploy_venue(chain, policy, token=token, evm=args.evm)
    console.result(
        "venue",
        {
            "chain_id": made.chain_id,
            "since": block,
            "referee": made.addresses["Referee"],
            "addresses": dict(made.addresses),
            "gas": dict(made.gas),
        },
    )


def add_open_job_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``contract open-job``."""
    parser.add_argument("bundle", type=Path, help="bundle of the model to run")
    parser.add_argument("input", type=Path, help="input tensors")
    add_court_arguments(parser)
    parser.add_argument("--price", type=int, required=True, metavar="WEI", help="for the answer")
    parser.add_argument(
        "--within", type=int, default=3_600, metavar="SECONDS", help="until the deadline (3600)"
    )
    parser.add_argument("--provider", metavar="ADDRESS", help="the only one who may answer")
    parser.add_argument(
        "--challengers", type=Path, metavar="FILE",
        help="the only ones who may challenge: addresses, one in a line",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="FILE",
        help="file of the job; if it is there already, that job is opened",
    )  # fmt: skip


def open_job(args: argparse.Namespace, console: Console) -> None:
    """Open a job; one that was opened before is left as it is."""
    from verifiable.dispute.files import encode_job, parse_job
    from verifiable.dispute.jobs import JobState
    from verifiable.storage import write_file

    court = court_of(args, acts=True)
    if args.out.exists():
        job = parse_job(common.read_bytes(args.out))
        if job.referee != court.referee.address:
            raise InputError(f"the job in `{args.out}` is for the referee {job.referee}")
    else:
        job = _job(args, court)
        # Written first: who is stopped in between finds the same job again.
        write_file(args.out, encode_job(job))
    register = court.referee.register()
    key = register.id_of(job)
    if register.state_of(key) is JobState.UNKNOWN:
        court.provide(job.price, args.deposit, console, spender=register.address)
        register.open(job)
    else:
        console.tell("the job was opened before")
    console.result(
        "job-opened",
        {
            "job": "0x" + key.hex(),
            "file": str(args.out),
            "model": "0x" + job.model.hex(),
            "input": "0x" + job.input.hex(),
            "price": str(job.price),
            "deadline": job.deadline,
        },
    )


def _job(args: argparse.Namespace, court: Court) -> "Job":
    from verifiable.bundle import open_bundle
    from verifiable.canon import bind_inputs, open_canon
    from verifiable.crypto.address import parse_address
    from verifiable.dispute.members import members_root
    from verifiable.dispute.terms import NOBODY, Job
    from verifiable.frontend.inputs import read_arrays
    from verifiable.graph.vocabulary import SEMANTICS
    from verifiable.trace.commit import input_root
    from verifiable.types import Bytes32

    for name in ("price", "within"):
        if getattr(args, name) < 0:
            raise InputError(f"--{name} must be 0 or more, got {getattr(args, name)}")
    canon = open_canon(open_bundle(args.bundle, "verify"))
    inputs = bind_inputs(canon.graph, read_arrays(args.input))
    return Job(
        requester=court.me,
        referee=court.referee.address,
        model=canon.model,
        input=input_root(canon.graph, inputs),
        semantics=SEMANTICS,
        price=args.price,
        deadline=court.referee.chain.block_time() + args.within,
        provider=NOBODY if args.provider is None else parse_address(args.provider),
        challengers=members_root(members_of(args.challengers)),
        salt=Bytes32(secrets.token_bytes(32)),
    )

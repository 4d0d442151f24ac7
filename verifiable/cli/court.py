"""Options and steps of the verbs that act at a referee."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from verifiable.cli import common
from verifiable.errors import ChainError, InputError

if TYPE_CHECKING:
    from verifiable.chain.referee import Referee
    from verifiable.cli.output import Console
    from verifiable.crypto.signatures import SigningKey
    from verifiable.dispute.terms import Job, Policy
    from verifiable.types import Address


def add_node_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which node is asked."""
    parser.add_argument("--rpc", required=True, metavar="URL", help="node to ask")
    parser.add_argument("--chain-id", type=int, help="id the node must have")


def add_court_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which referee at which node, and who acts there."""
    add_node_arguments(parser)
    parser.add_argument("--referee", required=True, metavar="ADDRESS")
    parser.add_argument(
        "--since", type=int, default=0, metavar="BLOCK",
        help="first block to read, before the jobs were opened (0)",
    )  # fmt: skip
    parser.add_argument(
        "--confirmations", type=int, default=1, metavar="N",
        help="blocks that must stand on a move, or on a verdict, before it counts (1)",
    )  # fmt: skip
    parser.add_argument("--keystore", type=Path, help="encrypted key file of who acts")
    parser.add_argument(
        "--deposit", type=int, metavar="WEI",
        help="put so much into the vault if it holds too little for the next bond",
    )  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="yes, spend money")


@dataclass(frozen=True, slots=True, kw_only=True)
class Court:
    """A referee that answers, and who acts there."""

    referee: "Referee"
    policy: "Policy"
    me: "Address"
    key: "SigningKey | None"

    def provide(
        self,
        amount: int,
        deposit: int | None,
        console: "Console",
        spender: "Address | None" = None,
    ) -> None:
        """See that the vault holds `amount`, and that the referee, or another, may reserve it.

        Raises
        ------
        InputError
            If it holds too little and `deposit` does not help.
        """
        vault = self.referee.vault()
        free = vault.free(self.me)
        if free + (deposit or 0) < amount:
            raise InputError(
                f"{self.me} has {free} wei free in the vault {vault.address}, {amount} are needed",
                hint=f"repeat with --deposit {amount - free}",
            )
        if free < amount:
            assert deposit is not None, "the line above says so"
            vault.deposit(self.me, deposit, sender=self.me)
            console.tell(f"deposited {deposit} wei in the vault {vault.address}")
        holder = spender or self.referee.address
        if not vault.allows(self.me, holder):
            vault.allow(holder, sender=self.me)
            console.tell(f"{holder} may reserve parts of the deposit")


def court_of(args: argparse.Namespace, *, acts: bool) -> Court:
    """The referee that `add_court_arguments` describe.

    Parameters
    ----------
    args : Namespace
    acts : bool
        Whether moves are made: then a key and ``--yes`` are needed.

    Raises
    ------
    InputError
        If an option is malformed, there is no key, or money may not be spent.
    ChainError
        If the node or the referee is not what was said.
    """
    from verifiable.chain.referee import Referee
    from verifiable.chain.rpc import RpcChain
    from verifiable.crypto.address import parse_address
    from verifiable.dispute.terms import NOBODY

    address = parse_address(args.referee)
    for name in ("since", "confirmations"):
        least = int(name == "confirmations")
        if getattr(args, name) < least:
            raise InputError(f"--{name} must be {least} or more, got {getattr(args, name)}")
    if args.deposit is not None and args.deposit < 1:
        raise InputError(f"--deposit must be 1 or more, got {args.deposit}")
    if acts and not args.yes:
        raise InputError("moves cost gas, and bonds are at stake", hint="repeat with --yes")
    key = common.signing_key(args.keystore) if acts else None
    chain = RpcChain(
        args.rpc,
        keys=[] if key is None else [key],
        chain_id=args.chain_id,
        confirmations=args.confirmations,
    )
    if not chain.code(address):
        raise ChainError(f"there is no contract at {address} on chain {chain.chain_id}")
    referee = Referee(chain, address)
    try:
        policy = referee.policy()
        referee.vault(), referee.register()
    except ChainError as e:
        raise ChainError(
            f"the contract at {address} answers as no referee does: {e}",
            hint="is the address that of another contract?",
        ) from e
    return Court(referee=referee, policy=policy, me=key.address if key else NOBODY, key=key)


def members_of(path: Path | None) -> "tuple[Address, ...]":
    """Addresses from a file of one in a line; none without a file."""
    from verifiable.crypto.address import parse_address

    if path is None:
        return ()
    try:
        text = common.read_bytes(path).decode()
    except UnicodeDecodeError as e:
        raise InputError(f"`{path}` is no text") from e
    return tuple(parse_address(line.strip()) for line in text.splitlines() if line.strip())


def membership_of(members: "Sequence[Address]", job: "Job", me: "Address") -> "tuple[bytes, ...]":
    """What shows that a job admits `me` as a challenger; nothing where it admits everyone.

    Raises
    ------
    InputError
        If it admits others alone, or the list is not the job's.
    """
    from verifiable.dispute.members import members_root, membership
    from verifiable.dispute.terms import ANYONE

    if job.challengers == ANYONE:
        return ()
    if members_root(members) != job.challengers:
        raise InputError(
            "the job names its challengers, and these are not all of them",
            hint="give the requester's list with --challengers FILE",
        )
    return membership(members, me)

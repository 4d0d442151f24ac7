"""``verifiable verify``: check a receipt offline against what you expect."""

import argparse
import time
from pathlib import Path

from verifiable.cli import common
from verifiable.cli.exits import Exit
from verifiable.cli.output import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this verb."""
    parser.add_argument("receipt", type=Path)
    parser.add_argument(
        "--expect", type=Path, required=True, metavar="FILE", help="what you expect, as JSON"
    )
    parser.add_argument("--independent", action="store_true", help="verify in Python, without ezkl")
    parser.add_argument(
        "--allow-insecure-srs", action="store_true", help="accept a development SRS"
    )


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Check; an error is the only way to fail."""
    from verifiable.claim import claim_id
    from verifiable.expectation import parse_expectation
    from verifiable.proofs.check import check

    checked = check(
        common.read_bytes(args.receipt),
        parse_expectation(common.read_bytes(args.expect)),
        now=int(time.time()),
        method="independent" if args.independent else "ezkl",
        allow_insecure_srs=args.allow_insecure_srs,
        base=args.expect.parent,
    )
    insecure = checked.claim.subject.insecure_srs
    console.result(
        "verdict",
        {
            "verdict": "upheld",
            "claim": "0x" + claim_id(checked.claim).hex(),
            "provider": checked.claim.header.provider,
            "verifier": "independent" if args.independent else "ezkl",
            "outputs": {name: value.ravel().tolist() for name, value in checked.outputs.items()},
            "error": checked.error,
            "insecure_srs": insecure,
        },
    )
    if insecure:
        console.tell("warning: development SRS; this proof convinces nobody")
    return Exit.DONE

"""``verifiable compile``: make a bundle from a model and calibration data."""

import argparse
from pathlib import Path

from verifiable.cli import common
from verifiable.cli.exits import Exit
from verifiable.cli.output import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this verb."""
    common.add_model_arguments(parser)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the new bundle")
    parser.add_argument(
        "--insecure-srs",
        action="store_true",
        help="make keys with a development SRS: its maker can prove anything",
    )


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Compile and say what came out."""
    from verifiable.proofs.compile import compile_model
    from verifiable.storage import check_new

    check_new(args.out)
    model, data = common.read_model(args)
    made = compile_model(
        model,
        data,
        common.policy_of(args, model, data),
        args.out,
        at=common.cuts_of(args, model),
        allow_insecure_srs=args.insecure_srs,
        observer=common.observer_of(console),
    )
    keys = [(circuit.folder / "pk").stat().st_size for circuit in made.circuits]
    console.result(
        "bundle",
        {
            "bundle": str(args.out),
            "lock": "0x" + made.bundle.digest.hex(),
            "insecure_srs": made.bundle.part("zk")["srs"]["insecure"],
            "k": [circuit.k for circuit in made.circuits],
            "pk_bytes": keys,
            "error": made.circuits[0].estimate.error,
            "setup_seconds": [round(setup.seconds, 2) for setup in made.setups],
        },
    )
    if args.insecure_srs:
        console.tell("warning: development SRS; proofs of this bundle convince nobody")
    return Exit.DONE

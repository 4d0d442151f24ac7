"""``verifiable replay``: run a claim again and say whether it stands, or where it is wrong."""

import argparse
from pathlib import Path

from verifiable.cli import common
from verifiable.cli.exits import Exit
from verifiable.cli.output import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this verb."""
    parser.add_argument("claim", type=Path, help="claim made by `run`")
    parser.add_argument("bundle", type=Path, help="bundle of the model, from a source you trust")
    parser.add_argument("input", type=Path, help="input tensors of the job")
    parser.add_argument(
        "--trace", type=Path, metavar="DIR", help="the provider's trace: names what is wrong in it"
    )
    common.add_engine_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Re-execute and compare.

    0. The bundle's files are those of its LOCK, and its graph is the one the claim names.
    1. The input is the one the claim names.
    2. The outputs, computed again, have the root that the claim names.
    3. With a trace: each tensor, computed again, has the root that the trace says.
    """
    from verifiable.bundle import open_bundle
    from verifiable.canon import bind_inputs, open_canon
    from verifiable.claim import claim_id, parse_canon_claim
    from verifiable.frontend.inputs import read_arrays
    from verifiable.trace.store import open_trace
    from verifiable.verdict import Upheld, adjudicate

    claim = parse_canon_claim(common.read_bytes(args.claim))
    canon = open_canon(open_bundle(args.bundle, "verify"))
    inputs = bind_inputs(canon.graph, read_arrays(args.input))
    runner = common.engine_of(args, console).prepare(canon.graph, canon.weights)
    trace = None if args.trace is None else open_trace(args.trace, canon.graph)
    verdict = adjudicate(
        claim, canon, runner, inputs, trace=trace, progress=common.regions_of(console)
    )
    upheld = isinstance(verdict, Upheld)
    value = {"claim": "0x" + claim_id(claim).hex(), "verdict": "upheld" if upheld else "refuted"}
    if not isinstance(verdict, Upheld):
        value |= verdict.to_json()
    console.result("verdict", value)
    return Exit.DONE if upheld else Exit.REFUTED

"""``verifiable replay``: run a claim again, play a dispute again, or compare two traces."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifiable.cli import common
from verifiable.cli.exits import Exit
from verifiable.cli.output import Console
from verifiable.errors import EncodingError, InputError

if TYPE_CHECKING:
    from verifiable.dispute.record import Record


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this verb."""
    parser.add_argument(
        "claim", type=Path, help="claim made by `run`, record of a dispute, or trace (--against)"
    )
    parser.add_argument(
        "bundle", type=Path, nargs="?", help="bundle of the claim's model, from a source you trust"
    )
    parser.add_argument("input", type=Path, nargs="?", help="input tensors of the job")
    parser.add_argument(
        "--trace",
        type=Path,
        metavar="DIR",
        help="the provider's trace of the claim: its bytes are checked, and the first tensor in it "
        "that is not what the model gives refutes it",
    )
    parser.add_argument(
        "--against", type=Path, metavar="DIR",
        help="compare two traces: names the first instruction and element that differ",
    )  # fmt: skip
    common.add_engine_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Re-execute and compare; of a dispute, play its moves again.

    0. The claim is of the semantics that are run here.
    1. The bundle's files are those of its LOCK, and its graph is the one the claim names.
    2. The input is the one the claim names.
    3. With a trace: its bytes are those of its roots, and each tensor, computed again, has the
       root that the trace says.
    4. The outputs, computed again, have the root that the claim names.

    Only what is found in 3 or 4 by running the model refutes a claim. Before that, the material
    is not what the claim speaks of, or cannot be read: nothing was checked, and status 3 is not
    said.

    A record of a dispute stands if its moves lead to its verdict, whatever that is.

    Of two traces it is said where they part, and not which of them is right.
    """
    if args.against is not None:
        return _compare(args, console)
    if args.claim.is_dir():
        raise InputError(
            f"`{args.claim}` is a folder, wanted a claim or the record of a dispute",
            hint="two traces are compared with --against; a claim's own trace is named by --trace",
        )
    document = common.read_bytes(args.claim)
    if _is_record(document):
        if args.bundle is not None or args.trace is not None:
            raise InputError(
                "a dispute's record is replayed without bundle, input and trace",
                hint="it holds all that the referee saw",
            )
        return _replay_record(document, console)
    if args.input is None:
        raise InputError(
            "to run a claim again takes its bundle and its input",
            hint="verifiable replay CLAIM BUNDLE INPUT",
        )
    return _replay_claim(args, document, console)


def _compare(args: argparse.Namespace, console: Console) -> Exit:
    from verifiable.bundle import open_bundle
    from verifiable.canon import open_canon
    from verifiable.graph.json_form import instruction_text
    from verifiable.trace.compare import compare
    from verifiable.trace.store import open_trace

    if args.bundle is None or args.input is not None or args.trace is not None:
        raise InputError(
            "two traces are compared with the bundle that was run, without input and --trace",
            hint="verifiable replay TRACE BUNDLE --against TRACE",
        )
    graph = open_canon(open_bundle(args.bundle, "verify")).graph
    one, other = (open_trace(path, graph) for path in (args.claim, args.against))
    one.check()
    other.check()
    difference = compare(one, other)
    value: dict[str, Any] = {"same": difference is None}
    if difference is not None:
        value |= {"where": instruction_text(graph, difference.instruction)}
        value |= difference.to_json(("first", "second"))
    console.result("comparison", value)
    return Exit.DONE


def _replay_claim(args: argparse.Namespace, document: bytes, console: Console) -> Exit:
    from verifiable.bundle import open_bundle
    from verifiable.canon import bind_inputs, open_canon
    from verifiable.claim import claim_id, parse_canon_claim
    from verifiable.frontend.inputs import read_arrays
    from verifiable.trace.store import open_trace
    from verifiable.verdict import Upheld, adjudicate, check_semantics

    claim = parse_canon_claim(document)
    check_semantics(claim)
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


def _is_record(document: bytes) -> bool:
    from verifiable.crypto.hashing import parse_json
    from verifiable.dispute.record import SCHEMA

    try:
        value = parse_json(document, what="document")
    except EncodingError:
        return False
    return isinstance(value, dict) and value.get("schema") == SCHEMA


def _replay_record(document: bytes, console: Console) -> Exit:
    from verifiable.dispute.errors import IllegalMoveError
    from verifiable.dispute.record import parse_record, replay
    from verifiable.errors import StatementRejectedError
    from verifiable.verdict import check_semantics

    record = parse_record(document)
    check_semantics(record.claim)
    try:
        replay(record)
    except (IllegalMoveError, EncodingError) as e:
        raise StatementRejectedError(
            f"no referee took these moves: {e}", hint="the record was changed, or made up"
        ) from e
    console.result("dispute", summary(record))
    return Exit.DONE


def summary(record: "Record") -> dict[str, Any]:
    """What a record says of a dispute; whether its moves lead there is for `replay` to find."""
    from collections import Counter

    from verifiable.claim import claim_id
    from verifiable.dispute.state import Status
    from verifiable.dispute.terms import NOBODY

    verdict = record.verdict
    value: dict[str, Any] = {
        "claim": "0x" + claim_id(record.claim).hex(),
        "verdict": verdict.status.name.lower(),
        "moves": dict(Counter(type(played.move).__name__ for played in record.moves)),
    }
    if verdict.status is Status.REFUTED:
        value |= {"reason": verdict.reason.name.lower(), "instruction": verdict.instruction}
        value |= {"element": verdict.element}
        value |= {} if verdict.by == NOBODY else {"by": verdict.by}
    return value

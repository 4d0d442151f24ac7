"""``verifiable verify``: check a receipt against what you expect, offline or with the chain."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from verifiable.cli import common
from verifiable.cli.exits import Exit
from verifiable.cli.output import Console
from verifiable.errors import InputError

if TYPE_CHECKING:
    from verifiable.chain.standing import Standing
    from verifiable.claim import CanonClaim
    from verifiable.expectation import Expectation, ExpectedBond
    from verifiable.receipt import Bond, BondedReceipt
    from verifiable.verdict import Verdict

_ZK: Final = ("independent", "allow_insecure_srs")
_OPTIMISTIC: Final = ("bundle", "inputs", "outputs", "trace", "rpc", "device", "threads")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this verb."""
    parser.add_argument("receipt", type=Path)
    parser.add_argument(
        "--expect", type=Path, required=True, metavar="FILE", help="what you expect, as JSON"
    )
    zk = parser.add_argument_group("receipts of the zk venue")
    zk.add_argument("--independent", action="store_true", help="verify in Python, without ezkl")
    zk.add_argument("--allow-insecure-srs", action="store_true", help="accept a development SRS")
    bonded = parser.add_argument_group("receipts of the optimistic venue")
    bonded.add_argument(
        "--bundle", type=Path, metavar="DIR", help="the model, from a source you trust"
    )
    bonded.add_argument(
        "--inputs", type=Path, metavar="FILE", help="the job's; with them the model is run again"
    )
    bonded.add_argument(
        "--outputs", type=Path, metavar="FILE", help="the answer you were given, as .npz"
    )
    bonded.add_argument(
        "--trace",
        type=Path,
        metavar="DIR",
        help="the provider's trace of the claim, with --inputs; as of `replay`",
    )
    bonded.add_argument(
        "--rpc", metavar="URL", help="ask the referee whether the claim is open, final or refuted"
    )
    common.add_engine_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Check by the rules of the venue that you expect, whatever the receipt says of itself."""
    from verifiable.expectation import Expectation, parse_any_expectation

    expectation = parse_any_expectation(common.read_bytes(args.expect))
    if isinstance(expectation, Expectation):
        _refuse(args, _OPTIMISTIC, "optimistic")
        return _zk(args, expectation, console)
    _refuse(args, _ZK, "zk")
    return _optimistic(args, expectation, console)


def _refuse(args: argparse.Namespace, names: tuple[str, ...], venue: str) -> None:
    for name in names:
        if getattr(args, name) not in (None, False):
            option = "--" + name.replace("_", "-")
            raise InputError(f"{option} is for the {venue} venue, you expect a receipt of another")


def _zk(args: argparse.Namespace, expectation: "Expectation", console: Console) -> Exit:
    from verifiable.claim import claim_id
    from verifiable.proofs.check import check

    checked = check(
        common.read_bytes(args.receipt),
        expectation,
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


def _optimistic(args: argparse.Namespace, expected: "ExpectedBond", console: Console) -> Exit:
    """Check a receipt of a bonded claim.

    0. With a bundle: its files are those of its LOCK; model, inputs and outputs are expected.
    1. The document is what is expected (`verifiable.receipt.check_bonded_document`).
    2. With inputs: the model, run again, gives the outputs that are claimed.
    3. With a node: the referee knows the claim as the receipt describes it, and says how it stands.
    """
    from verifiable.receipt import check_bonded_document, parse_bonded_receipt

    receipt = parse_bonded_receipt(common.read_bytes(args.receipt))
    if args.bundle is None:
        _need(args, ("inputs", "outputs", "trace", "device", "threads"), "bundle")
        claim, again = check_bonded_document(receipt, expected), None
    else:
        claim, again = _again(args, expected, receipt, console)
    standing = None
    if args.rpc is not None:
        from verifiable.chain.rpc import RpcChain
        from verifiable.chain.standing import standing_of

        standing = standing_of(RpcChain(args.rpc), claim, receipt.bond)
    value = _told(claim, receipt.bond, again, standing)
    console.result("verdict", value)
    if standing is None:
        console.tell("the referee was not asked (--rpc URL): it may have refuted the claim")
    return Exit.REFUTED if value["verdict"] == "refuted" else Exit.DONE


def _need(args: argparse.Namespace, names: tuple[str, ...], needed: str) -> None:
    for name in names:
        if getattr(args, name) is not None:
            raise InputError(f"--{name} says nothing without --{needed}")


def _again(
    args: argparse.Namespace, expected: "ExpectedBond", receipt: "BondedReceipt", console: Console
) -> "tuple[CanonClaim, Verdict | None]":
    from verifiable.bundle import open_bundle
    from verifiable.canon import bind_inputs, open_canon
    from verifiable.frontend.inputs import read_arrays
    from verifiable.receipt import check_bonded_document
    from verifiable.trace.store import open_trace
    from verifiable.verdict import adjudicate, with_tensors

    canon = open_canon(open_bundle(args.bundle, "verify"))
    if args.inputs is None:
        _need(args, ("trace", "device", "threads"), "inputs")
        inputs = None
    else:
        inputs = bind_inputs(canon.graph, read_arrays(args.inputs))
    outputs = None if args.outputs is None else read_arrays(args.outputs)
    if isinstance(outputs, list):
        raise InputError(f"`{args.outputs}` does not name its arrays: --outputs wants .npz")
    expected = with_tensors(expected, canon, inputs=inputs, outputs=outputs)
    # Before a run that may be long.
    claim = check_bonded_document(receipt, expected)
    if inputs is None:
        return claim, None
    trace = None if args.trace is None else open_trace(args.trace, canon.graph)
    runner = common.engine_of(args, console).prepare(canon.graph, canon.weights)
    progress = common.regions_of(console)
    return claim, adjudicate(claim, canon, runner, inputs, trace=trace, progress=progress)


def _told(
    claim: "CanonClaim", bond: "Bond", again: "Verdict | None", standing: "Standing | None"
) -> dict[str, Any]:
    """What a person or a program is told; `final` is never said unless the referee said so."""
    from verifiable.claim import claim_id
    from verifiable.verdict import Refuted, Upheld

    referee = None if standing is None else standing.status.name.lower()
    again_word = "no" if again is None else "equal" if again == Upheld() else "different"
    verdict, reason = "signed", None
    if isinstance(again, Refuted):
        verdict, reason = "refuted", again.to_json()
    elif standing is not None and referee == "refuted":
        said = standing.reason.name.lower().replace("_", " ")
        verdict, reason = "refuted", {"reason": f"by the referee: {said}"}
    elif referee == "final":
        verdict = "final"
    elif again is not None:
        verdict = "upheld"
    s = claim.subject
    value: dict[str, Any] = {
        "verdict": verdict,
        "venue": claim.header.venue,
        "claim": "0x" + claim_id(claim).hex(),
        "provider": claim.header.provider,
        "referee": claim.header.verifier,
        "chain_id": claim.header.chain_id,
        "model": "0x" + s.model.hex(),
        "input": "0x" + s.input.hex(),
        "output": "0x" + s.output.hex(),
        "bond": str(bond.policy.bond),
        "window_end": bond.window_end,
        "run_again": again_word,
        "referee_says": referee or "not asked",
    }
    if standing is not None:
        value |= {"open_challenges": standing.challenges, "seconds_left": standing.seconds_left}
    return value | (reason or {})

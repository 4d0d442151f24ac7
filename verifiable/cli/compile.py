"""``verifiable compile``: make a bundle from a model, for one venue or both."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifiable.cli import common, fidelity
from verifiable.cli.exits import Exit
from verifiable.cli.output import Console
from verifiable.errors import InputError, UnsupportedError

if TYPE_CHECKING:
    from verifiable.bundle import PartWriter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this verb."""
    common.add_model_arguments(parser, data_optional=True)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the new bundle")
    parser.add_argument(
        "--int8",
        action="store_true",
        help="make the canonical graph an int8 one, calibrated on the data; no circuits",
    )
    parser.add_argument(
        "--insecure-srs",
        action="store_true",
        help="make keys with a development SRS: its maker can prove anything",
    )


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Compile and say what came out.

    The canonical graph is always wanted; with calibration data there are circuits and keys too,
    and a model that only they can take is still compiled, with a warning.
    """
    from verifiable.storage import check_new

    check_new(args.out)
    if args.int8:
        return _integers(args, console)
    if args.data is None:
        return _canonical(args, console, _canon_part(args))
    canon = _canon_part(args)
    if isinstance(canon, UnsupportedError):
        console.tell(f"warning: no canonical graph, for proofs alone: {canon}")
        return _circuits(args, console, {})
    return _circuits(args, console, {"canon": canon})


def _canon_part(args: argparse.Namespace) -> "PartWriter | UnsupportedError":
    from verifiable.canon import part_of

    lowered = common.lowered(args.model, common.dims_of(args.dim))
    if lowered.graph is None:
        return lowered.error()
    return part_of(lowered.graph, lowered.weights)


def _integers(args: argparse.Namespace, console: Console) -> Exit:
    from verifiable.canon import bind_samples, part_of
    from verifiable.engines.choice import choose
    from verifiable.frontend.inputs import read_arrays
    from verifiable.frontend.quantize import quantise

    if args.data is None:
        raise InputError("--int8 wants calibration data", hint="name a file of samples: .npz")
    lowered = common.lowered(args.model, common.dims_of(args.dim))
    if lowered.graph is None:
        raise lowered.error()
    samples = bind_samples(lowered.graph, read_arrays(args.data))
    engine = choose(None, console.tell)
    # Even places calibrate, odd ones are what the report is measured on; of one sample, itself.
    made = quantise(
        lowered.graph, lowered.weights, samples[::2], engine, test=samples[1::2] or None
    )
    for line in fidelity.lines(made):
        console.tell(line)
    for tensor in made.fidelity.tensors:
        console.event("fidelity", f"{tensor.label}: {tensor.signal_to_noise:.1f} dB", 0.0)
    part = part_of(made.graph, made.weights)
    return _canonical(args, console, part, {"fidelity": fidelity.facts(made)})


def _canonical(
    args: argparse.Namespace,
    console: Console,
    part: "PartWriter | UnsupportedError",
    more: Mapping[str, Any] | None = None,
) -> Exit:
    from verifiable.bundle import open_bundle, write_bundle
    from verifiable.canon import open_canon

    if isinstance(part, UnsupportedError):
        raise part
    lock: dict[str, Any] = {}
    with write_bundle(args.out, lock, set()) as folder:
        lock["canon"] = part(folder)
    bundle = open_bundle(args.out, "verify")
    facts = common.graph_facts(open_canon(bundle).graph)
    head = {"bundle": str(args.out), "lock": "0x" + bundle.digest.hex()}
    console.result("bundle", head | facts | dict(more or {}))
    console.tell("the bundle has no circuits: `run`, not `prove`")
    return Exit.DONE


def _circuits(args: argparse.Namespace, console: Console, also: "dict[str, PartWriter]") -> Exit:
    from verifiable.proofs.compile import compile_model

    model, data = common.read_model(args)
    policy = common.policy_of(args, model, data)
    made = compile_model(
        model,
        data,
        policy,
        args.out,
        at=common.cuts_of(args, model, data, policy, console),
        allow_insecure_srs=args.insecure_srs,
        also=also,
        observer=common.observer_of(console),
    )
    keys = [(circuit.folder / "pk").stat().st_size for circuit in made.circuits]
    console.result(
        "bundle",
        {
            "bundle": str(args.out),
            "lock": "0x" + made.bundle.digest.hex(),
            "model": made.bundle.lock.get("canon", {}).get("model"),
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

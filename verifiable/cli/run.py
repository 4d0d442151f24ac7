"""``verifiable run``: run a bundle's canonical model and write the claim that it makes."""

import argparse
import io
import secrets
import time
from pathlib import Path

from verifiable.cli import common
from verifiable.cli.exits import Exit
from verifiable.cli.output import Console

_ZERO_ADDRESS = "0x" + "00" * 20
_DAY = 86_400


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this verb."""
    parser.add_argument("bundle", type=Path, help="folder made by `compile`")
    parser.add_argument("input", type=Path, help="input tensors: .npz, .npy or JSON")
    parser.add_argument("-o", "--out", type=Path, required=True, help="file of the new claim")
    parser.add_argument("--outputs", type=Path, metavar="FILE", help="also write outputs, as .npz")
    parser.add_argument("--trace", type=Path, metavar="DIR", help="also keep every tensor")
    parser.add_argument("--job", default="0x" + "00" * 32, help="32-byte job id (zeros)")
    parser.add_argument("--nonce", help="32-byte nonce of who asked (random)")
    parser.add_argument("--chain-id", type=int, default=0, help="EIP-155 id; 0 for off chain")
    parser.add_argument("--referee", default=_ZERO_ADDRESS, help="contract the claim is for")
    parser.add_argument("--provider", default=_ZERO_ADDRESS, help="who will bond the claim")
    parser.add_argument(
        "--valid", type=int, default=_DAY, metavar="SECONDS", help="how long it holds (a day)"
    )
    common.add_engine_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Run, commit, write."""
    import numpy as np

    from verifiable.bundle import open_bundle
    from verifiable.canon import bind_inputs, claim_of, open_canon
    from verifiable.claim import Header, claim_id, encode_claim
    from verifiable.crypto.address import parse_address
    from verifiable.frontend.inputs import read_arrays
    from verifiable.graph.vocabulary import SEMANTICS
    from verifiable.storage import check_new
    from verifiable.trace.store import estimate, store_run
    from verifiable.types import Bytes32

    for path in filter(None, (args.out, args.outputs, args.trace)):
        check_new(path)
    header = Header(
        venue="optimistic",
        semantics=SEMANTICS,
        job_id=Bytes32(common.bytes32(args.job, "job id")),
        nonce=Bytes32(
            secrets.token_bytes(32) if args.nonce is None else common.bytes32(args.nonce, "nonce")
        ),
        chain_id=args.chain_id,
        verifier=parse_address(args.referee),
        expiry=common.expiry_of(args),
        provider=parse_address(args.provider),
    )
    canon = open_canon(open_bundle(args.bundle, "verify"))
    inputs = bind_inputs(canon.graph, read_arrays(args.input))
    engine = common.engine_of(args, console)
    runner = engine.prepare(canon.graph, canon.weights)
    progress = common.regions_of(console)
    started = time.perf_counter()
    root, room = None, estimate(canon.graph)
    if args.trace is not None:
        console.tell(f"the trace takes {room:,} bytes")
        stored, outputs = store_run(args.trace, canon.graph, runner, inputs, progress=progress)
        root = "0x" + stored.trace.root.hex()
    else:
        outputs = runner.run(inputs, progress=progress)
    seconds = time.perf_counter() - started
    claim = claim_of(canon, inputs, outputs, header)
    if args.outputs is not None:
        packed = io.BytesIO()
        np.savez(packed, allow_pickle=False, **outputs)
        common.write_result_file(args.outputs, packed.getvalue())
    common.write_result_file(args.out, encode_claim(claim))
    console.result(
        "claim-written",
        {
            "claim": str(args.out),
            "id": "0x" + claim_id(claim).hex(),
            "model": "0x" + claim.subject.model.hex(),
            "input": "0x" + claim.subject.input.hex(),
            "output": "0x" + claim.subject.output.hex(),
            "trace": root,
            "trace_bytes": room,
            "engine": engine.name,
            "seconds": round(seconds, 4),
            "outputs": {
                name: value.ravel()[:16].tolist() + ["..."] * (value.size > 16)
                for name, value in outputs.items()
            },
        },
    )
    return Exit.DONE

"""``verifiable prove``: prove one run of a bundle's model and sign a receipt."""

import argparse
import secrets
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
    parser.add_argument("-o", "--out", type=Path, required=True, help="file of the new receipt")
    parser.add_argument("--job", default="0x" + "00" * 32, help="32-byte job id (zeros)")
    parser.add_argument("--nonce", help="32-byte nonce of who asked (random)")
    parser.add_argument("--chain-id", type=int, default=0, help="EIP-155 id; 0 for off chain")
    parser.add_argument("--verifier", default=_ZERO_ADDRESS, help="contract the claim is for")
    parser.add_argument(
        "--valid", type=int, default=_DAY, metavar="SECONDS", help="how long it holds (a day)"
    )
    parser.add_argument(
        "--keystore",
        type=Path,
        help="encrypted key file; without it VERIFIABLE_PRIVATE_KEY in the environment is used",
    )
    common.add_limit_arguments(parser)


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Prove, sign, write."""
    from verifiable.bundle import open_bundle
    from verifiable.claim import claim_id
    from verifiable.crypto.address import parse_address
    from verifiable.frontend.export import signature_of
    from verifiable.frontend.inputs import bind_input, read_arrays
    from verifiable.proofs.prove import Job, prove
    from verifiable.receipt import encode_receipt
    from verifiable.storage import check_new
    from verifiable.types import Bytes32

    check_new(args.out)  # before minutes of proving, and again when it is written
    key = common.signing_key(args.keystore)
    bundle = open_bundle(args.bundle, "prove")
    bundle.part("zk")
    signature = signature_of((bundle.folder / "model.onnx").read_bytes())
    nonce = secrets.token_bytes(32) if args.nonce is None else common.bytes32(args.nonce, "nonce")
    proven = prove(
        bundle,
        bind_input(read_arrays(args.input), signature),
        Job(
            job_id=Bytes32(common.bytes32(args.job, "job id")),
            nonce=Bytes32(nonce),
            chain_id=args.chain_id,
            verifier=parse_address(args.verifier),
            expiry=common.expiry_of(args),
        ),
        key,
        limits=common.limits_of(args),
        observer=common.observer_of(console),
    )
    common.write_result_file(args.out, encode_receipt(proven.receipt))
    claim = proven.receipt.claim
    console.result(
        "receipt-written",
        {
            "receipt": str(args.out),
            "claim": "0x" + claim_id(claim).hex(),
            "provider": key.address,
            "nonce": "0x" + nonce.hex(),
            "expiry": claim.header.expiry,
            "outputs": {name: value.ravel().tolist() for name, value in proven.outputs.items()},
            "seconds": [round(usage.seconds, 2) for usage in proven.usages],
            "insecure_srs": claim.subject.insecure_srs,
        },
    )
    return Exit.DONE

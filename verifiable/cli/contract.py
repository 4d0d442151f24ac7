"""``verifiable contract``: emit, deploy or query contracts; open jobs."""

import argparse
from pathlib import Path

from verifiable.cli import common, market
from verifiable.cli.court import add_node_arguments
from verifiable.cli.exits import Exit
from verifiable.cli.output import Console, table
from verifiable.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions of this verb."""
    actions = parser.add_subparsers(required=True, metavar="action", dest="action")

    emit = actions.add_parser("emit", help="write a Foundry-ready folder for a bundle")
    emit.add_argument("bundle", type=Path)
    emit.add_argument(
        "--receipt", type=Path, required=True, help="a receipt for the bundle: the tests' vector"
    )
    emit.add_argument("-o", "--out", type=Path, required=True, help="folder to write")
    emit.add_argument("--name", help="contract name (the bundle's, in capitalised words)")
    emit.add_argument("--evm", choices=("cancun", "osaka"), default="cancun")
    emit.set_defaults(act=_emit)

    deploy = actions.add_parser("deploy", help="deploy an emitted folder; spends money")
    deploy.add_argument("folder", type=Path)
    add_node_arguments(deploy)
    deploy.add_argument("--keystore", type=Path, help="encrypted key file of the sender")
    deploy.add_argument("--no-adapters", action="store_true", help="leave the ERC adapters out")
    deploy.add_argument("--allow-insecure-srs", action="store_true")
    deploy.add_argument("--yes", action="store_true", help="yes, spend gas")
    deploy.set_defaults(act=_deploy)

    info = actions.add_parser("info", help="ask a deployed verifier what it pins")
    info.add_argument("address")
    add_node_arguments(info)
    info.set_defaults(act=_info)

    venue = actions.add_parser(
        "deploy-venue", help="create a referee and all that it calls; spends money"
    )
    market.add_deploy_venue_arguments(venue)
    venue.set_defaults(act=market.deploy)

    job = actions.add_parser("open-job", help="open a job at a referee; spends money")
    market.add_open_job_arguments(job)
    job.set_defaults(act=market.open_job)
    for action in (emit, deploy, info, venue, job):
        common.add_output_arguments(action, default=argparse.SUPPRESS)


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Do the chosen action."""
    args.act(args, console)
    return Exit.DONE


def _emit(args: argparse.Namespace, console: Console) -> None:
    from verifiable.bundle import open_bundle
    from verifiable.chain.emission import emit
    from verifiable.chain.model import emission_spec
    from verifiable.receipt import parse_receipt

    if args.out.exists():
        raise InputError(f"`{args.out}` exists already", hint="choose another name, or remove it")
    spec = emission_spec(
        open_bundle(args.bundle, "verify"),
        parse_receipt(common.read_bytes(args.receipt)),
        name=args.name,
        evm=args.evm,
    )
    console.event("emit", "compiling", 0.0)
    report = emit(spec, args.out).report
    sizes = [
        (c["name"], f"{c['bytes']:,}", "" if c["fits"] else "too large")
        for c in report["contracts"]
    ]
    console.result(
        "emission-written",
        {
            "folder": str(args.out),
            "form": report["form"],
            "gas": report["gas"],
            "contracts": report["contracts"],
            "insecure_srs": report["insecure_srs"],
        },
        [
            *table(("contract", "bytes", ""), sizes),
            f"form {report['form']}; one verification costs {report['gas']['verify']:,} gas",
            f"written to {args.out}: open it with Foundry, or `verifiable contract deploy` it",
        ],
    )
    if spec.insecure_srs:
        console.tell("warning: development SRS; these contracts convince nobody")


def _deploy(args: argparse.Namespace, console: Console) -> None:
    from verifiable.chain.folder import deploy
    from verifiable.chain.rpc import RpcChain

    if not args.yes:
        raise InputError("deploying spends gas", hint="repeat with --yes")
    key = common.signing_key(args.keystore)
    chain = RpcChain(args.rpc, keys=[key], chain_id=args.chain_id)
    made = deploy(
        args.folder,
        chain,
        accept_insecure_srs=args.allow_insecure_srs,
        adapters=not args.no_adapters,
    )
    console.result(
        "deployment",
        {
            "chain_id": made.chain_id,
            "verifier": made.verifier,
            "halo2": list(made.halo2),
            "keys": list(made.keys),
            "adapters": dict(made.adapters),
            "gas": dict(made.gas),
        },
    )


def _info(args: argparse.Namespace, console: Console) -> None:
    from verifiable.chain.deployment import info
    from verifiable.chain.rpc import RpcChain
    from verifiable.crypto.address import parse_address

    found = info(RpcChain(args.rpc, chain_id=args.chain_id), parse_address(args.address))
    console.result(
        "verifier",
        {
            "chain_id": found.chain_id,
            "address": found.address,
            "code_bytes": found.code_bytes,
            "code_hash": "0x" + found.code_hash.hex(),
            "model": "0x" + found.model.hex(),
            "semantics": found.semantics,
            "insecure_srs": found.insecure_srs,
            "parts": [
                {
                    "onnx": "0x" + part.onnx.hex(),
                    "settings": "0x" + part.settings.hex(),
                    "vk": "0x" + part.vk.hex(),
                }
                for part in found.parts
            ],
            "output_scales": list(found.output_scales),
            "input_hashed": found.input_hashed,
        },
    )

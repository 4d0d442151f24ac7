"""``verifiable doctor``: say what this machine can make and check."""

import argparse
import os
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from verifiable.cli.exits import Exit
from verifiable.cli.output import Console, table
from verifiable.errors import HostError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this verb."""
    parser.add_argument(
        "--import-srs", type=Path, metavar="FILE", help="check a ceremony SRS and keep a copy"
    )
    parser.add_argument("--rpc", metavar="URL", help="also ask this node for its chain id")


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Look at everything the package can use; nothing is downloaded or changed."""
    if args.import_srs is not None:
        from verifiable.proofs.srs_store import import_srs

        srs = import_srs(args.import_srs)
        value = {"k": srs.k, "sha256": srs.digest.hex(), "insecure": srs.insecure}
        console.result("srs-imported", value)
        return Exit.DONE
    found = list(_findings(args.rpc))
    console.result(
        "doctor",
        {"checks": [{"what": w, "found": f, "enables": e} for w, f, e in found]},
        table(("what", "found", "for"), [(w, f or "no", e) for w, f, e in found]),
    )
    return Exit.DONE


def _findings(rpc: str | None) -> Iterator[tuple[str, str | None, str]]:
    """What was looked for, what was found or None, and what it is for."""
    yield "ezkl", _package("ezkl"), "compile, prove, verify"
    yield "independent verifier", "built in", "verify --independent"
    yield "torch", _package("torch"), "export of torch modules"
    yield "onnxruntime", _package("onnxruntime"), "float outputs, calibration"
    yield "pyrevm", _package("pyrevm"), "embedded EVM: contract emit, demo"
    yield "web3", _package("web3"), "contract deploy"
    yield "solc", _tried(_solc), "contract emit"
    yield "SRS", _srs(), "compile"
    yield "cpu engine", _tried(_native), "run, replay at speed; without it the reference engine"
    yield "CUDA device", _tried(_cuda), "run, replay --device cuda:0; proofs run on the CPU"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield "memory", f"{memory / 2**30:.1f} GiB", "circuits up to about half of it"
    yield "cores", str(os.cpu_count()), "proving uses all"
    if rpc is not None:
        yield "node", _tried(lambda: _chain_id(rpc)), "contract deploy"


def _package(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _tried(look: Callable[[], str]) -> str | None:
    try:
        return look()
    except HostError:
        return None


def _solc() -> str:
    from verifiable.solidity.compiler import find_solc

    return find_solc().label


def _native() -> str:
    from verifiable.engines.cpu_library import load, supported

    return f"{', '.join(supported())}; int8 by {load().fastest_products}"


def _cuda() -> str:
    from verifiable.engines.gpu import Gpu

    return Gpu(device=0).description


def _srs() -> str | None:
    from verifiable.proofs.srs_store import srs_folder

    names = sorted(path.name.rsplit("-", 1)[0] for path in srs_folder().glob("*.srs"))
    return ", ".join(names) or None


def _chain_id(url: str) -> str:
    from verifiable.chain.rpc import RpcChain

    return f"chain {RpcChain(url).chain_id}"

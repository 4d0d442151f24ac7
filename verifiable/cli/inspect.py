"""``verifiable inspect``: say what a file is and what it claims; nothing is verified."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from verifiable.cli import common
from verifiable.cli.exits import Exit
from verifiable.cli.output import Console
from verifiable.errors import InputError, VerifiableError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this verb."""
    parser.add_argument("file", type=Path, help="bundle, receipt, ONNX model or SRS file")


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Find the kind that `file` is of, and print what it says."""
    path: Path = args.file
    if path.is_dir():
        console.result("inspect", _bundle(path))
        return Exit.DONE
    common.read_bytes(path)
    kinds: tuple[Callable[[Path], Mapping[str, Any]], ...]
    match path.suffix:
        case ".onnx":
            kinds = (_model,)
        case ".srs":
            kinds = (_srs,)
        case _:
            kinds = (_receipt, _srs, _model)
    reasons = []
    for kind in kinds:
        try:
            console.result("inspect", kind(path))
        except VerifiableError as e:
            if len(kinds) == 1:
                raise
            reasons.append(str(e))
        else:
            return Exit.DONE
    raise InputError(f"`{path}` is no bundle, receipt, ONNX model or SRS file: {reasons[0]}")


def _bundle(path: Path) -> dict[str, Any]:
    from verifiable.bundle import open_bundle
    from verifiable.proofs.locked import from_lock

    bundle = open_bundle(path, "verify")
    circuits = from_lock(bundle)
    return {
        "kind": "bundle",
        "lock": "0x" + bundle.digest.hex(),
        "model": "0x" + circuits.model.hex(),
        "semantics": circuits.semantics,
        "insecure_srs": circuits.insecure_srs,
        "visibility": {
            "input": circuits.visibility.input,
            "weights": circuits.visibility.weights,
            "output": circuits.visibility.output,
        },
        "parts": [
            {
                "k": part.k,
                "error": part.error,
                "onnx": "0x" + part.onnx.hex(),
                "settings": "0x" + part.settings.hex(),
                "vk": "0x" + part.vk.hex(),
                "instances": part.layout.count,
            }
            for part in circuits.parts
        ],
        "joints": len(circuits.joints),
    }


def _receipt(path: Path) -> dict[str, Any]:
    from verifiable.claim import claim_id, claim_to_json
    from verifiable.receipt import parse_receipt

    receipt = parse_receipt(path.read_bytes())
    return {
        "kind": "receipt, unverified",
        "id": "0x" + claim_id(receipt.claim).hex(),
        "claim": claim_to_json(receipt.claim),
        "proof_bytes": [len(proof) for proof in receipt.proofs],
        "versions": dict(receipt.versions),
    }


def _model(path: Path) -> dict[str, Any]:
    from verifiable.crypto.hashing import sha256
    from verifiable.frontend.export import load_model, signature_of
    from verifiable.frontend.split import boundaries

    model = load_model(path)
    signature = signature_of(model)
    return {
        "kind": "model",
        "onnx": "0x" + sha256(model).hex(),
        "inputs": [str(spec) for spec in signature.inputs],
        "outputs": [str(spec) for spec in signature.outputs],
        "parameters": signature.parameters,
        "operators": dict(signature.operators),
        "cuts": [f"{place.tensor} ({place.size})" for place in boundaries(model)],
    }


def _srs(path: Path) -> dict[str, Any]:
    from verifiable.crypto.srs import identify

    srs = identify(path)
    return {"kind": "srs", "k": srs.k, "sha256": srs.digest.hex(), "insecure": srs.insecure}

"""``verifiable inspect``: say what a file is and what it claims; nothing is verified."""

import argparse
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from verifiable.cli import common
from verifiable.cli.exits import Exit
from verifiable.cli.output import Console
from verifiable.errors import InputError, ModelError, VerifiableError

if TYPE_CHECKING:
    from verifiable.frontend.files import Model
    from verifiable.proofs.locked import LockedCircuits

_KINDS: Final = "bundle, trace, claim, receipt, job, policy, dispute, ONNX model or SRS file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this verb."""
    parser.add_argument("file", type=Path, help=_KINDS)
    parser.add_argument(
        "--dim", action="append", default=[], metavar="NAME=SIZE", help="size of a dynamic axis"
    )


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Find the kind that `file` is of, and print what it says."""
    path: Path = args.file
    if path.is_dir():
        console.result("inspect", _folder(path))
        return Exit.DONE
    kinds: tuple[Callable[[Path], Mapping[str, Any]], ...]
    model = partial(_model, dims=args.dim)
    match path.suffix:
        case ".onnx":
            kinds = (model,)
        case ".srs":
            kinds = (_srs,)
        case _:
            kinds = (_receipt, _bonded_receipt, _claim, _job, _policy, _dispute, _srs, model)
    if path.suffix != ".onnx":
        common.read_bytes(path)  # not every kind says so where a file cannot be read
    reasons = []
    for kind in kinds:
        try:
            found = kind(path)
        except VerifiableError as e:
            if len(kinds) == 1:
                raise
            reasons.append(str(e))
        else:
            _show(console, found)
            return Exit.DONE
    raise InputError(
        f"`{path}` is no {_KINDS}: {reasons[0]}",
        hint="give a model the suffix .onnx and an SRS file .srs, to hear what is wrong with it",
    )


def _show(console: Console, found: Mapping[str, Any]) -> None:
    """Print what was found; to a person, what takes longer to say comes after the rest."""
    later = {key: value for key, value in found.items() if callable(value)}
    if not later or console.as_json:
        whole = {key: value() if key in later else value for key, value in found.items()}
        console.result("inspect", whole)
        return
    console.result("inspect", {key: found[key] for key in found if key not in later})
    for key, value in later.items():
        console.result("inspect", {key: value()})


def _folder(path: Path) -> dict[str, Any]:
    from verifiable.trace.store import is_trace

    return _trace(path) if is_trace(path) else _bundle(path)


def _trace(path: Path) -> dict[str, Any]:
    from verifiable.trace.index import read_index
    from verifiable.trace.store import size_of

    index = read_index(path)
    return {
        "kind": "trace, unchecked",
        "trace": "0x" + index.trace.hex(),
        "semantics": index.semantics,
        "model": "0x" + index.model.hex(),
        "tensors": sum(root is not None for root in index.roots),
        "bytes": size_of(path),
    }


def _bundle(path: Path) -> dict[str, Any]:
    from verifiable.bundle import open_bundle
    from verifiable.canon import open_canon
    from verifiable.proofs.locked import from_lock

    bundle = open_bundle(path, "verify")
    found: dict[str, Any] = {"kind": "bundle", "lock": "0x" + bundle.digest.hex()}
    if "canon" in bundle.lock:
        found["canon"] = common.graph_facts(open_canon(bundle).graph)
    if "zk" in bundle.lock:
        found |= _circuits(from_lock(bundle))
    return found


def _circuits(circuits: "LockedCircuits") -> dict[str, Any]:
    return {
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


def _bonded_receipt(path: Path) -> dict[str, Any]:
    from verifiable.claim import claim_id, claim_to_json
    from verifiable.crypto.strict import to_hex
    from verifiable.expectation import policy_to_json
    from verifiable.receipt import parse_bonded_receipt

    receipt = parse_bonded_receipt(path.read_bytes())
    bond = receipt.bond
    return {
        "kind": "receipt of a bonded claim, unverified",
        "id": to_hex(claim_id(receipt.claim)),
        "claim": claim_to_json(receipt.claim),
        "transaction": None if bond.transaction is None else to_hex(bond.transaction),
        "block": bond.block,
        "window_end": bond.window_end,
        "policy": policy_to_json(bond.policy),
        "versions": dict(receipt.versions),
    }


def _model(path: Path, *, dims: list[str]) -> dict[str, Any]:
    from verifiable.frontend.files import parse_model

    sizes = common.dims_of(dims)
    model = parse_model(common.read_bytes(path), folder=path.parent)
    zk = partial(_for_proofs, model, sizes)
    return {"kind": "model"} | _coverage(model, sizes) | {"zk": zk}


def _coverage(model: "Model", sizes: Mapping[str, int]) -> dict[str, Any]:
    """What the canonical machine makes of a model: its graph, or everything it refuses."""
    from verifiable.frontend.lower import survey

    lowered = survey(model, sizes=sizes)
    refused = Counter(refusal.op for refusal in lowered.refusals)
    waiting = lowered.unreached
    total = sum(lowered.operators.values())
    report: dict[str, Any] = {
        "operators": {
            op: f"{count}"
            + (f", {refused[op]} refused" if refused[op] else "")
            + (f", {waiting[op]} not reached" if waiting.get(op) else "")
            for op, count in sorted(lowered.operators.items())
        },
        "covered": f"{total - refused.total() - sum(waiting.values())} of {total}",
    }
    if lowered.graph is not None:
        return report | {"canon": common.graph_facts(lowered.graph)}
    problems = [_with_hint(str(error), error.hint) for error in lowered.problems]
    if problems:
        report["assumed"] = "extent 1 for open axes, float for inputs of other dtypes"
    return report | {
        "unsupported": list(lowered.unknown),
        "canon": None,
        "refused": problems + [_with_hint(r.what, r.hint) for r in lowered.refusals],
    }


def _with_hint(what: str, hint: str | None) -> str:
    return f"{what} (hint: {hint})" if hint else what


def _for_proofs(model: "Model", sizes: Mapping[str, int]) -> dict[str, Any]:
    """What the proof systems make of it, or why not."""
    from verifiable.crypto.hashing import sha256
    from verifiable.frontend.export import admitted, signature_from
    from verifiable.frontend.files import serialise
    from verifiable.frontend.split import boundaries_from

    try:
        facts = admitted(model, sizes)
        signature = signature_from(facts)
        digest = sha256(serialise(facts.model))
    except ModelError as e:
        return {"refused": str(e), "hint": e.hint}
    return {
        "onnx": "0x" + digest.hex(),
        "inputs": [str(spec) for spec in signature.inputs],
        "outputs": [str(spec) for spec in signature.outputs],
        "parameters": signature.parameters,
        "operators": dict(signature.operators),
        "cuts": [f"{place.tensor} ({place.size})" for place in boundaries_from(facts)],
    }


def _claim(path: Path) -> dict[str, Any]:
    from verifiable.claim import claim_id, claim_to_json, parse_canon_claim

    claim = parse_canon_claim(path.read_bytes())
    return {
        "kind": "claim, not replayed",
        "id": "0x" + claim_id(claim).hex(),
        "claim": claim_to_json(claim),
    }


def _job(path: Path) -> dict[str, Any]:
    from verifiable.dispute.coding import to_json
    from verifiable.dispute.files import parse_job

    return {"kind": "job", "job": to_json(parse_job(path.read_bytes()))}


def _policy(path: Path) -> dict[str, Any]:
    from verifiable.dispute.coding import to_json
    from verifiable.dispute.files import parse_policy

    return {"kind": "policy", "policy": to_json(parse_policy(path.read_bytes()))}


def _dispute(path: Path) -> dict[str, Any]:
    from verifiable.cli.replay import summary
    from verifiable.dispute.coding import to_json
    from verifiable.dispute.record import parse_record

    record = parse_record(path.read_bytes())
    where = {"deployment": to_json(record.deployment), "job": to_json(record.job)}
    return {"kind": "dispute, not replayed"} | summary(record) | where


def _srs(path: Path) -> dict[str, Any]:
    from verifiable.crypto.srs import identify

    srs = identify(path)
    return {"kind": "srs", "k": srs.k, "sha256": srs.digest.hex(), "insecure": srs.insecure}

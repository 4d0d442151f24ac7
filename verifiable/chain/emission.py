"""Write a folder that a protocol engineer opens with Foundry: contracts, tests, vectors, report."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from verifiable.chain import foundry
from verifiable.chain.build import Build, build
from verifiable.chain.folder import REPORT, SCHEMA
from verifiable.chain.measure import Measurement, SignedVector, measure
from verifiable.chain.report import readme
from verifiable.chain.spec import EmissionSpec
from verifiable.claim import claim_to_json
from verifiable.crypto.hashing import sha256, sha256_file
from verifiable.errors import InputError
from verifiable.solidity.compiler import Solc
from verifiable.solidity.standard import MAX_RUNTIME, SOLC_VERSION, Artifact
from verifiable.storage import new_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """What was written."""

    folder: Path
    report: Mapping[str, Any]
    """Contents of ``emission.json``."""


def emit(spec: EmissionSpec, folder: Path, *, solc: Solc | None = None) -> Emission:
    """Compile, try and write the contracts of one model.

    The folder appears whole or not at all: it is written beside its destination and renamed.

    Parameters
    ----------
    spec : EmissionSpec
    folder : Path
        Must not exist.
    solc : Solc, optional
        What `verifiable.solidity.compiler.find_solc` finds by default.

    Returns
    -------
    Emission

    Raises
    ------
    InputError
        If `folder` exists, or a part fits in no contract; the hint says what would.
    RejectedError
        If the contracts refuse the spec's own vector.
    StageFailedError
        If the proof system emitted a source of an unknown form.
    MissingDependencyError
        If there is no solc or no pyrevm.
    StorageError
        If the folder cannot be written.
    """
    if folder.exists():  # said before minutes of compiling, and again by new_folder
        raise InputError(f"`{folder}` exists already", hint="choose another name, or remove it")
    built = build(spec, solc)
    measured = measure(built)
    report = _report(built, measured)
    with new_folder(folder) as partial:
        for path, text in _texts(built, measured, report).items():
            _write(partial / path, text, executable=path in _EXECUTABLE)
        files = {
            str(path.relative_to(partial)): "0x" + sha256_file(path).hex()
            for path in sorted(partial.rglob("*"))
            if path.is_file()
        }
        report["files"] = files
        _write(partial / REPORT, _dump(report))
    return Emission(folder=folder, report=report)


_EXECUTABLE: Final = ("tools/solc", "script/deploy.sh")


def _texts(built: Build, measured: Measurement, report: Mapping[str, Any]) -> dict[str, str]:
    texts = {f"src/{path}": text for path, text in built.sources.items()}
    texts |= {
        f"abi/{artifact.name}.json": _dump(_artifact_json(artifact))
        for artifact in (*built.plan.verifiers, built.plan.wrapper, *built.plan.adapters)
    }
    for i, key in enumerate(built.plan.keys):
        if key is not None:
            texts[f"abi/Key{i}.json"] = _dump({"abi": [], "deployedBytecode": "0x" + key.hex()})
    texts |= {
        "foundry.toml": foundry.foundry_toml(built),
        "remappings.txt": "verifiable/=src/\n",
        ".gitignore": "out/\ncache/\nbroadcast/\nnode_modules/\n",
        "tools/solc": foundry.SOLC_WRAPPER,
        "script/Vm.sol": foundry.VM,
        "script/Deployer.sol": foundry.deployer(built),
        "script/Deploy.s.sol": foundry.deploy_script(built),
        "script/deploy.sh": foundry.deploy_shell(built),
        "test/Vectors.sol": foundry.vectors_library(built),
        f"test/{built.spec.name}Verifier.t.sol": foundry.test_contract(built),
        "vectors/honest.json": _dump(_vector_json(measured.honest)),
        "README.md": readme(built, measured, report),
    }
    for i, vector in enumerate(measured.tampered):
        texts[f"vectors/tampered{i}.json"] = _dump(_vector_json(vector))
    keys = foundry.keys_library(built)
    if keys is not None:
        texts["script/Keys.sol"] = keys
    return texts


def _report(built: Build, measured: Measurement) -> dict[str, Any]:
    spec, plan = built.spec, built.plan
    parts = [
        {
            "onnx": _hex(part.onnx),
            "settings": _hex(part.settings),
            "vk": _hex(part.vk),
            "instances": part.layout.count,
            "proof_bytes": pin.proof_bytes,
            "verifier": pin.verifier,
            "plain_verifier_bytes": plain,
            "verifier_codehash": _hex(pin.verifier_hash),
            "key_codehash": None if pin.key_hash is None else _hex(pin.key_hash),
            "key_digest": None if pin.key_digest is None else _hex(pin.key_digest),
            "key_bytes": 0 if key is None else len(key),
        }
        for part, pin, plain, key in zip(
            spec.parts, built.parts, built.plain_sizes, plan.keys, strict=True
        )
    ]
    contracts = [
        {"name": a.name, "bytes": len(a.deployed), "fits": len(a.deployed) <= MAX_RUNTIME}
        for a in (*plan.verifiers, plan.wrapper, *plan.adapters)
    ]
    return {
        "schema": SCHEMA,
        "name": spec.name,
        "verifier": plan.wrapper.name,
        "form": built.form,
        "evm": spec.evm,
        "solc": SOLC_VERSION,
        "model": _hex(spec.model),
        "semantics": spec.semantics,
        "insecure_srs": spec.insecure_srs,
        "parts": parts,
        "part_verifiers": list(plan.part_verifiers),
        "verifiers": [artifact.name for artifact in plan.verifiers],
        "adapters": [artifact.name for artifact in plan.adapters],
        "contracts": contracts,
        "gas": {
            "verify": measured.verify,
            "verify_execution": measured.verify_execution,
            "halo2": list(measured.halo2),
            "deploy": dict(measured.deployment),
            "measured_on": "pyrevm, Cancun, first use of every slot and address",
        },
    }


def _artifact_json(artifact: Artifact) -> dict[str, Any]:
    return {
        "abi": list(artifact.abi),
        "bytecode": _hex(artifact.bytecode),
        "deployedBytecode": _hex(artifact.deployed),
        "source": artifact.source,
    }


def _vector_json(vector: SignedVector) -> dict[str, Any]:
    return {
        "claim": claim_to_json(vector.claim),
        "claim_id": _hex(vector.claim_id),
        "proofs": [_hex(proof) for proof in vector.proofs],
        "signature": _hex(vector.signature),
        "calldata": _hex(vector.calldata),
        "calldata_sha256": _hex(sha256(vector.calldata)),
        "refused_as": vector.refused_as,
    }


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _dump(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def _write(path: Path, text: str, *, executable: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if executable:
        path.chmod(0o755)

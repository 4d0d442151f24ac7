"""Read an emitted folder back, and deploy it."""

import json
from pathlib import Path
from typing import Any, Final

from verifiable.chain.deployment import Deployment, Plan, deploy_plan
from verifiable.chain.protocol import Chain
from verifiable.crypto.hashing import keccak256, parse_json, sha256
from verifiable.errors import InputError, LockError
from verifiable.solidity.standard import Artifact
from verifiable.types import Address

SCHEMA: Final = "verifiable/emission/1"
REPORT: Final = "emission.json"


def deploy(
    folder: Path,
    chain: Chain,
    *,
    sender: Address | None = None,
    accept_insecure_srs: bool = False,
    adapters: bool = True,
) -> Deployment:
    """Put an emitted folder's contracts on a chain, with the bytecode that was emitted.

    Parameters
    ----------
    folder : Path
        What `verifiable.chain.emission.emit` wrote.
    chain : Chain
    sender : Address, optional
    accept_insecure_srs : bool
        Must be true if the keys come from a development SRS.
    adapters : bool
        Whether to deploy the ERC-7007 and ERC-7992 adapters too.

    Returns
    -------
    Deployment

    Raises
    ------
    InputError
        If the folder is no emission.
    LockError
        If an artifact is absent or not the one emitted.
    InsecureSrsError
        If the SRS is insecure and that was not accepted; nothing has been sent then.
    ChainError
        If the chain refuses.
    """
    return deploy_plan(
        read_plan(folder),
        chain,
        sender=sender,
        accept_insecure_srs=accept_insecure_srs,
        adapters=adapters,
    )


def read_plan(folder: Path) -> Plan:
    """Read the contracts of an emitted folder, and check each against its digests.

    Raises
    ------
    InputError
        If the folder is no emission.
    LockError
        If an artifact is absent or not the one emitted.
    """
    report = read_report(folder)
    try:
        parts = report["parts"]
        plan = Plan(
            verifiers=tuple(_artifact(folder, report, name) for name in report["verifiers"]),
            part_verifiers=tuple(int(i) for i in report["part_verifiers"]),
            keys=tuple(_key(folder, report, i, part) for i, part in enumerate(parts)),
            wrapper=_artifact(folder, report, report["verifier"]),
            adapters=tuple(_artifact(folder, report, name) for name in report["adapters"]),
            insecure_srs=_boolean(report["insecure_srs"]),
        )
        pinned = [part["verifier_codehash"] for part in parts]
        found = [_hex(keccak256(plan.verifiers[i].deployed)) for i in plan.part_verifiers]
    except (KeyError, TypeError, ValueError, IndexError) as e:
        raise InputError(f"`{folder / REPORT}` is no report of an emission: {e!r}") from e
    if found != pinned:
        raise LockError(f"the verifiers in `{folder}` have code {found}, pinned are {pinned}")
    return plan


def read_report(folder: Path) -> dict[str, Any]:
    """Contents of ``emission.json``.

    Raises
    ------
    InputError
        If the folder has none, or one of another schema.
    """
    path = folder / REPORT
    try:
        report = parse_json(path.read_bytes(), what=REPORT)
    except OSError as e:
        raise InputError(f"`{folder}` is no emitted folder: {e.strerror or e}") from e
    if not isinstance(report, dict) or report.get("schema") != SCHEMA:
        raise InputError(f"`{path}` is not of schema {SCHEMA}")
    return report


def _artifact(folder: Path, report: dict[str, Any], name: str) -> Artifact:
    document = _read(folder, report, f"abi/{name}.json")
    return Artifact(
        name=name,
        source=document["source"],
        abi=tuple(document["abi"]),
        bytecode=bytes.fromhex(document["bytecode"].removeprefix("0x")),
        deployed=bytes.fromhex(document["deployedBytecode"].removeprefix("0x")),
    )


def _key(folder: Path, report: dict[str, Any], i: int, part: dict[str, Any]) -> bytes | None:
    if part["key_codehash"] is None:
        return None
    document = _read(folder, report, f"abi/Key{i}.json")
    code = bytes.fromhex(document["deployedBytecode"].removeprefix("0x"))
    if _hex(keccak256(code)) != part["key_codehash"]:
        raise LockError(f"the key of part {i} in `{folder}` is not the one that is pinned")
    return code


def _read(folder: Path, report: dict[str, Any], name: str) -> dict[str, Any]:
    try:
        data = (folder / name).read_bytes()
    except OSError as e:
        raise LockError(f"`{folder / name}` cannot be read: {e.strerror or e}") from e
    got, wanted = _hex(sha256(data)), report["files"][name]
    if got != wanted:
        raise LockError(f"`{folder / name}` has SHA-256 {got}, emitted was {wanted}")
    document: dict[str, Any] = json.loads(data)
    return document


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"insecure_srs is {value!r}")
    return value


def _hex(data: bytes) -> str:
    return "0x" + data.hex()

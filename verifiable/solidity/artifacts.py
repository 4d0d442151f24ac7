"""Our own contracts: their sources, and their artifacts as compiled into the wheel."""

import json
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from verifiable.errors import InputError, MissingDependencyError
from verifiable.solidity.compiler import Solc, find_solc, package_folders
from verifiable.solidity.standard import (
    SOLC_VERSION,
    Artifact,
    EvmVersion,
    Settings,
    imports_of,
    input_digest,
    parse_output,
    standard_input,
)

TARGETS: Final[tuple[EvmVersion, ...]] = ("cancun", "osaka")

SHIPPED: Final = (
    "DotStep",
    "Erc7007Adapter",
    "Erc7992Adapter",
    "Erc8183Evaluator",
    "IErc7007Verifier",
    "IErc7992",
    "IErc7992Registry",
    "IErc8183",
    "IInferenceVerifier",
    "IJobRegister",
    "IModelRegistry",
    "IReferee",
    "IStakeVault",
    "IStep",
    "IWalks",
    "InferenceVerifier",
    "JobRegister",
    "MapStep",
    "ModelRegistry",
    "MoveStep",
    "OptimisticErc7007Adapter",
    "ReduceStep",
    "Referee",
    "StakeVault",
    "Steps",
    "Walks",
)
"""Contracts whose artifacts are package data; interfaces and abstract ones for their ABI."""


def sources(evm: EvmVersion = "cancun") -> dict[str, str]:
    """Text of each of our Solidity files, by the name under which others import it.

    Parameters
    ----------
    evm : {"cancun", "osaka"}
        Files that differ between targets lie below ``evm/cancun`` and ``evm/osaka``; those of this
        one are given, without its name.

    Returns
    -------
    dict of str to str
        The name is the path below ``contracts/src``.

    Examples
    --------
    >>> "evm/Clz.sol" in sources("osaka")
    True
    """
    found: dict[str, str] = {}
    _walk(_contracts() / "src", "", found)
    chosen = {}
    for path, text in found.items():
        folder, _, name = path.removeprefix("evm/").partition("/")
        if not path.startswith("evm/"):
            chosen[path] = text
        elif folder == evm:
            chosen[f"evm/{name}"] = text
    return chosen


def with_libraries(sources: Mapping[str, str]) -> dict[str, str]:
    """`sources` and what they import of npm packages (OpenZeppelin's), which we do not ship.

    Raises
    ------
    MissingDependencyError
        If a package is not installed.
    """
    found = dict(sources)
    waiting = list(sources)
    while waiting:
        name = waiting.pop()
        for needed in imports_of(name, found[name]):
            if needed.startswith("@") and needed not in found:
                found[needed] = _library(needed)
                waiting.append(needed)
    return found


def load(name: str, evm: EvmVersion = "cancun") -> Artifact:
    """Read a shipped artifact.

    Parameters
    ----------
    name : str
        One of `SHIPPED`.
    evm : {"cancun", "osaka"}
        EVM target it was compiled for.

    Returns
    -------
    Artifact

    Raises
    ------
    InputError
        If there is no artifact of that name.

    Examples
    --------
    >>> load("IInferenceVerifier").bytecode
    b''
    """
    if name not in SHIPPED:
        raise InputError(f"no contract {name} is shipped; there are {', '.join(SHIPPED)}")
    document = json.loads((_contracts() / "artifacts" / evm / f"{name}.json").read_text())
    return Artifact(
        name=name,
        source=document["source"],
        abi=tuple(document["abi"]),
        bytecode=bytes.fromhex(document["bytecode"].removeprefix("0x")),
        deployed=bytes.fromhex(document["deployedBytecode"].removeprefix("0x")),
    )


def build(evm: EvmVersion, solc: Solc | None = None) -> dict[str, Mapping[str, Any]]:
    """Compile our contracts as they are shipped.

    Parameters
    ----------
    evm : {"cancun", "osaka"}
    solc : Solc, optional

    Returns
    -------
    dict of str to mapping
        The JSON document of each of `SHIPPED`: ABI, codes, compiler, settings, and the SHA-256 of
        the standard JSON they come from.
    """
    settings = Settings(evm=evm)
    text = standard_input(with_libraries(sources(evm)), settings)
    artifacts = parse_output((solc or find_solc()).run(text))
    digest = input_digest(text)
    return {
        name: {
            "abi": list(artifacts[name].abi),
            "bytecode": "0x" + artifacts[name].bytecode.hex(),
            "deployedBytecode": "0x" + artifacts[name].deployed.hex(),
            "settings": {"evmVersion": evm, "optimizerRuns": settings.runs, "viaIR": True},
            "solc": SOLC_VERSION,
            "source": artifacts[name].source,
            "standardJsonSha256": "0x" + digest.hex(),
        }
        for name in SHIPPED
    }


def _library(name: str) -> str:
    for solc in package_folders():
        path = solc.parent / name
        if path.is_file():
            return path.read_text()
    raise MissingDependencyError(
        f"`{name}` is not installed", hint="run `npm ci --prefix verifiable/contracts`"
    )


def _contracts() -> Traversable:
    return files("verifiable") / "contracts"


def _walk(folder: Traversable, prefix: str, found: dict[str, str]) -> None:
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.is_dir():
            _walk(entry, f"{prefix}{entry.name}/", found)
        elif entry.name.endswith(".sol"):
            found[prefix + entry.name] = entry.read_text()

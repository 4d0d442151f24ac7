"""Our own contracts: their sources, and their artifacts as compiled into the wheel."""

import json
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from verifiable.errors import InputError
from verifiable.solidity.compiler import Solc, find_solc
from verifiable.solidity.standard import (
    SOLC_VERSION,
    Artifact,
    EvmVersion,
    Settings,
    input_digest,
    parse_output,
    standard_input,
)

TARGETS: Final[tuple[EvmVersion, ...]] = ("cancun", "osaka")

SHIPPED: Final = (
    "Erc7007Adapter",
    "Erc7992Adapter",
    "IErc7007Verifier",
    "IErc7992",
    "IInferenceVerifier",
    "InferenceVerifier",
)
"""Contracts whose artifacts are package data; interfaces and abstract ones for their ABI."""


def sources() -> dict[str, str]:
    """Text of each of our Solidity files, by its path below ``contracts/src``."""
    found: dict[str, str] = {}
    _walk(_contracts() / "src", "", found)
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
    text = standard_input(sources(), settings)
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


def _contracts() -> Traversable:
    return files("verifiable") / "contracts"


def _walk(folder: Traversable, prefix: str, found: dict[str, str]) -> None:
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.is_dir():
            _walk(entry, f"{prefix}{entry.name}/", found)
        elif entry.name.endswith(".sol"):
            found[prefix + entry.name] = entry.read_text()

"""solc's standard JSON: what goes in, and the typed artifacts that come out."""

import hashlib
import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from verifiable.errors import EncodingError, InputError
from verifiable.types import Sha256

SOLC_VERSION: Final = "0.8.37"
"""The one compiler version that every artifact of ours comes from."""

MAX_RUNTIME: Final = 24_576
"""Largest runtime code of a contract, in bytes (EIP-170)."""

EvmVersion = Literal["cancun", "osaka"]

_IMPORT: Final = re.compile(r"""^import\b[^;"']*["']([^"']+)["']""", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What of solc's settings we vary; the rest is fixed by `standard_input`."""

    evm: EvmVersion = "cancun"
    via_ir: bool = True
    runs: int = 10_000
    """Optimizer runs: high for what is called often, 1 for code near the size limit."""


EZKL_SETTINGS: Final = Settings(via_ir=False, runs=1)
"""For the verifiers ezkl emits: their assembly is too deep a stack for viaIR, and must be small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One compiled contract."""

    name: str
    source: str
    """Name of the source file in the standard JSON."""
    abi: tuple[Mapping[str, Any], ...]
    bytecode: bytes
    """Creation code, to which encoded constructor arguments are appended."""
    deployed: bytes
    """Runtime code; immutables stand as zeros in it."""

    @property
    def fits(self) -> bool:
        """Whether the runtime code can be deployed (EIP-170)."""
        return len(self.deployed) <= MAX_RUNTIME


def imports_of(name: str, text: str) -> Iterator[str]:
    """Names of the files that a Solidity file imports.

    Parameters
    ----------
    name : str
        The file's own, from which relative paths start.
    text : str

    Examples
    --------
    >>> list(imports_of("market/A.sol", 'import {B} from "../B.sol";'))
    ['B.sol']
    """
    folder = posixpath.dirname(name)
    for path in _IMPORT.findall(text):
        relative = path.startswith(("./", "../"))
        yield posixpath.normpath(posixpath.join(folder, path)) if relative else path


def reachable(sources: Mapping[str, str], roots: Iterable[str]) -> dict[str, str]:
    """Those of `sources` that the files `roots` need, themselves included.

    Raises
    ------
    InputError
        If a file imports one that is not among `sources`.

    Examples
    --------
    >>> sorted(reachable({"A.sol": 'import "./B.sol";', "B.sol": "", "C.sol": ""}, ["A.sol"]))
    ['A.sol', 'B.sol']
    """
    found: dict[str, str] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        if name not in sources:
            raise InputError(f"there is no Solidity file `{name}`")
        found[name] = sources[name]
        waiting += imports_of(name, found[name])
    return found


def standard_input(sources: Mapping[str, str], settings: Settings | None = None) -> str:
    """Write solc's input, with sorted keys, so that equal inputs are equal bytes.

    Parameters
    ----------
    sources : mapping of str to str
        Text of each file by the name under which others import it.
    settings : Settings, optional

    Returns
    -------
    str
        JSON. Neither metadata hash nor CBOR goes into the bytecode: it depends on code alone.

    Examples
    --------
    >>> text = standard_input({"A.sol": "contract A {}"}, Settings(evm="osaka"))
    >>> json.loads(text)["settings"]["evmVersion"]
    'osaka'
    """
    chosen = settings or Settings()
    document = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources.items()},
        "settings": {
            "evmVersion": chosen.evm,
            "metadata": {"appendCBOR": False, "bytecodeHash": "none"},
            "optimizer": {"enabled": True, "runs": chosen.runs},
            "outputSelection": {
                "*": {"*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"]}
            },
            "viaIR": chosen.via_ir,
        },
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def input_digest(text: str) -> Sha256:
    """SHA-256 of a standard JSON input."""
    return Sha256(hashlib.sha256(text.encode()).digest())


def parse_output(text: str) -> dict[str, Artifact]:
    """Read solc's output.

    Parameters
    ----------
    text : str
        Standard JSON as solc printed it.

    Returns
    -------
    dict of str to Artifact
        By contract name; abstract contracts and interfaces have empty code.

    Raises
    ------
    InputError
        If solc found an error in the sources; the message is solc's own.
    EncodingError
        If the output is no standard JSON, names a contract twice, or holds unlinked code.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as e:
        raise EncodingError(f"solc printed no JSON: {text[:200]!r}") from e
    failures = [e for e in document.get("errors", ()) if e["severity"] == "error"]
    if failures:
        shown = "\n".join(e.get("formattedMessage", e["message"]) for e in failures[:5])
        raise InputError(f"solc refused the sources:\n{shown}")
    artifacts: dict[str, Artifact] = {}
    for source, contracts in document.get("contracts", {}).items():
        for name, contract in contracts.items():
            if name in artifacts:
                raise EncodingError(f"contract {name} is in {artifacts[name].source} and {source}")
            artifacts[name] = _artifact(source, name, contract)
    return artifacts


def _artifact(source: str, name: str, contract: Mapping[str, Any]) -> Artifact:
    try:
        return Artifact(
            name=name,
            source=source,
            abi=tuple(contract["abi"]),
            bytecode=bytes.fromhex(contract["evm"]["bytecode"]["object"]),
            deployed=bytes.fromhex(contract["evm"]["deployedBytecode"]["object"]),
        )
    except (KeyError, ValueError) as e:
        raise EncodingError(f"solc's output for {name} lacks or mars a field: {e}") from e

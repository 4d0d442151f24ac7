"""Contract ABI: calls, constructors and results, with the types of an ABI's JSON."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from verifiable.claim import Claim
from verifiable.crypto.hashing import keccak256
from verifiable.errors import ChainError, InputError

Abi = Sequence[Mapping[str, Any]]

CLAIM_TYPE: Final = (
    "((string,string,bytes32,bytes32,uint64,address),"
    "(bytes32,bool,(bytes32,bytes32,bytes32,uint256[])[]))"
)
"""``EzklClaim`` of ``contracts/src/Types.sol``."""


def canonical_type(parameter: Mapping[str, Any]) -> str:
    """Type of an ABI parameter as signatures write it, structs as tuples.

    Examples
    --------
    >>> canonical_type({"type": "tuple[]", "components": [{"type": "bool"}, {"type": "bytes"}]})
    '(bool,bytes)[]'
    """
    kind: str = parameter["type"]
    if not kind.startswith("tuple"):
        return kind
    inner = ",".join(canonical_type(c) for c in parameter["components"])
    return f"({inner}){kind.removeprefix('tuple')}"


def selector(entry: Mapping[str, Any]) -> bytes:
    """First four bytes of a call or of a custom error.

    Examples
    --------
    >>> selector({"name": "transfer", "inputs": [{"type": "address"}, {"type": "uint256"}]}).hex()
    'a9059cbb'
    """
    types = ",".join(canonical_type(i) for i in entry["inputs"])
    return keccak256(f"{entry['name']}({types})".encode())[:4]


def encode_call(abi: Abi, name: str, arguments: Sequence[Any] = ()) -> bytes:
    """Calldata of a call of the function `name`.

    Raises
    ------
    InputError
        If the ABI has no such function, or the arguments are not of its types.
    """
    entry = _entry(abi, "function", name)
    return selector(entry) + encode_arguments(entry["inputs"], arguments)


def encode_constructor(abi: Abi, arguments: Sequence[Any]) -> bytes:
    """What follows the creation code.

    Raises
    ------
    InputError
        If the arguments are not of the constructor's types.
    """
    found = [entry for entry in abi if entry.get("type") == "constructor"]
    return encode_arguments(found[0]["inputs"] if found else (), arguments)


def encode_arguments(inputs: Iterable[Mapping[str, Any]], arguments: Sequence[Any]) -> bytes:
    """Encode values of the types of ABI parameters.

    Raises
    ------
    InputError
        If there are more or fewer values than parameters, or one is of another type.
    """
    from eth_abi.abi import encode
    from eth_abi.exceptions import EncodingError as AbiError

    types = [canonical_type(i) for i in inputs]
    if len(types) != len(arguments):
        raise InputError(f"{len(arguments)} arguments for {len(types)} parameters {types}")
    try:
        encoded: bytes = encode(types, arguments)
    except (AbiError, TypeError) as e:
        raise InputError(f"arguments are not of types {types}: {e}") from e
    return encoded


def decode_result(abi: Abi, name: str, data: bytes) -> tuple[Any, ...]:
    """Decode what the function `name` returned.

    Raises
    ------
    ChainError
        If it is not of the function's types: there is another contract, or none, at the address.
    """
    from eth_abi.abi import decode
    from eth_abi.exceptions import DecodingError

    types = [canonical_type(o) for o in _entry(abi, "function", name)["outputs"]]
    try:
        return tuple(decode(types, data))
    except (DecodingError, OverflowError, UnicodeDecodeError) as e:
        raise ChainError(
            f"{name}() returned {len(data)} bytes that are not {types}",
            hint="is the address that of another contract?",
        ) from e


def decode_call(abi: Abi, data: bytes) -> tuple[str, tuple[Any, ...]]:
    """Name and arguments of a call; the inverse of `encode_call`.

    Raises
    ------
    ChainError
        If it is a call of no function of the ABI.
    """
    from eth_abi.abi import decode
    from eth_abi.exceptions import DecodingError

    found = [e for e in abi if e.get("type") == "function" and selector(e) == data[:4]]
    if not found:
        raise ChainError(f"0x{data[:4].hex()} is the selector of no function that is known")
    types = [canonical_type(i) for i in found[0]["inputs"]]
    try:
        return found[0]["name"], tuple(decode(types, data[4:]))
    except (DecodingError, OverflowError, UnicodeDecodeError) as e:
        raise ChainError(f"{found[0]['name']}() was called with no {types}") from e


def claim_value(claim: Claim) -> tuple[Any, ...]:
    """Values of a claim in the order of `CLAIM_TYPE`; chain and contract are in its id alone."""
    header, subject = claim.header, claim.subject
    parts = [(p.onnx, p.settings, p.vk, list(p.instances)) for p in subject.parts]
    return (
        (
            header.venue,
            header.semantics,
            header.job_id,
            header.nonce,
            header.expiry,
            header.provider,
        ),
        (subject.model, subject.insecure_srs, parts),
    )


def encode_evidence(proofs: Sequence[bytes], signature: bytes) -> bytes:
    """Argument ``proof`` of ``verify``: ``abi.encode(bytes[] proofs, bytes signature)``."""
    from eth_abi.abi import encode

    encoded: bytes = encode(["bytes[]", "bytes"], [list(proofs), signature])
    return encoded


def _entry(abi: Abi, kind: str, name: str) -> Mapping[str, Any]:
    found = [entry for entry in abi if entry.get("type") == kind and entry.get("name") == name]
    if len(found) != 1:
        raise InputError(f"the ABI has {len(found)} functions {name}, wanted one")
    return found[0]

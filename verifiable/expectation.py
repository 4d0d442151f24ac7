"""What the caller of a verification already knows, and says before looking at a receipt.

Nothing here is read from a receipt. A receipt is checked against an `Expected`, and where the
caller stated a value, the caller's value is the one that the proof is then checked against.

An `Expectation` is the file ``verify RECEIPT --expect FILE`` takes. It names a bundle, an input and
an output; turning those into digests and instances is the business of ``proofs``.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from verifiable.crypto.hashing import Json, parse_json
from verifiable.crypto.strict import (
    read_address,
    read_bytes32,
    read_constant,
    read_count,
    read_list,
    read_object,
    read_sha256,
    read_text,
    shown,
)
from verifiable.errors import EncodingError
from verifiable.types import Address, Bytes32, Felt, Sha256

SCHEMA: Final = "verifiable/expectation/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedPart:
    """One circuit as the caller knows it from its own bundle."""

    onnx: Sha256
    settings: Sha256
    vk: Sha256
    instances: tuple[Felt | None, ...]
    """One entry for each instance; None where the caller wants to learn the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Everything the caller must know; no field has a default that would accept anything."""

    venue: Literal["zk"]
    semantics: str
    provider: Address
    job_id: Bytes32
    nonce: Bytes32
    chain_id: int
    verifier: Address
    model: Sha256
    insecure_srs: bool
    """Whether the caller's own bundle was made with a development SRS."""
    allow_insecure_srs: bool
    """Whether the caller accepts that, for development."""
    parts: tuple[ExpectedPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """An expectation file. Paths are as written; relative ones start at the file's folder."""

    bundle: Path
    provider: Address
    job_id: Bytes32
    nonce: Bytes32
    chain_id: int
    verifier: Address
    input: Path | None
    """File of input tensors, or None if the input is private to the provider."""
    output: tuple[tuple[float, ...], ...] | None
    """Elements of each output tensor, row-major; None if the caller wants to learn them."""
    lock: Sha256 | None
    """Digest of the bundle's LOCK.json, or None to trust the bundle's folder as it is."""


def parse_expectation(data: bytes) -> Expectation:
    """Read an expectation file. People write it, so its JSON need not be canonical.

    Parameters
    ----------
    data : bytes
        JSON with the fields of `Expectation` and ``schema``; ``lock`` may be left out.

    Raises
    ------
    EncodingError
        If a field is missing, unknown, or malformed; the message names it.
    """
    at = "expectation"
    required = (
        "schema",
        "bundle",
        "provider",
        "job_id",
        "nonce",
        "chain_id",
        "verifier",
        "input",
        "output",
    )
    fields = read_object(parse_json(data, what=at), at, required, ("lock",))
    read_constant(fields["schema"], f"{at}.schema", SCHEMA)
    source, output = fields["input"], fields["output"]
    return Expectation(
        bundle=_read_path(fields["bundle"], f"{at}.bundle"),
        provider=read_address(fields["provider"], f"{at}.provider"),
        job_id=read_bytes32(fields["job_id"], f"{at}.job_id"),
        nonce=read_bytes32(fields["nonce"], f"{at}.nonce"),
        chain_id=read_count(fields["chain_id"], f"{at}.chain_id"),
        verifier=read_address(fields["verifier"], f"{at}.verifier"),
        input=None if source is None else _read_path(source, f"{at}.input"),
        output=None if output is None else _read_tensors(output, f"{at}.output"),
        lock=read_sha256(fields["lock"], f"{at}.lock") if "lock" in fields else None,
    )


def _read_path(value: Json, at: str) -> Path:
    text = read_text(value, at)
    if "\0" in text:
        raise EncodingError(f"{at} holds a zero byte: {shown(text)}")
    return Path(text)


def _read_tensors(value: Json, at: str) -> tuple[tuple[float, ...], ...]:
    return tuple(
        tuple(
            _read_number(x, f"{at}[{i}][{j}]")
            for j, x in enumerate(read_list(tensor, f"{at}[{i}]"))
        )
        for i, tensor in enumerate(read_list(value, at))
    )


def _read_number(value: Json, at: str) -> float:
    # bool is a subclass of int, but `true` is no number.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EncodingError(f"{at} is not a number: {shown(value)}")
    try:
        number = float(value)
    except OverflowError as e:
        raise EncodingError(f"{at} is beyond the range of a float") from e
    if not math.isfinite(number):
        raise EncodingError(f"{at} is beyond the range of a float: {shown(value)}")
    return number

"""What the caller of a verification already knows, and says before looking at a receipt.

Nothing here is read from a receipt. A receipt is checked against an `Expected`, and where the
caller stated a value, the caller's value is the one that the proof is then checked against.

The file that ``verify RECEIPT --expect FILE`` takes is an `Expectation` or an `ExpectedBond`, as
its field ``venue`` says. An `Expectation` names a bundle, an input and an output; turning those
into digests and instances is the business of ``proofs``. An `ExpectedBond` holds the digests
themselves.
"""

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Literal

from verifiable.crypto.hashing import Json, parse_json
from verifiable.crypto.strict import (
    MAX_AMOUNT,
    MAX_SAFE_INTEGER,
    read_address,
    read_amount,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RefereePolicy:
    """Money and time at a referee, as a receipt states them and a caller expects them.

    The fields are those of ``dispute.terms.Policy``, which stands above this layer; amounts are in
    the vault's token.

    Raises
    ------
    EncodingError
        If a number is negative, or larger than JSON or a contract keeps.
    """

    window: int
    """Seconds after the claim was posted in which a challenge may be opened."""
    allowance: int
    """Seconds on each side's clock."""
    bond: int
    challenge_bond: int
    reveal_fee: int
    burnt_share: int
    """Of a forfeit bond, in 1/10,000."""
    requester_share: int
    refuter_gas: int

    def __post_init__(self) -> None:
        for name in POLICY_FIELDS:
            number = getattr(self, name)
            most = MAX_AMOUNT if name in _AMOUNTS else MAX_SAFE_INTEGER
            if not 0 <= number <= most:
                raise EncodingError(f"policy.{name} is {number}, wanted 0 to {most}")


POLICY_FIELDS: Final = tuple(field.name for field in fields(RefereePolicy))
_AMOUNTS: Final = frozenset({"bond", "challenge_bond", "reveal_fee", "refuter_gas"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedBond:
    """Everything the caller must know of a bonded claim; no field has a default."""

    venue: Literal["optimistic"]
    semantics: str
    provider: Address
    job_id: Bytes32
    nonce: Bytes32
    chain_id: int
    verifier: Address
    """The referee."""
    model: Sha256
    """Root of graph and weights."""
    input: Sha256 | None
    """Root over the inputs, or None if they are private to the provider."""
    output: Sha256 | None
    """Root over the outputs, or None if the caller wants to learn it."""
    policy: RefereePolicy | None
    """The referee's, or None if the caller wants to learn it."""


def parse_any_expectation(data: bytes) -> Expectation | ExpectedBond:
    """Read an expectation file of the venue that it names; of ``zk``, if it names none.

    Raises
    ------
    EncodingError
        As `parse_expectation`.
    """
    value = parse_json(data, what="expectation")
    bonded = isinstance(value, dict) and value.get("venue", "zk") != "zk"
    return _expected_bond(value) if bonded else _expectation(value)


def parse_expectation(data: bytes) -> Expectation:
    """Read an expectation file of the zk venue. People write it: its JSON need not be canonical.

    Parameters
    ----------
    data : bytes
        JSON with the fields of `Expectation` and ``schema``; ``lock`` and ``venue`` may be left
        out.

    Raises
    ------
    EncodingError
        If a field is missing, unknown, or malformed; the message names it.
    """
    return _expectation(parse_json(data, what="expectation"))


def parse_expected_bond(data: bytes) -> ExpectedBond:
    """Read an expectation file of the optimistic venue; as `parse_expectation`.

    Parameters
    ----------
    data : bytes
        JSON with the fields of `ExpectedBond` and ``schema``; ``input``, ``output`` and ``policy``
        are null where the caller knows nothing, and may not be left out.

    Raises
    ------
    EncodingError
        If a field is missing, unknown, or malformed; the message names it.
    """
    return _expected_bond(parse_json(data, what="expectation"))


def policy_to_json(policy: RefereePolicy) -> Json:
    """Give the JSON value of a policy; the inverse of `policy_from_json`."""
    numbers = ((name, getattr(policy, name)) for name in POLICY_FIELDS)
    return {name: str(number) if name in _AMOUNTS else number for name, number in numbers}


def policy_from_json(value: Json, at: str = "policy") -> RefereePolicy:
    """Read a policy: amounts are strings of decimal digits.

    Raises
    ------
    EncodingError
        If a field is missing, unknown, or malformed; the message names it.
    """
    found = read_object(value, at, POLICY_FIELDS)
    return RefereePolicy(
        **{
            name: (read_amount if name in _AMOUNTS else read_count)(found[name], f"{at}.{name}")
            for name in POLICY_FIELDS
        }
    )


def _expected_bond(value: Json) -> ExpectedBond:
    at = "expectation"
    required = (
        "schema", "venue", "semantics", "provider", "job_id", "nonce", "chain_id", "verifier",
        "model", "input", "output", "policy",
    )  # fmt: skip
    found = read_object(value, at, required)
    read_constant(found["schema"], f"{at}.schema", SCHEMA)
    read_constant(found["venue"], f"{at}.venue", "optimistic")
    source, output, policy = found["input"], found["output"], found["policy"]
    return ExpectedBond(
        venue="optimistic",
        semantics=read_text(found["semantics"], f"{at}.semantics", most=65),
        provider=read_address(found["provider"], f"{at}.provider"),
        job_id=read_bytes32(found["job_id"], f"{at}.job_id"),
        nonce=read_bytes32(found["nonce"], f"{at}.nonce"),
        chain_id=read_count(found["chain_id"], f"{at}.chain_id"),
        verifier=read_address(found["verifier"], f"{at}.verifier"),
        model=read_sha256(found["model"], f"{at}.model"),
        input=None if source is None else read_sha256(source, f"{at}.input"),
        output=None if output is None else read_sha256(output, f"{at}.output"),
        policy=None if policy is None else policy_from_json(policy, f"{at}.policy"),
    )


def _expectation(value: Json) -> Expectation:
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
    found = read_object(value, at, required, ("lock", "venue"))
    read_constant(found["schema"], f"{at}.schema", SCHEMA)
    if "venue" in found:
        read_constant(found["venue"], f"{at}.venue", "zk")
    source, output = found["input"], found["output"]
    return Expectation(
        bundle=_read_path(found["bundle"], f"{at}.bundle"),
        provider=read_address(found["provider"], f"{at}.provider"),
        job_id=read_bytes32(found["job_id"], f"{at}.job_id"),
        nonce=read_bytes32(found["nonce"], f"{at}.nonce"),
        chain_id=read_count(found["chain_id"], f"{at}.chain_id"),
        verifier=read_address(found["verifier"], f"{at}.verifier"),
        input=None if source is None else _read_path(source, f"{at}.input"),
        output=None if output is None else _read_tensors(output, f"{at}.output"),
        lock=read_sha256(found["lock"], f"{at}.lock") if "lock" in found else None,
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

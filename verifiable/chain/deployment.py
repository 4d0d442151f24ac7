"""Put the contracts of one emission on a chain, and say what stands at an address."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from verifiable.chain.abi import decode_result, encode_call, encode_constructor
from verifiable.chain.protocol import Chain
from verifiable.crypto.hashing import keccak256
from verifiable.errors import ChainError, InsecureSrsError
from verifiable.solidity.standard import Artifact
from verifiable.types import Address, Gas


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Contracts in the order in which they are created."""

    verifiers: tuple[Artifact, ...]
    part_verifiers: tuple[int, ...]
    """Index in `verifiers` of each part's."""
    keys: tuple[bytes | None, ...]
    """Code of each part's key contract; None if the key is in the verifier."""
    wrapper: Artifact
    adapters: tuple[Artifact, ...]
    insecure_srs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Contracts that stand on a chain."""

    chain_id: int
    verifier: Address
    """The wrapper: the address that claims name."""
    halo2: tuple[Address, ...]
    """Halo2 verifier of each part."""
    keys: tuple[Address | None, ...]
    adapters: Mapping[str, Address]
    gas: Mapping[str, Gas]
    """Gas of each creation, by contract."""


def key_initcode(code: bytes) -> bytes:
    """Creation code that leaves `code`, at most 24,576 bytes.

    Examples
    --------
    >>> key_initcode(bytes([0, 7])).hex()
    '61000280600a3d393df30007'
    """
    # PUSH2 size, DUP1, PUSH1 10, PUSH 0, CODECOPY, PUSH 0, RETURN; RETURNDATASIZE pushes the zeros.
    return b"\x61" + len(code).to_bytes(2, "big") + bytes.fromhex("80600a3d393df3") + code


def deploy_plan(
    plan: Plan,
    chain: Chain,
    *,
    sender: Address | None = None,
    accept_insecure_srs: bool = False,
    adapters: bool = True,
) -> Deployment:
    """Create the contracts of `plan`.

    Parameters
    ----------
    plan : Plan
    chain : Chain
    sender : Address, optional
    accept_insecure_srs : bool
        Must be true if the plan's keys come from a development SRS.
    adapters : bool
        Whether to create the adapters too.

    Returns
    -------
    Deployment

    Raises
    ------
    InsecureSrsError
        If the SRS is insecure and that was not accepted; nothing has been sent then.
    ChainError
        If the chain refuses; contracts created before stay, without harm.
    """
    if plan.insecure_srs and not accept_insecure_srs:
        raise InsecureSrsError(
            "the keys come from a development SRS: whoever made it can prove anything",
            hint="for development, repeat with --allow-insecure-srs",
        )
    gas: dict[str, Gas] = {}

    def create(name: str, initcode: bytes) -> Address:
        done = chain.deploy(initcode, sender=sender)
        gas[name] = done.gas
        return done.address

    verifiers = [create(artifact.name, artifact.bytecode) for artifact in plan.verifiers]
    halo2 = tuple(verifiers[i] for i in plan.part_verifiers)
    keys = tuple(
        None if code is None else create(f"Key{i}", key_initcode(code))
        for i, code in enumerate(plan.keys)
    )
    arguments: list[Any] = [list(halo2)]
    if any(keys):
        arguments.append([key or "0x" + "00" * 20 for key in keys])
    if plan.insecure_srs:
        arguments.append(True)
    encoded = encode_constructor(plan.wrapper.abi, arguments)
    wrapper = create(plan.wrapper.name, plan.wrapper.bytecode + encoded)
    made: dict[str, Address] = {}
    if adapters:
        for adapter in plan.adapters:
            pointed = adapter.bytecode + encode_constructor(adapter.abi, [wrapper])
            made[adapter.name] = create(adapter.name, pointed)
    return Deployment(
        chain_id=chain.chain_id,
        verifier=wrapper,
        halo2=halo2,
        keys=keys,
        adapters=made,
        gas=gas,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartInfo:
    """Digests that a deployed verifier pins for one part."""

    onnx: bytes
    settings: bytes
    vk: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What a deployed verifier says of itself."""

    chain_id: int
    address: Address
    code_bytes: int
    code_hash: bytes
    """Keccak-256 of the runtime code."""
    model: bytes
    semantics: str
    insecure_srs: bool
    parts: tuple[PartInfo, ...]
    output_scales: tuple[int, ...]
    input_hashed: bool


def info(chain: Chain, address: Address) -> Info:
    """Ask the verifier at `address` what it pins.

    Raises
    ------
    ChainError
        If there is no contract, or another one, or the node fails.
    """
    from verifiable.solidity.artifacts import load

    abi = load("IInferenceVerifier").abi
    code = chain.code(address)
    if not code:
        raise ChainError(f"there is no contract at {address} on chain {chain.chain_id}")

    def ask(name: str, *arguments: object) -> tuple[Any, ...]:
        return decode_result(abi, name, chain.call(address, encode_call(abi, name, arguments)))

    (count,) = ask("partCount")
    if count > 64:  # a lying node or another contract could keep us asking
        raise ChainError(f"the contract at {address} says it has {count} parts")
    parts = [ask("partDigests", i) for i in range(count)]
    return Info(
        chain_id=chain.chain_id,
        address=address,
        code_bytes=len(code),
        code_hash=keccak256(code),
        model=ask("model")[0],
        semantics=ask("semantics")[0],
        insecure_srs=ask("insecureSrs")[0],
        parts=tuple(PartInfo(onnx=p[0], settings=p[1], vk=p[2]) for p in parts),
        output_scales=tuple(ask("outputScales")[0]),
        input_hashed=ask("inputHashed")[0],
    )

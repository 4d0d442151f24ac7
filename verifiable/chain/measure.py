"""Try a build on an embedded EVM: the honest vector must pass, tampered ones must not."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from verifiable.chain.abi import encode_arguments
from verifiable.chain.bindings import claim_calldata, meaning_of
from verifiable.chain.build import Build
from verifiable.chain.deployment import Deployment, deploy_plan
from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.revert import RevertedError
from verifiable.chain.spec import EmissionSpec
from verifiable.claim import Claim, EzklPart, EzklSubject, Header, claim_id
from verifiable.crypto.felt import MODULUS
from verifiable.crypto.hashing import keccak256
from verifiable.crypto.signatures import SigningKey
from verifiable.errors import RejectedError, StageFailedError
from verifiable.types import Address, Bytes32, ClaimId, Felt, Gas

VECTOR_KEY: Final = SigningKey(keccak256(b"verifiable: provider of test vectors"))
"""Signs vectors only. Everybody knows it."""

_LIFETIME: Final = 3600
_PLAIN_TYPES: Final = ({"type": "bytes"}, {"type": "uint256[]"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedVector:
    """A claim with its evidence, for the embedded chain's id and addresses."""

    claim: Claim
    claim_id: ClaimId
    proofs: tuple[bytes, ...]
    signature: bytes
    calldata: bytes
    refused_as: str | None
    """Custom error that the contract must answer with; None if it must accept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Gas and vectors of one build."""

    verify: Gas
    """Of a whole transaction ``verify``, first use of every slot and address."""
    verify_execution: Gas
    """Of `verify` without the 21,000 and the calldata."""
    halo2: tuple[Gas, ...]
    """Of each part's proof alone, as a transaction of its own to the verifier: the plain form's
    calldata, with the key's for the reusable one."""
    deployment: Mapping[str, Gas]
    honest: SignedVector
    tampered: tuple[SignedVector, ...]


def measure(build: Build) -> Measurement:
    """Deploy `build` on an embedded chain and put its vector to it.

    Parameters
    ----------
    build : Build

    Returns
    -------
    Measurement

    Raises
    ------
    RejectedError
        If the contracts refuse the vector: its proof is not of these keys.
    StageFailedError
        If they accept a tampered one.
    MissingDependencyError
        If pyrevm is not installed.
    """
    chain = EmbeddedChain()
    deployed = deploy_plan(build.plan, chain, accept_insecure_srs=True)
    honest = _signed(vector_claim(build.spec, chain, deployed.verifier), build.spec.vector.proofs)
    try:
        sent = chain.send(deployed.verifier, honest.calldata)
    except RevertedError as e:
        raise meaning_of(e) from e
    # On a chain like the first, where the nonce is still unused.
    again = EmbeddedChain()
    deploy_plan(build.plan, again, accept_insecure_srs=True)
    tampered = tuple(_refused(again, _tampered(honest, i)) for i in range(len(build.spec.parts)))
    verify = Gas(sent.gas + _missed(deployed))
    return Measurement(
        verify=verify,
        verify_execution=Gas(verify - _intrinsic(honest.calldata)),
        halo2=tuple(_halo2_gas(build, chain, deployed, i) for i in range(len(build.spec.parts))),
        deployment=deployed.gas,
        honest=honest,
        tampered=tampered,
    )


def vector_claim(spec: EmissionSpec, chain: EmbeddedChain, verifier: Address) -> Claim:
    """Claim of the spec's vector, in the name of `VECTOR_KEY`."""
    parts = tuple(
        EzklPart(onnx=p.onnx, settings=p.settings, vk=p.vk, instances=felts)
        for p, felts in zip(spec.parts, spec.vector.instances, strict=True)
    )
    return Claim(
        header=Header(
            venue="zk",
            semantics=spec.semantics,
            job_id=Bytes32(keccak256(b"job")),
            nonce=Bytes32(keccak256(b"nonce")),
            chain_id=chain.chain_id,
            verifier=verifier,
            expiry=chain.block_time() + _LIFETIME,
            provider=VECTOR_KEY.address,
        ),
        subject=EzklSubject(model=spec.model, insecure_srs=spec.insecure_srs, parts=parts),
    )


def _signed(claim: Claim, proofs: tuple[bytes, ...]) -> SignedVector:
    digest = claim_id(claim)
    signature = VECTOR_KEY.sign(digest)
    return SignedVector(
        claim=claim,
        claim_id=digest,
        proofs=proofs,
        signature=signature,
        calldata=claim_calldata("verify", claim, proofs, signature),
        refused_as=None,
    )


def _tampered(honest: SignedVector, i: int) -> SignedVector:
    """Change the last instance of part `i`, and sign that: only the proofs can tell."""
    parts = list(honest.claim.subject.parts)
    if parts[i].instances:
        felts = list(parts[i].instances)
        felts[-1] = Felt((felts[-1] + 1) % MODULUS)
        parts[i] = replace(parts[i], instances=tuple(felts))
        subject = replace(honest.claim.subject, parts=tuple(parts))
        return _signed(replace(honest.claim, subject=subject), honest.proofs)
    proofs = list(honest.proofs)
    # The last word of a proof is a coordinate: with another, the point leaves the curve.
    proofs[i] = proofs[i][:-1] + bytes([proofs[i][-1] ^ 1])
    return _signed(honest.claim, tuple(proofs))


def _refused(chain: EmbeddedChain, vector: SignedVector) -> SignedVector:
    try:
        chain.call(vector.claim.header.verifier, vector.calldata)
    except RevertedError as e:
        if isinstance(meaning_of(e), RejectedError):
            return replace(vector, refused_as=e.name)
        raise
    raise StageFailedError("the emitted verifier accepts a false claim")


def _missed(deployed: Deployment) -> int:
    """Gas that the embedded chain leaves out, since deploying touched these contracts and slots.

    References
    ----------
    EIP-2929: 2,600 instead of 100 for the first use of an address, 2,100 instead of 100 of a slot.
    """
    keys = [key for key in deployed.keys if key is not None]
    # The reusable verifier looks every key up in its registry. The nonce's slot is new, so cold.
    return 2_500 * (len(set(deployed.halo2)) + len(keys)) + 2_000 * len(keys)


def _halo2_gas(build: Build, chain: EmbeddedChain, deployed: Deployment, i: int) -> Gas:
    vector = build.spec.vector
    arguments: list[object] = [vector.proofs[i], list(vector.instances[i])]
    types = list(_PLAIN_TYPES)
    key = build.plan.keys[i]
    if key is not None:
        words = [key[j : j + 32] for j in range(32, len(key), 32)]
        arguments.append(words)
        types.append({"type": "bytes32[]"})
    signature = f"verifyProof({','.join(t['type'] for t in types)})"
    data = keccak256(signature.encode())[:4] + encode_arguments(types, arguments)
    missed = 0 if key is None else 2_000  # the registry; the verifier itself is warm, being called
    return Gas(chain.send(deployed.halo2[i], data).gas + missed)


def _intrinsic(data: bytes) -> int:
    zeros = data.count(0)
    return 21_000 + 4 * zeros + 16 * (len(data) - zeros)

"""The emitted verifier, called with typed values and answering with our errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from verifiable.chain.abi import claim_value, decode_result, encode_call, encode_evidence
from verifiable.chain.protocol import Chain, Sent
from verifiable.chain.revert import OutOfGasError, RevertedError
from verifiable.claim import Claim, claim_id
from verifiable.errors import (
    ChainError,
    ProofRejectedError,
    RejectedError,
    SignatureRejectedError,
    StatementRejectedError,
    VerifiableError,
)
from verifiable.types import Address, ClaimId

_REJECTIONS: Final[dict[str, type[RejectedError]]] = {
    "ProofRejected": ProofRejectedError,
    "ProofLengthMismatch": ProofRejectedError,
    "ProofCountMismatch": ProofRejectedError,
    "NonCanonicalProof": ProofRejectedError,
    "SignatureRejected": SignatureRejectedError,
    "ProviderMissing": SignatureRejectedError,
} | dict.fromkeys(
    (
        "ClaimExpired",
        "FixedInstanceMismatch",
        "InputCommitmentMismatch",
        "InsecureSrsMismatch",
        "InstanceCountMismatch",
        "InstanceNotCanonical",
        "InvalidProof",
        "JointBroken",
        "ModelMismatch",
        "ModelNotFound",
        "NonCanonicalCalldata",
        "NonceUsed",
        "OnnxMismatch",
        "OutputMismatch",
        "PartCountMismatch",
        "SemanticsMismatch",
        "SettingsMismatch",
        "VenueMismatch",
        "VkMismatch",
    ),
    StatementRejectedError,
)


@dataclass(frozen=True, slots=True)
class InferenceVerifier:
    """The contract at `address`; each method raises as `meaning_of` says."""

    chain: Chain
    address: Address

    def verify(
        self,
        claim: Claim,
        proofs: Sequence[bytes],
        signature: bytes,
        *,
        sender: Address | None = None,
        gas: int | None = None,
    ) -> Sent:
        """Have `claim` checked and its nonce recorded.

        Parameters
        ----------
        claim : Claim
        proofs : sequence of bytes
            One for each part.
        signature : bytes
            The provider's EIP-712 signature of the claim, or what its ERC-1271 contract takes.
        sender : Address, optional
        gas : int, optional
            Gas limit.

        Returns
        -------
        Sent

        Raises
        ------
        RejectedError
            If the contract refused the claim: a subclass says what of it.
        ChainError
            If nothing was decided.
        """
        data = claim_calldata("verify", claim, proofs, signature)
        try:
            return self.chain.send(self.address, data, sender=sender, gas=gas)
        except RevertedError as e:
            raise meaning_of(e) from e

    def check(
        self, claim: Claim, proofs: Sequence[bytes], signature: bytes, *, gas: int | None = None
    ) -> None:
        """Have `claim` checked, record nothing; a used nonce is no obstacle.

        Raises
        ------
        RejectedError
            If the contract refused the claim.
        ChainError
            If nothing was decided, or the contract answers with another claim's id.
        """
        data = claim_calldata("check", claim, proofs, signature)
        (got,) = self._call("check", data, gas)
        if got != claim_id(claim):
            raise ChainError(f"the contract checked claim 0x{got.hex()}, not the one it was sent")

    def claim_id(self, claim: Claim) -> ClaimId:
        """Id that the contract computes for `claim`: with its own chain and address."""
        (got,) = self._ask("claimId", claim_value(claim))
        return ClaimId(got)

    def claim_of(self, provider: Address, nonce: bytes) -> ClaimId | None:
        """Claim for which `provider` used `nonce`; None if it did not."""
        (got,) = self._ask("claimOf", provider, nonce)
        return ClaimId(got) if any(got) else None

    def outputs(self, claim: Claim) -> tuple[int, ...]:
        """The model's outputs in `claim` as signed integers; a hashed one is its digest."""
        (got,) = self._ask("outputOf", claim_value(claim))
        return tuple(got)

    def inputs(self, claim: Claim) -> tuple[int, ...]:
        """Instances of the model's inputs in `claim`."""
        (got,) = self._ask("inputsOf", claim_value(claim))
        return tuple(got)

    def _ask(self, name: str, *arguments: object) -> tuple[Any, ...]:
        return self._call(name, encode_call(_abi(), name, arguments))

    def _call(self, name: str, data: bytes, gas: int | None = None) -> tuple[Any, ...]:
        try:
            returned = self.chain.call(self.address, data, gas=gas)
        except RevertedError as e:
            raise meaning_of(e) from e
        return decode_result(_abi(), name, returned)


def claim_calldata(
    function: Literal["verify", "check"],
    claim: Claim,
    proofs: Sequence[bytes],
    signature: bytes,
) -> bytes:
    """Calldata of ``verify`` or ``check``: the one canonical encoding of its arguments."""
    evidence = encode_evidence(proofs, signature)
    return encode_call(_abi(), function, (claim_value(claim), evidence))


def meaning_of(reverted: RevertedError) -> VerifiableError:
    """Say what a revert of a verifier or adapter means.

    Parameters
    ----------
    reverted : RevertedError

    Returns
    -------
    VerifiableError
        A ``RejectedError`` only if the contract named a reason of its own: no reason, an unknown
        one, or a lack of gas decides nothing, and stays a ``ChainError``.
    """
    name = reverted.name
    if name in {"SubcallOutOfGas", "Undecided"}:
        return OutOfGasError(
            "the verifier may have run out of gas, which decides nothing",
            hint="repeat with a higher gas limit",
        )
    kind = _REJECTIONS.get(name or "")
    return reverted if kind is None else kind(f"the contract refused the claim: {reverted.error}")


def _abi() -> tuple[Any, ...]:
    from verifiable.solidity.artifacts import load

    return load("IInferenceVerifier").abi

"""What a referee has recorded: claims, challenges, answers, and the money beside them.

The records are those of ``contracts/src/referee/RefereeTypes.sol``. Numbers of challenges begin at
1, so that 0 means none; times are Unix seconds, and 0 means not yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from verifiable.dispute.errors import (
    ChallengeClosedError,
    ChallengeUnknownError,
    ClaimNotOpenError,
)
from verifiable.dispute.jobs import Register
from verifiable.dispute.terms import ANYONE, NOBODY, Policy
from verifiable.dispute.vault import Vault
from verifiable.types import Address, Bytes32, ClaimId, Sha256

NO_ROOT = Sha256(bytes(32))
NO_ID = Bytes32(bytes(32))


class Status(IntEnum):
    """Where a claim stands."""

    UNKNOWN = 0
    OPEN = 1
    FINAL = 2
    REFUTED = 3


class Reason(IntEnum):
    """Why a claim was refuted."""

    NONE = 0
    ELEMENT = 1
    PIECE = 2
    TRACE_WITHHELD = 3
    BYTES_WITHHELD = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim that was posted."""

    proposer: Address = NOBODY
    window_end: int = 0
    """Last second at which a challenge may be opened."""
    status: Status = Status.UNKNOWN
    reason: Reason = Reason.NONE
    committed_at: int = 0
    output: Sha256 = NO_ROOT
    body: Sha256 = NO_ROOT
    """Says nothing before `committed_at`."""
    challengers: Bytes32 = ANYONE
    refuted_at: int = 0
    challenges: int = 0
    """How many were opened."""
    open: int = 0
    """How many of them still are; once refuted, how many are still to be collected."""
    first: int = 0
    """Earliest open challenge; once refuted, where the search for the rewarded one goes on."""
    last: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """A challenge and its two clocks; `verifiable.dispute.clocks` reads them."""

    challenger: Address
    closed: bool = False
    previous: int = 0
    """Neighbours among the open challenges of the claim."""
    next: int = 0
    proposer_used: int = 0
    """Seconds used at `turn_at`, as is the next."""
    challenger_used: int = 0
    turn_at: int
    """When the challenge was opened, or made its last demand."""
    demands: int = 0
    paid: int = 0
    """How many of them nobody had made before: their answers it prepaid."""
    pending: Bytes32 = NO_ID
    """Id of the last demand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Whether and when a demand was answered."""

    challenge: int
    """Which one made it first."""
    at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A referee, its job register and its vault; every move gives a new state."""

    referee: Address
    policy: Policy
    register: Register
    vault: Vault
    gas_is_money: bool = True
    """Whether bonds are in the coin that gas is paid in."""
    claims: Mapping[ClaimId, Claim] = field(default_factory=dict)
    records: Mapping[tuple[ClaimId, int], Challenge] = field(default_factory=dict)
    """Challenges by claim and number."""
    answers: Mapping[Bytes32, Answer] = field(default_factory=dict)
    """By the id of the demand."""
    partials: Mapping[Bytes32, bytes] = field(default_factory=dict)
    """Digest of what was revealed, by the id of the demand."""
    unpaid: Mapping[ClaimId, int] = field(default_factory=dict)
    """What is left of a bond while it is looked for whose it is."""

    def claim(self, claim_id: ClaimId) -> Claim:
        """A claim, or one of status UNKNOWN."""
        return self.claims.get(claim_id, Claim())

    def open_claim(self, claim_id: ClaimId) -> Claim:
        """A claim that is in dispute.

        Raises
        ------
        ClaimNotOpenError
        """
        claim = self.claim(claim_id)
        if claim.status is not Status.OPEN:
            raise ClaimNotOpenError(claim_id, claim.status)
        return claim

    def challenge(self, claim_id: ClaimId, number: int) -> Challenge:
        """A challenge, closed or not.

        Raises
        ------
        ChallengeUnknownError
        """
        if not 1 <= number <= self.claim(claim_id).challenges:
            raise ChallengeUnknownError(claim_id, number)
        return self.records[claim_id, number]

    def unclosed(self, claim_id: ClaimId, number: int) -> Challenge:
        """A challenge that is not over.

        Raises
        ------
        ChallengeUnknownError, ChallengeClosedError
        """
        found = self.challenge(claim_id, number)
        if found.closed:
            raise ChallengeClosedError(claim_id, number)
        return found

    def with_claim(self, claim_id: ClaimId, claim: Claim) -> "State":
        """The same with another record of a claim."""
        return replace(self, claims={**self.claims, claim_id: claim})

    def with_challenge(self, claim_id: ClaimId, number: int, challenge: Challenge) -> "State":
        """The same with another record of a challenge."""
        return replace(self, records={**self.records, (claim_id, number): challenge})

    def reserve(self, account: Address, amount: int) -> "State":
        """Set money of an account aside; see `Vault.reserve`."""
        return replace(self, vault=self.vault.reserve(account, self.referee, amount))

    def release(self, account: Address, amount: int) -> "State":
        """Give it back."""
        return replace(self, vault=self.vault.release(account, self.referee, amount))

    def move(self, source: Address, to: Address, amount: int) -> "State":
        """Give it to another."""
        return replace(self, vault=self.vault.move(source, to, self.referee, amount))

    def burn(self, source: Address, amount: int) -> "State":
        """Destroy it."""
        return replace(self, vault=self.vault.burn(source, self.referee, amount))

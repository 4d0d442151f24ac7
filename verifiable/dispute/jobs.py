"""Jobs and their escrow; ``contracts/src/market/JobRegister.sol`` mirrors it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

from verifiable.dispute.errors import (
    ClaimMismatchError,
    DeadlineAheadError,
    DeadlinePassedError,
    JobClosedError,
    JobExistsError,
    JobTakenError,
    JobUnknownError,
    NotProviderError,
    NotRefereeError,
    NotRequesterError,
)
from verifiable.dispute.terms import NOBODY, Job, job_id
from verifiable.dispute.vault import Vault
from verifiable.types import Address, Bytes32, ClaimId

NO_CLAIM: Final = ClaimId(bytes(32))


class JobState(IntEnum):
    """Where a job stands."""

    UNKNOWN = 0
    OPEN = 1
    ASSIGNED = 2
    PAID = 3
    CANCELLED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Jobs by their id; every move gives a new register."""

    chain_id: int
    address: Address
    states: Mapping[Bytes32, JobState] = field(default_factory=dict)
    claims: Mapping[Bytes32, ClaimId] = field(default_factory=dict)
    """Of a job that is assigned or paid."""

    def id_of(self, job: Job) -> Bytes32:
        """Id of a job in this register."""
        return job_id(job, chain_id=self.chain_id, register=self.address)

    def claim_of(self, job: Job) -> ClaimId | None:
        """The claim that answers a job, pending or paid."""
        return self.claims.get(self.id_of(job))

    def open(self, job: Job, vault: Vault, sender: Address, now: int) -> tuple["Register", Vault]:
        """By the requester: open a job and reserve its price.

        Raises
        ------
        IllegalMoveError
            NotRequester, DeadlinePassed or JobExists; as `Vault.reserve`.
        """
        if sender != job.requester:
            raise NotRequesterError(sender, job.requester)
        if now > job.deadline:
            raise DeadlinePassedError(job.deadline, now)
        key = self.id_of(job)
        if key in self.states:
            raise JobExistsError(key)
        after = vault.reserve(job.requester, self.address, job.price)
        return replace(self, states={**self.states, key: JobState.OPEN}), after

    def assign(
        self, job: Job, claim_id: ClaimId, provider: Address, referee: Address, now: int
    ) -> "Register":
        """By the job's referee: a claim answers it.

        Raises
        ------
        IllegalMoveError
            NotReferee, NotProvider, DeadlinePassed, JobUnknown, JobTaken or JobClosed.
        """
        _require_parties(job, provider, referee)
        if now > job.deadline:
            raise DeadlinePassedError(job.deadline, now)
        key = self.id_of(job)
        self._require_open(key)
        states = {**self.states, key: JobState.ASSIGNED}
        return replace(self, states=states, claims={**self.claims, key: claim_id})

    def settle(
        self,
        job: Job,
        claim_id: ClaimId,
        provider: Address,
        referee: Address,
        vault: Vault,
        *,
        upheld: bool,
    ) -> tuple["Register", Vault]:
        """By the job's referee: the claim is final (the provider is paid), or forfeit.

        Raises
        ------
        IllegalMoveError
            NotReferee, NotProvider, JobUnknown, JobClosed or ClaimMismatch.
        """
        _require_parties(job, provider, referee)
        key = self.id_of(job)
        self._require_assigned(key, claim_id)
        if upheld:
            after = vault.move(job.requester, provider, self.address, job.price)
            return replace(self, states={**self.states, key: JobState.PAID}), after
        claims = {k: c for k, c in self.claims.items() if k != key}
        return replace(self, states={**self.states, key: JobState.OPEN}, claims=claims), vault

    def cancel(self, job: Job, vault: Vault, sender: Address, now: int) -> tuple["Register", Vault]:
        """By the requester, after the deadline, while no claim is pending: the price goes back.

        Raises
        ------
        IllegalMoveError
            NotRequester, DeadlineAhead, JobUnknown, JobTaken or JobClosed.
        """
        if sender != job.requester:
            raise NotRequesterError(sender, job.requester)
        if now <= job.deadline:
            raise DeadlineAheadError(job.deadline, now)
        key = self.id_of(job)
        self._require_open(key)
        after = vault.release(job.requester, self.address, job.price)
        return replace(self, states={**self.states, key: JobState.CANCELLED}), after

    def _require_assigned(self, key: Bytes32, claim_id: ClaimId) -> None:
        state = self.states.get(key, JobState.UNKNOWN)
        if state is JobState.UNKNOWN:
            raise JobUnknownError(key)
        if state is JobState.OPEN:
            raise ClaimMismatchError(key, NO_CLAIM, claim_id)
        if state is not JobState.ASSIGNED:
            raise JobClosedError(key)
        if self.claims[key] != claim_id:
            raise ClaimMismatchError(key, self.claims[key], claim_id)

    def _require_open(self, key: Bytes32) -> None:
        state = self.states.get(key, JobState.UNKNOWN)
        if state is JobState.UNKNOWN:
            raise JobUnknownError(key)
        if state is JobState.ASSIGNED:
            raise JobTakenError(key, self.claims[key])
        if state is not JobState.OPEN:
            raise JobClosedError(key)


def _require_parties(job: Job, provider: Address, referee: Address) -> None:
    if referee != job.referee:
        raise NotRefereeError(referee, job.referee)
    if job.provider not in (NOBODY, provider):
        raise NotProviderError(provider, job.provider)

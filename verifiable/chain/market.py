"""The vault and the job register, called with typed values; see ``contracts/src/market``."""

from collections.abc import Iterator
from dataclasses import dataclass

from verifiable.chain.contract import Contract, NamedEvent, named_events
from verifiable.chain.protocol import Chain, Ledger, Sent
from verifiable.chain.referee_reading import job_of
from verifiable.chain.referee_values import job_value
from verifiable.dispute.jobs import JobState
from verifiable.dispute.terms import Job, job_id
from verifiable.errors import ChainError
from verifiable.types import Address, Bytes32, ClaimId


@dataclass(frozen=True, slots=True)
class StakeVault:
    """Deposits; amounts are in the vault's token. Refusals raise as `contract.refusal_of`."""

    chain: Chain
    address: Address

    @property
    def _contract(self) -> Contract:
        return Contract(self.chain, self.address, "IStakeVault")

    def deposit(self, account: Address, amount: int, *, sender: Address | None = None) -> Sent:
        """Add native coin to an account."""
        return self._contract.send("deposit", account, amount, sender=sender, value=amount)

    def allow(self, spender: Address, *, allowed: bool = True, sender: Address) -> Sent:
        """Let a contract reserve parts of the sender's deposit, or no more."""
        return self._contract.send("allow", spender, allowed, sender=sender)

    def withdraw(self, to: Address, amount: int, *, sender: Address) -> Sent:
        """Take out of the sender's free deposit."""
        return self._contract.send("withdraw", to, amount, sender=sender)

    def free(self, account: Address) -> int:
        """What an account may withdraw or have reserved."""
        return int(self._contract.ask("free", account)[0])

    def reserved(self, account: Address, spender: Address) -> int:
        """What a contract holds of an account."""
        return int(self._contract.ask("reserved", account, spender)[0])

    def allows(self, account: Address, spender: Address) -> bool:
        """Whether a contract may reserve parts of an account."""
        return bool(self._contract.ask("allowed", account, spender)[0])

    def burnt(self) -> int:
        """What was burnt so far."""
        return int(self._contract.ask("burnt")[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOpened:
    """A requester opened a job."""

    job_id: Bytes32
    requester: Address
    job: Job
    block: int


@dataclass(frozen=True, slots=True)
class JobRegister:
    """Jobs and their escrow; refusals raise as `contract.refusal_of`."""

    chain: Ledger
    address: Address

    @property
    def _contract(self) -> Contract:
        return Contract(self.chain, self.address, "IJobRegister")

    def id_of(self, job: Job) -> Bytes32:
        """Id of a job in this register, computed here."""
        return job_id(job, chain_id=self.chain.chain_id, register=self.address)

    def open(self, job: Job) -> Sent:
        """By the requester: open a job and reserve its price."""
        return self._contract.send("open", job_value(job), sender=job.requester)

    def cancel(self, job: Job) -> Sent:
        """By the requester, after the deadline, while no claim is pending."""
        return self._contract.send("cancel", job_value(job), sender=job.requester)

    def state_of(self, key: Bytes32) -> JobState:
        """Where a job stands."""
        return JobState(self._contract.ask("stateOf", key)[0])

    def claim_of(self, key: Bytes32) -> ClaimId | None:
        """The claim that answers a job, pending or paid."""
        (found,) = self._contract.ask("claimOf", key)
        return ClaimId(found) if any(found) else None

    def opened(self, first: int, last: int) -> Iterator[JobOpened]:
        """Jobs that were opened in the blocks ``first..last``.

        Raises
        ------
        ChainError
            If the node gives a job of another id than it says.
        """
        found = named_events(self._contract.abi, iter(self.chain.events(self.address, first, last)))
        for one in found:
            if one.name == "JobOpened":
                yield self._opened(one)

    def _opened(self, one: NamedEvent) -> JobOpened:
        job = job_of(one.values["job"])
        if self.id_of(job) != one.values["jobId"]:
            raise ChainError("the node gave a job of another id than it says")
        return JobOpened(
            job_id=self.id_of(job), requester=job.requester, job=job, block=one.event.block
        )

    def job(self, key: Bytes32, first: int, last: int) -> Job:
        """A job that was opened in the blocks ``first..last``.

        Raises
        ------
        ChainError
            If there is none.
        """
        for one in self.opened(first, last):
            if one.job_id == key:
                return one.job
        raise ChainError(
            f"job 0x{key.hex()} was not opened in the blocks {first}..{last}",
            hint="begin with an earlier block",
        )

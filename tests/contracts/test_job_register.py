"""A job's price is held until its referee says who gets it, and nobody else is heard."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from market_lab import ZERO, Contract, RefusedError, artifacts, deploy

from verifiable.chain.embedded import EmbeddedChain
from verifiable.crypto.hashing import keccak256
from verifiable.types import Address

pytestmark = pytest.mark.evm

JOB = "(address,address,bytes32,bytes32,string,uint256,uint64,address,bytes32,bytes32)"
UNKNOWN, OPEN, ASSIGNED, PAID, CANCELLED = range(5)
CLAIMS = (keccak256(b"a claim"), keccak256(b"another"))
NONE = bytes(32)
DEPOSIT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    requester: Address
    referee: Address
    model: bytes = keccak256(b"model")
    input_root: bytes = keccak256(b"input")
    semantics: str = "canon/1"
    price: int = 100
    deadline: int
    provider: Address = ZERO
    challengers: bytes = NONE
    salt: bytes = NONE

    @property
    def value(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)


@dataclass(frozen=True, slots=True)
class Market:
    chain: EmbeddedChain
    vault: Contract
    register: Contract

    @property
    def requester(self) -> Address:
        return self.chain.accounts[0]

    @property
    def referee(self) -> Address:
        return self.chain.accounts[1]

    @property
    def provider(self) -> Address:
        return self.chain.accounts[2]

    def job(self, **changes: Any) -> Job:
        deadline = self.chain.block_time() + 1_000
        job = Job(requester=self.requester, referee=self.referee, deadline=deadline)
        return replace(job, **changes)

    def id_of(self, job: Job) -> bytes:
        place = [self.chain.chain_id, self.register.address, job.value]
        return keccak256(encode(["uint256", "address", JOB], place))

    def open(self, job: Job) -> bytes:
        self.register.send("open", job.value, sender=job.requester)
        return self.id_of(job)

    def assign(self, job: Job, claim: bytes = CLAIMS[0], provider: Address | None = None) -> int:
        arguments = (job.value, claim, provider or self.provider)
        return self.register.send("assign", *arguments, sender=job.referee).gas

    def settle(self, job: Job, upheld: bool, claim: bytes = CLAIMS[0]) -> None:
        self.register.send("settle", job.value, claim, self.provider, upheld, sender=job.referee)

    def seen(self, job: Job) -> tuple[int, bytes]:
        job_id = self.id_of(job)
        return self.register.call("stateOf", job_id), self.register.call("claimOf", job_id)


def market() -> Market:
    chain, built = EmbeddedChain(), artifacts()
    vault = deploy(chain, built["StakeVault"], ZERO)
    register = deploy(chain, built["JobRegister"], vault.address)
    made = Market(chain, vault, register)
    for account in chain.accounts:
        vault.send("deposit", account, DEPOSIT, value=DEPOSIT)
        vault.send("allow", register.address, True, sender=account)
    return made


def held(m: Market, account: Address) -> tuple[int, int]:
    return (
        m.vault.call("free", account),
        m.vault.call("reserved", account, m.register.address),
    )


def test_the_id_is_the_digest_of_chain_register_and_job() -> None:
    m = market()
    job = m.job(semantics="x" * 40, provider=m.provider, salt=keccak256(b"salt"))
    assert m.register.call("jobIdOf", job.value) == m.id_of(job)


@pytest.mark.parametrize("name", Job.__slots__)
def test_every_field_makes_another_job(name: str) -> None:
    m = market()
    job = m.job()
    now = getattr(job, name)
    other: Any = {
        bytes: keccak256(b"other"), int: 7, str: m.chain.accounts[3]
    }[type(now)]  # fmt: skip
    changed = replace(job, **{name: other})
    assert m.register.call("jobIdOf", changed.value) != m.register.call("jobIdOf", job.value)


def test_an_upheld_claim_is_paid_from_the_escrow() -> None:
    m = market()
    job = m.job()
    job_id = m.open(job)
    assert m.seen(job) == (OPEN, NONE)
    assert held(m, m.requester) == (DEPOSIT - 100, 100)
    m.assign(job)
    assert m.seen(job) == (ASSIGNED, CLAIMS[0])
    m.settle(job, upheld=True)
    assert m.seen(job) == (PAID, CLAIMS[0])
    assert held(m, m.requester) == (DEPOSIT - 100, 0)
    assert held(m, m.provider) == (DEPOSIT + 100, 0)
    assert job_id == m.id_of(job)


def test_a_refuted_claim_leaves_the_job_open_and_its_price_in_escrow() -> None:
    m = market()
    job = m.job()
    m.open(job)
    m.assign(job)
    m.settle(job, upheld=False)
    assert m.seen(job) == (OPEN, NONE)
    assert held(m, m.requester) == (DEPOSIT - 100, 100)
    m.assign(job, CLAIMS[1])
    m.settle(job, upheld=True, claim=CLAIMS[1])
    assert m.seen(job) == (PAID, CLAIMS[1])


def test_a_price_that_is_not_there_opens_nothing() -> None:
    m = market()
    dear = m.job(price=DEPOSIT + 1)
    with pytest.raises(RefusedError, match="FreeTooLittle"):
        m.open(dear)
    assert m.seen(dear) == (UNKNOWN, NONE)
    m.vault.send("allow", m.register.address, False, sender=m.requester)
    with pytest.raises(RefusedError, match="NotAllowed"):
        m.open(m.job())


def test_the_deadline_is_the_last_second_for_a_claim() -> None:
    m = market()
    job, late = m.job(), m.job(salt=CLAIMS[0])
    m.open(job)
    m.open(late)
    m.chain.advance(1_000)
    with pytest.raises(RefusedError, match="DeadlineAhead"):
        m.register.send("cancel", job.value)
    m.assign(job)
    m.chain.advance(1)
    with pytest.raises(RefusedError, match="DeadlinePassed"):
        m.assign(late)
    with pytest.raises(RefusedError, match="DeadlinePassed"):
        m.open(m.job(deadline=m.chain.block_time() - 1))
    m.register.send("cancel", late.value)
    assert m.seen(late) == (CANCELLED, NONE)
    # A claim posted in time is decided after the deadline, and until then the price stays.
    with pytest.raises(RefusedError, match="JobTaken"):
        m.register.send("cancel", job.value)
    m.settle(job, upheld=True)


def test_what_was_cancelled_goes_back_once() -> None:
    m = market()
    job = m.job()
    m.open(job)
    m.chain.advance(1_001)
    m.register.send("cancel", job.value)
    assert held(m, m.requester) == (DEPOSIT, 0)
    with pytest.raises(RefusedError, match="JobClosed"):
        m.register.send("cancel", job.value)


def test_only_the_parties_are_heard() -> None:
    m = market()
    stranger = m.chain.accounts[3]
    job = m.job(provider=m.provider)
    with pytest.raises(RefusedError, match="NotRequester"):
        m.register.send("open", job.value, sender=stranger)
    m.open(job)
    for name, more in (("assign", ()), ("settle", (True,))):
        arguments = (job.value, CLAIMS[0], m.provider, *more)
        with pytest.raises(RefusedError, match="NotReferee"):
            m.register.send(name, *arguments, sender=stranger)
        for other in (stranger, ZERO):
            arguments = (job.value, CLAIMS[0], other, *more)
            with pytest.raises(RefusedError, match="NotProvider"):
                m.register.send(name, *arguments, sender=m.referee)
    m.chain.advance(2_000)
    with pytest.raises(RefusedError, match="NotRequester"):
        m.register.send("cancel", job.value, sender=stranger)


def test_only_the_claim_that_answers_is_settled() -> None:
    m = market()
    job = m.job()
    m.open(job)
    with pytest.raises(RefusedError, match="ClaimMismatch"):
        m.settle(job, upheld=True)
    m.assign(job)
    with pytest.raises(RefusedError, match="ClaimMismatch"):
        m.settle(job, upheld=True, claim=CLAIMS[1])
    assert m.seen(job) == (ASSIGNED, CLAIMS[0])


def test_a_job_for_anyone_is_answered_by_someone() -> None:
    m = market()
    job = m.job()
    m.open(job)
    arguments = (job.value, CLAIMS[0], ZERO)
    with pytest.raises(RefusedError, match="NotProvider"):
        m.register.send("assign", *arguments, sender=m.referee)


def test_a_referee_reaches_no_other_job() -> None:
    """A contract that calls itself a referee has the price of jobs that name it, and no other."""
    m = market()
    mine = m.job()
    m.open(mine)
    m.assign(mine)
    thief = m.chain.accounts[3]
    forged = replace(mine, referee=thief)
    with pytest.raises(RefusedError, match="JobUnknown"):
        m.register.send("settle", forged.value, CLAIMS[0], thief, True, sender=thief)
    with pytest.raises(RefusedError, match="NotReferee"):
        m.register.send("settle", mine.value, CLAIMS[0], thief, True, sender=thief)


def test_assigning_writes_no_fresh_slot() -> None:
    m = market()
    job = m.job()
    m.open(job)
    # 21,000 for the transaction, 20 words of calldata, two used slots and a log.
    assert m.assign(job) < 50_000


AMOUNTS = st.sampled_from([0, 60, DEPOSIT])


class RegisterMachine(RuleBasedStateMachine):
    """Three jobs, one of them for a named provider, in all orders of calls."""

    @initialize(prices=st.lists(AMOUNTS, min_size=3, max_size=3))
    def start(self, prices: list[int]) -> None:
        self.m = market()
        self.jobs = [
            self.m.job(
                price=price,
                salt=bytes(31) + bytes([i]),
                provider=self.m.provider if i else ZERO,
                deadline=self.m.chain.block_time() + 100 * (i + 1),
            )
            for i, price in enumerate(prices)
        ]
        self.state = [UNKNOWN] * 3
        self.claim = [NONE] * 3
        self.paid = 0

    def attempt(self, wanted: str | None, name: str, *arguments: object, sender: Address) -> bool:
        refused = self.m.register.refusal(name, *arguments, sender=sender)
        assert (refused and refused.name) == wanted
        return refused is None

    @property
    def escrow(self) -> int:
        pairs = zip(self.jobs, self.state, strict=True)
        return sum(job.price for job, state in pairs if state in (OPEN, ASSIGNED))

    @property
    def spare(self) -> int:
        return DEPOSIT - self.escrow - self.paid

    def late(self, i: int) -> bool:
        return self.m.chain.block_time() > self.jobs[i].deadline

    @rule(i=st.integers(0, 2))
    def open(self, i: int) -> None:
        wanted = "FreeTooLittle" if self.jobs[i].price > self.spare else None
        if self.state[i] != UNKNOWN:
            wanted = "JobExists"
        if self.late(i):
            wanted = "DeadlinePassed"
        if self.attempt(wanted, "open", self.jobs[i].value, sender=self.m.requester):
            self.state[i] = OPEN

    @rule(i=st.integers(0, 2), claim=st.sampled_from(CLAIMS))
    def assign(self, i: int, claim: bytes) -> None:
        wanted = {UNKNOWN: "JobUnknown", OPEN: None, ASSIGNED: "JobTaken"}.get(
            self.state[i], "JobClosed"
        )
        if self.late(i):
            wanted = "DeadlinePassed"
        arguments = (self.jobs[i].value, claim, self.m.provider)
        if self.attempt(wanted, "assign", *arguments, sender=self.m.referee):
            self.state[i], self.claim[i] = ASSIGNED, claim

    @rule(i=st.integers(0, 2), claim=st.sampled_from(CLAIMS), upheld=st.booleans())
    def settle(self, i: int, claim: bytes, upheld: bool) -> None:
        wanted: str | None = {
            UNKNOWN: "JobUnknown", OPEN: "ClaimMismatch", ASSIGNED: "",
        }.get(self.state[i], "JobClosed")  # fmt: skip
        if wanted == "":
            wanted = None if claim == self.claim[i] else "ClaimMismatch"
        arguments = (self.jobs[i].value, claim, self.m.provider, upheld)
        if self.attempt(wanted, "settle", *arguments, sender=self.m.referee):
            self.state[i] = PAID if upheld else OPEN
            self.paid += self.jobs[i].price if upheld else 0

    @rule(i=st.integers(0, 2))
    def cancel(self, i: int) -> None:
        wanted = {UNKNOWN: "JobUnknown", OPEN: None, ASSIGNED: "JobTaken"}.get(
            self.state[i], "JobClosed"
        )
        if not self.late(i):
            wanted = "DeadlineAhead"
        if self.attempt(wanted, "cancel", self.jobs[i].value, sender=self.m.requester):
            self.state[i] = CANCELLED

    @rule(seconds=st.sampled_from([1, 50, 99]))
    def wait(self, seconds: int) -> None:
        self.m.chain.advance(seconds)

    @precondition(lambda self: hasattr(self, "m"))
    @invariant()
    def each_price_is_in_one_place(self) -> None:
        assert held(self.m, self.m.requester) == (self.spare, self.escrow)
        assert held(self.m, self.m.provider) == (DEPOSIT + self.paid, 0)
        for i, job in enumerate(self.jobs):
            claim = self.claim[i] if self.state[i] in (ASSIGNED, PAID) else NONE
            assert self.m.seen(job) == (self.state[i], claim)


TestRegister = RegisterMachine.TestCase

"""The ERC faces of the optimistic venue say what the referee's verdict is, to the byte."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st
from market_lab import ZERO, Contract, RefusedError, artifacts, deploy
from tensor_zoo import tensors

from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.revert import OutOfGasError, RevertedError
from verifiable.claim import CanonClaim, CanonSubject, Header, claim_id
from verifiable.crypto.address import checksum_address
from verifiable.crypto.hashing import keccak256, sha256
from verifiable.crypto.merkle import tree_root
from verifiable.graph.ir import Array
from verifiable.graph.layout import big_endian, header, type_of
from verifiable.graph.tensors import tensor_root
from verifiable.types import Address, Bytes32, Sha256

pytestmark = pytest.mark.evm

ADAPTERS = (
    "adapters/OptimisticErc7007Adapter.sol",
    "adapters/Erc8183Evaluator.sol",
    "referee/Referee.sol",
)
CLAIM = "((string,string,bytes32,bytes32,uint64,address),(bytes32,bytes32,bytes32))"
MODEL = sha256(b"model")
WINDOW, ALLOWANCE = 100, 50
BOND, CHALLENGE_BOND = 1_000, 300
BUDGET = 77
FUNDED, SUBMITTED, COMPLETED, REJECTED, EXPIRED = range(2, 7)


def packed(arrays: Sequence[Array]) -> bytes:
    """Tensors as the adapter takes them."""
    headers = [header(type_of(a)) for a in arrays]
    return encode(["bytes[]", "bytes[]"], [headers, [bytes(big_endian(a)) for a in arrays]])


def root(arrays: Sequence[Array]) -> Sha256:
    return tree_root([tensor_root(a) for a in arrays])


INPUTS: list[Array] = [
    np.arange(6, dtype=np.int32).reshape(2, 3),
    np.array([[1.5, -0.0]], np.float32),
]
OUTPUTS: list[Array] = [np.array([0.25, np.inf, -3.0], np.float32)]


@dataclass(frozen=True, slots=True)
class Venue:
    """A referee with a real vault and register; no step is ever disputed and no walk begun."""

    chain: EmbeddedChain
    vault: Contract
    register: Contract
    referee: Contract
    adapter: Contract

    @property
    def requester(self) -> Address:
        return self.chain.accounts[0]

    @property
    def provider(self) -> Address:
        return self.chain.accounts[1]

    @property
    def challenger(self) -> Address:
        return self.chain.accounts[2]

    def job(self, *, salt: int = 0, provider: Address | None = None, **roots: bytes) -> Any:
        return (
            self.requester, self.referee.address, roots.get("model", MODEL),
            roots.get("inputs", root(INPUTS)), "canon/1", 5, self.chain.block_time() + 10**6,
            provider or self.provider, bytes(32), salt.to_bytes(32, "big"),
        )  # fmt: skip

    def opened(self, job: Any) -> bytes:
        self.register.send("open", job, sender=self.requester)
        return bytes(self.register.call("jobIdOf", job))

    def claim(self, job: Any, job_id: bytes, **changes: Any) -> CanonClaim:
        facts = Header(
            venue="optimistic",
            semantics="canon/1",
            job_id=Bytes32(job_id),
            nonce=Bytes32(bytes(32)),
            chain_id=self.chain.chain_id,
            verifier=self.referee.address,
            expiry=self.chain.block_time() + 10**6,
            provider=changes.pop("provider", self.provider),
        )
        subject = CanonSubject(model=job[2], input=job[3], output=root(OUTPUTS))
        return CanonClaim(header=facts, subject=replace(subject, **changes))

    def post(self, claim: CanonClaim, job: Any) -> bytes:
        sender = claim.header.provider
        self.referee.send("post", value(claim), job, bytes(32), sender=sender)
        return claim_id(claim)

    def finalize(self, identifier: bytes, job: Any) -> None:
        self.chain.advance(WINDOW + 1)
        self.referee.send("finalize", identifier, job)

    def refute(self, identifier: bytes, job: Any) -> None:
        """The proposer never commits his trace."""
        self.referee.send("challenge", identifier, [], sender=self.challenger)
        self.chain.advance(ALLOWANCE + 1)
        self.referee.send("timeout", identifier, 1, job)

    def final_claim(self, **changes: Any) -> CanonClaim:
        job = self.job()
        claim = self.claim(job, self.opened(job), **changes)
        self.finalize(self.post(claim, job), job)
        return claim


def value(claim: CanonClaim) -> Any:
    h, s = claim.header, claim.subject
    facts = (h.venue, h.semantics, h.job_id, h.nonce, h.expiry, h.provider)
    return facts, (s.model, s.input, s.output)


def evidence(claim: CanonClaim) -> bytes:
    return encode([CLAIM], [value(claim)])


def built() -> Any:
    return artifacts(*ADAPTERS)


@pytest.fixture
def venue() -> Venue:
    chain = EmbeddedChain()
    vault = deploy(chain, built()["StakeVault"], ZERO)
    register = deploy(chain, built()["JobRegister"], vault.address)
    policy = (WINDOW, ALLOWANCE, BOND, CHALLENGE_BOND, 1, 3_000, 2_000, 0)
    unused = (ZERO, ZERO)
    referee = deploy(chain, built()["Referee"], policy, vault.address, register.address, *unused)
    for account in chain.accounts:
        vault.send("deposit", account, 10**6, value=10**6)
        for spender in (register, referee):
            vault.send("allow", spender.address, True, sender=account)
    adapter = deploy(chain, built()["OptimisticErc7007Adapter"], referee.address, MODEL)
    return Venue(chain, vault, register, referee, adapter)


def test_erc7007_is_true_once_the_claim_is_final_and_not_before(venue: Venue) -> None:
    job = venue.job()
    claim = venue.claim(job, venue.opened(job))
    arguments = (packed(INPUTS), packed(OUTPUTS), evidence(claim))
    assert not venue.adapter.call("verify", *arguments)
    identifier = venue.post(claim, job)
    assert not venue.adapter.call("verify", *arguments)
    venue.finalize(identifier, job)
    assert venue.adapter.call("verify", *arguments)
    assert venue.referee.call("outputOf", identifier) == claim.subject.output


def test_erc7007_is_false_of_a_refuted_claim(venue: Venue) -> None:
    job = venue.job()
    claim = venue.claim(job, venue.opened(job))
    venue.refute(venue.post(claim, job), job)
    assert not venue.adapter.call("verify", packed(INPUTS), packed(OUTPUTS), evidence(claim))


def test_erc7007_is_false_of_other_bytes(venue: Venue) -> None:
    claim = venue.final_claim()
    p, o, e = packed(INPUTS), packed(OUTPUTS), evidence(claim)
    headers, elements = [header(type_of(a)) for a in OUTPUTS], [bytes(big_endian(OUTPUTS[0]))]
    reshaped = packed([OUTPUTS[0].reshape(3, 1)])
    retyped = packed([OUTPUTS[0].view(np.int32)])
    flipped = encode(["bytes[]", "bytes[]"], [headers, [b"\xff" + elements[0][1:]]])
    short = encode(["bytes[]", "bytes[]"], [headers, [elements[0][:-4]]])
    none = encode(["bytes[]", "bytes[]"], [headers, []])
    other_model = replace(claim, subject=replace(claim.subject, model=sha256(b"other")))
    other_output = replace(claim, subject=replace(claim.subject, output=root(INPUTS)))
    for arguments in (
        (p, reshaped, e), (p, retyped, e), (p, flipped, e), (p, short, e), (p, none, e),
        (p, b"", e), (b"", o, e), (o, p, e), (p, o + bytes(32), e), (p[:-1], o, e),
        (packed(INPUTS[::-1]), o, e), (packed(INPUTS[:1]), o, e),
        (p, o, e + bytes(32)), (p, o, evidence(other_model)), (p, p, evidence(other_output)),
    ):  # fmt: skip
        assert not venue.adapter.call("verify", *arguments)
    assert venue.adapter.call("verify", p, o, e)


def test_erc7007_takes_one_encoding_of_a_prompt(venue: Venue) -> None:
    """The same tensors with the two lists in the other order in memory."""
    claim = venue.final_claim()
    canonical = packed(INPUTS)
    first, second = (int.from_bytes(canonical[i : i + 32], "big") for i in (0, 32))
    headers, elements = canonical[first:second], canonical[second:]
    swapped = encode(["uint256", "uint256"], [64 + len(elements), 64]) + elements + headers
    venue.adapter.call("verify", canonical, packed(OUTPUTS), evidence(claim))
    assert not venue.adapter.call("verify", swapped, packed(OUTPUTS), evidence(claim))


def test_erc7007_is_false_of_another_models_claim(venue: Venue) -> None:
    """Final, of the same referee, and with the prompt asked for: but of a model of one's own."""
    job = venue.job(model=sha256(b"my own"))
    claim = venue.claim(job, venue.opened(job))
    venue.finalize(venue.post(claim, job), job)
    assert not venue.adapter.call("verify", packed(INPUTS), packed(OUTPUTS), evidence(claim))


def test_erc7007_never_says_false_for_want_of_gas(venue: Venue) -> None:
    claim = venue.final_claim(output=root([np.zeros((40, 300), np.float32)]))
    output = packed([np.zeros((40, 300), np.float32)])
    data = venue.adapter.data("verify", packed(INPUTS), output, evidence(claim))
    answers, ran_out = set(), 0
    for gas in range(260_000, 1_260_000, 5_555):
        try:
            answers.add(venue.chain.call(venue.adapter.address, data, gas=gas))
        except (RevertedError, OutOfGasError):
            ran_out += 1
    assert ran_out > 0
    assert answers == {(1).to_bytes(32, "big")}


@given(arrays=st.lists(tensors(), min_size=1, max_size=4))
def test_roots_of_any_tensors_are_those_of_claims(arrays: list[Array]) -> None:
    chain = EmbeddedChain()
    adapter = deploy(chain, built()["OptimisticErc7007Adapter"], ZERO, MODEL)
    headers = [header(type_of(a)) for a in arrays]
    elements = [bytes(big_endian(a)) for a in arrays]
    assert adapter.call("rootOf", headers, elements) == root(arrays)


def test_erc7007_knows_erc165(venue: Venue) -> None:
    verify = keccak256(b"verify(bytes,bytes,bytes)")[:4]
    for identifier, wanted in (
        (bytes.fromhex("01ffc9a7"), True),
        (verify, True),
        (bytes.fromhex("ffffffff"), False),
    ):
        assert venue.adapter.call("supportsInterface", identifier) is wanted


@dataclass(frozen=True, slots=True)
class Commerce:
    """An ERC-8183 job of the requester, submitted and bound, and its budget in the escrow."""

    venue: Venue
    token: Contract
    escrow: Contract
    evaluator: Contract
    number: int
    job: Any
    job_id: bytes

    def evaluate(self, claim: CanonClaim) -> None:
        """By a stranger: anyone may."""
        sender = self.venue.chain.accounts[3]
        self.evaluator.send(
            "evaluate", self.escrow.address, self.number, value(claim), sender=sender
        )

    @property
    def status(self) -> int:
        return int(self.escrow.call("escrows", self.number)[5])

    @property
    def money(self) -> tuple[int, int, int]:
        """Of the client, the provider and the escrow."""
        v = self.venue
        owners = (v.requester, v.provider, self.escrow.address)
        client, provider, escrow = (int(self.token.call("balanceOf", o)) for o in owners)
        return client, provider, escrow


def hire(v: Venue, *, bound: bool = True, submitted: bool = True) -> Commerce:
    token = deploy(v.chain, built()["OddToken"], 0)
    escrow = deploy(v.chain, built()["AgenticJobs"], token.address)
    evaluator = deploy(
        v.chain, built()["Erc8183Evaluator"], v.referee.address, v.register.address, v.requester
    )
    token.send("mint", v.requester, BUDGET)
    token.send("approve", escrow.address, BUDGET, sender=v.requester)
    asked = (v.provider, evaluator.address, v.chain.block_time() + 10**4, "classify", ZERO)
    escrow.send("createJob", *asked, sender=v.requester)
    job = v.job()
    made = Commerce(v, token, escrow, evaluator, 1, job, v.opened(job))
    if bound:
        evaluator.send("bind", escrow.address, 1, job, sender=v.requester)
    escrow.send("setBudget", 1, BUDGET, b"", sender=v.provider)
    escrow.send("fund", 1, BUDGET, b"", sender=v.requester)
    if submitted:
        escrow.send("submit", 1, root(OUTPUTS), b"", sender=v.provider)
    assert made.money == (0, 0, BUDGET)
    return made


def test_erc8183_pays_the_provider_once_his_claim_is_final(venue: Venue) -> None:
    c = hire(venue)
    claim = venue.claim(c.job, c.job_id)
    with pytest.raises(RefusedError, match=r"Undecided.* 0\)"):
        c.evaluate(claim)
    identifier = venue.post(claim, c.job)
    with pytest.raises(RefusedError, match=r"Undecided.* 1\)"):
        c.evaluate(claim)
    venue.finalize(identifier, c.job)
    assert c.money == (0, 0, BUDGET)
    c.evaluate(claim)
    assert (c.status, c.money) == (COMPLETED, (0, BUDGET, 0))
    assert c.escrow.call("reasonOf", 1) == identifier
    with pytest.raises(RefusedError, match="WrongStatus"):
        c.evaluate(claim)


@pytest.mark.parametrize("submitted", [True, False])
def test_erc8183_refunds_the_client_once_the_claim_is_refuted(
    venue: Venue, submitted: bool
) -> None:
    c = hire(venue, submitted=submitted)
    claim = venue.claim(c.job, c.job_id)
    identifier = venue.post(claim, c.job)
    venue.refute(identifier, c.job)
    c.evaluate(claim)
    assert (c.status, c.money) == (REJECTED, (BUDGET, 0, 0))
    assert c.escrow.call("reasonOf", 1) == identifier


def test_erc8183_listens_to_no_claim_but_the_one_that_answers(venue: Venue) -> None:
    c = hire(venue)
    other = venue.job(salt=1)
    elsewhere = venue.claim(other, venue.opened(other))
    venue.finalize(venue.post(elsewhere, other), other)
    with pytest.raises(RefusedError, match="ClaimUnfit"):
        c.evaluate(elsewhere)
    # The fields of a claim are its id: one cannot borrow another's verdict.
    borrowed = replace(elsewhere, header=replace(elsewhere.header, job_id=Bytes32(c.job_id)))
    with pytest.raises(RefusedError, match="Undecided"):
        c.evaluate(borrowed)
    stranger = venue.claim(c.job, c.job_id, provider=venue.chain.accounts[3])
    with pytest.raises(RefusedError, match="ClaimUnfit"):
        c.evaluate(stranger)
    assert (c.status, c.money) == (SUBMITTED, (0, 0, BUDGET))


def test_erc8183_binds_once_and_by_the_client_alone(venue: Venue) -> None:
    c = hire(venue, bound=False)
    place = (c.escrow.address, 1)
    claim = venue.claim(c.job, c.job_id)
    with pytest.raises(RefusedError, match="NotBound"):
        c.evaluate(claim)
    with pytest.raises(RefusedError, match="NotClient"):
        c.evaluator.send("bind", *place, c.job, sender=venue.provider)
    anyone, foreign = list(c.job), list(c.job)
    anyone[7], foreign[1] = ZERO, venue.provider
    for unfit in (anyone, foreign, [venue.provider, *c.job[1:]]):
        with pytest.raises(RefusedError, match="JobUnfit"):
            c.evaluator.send("bind", *place, tuple(unfit), sender=venue.requester)
    c.evaluator.send("bind", *place, c.job, sender=venue.requester)
    assert c.evaluator.call("bindingOf", *place) == (c.job_id, venue.provider.lower())
    easier = venue.job(salt=2)
    with pytest.raises(RefusedError, match="BoundAlready"):
        c.evaluator.send("bind", *place, easier, sender=venue.requester)


def test_erc8183_leaves_silence_to_the_ercs_own_refund(venue: Venue) -> None:
    c = hire(venue, submitted=False)
    with pytest.raises(RefusedError, match="Undecided"):
        c.evaluate(venue.claim(c.job, c.job_id))
    venue.chain.advance(10**4)
    c.escrow.send("claimRefund", 1)
    assert (c.status, c.money) == (EXPIRED, (BUDGET, 0, 0))


def test_erc8183_passes_on_what_a_foreign_escrow_says(venue: Venue) -> None:
    """A job that names another evaluator is not ours to end."""
    c = hire(venue)
    asked = (venue.provider, venue.requester, venue.chain.block_time() + 10**4, "", ZERO)
    c.escrow.send("createJob", *asked, sender=venue.requester)
    c.evaluator.send("bind", c.escrow.address, 2, c.job, sender=venue.requester)
    claim = venue.claim(c.job, c.job_id)
    venue.finalize(venue.post(claim, c.job), c.job)
    arguments = (c.escrow.address, 2, value(claim))
    with pytest.raises(RefusedError, match=r"WrongStatus\(1,\)"):
        c.evaluator.send("evaluate", *arguments)
    assert checksum_address(bytes.fromhex(c.escrow.call("escrows", 2)[2][2:])) == venue.requester

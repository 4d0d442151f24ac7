"""`verify --rpc`: how a bonded claim stands is for its referee to say."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from anvil import KEY as RICH
from anvil import Anvil, start
from cli_runs import Run, called, signing_key
from documents import KEY, STRANGER
from test_bonded_receipts import bond_of, claim, expectation_file, forged, receipt_file
from test_canonical_runs import folder

from verifiable.chain.abi import encode_call, encode_constructor
from verifiable.chain.referee_values import canon_claim_value, job_value, policy_value
from verifiable.chain.rpc import RpcChain
from verifiable.claim import CanonClaim, claim_id
from verifiable.crypto.address import ZERO_ADDRESS
from verifiable.dispute.terms import Job, Policy, job_id
from verifiable.expectation import RefereePolicy
from verifiable.receipt import Bond
from verifiable.solidity.artifacts import load
from verifiable.types import Address, Bytes32

__all__ = ["claim", "folder", "signing_key"]

pytestmark = [pytest.mark.anvil, pytest.mark.evm]

REFUTED, CHAIN_FAILED = 3, 5

TERMS = Policy(
    window=100, allowance=50, bond=10_000, challenge_bond=1_000, reveal_fee=7, burnt_share=3_000,
    requester_share=1_001, refuter_gas=500,
)  # fmt: skip


class Referee:
    """A referee on a node, with a provider and a challenger who have money in its vault."""

    def __init__(self, node: Anvil) -> None:
        self.node = node
        self.chain = RpcChain(node.url, keys=[RICH, KEY, STRANGER])
        for key in (KEY, STRANGER):
            node.ask("anvil_setBalance", key.address, hex(10**20))
        self.vault = self._deploy("StakeVault", ZERO_ADDRESS)
        self.register = self._deploy("JobRegister", self.vault)
        walks = self._deploy("Walks")
        # No dispute gets as far as a step here.
        parts = (self.vault, self.register, walks, walks)
        self.address = self._deploy("Referee", policy_value(TERMS), *parts)
        for key, spender in ((KEY, self.address), (STRANGER, self.address), (RICH, self.register)):
            self.send("StakeVault", "deposit", key.address, 10**6, value=10**6)
            self.send("StakeVault", "allow", spender, True, sender=key.address)

    def _deploy(self, name: str, *arguments: object) -> Address:
        made = load(name)
        return self.chain.deploy(made.bytecode + encode_constructor(made.abi, arguments)).address

    def send(self, name: str, function: str, *arguments: object, **options: Any) -> Any:
        to = {"StakeVault": self.vault, "JobRegister": self.register, "Referee": self.address}
        data = encode_call(load(name).abi, function, arguments)
        return self.chain.send(to[name], data, **options)

    def advance(self, seconds: int) -> None:
        self.node.ask("evm_increaseTime", seconds)
        self.node.ask("evm_mine")

    def post(self, claim: CanonClaim, salt: int) -> tuple[CanonClaim, Job, Bond]:
        """Post a claim with this subject."""
        job = Job(
            requester=RICH.address, referee=self.address, model=claim.subject.model,
            input=claim.subject.input, semantics="canon/1", price=0,
            deadline=self.chain.block_time() + 10_000, salt=Bytes32(salt.to_bytes(32, "big")),
        )  # fmt: skip
        self.send("JobRegister", "open", job_value(job))
        chain_id = self.chain.chain_id
        header = replace(
            claim.header, job_id=job_id(job, chain_id=chain_id, register=self.register),
            chain_id=chain_id, verifier=self.address, expiry=job.deadline,
        )  # fmt: skip
        claim = replace(claim, header=header)
        values = (canon_claim_value(claim), job_value(job), bytes(32))
        sent = self.send("Referee", "post", *values, sender=KEY.address)
        (log,) = (log for log in sent.logs if log.address == self.address)
        bond = Bond(
            transaction=Bytes32(sent.transaction),
            block=sent.block,
            # ``Posted`` gives the offset of the claim first, then the end of the window.
            window_end=int.from_bytes(log.data[32:64], "big"),
            policy=RefereePolicy(**asdict(TERMS)),
            outputs=None,
        )
        return claim, job, bond


@pytest.fixture(scope="module")
def referee() -> Iterator[Referee]:
    with start() as node:
        yield Referee(node)


def asked(home: Path, referee: Referee, claim: CanonClaim, bond: Bond, *words: object) -> Run:
    receipt = receipt_file(home / "receipt.json", claim, bond)
    expect = expectation_file(home / "expect.json", claim)
    url = referee.node.url
    return called("--json", "verify", receipt, "--expect", expect, "--rpc", url, *words)


def test_final_is_said_when_the_referee_says_it_and_not_before(
    folder: Path, claim: CanonClaim, referee: Referee, tmp_path: Path
) -> None:
    posted, job, bond = referee.post(claim, 1)
    done = asked(tmp_path, referee, posted, bond)
    assert (done.status, done.json["verdict"]) == (0, "signed")
    assert done.json["referee_says"] == "open"
    assert 0 < done.json["seconds_left"] <= TERMS.window
    referee.advance(TERMS.window + 1)
    done = asked(tmp_path, referee, posted, bond)
    assert (done.json["referee_says"], done.json["seconds_left"]) == ("open", 0)
    referee.send("Referee", "finalize", claim_id(posted), job_value(job))
    done = asked(tmp_path, referee, posted, bond)
    assert (done.status, done.json["verdict"]) == (0, "final")
    words = ("--bundle", folder / "bundle", "--inputs", folder / "input.npz")
    again = asked(tmp_path, referee, posted, bond, *words)
    assert (again.status, again.json["verdict"], again.json["run_again"]) == (0, "final", "equal")


def test_a_false_claim_that_nobody_refuted_in_time_is_final_and_refuted_all_the_same(
    folder: Path, claim: CanonClaim, referee: Referee, tmp_path: Path
) -> None:
    posted, job, bond = referee.post(forged(claim), 2)
    referee.advance(TERMS.window + 1)
    referee.send("Referee", "finalize", claim_id(posted), job_value(job))
    words = ("--bundle", folder / "bundle", "--inputs", folder / "input.npz")
    done = asked(tmp_path, referee, posted, bond, *words)
    assert (done.status, done.json["verdict"]) == (REFUTED, "refuted")
    assert (done.json["run_again"], done.json["referee_says"]) == ("different", "final")


def test_what_the_referee_refuted_is_refuted_though_offline_it_looks_as_before(
    claim: CanonClaim, referee: Referee, tmp_path: Path
) -> None:
    posted, job, bond = referee.post(claim, 3)
    referee.send("Referee", "challenge", claim_id(posted), [], sender=STRANGER.address)
    assert asked(tmp_path, referee, posted, bond).json["open_challenges"] == 1
    referee.advance(TERMS.allowance + 1)
    referee.send("Referee", "timeout", claim_id(posted), 1, job_value(job))
    done = asked(tmp_path, referee, posted, bond)
    assert (done.status, done.json["verdict"]) == (REFUTED, "refuted")
    assert done.json["reason"] == "by the referee: trace withheld"
    offline = called(
        "--json", "verify", tmp_path / "receipt.json", "--expect", tmp_path / "expect.json"
    )
    assert (offline.status, offline.json["verdict"]) == (0, "signed")


def test_a_receipt_that_lies_about_its_bond_is_refuted_by_the_chain(
    claim: CanonClaim, referee: Referee, tmp_path: Path
) -> None:
    posted, _, bond = referee.post(claim, 4)
    dear = replace(bond, policy=replace(bond.policy, bond=10**21))
    for lie, message in (
        (replace(bond, window_end=bond.window_end - 1), "the window ends at"),
        (dear, "policy: bond is"),
    ):
        done = asked(tmp_path, referee, posted, lie)
        assert done.status == REFUTED
        assert message in done.error["message"]
    never = replace(posted, header=replace(posted.header, nonce=Bytes32(b"n" * 32)))
    done = asked(tmp_path, referee, never, bond)
    assert done.status == REFUTED
    assert "the referee knows no such claim" in done.error["message"]


def test_another_chain_decides_nothing(claim: CanonClaim, referee: Referee, tmp_path: Path) -> None:
    done = asked(tmp_path, referee, claim, bond_of(claim))
    assert done.status == CHAIN_FAILED
    assert "wanted 0" in done.error["message"]

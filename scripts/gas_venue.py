"""The optimistic venue on a development node, the same to the last byte each time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from devnode import Anvil, start

from verifiable.chain.agent import Agent, Tick
from verifiable.chain.protocol import Sent
from verifiable.chain.rpc import RpcChain
from verifiable.chain.venue import Venue, deploy_venue
from verifiable.claim import CanonClaim, CanonSubject, Header, claim_id
from verifiable.dispute.moves import Move, OpenChallenge, Post
from verifiable.dispute.players import Player
from verifiable.dispute.state import NO_ROOT, Status
from verifiable.dispute.step import Statement
from verifiable.dispute.terms import Job, Policy
from verifiable.graph.vocabulary import SEMANTICS
from verifiable.solidity.standard import EvmVersion
from verifiable.types import Address, Bytes32, ClaimId, Gas, Sha256

START: Final = 1_800_000_000
DAY: Final = 86_400
POLICY: Final = Policy(
    window=DAY, allowance=DAY, bond=10**18, challenge_bond=10**17, reveal_fee=10**15,
    burnt_share=3_000, requester_share=1_000, refuter_gas=10**16,
)  # fmt: skip
DEPOSIT: Final = 100 * 10**18


@dataclass(frozen=True, slots=True)
class Dispute:
    """A claim at the venue."""

    claim: CanonClaim
    job: Job

    @property
    def key(self) -> ClaimId:
        """Its id."""
        return claim_id(self.claim)


@dataclass(frozen=True, slots=True, kw_only=True)
class Court:
    """Contracts, and people who have deposited."""

    node: Anvil
    chain: RpcChain
    venue: Venue
    requester: Address
    proposer: Address
    challenger: Address

    def play(self, move: Move, sender: Address) -> Sent:
        """Make a move."""
        return self.venue.referee(self.chain).play(move, sender=sender)

    def dispute(self, about: Statement, number: int) -> Dispute:
        """A new job, and a claim that answers it."""
        referee = self.venue.addresses["Referee"]
        job = Job(
            requester=self.requester, referee=referee, model=about.model, input=about.input,
            semantics=SEMANTICS, price=10**17, deadline=START + 30 * DAY,
            salt=Bytes32(number.to_bytes(32, "big")),
        )  # fmt: skip
        register = self.venue.register(self.chain)
        register.open(job)
        header = Header(
            venue="optimistic", semantics=SEMANTICS, job_id=register.id_of(job),
            nonce=Bytes32(number.to_bytes(32, "big")), chain_id=self.chain.chain_id,
            verifier=referee, expiry=START + 30 * DAY, provider=self.proposer,
        )  # fmt: skip
        subject = CanonSubject(model=about.model, input=about.input, output=about.output)
        return Dispute(CanonClaim(header=header, subject=subject), job)

    def post(self, found: Dispute, body: Sha256 = NO_ROOT) -> Gas:
        """Post it; with a body the trace is committed at once."""
        return self.play(Post(claim=found.claim, job=found.job, body=body), self.proposer).gas

    def challenge(self, found: Dispute) -> Gas:
        """Open a challenge of it."""
        return self.play(OpenChallenge(claim_id=found.key), self.challenger).gas

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.node.ask("evm_setNextBlockTimestamp", self.chain.block_time() + seconds)
        self.node.ask("evm_mine")

    def run(self, found: Dispute, *players: Player) -> list[Tick]:
        """Let players move by turns until the claim is refuted; the moves that they made.

        Raises
        ------
        RuntimeError
            If nobody moves any more, and it is not.
        """
        referee = self.venue.referee(self.chain)
        first = self.chain.block_number()
        agents = [
            Agent(referee=referee, player=one, claim_id=found.key, job=found.job, first=first)
            for one in players
        ]
        ticks: list[Tick] = []
        while referee.claim(found.key).status is not Status.REFUTED:
            made = [tick for tick in (agent.tick() for agent in agents) if tick.sent is not None]
            if not made:
                raise RuntimeError("nobody moves, and the claim is not refuted")
            ticks += made
        return ticks


@contextmanager
def court(evm: EvmVersion = "osaka") -> Iterator[Court]:
    """A node with a fixed clock at its start, fixed keys, and contracts in a fixed order."""
    options = ("--hardfork", evm, "--timestamp", str(START), "--gas-price", "1000000000")
    with start(*options) as node:
        # Whether two moves fall into one second is a branch in a contract.
        node.ask("anvil_setBlockTimestampInterval", 1)
        chain = RpcChain(node.url)
        rich, requester, proposer, challenger = chain.accounts[:4]
        venue = deploy_venue(chain, POLICY, evm=evm)
        vault = venue.vault(chain)
        for who in (requester, proposer, challenger):
            vault.deposit(who, DEPOSIT, sender=rich)
            for name in ("Referee", "JobRegister"):
                vault.allow(venue.addresses[name], sender=who)
        yield Court(
            node=node, chain=chain, venue=venue, requester=requester, proposer=proposer,
            challenger=challenger,
        )  # fmt: skip

"""The optimistic venue's real contracts on an embedded chain, and agents that play there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dispute_lab import DEPOSIT, POLICY, Own, claim_about, job_of
from referee_lab import ALICE, BOB, CAROL, PROPOSER, REQUESTER, START

from verifiable.chain.agent import Agent, Tick
from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.protocol import Ledger
from verifiable.chain.venue import Venue, deploy_venue
from verifiable.claim import CanonClaim, claim_id
from verifiable.dispute.moves import Move
from verifiable.dispute.players import Player
from verifiable.dispute.state import Claim, Status
from verifiable.dispute.terms import Job, Policy
from verifiable.types import Address, ClaimId

PEOPLE = (REQUESTER, PROPOSER, ALICE, BOB, CAROL)


@dataclass
class Court:
    """One claim at a real referee."""

    chain: EmbeddedChain
    venue: Venue
    job: Job
    claim: CanonClaim
    ticks: list[Tick] = field(default_factory=list)

    @property
    def key(self) -> ClaimId:
        return claim_id(self.claim)

    @property
    def record(self) -> Claim:
        return self.venue.referee(self.chain).claim(self.key)

    def agent(self, player: Player) -> Agent:
        referee = self.venue.referee(self.chain)
        return Agent(referee=referee, player=player, claim_id=self.key, job=self.job)

    def tick(self, make: Callable[[], Player]) -> Tick:
        """Let an agent that was just started look once."""
        done = self.agent(make()).tick()
        if done.move is not None:
            self.ticks.append(done)
        return done

    def run(self, *makers: Callable[[], Player], seconds: int = 10, most: int = 200) -> Status:
        """Until the claim is decided and nobody has anything left to do."""
        for _ in range(most):
            if all(self.tick(make).move is None for make in makers):
                status = self.record.status
                if status in (Status.FINAL, Status.REFUTED):
                    return status
                self.chain.advance(seconds)
        raise AssertionError("the game does not end")

    def moves(self) -> list[str]:
        return [type(tick.move).__name__ for tick in self.ticks if tick.sent is not None]

    def gas(self, *kinds: type[Move]) -> int:
        """Of all moves of some kinds."""
        return sum(t.sent.gas for t in self.ticks if t.sent and isinstance(t.move, kinds))

    def free(self, who: Address) -> int:
        return self.venue.vault(self.chain).free(who)

    def total(self) -> int:
        """All that the vault holds of anyone, and what was burnt."""
        vault = self.venue.vault(self.chain)
        holders = [self.venue.addresses[n] for n in ("Referee", "JobRegister")]
        held = sum(vault.reserved(who, holder) for who in PEOPLE for holder in holders)
        return sum(map(vault.free, PEOPLE)) + held + vault.burnt()


def fund(chain: Ledger, venue: Venue, people: Sequence[Address], payer: Address) -> None:
    """Deposit for each, who lets referee and register reserve of it."""
    vault = venue.vault(chain)
    for who in people:
        vault.deposit(who, DEPOSIT, sender=payer)
        for name in ("Referee", "JobRegister"):
            vault.allow(venue.addresses[name], sender=who)


def court(claimed: Own, policy: Policy = POLICY, **changes: object) -> Court:
    """A referee, people with money, and an open job that a claim is about to answer."""
    chain = EmbeddedChain(time=START)
    venue = deploy_venue(chain, policy)
    fund(chain, venue, PEOPLE, chain.accounts[0])
    job = job_of(claimed, venue.addresses["Referee"], **changes)
    register = venue.register(chain)
    register.open(job)
    claim = claim_about(
        claimed, register.id_of(job), venue.addresses["Referee"], chain_id=chain.chain_id
    )
    return Court(chain, venue, job, claim)

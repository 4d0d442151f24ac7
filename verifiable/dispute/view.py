"""What a chain says of one game now: all that a player goes by, beside what he knows himself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from verifiable.dispute.clocks import Clocks, Standing, clocks_of, standing_of
from verifiable.dispute.evidence import statement_of
from verifiable.dispute.jobs import JobState
from verifiable.dispute.state import Challenge, Claim, State
from verifiable.dispute.step import Statement
from verifiable.dispute.terms import Demand, Job
from verifiable.types import Bytes32, ClaimId


@dataclass(frozen=True, slots=True, kw_only=True)
class GameView:
    """One claim at one moment.

    Parameters
    ----------
    state : State
        Records of this claim and its job; others, and the vault's, may be absent.
    now : int
        Unix seconds of the latest block.
    claim_id : ClaimId
    job : Job
    demands : mapping of bytes to Demand
        What was asked for so far, by id.
    reveals : mapping of bytes to bytes
        What was answered so far, by the id of the demand.
    """

    state: State
    now: int
    claim_id: ClaimId
    job: Job
    demands: Mapping[Bytes32, Demand]
    reveals: Mapping[Bytes32, bytes]

    @property
    def claim(self) -> Claim:
        """The claim's record."""
        return self.state.claim(self.claim_id)

    @property
    def job_state(self) -> JobState:
        """Where the job stands."""
        register = self.state.register
        return register.states.get(register.id_of(self.job), JobState.UNKNOWN)

    @property
    def unpaid(self) -> int:
        """What is left of the bond while it is looked for whose it is."""
        return self.state.unpaid.get(self.claim_id, 0)

    @property
    def statement(self) -> Statement:
        """What claim and trace fix.

        Raises
        ------
        TraceMissingError
            If the trace is not committed.
        JobMismatchError
            If the claim does not answer the job any more.
        """
        return statement_of(self.state, self.claim_id, self.claim, self.job)

    def challenge(self, number: int) -> Challenge:
        """A challenge, closed or not."""
        return self.state.challenge(self.claim_id, number)

    def unclosed(self) -> Iterator[tuple[int, Challenge]]:
        """Challenges that are not over, by number, in the order of their opening."""
        for number in range(1, self.claim.challenges + 1):
            found = self.challenge(number)
            if not found.closed:
                yield number, found

    def clocks(self, number: int) -> Clocks:
        """Clocks of a challenge now."""
        return clocks_of(self.state, self.claim_id, number, self.now)

    def standing(self, number: int) -> Standing:
        """Standing of a challenge now."""
        return standing_of(self.state, self.claim_id, number, self.now)

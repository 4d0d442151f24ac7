"""The moves of the game: one class for each function of the referee, by the same name."""

from dataclasses import dataclass

from verifiable.claim import CanonClaim
from verifiable.dispute.state import NO_ID, NO_ROOT
from verifiable.dispute.step import StepProof
from verifiable.dispute.terms import Demand, Job, Walk
from verifiable.types import Bytes32, ClaimId, Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Bond a claim that answers a job."""

    claim: CanonClaim
    job: Job
    body: Sha256 = NO_ROOT
    """Commits the trace at once; zero: later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenChallenge:
    """Open a challenge."""

    claim_id: ClaimId
    membership: tuple[bytes, ...] = ()
    """Proves that the job admits the sender, if it does not admit everyone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitTrace:
    """By the proposer: commit the trace with the root over its body."""

    claim_id: ClaimId
    body: Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Refute:
    """Show one element that its operands do not give."""

    claim_id: ClaimId
    job: Job
    proof: StepProof


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandBytes:
    """By a challenger: ask for withheld bytes."""

    claim_id: ClaimId
    challenge: int
    job: Job
    walk: Walk
    answering: Bytes32 = NO_ID
    """Id of the challenge's last demand: the state that the move answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reveal:
    """Answer a demand, by anyone who has the bytes."""

    demand: Demand
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandPartials:
    """By a challenger: ask for the results of the pieces of a long row."""

    claim_id: ClaimId
    challenge: int
    job: Job
    proof: StepProof
    answering: Bytes32 = NO_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class RevealPartials:
    """By the proposer: answer it."""

    claim_id: ClaimId
    instruction: int
    element: int
    partials: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RefutePartials:
    """Show that the revealed results of the pieces do not give the committed element."""

    claim_id: ClaimId
    job: Job
    proof: StepProof
    partials: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RefutePiece:
    """Show one piece whose revealed result its operands do not give."""

    claim_id: ClaimId
    job: Job
    proof: StepProof
    partials: bytes
    piece: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout:
    """End a challenge, or the claim, of which a side has used up its clock."""

    claim_id: ClaimId
    challenge: int
    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalize:
    """Accept a claim whose window is over and that no open challenge disputes."""

    claim_id: ClaimId
    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """Give a challenger of a refuted claim his bond and fees back."""

    claim_id: ClaimId
    challenge: int


Move = (
    Post
    | OpenChallenge
    | CommitTrace
    | Refute
    | DemandBytes
    | Reveal
    | DemandPartials
    | RevealPartials
    | RefutePartials
    | RefutePiece
    | Timeout
    | Finalize
    | Collect
)

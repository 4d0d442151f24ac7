"""Moves that the rules refuse, by the names and with the arguments of the contracts' errors.

A refused move changes nothing and says nothing of the claim: it is the caller's mistake, or came
too late, so all of these are `InputError`. ``ClaimExistsError`` is ``ClaimExists`` in Solidity.
"""

from verifiable.errors import InputError


class IllegalMoveError(InputError):
    """The rules do not allow this move now.

    Parameters
    ----------
    *arguments
        What the contract's error of this name carries, in its order.
    """

    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments
        shown = ", ".join(f"0x{a.hex()}" if isinstance(a, bytes) else str(a) for a in arguments)
        super().__init__(f"the rules refuse the move: {self.error}({shown})")

    @property
    def error(self) -> str:
        """Name of the contract's error."""
        return type(self).__name__.removesuffix("Error")


class ClaimExistsError(IllegalMoveError):
    """The same claim was posted before."""


class ClaimNotOpenError(IllegalMoveError):
    """No such claim is in dispute."""


class ClaimNotRefutedError(IllegalMoveError):
    """Only of a refuted claim there is something to collect."""


class SemanticsMismatchError(IllegalMoveError):
    """The claim or its job is of another machine."""


class ClaimExpiredError(IllegalMoveError):
    """The claim held until a time that is over."""


class NotProposerError(IllegalMoveError):
    """Only the proposer may do this."""


class NotChallengerError(IllegalMoveError):
    """Only the challenger may do this."""


class MayNotChallengeError(IllegalMoveError):
    """The job admits others alone."""


class JobMismatchError(IllegalMoveError):
    """The claim does not answer this job."""


class SubjectMismatchError(IllegalMoveError):
    """The claim is about another model or input than its job."""


class WindowClosedError(IllegalMoveError):
    """The last second for a challenge is over."""


class WindowOpenError(IllegalMoveError):
    """The claim may still be challenged."""


class ChallengesOpenError(IllegalMoveError):
    """Some challenges are not over."""


class ChallengeUnknownError(IllegalMoveError):
    """The claim has no challenge of this number."""


class ChallengeClosedError(IllegalMoveError):
    """The challenge is over."""


class TraceMissingError(IllegalMoveError):
    """The trace is not committed."""


class TraceCommittedAlreadyError(IllegalMoveError):
    """The trace is committed, and stays as it is."""


class ZeroRootError(IllegalMoveError):
    """Zero is the root of nothing."""


class ClockRunOutError(IllegalMoveError):
    """A side has no time left to move."""


class ClockRunningError(IllegalMoveError):
    """The side to move has time left."""


class ProposersTurnError(IllegalMoveError):
    """The last demand is not answered."""


class StateMismatchError(IllegalMoveError):
    """The move answers another state than that of the challenge."""


class DemandsSpentError(IllegalMoveError):
    """The challenge made as many demands as it may."""


class DemandUnknownError(IllegalMoveError):
    """Nobody made this demand."""


class RevealedAlreadyError(IllegalMoveError):
    """The demand was answered."""


class WalkMalformedError(IllegalMoveError):
    """The parts of a walk do not fit one another."""


class WalkMismatchError(IllegalMoveError):
    """A walk leads to another node than it starts at."""


class IntoPaddingError(IllegalMoveError):
    """There is nothing there but padding."""


class RevealLengthError(IllegalMoveError):
    """The revealed bytes have another length."""


class RevealMismatchError(IllegalMoveError):
    """The revealed bytes hash to something else."""


class NotDifferentError(IllegalMoveError):
    """The committed element follows from its operands."""


class PartialsMismatchError(IllegalMoveError):
    """These results do not give the committed element, or were not revealed."""


class PolicyInvalidError(IllegalMoveError):
    """A share is above the whole, or a time or a bond is zero or too large."""


class NotAllowedError(IllegalMoveError):
    """The account did not allow the contract to reserve."""


class FreeTooLittleError(IllegalMoveError):
    """The account has less than that free."""


class ReservedTooLittleError(IllegalMoveError):
    """Less than that is reserved of the account."""


class JobExistsError(IllegalMoveError):
    """The same job was opened before."""


class JobUnknownError(IllegalMoveError):
    """No such job was opened."""


class JobTakenError(IllegalMoveError):
    """A claim answers the job and is not decided yet."""


class JobClosedError(IllegalMoveError):
    """The job is paid or cancelled."""


class ClaimMismatchError(IllegalMoveError):
    """Another claim answers the job, or none does."""


class DeadlinePassedError(IllegalMoveError):
    """The last second for a claim is over."""


class DeadlineAheadError(IllegalMoveError):
    """The last second for a claim is still to come."""


class NotRequesterError(IllegalMoveError):
    """Only the requester may do this."""


class NotRefereeError(IllegalMoveError):
    """Only the job's referee may do this."""


class NotProviderError(IllegalMoveError):
    """The job names another provider."""

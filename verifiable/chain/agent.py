"""The loop that plays one game: read the chain, ask the player, send his move.

Nothing is kept between two ticks but where the claim stands, so an agent that was killed in any
state goes on with the next tick, and so does one whose last block was undone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from verifiable.chain.protocol import Sent
from verifiable.chain.referee import Referee
from verifiable.dispute.errors import (
    ChallengeClosedError,
    ClaimExistsError,
    ClaimNotOpenError,
    ClockRunOutError,
    IllegalMoveError,
    JobTakenError,
    ProposersTurnError,
    RevealedAlreadyError,
    StateMismatchError,
    TraceCommittedAlreadyError,
    WindowClosedError,
)
from verifiable.dispute.moves import Move
from verifiable.dispute.players import Player
from verifiable.dispute.state import Status
from verifiable.dispute.terms import Job
from verifiable.types import ClaimId

OVERTAKEN: Final[tuple[type[IllegalMoveError], ...]] = (
    ChallengeClosedError,
    ClaimExistsError,
    ClaimNotOpenError,
    ClockRunOutError,
    JobTakenError,
    ProposersTurnError,
    RevealedAlreadyError,
    StateMismatchError,
    TraceCommittedAlreadyError,
    WindowClosedError,
)
"""What a move meets that somebody, perhaps this agent before it was killed, has made already, or
that came a moment too late: the game went on, and the next tick sees how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What one look at the chain led to."""

    move: Move | None
    """None if there was nothing to do."""
    sent: Sent | None = None
    """None if the move was overtaken."""
    overtaken: IllegalMoveError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A player at a referee.

    Parameters
    ----------
    referee : Referee
        On a chain whose `send` waits until a transaction stands.
    player : Player
    claim_id : ClaimId
    job : Job
        That the claim answers.
    first : int
        A block before the first demand.
    """

    referee: Referee
    player: Player
    claim_id: ClaimId
    job: Job
    first: int = 0

    def tick(self) -> Tick:
        """Look once, and make at most one move.

        Raises
        ------
        IllegalMoveError
            If the referee refuses the move for a reason that waiting does not heal, as one whose
            deposit is too small.
        ChainError
            If the chain fails; the next tick may do better.
        """
        view = self.referee.view(self.claim_id, self.job, self.first)
        move = self.player.next(view)
        if move is None:
            return Tick(move=None)
        try:
            sent = self.referee.play(move, sender=self.player.me)
        except OVERTAKEN as e:
            return Tick(move=move, overtaken=e)
        return Tick(move=move, sent=sent)

    def play(self, wait: Callable[[], None]) -> Iterator[Tick]:
        """Tick until the claim is decided and there is nothing left to do.

        Parameters
        ----------
        wait : callable
            Is called when there is nothing to do yet, or a move was overtaken.
        """
        while True:
            done = self.tick()
            yield done
            if done.sent is not None:
                continue
            ended = self.referee.claim(self.claim_id).status in (Status.FINAL, Status.REFUTED)
            if ended and done.move is None:
                return
            wait()

    def withdraw(self) -> Sent | None:
        """Take all that the player has free out of the vault; None if that is nothing.

        Raises
        ------
        ChainError
            If the chain fails, or the account refuses the payment.
        """
        vault, me = self.referee.vault(), self.player.me
        free = vault.free(me)
        return vault.withdraw(me, free, sender=me) if free else None

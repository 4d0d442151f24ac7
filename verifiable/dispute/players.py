"""Who plays: a proposer and a challenger, each a pure function of what the chain says now.

A player keeps nothing between two moves. Whatever it needs stands in the `GameView`, in its own
run of the graph, or with a store of served objects; so a player that was restarted, or that sees
a block undone, goes on as if nothing had happened.

==========  ========================================================================================
Proposer    posts; commits the trace once challenged; reveals what is asked for, first where his
            clock is shortest; ends challenges that ran out of time; finalises
Challenger  opens a challenge of a false claim; refutes it as soon as the bytes are there; else
            asks for the next one that is withheld; ends a claim whose proposer is silent; collects
==========  ========================================================================================
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from verifiable.claim import CanonClaim, claim_id
from verifiable.dispute.answers import Run, answer
from verifiable.dispute.clocks import Standing
from verifiable.dispute.errors import IllegalMoveError
from verifiable.dispute.evidence import EvidenceMove
from verifiable.dispute.jobs import JobState
from verifiable.dispute.moves import (
    Collect,
    CommitTrace,
    DemandBytes,
    Finalize,
    Move,
    OpenChallenge,
    Post,
    Reveal,
    RevealPartials,
    Timeout,
)
from verifiable.dispute.prove import partials_of
from verifiable.dispute.refutation import Refutation
from verifiable.dispute.shelf import (
    NothingServed,
    Source,
    foreign_sections,
    shelf_of,
    walk_to,
)
from verifiable.dispute.state import NO_ID, NO_ROOT, Status
from verifiable.dispute.terms import MOST_DEMANDS, Demand, Form, Job, partials_place
from verifiable.dispute.view import GameView
from verifiable.dispute.walk import check_answer
from verifiable.graph.commitment import model_header
from verifiable.graph.ir import Array, Index
from verifiable.graph.vocabulary import SEMANTICS
from verifiable.trace.walk import Ask, MalformedError, Walk, WithheldError
from verifiable.types import Address


class Player(Protocol):
    """One side of a game."""

    @property
    def me(self) -> Address:
        """Whose moves it makes."""

    def next(self, view: GameView, /) -> Move | None:
        """The move to make now; None if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposer:
    """Bonds a claim and defends it.

    Parameters
    ----------
    claim : CanonClaim
    job : Job
        That the claim answers.
    run : Run
        That the claim is about.
    weights : mapping of Index to array
        Elements of the graph's Consts.
    eager : bool
        Whether to commit the trace with the claim, not once it is challenged.
    """

    claim: CanonClaim
    job: Job
    run: Run
    weights: Mapping[Index, Array]
    eager: bool = False

    @property
    def me(self) -> Address:
        """The claim's provider."""
        return self.claim.header.provider

    def next(self, view: GameView, /) -> Move | None:
        """The move to make now; None if there is none."""
        match view.claim.status:
            case Status.UNKNOWN:
                return self._post(view)
            case Status.OPEN:
                return (
                    self._commit(view)
                    or self._reveal(view)
                    or _end_idle(view)
                    or self._finalize(view)
                )
            case _:
                return None

    def _post(self, view: GameView) -> Move | None:
        last = min(self.job.deadline, self.claim.header.expiry)
        if view.job_state is not JobState.OPEN or view.now > last:
            return None
        assert claim_id(self.claim) == view.claim_id, "the view is of another claim"
        body = self.run.trace.sections.body if self.eager else NO_ROOT
        return Post(claim=self.claim, job=self.job, body=body)

    def _commit(self, view: GameView) -> Move | None:
        first = view.claim.first
        if view.claim.committed_at or not first:
            return None
        if view.standing(first) is not Standing.RUNNING:
            return None
        return CommitTrace(claim_id=view.claim_id, body=self.run.trace.sections.body)

    def _reveal(self, view: GameView) -> Move | None:
        waiting = [
            (view.clocks(number).proposer, view.demands[challenge.pending])
            for number, challenge in view.unclosed()
            if challenge.pending != NO_ID and not view.state.answers[challenge.pending].at
            # An answer that comes too late heals nothing, and shows bytes for no money.
            if view.standing(number) is Standing.RUNNING
        ]
        for _, demand in sorted(waiting, key=lambda found: -found[0]):
            move = self._answer(view, demand)
            if move is not None:
                return move
        return None

    def _answer(self, view: GameView, demand: Demand) -> Move | None:
        if demand.form is Form.PARTIALS:
            return self._reveal_partials(view, demand)
        data = answer(self.run, self.weights, demand)
        if data is None:
            return None
        try:
            check_answer(demand, data)
        except IllegalMoveError:
            # One damaged tensor must not keep all other answers back.
            return None
        return Reveal(demand=demand, data=data)

    def _reveal_partials(self, view: GameView, demand: Demand) -> Move:
        instruction, element, _ = partials_place(demand)
        asked = (self.run.graph, self.weights, self.run, Index(instruction), element)
        return RevealPartials(
            claim_id=view.claim_id,
            instruction=instruction,
            element=element,
            partials=partials_of(*asked),
        )

    def _finalize(self, view: GameView) -> Move | None:
        if view.claim.open or view.now <= view.claim.window_end:
            return None
        return Finalize(claim_id=view.claim_id, job=view.job)


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenger:
    """Refutes a claim if it is false, and leaves a true one alone.

    Parameters
    ----------
    me : Address
    run : Run
        Own run of the job's input.
    weights : mapping of Index to array
        Elements of the graph's Consts.
    served : Source
        Where bytes of the claim's trace may be.
    membership : tuple of bytes
        Proves that the job admits `me`, if it does not admit everyone.
    most_bytes : int
        Longest rows that a proof holds whole; of longer ones the results of their pieces are
        demanded. Nodes pass on no transaction above 128 KiB.
    """

    me: Address
    run: Run
    weights: Mapping[Index, Array]
    served: Source = field(default_factory=NothingServed)
    membership: tuple[bytes, ...] = ()
    most_bytes: int = 96 * 1024

    def next(self, view: GameView, /) -> Move | None:
        """The move to make now; None if there is none.

        Raises
        ------
        OwnRunError
            If the claim's trace differs from `run` and the claim's is right: then this run is
            wrong, and nothing should be bonded on it.
        """
        mine = self._mine(view)
        if view.claim.status is Status.REFUTED:
            return self._collect(view, mine)
        if view.claim.status is not Status.OPEN or not self.is_false(view):
            return None
        return self._open(view) or _end_silent(view) or self._show(view, mine)

    def knows(self, view: GameView) -> bool:
        """Whether `run` is of the claim's model, machine and input, so that it can tell."""
        job, own = view.job, self.run.trace
        found = (job.model, job.semantics, job.input)
        return found == (own.model, SEMANTICS, own.sections.input)

    def is_false(self, view: GameView) -> bool:
        """Whether the claim of another is known to be false.

        A committed trace with a wrong middle is false even if its output is right.
        """
        claim, own = view.claim, self.run.trace.sections
        if claim.proposer == self.me or not self.knows(view):
            return False
        # Of a body without tensors there is nothing to be wrong; a checked graph has outputs.
        _, bodies, _ = model_header(self.run.graph).tensors
        wrong_body = bodies and claim.committed_at and claim.body != own.body
        return bool(wrong_body or claim.output != own.output)

    def _mine(self, view: GameView) -> int | None:
        own = (number for number, c in view.unclosed() if c.challenger == self.me)
        return next(own, None)

    def _open(self, view: GameView) -> Move | None:
        opened = range(1, view.claim.challenges + 1)
        # One that ran out of time shows that this player is too slow: another would cost as much.
        if any(view.challenge(number).challenger == self.me for number in opened):
            return None
        if view.now > view.claim.window_end:
            return None
        return OpenChallenge(claim_id=view.claim_id, membership=self.membership)

    def _collect(self, view: GameView, mine: int | None) -> Move | None:
        if mine is None:
            return None
        # While it is looked for whose the reward is, each collection looks a little further.
        others = [number for number, _ in view.unclosed() if number != mine]
        number = others[0] if view.unpaid and others else mine
        return Collect(claim_id=view.claim_id, challenge=number)

    def _show(self, view: GameView, mine: int | None) -> Move | None:
        if not view.claim.committed_at:
            return None
        model = model_header(self.run.graph)
        sections = foreign_sections(view.statement, self.run.trace, model)
        shelf = shelf_of(view, sections, self.served)
        walk = Walk(nodes=shelf, root=sections.root, own=self.run)
        answering = self._answering(view, mine)
        try:
            return Refutation(
                view=view, run=self.run, weights=self.weights, walk=walk, mine=answering
            ).move(self.most_bytes)
        except (WithheldError, MalformedError) as e:
            # A malformed one is demanded too: nothing that the chain takes can answer that.
            return None if answering is None else self._demand(view, answering, e.ask)

    def _answering(self, view: GameView, mine: int | None) -> int | None:
        """Own challenge, if it may make a demand now."""
        if mine is None or view.challenge(mine).demands >= MOST_DEMANDS:
            return None
        if view.standing(mine) is not Standing.RUNNING or not view.clocks(mine).answered:
            return None
        return mine

    def _demand(self, view: GameView, mine: int, ask: Ask) -> EvidenceMove:
        return DemandBytes(
            claim_id=view.claim_id,
            challenge=mine,
            job=view.job,
            walk=walk_to(view, self.run.graph, ask),
            answering=view.challenge(mine).pending,
        )


def _end_idle(view: GameView) -> Move | None:
    return _end(view, Standing.CHALLENGER_OUT)


def _end_silent(view: GameView) -> Move | None:
    return _end(view, Standing.PROPOSER_OUT)


def _end(view: GameView, standing: Standing) -> Move | None:
    """End the first challenge of this standing."""
    for number, _ in view.unclosed():
        if view.standing(number) is standing:
            return Timeout(claim_id=view.claim_id, challenge=number, job=view.job)
    return None

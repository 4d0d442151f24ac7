"""A game without a chain: the state of the rules, and what was asked and answered in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from verifiable.dispute.evidence import statement_of
from verifiable.dispute.moves import DemandBytes, DemandPartials, Move, Reveal, RevealPartials
from verifiable.dispute.rules import Context, advance
from verifiable.dispute.state import State
from verifiable.dispute.terms import Demand, Job, partials_demand
from verifiable.dispute.view import GameView
from verifiable.dispute.walk import target
from verifiable.types import Bytes32, ClaimId


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Where players meet offline; every move gives a new table."""

    state: State
    demands: Mapping[Bytes32, Demand] = field(default_factory=dict)
    reveals: Mapping[Bytes32, bytes] = field(default_factory=dict)

    def play(self, move: Move, by: Context) -> "Table":
        """Play a move; raises as `dispute.rules.advance`."""
        after = replace(self, state=advance(self.state, move, by))
        match move:
            case DemandBytes():
                claim = self.state.claim(move.claim_id)
                statement = statement_of(self.state, move.claim_id, claim, move.job)
                asked = target(statement, move.claim_id, move.walk)
            case DemandPartials():
                claim = self.state.claim(move.claim_id)
                statement = statement_of(self.state, move.claim_id, claim, move.job)
                length = by.judge.partials_length(statement, move.proof)
                proof = move.proof
                asked = partials_demand(move.claim_id, proof.instruction, proof.element, length)
            case Reveal():
                return replace(after, reveals={**self.reveals, move.demand.id: move.data})
            case RevealPartials():
                place = (move.instruction, move.element)
                asked = partials_demand(move.claim_id, *place, len(move.partials))
                return replace(after, reveals={**self.reveals, asked.id: move.partials})
            case _:
                return after
        return replace(after, demands={**self.demands, asked.id: asked})

    def view(self, claim_id: ClaimId, job: Job, now: int) -> GameView:
        """What a player sees of a claim."""
        return GameView(
            state=self.state,
            now=now,
            claim_id=claim_id,
            job=job,
            demands={k: d for k, d in self.demands.items() if d.claim_id == claim_id},
            reveals={k: r for k, r in self.reveals.items() if self.demands[k].claim_id == claim_id},
        )

"""Disputes about one answer of a model, played on an embedded chain with the real contracts.

The second half of ``verifiable demo``: a true claim, a forged one whose bytes are served, and the
same with every byte withheld, each proposed and watched by the players of ``verifiable.dispute``.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from verifiable.chain.agent import Agent, Tick
from verifiable.chain.embedded import EmbeddedChain
from verifiable.chain.venue import Venue, deploy_venue
from verifiable.claim import CanonClaim, CanonSubject, Header, claim_id
from verifiable.crypto.hashing import sha256
from verifiable.dispute.players import Challenger, Player, Proposer
from verifiable.dispute.shelf import NothingServed, Source
from verifiable.dispute.state import Status
from verifiable.dispute.terms import Job, Policy
from verifiable.graph.ir import Array, Const, Graph, Index, Weights
from verifiable.graph.vocabulary import SEMANTICS
from verifiable.serving.stored import StoredSource
from verifiable.trace.store import StoredTrace, store_run
from verifiable.types import Bytes32

if TYPE_CHECKING:
    from verifiable.engines.protocol import Progress, Watcher

ETHER = 10**18
POLICY = Policy(
    window=3_600, allowance=7_200, bond=ETHER, challenge_bond=ETHER // 10,
    reveal_fee=ETHER // 1_000, burnt_share=3_000, requester_share=1_000, refuter_gas=ETHER // 100,
)  # fmt: skip
DEPOSIT = 10 * ETHER
PRICE = ETHER // 100
SECONDS = 600
"""That pass when nobody has a move to make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one claim ended."""

    claim: str
    verdict: str
    moves: tuple[str, ...]
    """Transactions of both sides, the first of which posts the claim."""
    gas: int
    """Of all but that first one."""
    proposer: int
    """Wei that the proposer ended with above the deposit; below, if negative."""
    challenger: int


@dataclass(frozen=True, slots=True)
class _Altered:
    """Gives the tensors of a run again, but for one."""

    run_: StoredTrace
    weights: Weights
    index: Index
    tensor: Array

    def run(
        self,
        _inputs: Mapping[str, Array],
        *,
        watch: "Watcher | None" = None,
        progress: "Progress | None" = None,  # noqa: ARG002
    ) -> dict[str, Array]:
        """Show every tensor, and give the outputs."""
        graph, found = self.run_.graph, {}
        for i, instruction in enumerate(graph.instructions):
            index = Index(i)
            if index == self.index:
                tensor = self.tensor
            elif isinstance(instruction, Const):
                tensor = self.weights[index]
            else:
                tensor = self.run_.tensor(index)
            found[index] = tensor
            if watch is not None:
                watch(index, tensor)
        return {name: found[index] for name, index in graph.outputs}


def swapped(scores: Array) -> Array:
    """Scores with the two largest in each other's place: another answer, of the same look."""
    found = scores.copy()
    flat = found.reshape(-1)
    second, first = np.argsort(flat)[-2:]
    flat[[first, second]] = flat[[second, first]]
    return found


def play(
    graph: Graph,
    weights: Weights,
    inputs: Mapping[str, Array],
    folder: Path,
    tell: Callable[[str], None],
) -> list[Outcome]:
    """Play the three claims.

    Parameters
    ----------
    graph : Graph
        Of one output; a Dot, a Map or the like has made it.
    weights : mapping of Index to array
    inputs : mapping of str to array
    folder : Path
        For the traces.
    tell : callable
        Is told if the native engine is missing.

    Returns
    -------
    list of Outcome
    """
    from verifiable.engines.choice import choose

    honest, _ = store_run(
        folder / "trace", graph, choose(None, tell).prepare(graph, weights), inputs
    )
    ((_, last),) = graph.outputs
    altered = _Altered(honest, weights, last, swapped(honest.tensor(last)))
    forged, _ = store_run(folder / "forged", graph, altered, inputs)
    nothing = NothingServed()
    cases: tuple[tuple[str, StoredTrace, Source], ...] = (
        ("true", honest, nothing),
        ("forged, bytes served", forged, StoredSource(forged)),
        ("forged, bytes withheld", forged, nothing),
    )
    court = _Court(weights)
    return [court.dispute(name, honest, claimed, source) for name, claimed, source in cases]


class _Court:
    """A referee, and three people with money."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._chain = EmbeddedChain(time=int(time.time()))
        self._venue: Venue = deploy_venue(self._chain, POLICY)
        self._people = self._chain.accounts[1:4]
        vault = self._venue.vault(self._chain)
        for who in self._people:
            vault.deposit(who, DEPOSIT, sender=who)
            for name in ("Referee", "JobRegister"):
                vault.allow(self._venue.addresses[name], sender=who)

    def dispute(
        self, name: str, honest: StoredTrace, claimed: StoredTrace, source: Source
    ) -> Outcome:
        """One job, one claim, and a challenger who runs the job again."""
        _, provider, challenger = self._people
        job, claim = self._claimed(name, claimed)
        vault = self._venue.vault(self._chain)
        before = [vault.free(who) for who in (provider, challenger)]
        makers: tuple[Callable[[], Player], ...] = (
            lambda: Proposer(claim=claim, job=job, run=claimed, weights=self._weights),
            lambda: Challenger(me=challenger, run=honest, weights=self._weights, served=source),
        )
        ticks = self._ticks(job, claim, makers)
        after = [vault.free(who) for who in (provider, challenger)]
        status = self._venue.referee(self._chain).claim(claim_id(claim)).status
        sent = [(type(t.move).__name__, t.sent.gas) for t in ticks if t.sent is not None]
        return Outcome(
            claim=name,
            verdict=status.name.lower(),
            moves=tuple(move for move, _ in sent),
            gas=sum(gas for _, gas in sent[1:]),
            proposer=after[0] - before[0],
            challenger=after[1] - before[1],
        )

    def _claimed(self, name: str, claimed: StoredTrace) -> tuple[Job, CanonClaim]:
        requester, provider, _ = self._people
        referee, register = self._venue.addresses["Referee"], self._venue.register(self._chain)
        whole, later = claimed.trace.sections, self._chain.block_time() + 10 * POLICY.window
        job = Job(
            requester=requester, referee=referee, model=claimed.trace.model, input=whole.input,
            semantics=SEMANTICS, price=PRICE, deadline=later,
            salt=Bytes32(sha256(name.encode())),
        )  # fmt: skip
        register.open(job)
        header = Header(
            venue="optimistic", semantics=SEMANTICS, job_id=register.id_of(job),
            nonce=Bytes32(bytes(32)), chain_id=self._chain.chain_id, verifier=referee,
            expiry=later, provider=provider,
        )  # fmt: skip
        subject = CanonSubject(model=claimed.trace.model, input=whole.input, output=whole.output)
        return job, CanonClaim(header=header, subject=subject)

    def _ticks(
        self, job: Job, claim: CanonClaim, makers: tuple[Callable[[], Player], ...]
    ) -> list[Tick]:
        """Let both look in turn, each made anew, until the claim is decided and all is settled."""
        referee, key = self._venue.referee(self._chain), claim_id(claim)
        done: list[Tick] = []
        while True:
            agents = (
                Agent(referee=referee, player=make(), claim_id=key, job=job) for make in makers
            )
            moved = [tick for tick in (agent.tick() for agent in agents) if tick.move is not None]
            done += moved
            if not moved:
                if referee.claim(key).status in (Status.FINAL, Status.REFUTED):
                    return done
                self._chain.advance(SECONDS)


HEADINGS = ("claim", "verdict", "after it was posted", "gas", "proposer", "challenger")


def rows(outcomes: list[Outcome]) -> list[tuple[str, ...]]:
    """Of the table that the demo prints."""
    return [
        (o.claim, o.verdict, _told(o.moves[1:]), f"{o.gas:,}", _ether(o.proposer),
         _ether(o.challenger))
        for o in outcomes
    ]  # fmt: skip


def _told(moves: tuple[str, ...]) -> str:
    counts = ((move, moves.count(move)) for move in dict.fromkeys(moves))
    return ", ".join(move if n == 1 else f"{n} {move}" for move, n in counts)


def _ether(wei: int) -> str:
    return f"{wei / ETHER:+.3f}"

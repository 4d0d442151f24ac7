"""The rules and the contract play the same games: same refusals, same records, same wei."""

from dataclasses import replace
from typing import Any

import pytest
from costly import costly_machine
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from referee_lab import (
    ALICE,
    BOB,
    CAROL,
    PEOPLE,
    PROPOSER,
    REQUESTER,
    STRANGER,
    playing,
    verdict_proof,
)
from walk_material import GARBAGE, NO_DEMAND, Site, site, spoilt

from verifiable.claim import claim_id
from verifiable.dispute.clocks import clocks_of
from verifiable.dispute.moves import (
    Collect,
    CommitTrace,
    DemandBytes,
    DemandPartials,
    Finalize,
    Move,
    OpenChallenge,
    Post,
    Refute,
    RefutePartials,
    RefutePiece,
    Reveal,
    RevealPartials,
    Timeout,
)
from verifiable.dispute.state import NO_ID, NO_ROOT, Status
from verifiable.dispute.terms import Demand, Form, Walk, Zone, partials_demand
from verifiable.dispute.walk import target
from verifiable.graph.ir import Index
from verifiable.types import Address, Bytes32, ClaimId, Sha256

pytestmark = pytest.mark.evm

JOBS = 4
NUMBERS = 12
people = st.sampled_from(PEOPLE)
numbers = st.integers(0, 7)
at_ = st.integers(0, NUMBERS)
often = st.sampled_from((True, True, True, True, True, False))
"""Whether a move is made as it ought to be."""


class Dispute(RuleBasedStateMachine):
    """A few claims on a few jobs, everybody moving at random, well and badly."""

    @initialize(maps=st.sampled_from((2, 70)), eager=often)
    def begin(self, maps: int, eager: bool) -> None:
        self.table = playing()
        self.game = self.table.__enter__()
        self.site: Site = site(maps)
        self.claims: list[ClaimId] = []
        self.demands: list[Demand] = [NO_DEMAND]
        self.partials: list[tuple[ClaimId, int]] = []
        self.nonce = 0
        said = self.site.statement
        for number in range(JOBS):
            self.game.job(number, model=said.model, input=said.input)
        # Most games begin in mid-dispute: at random they would seldom get so far.
        if not eager:
            return
        for number in range(2):
            job = list(self.game.jobs.values())[number]
            told = {"nonce": 100 + number, "output": said.output}
            self.claims.append(self.game.post(job, said.body, **told))
            self.game.challenge(self.claims[number], ALICE)

    def teardown(self) -> None:
        if hasattr(self, "table"):
            self.table.__exit__(None, None, None)

    @invariant()
    def nothing_is_held_where_all_is_over(self) -> None:
        if not hasattr(self, "game"):
            return
        state = self.game.state
        policy = state.policy
        bonds = [0, 0]
        for key, claim in state.claims.items():
            bonds[0] += policy.bond if claim.status is Status.OPEN else state.unpaid.get(key, 0)
            bonds[1] += policy.challenge_bond * claim.open
        # Nobody pays for what another asked before; fees are reserved eight at a time.
        asked = [a.challenge for a in state.answers.values()]
        assert sum(r.paid for r in state.records.values()) == len(asked)
        rounds = sum((r.paid + 7) // 8 for r in state.records.values() if not r.closed)
        fees = policy.reveal_fee * 8 * rounds
        held = sum(v for (_, who), v in state.vault.reserved.items() if who == state.referee)
        assert held == sum(bonds) + fees

    def job_of(self, claim: ClaimId) -> Any:
        for key, job in self.game.jobs.items():
            if self.game.state.register.claims.get(key) == claim:
                return job
        return next(iter(self.game.jobs.values()))

    def pick(self, number: int) -> ClaimId:
        """A claim, mostly one that is open."""
        claims = [c for c in self.claims if self.game.state.claim(c).status is Status.OPEN]
        among = claims if claims and number else self.claims
        return among[number % len(among)]

    def fallen(self, number: int) -> ClaimId:
        """A claim, mostly one that is refuted."""
        claims = [c for c in self.claims if self.game.state.claim(c).status is Status.REFUTED]
        return claims[number % len(claims)] if claims and number else self.pick(number)

    def number_of(self, claim: ClaimId, at: int) -> int:
        """Number of a challenge, mostly of one that is there."""
        count = self.game.state.claim(claim).challenges
        return at if at in (0, NUMBERS) or not count else 1 + at % count

    def challenger(self, claim: ClaimId, number: int, fallback: Address) -> Address:
        record = self.game.state.records.get((claim, number))
        return record.challenger if record else fallback

    def play(self, move: Move, sender: Address) -> bool:
        return not self.game.play(move, sender).names

    @precondition(lambda self: len(self.claims) < 4)
    @rule(
        number=st.integers(0, JOBS - 1),
        who=st.sampled_from((PROPOSER, BOB)),
        eager=st.booleans(),
        right=often,
        odd=st.sampled_from(("expiry", "model", "input", "sender", "job", "again")),
    )
    def post(self, number: int, who: Address, eager: bool, right: bool, odd: str) -> None:
        jobs = list(self.game.jobs.values())
        job = jobs[number]
        self.nonce += 1
        said = self.site.statement
        told: dict[str, Any] = {"provider": who, "nonce": self.nonce, "output": said.output}
        if not right and odd == "expiry":
            told["expiry"] = self.game.now - 1
        if not right and odd in {"model", "input"}:
            told[odd] = GARBAGE
        if not right and odd == "again" and self.claims:
            told |= {"nonce": 1}
        claim = self.game.claim(job, **told)
        named = jobs[number - 1] if not right and odd == "job" else job
        sender = STRANGER if not right and odd == "sender" else who
        move = Post(claim=claim, job=named, body=said.body if eager else NO_ROOT)
        if self.play(move, sender):
            self.claims.append(claim_id(claim))

    @rule(seconds=st.sampled_from((0, 1, 2, 7)))
    def wait(self, seconds: int) -> None:
        self.game.chain.advance(seconds)

    @precondition(lambda self: self.claims)
    @precondition(lambda self: any(d.id for d in self.demands[3:]) or self.nonce > 3)
    @rule(number=numbers, slack=st.sampled_from((-1, 0, 1)))
    def wait_for_a_border(self, number: int, slack: int) -> None:
        """To one second before, at, or after the end of a clock or a window."""
        state, now = self.game.state, self.game.now
        borders = []
        for key, claim in state.claims.items():
            borders.append(claim.window_end - now)
            for at in range(1, claim.challenges + 1):
                clocks = clocks_of(state, key, at, now)
                borders.append(clocks.left(state.policy.allowance))
        ahead = sorted({b + slack for b in borders if b + slack > 0})
        if ahead:
            self.game.chain.advance(ahead[number % len(ahead)])

    @precondition(lambda self: self.claims)
    @rule(number=numbers, who=st.sampled_from((ALICE, BOB, CAROL, PROPOSER)))
    def challenge(self, number: int, who: Address) -> None:
        self.play(OpenChallenge(claim_id=self.pick(number)), who)

    @precondition(lambda self: self.claims)
    @rule(number=numbers, right=often, body=st.sampled_from((GARBAGE, NO_ROOT)), who=people)
    def commit(self, number: int, right: bool, body: Sha256, who: Address) -> None:
        claim = self.pick(number)
        sender = self.game.state.claim(claim).proposer if right else who
        whole = self.site.statement.body if right or who == PROPOSER else body
        self.play(CommitTrace(claim_id=claim, body=whole), sender)

    @precondition(lambda self: self.claims)
    @rule(
        number=numbers,
        who=people,
        element=st.sampled_from((0, 0, 0, 0, 0, 0, 2, 2, 1)),
        right=often,
    )
    def refute(self, number: int, who: Address, element: int, right: bool) -> None:
        claim = self.pick(number)
        job = self.job_of(claim) if right else list(self.game.jobs.values())[number % 2]
        self.play(Refute(claim_id=claim, job=job, proof=verdict_proof(element)), who)

    def walk(self, pending: Bytes32, seed: int) -> Walk:
        """A walk that fits what the challenge has seen, or a fresh one."""
        said = self.site
        seen = [d for d in self.demands if d.id == pending]
        if seen and seed % 4 and seen[0].form in (Form.NODES, Form.TENSOR):
            start = seen[0]
            at = start.at
            level = at.height - 1 - seed % min(at.height, 6) if at.height else 0
            tree = said.zone(at.zone) if at.zone < Zone.TENSOR else said.tree_under(start)
            span = at.height - level
            below = [
                i for i in range(at.index << span, (at.index + 1) << span) if tree.is_node(level, i)
            ]
            if below:
                return said.on(start, level, below[seed % len(below)])
        zone = seed % 5
        if zone == Zone.TENSOR:
            return said.into_const(Index(1))
        tree = said.zone(zone)
        level = seed // 5 % (tree.height + 1)
        wide = [i for i in range(1 << (tree.height - level)) if tree.is_node(level, i)]
        return said.walk(zone, level, wide[seed % len(wide)])

    @precondition(lambda self: self.claims)
    @rule(
        number=numbers,
        at=at_,
        seed=st.integers(0, 10**6),
        right=often,
        odd=st.sampled_from(
            (
                "sender",
                "state",
                "node",
                "index",
                "height",
                "start",
                "zone",
                "siblings",
                "crossing",
                "type",
                "header",
            )
        ),
    )
    def demand(self, number: int, at: int, seed: int, right: bool, odd: str) -> None:
        claim = self.pick(number)
        at = self.number_of(claim, at)
        record = self.game.state.records.get((claim, at))
        pending = record.pending if record else NO_ID
        walk = self.walk(pending, seed)
        sender = self.challenger(claim, at, ALICE)
        if not right:
            walk = spoilt(walk, odd, self.demands)
            sender = STRANGER if odd == "sender" else sender
            pending = Bytes32(GARBAGE) if odd == "state" else pending
        move = DemandBytes(
            claim_id=claim, challenge=at, job=self.job_of(claim), walk=walk, answering=pending
        )
        if self.play(move, sender):
            said = replace(self.site.statement, body=self.game.state.claim(claim).body)
            self.demands.append(target(said, claim, walk))

    @precondition(lambda self: len(self.demands) > 1)
    @rule(
        number=st.integers(0, 40),
        who=people,
        right=often,
        odd=st.sampled_from(("short", "long", "flip", "size", "empty")),
    )
    def reveal(self, number: int, who: Address, right: bool, odd: str) -> None:
        answers = self.game.state.answers
        bare = (Form.NONE, Form.PARTIALS)
        open_ = [d for d in self.demands if d.form not in bare and not answers[d.id].at]
        known = open_ if open_ and number else self.demands
        demand = known[number % len(known)]
        data = b"" if demand.form in bare else self.site.answer(demand)
        if not right:
            data = {"short": data[:-1], "long": data + b"\0", "empty": b""}.get(odd, data)
            if odd == "flip" and data:
                data = data[:-1] + bytes([data[-1] ^ 1])
            if odd == "size":
                demand = replace(demand, size=max(demand.size - 1, 0))
        self.play(Reveal(demand=demand, data=data), who)

    @precondition(lambda self: self.claims)
    @rule(number=numbers, at=at_, element=st.sampled_from((4, 4, 4, 12, 0, 2)))
    def demand_partials(self, number: int, at: int, element: int) -> None:
        claim = self.pick(number)
        at = self.number_of(claim, at)
        record = self.game.state.records.get((claim, at))
        move = DemandPartials(
            claim_id=claim, challenge=at, job=self.job_of(claim), proof=verdict_proof(element),
            answering=record.pending if record else NO_ID,
        )  # fmt: skip
        if self.play(move, self.challenger(claim, at, ALICE)):
            self.demands.append(partials_demand(claim, 0, element, 8))
            self.partials.append((claim, element))

    @precondition(lambda self: self.partials)
    @rule(
        number=numbers,
        element=st.sampled_from((4, 4, 12)),
        length=st.sampled_from((8, 8, 7)),
        filler=st.sampled_from((0, 0, 1)),
        right=often,
    )
    def reveal_partials(
        self, number: int, element: int, length: int, filler: int, right: bool
    ) -> None:
        claim, asked = self.partials[-1 - number % len(self.partials)]
        element = asked if number < 6 else element
        sender = self.game.state.claim(claim).proposer if right else ALICE
        move = RevealPartials(
            claim_id=claim, instruction=0, element=element, partials=bytes([filler] * length)
        )
        self.play(move, sender)

    @precondition(lambda self: self.partials)
    @rule(
        number=numbers,
        element=st.sampled_from((4, 4, 12)),
        piece=st.sampled_from((None, 0, 0, 0, 1)),
        filler=st.sampled_from((0, 0, 1)),
        who=people,
    )
    def refute_partials(
        self, number: int, element: int, piece: int | None, filler: int, who: Address
    ) -> None:
        """By a piece, or by what all of them give."""
        claim, asked = self.partials[-1 - number % len(self.partials)]
        element = asked if number < 6 else element
        shared: dict[str, Any] = {
            "claim_id": claim, "job": self.job_of(claim), "proof": verdict_proof(element),
            "partials": bytes([filler] * 8),
        }  # fmt: skip
        whole = RefutePartials(**shared)
        self.play(whole if piece is None else RefutePiece(**shared, piece=piece), who)

    @precondition(lambda self: self.claims)
    @rule(number=numbers, at=at_, who=people, right=often)
    def timeout(self, number: int, at: int, who: Address, right: bool) -> None:
        claim = self.pick(number)
        at = self.number_of(claim, at)
        job = self.job_of(claim) if right else list(self.game.jobs.values())[number % 2]
        self.play(Timeout(claim_id=claim, challenge=at, job=job), who)

    @precondition(lambda self: self.claims)
    @rule(number=numbers, who=people, right=often)
    def finalize(self, number: int, who: Address, right: bool) -> None:
        claim = self.pick(number)
        job = self.job_of(claim) if right else list(self.game.jobs.values())[number % 2]
        self.play(Finalize(claim_id=claim, job=job), who)

    @precondition(lambda self: self.claims)
    @rule(number=numbers, at=at_, who=people)
    def collect(self, number: int, at: int, who: Address) -> None:
        claim = self.fallen(number)
        self.play(Collect(claim_id=claim, challenge=self.number_of(claim, at)), who)

    @rule(who=st.sampled_from((ALICE, PROPOSER)), keep=st.sampled_from((0, 7, 1000)))
    def withdraw(self, who: Address, keep: int) -> None:
        """Leave so little that later bonds and fees may not be paid."""
        game = self.game
        amount = max(game.state.vault.free_of(who) - keep, 0)
        if amount > 500_000:
            return
        game.send("StakeVault", "withdraw", REQUESTER, amount, sender=who)
        game.withdrawn += amount
        game.state = replace(game.state, vault=game.state.vault.withdraw(who, amount))
        game.check()


TestFewDisputes, TestAllDisputes = costly_machine(Dispute)

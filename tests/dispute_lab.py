"""Claims about small graphs, true and forged, and games of players about them without a chain."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from graph_zoo import Case
from referee_lab import ALICE, PROPOSER, REQUESTER, START, account
from step_runs import Run, run_of
from trace_preimages import Preimages
from trace_runs import Liar, flipped, tensors_of

from verifiable.claim import CanonClaim, CanonSubject, Header, claim_id
from verifiable.crypto.tree import Tree
from verifiable.dispute.jobs import Register
from verifiable.dispute.judge import Recomputing
from verifiable.dispute.moves import Collect, Move, Refute, RefutePartials, RefutePiece
from verifiable.dispute.players import Challenger, Player, Proposer
from verifiable.dispute.record import Deployment, Ending, Played, Record
from verifiable.dispute.rules import Context
from verifiable.dispute.shelf import Source
from verifiable.dispute.state import State, Status
from verifiable.dispute.table import Table
from verifiable.dispute.terms import Job, Policy
from verifiable.dispute.vault import Vault
from verifiable.engines.protocol import Progress, Watcher
from verifiable.graph.commitment import model_root
from verifiable.graph.ir import (
    Array,
    Const,
    Dot,
    Gather,
    Graph,
    Index,
    Input,
    Literal,
    Map,
    Program,
    Reduce,
    Step,
    TensorType,
    View,
)
from verifiable.graph.tensors import tensor_root, tensor_tree
from verifiable.graph.vocabulary import DType, Fold, Scalar
from verifiable.serving.stored import StoredSource
from verifiable.trace.store import store_run
from verifiable.types import Address, Bytes32, ClaimId, Sha256

POLICY = Policy(
    window=100, allowance=500, bond=10**6, challenge_bond=10**5, reveal_fee=10, burnt_share=3_000,
    requester_share=1_000, refuter_gas=10**4,
)  # fmt: skip
REFEREE, REGISTER = account(90), account(91)
DEPOSIT = 10**8
PRICE = 777


@dataclass(frozen=True)
class Own(Run):
    """A run in memory that is all a player needs (``dispute.answers.Run``)."""

    def tree(self, index: Index, /) -> Tree:
        return tensor_tree(self.tensors[index])

    def mapped(self, index: Index, /) -> Array:
        return self.tensors[index]


def own_run(one: Case, tensors: Sequence[Array] | None = None) -> Own:
    found = run_of(one.graph, one.weights, tensors or tensors_of(one))
    return Own(found.graph, found.weights, found.tensors, found.trace)


@dataclass(frozen=True)
class Told:
    """A runner that shows whatever tensors it was given."""

    graph: Graph
    tensors: tuple[Array, ...]

    def run(
        self,
        inputs: Mapping[str, Array],  # noqa: ARG002
        *,
        watch: Watcher | None = None,
        progress: Progress | None = None,  # noqa: ARG002
    ) -> dict[str, Array]:
        for i, tensor in enumerate(self.tensors):
            if watch is not None:
                watch(Index(i), tensor)
        return {name: self.tensors[index] for name, index in self.graph.outputs}


def served(run: Own, one: Case, folder: Path) -> StoredSource:
    """Everything about a run, by digest."""
    return StoredSource(store_run(folder, one.graph, Told(one.graph, run.tensors), one.inputs)[0])


@dataclass(frozen=True)
class InMemory:
    """The same, one level of a tree at a time, by plain Python."""

    said: Mapping[bytes, bytes]

    def read(self, digest: Sha256, /) -> bytes | None:
        return self.said.get(digest)


def plainly_served(one: Case, run: Own) -> InMemory:
    nodes = Preimages()
    nodes.trace(one, list(run.tensors))
    return InMemory(nodes.said)


@dataclass(frozen=True)
class Withholding:
    """Serves a run but for the objects of some tags."""

    source: Source
    tags: frozenset[int]

    def read(self, digest: Sha256, /) -> bytes | None:
        data = self.source.read(digest)
        return None if data is not None and data[0] in self.tags else data


def network() -> Case:
    """Every kind of instruction, a border inside a tree, and operands in three sections."""
    rng = np.random.default_rng(7)
    f32, i64 = DType.F32, DType.I64
    x, w = TensorType(f32, (1, 40, 300)), TensorType(f32, (1, 24, 300))
    wide = TensorType(f32, (1, 40, 24))
    add = Program(steps=(Step(Scalar.ADD, (0, 1)),))
    weights = {Index(1): rng.standard_normal(w.shape).astype(np.float32)}
    graph = Graph(
        instructions=(
            Input(type=x),
            Const(type=w, root=tensor_root(weights[Index(1)])),
            Dot(type=wide, a=Index(0), b=Index(1)),
            Map(type=x, operands=(Index(0), Index(0)), program=add),
            Reduce(type=TensorType(f32, (1, 40)), x=Index(3), fold=Fold.SUM),
            View(
                type=TensorType(f32, (1, 40, 1)), x=Index(4), offset=0, strides=(40, 1, 1),
                low=(0, 0, 0), high=(1, 40, 1),
                fill=Literal(f32, 0),
            ),
            Map(type=wide, operands=(Index(2), Index(5)), program=add),
            Input(type=TensorType(i64, (1, 3))),
            Gather(type=TensorType(f32, (1, 3, 24)), x=Index(6), index=Index(7)),
        ),
        inputs=("x", "picked"),
        outputs=(("sums", Index(6)), ("rows", Index(8))),
    )  # fmt: skip
    inputs: dict[str, Array] = {
        "x": rng.standard_normal(x.shape).astype(np.float32),
        "picked": np.array([[3, -1, 39]], np.int64),
    }
    return Case(graph=graph, weights=weights, inputs=inputs, label="network()")


def lying(one: Case, index: Index, element: int) -> Own:
    """A bit is turned over, and all that follows from it follows."""
    return own_run(one, tensors_of(one, Liar(one, index, element)))


def wrong_middle(one: Case, index: Index, element: int) -> Own:
    """A bit is turned over, and nothing follows from it."""
    tensors = tensors_of(one)
    tensors[index] = flipped(tensors[index], element)
    return own_run(one, tensors)


def disputable(one: Case, tensors: Sequence[Array]) -> list[Index]:
    """Instructions with an element that can be wrong."""
    pairs = zip(one.graph.instructions, tensors, strict=True)
    given = (Input, Const)
    return [Index(i) for i, (ins, x) in enumerate(pairs) if x.size and not isinstance(ins, given)]


def job_of(run: Own, referee: Address = REFEREE, **changes: object) -> Job:
    told = {
        "requester": REQUESTER, "referee": referee, "model": model_root(run.graph),
        "input": run.trace.sections.input, "semantics": "canon/1", "price": PRICE,
        "deadline": 2**40,
    }  # fmt: skip
    return Job(**{**told, **changes})  # type: ignore[arg-type]


def claim_about(
    run: Own,
    key: Bytes32,
    referee: Address = REFEREE,
    *,
    chain_id: int = 31_337,
    provider: Address = PROPOSER,
) -> CanonClaim:
    whole = run.trace.sections
    return CanonClaim(
        header=Header(
            venue="optimistic", semantics="canon/1", job_id=key,
            nonce=Bytes32(bytes(32)), chain_id=chain_id, verifier=referee,
            expiry=2**40, provider=provider,
        ),
        subject=CanonSubject(
            model=model_root(run.graph), input=whole.input, output=whole.output
        ),
    )  # fmt: skip


@dataclass
class OfflineGame:
    """One claim at a table; players are made anew for each look."""

    table: Table
    job: Job
    claim: CanonClaim
    now: int = START
    moves: list[Played] = field(default_factory=list)

    @property
    def key(self) -> ClaimId:
        return claim_id(self.claim)

    @property
    def status(self) -> Status:
        return self.table.state.claim(self.key).status

    def play(self, move: Move, sender: Address) -> None:
        context = Context(sender=sender, now=self.now, judge=Recomputing())
        self.table = self.table.play(move, context)
        self.moves.append(Played(sender=sender, time=self.now, move=move))

    def names(self) -> list[str]:
        return [type(played.move).__name__ for played in self.moves]

    def record(self) -> Record:
        """All of it, with the verdict that the table came to."""
        claim = self.table.state.claim(self.key)
        ended = Ending(status=claim.status)
        if claim.status is Status.REFUTED:
            # Nothing but collections comes after it.
            last = next(p for p in reversed(self.moves) if not isinstance(p.move, Collect))
            ended = replace(ended, reason=claim.reason, by=last.sender)
            if isinstance(last.move, Refute | RefutePartials | RefutePiece):
                proof = last.move.proof
                ended = replace(ended, instruction=proof.instruction, element=proof.element)
        place = Deployment(chain_id=31_337, referee=REFEREE, register=REGISTER, policy=POLICY)
        return Record(
            deployment=place, claim=self.claim, job=self.job, moves=tuple(self.moves),
            verdict=ended,
        )  # fmt: skip

    def tick(self, make: Callable[[], Player]) -> bool:
        """Let a new player look; whether it moved."""
        player = make()
        move = player.next(self.table.view(self.key, self.job, self.now))
        if move is not None:
            self.play(move, player.me)
        return move is not None

    def run(self, *makers: Callable[[], Player], seconds: int = 10, most: int = 400) -> Status:
        """Until the claim is decided and nobody has anything left to do."""
        for _ in range(most):
            moved = [self.tick(make) for make in makers]
            if not any(moved):
                if self.status in (Status.FINAL, Status.REFUTED):
                    return self.status
                self.now += seconds
        raise AssertionError("the game does not end")


def offline(claimed: Own) -> OfflineGame:
    """A job for the run's input is open, and everybody has money."""
    job = job_of(claimed)
    register, vault = Register(chain_id=31_337, address=REGISTER), Vault()
    for who in (REQUESTER, PROPOSER, ALICE, *(account(i) for i in range(3, 6))):
        vault = vault.deposit(who, DEPOSIT).allow(who, REFEREE).allow(who, REGISTER)
    register, vault = register.open(job, vault, REQUESTER, START)
    state = State(referee=REFEREE, policy=POLICY, register=register, vault=vault)
    claim = claim_about(claimed, register.id_of(job))
    return OfflineGame(Table(state=state), job, claim)


def proposer(game: OfflineGame, one: Case, run: Own, *, eager: bool = False) -> Proposer:
    return Proposer(claim=game.claim, job=game.job, run=run, weights=one.weights, eager=eager)


def challenger(one: Case, run: Own, me: Address = ALICE, **more: object) -> Challenger:
    return Challenger(me=me, run=run, weights=one.weights, **more)  # type: ignore[arg-type]


LENGTH = 3_000


def long_sum() -> Case:
    """Rows that take twelve leaves each."""
    x, y = TensorType(DType.I32, (2, LENGTH)), TensorType(DType.I32, (2,))
    graph = Graph(
        instructions=(Input(type=x), Reduce(type=y, x=Index(0), fold=Fold.SUM)),
        inputs=("x",),
        outputs=(("y", Index(1)),),
    )
    values = np.random.default_rng(3).integers(-1000, 1000, x.shape, np.int32)
    return Case(graph=graph, weights={}, inputs={"x": values}, label="long_sum()")


def pieced(one: Case, run: Own) -> Callable[[], Player]:
    return lambda: challenger(one, run, most_bytes=LENGTH)

"""A whole dispute about GPT-2 on 128 tokens, of which the proposer serves no byte."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from gas_venue import Court, Dispute

from verifiable.chain.agent import Tick
from verifiable.crypto.tree import Tree
from verifiable.dispute.moves import Move, RevealPartials
from verifiable.dispute.players import Challenger, Proposer
from verifiable.dispute.prove import prove_combination
from verifiable.dispute.step import check_combination, statement_of
from verifiable.dispute.view import GameView
from verifiable.graph.ir import Array, Dot, Graph, Index, Map
from verifiable.graph.tensors import tensor_root, tensor_tree
from verifiable.trace.commit import Trace, sections
from verifiable.trace.opening import TraceOpening, open_trace_leaf, open_trace_row
from verifiable.trace.store import StoredTrace, store_run
from verifiable.types import Address

Weights = Mapping[Index, Array]

WHOLE_ROWS: Final = 8 * 1024
"""Bytes of the longest rows that the challenger opens whole: of longer ones the results of their
pieces cost less."""
REACH: Final = 1_000


@dataclass(frozen=True, slots=True)
class Forged:
    """A run of which some tensors are others."""

    honest: StoredTrace
    changed: Mapping[Index, Array]
    trace: Trace

    @property
    def graph(self) -> Graph:
        """The graph that was run."""
        return self.honest.graph

    def tree(self, index: Index, /) -> Tree:
        """Tree of a tensor."""
        found = self.changed.get(index)
        return self.honest.tree(index) if found is None else tensor_tree(found)

    def mapped(self, index: Index, /) -> Array:
        """A tensor."""
        return self.changed.get(index, self.honest.mapped(index))

    def open_leaf(self, index: Index, leaf: int, /) -> TraceOpening:
        """Open a leaf."""
        return open_trace_leaf(self.graph, self.trace, index, self.mapped(index), leaf)

    def open_row(self, index: Index, row: int, /) -> TraceOpening:
        """Open a row."""
        return open_trace_row(self.graph, self.trace, index, self.mapped(index), row)


def forge(honest: StoredTrace, *places: Index) -> Forged:
    """Turn over a bit in the middle of some tensors; nothing else follows from it."""
    changed = {}
    roots = list(honest.trace.roots)
    for index in places:
        bits = honest.tensor(index).view(np.uint32)
        bits.reshape(-1)[bits.size // 2] ^= 1
        changed[index] = bits.view(np.float32)
        roots[index] = tensor_root(changed[index])
    whole = sections(honest.graph, roots)
    trace = replace(honest.trace, roots=tuple(roots), sections=whole)
    return Forged(honest, changed, trace)


@dataclass(frozen=True, slots=True)
class Brazen:
    """A proposer whose partial results give the false element: the last of them is false too."""

    proposer: Proposer

    @property
    def me(self) -> Address:
        """The claim's provider."""
        return self.proposer.me

    def next(self, view: GameView, /) -> Move | None:
        """What the proposer does, but for partial results."""
        move = self.proposer.next(view)
        if not isinstance(move, RevealPartials):
            return move
        last = int.from_bytes(move.partials[-4:], "big")
        # A bit of the sum is worth so many of a smaller addend.
        place = (Index(move.instruction), move.element)
        asked = (self.proposer.run.graph, self.proposer.weights, self.proposer.run, *place)
        proof = prove_combination(*asked)
        for near in sorted(range(last - REACH, last + REACH), key=lambda bits: abs(bits - last)):
            partials = move.partials[:-4] + near.to_bytes(4, "big")
            if not check_combination(view.statement, proof, partials).differs:
                return replace(move, partials=partials)
        raise RuntimeError("no last partial result gives the false element")


def longest_dot(graph: Graph) -> Index:
    """The last Dot of the longest rows: no element costs more to refute."""
    lengths = {
        Index(i): graph.instructions[ins.a].type.shape[-1]
        for i, ins in enumerate(graph.instructions)
        if isinstance(ins, Dot)
    }
    return max(lengths, key=lambda i: (lengths[i], i))


def widest_map(graph: Graph) -> Index:
    """The last of the Maps of the most elements: only rows cost more to refute."""
    sizes = {
        Index(i): ins.type.size for i, ins in enumerate(graph.instructions) if isinstance(ins, Map)
    }
    return max(sizes, key=lambda i: (sizes[i], i))


def dispute(
    where: Court, number: int, honest: StoredTrace, weights: Weights, wrong: Index
) -> list[Tick]:
    """Play it: a tensor of the middle is wrong, and so is the output.

    Returns
    -------
    list of Tick
        All moves, from `Post` to the one that refutes the claim.
    """
    output = honest.graph.outputs[0][1]
    forged = forge(honest, wrong, output)
    found: Dispute = where.dispute(statement_of(forged.trace), number)
    proposer = Proposer(claim=found.claim, job=found.job, run=forged, weights=weights)
    challenger = Challenger(me=where.challenger, run=honest, weights=weights, most_bytes=WHOLE_ROWS)
    return where.run(found, Brazen(proposer), challenger)


def gpt2(folder: Path) -> tuple[StoredTrace, Weights]:
    """Run GPT-2 of random weights on 128 tokens, and store all tensors."""
    from architectures import architecture

    from verifiable.engines.cpu import Cpu
    from verifiable.frontend.lower import lower

    made = architecture("gpt2")
    graph, weights = lower(made.onnx())
    runner = Cpu(threads=1).prepare(graph, weights)
    return store_run(folder, graph, runner, made.inputs)[0], weights


def withheld(where: Court, number: int) -> tuple[list[Tick], list[Tick]]:
    """Disputes about a wrong element of the longest Dot, and of the widest Map."""
    with tempfile.TemporaryDirectory() as folder:
        honest, weights = gpt2(Path(folder) / "run")
        wrong = (longest_dot(honest.graph), widest_map(honest.graph))
        dot, scalar = (
            dispute(where, number + i, honest, weights, index) for i, index in enumerate(wrong)
        )
    return dot, scalar

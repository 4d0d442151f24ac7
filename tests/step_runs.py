"""Runs of zoo graphs held in memory, true and forged, and proofs with any one field changed."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from typing import Any

from graph_zoo import Case
from trace_runs import flipped, tensors_of

from verifiable.crypto import merkle
from verifiable.dispute.step import Statement, StepProof, TensorOpening, statement_of
from verifiable.engines.protocol import Runner
from verifiable.graph.commitment import (
    InstructionOpening,
    Slot,
    instruction_leaf,
    model_root,
    open_instruction,
    trace_slots,
)
from verifiable.graph.encoding import descriptor
from verifiable.graph.ir import Array, Const, Graph, Index, Input, operands
from verifiable.graph.tensors import Opening, open_leaf, seal, tensor_root
from verifiable.trace.commit import Trace, sections
from verifiable.trace.opening import TraceOpening, open_trace_leaf, open_trace_row
from verifiable.types import Sha256


@dataclass(frozen=True, slots=True)
class Run:
    """Tensors that somebody says a graph has written, and the trace over them."""

    graph: Graph
    weights: dict[Index, Array]
    tensors: tuple[Array, ...]
    trace: Trace

    def open_leaf(self, index: Index, leaf: int) -> TraceOpening:
        return open_trace_leaf(self.graph, self.trace, index, self.tensors[index], leaf)

    def open_row(self, index: Index, row: int) -> TraceOpening:
        return open_trace_row(self.graph, self.trace, index, self.tensors[index], row)

    def forge(self, instruction: Index, element: int, mask: int) -> "Run":
        """The same with some bits of one element turned over; what follows is anything."""
        changed = list(self.tensors)
        changed[instruction] = flipped(changed[instruction], element, mask)
        return run_of(self.graph, self.weights, changed)


def run_of(graph: Graph, weights: dict[Index, Array], tensors: Sequence[Array]) -> Run:
    roots = tuple(
        ins.root if isinstance(ins, Const) else tensor_root(tensor)
        for ins, tensor in zip(graph.instructions, tensors, strict=True)
    )
    trace = Trace(model=model_root(graph), roots=roots, sections=sections(graph, roots))
    return Run(graph, weights, tuple(tensors), trace)


def honest(one: Case, runner: Runner | None = None) -> Run:
    return run_of(one.graph, one.weights, tensors_of(one, runner))


def disputable(run: Run, seed: int, count: int = 2) -> Iterator[tuple[Index, int]]:
    """Some elements of each instruction that computes any."""
    rng = random.Random(seed)
    for i, ins in enumerate(run.graph.instructions):
        if not isinstance(ins, Input | Const) and ins.type.size:
            ends = (0, ins.type.size - 1)
            yield Index(i), rng.choice(ends)
            for _ in range(count - 1):
                yield Index(i), rng.randrange(ins.type.size)


def remodelled(
    run: Run, proof: StepProof, index: Index, slot: Slot | None = None, said: bytes | None = None
) -> tuple[Statement, StepProof]:
    """The same, had the model another slot for an instruction, or said something else of it."""
    pairs = zip(trace_slots(run.graph), run.graph.instructions, strict=True)
    told = [(slot, descriptor(ins)) for slot, ins in pairs]
    told[index] = (slot or told[index][0], told[index][1] if said is None else said)
    leaves = [instruction_leaf(*one) for one in told]

    def moved(opening: TensorOpening, place: Index) -> TensorOpening:
        # An operand's path ends where it meets the result's.
        siblings = merkle.path(merkle.rows_of(leaves), place)[: len(opening.instruction.siblings)]
        slot, data = told[place]
        instruction = InstructionOpening(slot=slot, descriptor=data, siblings=siblings)
        return replace(opening, instruction=instruction)

    header = replace(proof.header, tree=merkle.tree_root(leaves))
    read = zip(proof.operands, operands(run.graph.instructions[proof.instruction]), strict=False)
    changed = replace(
        proof,
        header=header,
        result=moved(proof.result, proof.instruction),
        operands=tuple(moved(opening, place) for opening, place in read),
    )
    return replace(statement_of(run.trace), model=header.root), changed


def with_tree(run: Run, tree: Sha256) -> Statement:
    """The statement of a run, had its last tensor a tree of this root."""
    kind = run.graph.instructions[-1].type
    roots = (*run.trace.roots[:-1], seal(kind, tree))
    trace = Trace(model=run.trace.model, roots=roots, sections=sections(run.graph, roots))
    return statement_of(trace)


def showing(proof: StepProof, data: bytes) -> StepProof:
    """A proof that shows these bytes as the one leaf of the result."""
    return replace(proof, result=replace(proof.result, part=Opening(data, ())))


def about_what_is_given(run: Run, proof: StepProof, index: Index) -> StepProof:
    """A well-formed proof about the first element of an Input or a Const."""
    instruction = open_instruction(run.graph, index)
    if isinstance(run.graph.instructions[index], Const):
        part = open_leaf(run.tensors[index], 0)
        result = TensorOpening(instruction=instruction, part=part, above=())
    else:
        opened = run.open_leaf(index, 0)
        result = TensorOpening(instruction=instruction, part=opened.part, above=opened.siblings)
    return replace(proof, instruction=index, element=0, result=result, operands=())


def marred(proof: StepProof, rng: random.Random) -> Iterator[tuple[str, StepProof]]:
    """The proof with each field changed in turn, and each sequence cut, grown or turned."""
    for path, changed in _changes(proof, rng, "proof"):
        if not path.endswith("semantics"):
            yield path, changed


def _changes(value: Any, rng: random.Random, path: str) -> Iterator[tuple[str, Any]]:
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            inner = getattr(value, field.name)
            for where, changed in _changes(inner, rng, f"{path}.{field.name}"):
                yield where, replace(value, **{field.name: changed})
    elif isinstance(value, Enum):
        kind = type(value)
        yield path, rng.choice([other for other in kind if other is not value])
    elif isinstance(value, int):
        yield path, value + 1
        if value:
            yield path, value - 1
    elif isinstance(value, bytes):
        yield from _changed_bytes(value, rng, path)
    elif isinstance(value, tuple):
        yield from _changed_tuple(value, rng, path)


def _changed_bytes(value: bytes, rng: random.Random, path: str) -> Iterator[tuple[str, bytes]]:
    if value:
        place = rng.randrange(len(value))
        other = bytearray(value)
        other[place] ^= 1 << rng.randrange(8)
        yield f"{path}[{place}]", bytes(other)
    if not path.endswith(("]", "tree", "borders")):
        yield f"{path}+", value + b"\0"
        if value:
            yield f"{path}-", value[:-1]


def _changed_tuple(
    value: tuple[Any, ...], rng: random.Random, path: str
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for place, inner in enumerate(value):
        for where, changed in _changes(inner, rng, f"{path}[{place}]"):
            yield where, (*value[:place], changed, *value[place + 1 :])
    if path.endswith("tensors"):
        return
    added = value[-1] if value else rng.randbytes(32)
    if value or not path.endswith("operands"):
        yield f"{path}+", (*value, added)
    if value:
        yield f"{path}-", value[:-1]
    if value[::-1] != value:
        yield f"{path} reversed", value[::-1]

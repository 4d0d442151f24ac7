"""Proofs about one element of a large model's trace, for measuring what they cost on chain.

The model has 2,000 instructions and the tensors that matter 2**26 elements each, so that every path
is as long as in a real dispute. No such tensor is made: of each one leaf or row is made up, and the
siblings on its way to the root.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from verifiable.crypto.merkle import path, path_length, rows_of
from verifiable.dispute.prove import prove_step
from verifiable.dispute.step import Statement, StepProof, statement_of
from verifiable.graph.commitment import model_root, trace_slots
from verifiable.graph.ir import (
    Array,
    Concat,
    Dot,
    Gather,
    Graph,
    Index,
    Input,
    Instruction,
    Literal,
    Map,
    Program,
    Reduce,
    Step,
    TensorType,
    View,
)
from verifiable.graph.layout import big_endian, layout
from verifiable.graph.tensors import Opening, root_from_leaf, root_from_row
from verifiable.graph.vocabulary import DType, Fold, Scalar
from verifiable.trace.commit import Trace, roots_of, sections
from verifiable.trace.opening import TraceOpening, opening_at
from verifiable.types import Sha256

INSTRUCTIONS: Final = 2_000


@dataclass
class MadeUp:
    """A committed run of which only what is opened exists."""

    graph: Graph
    rng: np.random.Generator
    opened: dict[Index, tuple[Opening, Sha256]] = field(default_factory=dict)

    @property
    def trace(self) -> Trace:
        """Roots of what has been opened, and of tensors that nobody knows."""
        count = len(self.graph.instructions)
        roots = [Sha256(i.to_bytes(32, "big")) for i in range(count)]
        for index, (_, root) in self.opened.items():
            roots[index] = root
        return Trace(
            model=model_root(self.graph), roots=tuple(roots), sections=sections(self.graph, roots)
        )

    def open_leaf(self, index: Index, leaf: int) -> TraceOpening:
        """The one leaf of a tensor, made up when it is first asked for."""
        kind = self.graph.instructions[index].type
        if index not in self.opened:
            plan = layout(kind)
            tree, place = divmod(leaf, plan.leaves_of_tree)
            siblings = self._siblings(plan.leaves_of_tree, place) + self._siblings(plan.trees, tree)
            part = Opening(self._elements(kind, len(plan.elements(leaf))), siblings)
            self.opened[index] = part, root_from_leaf(kind, leaf, part)
        return self._opening(index)

    def open_row(self, index: Index, row: int) -> TraceOpening:
        """The one row of a tensor, likewise."""
        kind = self.graph.instructions[index].type
        if index not in self.opened:
            plan = layout(kind)
            part = Opening(self._elements(kind, plan.row), self._siblings(plan.trees, row))
            self.opened[index] = part, root_from_row(kind, row, part)
        return self._opening(index)

    def _elements(self, kind: TensorType, count: int) -> bytes:
        if kind.dtype is DType.F32:
            array: Array = self.rng.standard_normal(count).astype(np.float32)
        else:
            array = self.rng.integers(-100, 100, count).astype(kind.dtype.numpy)
        return bytes(big_endian(array))

    def _siblings(self, leaves: int, place: int) -> tuple[Sha256, ...]:
        return tuple(Sha256(self.rng.bytes(32)) for _ in range(path_length(leaves, place)))

    def _opening(self, index: Index) -> TraceOpening:
        trace, slot = self.trace, trace_slots(self.graph)[index]
        above = path(rows_of(roots_of(self.graph, trace.roots, slot.section)), slot.position)
        return opening_at(trace.sections, slot, self.opened[index][0], above)


def _filled(kind: TensorType) -> View:
    """A tensor of any shape, made of the model's one input."""
    rank = len(kind.shape)
    return View(
        type=kind, x=Index(0), offset=0, strides=(0,) * rank, low=(0,) * rank, high=kind.shape,
        fill=Literal(kind.dtype, 0),
    )  # fmt: skip


def _kind(*shape: int, dtype: DType = DType.F32) -> TensorType:
    return TensorType(dtype, shape)


def product(dtype: DType, length: int) -> tuple[list[TensorType], Instruction]:
    """Types of two matrices of rows of this length, and their Dot."""
    gives = DType.F32 if dtype is DType.F32 else DType.I32
    side = 2**26 // length
    several = [_kind(1, side, length, dtype=dtype)] * 2
    return several, Dot(type=_kind(1, side, side, dtype=gives), a=A, b=B)


def _map(shape: tuple[int, ...], count: int, *steps: Step) -> tuple[list[TensorType], Instruction]:
    literals = (Literal(DType.F32, 0x3F3504F3), Literal(DType.F32, 0x3F000000))
    program = Program(literals=literals, steps=steps)
    kind = _kind(*shape)
    return [kind] * count, Map(type=kind, operands=(A, B, C)[:count], program=program)


A, B, C = (Index(INSTRUCTIONS // 2 + 200 + i) for i in range(3))
"""Where the operands stand, below the instruction in question."""
DISPUTED: Final = Index(A + 5)
_WIDE: Final = (2**13, 2**13)
# GELU: 0.5 x (1 + erf(x / sqrt(2))), the last step as 0.5 x + 0.5 x erf.
_GELU: Final = (
    Step(Scalar.MUL, (0, 1)), Step(Scalar.ERF, (3,)), Step(Scalar.MUL, (0, 2)),
    Step(Scalar.FMA, (5, 4, 5)),
)  # fmt: skip


def cases() -> dict[str, tuple[list[TensorType], Instruction]]:
    """For each row of the table the types of the operands, and the instruction."""
    wide = _kind(*_WIDE)
    turned = View(
        type=wide, x=A, offset=0, strides=(1, _WIDE[0]), low=(0, 0), high=_WIDE,
        fill=Literal(DType.F32, 0),
    )  # fmt: skip
    table, index = _kind(1, 2**16, 2**10), _kind(1, 2**16, dtype=DType.I64)
    rows = _kind(2**14, 2**12)
    return {
        "refute-dot-f32-4096": product(DType.F32, 4096),
        "refute-dot-f32-768": product(DType.F32, 768),
        "refute-dot-int8-4096": product(DType.I8, 4096),
        "refute-view": ([wide], turned),
        "refute-map1": _map(_WIDE, 1, *_GELU),
        "refute-map2": _map(_WIDE, 2, Step(Scalar.ADD, (0, 1))),
        "refute-map3": _map(_WIDE, 3, Step(Scalar.FMA, (0, 1, 2))),
        "refute-gather": ([table, index], Gather(type=table, x=A, index=B)),
        "refute-concat2": ([wide] * 2, Concat(type=_kind(2**14, 2**13), parts=(A, B), axis=0)),
        "refute-reduce-sum-4096": ([rows], Reduce(type=_kind(2**14), x=A, fold=Fold.SUM)),
        "refute-reduce-max-4096": ([rows], Reduce(type=_kind(2**14), x=A, fold=Fold.MAX)),
    }


def model_of(types: Sequence[TensorType], instruction: Instruction) -> Graph:
    """A model of `INSTRUCTIONS` with one of them in question, far down."""
    several = [replace(_filled(kind), x=Index(0)) for kind in types]
    inputs: list[Instruction] = [Input(type=kind) for kind in _inputs(types)]
    small = _filled(_kind(1))
    body: list[Instruction] = [small] * (A - len(inputs))
    padding: list[Instruction] = [small] * (DISPUTED - A - len(several))
    rest: list[Instruction] = [small] * (INSTRUCTIONS - DISPUTED - 1)
    instructions = (*inputs, *body, *several, *padding, instruction, *rest)
    return Graph(
        instructions=_typed(instructions, inputs),
        inputs=tuple(f"x{i}" for i in range(len(inputs))),
        outputs=(("y", Index(INSTRUCTIONS - 1)),),
    )


def _inputs(types: Sequence[TensorType]) -> list[TensorType]:
    """A scalar of each dtype that is needed, f32 first."""
    found = dict.fromkeys([DType.F32, *(kind.dtype for kind in types)])
    return [_kind(1, dtype=dtype) for dtype in found]


def _typed(
    instructions: Sequence[Instruction], inputs: Sequence[Instruction]
) -> tuple[Instruction, ...]:
    """Each `_filled` reads the input of its dtype."""
    of = {ins.type.dtype: Index(i) for i, ins in enumerate(inputs)}
    return tuple(
        replace(ins, x=of[ins.type.dtype]) if isinstance(ins, View) and ins.x == 0 else ins
        for ins in instructions
    )


def made_up(types: Sequence[TensorType], instruction: Instruction) -> tuple[Statement, StepProof]:
    """A proof about an element of such a model, whose trace is wrong there."""
    # Somewhere in the middle: at the ends of a tree some siblings are padding, and not named.
    element = 2 * instruction.type.size // 3 + 1
    run = MadeUp(model_of(types, instruction), np.random.default_rng(4))
    for _ in range(2):  # the roots stand only when all that is opened is made up
        proof = prove_step(run.graph, {}, run, DISPUTED, element)
    return statement_of(run.trace), proof

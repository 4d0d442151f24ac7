"""Which Dots become integer Dots, and which tensors they read as int8."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from verifiable.graph.ir import (
    Array,
    Concat,
    Const,
    Dot,
    Gather,
    Graph,
    Index,
    Instruction,
    Literal,
    Map,
    Reduce,
    View,
    Weights,
    operands,
)
from verifiable.graph.vocabulary import DType, Fold, Scalar
from verifiable.ops import evaluate

_MOVES: Final = (View, Gather, Concat)
MOST_ROW: Final = 1 << 16
"""Longest row: 128 * 127 * 2**16 is below 2**30, which leaves as much for a bias."""
MINUS_INFINITY: Final = Literal(DType.F32, 0xFF800000)
"""Fill of views that pad a maximum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighted:
    """A Dot of activations and constant weights."""

    dot: Index
    x: Index
    """Activations."""
    weight: Index
    weight_first: bool
    """Whether the weights are the Dot's first operand, as in convolutions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Biased:
    """A Map that adds a constant for each channel to what a `Weighted` Dot gives."""

    map: Index
    dot: Index
    place: int
    """Which operand of the Map is the Dot's result, reshaped or not."""
    step: int
    """The step that adds."""
    bias: Array
    """f32 ``[1, M, 1]`` or ``[1, 1, N]`` in the Dot's layout."""
    rest: str
    """What follows: ``nothing``, ``relu`` or ``more``."""


def weighted(graph: Graph, weights: Weights) -> dict[Index, Weighted]:
    """Dots with one constant operand whose elements are finite, by their place."""
    found = {}
    for i, ins in enumerate(graph.instructions):
        if not isinstance(ins, Dot) or ins.type.dtype is not DType.F32:
            continue
        first, second = (isinstance(graph.instructions[o], Const) for o in (ins.a, ins.b))
        row = graph.instructions[ins.a].type.shape[-1]
        if first == second or not 0 < row <= MOST_ROW:
            continue
        x, weight = (ins.b, ins.a) if first else (ins.a, ins.b)
        if not np.isfinite(weights[weight]).all():
            continue
        batch = graph.instructions[weight].type.shape[0]
        if batch in {1, ins.type.shape[0]}:
            place = Index(i)
            found[place] = Weighted(dot=place, x=x, weight=weight, weight_first=first)
    return found


def feeding(graph: Graph, dots: dict[Index, Weighted]) -> set[Index]:
    """Tensors that an integer Dot reads, through moves and maxima of windows too."""
    found: set[Index] = set()
    todo = [dot.x for dot in dots.values()]
    while todo:
        index = todo.pop()
        if index in found:
            continue
        found.add(index)
        ins = graph.instructions[index]
        if isinstance(ins, _MOVES) or (isinstance(ins, Reduce) and ins.fold is Fold.MAX):
            todo += operands(ins)[: 1 if isinstance(ins, Gather) else None]
    return found


def padding(graph: Graph, weights: Weights) -> dict[Index, Array]:
    """Where a tensor may be -inf because a View filled it so.

    No integer stands for -inf, so such elements are neither measured nor read back as floats.

    Returns
    -------
    dict of Index to bool array
        Of the tensors that have such an element alone; of the tensor's shape.
    """
    found: dict[Index, Array] = {}
    for i, ins in enumerate(graph.instructions):
        filled = isinstance(ins, View) and ins.fill == MINUS_INFINITY
        if not filled and not any(index in found for index in operands(ins)):
            continue
        where = _padding_of(graph, weights, ins, found)
        if where is not None and where.any():
            found[Index(i)] = where
    return found


def _padding_of(
    graph: Graph, weights: Weights, ins: Instruction, known: dict[Index, Array]
) -> Array | None:
    def source(index: Index) -> Array:
        shape = graph.instructions[index].type.shape
        return known.get(index, np.zeros(shape, np.bool_))

    kind = replace(ins.type, dtype=DType.BOOL)
    match ins:
        case View():
            fill = Literal(DType.BOOL, int(ins.fill == MINUS_INFINITY))
            return evaluate(replace(ins, type=kind, fill=fill), [source(ins.x)])
        case Concat():
            return evaluate(replace(ins, type=kind), [source(p) for p in ins.parts])
        case Gather():
            if ins.index not in weights:
                return np.ones(kind.shape, np.bool_)
            return evaluate(replace(ins, type=kind), [source(ins.x), weights[ins.index]])
        case Reduce(fold=Fold.MAX):
            # A maximum is padding where everything is, a minimum where anything is.
            return evaluate(replace(ins, type=kind, fold=Fold.MIN), [source(ins.x)])
        case Reduce(fold=Fold.MIN):
            return evaluate(replace(ins, type=kind, fold=Fold.MAX), [source(ins.x)])
        case _:
            return None


def biased(graph: Graph, weights: Weights, dots: dict[Index, Weighted]) -> dict[Index, Biased]:
    """Maps that begin with a bias, by their place."""
    readers: dict[Index, int] = {}
    for ins in graph.instructions:
        for index in operands(ins):
            readers[index] = readers.get(index, 0) + 1
    for _, index in graph.outputs:
        readers[index] = readers.get(index, 0) + 1
    found = {}
    for i, ins in enumerate(graph.instructions):
        if not isinstance(ins, Map):
            continue
        for place, operand in enumerate(ins.operands):
            dot, source = operand, graph.instructions[operand]
            if readers[operand] == 1 and isinstance(source, View) and source.is_reshape:
                dot = source.x
            if dot in dots and readers[dot] == 1 and readers[operand] == 1:
                made = _bias_of(graph, weights, Index(i), place, dots[dot])
                if made is not None:
                    found[Index(i)] = made
    return found


def _bias_of(
    graph: Graph, weights: Weights, index: Index, place: int, dot: Weighted
) -> Biased | None:
    ins = graph.instructions[index]
    assert isinstance(ins, Map)
    shape = graph.instructions[ins.operands[place]].type.shape
    steps = ins.program.steps
    uses = [n for n, s in enumerate(steps) if place in s.registers]
    if len(uses) != 1 or steps[uses[0]].function is not Scalar.ADD or ins.type.shape != shape:
        return None
    first, second = steps[uses[0]].registers
    other = second if first == place else first
    if other == place or other >= len(ins.operands):
        return None
    values = weights.get(ins.operands[other])
    out = graph.instructions[dot.dot].type.shape
    if values is None or np.prod(shape) != np.prod(out):
        return None
    whole = np.broadcast_to(values, shape).reshape(out)
    bias = whole[:1, :, :1] if dot.weight_first else whole[:1, :1, :]
    if not np.array_equal(np.broadcast_to(bias, out), whole) or not np.isfinite(bias).all():
        return None
    return Biased(
        map=index,
        dot=dot.dot,
        place=place,
        step=uses[0],
        bias=np.ascontiguousarray(bias),
        rest=_rest(ins, uses[0]),
    )


def _rest(ins: Map, step: int) -> str:
    program = ins.program
    if len(program.steps) == 1:
        return "nothing"
    if len(program.steps) != 2 or step != 0 or program.steps[1].function is not Scalar.MAX:
        return "more"
    constants = len(ins.operands)
    made = constants + len(program.literals)
    zero = [
        r
        for r in program.steps[1].registers
        if constants <= r < made and program.literals[r - constants] == Literal(DType.F32, 0)
    ]
    return "relu" if zero and made in program.steps[1].registers else "more"

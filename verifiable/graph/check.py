"""When a graph is well formed: a table of rules, each a function from a graph to complaints.

Everything after this point may rely on them: engines index without looking, and a referee's step
on a well-formed graph never fails.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from math import prod
from typing import Final

from verifiable.errors import GraphError
from verifiable.graph.ir import (
    Concat,
    Const,
    Dot,
    Gather,
    Graph,
    Index,
    Input,
    Instruction,
    Literal,
    Map,
    Reduce,
    TensorType,
    View,
    operands,
    places,
)
from verifiable.graph.vocabulary import (
    DOT_BOUND,
    DOTS,
    MAX_ELEMENTS,
    MAX_EXTENT,
    MAX_OPERANDS,
    MAX_PARTS,
    MAX_RANK,
    MAX_REGISTERS,
    MAX_STEPS,
    DType,
    fold_result,
    scalar_result,
)

CANONICAL_NAN: Final = 0x7FC00000
INTEGER_CHUNKS: Final = (1, 2**20)
"""Least and largest chunk of a Dot or Reduce; powers of two only."""

Types = Sequence[TensorType]
Rule = Callable[[Instruction, Types], Iterator[str]]


def check(graph: Graph) -> None:
    """Hold a graph against every rule.

    Raises
    ------
    GraphError
        If a rule is broken; names the instruction and the rule.
    """
    for place, instruction in enumerate(graph.instructions):
        if any(not 0 <= i < place for i in operands(instruction)):
            raise GraphError(
                f"{_label(graph, place)} breaks `operands stand before`: reads "
                f"{list(operands(instruction))}"
            )
        types = [graph.instructions[i].type for i in operands(instruction)]
        for rule in RULES:
            for complaint in rule(instruction, types):
                name = rule.__name__.strip("_").replace("_", " ")
                raise GraphError(f"{_label(graph, place)} breaks `{name}`: {complaint}")
    for complaint in _borders(graph):
        raise GraphError(f"the graph breaks `borders`: {complaint}")


def _label(graph: Graph, place: int) -> str:
    kind = type(graph.instructions[place]).__name__
    for region in graph.regions:
        if region.start <= place < region.stop:
            return f"instruction {place} ({kind}, of {region.label})"
    return f"instruction {place} ({kind})"


def literal_problem(literal: Literal) -> str | None:
    """Say what is wrong with the bits of an element, None if nothing is."""
    if not 0 <= literal.bits < 1 << (8 * literal.dtype.itemsize):
        return f"bits {literal.bits:#x} do not fit {literal.dtype.word}"
    if literal.dtype is DType.BOOL and literal.bits > 1:
        return f"bool {literal.bits:#x} is neither 0 nor 1"
    if literal.dtype is DType.F32:
        magnitude = literal.bits & 0x7FFFFFFF
        if magnitude > 0x7F800000 and literal.bits != CANONICAL_NAN:
            return f"NaN {literal.bits:#x} is not the canonical one"
    return None


def broadcast_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...] | None:
    """Shape that operands of a Map are broadcast to, None if they do not fit.

    >>> broadcast_shape([(2, 1), (3,)])
    (2, 3)
    """
    rank = max(map(len, shapes), default=0)
    result = []
    for axis in range(rank):
        extents = {s[axis - rank + len(s)] for s in shapes if axis - rank + len(s) >= 0}
        wide = extents - {1}
        if len(wide) > 1:
            return None
        result.append(wide.pop() if wide else 1)
    return tuple(result)


def type_problems(kind: TensorType) -> Iterator[str]:
    """Say what is wrong with a tensor's type, whoever makes the tensor."""
    shape = kind.shape
    if len(shape) > MAX_RANK:
        yield f"rank {len(shape)} is above {MAX_RANK}"
    elif any(not 0 <= extent <= MAX_EXTENT for extent in shape):
        yield f"an extent of {list(shape)} is not in 0..{MAX_EXTENT}"
    elif prod(shape) > MAX_ELEMENTS:
        yield f"{prod(shape)} elements are above {MAX_ELEMENTS}"


def _type_is_bounded(ins: Instruction, _: Types) -> Iterator[str]:
    yield from type_problems(ins.type)


def _dot_fits(ins: Instruction, types: Types) -> Iterator[str]:
    if not isinstance(ins, Dot):
        return
    a, b = types
    if len(a.shape) != 3 or len(b.shape) != 3:
        yield f"operands are {a} and {b}, wanted three axes each"
        return
    gives = DOTS.get((a.dtype, b.dtype))
    if gives is None:
        yield f"no Dot of {a.dtype.word} and {b.dtype.word}"
        return
    if a.shape[2] != b.shape[2]:
        yield f"rows of {a} and {b} differ in length"
        return
    batch = 0 if 0 in (a.shape[0], b.shape[0]) else max(a.shape[0], b.shape[0])
    if batch and (batch % a.shape[0] or batch % b.shape[0]):
        yield f"batches of {a} and {b} do not divide one another"
        return
    wanted = TensorType(gives, (batch, a.shape[1], b.shape[1]))
    if ins.type != wanted:
        yield f"says {ins.type}, gives {wanted}"
    bound = DOT_BOUND.get(a.dtype)
    if bound is not None and a.shape[2] * bound >= 2**31:
        yield f"rows of {a.shape[2]} could overflow i32"


def _reduce_fits(ins: Instruction, types: Types) -> Iterator[str]:
    if not isinstance(ins, Reduce):
        return
    (x,) = types
    if not x.shape:
        yield "a scalar has no axis to fold"
        return
    gives = fold_result(ins.fold, x.dtype)
    if gives is None:
        yield f"no {ins.fold.name} of {x.dtype.word}"
        return
    if not x.shape[-1] and ins.fold.name != "SUM":
        yield f"{ins.fold.name} of an empty row"
    wanted = TensorType(gives, x.shape[:-1])
    if ins.type != wanted:
        yield f"says {ins.type}, gives {wanted}"


def _chunk_is_a_power_of_two(ins: Instruction, _: Types) -> Iterator[str]:
    if isinstance(ins, Dot | Reduce):
        least, most = INTEGER_CHUNKS
        if not least <= ins.chunk <= most or ins.chunk & (ins.chunk - 1):
            yield f"chunk {ins.chunk} is no power of two in {least}..{most}"
    if isinstance(ins, Reduce) and ins.chunk < 32:
        yield f"chunk {ins.chunk} is below the 32 lanes of a sum"


def _map_fits(ins: Instruction, types: Types) -> Iterator[str]:
    if not isinstance(ins, Map):
        return
    if not 1 <= len(types) <= MAX_OPERANDS:
        yield f"{len(types)} operands are not in 1..{MAX_OPERANDS}"
        return
    shape = broadcast_shape([t.shape for t in types])
    if shape is None:
        yield f"operands {', '.join(map(str, types))} cannot be broadcast"
        return
    dtypes = [t.dtype for t in types]
    for literal in ins.program.literals:
        problem = literal_problem(literal)
        if problem:
            yield problem
        dtypes.append(literal.dtype)
    if not 1 <= len(ins.program.steps) <= MAX_STEPS:
        yield f"{len(ins.program.steps)} steps are not in 1..{MAX_STEPS}"
        return
    if len(dtypes) + len(ins.program.steps) > MAX_REGISTERS:
        yield f"more than {MAX_REGISTERS} registers"
        return
    for number, step in enumerate(ins.program.steps):
        if any(not 0 <= r < len(dtypes) for r in step.registers):
            yield f"step {number} reads registers {list(step.registers)} of {len(dtypes)}"
            return
        taken = tuple(dtypes[r] for r in step.registers)
        gives = scalar_result(step.function, taken)
        if gives is None:
            words = ", ".join(t.word for t in taken)
            yield f"step {number}: {step.function.name} does not take ({words})"
            return
        dtypes.append(gives)
    wanted = TensorType(dtypes[-1], shape)
    if ins.type != wanted:
        yield f"says {ins.type}, gives {wanted}"


def _view_stays_inside(ins: Instruction, types: Types) -> Iterator[str]:
    if not isinstance(ins, View):
        return
    (x,) = types
    shape = ins.type.shape
    if not len(shape) == len(ins.strides) == len(ins.low) == len(ins.high):
        yield "strides and box have another rank than the result"
        return
    if ins.type.dtype is not x.dtype or ins.fill.dtype is not x.dtype:
        yield f"{x.dtype.word} becomes {ins.type.dtype.word} or {ins.fill.dtype.word}"
    problem = literal_problem(ins.fill)
    if problem:
        yield problem
    if any(abs(number) > MAX_ELEMENTS for number in (ins.offset, *ins.strides)):
        # With this, no sum that leads to an element of x overflows 64 bits on its way.
        yield f"offset {ins.offset} or a stride of {list(ins.strides)} is beyond {MAX_ELEMENTS}"
    bounds = list(zip(ins.low, ins.high, shape, strict=True))
    if any(not 0 <= low <= high <= extent for low, high, extent in bounds):
        yield f"box {list(ins.low)}..{list(ins.high)} leaves {list(shape)}"
        return
    if any(low == high for low, high, _ in bounds):
        return  # nothing is read
    first = last = ins.offset
    for (low, high, _), stride in zip(bounds, ins.strides, strict=True):
        first += min(low * stride, (high - 1) * stride)
        last += max(low * stride, (high - 1) * stride)
    if first < 0 or last >= x.size:
        yield f"reads elements {first}..{last} of {x.size}"


def _gather_fits(ins: Instruction, types: Types) -> Iterator[str]:
    if not isinstance(ins, Gather):
        return
    x, index = types
    if len(x.shape) != 3 or len(index.shape) != 2:
        yield f"operands are {x} and {index}, wanted three axes and two"
        return
    if index.dtype not in {DType.I32, DType.I64}:
        yield f"the index is {index.dtype.word}, wanted i32 or i64"
    if index.shape[0] not in {1, x.shape[0]}:
        yield f"batches of {x} and {index} differ"
    wanted = TensorType(x.dtype, (x.shape[0], index.shape[1], x.shape[2]))
    if ins.type != wanted:
        yield f"says {ins.type}, gives {wanted}"


def _concat_fits(ins: Instruction, types: Types) -> Iterator[str]:
    if not isinstance(ins, Concat):
        return
    if not 1 <= len(types) <= MAX_PARTS:
        yield f"{len(types)} parts are not in 1..{MAX_PARTS}"
        return
    rank = len(types[0].shape)
    if not 0 <= ins.axis < rank:
        yield f"axis {ins.axis} is not in 0..{rank - 1}"
        return
    cut = {(t.dtype, (*t.shape[: ins.axis], *t.shape[ins.axis + 1 :])) for t in types}
    if len(cut) != 1 or any(len(t.shape) != rank for t in types):
        yield f"parts {', '.join(map(str, types))} differ off the axis"
        return
    shape = list(types[0].shape)
    shape[ins.axis] = sum(t.shape[ins.axis] for t in types)
    wanted = TensorType(types[0].dtype, tuple(shape))
    if ins.type != wanted:
        yield f"says {ins.type}, gives {wanted}"


def _const_has_a_root(ins: Instruction, _: Types) -> Iterator[str]:
    if isinstance(ins, Const) and len(ins.root) != 32:
        yield f"the root has {len(ins.root)} bytes"


RULES: Final[tuple[Rule, ...]] = (
    _type_is_bounded,
    _const_has_a_root,
    _dot_fits,
    _reduce_fits,
    _chunk_is_a_power_of_two,
    _map_fits,
    _view_stays_inside,
    _gather_fits,
    _concat_fits,
)


def _borders(graph: Graph) -> Iterator[str]:
    count = len(places(graph, Input))
    if len(graph.inputs) != count:
        yield f"{count} Inputs have {len(graph.inputs)} names"
    if not graph.outputs:
        yield "there is no output"
    named = [name for name, _ in graph.outputs]
    for names in (graph.inputs, named):
        if len(set(names)) != len(names):
            yield f"a name occurs twice among {list(names)}"
        for name in names:
            if any("\ud800" <= letter <= "\udfff" for letter in name):
                yield f"the name {name!r} is not Unicode"
    total = len(graph.instructions)
    for name, index in graph.outputs:
        if not 0 <= index < total:
            yield f"output `{name}` is tensor {index} of {total}"
    ends = [graph.instructions[i] for _, i in graph.outputs if 0 <= i < total]
    if ends and all(isinstance(end, Input | Const) for end in ends):
        # The root over no tensor is any number, and no element could be shown to be wrong.
        yield "no output is computed: all are inputs or constants"
    for region in graph.regions:
        if not 0 <= region.start <= region.stop <= total:
            yield f"region {region.label} is {region.start}..{region.stop} of {total}"


def output_types(graph: Graph) -> dict[str, TensorType]:
    """Type of each output, by name."""
    return {name: graph.instructions[index].type for name, index in graph.outputs}


def input_types(graph: Graph) -> dict[str, TensorType]:
    """Type of each input, by name, in order, of a checked graph."""
    found = (ins.type for ins in graph.instructions if isinstance(ins, Input))
    # There are as many Inputs as names; the rest of a long program need not be looked at.
    return dict(zip(graph.inputs, islice(found, len(graph.inputs)), strict=True))


__all__ = [
    "CANONICAL_NAN",
    "RULES",
    "Index",
    "broadcast_shape",
    "check",
    "input_types",
    "literal_problem",
    "output_types",
    "type_problems",
]

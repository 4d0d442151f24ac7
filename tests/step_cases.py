"""Small graphs that show each rule of a one-step proof, run by the reference."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from graph_zoo import Case
from step_runs import Run, honest
from tensor_zoo import mixed_values

from verifiable.graph.ir import (
    Array,
    Concat,
    Const,
    Dot,
    Gather,
    Graph,
    Index,
    Input,
    Instruction,
    Literal,
    Reduce,
    TensorType,
    View,
)
from verifiable.graph.tensors import tensor_root
from verifiable.graph.vocabulary import DOTS, FOLDED, DType, Fold, fold_result

FOLDS: Final = tuple((fold, dtype) for fold in Fold for dtype in DType if dtype in FOLDED[fold])
PRODUCTS: Final = tuple(DOTS.items())


def graph_of(*instructions: Instruction) -> Graph:
    """The last instruction is the output."""
    count = sum(isinstance(ins, Input) for ins in instructions)
    return Graph(
        instructions=instructions,
        inputs=tuple(f"x{i}" for i in range(count)),
        outputs=(("y", Index(len(instructions) - 1)),),
    )


def run_on(inputs: Sequence[Array], last: Instruction) -> Run:
    """An honest run of one instruction on these tensors, every second of them a Const."""
    given: list[Instruction] = []
    weights: dict[Index, Array] = {}
    named: dict[str, Array] = {}
    for i, array in enumerate(inputs):
        kind = TensorType(_DTYPES[array.dtype.name], array.shape)
        if i % 2:
            given.append(Const(type=kind, root=tensor_root(array)))
            weights[Index(i)] = array
        else:
            given.append(Input(type=kind))
            named[f"x{len(named)}"] = array
    case = Case(graph=graph_of(*given, last), weights=weights, inputs=named, label=str(last))
    return honest(case)


_DTYPES: Final = {dtype.numpy: dtype for dtype in DType}


def i32(*shape: int) -> TensorType:
    return TensorType(DType.I32, shape)


def counted(*shape: int) -> Array:
    """1, 2, 3, ..."""
    kind = i32(*shape)
    return np.arange(1, kind.size + 1, dtype=np.int32).reshape(shape)


def copied(*shape: int) -> Run:
    """A View of all elements as they stand."""
    kind = i32(*shape)
    strides = tuple(int(s) // 4 for s in np.empty(shape, np.int32).strides)
    view = View(
        type=kind, x=Index(0), offset=0, strides=strides, low=(0,) * len(shape), high=shape,
        fill=Literal(DType.I32, 0),
    )  # fmt: skip
    return run_on([counted(*shape)], view)


def padded() -> Run:
    """A View of three elements and a fill value at either end."""
    view = View(
        type=i32(5), x=Index(0), offset=-1, strides=(1,), low=(1,), high=(4,),
        fill=Literal(DType.I32, 7),
    )  # fmt: skip
    return run_on([counted(3)], view)


def joined() -> Run:
    """A Concat of parts of 2, 0, 4 and 1 rows."""
    parts = [counted(2, 3), counted(0, 3), counted(4, 3), counted(1, 3)]
    places = tuple(Index(i) for i in range(len(parts)))
    return run_on(parts, Concat(type=i32(7, 3), parts=places, axis=0))


def chosen() -> Run:
    """A Gather by an index in range, negative, and out of range at both ends."""
    index = np.array([[2, -1, 3, -4, -3]], np.int32)
    step = Gather(type=i32(1, 5, 2), x=Index(0), index=Index(1))
    return run_on([counted(1, 3, 2), index], step)


def folded(fold: Fold, dtype: DType, length: int, seed: int) -> Run:
    """A Reduce of two rows."""
    gives = fold_result(fold, dtype)
    assert gives is not None
    x = mixed_values(np.random.default_rng(seed), TensorType(dtype, (2, length)))
    return run_on([x], Reduce(type=TensorType(gives, (2,)), x=Index(0), fold=fold))


def multiplied(dtypes: tuple[DType, DType], gives: DType, length: int, seed: int) -> Run:
    """A Dot of two rows by three."""
    rng = np.random.default_rng(seed)
    a, b = (
        mixed_values(rng, TensorType(dtype, (1, rows, length)))
        for dtype, rows in zip(dtypes, (2, 3), strict=True)
    )
    step = Dot(type=TensorType(gives, (1, 2, 3)), a=Index(0), b=Index(1))
    return run_on([a, b], step)

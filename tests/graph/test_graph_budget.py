"""No instruction is let through whose elements nobody could dispute in one transaction."""

import pytest
from onnx import TensorProto, helper

from verifiable.errors import UnsupportedError
from verifiable.frontend.lower import lower
from verifiable.graph.budget import BUDGET, instruction_gas, too_dear
from verifiable.graph.ir import (
    Concat,
    Dot,
    Graph,
    Index,
    Input,
    Instruction,
    Map,
    Program,
    Reduce,
    Step,
    TensorType,
)
from verifiable.graph.vocabulary import MAX_PARTS, MAX_STEPS, DType, Fold, Scalar

F32 = DType.F32


def graph_of(*instructions: Instruction) -> Graph:
    inputs = sum(isinstance(i, Input) for i in instructions)
    last = Index(len(instructions) - 1)
    return Graph(
        instructions=instructions,
        inputs=tuple(f"x{i}" for i in range(inputs)),
        outputs=(("y", last),),
    )


def dot(length: int, left: DType = F32, chunk: int = 256) -> Graph:
    right, result = (F32, F32) if left is F32 else (DType.I8, DType.I32)
    row = (1, 1, length)
    return graph_of(
        Input(type=TensorType(left, row)),
        Input(type=TensorType(right, row)),
        Dot(type=TensorType(result, (1, 1, 1)), a=Index(0), b=Index(1), chunk=chunk),
    )


def reduce(length: int, fold: Fold, dtype: DType = F32) -> Graph:
    result = DType.I64 if fold in {Fold.ARGMAX, Fold.ARGMIN} else dtype
    return graph_of(
        Input(type=TensorType(dtype, (length,))),
        Reduce(type=TensorType(result, ()), x=Index(0), fold=fold),
    )


@pytest.mark.parametrize(("length", "measured"), [(4096, 1_871_000), (768, 507_000)])
def test_the_bound_of_a_whole_row_is_above_what_was_measured(length: int, measured: int) -> None:
    # Gas of tests/contracts/test_step_gas.py at Cancun; a row in chunks of another size has no
    # pieces, so its bound is that of the whole.
    gas = instruction_gas(dot(length, chunk=128), Index(2))
    assert measured < gas


@pytest.mark.parametrize("length", [1, 4_096, 100_000, 1_000_000])
def test_rows_of_any_real_model_are_within_it(length: int) -> None:
    for graph in (dot(length), dot(length, DType.U8), *(reduce(length, f) for f in Fold)):
        assert too_dear(graph) == ()


def test_a_row_without_pieces_is_refused_earlier() -> None:
    assert too_dear(dot(100_000)) == ()
    ((index, gas),) = too_dear(dot(100_000, chunk=100))
    assert index == 2
    assert gas > BUDGET


def test_the_longest_map_and_concat_are_within_it() -> None:
    steps = tuple(Step(Scalar.SIN, (i,)) for i in range(MAX_STEPS))
    kind = TensorType(F32, (4,))
    graph = graph_of(
        Input(type=kind), Map(type=kind, operands=(Index(0),), program=Program(steps=steps))
    )
    assert too_dear(graph) == ()
    parts = (Index(0),) * MAX_PARTS
    concat = Concat(type=TensorType(F32, (4 * MAX_PARTS,)), parts=parts, axis=0)
    assert too_dear(graph_of(Input(type=kind), concat)) == ()


def test_lowering_refuses_and_names_the_operator() -> None:
    length = 1 << 28
    kind = TensorProto.FLOAT
    node = helper.make_node("ReduceSum", ["x"], ["y"], name="total", keepdims=0)
    made = helper.make_model(
        helper.make_graph(
            [node],
            "sum",
            [helper.make_tensor_value_info("x", kind, (length,))],
            [helper.make_tensor_value_info("y", kind, ())],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    with pytest.raises(UnsupportedError, match=r"ReduceSum `total`: .* gas to dispute") as caught:
        lower(made)
    assert caught.value.hint

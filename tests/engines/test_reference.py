"""The reference engine: the definition, one instruction after the other."""

import weakref
from dataclasses import replace

import numpy as np
import pytest
from graph_zoo import LONG, Case, case, cases, f32
from hypothesis import given

from verifiable.engines.inputs import check_weights
from verifiable.engines.protocol import RegionDone
from verifiable.engines.reference import Reference, regions_done
from verifiable.errors import TensorError
from verifiable.graph.ir import (
    Array,
    Const,
    Graph,
    Index,
    Input,
    Region,
    TensorType,
    last_uses,
    operands,
    places,
)
from verifiable.graph.tensors import tensor_root
from verifiable.graph.vocabulary import DType
from verifiable.ops import evaluate


def everything(one: Case) -> list[Array]:
    """All tensors, all kept."""
    found: list[Array] = []
    given_arrays = iter(one.inputs.values())
    for i, instruction in enumerate(one.graph.instructions):
        match instruction:
            case Input():
                found.append(next(given_arrays))
            case Const():
                found.append(one.weights[Index(i)])
            case _:
                found.append(evaluate(instruction, [found[j] for j in operands(instruction)]))
    return found


@given(cases())
def test_every_tensor_is_the_defined_one(one: Case) -> None:
    seen: list[tuple[int, bytes]] = []
    runner = Reference().prepare(one.graph, one.weights)
    outputs = runner.run(one.inputs, watch=lambda i, x: seen.append((i, x.tobytes())))
    wanted = everything(one)
    assert seen == [(i, tensor.tobytes()) for i, tensor in enumerate(wanted)]
    assert {name: x.tobytes() for name, x in outputs.items()} == {
        name: wanted[index].tobytes() for name, index in one.graph.outputs
    }
    for name, index in one.graph.outputs:
        kind = one.graph.instructions[index].type
        assert outputs[name].dtype == np.dtype(kind.dtype.numpy)
        assert outputs[name].shape == kind.shape


@given(cases(steps=4, extents=LONG, most=1500))
def test_watching_changes_nothing(one: Case) -> None:
    runner = Reference().prepare(one.graph, one.weights)
    plain = runner.run(one.inputs)
    watched = runner.run(one.inputs, watch=lambda *_: None, progress=lambda _: None)
    assert {n: x.tobytes() for n, x in plain.items()} == {
        n: x.tobytes() for n, x in watched.items()
    }


def test_a_tensor_is_let_go_after_its_last_use() -> None:
    one = case(11, steps=12)
    alive: dict[int, weakref.ref[Array]] = {}
    dead = {i for places in last_uses(one.graph)[:-1] for i in places}
    given_arrays = {*places(one.graph, Input), *places(one.graph, Const)}

    def watch(index: Index, tensor: Array) -> None:
        if index not in given_arrays:
            alive[index] = weakref.ref(tensor)
        for i, reference in alive.items():
            ended = next(k for k, gone in enumerate([*last_uses(one.graph), (i,)]) if i in gone)
            assert (reference() is None) == (ended < index)

    Reference().prepare(one.graph, one.weights).run(one.inputs, watch=watch)
    assert len(dead - given_arrays) > 3


def test_an_output_is_not_the_callers_own_array() -> None:
    graph = Graph(
        instructions=(Input(type=TensorType(DType.F32, (2,))),),
        inputs=("x",),
        outputs=(("y", Index(0)),),
    )
    x = np.zeros(2, np.float32)
    y = Reference().prepare(graph, {}).run({"x": x})["y"]
    y[0] = 1
    assert not x.any()


@given(cases())
def test_progress_tells_each_region_once_and_in_order(one: Case) -> None:
    events: list[RegionDone] = []
    Reference().prepare(one.graph, one.weights).run(one.inputs, progress=events.append)
    labels = [region.label for region in one.graph.regions]
    assert [event.label for event in events] == labels
    assert [event.number for event in events] == list(range(len(labels)))
    assert all(event.of == len(labels) for event in events)


def test_a_region_is_done_with_its_last_instruction() -> None:
    graph = replace(
        case(1).graph,
        regions=(
            Region(label="none", start=0, stop=0),
            Region(label="first", start=0, stop=2),
            Region(label="same end", start=1, stop=2),
            Region(label="third", start=2, stop=3),
        ),
    )
    told = [[event.label for event in events] for events in regions_done(graph)]
    assert told[:3] == [["none"], ["first", "same end"], ["third"]]
    assert not any(told[3:])


GRAPH = Graph(
    instructions=(
        Input(type=TensorType(DType.F32, (2,))),
        Input(type=TensorType(DType.BOOL, (1,))),
        Const(type=TensorType(DType.I8, (1,)), root=tensor_root(np.zeros(1, np.int8))),
    ),
    inputs=("x", "b"),
    outputs=(("y", Index(0)),),
)
FINE: dict[str, Array] = {"x": np.zeros(2, np.float32), "b": np.zeros(1, np.bool_)}
WEIGHTS: dict[Index, Array] = {Index(2): np.zeros(1, np.int8)}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"x": None}, r"input `x` is absent, wanted f32\[2\]"),
        ({"z": np.zeros(1)}, "there is no input `z`"),
        ({"x": np.zeros(3, np.float32)}, r"input `x` has shape \[3\], wanted \[2\]"),
        ({"x": np.zeros((), np.float32)}, r"input `x` has shape \[\], wanted \[2\]"),
        ({"x": np.zeros(2, np.float64)}, "input `x` is float64, wanted float32"),
        ({"x": np.zeros(2, ">f4")}, "input `x` is >f4, wanted float32"),
        ({"x": [0.0, 0.0]}, "input `x` is a list, wanted a NumPy array"),
        ({"x": f32(0, 0xFFC00000)}, r"`x`: element \[1\] is the NaN 0xffc00000"),
        ({"x": f32(0x7F800001, 0)}, r"`x`: element \[0\] is the NaN 0x7f800001"),
        ({"b": np.array([2], np.uint8).view(np.bool_)}, r"`b`: element \[0\] is the bool 0x2"),
    ],
)
def test_an_input_that_does_not_fit_is_named(change: dict[str, Array], complaint: str) -> None:
    merged = {**FINE, **change}
    inputs = {name: array for name, array in merged.items() if array is not None}
    with pytest.raises(TensorError, match=complaint):
        Reference().prepare(GRAPH, WEIGHTS).run(inputs)


@pytest.mark.parametrize(
    ("weights", "complaint"),
    [
        ({}, "the elements of Const 2 are absent"),
        ({Index(2): np.zeros(2, np.int8)}, r"Const 2 has shape \[2\], wanted \[1\]"),
        ({Index(2): np.zeros(1, np.uint8)}, "Const 2 is uint8, wanted int8"),
    ],
)
def test_weights_that_do_not_fit_are_named(weights: dict[Index, Array], complaint: str) -> None:
    with pytest.raises(TensorError, match=complaint):
        Reference().prepare(GRAPH, weights)


def test_given_arrays_may_lie_in_any_order_in_memory() -> None:
    graph = Graph(
        instructions=(
            Input(type=TensorType(DType.I32, (2, 3))),
            Const(type=TensorType(DType.I32, ()), root=tensor_root(np.array(5, np.int32))),
        ),
        inputs=("x",),
        outputs=(("y", Index(0)), ("z", Index(1))),
    )
    x = np.arange(6, dtype=np.int32).reshape(3, 2).T
    weights = {Index(1): np.array(5, np.int32)}
    outputs = Reference().prepare(graph, weights).run({"x": x})
    assert outputs["y"].tolist() == x.tolist()
    assert outputs["y"].flags.c_contiguous
    assert outputs["z"].shape == check_weights(graph, weights)[Index(1)].shape == ()
